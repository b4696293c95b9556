//! The role that takes over what the peer sends: operations in, a mirrored folder on disk, receipts out.
//!
//! Entry point: [`Receiver::run`], on a thread of its own, by whoever moves the bytes. It knows no socket and no user;
//! what it may touch is the [`Grant`]. The way of an operation: `intake` (bytes → checked operations, blobs) → `pool`
//! (contents into temporaries) → `line` (back in order) → `publisher` (batches, flushing, receipts) → `change` (names), or
//! `answer` and `equal` for what changes nothing.

mod answer;
mod asks;
mod basis;
mod batch;
mod blob;
mod change;
mod counters;
mod disk;
mod equal;
mod frames;
mod grant;
mod guesses;
mod intake;
mod lending;
mod line;
mod memory;
mod operation;
mod outcome;
mod over;
mod pieces;
mod pool;
mod publisher;
mod receipts;
mod rests;
mod run;
mod shift;
mod signatures;
mod told;
mod unpacking;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use proto::login::Refusal;
use tokio::sync::watch;

pub use counters::Counters;
pub use disk::{Disk, Shortage};
pub use grant::{Grant, Limits};
pub use guesses::Guesses;
pub use lending::{Free, Lending};
pub use memory::{Memory, SURE};
pub use over::EndReason;
#[cfg(test)]
pub(crate) use pieces::Pieces;
pub use run::Session;
pub use signatures::Signatures;
pub use told::{Tale, Told};

use crate::clock::Clock;
use crate::workers::Workers;
use line::Line;
use pool::Pool;

/// Set to end a session from outside, with what the peer is told; a sender that is gone never ends it.
pub type Stop = watch::Receiver<Option<Refusal>>;

/// What the peer has said of its lease, which is not the business of this role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said {
    /// The token that it was given is written down.
    pub noted: bool,
    /// It gives its lease back at the end of the session.
    pub returned: bool,
}

/// The receiving role of one session.
#[derive(Debug)]
pub struct Receiver {
    grant: Grant,
    clock: Clock,
    workers: Workers,
    counters: Arc<Counters>,
    said: Arc<watch::Sender<Said>>,
    line: Line,
    pool: Pool,
}

impl Receiver {
    /// A receiver that will write into `grant`.
    pub fn new(grant: Grant, clock: Clock, workers: Workers) -> Receiver {
        let line = Line::new(clock.clone(), workers, grant.memory.account());
        let pool = Pool::new(Arc::clone(&grant.replica), workers, line.retained().clone());
        Receiver { grant, clock, workers, counters: Arc::default(), said: Arc::default(), line, pool }
    }

    /// What the peer says of its lease, from now on.
    pub fn said(&self) -> watch::Receiver<Said> {
        self.said.subscribe()
    }

    /// By which it lists folders.
    #[cfg(test)]
    pub(crate) fn listing_by(mut self, bounds: crate::view::Bounds) -> Receiver {
        self.pool.list_by(bounds);
        self
    }

    /// What this session has done so far; may be read at any time.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
}
