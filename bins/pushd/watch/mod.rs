//! Watching one source: turns what the kernel tells into hints about where to look.
//!
//! The source's thread owns one [`Watcher`], places it before the first pass and then carries its notices into the
//! [`Pending`](engine::pending) of each target. Nothing here reads a file or decides what is sent: a hint may name what
//! is gone or unchanged, but a change without a hint must not exist.

mod apply;
mod event;
mod hub;
mod inotify;
mod pairing;
mod polled;
mod queue;
mod settle;
mod table;
mod tree;
mod unwatched;
mod wake;
mod walk;

#[cfg(test)]
mod tests;

use std::io;
use std::time::{Duration, Instant};

use engine::hint::Hint;
use proto::RelPath;

pub use inotify::{InotifyWatcher, root_trouble};
pub use pairing::PATIENCE;
pub use polled::Polled;
pub use queue::{Instances, Supply};
pub use wake::Waker;

/// A source of hints about one root folder. A second backend (fanotify) can join behind it.
pub trait Watcher: Send {
    /// Places all watches, or places them anew: every change that happens after it has returned will be noticed. Fails
    /// when the root cannot be watched at all.
    fn place(&mut self, notices: &mut Vec<Notice>) -> io::Result<()>;

    /// Blocks until something is there, the timeout passes (none: for ever) or the waker rings; appends what it found,
    /// in the order in which it happened, at most some 4,000 notices at a time.
    fn next(&mut self, timeout: Option<Duration>, notices: &mut Vec<Notice>) -> io::Result<()>;

    /// The moment up to which all that happened has become notices; `None` while that cannot be said.
    fn caught_up(&self) -> Option<Instant>;

    /// What ends its wait from another thread.
    fn waker(&self) -> Waker;

    /// The number of folders watched.
    fn watches(&self) -> usize;

    /// The number of folders that are not watched, each with all beneath it.
    fn unwatched_count(&self) -> usize;

    /// The folders that are not watched, with all beneath them, where they stand now.
    fn unwatched(&self) -> Vec<RelPath>;
}

/// What a watcher has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Look there.
    Hint(Hint),
    /// Events were lost. The watches have been renewed already: look at everything once.
    Overflow,
    /// From now on these folders and all beneath them are not watched. Told once; tried again from time to time, and
    /// when that succeeds a `Hint::Subtree` follows.
    Unwatched {
        /// Which.
        folders: Vec<RelPath>,
        /// The number of watches at which the kernel said no; `None`: they could not be opened (said in the log).
        limit: Option<u64>,
    },
    /// The root is not what was opened any more: nothing that is seen there now counts. No more hints follow until the
    /// watches are placed again.
    RootLost {
        /// Half a sentence for the operator.
        reason: String,
    },
}
