//! The work that is handed out and not acknowledged. It knows where its places stand by now, whatever is renamed meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use proto::RelPath;

use super::ages::{Ages, Since};
use super::task::{Task, Ticket, Work};
use crate::beneath::range_beneath;
use crate::hint::Cause;

/// Hints beneath a comparison wait for it if it began less than this ago: it meets most of what they tell of.
const YOUNG: Duration = Duration::from_secs(1);

/// LIMIT: places of one piece of work that are followed; exchanges double them.
const STANDS: usize = 16;
/// LIMIT: bytes of them: where paths are long fewer are followed.
const STAND_BYTES: usize = 32 * 1024;

/// LIMIT: bytes of the hints that are remembered to wait for comparisons. More of them wait as well, and are due when the
/// comparison is not young any more, though it may be over sooner.
const DEFERRED: usize = 1024 * 1024;

/// A hint that waits for a comparison.
#[derive(Debug)]
pub(super) struct Deferred {
    pub path: RelPath,
    /// When it was due.
    pub due: Instant,
    /// When it is due if the comparison takes long.
    pub later: Instant,
}

impl Deferred {
    fn size(&self) -> usize {
        self.path.as_bytes().len() + size_of::<Deferred>()
    }
}

/// One piece of work, and what its end brings with it.
#[derive(Debug)]
pub(super) struct Taken {
    pub work: Work,
    /// Its places became too many to follow: the folder above them all has to be compared.
    pub scattered: bool,
    /// Hints that wait for it.
    pub deferred: Vec<Deferred>,
    /// When it was handed out.
    begun: Instant,
}

impl Taken {
    fn is_young(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) < YOUNG
    }

    /// Whether it is about `place`, by where it was handed out for or where it stands by now.
    fn concerns(&self, place: &RelPath) -> bool {
        let folder_itself = matches!(&self.work.task, Task::Entry { cause, .. } if cause.only(Cause::ENTRIES));
        let mut places = self.work.task.places().chain(&self.work.stands);
        places.any(|at| at.is_within(place) || (place.is_within(at) && !folder_itself))
    }
}

/// See the module. INVARIANT: `places` has for each piece of work in `taken` the places where it stands, and `ages` its age.
#[derive(Debug)]
pub(super) struct UnderWay {
    taken: HashMap<Ticket, Taken>,
    places: BTreeSet<(RelPath, Ticket)>,
    ages: Ages,
    /// Bytes of the hints that wait for any of it.
    deferred: usize,
    next: Ticket,
}

impl UnderWay {
    pub fn new() -> UnderWay {
        UnderWay { taken: HashMap::new(), places: BTreeSet::new(), ages: Ages::default(), deferred: 0, next: 1 }
    }

    pub fn len(&self) -> usize {
        self.taken.len()
    }

    pub fn oldest(&self) -> Option<Since> {
        self.ages.oldest()
    }

    /// Gives this task a ticket. `stands` are its places after the renames that wait.
    pub fn begin(&mut self, task: Task, stands: Vec<RelPath>, since: Since, now: Instant) -> Work {
        let ticket = self.next;
        self.next += 1;
        self.places.extend(stands.iter().map(|path| (path.clone(), ticket)));
        self.ages.add(since);
        let work = Work { ticket, task, since, stands };
        let taken = Taken { work: work.clone(), scattered: false, deferred: Vec::new(), begun: now };
        self.taken.insert(ticket, taken);
        work
    }

    /// Takes out what has ended.
    pub fn end(&mut self, ticket: Ticket) -> Option<Taken> {
        let taken = self.taken.remove(&ticket)?;
        self.ages.remove(taken.work.since);
        self.deferred -= taken.deferred.iter().map(Deferred::size).sum::<usize>();
        for path in &taken.work.stands {
            self.places.remove(&(path.clone(), ticket));
        }
        Some(taken)
    }

