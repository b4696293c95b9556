//! The hints that wait: at each path one, found by path, by the time when it is due, or by the room that it needs. It keeps
//! what it is given: how hints merge is decided by [`Hints`](super::hints::Hints).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use proto::RelPath;

use super::ages::{Ages, Since};
use super::neighbours::Neighbours;
use super::parked::{Claim, Parked};
use super::waiting::Waiting;
use crate::beneath::range_beneath;

/// INVARIANT: each path of `by_path` is in `parked` if its hint is, else in `due` and `ages`; and in `comparisons` if all
/// beneath it is to be compared. So a hint changes only by being taken out and put back.
#[derive(Debug, Default)]
pub(super) struct Store {
    by_path: BTreeMap<RelPath, Waiting>,
    due: Neighbours,
    comparisons: BTreeSet<RelPath>,
    parked: Parked,
    /// Of what is not parked.
    ages: Ages,
    bytes: usize,
}

/// What a hint takes in memory, in maps that are two thirds full: its path once, which all of them share, and its places in
/// `by_path`, `due`, `comparisons` and `ages`. What a neighbour takes beside is counted by `due`.
pub(super) fn size(path: &RelPath) -> usize {
    const BESIDE: usize = 320;
    path.as_bytes().len() + BESIDE
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
                self.due.insert(waiting.due, &path);
                self.ages.add(waiting.since);
            }
        }
        self.bytes += size(&path);
        if waiting.is_whole() {
            self.comparisons.insert(path.clone());
        }
        self.by_path.insert(path, waiting);
    }

    /// Takes out what waits here.
    pub fn remove(&mut self, path: &RelPath) -> Option<Waiting> {
        let waiting = self.by_path.remove(path)?;
        self.comparisons.remove(path);
        self.bytes -= size(path);
        match waiting.parked {
            Some(claim) => self.parked.remove(path, claim, waiting.since),
            None => {
                self.due.remove(waiting.due, path);
                self.ages.remove(waiting.since);
            }
        }
        Some(waiting)
    }

    /// The hint at this path, if one waits and is not parked, is due at another time.
    pub fn reschedule(&mut self, path: &RelPath, due: impl FnOnce(Instant) -> Instant) {
        if let Some(waiting) = self.by_path.get_mut(path).filter(|waiting| waiting.parked.is_none()) {
            let before = waiting.due;
            waiting.due = due(before);
            if waiting.due != before {
                self.due.remove(before, path);
                self.due.insert(waiting.due, path);
            }
        }
    }

    /// When the first is due.
    pub fn first_due(&self) -> Option<Instant> {
        self.due.first()
    }

    /// What is due by now in this neighbour, and when it was.
    pub fn due_in(&self, neighbour: &RelPath, now: Instant) -> Option<(Instant, &RelPath)> {
        self.due.head(neighbour).map(|(due, path)| (*due, path)).filter(|(due, _)| *due <= now)
    }

    /// This neighbour has something to do that is no hint.
    pub fn call(&mut self, neighbour: RelPath) {
        self.due.call(neighbour);
    }

    /// The neighbour whose turn it is.
    pub fn turn(&mut self, now: Instant) -> Option<RelPath> {
        self.due.turn(now)
    }

    /// About what all hints take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes + self.due.bytes()
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
        assert_eq!((&self.by_path, &self.comparisons, &self.parked), (&anew.by_path, &anew.comparisons, &anew.parked));
        assert_eq!((&self.ages, self.bytes), (&anew.ages, anew.bytes));
        let moving = self.iter().filter(|(_, waiting)| waiting.parked.is_none());
        self.due.check(moving.map(|(path, waiting)| (waiting.due, path)));
    }
}
