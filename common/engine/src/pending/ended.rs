//! What work leaves behind when it ends. What is owed again of it goes back to where it stands by now, and is as old as it was.

use std::time::{Duration, Instant};

use proto::RelPath;

use super::hints::Hints;
use super::task::{Task, Work};
use super::under_way::{Deferred, Taken};
use super::waiting::Depth;
use crate::hint::Cause;

/// Lets go of the hints that waited for this work. If its places were too many to follow, the folder above them all is
/// compared.
pub(super) fn release(hints: &mut Hints, taken: Taken, now: Instant) -> Work {
    for Deferred { path, due, later } in taken.deferred {
        hints.take_back(&path, later, due);
    }
    if taken.scattered {
        for path in &taken.work.stands {
            hints.doubt(path.clone(), taken.work.since, now);
        }
    }
    taken.work
}

/// It has to be done again, not before `after`.
pub(super) fn again(hints: &mut Hints, work: &Work, after: Duration, now: Instant) {
    let since = work.since;
    for (at, path) in work.stands.iter().enumerate() {
        let path = path.clone();
        match work.task {
            Task::Entry { cause, .. } => {
                // The target may have it by now: should it vanish, that is a deletion.
                let new = cause.has(Cause::CREATED);
                let cause = if new { cause.without(Cause::CREATED) | Cause::WRITTEN } else { cause };
                hints.add(path, Depth::Entry, cause, since, now);
            }
            Task::Folder { .. } => hints.add(path, Depth::Folder, Cause::default(), since, now),
            Task::Rename { .. } if at == 0 => hints.add(path, Depth::Entry, Cause::GONE, since, now),
            Task::Subtree { cleared: true, .. } => hints.clear(path, since, now),
            Task::Subtree { .. } => hints.subtree(path, since, now),
            Task::Rename { .. } | Task::Exchange { .. } => hints.doubt(path, since, now),
        }
    }
    if !after.is_zero() {
        work.stands.iter().for_each(|path| hints.postpone(path, now + after));
    }
}

/// Nothing stands where something was expected. An event may come that says why.
pub(super) fn lost_sight(hints: &mut Hints, work: &Work, now: Instant) {
    let cause = match &work.task {
        Task::Entry { cause, .. } => *cause,
        _ => Cause::ATTRIBUTES,
    };
    let due = now + hints.rules().holds.lost;
    for path in &work.stands {
        hints.add(path.clone(), Depth::Entry, cause | Cause::LOST, work.since, now);
        hints.postpone(path, due);
    }
}

/// The file may still be written.
pub(super) fn still_open(hints: &mut Hints, work: &Work, now: Instant) {
    if !matches!(work.task, Task::Entry { .. }) {
        let after = hints.rules().open_settle;
        return again(hints, work, after, now);
    }
    for path in &work.stands {
        hints.add(path.clone(), Depth::Entry, Cause::WRITING | Cause::ALONE, work.since, now);
    }
}

/// The link was lost before an answer came. What a rename did is not known, so its places are compared whole, and a file that
/// stands at one is sent: two may be alike in size and time.
pub(super) fn unanswered(hints: &mut Hints, work: &Work, now: Instant) {
    if let Task::Entry { .. } = &work.task {
        for parent in work.stands.iter().filter_map(RelPath::parent) {
            hints.add(parent, Depth::Entry, Cause::ENTRIES, work.since, now);
        }
    }
    again(hints, work, Duration::ZERO, now);
}
