//! What a rename does to the hints: those that wait move along, and those that were on their way when it happened are
//! looked at again under the new name.

use std::time::{Duration, Instant};

use proto::RelPath;

use super::met::Above;
use super::{Depth, Move, Pending, Since, Task, Ticket, Waiting, range_beneath};
use crate::hint::Cause;

/// The kernel tells of a rename when it is done: the thread may lose its processor in between.
const UNHEARD: Duration = Duration::from_millis(20);

/// The halves of an exchange come together, but may be handed over apart. A rename and one back within this time are
/// taken for them, too.
const HALVES: Duration = Duration::from_millis(500);

/// Hints beneath two places that are worth keeping apart when the places were exchanged.
const SHARED: usize = 1024;

/// Places that are looked at one by one after a rename.
const SUSPECTS: usize = 64;

/// Places of one piece of work that are followed; exchanges double them, too.
const STANDS: usize = 16;

/// What a rename turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// One thing took another place.
    Renamed,
    /// It was the second half of an exchange: what the first half took the place of stands where that came from.
    Exchanged,
}

impl Pending {
    /// `from` is now `to`. What was looked at after `before` may have been looked at under the wrong name.
    pub(super) fn renamed(
        &mut self,
        (from, to): (RelPath, RelPath),
        folder: bool,
        before: Instant,
        since: Since,
        now: Instant,
    ) -> Turn {
        if from == to || from.is_root() || to.is_root() || to.is_within(&from) || from.is_within(&to) {
            self.subtree(to, since, now);
            self.insert(from, Depth::Entry, Cause::VACATED | Cause::ATTRIBUTES, since, now);
            return Turn::Renamed;
        }
        self.join_comparisons(&from, now);
        self.join_comparisons(&to, now);
        let before = before.checked_sub(UNHEARD).unwrap_or(before);
        let suspects = self.suspects(&from, &to, before);
        let there = self.standing(&from, folder, now);
        let exchanged = self.completes_exchange(&from, &to, now);
        if exchanged {
            self.exchanged(&from, &to, since, now);
        } else {
            self.move_stands(&from, &to);
            self.move_hints(&from, &to, there, since, now);
            if matches!(there, There::Current | There::InDoubt) {
                self.moves.push_back(Move::Rename { from: from.clone(), to: to.clone(), since, before });
                self.ages.add(since);
                self.insert(to.clone(), Depth::Entry, Cause::ATTRIBUTES, since, now);
                self.insert(from.clone(), Depth::Entry, Cause::VACATED | Cause::ATTRIBUTES, since, now);
            }
            if there == There::InDoubt {
                self.doubt(to.clone(), since, now);
            }
        }
        for suspect in suspects {
            self.look_again(suspect, (&from, &to), exchanged, since, now);
        }
        if exchanged { Turn::Exchanged } else { Turn::Renamed }
    }

    /// What the last rename that was hinted turned out to be.
    pub(crate) fn turn(&self) -> Turn {
        self.turn
    }

    /// `a→b` followed at once by `b→a` is how the kernel tells of an exchange.
    fn completes_exchange(&mut self, from: &RelPath, to: &RelPath, now: Instant) -> bool {
        let last = self.renamed_last.take();
        if last.is_some_and(|(a, b, at)| a == *to && b == *from && now.saturating_duration_since(at) < HALVES) {
            return true;
        }
        self.renamed_last = Some((from.clone(), to.clone(), now));
        false
    }

    /// The second half of an exchange. Where the first did not become a rename, or is one already, both places are
    /// compared.
    fn exchanged(&mut self, from: &RelPath, to: &RelPath, since: Since, now: Instant) {
        self.share_stands(from, to);
        self.share_hints(from, to, since, now);
        if let Some(swap) = self.as_exchange(from, to) {
            self.moves.push_back(swap);
        } else {
            self.doubt(from.clone(), since, now);
            self.doubt(to.clone(), since, now);
        }
    }

    /// What the target has of `from` at the moment.
    fn standing(&self, from: &RelPath, folder: bool, now: Instant) -> There {
        let waits_whole = |path: &RelPath| self.waiting.get(path).is_some_and(|w| w.depth == Depth::Subtree);
        if self.came_and_went(from, now) {
            return There::Nothing;
        }
        let is = |cause| self.waiting.get(from).is_some_and(|waiting| waiting.cause.has(cause));
        let older = match folder {
            // What is in it has names of its own. What is in doubt is moved and compared there; what came is new.
            true => is(Cause::CREATED | Cause::GONE) || (waits_whole(from) && !is(Cause::WRITTEN)),
            // What only its metadata differs in is mended before the rename; see the sender.
            false => {
                let content = Cause::CREATED | Cause::WRITTEN | Cause::WRITING | Cause::GONE | Cause::LOST;
                waits_whole(from) || is(content)
            }
        };
        if older {
            return There::Older;
        }
        match self.waits_above(from) {
            Some((_, Above::InDoubt)) if folder => There::InDoubt,
            Some(_) => There::Nothing,
            None => There::Current,
        }
    }

