//! Deletions that are held: what they come to for one who asks, and how they go on.

use std::time::{Duration, Instant};

use proto::RelPath;

use super::Pending;
use super::ages::Since;
use super::inferred::{Found, Scope, Why};
use super::renamed::Turn;
use super::seen::{Awaited, Next, Successor};
use super::unsent::came_and_went;
use super::waiting::Depth;
use crate::hint::{Cause, Hint};

/// LIMIT: of so many places of each kind the largest is told: they are looked at each time that somebody asks.
const LOOKED_AT: usize = 1000;

/// Deletions that wait, for who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Entries of the backup that would go.
    pub entries: u64,
    /// How long ago the oldest of it was noticed.
    pub age: Duration,
    /// In what time they go by themselves; `None` where a person has to let them.
    pub left: Option<Duration>,
    /// What made them wait; of several the one that only a person ends.
    pub why: Why,
    /// Those of them that events have told of.
    pub seen: u64,
    /// Entries of the backup when it was found by a comparison what of them it is that events have not told of.
    pub total: u64,
    /// What takes most of those along that `why` is about, and how many.
    pub largest: Option<(RelPath, u64)>,
    /// What of it is held on account of mounts.
    pub away: Away,
}

/// What is held because something that was mounted in the source is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Away {
    /// Mount points on which nothing is mounted.
    pub mounts: u64,
    /// One of them, if there are any. Boxed, as every result of the sender is as large as this.
    pub first: Option<Box<RelPath>>,
    /// Of so many of them it is not known how much the backup has there: each counts as one entry.
    pub uncounted: u64,
    /// Entries of the backup at and beneath them.
    pub entries: u64,
}

impl Away {
    /// Which they are, in words: the first by its path.
    pub fn places(&self) -> String {
        let first = self.first.as_deref().map(RelPath::to_string).unwrap_or_default();
        match self.mounts {
            0 | 1 => first,
            mounts => format!("{first} and {} more", mounts - 1),
        }
    }
}

/// How what was held goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LetGo {
    /// All of it is looked at.
    All,
    /// A comparison finds what it is.
    Compared,
}

impl Pending {
    /// Deletions that wait, if any do.
    pub fn deletions_held(&self, now: Instant) -> Option<Held> {
        let why = self.held_why()?;
        let since = self.inferred.told().map(|(since, _)| since).into_iter().chain(self.seen.oldest()).min()?;
        let due = self.seen_due().filter(|_| why == Why::Mass);
        let left = due.map(|due| due.saturating_duration_since(now));
        let (inferred, seen) = (self.inferred.entries(), self.seen.entries());
        let (entries, total) = (inferred.saturating_add(seen), self.inferred.total().max(inferred));
        let age = now.saturating_duration_since(since.at());
        let also_seen = self.seen.places().take(if why == Why::Many { 0 } else { LOOKED_AT });
        let places = self.inferred.places().take(LOOKED_AT).chain(also_seen);
        let largest = places.max_by_key(|(_, entries)| *entries).map(|(path, entries)| (path.clone(), entries));
        Some(Held { entries, age, left, why, seen, total, largest, away: Away::default() })
    }

    /// What made deletions wait, if any do; of several reasons the one that only a person ends.
    pub(crate) fn held_why(&self) -> Option<Why> {
        match self.inferred.told() {
            Some((_, why)) => Some(why),
            None if self.seen.oldest().is_none() => None,
            None if self.seen.is_emptied() => Some(Why::Emptied),
            None => Some(Why::Mass),
        }
    }

    /// Whether a person has to let something at or beneath `place`, or above it, go on.
    pub fn waits_for_word(&self, place: &RelPath, now: Instant) -> bool {
        self.inferred.concerns(place) || (self.seen.is_emptied() && self.seen.owes(place, now))
    }

    /// A person says that what was there has gone for good.
    pub(crate) fn clear(&mut self, path: RelPath, now: Instant) {
        self.agreed.stays(self.owed_now(), now);
        self.hints.clear(path, Since::noticed(now), now);
    }

    /// So many entries stand in the source.
    pub(crate) fn source_has(&mut self, entries: u64) {
        self.seen.source_has(entries);
    }

    /// Whether something waits that events have told of.
    pub(crate) fn holds_seen(&self) -> bool {
        !self.seen.is_empty()
    }

    /// The source has no entries, or has some.
    pub(crate) fn source_is(&mut self, empty: bool, now: Instant) {
        self.seen.source_is(empty, now);
    }

    /// Another folder is the source from now on, all of which is to be compared: that finds again what is not in it.
    pub(crate) fn source_is_another(&mut self) {
        self.inferred.source_is_another();
        self.seen.source_is_another();
    }

