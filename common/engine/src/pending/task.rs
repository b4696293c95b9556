//! What there is to do for a target, as it is handed out.

use std::time::Instant;

use proto::RelPath;

use super::ages::Since;
use crate::hint::Cause;

/// The number by which one piece of work is told from all others until it is acknowledged.
pub type Ticket = u64;

/// Something to do for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Look at this entry.
    Entry {
        /// Where it stood when the task was handed out.
        path: RelPath,
        /// All reasons that have come together.
        cause: Cause,
    },
    /// Compare this folder's listing, not deeper.
    Folder {
        /// Where it stood when the task was handed out.
        path: RelPath,
    },
    /// Compare all that is at and beneath.
    Subtree {
        /// Where it stood when the task was handed out.
        path: RelPath,
        /// Whether all that is not there any more was seen to go.
        cleared: bool,
    },
    /// Carry out a rename at the target.
    Rename {
        /// Where it stands at the target.
        from: RelPath,
        /// Where it is to stand.
        to: RelPath,
        /// Folders above `to` that the target may not have yet, outermost first: they go before.
        parents: Vec<RelPath>,
        /// A moment before it happened at the source.
        before: Instant,
        /// Whether the target has something older at most, which is not to take the place of anything. What stands there now
        /// waits to be sent as `to`.
        older: bool,
    },
    /// Two entries may have swapped places.
    Exchange {
        /// The place that the first half of the exchange left.
        a: RelPath,
        /// The place that it came to.
        b: RelPath,
    },
}

impl Task {
    /// Whether it looks at what is beneath its places, too. A rename does not: it looks only at what it moves, for its
    /// metadata.
    pub(super) fn is_whole(&self) -> bool {
        !matches!(self, Task::Entry { .. } | Task::Rename { .. })
    }

    /// Whether it compares what may be many entries.
    pub(super) fn is_comparison(&self) -> bool {
        matches!(self, Task::Folder { .. } | Task::Subtree { .. })
    }

    /// One or two, the old place of a rename first.
    pub(super) fn places(&self) -> impl Iterator<Item = &RelPath> {
        let (first, second) = match self {
            Task::Entry { path, .. } | Task::Folder { path } | Task::Subtree { path, .. } => (path, None),
            Task::Rename { from, to, .. } => (from, Some(to)),
            Task::Exchange { a, b, .. } => (a, Some(b)),
        };
        std::iter::once(first).chain(second)
    }
}

/// A task that was handed out and is owed until its ticket is acknowledged.
#[derive(Debug, Clone)]
pub struct Work {
    /// By this it is known until it ends.
    pub ticket: Ticket,
    /// What to do, at the places where they were when it was handed out.
    pub task: Task,
    /// When the oldest change in it was noticed.
    pub since: Since,
    /// Where its places are by now, after all renames that were hinted: in the order of the task's paths, and after an
    /// exchange more, as either place may be meant.
    pub stands: Vec<RelPath>,
}
