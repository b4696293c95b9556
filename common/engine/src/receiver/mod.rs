//! The role that takes over what the peer sends: operations in, a mirrored folder on disk, receipts out.
//!
//! Entry point: [`Receiver::run`], on a thread of its own, by whoever moves the bytes. It knows no socket and no user;
//! what it may touch is the [`Grant`]. The way of an operation: `intake` (bytes → checked operations, blobs) → `pool`
//! (contents into temporaries) → `line` (back in order) → `publisher` (batches, flushing, receipts) → `change` (names), or
//! `answer` for what changes nothing.

mod answer;
mod basis;
mod blob;
mod change;
mod counters;
mod disk;
mod grant;
mod intake;
mod line;
mod operation;
mod over;
mod pool;
mod publisher;
mod receipts;
mod signatures;
mod verdict;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread;

pub use counters::Counters;
pub use disk::{Disk, Shortage};
pub use grant::{Grant, Limits};
pub use over::EndReason;
pub use signatures::Signatures;

use crate::channel::{Inbox, Outbox};
use crate::workers::start_within;
use intake::Intake;
use line::Line;
use pool::Pool;
use publisher::Publisher;
use receipts::Receipts;

/// Threads of one session's pool.
const POOL: usize = 2;

/// Set to true to end a session from outside; a sender that is gone never ends it.
pub type Stop = tokio::sync::watch::Receiver<bool>;

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
    pub fn run(self, inbox: Inbox, outbox: Outbox, stop: Stop) -> EndReason {
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
                Some(error) => EndReason::Fault(format!("cannot start a thread: {error}")),
                None => Intake::new(&grant, &line, &pool, inbox, outbox, stop).run(),
            };
            line.end();
            pool.close();
            let panicked = threads.into_iter().map(|thread| thread.join()).filter(Result::is_err).count();
            let published = publisher.map_or(Ok(None), |thread| thread.join());
            match published {
                Ok(Some(uprooted)) => EndReason::Uprooted(uprooted),
                Ok(None) if panicked == 0 => ended,
                _ => EndReason::Fault("a thread of the session has panicked".to_owned()),
            }
        });
        drop((line, pool));
        if let Err(error) = grant.stage.rest() {
            tracing::warn!(%error, "cannot remove the folder of temporaries; the next start of the service will");
        }
        ended.tell(&last_word);
        ended
    }
}
