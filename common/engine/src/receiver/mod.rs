//! The role that takes over what the peer sends: operations in, a mirrored folder on disk, receipts out.
//!
//! Entry point: [`Receiver::run`], on a thread of its own, by whoever moves the bytes. It knows no socket and no user;
//! what it may touch is the [`Grant`]. The way of an operation: `intake` (bytes → checked operations, blobs) → `pool`
//! (contents into temporaries) → `line` (back in order) → `batch` (closing, flushing, receipts) → `publish` (names).

mod basis;
mod batch;
mod blob;
mod compare;
mod counters;
mod disk;
mod folders;
mod intake;
mod line;
mod links;
mod moves;
mod pool;
mod publish;
mod receipts;
mod signatures;
mod step;
mod verdict;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use proto::login::{Durability, Refusal};
use proto::{Keep, ToSender};
use sys::{Stage, Tree};

pub use counters::Counters;
pub use disk::{Disk, Shortage};
pub use signatures::Signatures;

use crate::channel::{Inbox, Outbox};
use crate::workers::start_within;
use batch::Publisher;
use intake::Intake;
use line::Line;
use pool::Pool;
use receipts::Receipts;

/// After what time a sender may come again, of which the session ended by no fault of its own.
const AGAIN: Duration = Duration::from_secs(1);
/// Threads of one session's pool.
const POOL: usize = 2;

/// Set to true to end a session from outside; a sender that is gone never ends it.
pub type Stop = tokio::sync::watch::Receiver<bool>;

/// What one session may write to, and how.
#[derive(Debug)]
pub struct Grant {
    /// Temporaries of this session, in the module's root.
    pub stage: Arc<Stage>,
    /// The folder that is given to the peer; opened for this session alone, so that an error of the disk is told to it.
    pub tree: Arc<Tree>,
    /// Which attributes are kept.
    pub keep: Keep,
    /// What a receipt means.
    pub durability: Durability,
    /// What the operator bounds.
    pub limits: Limits,
    /// What is known of files of this backup and others.
    pub signatures: Arc<Signatures>,
    /// Whether the disk takes what it is given; one for all sessions of a module.
    pub disk: Arc<Disk>,
}

/// Bounds that the operator sets for a module.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Largest file in bytes; a larger one is refused.
    pub max_file_size: Option<u64>,
}

/// Why a session is over. Whatever it is, nothing half-done is visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The peer went away.
    Closed,
    /// The peer broke the protocol, in these words.
    Violation(String),
    /// [`Stop`] was set.
    Stopped,
    /// The folder that was written to does not stand at its path any more, in these words. What was acknowledged last may
    /// be in it, and nowhere else.
    Displaced(String),
    /// The receiver itself cannot go on, in these words.
    Fault(String),
}

/// The receiving role of one session.
#[derive(Debug)]
pub struct Receiver {
    grant: Grant,
    counters: Arc<Counters>,
}

impl Receiver {
    /// A receiver that will write into `grant`.
    pub fn new(grant: Grant) -> Receiver {
        Receiver { grant, counters: Arc::default() }
    }

    /// What this session has done so far; may be read at any time.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Runs until the peer goes away. Blocks: call it on a thread of its own, outside of any asynchronous task.
    ///
    /// On return the outbox is dropped, all threads are joined, and temporaries are removed.
    pub fn run(self, inbox: Inbox, outbox: Outbox, stop: Stop) -> Ended {
        let Receiver { grant, counters } = self;
        let line = Line::new();
        let pool = Pool::new(Arc::clone(&grant.tree), Arc::clone(&grant.stage), grant.keep);
        let last_word = outbox.clone();
        let ended = thread::scope(|scope| {
            let mut threads = Vec::with_capacity(POOL);
            let (mut publisher, mut fault) = (None, None);
            for _ in 0..POOL {
                match start_within(scope, "recv-pool", || pool.work(&line)) {
                    Ok(thread) => threads.push(thread),
                    Err(error) => fault = Some(error),
                }
            }
            let receipts = Receipts::new(outbox.clone());
            let publish = || Publisher::new(&grant, &line, &pool, receipts, &counters).run();
            match start_within(scope, "recv-publish", publish) {
                Ok(thread) => publisher = Some(thread),
                Err(error) => fault = Some(error),
            }
            let ended = match fault {
                Some(error) => Ended::Fault(format!("cannot start a thread: {error}")),
                None => Intake::new(&grant, &line, &pool, inbox, outbox, stop).run(),
            };
            line.end();
            pool.close();
            let panicked = threads.into_iter().map(|thread| thread.join()).filter(Result::is_err).count();
            let published = publisher.map_or(Ok(None), |thread| thread.join());
            match published {
                Ok(Some(displaced)) => Ended::Displaced(displaced),
                Ok(None) if panicked == 0 => ended,
                _ => Ended::Fault("a thread of the session has panicked".to_owned()),
            }
        });
        drop((line, pool));
        if let Err(error) = grant.stage.rest() {
            tracing::warn!(%error, "cannot remove the folder of temporaries; the next start of the service will");
        }
        say_goodbye(&last_word, &ended);
        ended
    }
}

/// Tells the peer why, if it listens: one that does not must not hold the session.
fn say_goodbye(outbox: &Outbox, ended: &Ended) {
    let refusal = match ended {
        Ended::Closed => return,
        Ended::Violation(reason) => Refusal::Protocol { reason: reason.clone() },
        Ended::Stopped => Refusal::Stopping,
        // Its path is not the peer's business.
        Ended::Displaced(_) => Refusal::Busy {
            reason: "the folder was replaced, unmounted or mounted over on the backup host".to_owned(),
            retry: AGAIN,
        },
        Ended::Fault(reason) => Refusal::Busy { reason: reason.clone(), retry: AGAIN },
    };
    let _ = outbox.try_send(receipts::frame(&ToSender::Bye { refusal }));
}
