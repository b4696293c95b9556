//! How much is owed, and since when.

use std::time::{Instant, SystemTime};

use proto::RelPath;

use super::Pending;
use super::ages::Since;
use super::agreed::Owed;

impl Pending {
    /// When [`take`](Pending::take) will have something, if nothing else comes in.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        if !self.moves.is_empty() {
            return Some(now);
        }
        let first = self.hints.store().first_due();
        let come = self.all_has_come().filter(|over| *over > now && !self.inferred.is_empty());
        first.into_iter().chain(self.seen_due()).chain(self.seen.next_still()).chain(come).min()
    }

    /// Pieces of work that wait, and that are handed out.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        ((self.hints.store().len() + self.moves.len()) as u64, self.under_way.len() as u64)
    }

    /// Pieces of work that are owed, waiting or handed out.
    pub fn len(&self) -> usize {
        self.hints.store().len() + self.moves.len() + self.under_way.len()
    }

    /// Whether nothing is owed, nor held.
    pub fn is_empty(&self) -> bool {
        self.owes_nothing() && !self.holds()
    }

    /// Whether nothing is owed but for deletions that are held.
    pub fn owes_nothing(&self) -> bool {
        self.sizes() == (0, 0)
    }

    /// How many paths wait for room.
    pub fn parked(&self) -> usize {
        self.hints.store().parked()
    }

    /// When the oldest change still owed was noticed.
    pub fn oldest(&self) -> Option<Instant> {
        let held = [self.inferred.told().map(|(since, _)| since), self.seen.oldest()];
        let parts = [self.hints.store().oldest(), self.moves.oldest(), self.under_way.oldest()];
        let parts = parts.into_iter().chain(held);
        parts.flatten().min().map(Since::at)
    }

    /// When the oldest change was noticed that is owed and does not wait for room.
    pub fn oldest_moving(&self) -> Option<Instant> {
        let parts = [self.hints.store().oldest_moving(), self.moves.oldest(), self.under_way.oldest()];
        parts.into_iter().flatten().min().map(Since::at)
    }

    /// Whether something that was noticed at `moment` or before is still owed of what stands at or beneath `place`: there,
    /// at a rename that touches it, or at a folder above, which may have to be made first, or be compared.
    pub fn owes(&self, place: &RelPath, moment: Instant) -> bool {
        if place.is_root() {
            return self.oldest().is_some_and(|at| at <= moment);
        }
        let held = self.inferred.told().is_some_and(|(since, _)| since.at() <= moment) && self.inferred.concerns(place);
        held || self.seen.owes(place, moment) || self.moves_at(place, moment)
    }

    /// The same without deletions that only a person lets go on.
    pub fn moves_at(&self, place: &RelPath, moment: Instant) -> bool {
        (!self.seen.is_emptied() && self.seen.owes(place, moment))
            || self.hints.owes(place, moment)
            || self.moves.owes(place, moment)
            || self.under_way.owes(place, moment)
    }

    /// What was noticed at `moment` or before and is still owed, if it is some single entries, `most` of them at most.
    pub(crate) fn stragglers(&self, moment: Instant, most: usize) -> Option<Vec<RelPath>> {
        if self.moves.owes(&RelPath::root(), moment) || self.holds() {
            return None;
        }
        let mut found = Vec::new();
        for path in self.hints.singles(moment).chain(self.under_way.singles(moment)) {
            let path = path.filter(|_| found.len() < most)?;
            found.push(path.clone());
        }
        Some(found)
    }

    /// When all that was owed had been acknowledged for the last time; `None` before the first.
    pub fn in_sync_at(&self, now: Instant) -> Option<SystemTime> {
        self.agreed.shown(self.owed_now(), now)
    }

    pub(super) fn owed_now(&self) -> Owed {
        if self.is_empty() { Owed::Nothing } else { Owed::Something }
    }
}
