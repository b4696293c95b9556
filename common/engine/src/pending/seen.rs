//! Deletions that events have told of, and that wait: masses of them, until it is known that what is gone does not come back,
//! and those that have left the source empty.
//!
//! A folder that went is one place, with all that went in it before. When something takes its name again, that is looked at at
//! once, but what else was in it waits still: what comes back by and by has not gone.

mod place;
mod still;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proto::RelPath;

use super::ages::{Ages, Since};
use super::surge::Surge;
use crate::beneath::range_beneath;
pub(crate) use place::Awaited;
pub(super) use place::{Next, Successor};
use place::{Place, State};
use still::Still;

/// Deletions that never rest wait no longer than this many times the usual.
const LONGEST: u32 = 10;

/// A folder that stands again is compared when nothing has come back in it for so long: whether all of it is back.
const STILL: Duration = Duration::from_secs(2);

/// LIMIT: bytes that what waits takes. What is beyond goes to its folder, which is compared when the time has come; where those
/// are too many to the entry of the root that it is in, and then to the root, which are compared with all beneath them.
const BYTES: usize = 5 * 1024 * 1024;
const MORE: usize = 512 * 1024;

/// LIMIT: of so many places the target is asked how many entries go with each. Of more it is known as far as events have told:
/// of some of what came shortly before they cannot tell whether it was sent.
const WEIGHED: usize = 1_000;

/// What a place takes, in a map that is two thirds full.
fn size(path: &RelPath) -> usize {
    const BESIDE: usize = 120;
    path.as_bytes().len() + BESIDE
}

/// See the module. INVARIANT: `bytes`, `entries` and `ages` are those of the places.
#[derive(Debug, Default)]
pub(super) struct Seen {
    surge: Surge,
    places: BTreeMap<RelPath, Place>,
    bytes: usize,
    entries: u64,
    ages: Ages,
    /// Folders that stand again, and when each is compared.
    back: Still,
    /// When the first and the last of a mass went.
    span: Option<(Instant, Instant)>,
    /// What the last rename took the place of, by its name: should that have been half of an exchange, it stands elsewhere.
    replaced: Option<(RelPath, Vec<(RelPath, Place)>)>,
    /// The source has no entries left: a person decides, unless something stands in it again.
    emptied: bool,
    /// Some went in a folder that was the source before.
    elsewhere: bool,
}

impl Seen {
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Entries that wait, as far as they are known.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// What waits, and how many entries go with each.
    pub fn places(&self) -> impl Iterator<Item = (&RelPath, u64)> {
        self.places.iter().map(|(path, place)| (path, place.entries))
    }

    /// When the oldest of it was noticed.
    pub fn oldest(&self) -> Option<Since> {
        self.ages.oldest()
    }

    /// Whether the source has no entries left.
    pub fn is_emptied(&self) -> bool {
        self.emptied
    }

    /// So many entries stand in the source.
    pub fn source_has(&mut self, entries: u64) {
        self.surge.source_has(entries);
    }

    /// So many entries went at this moment: whether they are of a mass, or go with what waits.
    pub fn has_to_wait(&mut self, path: &RelPath, entries: u64, many: u64, now: Instant) -> bool {
        let mass = self.surge.gone(entries, many, now);
        mass || self.emptied || self.has_beneath(path)
    }

    /// This place waits from now on, with all beneath it that waits already.
    pub fn hold(&mut self, path: RelPath, entries: u64, since: Since, stale: bool, now: Instant) {
        let first = self.span.filter(|_| !self.is_empty()).map_or(now, |(first, _)| first);
        self.span = Some((first, now));
        let mut place = Place { state: State::Gone, entries, since, stale, asked: false, elsewhere: false };
        for at in self.at_and_beneath(&path) {
            if let Some(with) = self.take(&at) {
                place.entries = place.entries.saturating_add(with.entries);
                place.since = place.since.min(with.since);
            }
        }
        self.put(path, place);
    }

    /// The target has so many entries that go with a place. Whether it waits.
    pub fn weigh(&mut self, path: &RelPath, entries: u64) -> bool {
        let Some(place) = self.places.get(path).copied().filter(|place| place.state == State::Gone) else {
            return false;
        };
        self.take(path);
        if entries > 0 {
            self.put(path.clone(), Place { entries, asked: true, ..place });
        }
        self.tidy();
        true
    }

    /// Whether the target is to tell how many entries go with a place, as a person decides by their number.
    pub fn is_to_be_weighed(&self, path: &RelPath) -> bool {
        self.emptied && self.places.get(path).is_some_and(|place| place.state == State::Gone)
    }

    /// Those of which it is to be asked, each once, with their ages.
    pub fn take_unweighed(&mut self) -> Vec<(RelPath, Since)> {
        if !self.emptied || self.places.len() > WEIGHED {
            return Vec::new();
        }
        let new = self.places.iter_mut().filter(|(_, place)| place.state == State::Gone && !place.asked);
        new.map(|(path, place)| {
            place.asked = true;
            (path.clone(), place.since)
        })
        .collect()
    }

