//! The hints that wait: at each path one, found by path, by the time when it is due, or by the room that it needs. It keeps
//! what it is given: how hints merge is decided by [`Hints`](super::hints::Hints).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use proto::RelPath;

use super::ages::{Ages, Since};
use super::parked::{Claim, Parked};
use super::waiting::Waiting;
use crate::beneath::range_beneath;

/// INVARIANT: each path of `by_path` is in `parked` if its hint is, else in `due` and `ages`; and in `comparisons` if all
/// beneath it is to be compared. So a hint changes only by being taken out and put back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Store {
    by_path: BTreeMap<RelPath, Waiting>,
    due: BTreeSet<(Instant, RelPath)>,
    comparisons: BTreeSet<RelPath>,
    parked: Parked,
    /// Of what is not parked.
    ages: Ages,
}

impl Store {
    pub fn get(&self, path: &RelPath) -> Option<&Waiting> {
        self.by_path.get(path)
    }

    /// How many hints wait, parked or not.
    pub fn len(&self) -> usize {
        self.by_path.len()
    }

    /// All of them, in order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&RelPath, &Waiting)> {
        self.by_path.iter()
    }

    /// Puts this where nothing waits.
    pub fn put(&mut self, path: RelPath, waiting: Waiting) {
        match waiting.parked {
            Some(claim) => self.parked.add(path.clone(), claim, waiting.since),
            None => {
                self.due.insert((waiting.due, path.clone()));
                self.ages.add(waiting.since);
            }
        }
        if waiting.is_whole() {
            self.comparisons.insert(path.clone());
        }
        self.by_path.insert(path, waiting);
    }

    /// Takes out what waits here.
    pub fn remove(&mut self, path: &RelPath) -> Option<Waiting> {
        let waiting = self.by_path.remove(path)?;
        self.comparisons.remove(path);
        match waiting.parked {
            Some(claim) => self.parked.remove(path, claim, waiting.since),
            None => {
                self.due.remove(&(waiting.due, path.clone()));
                self.ages.remove(waiting.since);
            }
        }
        Some(waiting)
    }

    /// The hint at this path, if one waits and is not parked, is due at another time.
    pub fn reschedule(&mut self, path: &RelPath, due: impl FnOnce(Instant) -> Instant) {
        if let Some(waiting) = self.by_path.get_mut(path).filter(|waiting| waiting.parked.is_none()) {
            self.due.remove(&(waiting.due, path.clone()));
            waiting.due = due(waiting.due);
            self.due.insert((waiting.due, path.clone()));
        }
    }

    /// What is due first, and when.
    pub fn first_due(&self) -> Option<(Instant, &RelPath)> {
        self.due.first().map(|(due, path)| (*due, path))
    }

    /// The path of what needs least, of what is parked and `fits`.
    pub fn least_parked(&self, fits: impl Fn(Claim) -> bool) -> Option<&RelPath> {
        self.parked.least(fits)
    }

    /// How many hints are parked.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// The age of the oldest, parked or not.
    pub fn oldest(&self) -> Option<Since> {
        self.ages.oldest().into_iter().chain(self.parked.oldest()).min()
    }

    /// The age of the oldest that is not parked.
    pub fn oldest_moving(&self) -> Option<Since> {
        self.ages.oldest()
    }

    /// The paths strictly beneath a folder at which something waits.
    pub fn beneath(&self, folder: &RelPath) -> Vec<RelPath> {
        range_beneath(folder, |bounds| self.by_path.range(bounds).map(|(path, _)| path.clone()).collect())
    }

    /// Whether something as old as that waits strictly beneath a folder.
    pub fn is_owed_beneath(&self, folder: &RelPath, moment: Instant) -> bool {
        range_beneath(folder, |bounds| self.by_path.range(bounds).any(|(_, waiting)| waiting.since.at() <= moment))
    }

    /// The folders strictly beneath one that wait to be compared with all beneath them.
    pub fn comparisons_beneath(&self, folder: &RelPath) -> Vec<RelPath> {
        range_beneath(folder, |bounds| self.comparisons.range(bounds).cloned().collect())
    }

    /// What waits here, if it is to be compared with all beneath it.
    pub fn comparison(&self, path: &RelPath) -> Option<&Waiting> {
        // Most of the time there are few: they are looked through faster than all that waits.
        if self.comparisons.contains(path) { self.by_path.get(path) } else { None }
    }
}

#[cfg(test)]
impl Store {
    /// Panics if the invariant does not hold.
    pub fn check(&self) {
        let mut anew = Store::default();
        self.iter().for_each(|(path, waiting)| anew.put(path.clone(), waiting.clone()));
        assert_eq!(*self, anew);
    }
}