    /// All tickets, in the order in which they were handed out.
    pub fn tickets(&self) -> Vec<Ticket> {
        let mut tickets: Vec<Ticket> = self.taken.keys().copied().collect();
        tickets.sort_unstable();
        tickets
    }

    /// When the oldest change in this work was noticed.
    pub fn since(&self, ticket: Ticket) -> Option<Since> {
        self.taken.get(&ticket).map(|taken| taken.work.since)
    }

    /// When this work was handed out.
    pub fn begun(&self, ticket: Ticket) -> Option<Instant> {
        self.taken.get(&ticket).map(|taken| taken.begun)
    }

    /// The entry of this work is a folder, and is being compared with all beneath it.
    pub fn widen(&mut self, ticket: Ticket) {
        if let Some(Taken { work, .. }) = self.taken.get_mut(&ticket)
            && let Task::Entry { path, .. } = &work.task
        {
            work.task = Task::Subtree { path: path.clone(), cleared: false };
        }
    }

    /// This work looks at one entry that is no folder, whatever it was to compare.
    pub fn narrow(&mut self, ticket: Ticket) {
        if let Some(Taken { work, scattered: false, .. }) = self.taken.get_mut(&ticket)
            && let Task::Subtree { path, .. } = &work.task
        {
            work.task = Task::Entry { path: path.clone(), cause: Cause::WRITTEN };
        }
    }

    /// This work does what older work was about: it is as old as that.
    pub fn take_over(&mut self, ticket: Ticket, since: Since) {
        if let Some(Taken { work, .. }) = self.taken.get_mut(&ticket).filter(|taken| taken.work.since > since) {
            self.ages.remove(work.since);
            self.ages.add(since);
            work.since = since;
        }
    }

    /// Whether any work stands at just this place.
    pub fn is_at(&self, place: &RelPath) -> bool {
        self.at(place).next().is_some()
    }

    /// Whether a comparison of more than one entry is under way.
    pub fn is_comparing(&self) -> bool {
        self.taken.values().any(|taken| taken.work.task.is_comparison())
    }

    /// A comparison of everything beneath a folder above `path`, other than the root, that has just begun: it will meet what is
    /// in there, and it sends folders before what they hold. Returns when it will not be young any more.
    pub fn comparison_above(&self, path: &RelPath, now: Instant) -> Option<(Ticket, Instant)> {
        let mut above = path.parent();
        while let Some(folder) = above.filter(|folder| !folder.is_root()) {
            let mut works = self.at(&folder).map(|ticket| (ticket, &self.taken[&ticket]));
            let young = |taken: &Taken| matches!(taken.work.task, Task::Subtree { .. }) && taken.is_young(now);
            if let Some((ticket, taken)) = works.find(|(_, taken)| young(taken)) {
                return Some((ticket, taken.begun + YOUNG));
            }
            above = folder.parent();
        }
        None
    }

    /// This hint waits for that work.
    pub fn defer(&mut self, ticket: Ticket, hint: Deferred) {
        if let Some(taken) = self.taken.get_mut(&ticket) {
            let bytes = self.deferred + hint.size();
            if bytes <= DEFERRED {
                self.deferred = bytes;
                taken.deferred.push(hint);
            }
        }
    }

    /// What was at `from` is at `to` now.
    pub fn renamed(&mut self, from: &RelPath, to: &RelPath) {
        for (path, ticket) in self.within(from) {
            let Some(Taken { work, .. }) = self.taken.get_mut(&ticket) else { continue };
            let Some(moved) = path.rebase(from, to) else { continue };
            work.stands.iter_mut().filter(|stand| **stand == path).for_each(|stand| *stand = moved.clone());
            self.places.remove(&(path, ticket));
            self.places.insert((moved, ticket));
        }
    }