    /// All at and beneath a folder was compared, and of what is held these are not there.
    pub(crate) fn compared(&mut self, top: &RelPath, missing: &[RelPath]) {
        self.seen.compared(top, missing);
    }

    /// What became of a place that a comparison, or a look, has found only at the target.
    pub(crate) fn awaits(&self, path: &RelPath) -> Awaited {
        self.seen.awaits(path)
    }

    /// Whether this folder, or one above it, went and stands again.
    pub(crate) fn is_rebuilt(&self, folder: &RelPath) -> bool {
        self.seen.is_rebuilt(folder)
    }

    /// This place was seen to go and nothing stands there: it waits, as the source is empty.
    pub(crate) fn hold_emptied(&mut self, path: RelPath, since: Since, now: Instant) {
        self.seen.hold(path, 1, since, false, now);
        self.seen.source_is(true, now);
    }

    /// Has it asked how much the target has of what an empty source holds.
    pub(crate) fn have_weighed(&mut self, now: Instant) {
        for (path, since) in self.seen.take_unweighed() {
            self.hints.add(path, Depth::Entry, Cause::ATTRIBUTES, since, now);
        }
    }

    /// Whether that is to be asked of this place.
    pub(crate) fn is_to_be_weighed(&self, path: &RelPath) -> bool {
        self.seen.is_to_be_weighed(path)
    }

    /// So many entries of the target go with a place. Whether it waits.
    pub(crate) fn weigh(&mut self, path: &RelPath, entries: u64) -> bool {
        self.seen.weigh(path, entries)
    }

    /// What an event has told of: what went may have to wait, and what stands takes its place. Returns what is left to be owed.
    pub(super) fn heard(&mut self, hint: Hint, since: Since, now: Instant) -> Option<Hint> {
        match hint {
            Hint::Entry { path, cause } if cause.has(Cause::GONE) => {
                let waits = !self.leaves_out(&path) && self.holds_gone(&path, cause, since, now);
                (!waits).then_some(Hint::Entry { path, cause })
            }
            Hint::Entry { path, cause } if cause.has(Cause::CREATED | Cause::WRITTEN | Cause::WRITING) => {
                let more = match self.seen.stands(&path, true, now) {
                    // The target has something there: should this come and go, that goes, too.
                    Successor::None if self.inferred.has(&path) => Cause::GONE,
                    Successor::None => Cause::default(),
                    // Should this vanish before it is looked at, what the target has goes.
                    Successor::Known => Cause::REBUILT | Cause::GONE,
                    Successor::Stale => Cause::GONE,
                    Successor::Within => Cause::REBUILT,
                };
                Some(Hint::Entry { path, cause: cause | more })
            }
            Hint::Subtree { path } => {
                self.seen.stands(&path, true, now);
                Some(Hint::Subtree { path })
            }
            hint => Some(hint),
        }
    }

    /// Whether the deletion of a place that was seen to go waits.
    fn holds_gone(&mut self, path: &RelPath, cause: Cause, since: Since, now: Instant) -> bool {
        self.agreed.stays(self.owed_now(), now);
        let emptied = self.inferred.told().is_some_and(|(_, why)| why == Why::Emptied);
        let entries = self.inferred.gone(path);
        if emptied && entries > 0 {
            self.seen.hold(path.clone(), entries, since, false, now);
            self.seen.source_is(true, now);
            return true;
        }
        if came_and_went(&self.hints, &self.under_way, &self.lately, path) {
            // It is none that the target has: files that come and go all the time are no mass.
            return false;
        }
        // How much a folder is that left with all that is in it the target is asked first.
        if cause.has(Cause::WITH_ALL)
            || !self.holds_masses()
            || !self.seen.has_to_wait(path, 1, self.hints.rules().holds.many, now)
        {
            return false;
        }
        if self.seen.is_empty() {
            // Those of the last moment are of the same mass.
            for before in self.hints.gone() {
                if let Some(waiting) = self.hints.remove(&before) {
                    self.seen.hold(before, 1, waiting.since, false, now);
                }
            }
        }
        let since = self.hints.drop_beneath(path, since);
        let before = self.hints.remove(path);
        let stale = before
            .as_ref()
            .is_some_and(|before| before.cause.has(Cause::WRITTEN | Cause::WRITING) || before.is_whole());
        let since = before.map_or(since, |before| before.since.min(since));
        self.seen.hold(path.clone(), 1, since, stale, now);
        true
    }

    /// What is held goes along with a rename, and with an exchange.
    pub(super) fn held_renamed(&mut self, from: &RelPath, to: &RelPath, turn: Turn, now: Instant) {
        match turn {
            Turn::Renamed => {
                self.inferred.renamed(from, to);
                self.seen.renamed(from, to, now);
            }
            Turn::Exchanged => {
                self.inferred.exchanged(from, to);
                self.seen.exchanged(from, to, now);
            }
        }
    }

