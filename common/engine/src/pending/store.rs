//! The hints that wait: merging them by path, when each is due, and what becomes of them when there are too many.

use std::collections::HashMap;
use std::time::Instant;

use proto::RelPath;

use super::{Depth, MOVES, Move, Pending, Since, WAITING, Waiting, range_beneath};
use crate::hint::Cause;

/// Entries of one folder that are worth keeping apart when the store is full.
const FOLDER: usize = 16;

/// Comparisons beneath one folder that is renamed which are worth keeping apart: an exchange doubles them.
const COMPARISONS: usize = 64;

/// Of what explains that nothing stands there and what does not, the later one counts.
fn merge(old: Cause, new: Cause) -> Cause {
    let outdated = match new {
        new if new.has(Cause::VACATED) => Cause::LOST,
        new if new.has(Cause::LOST) => Cause::VACATED,
        _ => Cause::default(),
    };
    old.without(outdated) | new
}

impl Pending {
    pub(super) fn insert(&mut self, path: RelPath, depth: Depth, cause: Cause, since: Since, now: Instant) {
        let old = self.forget(&path);
        let fresh = Waiting { depth, cause, since, writing: None, due: now };
        let mut merged = match old {
            None => fresh,
            Some(old) => Waiting {
                depth: old.depth.max(depth),
                cause: merge(old.cause, cause),
                since: old.since.min(since),
                writing: old.writing,
                due: old.due,
            },
        };
        merged.due = self.when(&mut merged, cause, now);
        self.due.insert((merged.due, path.clone()));
        if merged.depth == Depth::Subtree {
            self.subtrees.insert(path.clone());
        }
        self.ages.add(merged.since);
        self.waiting.insert(path, merged);
    }

    /// The hint that waits here covers a change as old as this.
    pub(super) fn is_as_old(&mut self, path: &RelPath, since: Since) {
        if let Some(waiting) = self.waiting.get_mut(path).filter(|waiting| waiting.since > since) {
            self.ages.remove(waiting.since);
            self.ages.add(since);
            waiting.since = since;
        }
    }

    /// When a hint that was just merged with `latest` is due.
    fn when(&self, merged: &mut Waiting, latest: Cause, now: Instant) -> Instant {
        let rules = &self.rules;
        if merged.depth != Depth::Entry {
            return now;
        }
        if latest.has(Cause::GONE) {
            return now + rules.holds.deleted;
        }
        if latest.has(Cause::WRITTEN) {
            merged.writing = None;
            return now + rules.settle;
        }
        if latest.has(Cause::WRITING) {
            let first = *merged.writing.get_or_insert(now);
            return (now + rules.open_settle).min(first + rules.open_max_delay);
        }
        if merged.writing.is_some() || merged.due > now { merged.due } else { now }
    }

    /// The hint at this path, if one waits, is not due before `due`.
    pub(crate) fn postpone(&mut self, path: &RelPath, due: Instant) {
        if let Some(waiting) = self.waiting.get_mut(path) {
            self.due.remove(&(waiting.due, path.clone()));
            waiting.due = waiting.due.max(due);
            self.due.insert((waiting.due, path.clone()));
        }
    }

    pub(super) fn forget(&mut self, path: &RelPath) -> Option<Waiting> {
        let waiting = self.waiting.remove(path)?;
        self.due.remove(&(waiting.due, path.clone()));
        self.subtrees.remove(path);
        self.ages.remove(waiting.since);
        Some(waiting)
    }

    /// The waiting paths strictly beneath.
    pub(super) fn beneath(&self, folder: &RelPath) -> Vec<RelPath> {
        range_beneath(folder, |bounds| self.waiting.range(bounds).map(|(path, _)| path.clone()).collect())
    }

    /// Many comparisons that wait beneath a folder become one.
    pub(super) fn join_comparisons(&mut self, folder: &RelPath, now: Instant) {
        let beneath: Vec<RelPath> = range_beneath(folder, |bounds| self.subtrees.range(bounds).cloned().collect());
        if beneath.len() > COMPARISONS {
            self.join(folder, &beneath, now);
        }
    }

    /// These hints, all beneath this folder, become a comparison of it.
    pub(super) fn join(&mut self, folder: &RelPath, beneath: &[RelPath], now: Instant) {
        let since = beneath.iter().filter_map(|path| Some(self.forget(path)?.since)).min();
        if let Some(since) = since {
            self.doubt(folder.clone(), since, now);
        }
    }

    /// What is owed, in words.
    #[cfg(test)]
    pub(crate) fn owed(&self) -> String {
        let taken: Vec<_> = self.taken.values().map(|work| (work.ticket, &work.task)).collect();
        format!("waiting {:?}, moves {:?}, taken {taken:?}, deferred {:?}", self.waiting, self.moves, self.deferred)
    }

    /// The store is full: many entries of one folder become that folder, and if that is not enough all becomes the
    /// root.
    pub(super) fn collapse(&mut self, now: Instant) {
        let mut sizes: HashMap<RelPath, usize> = HashMap::new();
        for path in self.waiting.keys() {
            *sizes.entry(path.parent().unwrap_or_default()).or_default() += 1;
        }
        for path in self.waiting.keys().cloned().collect::<Vec<_>>() {
            let parent = path.parent().unwrap_or_default();
            if sizes[&parent] > FOLDER
                && let Some(waiting) = self.forget(&path)
            {
                let depth = if waiting.depth == Depth::Entry { Depth::Folder } else { Depth::Subtree };
                self.insert(parent, depth, Cause::default(), waiting.since, now);
            }
        }
        if self.waiting.len() > WAITING / 2 || self.moves.len() > MOVES {
            let moves = std::mem::take(&mut self.moves).into_iter().map(Move::since);
            let since = std::mem::take(&mut self.waiting).into_values().map(|waiting| waiting.since).chain(moves);
            let gone: Vec<Since> = since.inspect(|since| self.ages.remove(*since)).collect();
            self.due.clear();
            self.subtrees.clear();
            let oldest = gone.into_iter().min().unwrap_or(Since::noticed(now));
            self.insert(RelPath::root(), Depth::Subtree, Cause::default(), oldest, now);
        }
    }
}
