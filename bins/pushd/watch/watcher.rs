//! What the rest of the program knows of a watcher, whichever backend is behind it.

use std::io;
use std::time::{Duration, Instant};

use engine::hint::Hint;
use proto::RelPath;
use sys::inotify::Exhausted;

/// A source of hints about one root folder, which [`open`](super::open) makes. What each backend promises:
///
/// - It watches first and lists then: a change is either told by the kernel or found by the listing, never neither.
/// - A hint too many costs a look and does no harm; a change without a hint must not exist. What it cannot watch it says
///   ([`Notice::Unwatched`]), so that it is compared instead.
/// - Events that the kernel has lost are a [`Notice::Overflow`], given after all is watched anew.
/// - A hint says where to look and never decides; it is given after the change that it is about.
/// - Hints that depend on each other, as those about renames of folders, come in the order in which things happened.
/// - It waits at the waker that it was given, so that another thread can end the wait.
pub trait Watcher: Send {
    /// Blocks until something is there, the timeout passes (none: for ever) or the waker rings; appends what it found,
    /// in the order in which it happened, at most some 4,000 notices at a time.
    ///
    /// # Errors
    /// When the kernel cannot be asked any more; then this watcher is of no use and another one is opened.
    fn next(&mut self, timeout: Option<Duration>, notices: &mut Vec<Notice>) -> io::Result<()>;

    /// The moment up to which all that happened has become notices; `None` while that cannot be said.
    fn caught_up(&self) -> Option<Instant>;

    /// The number of folders watched.
    fn watches(&self) -> usize;

    /// The number of folders that are not watched, each with all beneath it.
    fn unwatched_count(&self) -> usize;

    /// The folders that are not watched, with all beneath them, where they stand now.
    fn unwatched(&self) -> Vec<RelPath>;

    /// What the kernel has none left of, so that nothing at all is watched.
    fn lacks(&self) -> Option<&Exhausted> {
        None
    }
}

/// What a watcher has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Look there: something may have changed.
    Hint(Hint),
    /// Something was mounted beneath the root, or unmounted; what is to be looked at for that is hinted beside it.
    Remounted,
    /// Events were lost. The watches have been renewed already: look at everything once.
    Overflow,
    /// From now on these folders and all beneath them are not watched. Told once; tried again from time to time, and
    /// when that succeeds a `Hint::Subtree` follows.
    Unwatched {
        /// In the order of their paths.
        folders: Vec<RelPath>,
        /// The number of watches at which the kernel said no; `None`: they could not be opened (said in the log).
        limit: Option<u64>,
    },
    /// The root is not what was opened any more: nothing that is seen there now counts. No more hints follow from this
    /// watcher.
    RootLost {
        /// Half a sentence for the operator.
        reason: String,
    },
}

impl Notice {
    /// Bytes of its paths.
    pub fn path_bytes(&self) -> usize {
        let of = |path: &RelPath| path.as_bytes().len();
        match self {
            Notice::Hint(Hint::Entry { path, .. } | Hint::Folder { path } | Hint::Subtree { path }) => of(path),
            Notice::Hint(Hint::Renamed { from, to, .. }) => of(from) + of(to),
            Notice::Unwatched { folders, .. } => folders.iter().map(of).sum(),
            Notice::Remounted | Notice::Overflow | Notice::RootLost { .. } => 0,
        }
    }
}