    /// The source was looked at: whether it has entries.
    pub fn source_is(&mut self, empty: bool, now: Instant) {
        if self.emptied && !empty && !self.is_empty() {
            self.span = Some((now, now));
        }
        self.emptied = empty && !self.is_empty();
    }

    /// Something stands at a path, which may be a folder.
    pub fn stands(&mut self, path: &RelPath, folder: bool, now: Instant) -> Successor {
        let mut successor = Successor::None;
        if self.is_empty() {
            return successor;
        }
        for at in std::iter::successors(Some(path.clone()), RelPath::parent) {
            let Some(place) = self.places.get(&at).copied() else { continue };
            let is_it = at == *path;
            let known = if place.stale { Successor::Stale } else { Successor::Known };
            match place.state {
                State::Gone if is_it && (!folder || place.entries == 1) => {
                    self.take(&at);
                    successor = known;
                }
                // Another thing has taken the place of the folder.
                State::Back | State::Part | State::Wide if is_it && !folder => _ = self.take(&at),
                State::Gone | State::Back => {
                    if place.state == State::Gone {
                        self.take(&at);
                        self.put(at.clone(), Place { state: State::Back, ..place });
                        if is_it {
                            successor = Successor::Stale;
                        }
                    }
                    self.back.insert(at, now + STILL);
                    if !is_it && !place.stale && successor == Successor::None {
                        successor = Successor::Within;
                    }
                }
                State::Part | State::Wide => {}
            }
        }
        self.tidy();
        successor
    }

    /// Whether a deletion at a place has to wait.
    pub fn awaits(&self, path: &RelPath) -> Awaited {
        if self.is_empty() {
            return Awaited::No;
        }
        let above = std::iter::successors(path.parent(), RelPath::parent);
        let whole = |at: &RelPath| self.places.get(at).is_some_and(|place| !place.state.is_more());
        if self.places.get(path).is_some_and(|place| place.state == State::Gone)
            || above.into_iter().any(|at| whole(&at))
        {
            Awaited::Itself
        } else if self.has_beneath(path) {
            Awaited::Within
        } else {
            Awaited::No
        }
    }

    /// Whether this folder, or one above it, stands again.
    pub fn is_rebuilt(&self, folder: &RelPath) -> bool {
        let mut above = std::iter::successors(Some(folder.clone()), RelPath::parent);
        let back = |at: &RelPath| self.places.get(at).is_some_and(|place| place.state == State::Back && !place.stale);
        !self.is_empty() && above.any(|at| back(&at))
    }

    /// Whether something as old as that waits at or beneath a place, or with a folder above it.
    pub fn owes(&self, place: &RelPath, moment: Instant) -> bool {
        let old = |place: &Place| place.since.at() <= moment;
        let mut upwards = std::iter::successors(Some(place.clone()), RelPath::parent);
        !self.is_empty()
            && (upwards.any(|at| self.places.get(&at).is_some_and(old))
                || range_beneath(place, |bounds| self.places.range(bounds).any(|(_, place)| old(place))))
    }

    /// `from` is now `to`, and took the place of what was there. What went in either waits at the new name.
    pub fn renamed(&mut self, from: &RelPath, to: &RelPath, now: Instant) {
        self.replaced = None;
        if self.is_empty() || from.is_within(to) || to.is_within(from) {
            return;
        }
        let replaced = self.at_and_beneath(to).into_iter().filter_map(|at| Some((at.clone(), *self.places.get(&at)?)));
        self.replaced = Some((to.clone(), replaced.collect()));
        self.stands(to, true, now);
        for at in self.at_and_beneath(from) {
            if let Some(place) = self.take(&at) {
                self.put_moved(&at, (from, to), place, now);
            }
        }
        self.tidy();
    }

    /// The last rename, of `to` to `from`, was the first half of an exchange: what stood at `from` before it is at `to`.
    pub fn exchanged(&mut self, from: &RelPath, to: &RelPath, now: Instant) {
        let Some((_, places)) = self.replaced.take().filter(|(at, _)| at == from && !self.is_empty()) else { return };
        places.into_iter().for_each(|(at, place)| self.put_moved(&at, (from, to), place, now));
    }

    fn put_moved(&mut self, at: &RelPath, (from, to): (&RelPath, &RelPath), place: Place, now: Instant) {
        let Some(moved) = at.rebase(from, to) else { return };
        if place.state == State::Back {
            self.back.insert(moved.clone(), now + STILL);
        }
        self.put(moved, place);
    }

    /// The next folder to be compared, when nothing has come back in it for a while.
    pub fn next_still(&self) -> Option<Instant> {
        self.back.first()
    }