    /// The first half, as an exchange, if it still waits.
    fn as_exchange(&mut self, from: &RelPath, to: &RelPath) -> Option<Move> {
        match self.moves.back()? {
            Move::Rename { from: a, to: b, since, .. } if a == to && b == from => {
                let swap = Move::Exchange { a: a.clone(), b: b.clone(), since: *since };
                self.moves.pop_back();
                Some(swap)
            }
            _ => None,
        }
    }

    /// Work under way at `from` is about what is at `to` now.
    fn move_stands(&mut self, from: &RelPath, to: &RelPath) {
        for (path, ticket) in self.taken_within(from) {
            let Some(work) = self.taken.get_mut(&ticket) else { continue };
            for stand in work.stands.iter_mut().filter(|stand| **stand == path) {
                if let Some(moved) = path.rebase(from, to) {
                    *stand = moved.clone();
                    self.taken_at.insert((moved, ticket));
                }
            }
            self.taken_at.remove(&(path, ticket));
        }
    }

    /// The first half of an exchange has brought together what was at both places: it may be at either now.
    fn share_stands(&mut self, a: &RelPath, b: &RelPath) {
        for (from, to) in [(a, b), (b, a)] {
            for (path, ticket) in self.taken_within(from) {
                let (Some(work), Some(other)) = (self.taken.get_mut(&ticket), path.rebase(from, to)) else { continue };
                if !work.stands.contains(&path) || work.stands.contains(&other) {
                    continue;
                }
                work.stands.push(other.clone());
                self.taken_at.insert((other, ticket));
                if work.stands.len() > STANDS {
                    self.scatter(ticket);
                }
            }
        }
    }

    /// Follows the folder above all places of this work from now on.
    fn scatter(&mut self, ticket: Ticket) {
        let Some(work) = self.taken.get_mut(&ticket) else { return };
        let mut above = work.stands.first().cloned().unwrap_or_default();
        while !work.stands.iter().all(|place| place.is_within(&above)) {
            above = above.parent().unwrap_or_default();
        }
        for place in std::mem::replace(&mut work.stands, vec![above.clone()]) {
            self.taken_at.remove(&(place, ticket));
        }
        work.task = Task::Subtree { path: above.clone() };
        work.scattered = true;
        self.taken_at.insert((above, ticket));
    }

    /// Places of work under way at and beneath one.
    fn taken_within(&self, place: &RelPath) -> Vec<(RelPath, Ticket)> {
        let at = self.taken_at.range((place.clone(), 0)..=(place.clone(), Ticket::MAX)).cloned();
        let mut found: Vec<_> = at.collect();
        range_beneath(place, |(low, high)| {
            let (low, high) = (low.map(|path| (path, Ticket::MAX)), high.map(|path| (path, 0)));
            found.extend(self.taken_at.range((low, high)).cloned());
        });
        found
    }

    fn move_hints(&mut self, from: &RelPath, to: &RelPath, there: There, since: Since, now: Instant) {
        for path in self.beneath(from) {
            if let Some(waiting) = self.forget(&path)
                && let Some(path) = path.rebase(from, to)
            {
                self.insert_as(path, waiting, now);
            }
        }
        let Some(waiting) = self.forget(from) else {
            if there == There::Nothing {
                // It stands in a folder that waits as a whole: since then.
                let above = self.waits_above(from).and_then(|(folder, _)| self.waiting.get(&folder));
                let since = above.map_or(since, |above| above.since.min(since));
                self.subtree(to.clone(), since, now);
            }
            return;
        };
        if there == There::Older {
            self.insert(from.clone(), Depth::Entry, Cause::GONE, waiting.since, now);
        }
        if waiting.depth == Depth::Subtree && waiting.cause.has(Cause::WRITTEN) {
            self.doubt(to.clone(), waiting.since, now);
        } else if waiting.depth == Depth::Subtree {
            self.subtree(to.clone(), waiting.since, now);
        } else {
            let seen = waiting.cause.without(Cause::CREATED | Cause::GONE | Cause::VACATED);
            let cause = match there {
                There::Current | There::InDoubt => seen | Cause::ATTRIBUTES,
                There::Older | There::Nothing => seen.without(Cause::LOST) | Cause::WRITTEN,
            };
            self.insert_as(to.clone(), Waiting { cause, ..waiting }, now);
        }
    }

