//! The hints that wait: merging them by path, when each is due, and what becomes of them when there are too many.

use std::collections::HashMap;
use std::time::Instant;

use proto::RelPath;

use super::{Claim, Depth, MOVES, Move, Pending, Since, WAITING, Waiting, range_beneath};
use crate::hint::Cause;

/// Entries of one folder that are worth keeping apart when the store is full.
const FOLDER: usize = 16;

/// Comparisons beneath one folder that is renamed which are worth keeping apart: an exchange doubles them.
const COMPARISONS: usize = 64;

/// Of what explains that nothing stands there and what does not, the later one counts. Other names are told if either has to.
fn merge(old: Cause, new: Cause) -> Cause {
    let outdated = match new {
        new if new.has(Cause::VACATED) => Cause::LOST,
        new if new.has(Cause::LOST) => Cause::VACATED,
        _ => Cause::default(),
    };
    let merged = old.without(outdated) | new;
    if old.has(Cause::ALONE) && new.has(Cause::ALONE) { merged } else { merged.without(Cause::ALONE) }
}

impl Pending {
    pub(super) fn insert(&mut self, path: RelPath, depth: Depth, cause: Cause, since: Since, now: Instant) {
        let old = self.forget(&path);
        let fresh = Waiting { depth, cause, since, writing: None, due: now, held: None };
        let mut merged = match old {
            None => fresh,
            Some(old) => Waiting {
                depth: old.depth.max(depth),
                cause: merge(old.cause, cause),
                since: old.since.min(since),
                writing: old.writing,
                due: old.due,
                held: None,
            },
        };
        merged.due = self.when(&mut merged, cause, now);
        self.store(path, merged);
    }

    /// Puts this where nothing waits.
    pub(super) fn store(&mut self, path: RelPath, waiting: Waiting) {
        match waiting.held {
            Some(claim) => self.held.add(path.clone(), claim, waiting.since),
            None => {
                self.due.insert((waiting.due, path.clone()));
                self.ages.add(waiting.since);
            }
        }
        if waiting.depth == Depth::Subtree {
            self.subtrees.insert(path.clone());
        }
        self.waiting.insert(path, waiting);
    }

    /// The hint that waits here covers a change as old as this.
    pub(super) fn is_as_old(&mut self, path: &RelPath, since: Since) {
        if self.waiting.get(path).is_some_and(|waiting| waiting.since > since)
            && let Some(waiting) = self.forget(path)
        {
            self.store(path.clone(), Waiting { since, ..waiting });
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
        if let Some(waiting) = self.waiting.get_mut(path).filter(|waiting| waiting.held.is_none()) {
            self.due.remove(&(waiting.due, path.clone()));
            waiting.due = waiting.due.max(due);
            self.due.insert((waiting.due, path.clone()));
        }
    }

    pub(super) fn forget(&mut self, path: &RelPath) -> Option<Waiting> {
        let waiting = self.waiting.remove(path)?;
        self.subtrees.remove(path);
        match waiting.held {
            Some(claim) => self.held.remove(path, claim, waiting.since),
            None => {
                self.due.remove(&(waiting.due, path.clone()));
                self.ages.remove(waiting.since);
            }
        }
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
                self.widen(parent, waiting, now);
            }
        }
        if self.waiting.len() > WAITING / 2 || self.moves.len() > MOVES {
            self.collapse_all(now);
        }
    }

    /// This hint becomes one at the folder above. What comes of hints that are all held is held.
    fn widen(&mut self, parent: RelPath, waiting: Waiting, now: Instant) {
        let held = match (self.waiting.get(&parent).map(|there| there.held), waiting.held) {
            (None, need) => need,
            (Some(Some(one)), Some(other)) => Some(one.min(other)),
            _ => None,
        };
        let depth = if waiting.depth == Depth::Entry { Depth::Folder } else { Depth::Subtree };
        self.insert(parent.clone(), depth, Cause::default(), waiting.since, now);
        self.hold_back(parent, held);
    }

    fn collapse_all(&mut self, now: Instant) {
        let oldest = self.oldest_waiting().unwrap_or(Since::noticed(now));
        let moving = !(self.due.is_empty() && self.moves.is_empty());
        let least = self.waiting.values().filter_map(|waiting| waiting.held).min();
        for path in self.waiting.keys().cloned().collect::<Vec<_>>() {
            self.forget(&path);
        }
        for step in std::mem::take(&mut self.moves) {
            self.ages.remove(step.since());
        }
        self.insert(RelPath::root(), Depth::Subtree, Cause::default(), oldest, now);
        self.hold_back(RelPath::root(), least.filter(|_| !moving));
    }

    fn oldest_waiting(&self) -> Option<Since> {
        let moves = self.moves.iter().cloned().map(Move::since);
        self.waiting.values().map(|waiting| waiting.since).chain(moves).min()
    }

    /// What waits here is held, where there is a need.
    pub(super) fn hold_back(&mut self, path: RelPath, need: Option<Claim>) {
        if need.is_some()
            && let Some(waiting) = self.forget(&path)
        {
            self.store(path, Waiting { held: need, ..waiting });
        }
    }
}
