//! A hint that waits, and what becomes of it when another one comes to the same path.

use std::time::Instant;

use super::ages::Since;
use super::parked::Claim;
use super::rules::Rules;
use crate::hint::Cause;

/// How much a hint asks to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// The entry, and of a folder not what is in it.
    Entry,
    /// The listing of a folder.
    Folder,
    /// All at and beneath.
    Subtree,
}

/// See the module. It does not know where it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub depth: Depth,
    pub cause: Cause,
    pub since: Since,
    /// When the first write to a file still open was noticed.
    pub writing: Option<Instant>,
    pub due: Instant,
    /// It is not due at all before there is so much room at the target.
    pub parked: Option<Claim>,
}

impl Waiting {
    /// A hint that comes to where `old` waits, if anything does. It is due by the rules, parked or not.
    pub fn merged(old: Option<Waiting>, new: (Depth, Cause, Since), rules: &Rules, now: Instant) -> Waiting {
        let (depth, cause, since) = new;
        let mut merged = match old {
            None => Waiting { depth, cause, since, writing: None, due: now, parked: None },
            Some(old) => Waiting {
                depth: old.depth.max(depth),
                cause: both(old.cause, cause),
                since: old.since.min(since),
                writing: old.writing,
                due: old.due,
                parked: None,
            },
        };
        merged.due = merged.due_after(cause, rules, now);
        merged
    }

    /// When it is due, now that `latest` has come to it.
    fn due_after(&mut self, latest: Cause, rules: &Rules, now: Instant) -> Instant {
        if self.depth != Depth::Entry {
            // A name that came or went there does not bring a comparison forward that is put off.
            return if latest == Cause::ENTRIES && self.due > now { self.due } else { now };
        }
        if latest.has(Cause::GONE) {
            return now + rules.holds.deleted;
        }
        if latest.has(Cause::WRITTEN) {
            self.writing = None;
            return now + rules.settle;
        }
        if latest.has(Cause::WRITING) {
            let first = *self.writing.get_or_insert(now);
            return (now + rules.open_settle).min(first + rules.open_max_delay);
        }
        if self.writing.is_some() || self.due > now { self.due } else { now }
    }

    /// An event says what happened to a name under which nothing was found: none is waited for any more.
    pub fn explained(self, now: Instant) -> Waiting {
        let due = if self.cause.has(Cause::LOST) { self.due.min(now) } else { self.due };
        Waiting { due, ..self }
    }

    /// Whether all beneath its path is to be compared, too.
    pub fn is_whole(&self) -> bool {
        self.depth == Depth::Subtree
    }

    /// Whether it has to do with what is beneath its path. That a name came or went there is of the folder's own mtime alone.
    pub fn concerns_beneath(&self) -> bool {
        self.depth != Depth::Entry || !self.cause.only(Cause::ENTRIES)
    }
}

/// Both reasons together. One that accounts for an empty name and one that does not exclude each other: the later one counts.
/// Other names of the file are told, and joined, if either reason has to do that.
fn both(old: Cause, new: Cause) -> Cause {
    let outdated = match new {
        new if new.has(Cause::VACATED) => Cause::LOST,
        new if new.has(Cause::LOST) => Cause::VACATED,
        _ => Cause::default(),
    };
    let merged = old.without(outdated) | new;
    let both = |flag| old.has(flag) && new.has(flag);
    let dropped = [Cause::ALONE, Cause::APART, Cause::CROWDED].into_iter().filter(|flag| !both(*flag));
    dropped.fold(merged, Cause::without)
}