    /// After an exchange the hints of both places are of use in both. That doubles them: many become two comparisons.
    fn share_hints(&mut self, a: &RelPath, b: &RelPath, since: Since, now: Instant) {
        let beneath = (self.beneath(a), self.beneath(b));
        if beneath.0.len() + beneath.1.len() > SHARED {
            self.join(a, &beneath.0, now);
            self.join(b, &beneath.1, now);
        }
        for (from, to) in [(a, b), (b, a)] {
            let mut paths = self.beneath(from);
            paths.push(from.clone());
            for path in paths {
                if let (Some(waiting), Some(other)) = (self.waiting.get(&path).cloned(), path.rebase(from, to)) {
                    // What is gone may be gone from either; a look at a name that stands there deletes nothing.
                    let cause = waiting.cause.without(Cause::VACATED | Cause::CREATED);
                    self.insert_as(other, Waiting { cause: cause | Cause::ATTRIBUTES, ..waiting }, now);
                }
            }
            self.insert(from.clone(), Depth::Entry, Cause::ATTRIBUTES, since, now);
        }
    }

    fn insert_as(&mut self, path: RelPath, waiting: Waiting, now: Instant) {
        let due = waiting.due;
        self.insert(path.clone(), waiting.depth, waiting.cause, waiting.since, now);
        if let Some(merged) = self.waiting.get_mut(&path) {
            merged.writing = merged.writing.or(waiting.writing);
        }
        self.postpone(&path, due);
    }

    /// Work at or beneath either place that may have been done under the wrong name: all that is not acknowledged, and
    /// what was acknowledged since.
    fn suspects(&self, from: &RelPath, to: &RelPath, since: Instant) -> Vec<Suspect> {
        let mut found = Vec::new();
        for ticket in self.tickets_touching(from).into_iter().chain(self.tickets_touching(to)) {
            let Some(work) = self.taken.get(&ticket) else { continue };
            if work.task.is_whole() {
                found.extend(work.stands.last().map(|path| Suspect::Whole(path.clone())));
            } else {
                found.extend(work.stands.iter().map(|path| Suspect::Entry(path.clone())));
            }
        }
        for recent in self.recent.iter().rev().take_while(|recent| recent.at >= since) {
            let path = &recent.path;
            if path.is_within(from) || path.is_within(to) {
                found.push(if recent.whole { Suspect::Whole(path.clone()) } else { Suspect::Entry(path.clone()) });
            }
        }
        let full = self.recent.len() == super::RECENT;
        let forgotten = full && self.recent.front().is_some_and(|recent| recent.at >= since);
        let compared = self.compared.is_some_and(|at| at >= since);
        if forgotten || compared {
            found.push(Suspect::Whole(to.clone()));
        }
        if found.len() > SUSPECTS { vec![Suspect::Anything] } else { found }
    }

    /// Tickets at, beneath, or (when they are of whole folders) above a place.
    fn tickets_touching(&self, place: &RelPath) -> Vec<Ticket> {
        let mut found: Vec<Ticket> = self.taken_within(place).into_iter().map(|(_, ticket)| ticket).collect();
        let mut above = place.parent();
        while let Some(folder) = above {
            let at =
                self.taken_at.range((folder.clone(), 0)..=(folder.clone(), Ticket::MAX)).map(|(_, ticket)| *ticket);
            found.extend(at.filter(|ticket| self.taken[ticket].task.is_whole()));
            above = folder.parent();
        }
        found
    }

    /// Work done under the wrong name may have put there what does not belong: where nothing stands at the source it is
    /// not to be left.
    fn look_again(
        &mut self,
        suspect: Suspect,
        (from, to): (&RelPath, &RelPath),
        exchanged: bool,
        since: Since,
        now: Instant,
    ) {
        let wrong = Cause::ATTRIBUTES | Cause::LOST;
        match suspect {
            Suspect::Entry(path) => {
                let back = if exchanged { path.rebase(to, from) } else { None };
                let here = match path.rebase(from, to) {
                    Some(moved) => {
                        self.insert(moved, Depth::Entry, wrong, since, now);
                        if exchanged { wrong } else { Cause::VACATED | Cause::ATTRIBUTES }
                    }
                    None => wrong,
                };
                back.into_iter().for_each(|back| self.insert(back, Depth::Entry, wrong, since, now));
                self.insert(path, Depth::Entry, here, since, now);
            }
            Suspect::Whole(path) => {
                let place = if path.is_within(to) { path } else { path.rebase(from, to).unwrap_or_else(|| to.clone()) };
                self.doubt(place, since, now);
            }
            Suspect::Anything => {
                self.doubt(to.clone(), since, now);
                self.doubt(from.clone(), since, now);
            }
        }
    }
}

/// What the target has of an entry that is renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    /// Nothing: it is new.
    Nothing,
    /// Something, but not as it is now: under the new name it must not be seen like that.
    Older,
    /// What it is; of a folder, what it is itself.
    Current,
    /// A folder, as far as is known: a folder above is in doubt.
    InDoubt,
}

enum Suspect {
    /// One entry was looked at.
    Entry(RelPath),
    /// A comparison or another rename was under way here.
    Whole(RelPath),
    /// So much was under way at and beneath both places that they are compared as a whole.
    Anything,
}