    /// Takes out those of which the time has come, with their ages.
    pub fn take_still(&mut self, now: Instant) -> Vec<(RelPath, Since)> {
        let still = std::iter::from_fn(|| self.back.take(now));
        still.filter_map(|path| self.places.get(&path).map(|place| (path, place.since))).collect()
    }

    /// Another folder is the source from now on. What went in the one before may stand in it.
    pub fn source_is_another(&mut self) {
        self.elsewhere = !self.is_empty();
        self.places.values_mut().for_each(|place| place.elsewhere = true);
    }

    /// What of the entries of this folder may stand in it, though it was seen to go.
    pub fn in_doubt_in(&self, folder: &RelPath) -> Vec<RelPath> {
        if !self.elsewhere {
            return Vec::new();
        }
        let in_doubt = |(path, place): &(&RelPath, &Place)| place.elsewhere && path.parent().as_ref() == Some(folder);
        range_beneath(folder, |bounds| {
            self.places.range(bounds).filter(in_doubt).map(|(path, _)| path.clone()).collect()
        })
    }

    /// All at and beneath a folder was compared, and of what is held these are not there: where that is nothing, all is back.
    pub fn compared(&mut self, top: &RelPath, missing: &[RelPath]) {
        let back = |place: &Place| place.state == State::Back || (place.state == State::Gone && place.elsewhere);
        let back = |at: &RelPath| self.places.get(at).is_some_and(back);
        let whole = |at: &RelPath| !missing.iter().any(|path| path.is_within(at));
        let all: Vec<_> = self.at_and_beneath(top).into_iter().filter(|at| back(at) && whole(at)).collect();
        all.iter().for_each(|at| _ = self.take(at));
        self.tidy();
    }

    /// When what waits goes on by itself.
    pub fn due(&self, hold: Duration) -> Option<Instant> {
        let (first, last) = self.span.filter(|_| !self.emptied && !self.is_empty())?;
        Some((last + hold).min(first + hold * LONGEST))
    }

    /// All that waits goes on.
    pub fn let_go(&mut self) -> Vec<Next> {
        let places = std::mem::take(&mut self.places);
        (self.bytes, self.entries, self.ages, self.back, self.span) = Default::default();
        (self.emptied, self.elsewhere) = Default::default();
        let next = |(path, place): (RelPath, Place)| match place.state {
            State::Gone => Next::Delete(path, place.since),
            State::Back => Next::Clear(path, place.since),
            State::Part => Next::Compare(path, place.since),
            State::Wide => Next::CompareAll(path, place.since),
        };
        places.into_iter().map(next).collect()
    }

    fn has_beneath(&self, path: &RelPath) -> bool {
        !self.is_empty() && range_beneath(path, |bounds| self.places.range(bounds).next().is_some())
    }

    fn at_and_beneath(&self, path: &RelPath) -> Vec<RelPath> {
        if self.is_empty() {
            return Vec::new();
        }
        let at = self.places.contains_key(path).then(|| path.clone());
        let beneath = range_beneath(path, |bounds| self.places.range(bounds).map(|(at, _)| at.clone()).collect());
        at.into_iter().chain::<Vec<RelPath>>(beneath).collect()
    }

    fn put(&mut self, path: RelPath, place: Place) {
        let fits = |path: &RelPath, most: usize| self.bytes + size(path) <= most || self.places.contains_key(path);
        if fits(&path, BYTES) {
            return self.merge(path, place);
        }
        let folder = path.parent().unwrap_or_default();
        if fits(&folder, BYTES + MORE) {
            return self.merge(folder, Place { state: State::Part, ..place });
        }
        // They are in many folders, or deep ones.
        let top = if folder.is_root() { folder } else { path.top() };
        let wide = if fits(&top, BYTES + 2 * MORE) { top } else { RelPath::root() };
        self.merge(wide, Place { state: State::Wide, ..place });
    }

    /// Two that come to the same place are one.
    fn merge(&mut self, path: RelPath, place: Place) {
        let merged = match self.take(&path) {
            None => place,
            Some(there) => Place {
                state: there.state.joined(place.state),
                entries: there.entries.saturating_add(place.entries),
                since: there.since.min(place.since),
                stale: there.stale || place.stale,
                asked: false,
                elsewhere: there.elsewhere && place.elsewhere,
            },
        };
        self.bytes += size(&path);
        self.entries = self.entries.saturating_add(merged.entries);
        self.ages.add(merged.since);
        self.places.insert(path, merged);
    }

    fn take(&mut self, path: &RelPath) -> Option<Place> {
        let place = self.places.remove(path)?;
        self.bytes -= size(path);
        self.entries = self.entries.saturating_sub(place.entries);
        self.ages.remove(place.since);
        self.back.remove(path);
        Some(place)
    }

    fn tidy(&mut self) {
        if self.places.is_empty() {
            (self.span, self.emptied, self.elsewhere) = Default::default();
        }
    }
}