    /// Whether masses of deletions wait.
    pub(crate) fn holds_masses(&self) -> bool {
        !self.hints.rules().holds.mass.is_zero()
    }

    /// Whether the deletion of a folder with so much in it waits.
    pub(crate) fn holds_with_all(&mut self, path: &RelPath, entries: u64, since: Since, now: Instant) -> bool {
        let waits = self.seen.has_to_wait(path, entries, self.hints.rules().holds.many, now);
        if waits {
            self.seen.hold(path.clone(), entries, since, false, now);
        }
        waits
    }

    pub(crate) fn seen_due(&self) -> Option<Instant> {
        self.seen.due(self.hints.rules().holds.mass)
    }

    /// What events have told of goes on, for this reason beside.
    pub(super) fn let_seen_go(&mut self, cause: Cause, now: Instant) {
        for next in self.seen.let_go() {
            match next {
                Next::Delete(path, since) => self.hints.add(path, Depth::Entry, Cause::GONE | cause, since, now),
                Next::Clear(path, since) => self.hints.clear(path, since, now),
                Next::Compare(path, since) => self.hints.add(path, Depth::Folder, Cause::default(), since, now),
                Next::CompareAll(path, since) => self.hints.subtree(path, since, now),
            }
        }
    }

    /// Whether any deletion waits.
    pub(crate) fn holds(&self) -> bool {
        !self.inferred.is_empty() || !self.seen.is_empty()
    }

    /// How many wait that a comparison of this reach does not meet.
    pub(crate) fn held_outside(&self, scope: Scope<'_>) -> u64 {
        self.inferred.entries_outside(scope)
    }

    /// A comparison of this reach has found all that is not here, and may not delete it.
    pub(crate) fn hold(&mut self, scope: Scope<'_>, found: Found, why: Why, since: Since) {
        self.inferred.hold(scope, found, why, since);
    }

    /// A comparison of this reach has found nothing that is to be held.
    pub(crate) fn holds_nothing(&mut self, scope: Scope<'_>) {
        self.inferred.met(scope);
    }

    /// A look has found something at this place, or a listing.
    pub(crate) fn stands(&mut self, path: &RelPath, folder: bool, now: Instant) {
        let oldest = self.seen.oldest();
        let successor = self.seen.stands(path, folder, now);
        // Of what is in a folder that was held a comparison has left to that what it did not find here. A name that an event
        // tells of has its own.
        if folder && matches!(successor, Successor::Known | Successor::Stale) {
            self.hints.subtree(path.clone(), oldest.unwrap_or(Since::noticed(now)), now);
        }
        let since = self.inferred.told().map(|(since, _)| since);
        for folder in self.inferred.stands(path, now) {
            self.hints.subtree(folder, since.unwrap_or(Since::noticed(now)), now);
        }
    }

    /// What is held of the entries of this folder because a comparison did not find it, or it went where nobody looks now.
    pub(crate) fn held_in(&self, folder: &RelPath) -> Vec<RelPath> {
        let mut held = self.inferred.within(Scope { top: folder, deep: false });
        held.extend(self.seen.in_doubt_in(folder));
        held
    }

    /// When it is over that what a comparison had held comes back.
    pub(super) fn all_has_come(&self) -> Option<Instant> {
        self.inferred.came().map(|came| came + self.hints.rules().holds.mass)
    }

    /// Whether what a comparison had held comes back: the last of it came less than the time ago that masses wait.
    pub(crate) fn is_coming_back(&self, now: Instant) -> bool {
        self.all_has_come().is_some_and(|over| over > now)
    }

    /// How many are held because they are many, and of how many, while none of them come back.
    pub(crate) fn held_as_many(&self, now: Instant) -> Option<(u64, u64)> {
        let (_, why) = self.inferred.told().filter(|_| !self.is_coming_back(now))?;
        (why == Why::Many).then(|| (self.inferred.entries(), self.inferred.total()))
    }

    /// What is held is deleted, where it is still not there. What it is not known of is found by a comparison.
    pub(crate) fn let_go(&mut self, now: Instant) -> LetGo {
        self.let_seen_go(Cause::RELEASED, now);
        self.let_inferred_go(now)
    }

    /// The same without what events have told of, the time of which is still to come.
    pub(crate) fn let_inferred_go(&mut self, now: Instant) -> LetGo {
        let Some((since, _)) = self.inferred.told() else { return LetGo::All };
        match self.inferred.let_go() {
            Some(places) => {
                for path in places {
                    self.hints.add(path, Depth::Entry, Cause::GONE | Cause::RELEASED, since, now);
                }
                LetGo::All
            }
            None => {
                self.hints.subtree(RelPath::root(), since, now);
                LetGo::Compared
            }
        }
    }
}