    /// The two were exchanged. The first half of that has brought together what was at both places: it may be at either now.
    pub fn exchanged(&mut self, a: &RelPath, b: &RelPath) {
        for (from, to) in [(a, b), (b, a)] {
            for (path, ticket) in self.within(from) {
                let (Some(taken), Some(other)) = (self.taken.get_mut(&ticket), path.rebase(from, to)) else { continue };
                let stands = &mut taken.work.stands;
                if !stands.contains(&path) || stands.contains(&other) {
                    continue;
                }
                let many = stands.len() >= STANDS || (stands.len() + 1) * other.as_bytes().len() > STAND_BYTES;
                stands.push(other.clone());
                self.places.insert((other, ticket));
                if many {
                    self.scatter(ticket);
                }
            }
        }
    }

    /// Follows the folder above all places of this work from now on.
    fn scatter(&mut self, ticket: Ticket) {
        let Some(taken) = self.taken.get_mut(&ticket) else { return };
        let stands = &mut taken.work.stands;
        let mut above = stands.first().cloned().unwrap_or_default();
        while !stands.iter().all(|place| place.is_within(&above)) {
            above = above.parent().unwrap_or_default();
        }
        for place in std::mem::replace(stands, vec![above.clone()]) {
            self.places.remove(&(place, ticket));
        }
        taken.work.task = Task::Subtree { path: above.clone(), cleared: false };
        taken.scattered = true;
        self.places.insert((above, ticket));
    }

    /// Work at and beneath a place, and comparisons of a folder above it. Each as often as it stands there.
    pub fn touching(&self, place: &RelPath) -> Vec<&Work> {
        let mut tickets: Vec<Ticket> = self.within(place).into_iter().map(|(_, ticket)| ticket).collect();
        let mut above = place.parent();
        while let Some(folder) = above {
            tickets.extend(self.at(&folder).filter(|ticket| self.taken[ticket].work.task.is_whole()));
            above = folder.parent();
        }
        tickets.into_iter().filter_map(|ticket| Some(&self.taken.get(&ticket)?.work)).collect()
    }

    /// Whether work that was noticed at `moment` or before concerns what is at or beneath `place`.
    pub fn owes(&self, place: &RelPath, moment: Instant) -> bool {
        self.taken.values().any(|taken| taken.work.since.at() <= moment && taken.concerns(place))
    }

    /// The places of what was noticed at `moment` or before; `None` in place of each that is no single entry.
    pub fn singles(&self, moment: Instant) -> impl Iterator<Item = Option<&RelPath>> {
        let old = self.taken.values().map(|taken| &taken.work).filter(move |work| work.since.at() <= moment);
        old.flat_map(|work| {
            let single = matches!(work.task, Task::Entry { .. });
            work.stands.iter().map(move |path| single.then_some(path))
        })
    }

    fn at(&self, place: &RelPath) -> impl Iterator<Item = Ticket> {
        self.places.range((place.clone(), 0)..=(place.clone(), Ticket::MAX)).map(|(_, ticket)| *ticket)
    }

    /// Places of work at and beneath one.
    fn within(&self, place: &RelPath) -> Vec<(RelPath, Ticket)> {
        let mut found: Vec<_> = self.at(place).map(|ticket| (place.clone(), ticket)).collect();
        range_beneath(place, |(low, high)| {
            let (low, high) = (low.map(|path| (path, Ticket::MAX)), high.map(|path| (path, 0)));
            found.extend(self.places.range((low, high)).cloned());
        });
        found
    }
}

#[cfg(test)]
impl UnderWay {
    /// Panics if the invariant does not hold.
    pub fn check(&self) {
        let works = || self.taken.values().map(|taken| &taken.work);
        let places = works().flat_map(|work| work.stands.iter().map(|path| (path.clone(), work.ticket)));
        assert_eq!(self.places, places.collect());
        assert_eq!(self.ages, Ages::of(works().map(|work| work.since)));
    }

    /// Where this work stands.
    pub fn stands(&self, ticket: Ticket) -> &[RelPath] {
        &self.taken[&ticket].work.stands
    }
}
