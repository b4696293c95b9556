//! What a rename does to what is owed: hints that wait move along, and what was looked at while it happened is looked at again
//! under the new name.

use std::time::{Duration, Instant};

use proto::RelPath;

use super::ages::Since;
use super::hints::{Above, Hints};
use super::lately::Lately;
use super::moves::Moves;
use super::under_way::UnderWay;
use super::unsent::came_and_went;
use super::waiting::{Depth, Waiting};
use crate::hint::Cause;

/// The kernel tells of a rename when it is done: the thread may lose its processor in between.
const UNHEARD: Duration = Duration::from_millis(20);

/// Hints beneath two places that are worth keeping apart when the places were exchanged.
const SHARED: usize = 1024;

/// Places that are looked at one by one after a rename.
const SUSPECTS: usize = 64;

/// What a rename turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// One thing took another place.
    Renamed,
    /// It was the second half of an exchange: what the first half took the place of stands where that came from.
    Exchanged,
}

/// A rename as it was hinted.
#[derive(Debug)]
pub(super) struct Renamed {
    pub from: RelPath,
    pub to: RelPath,
    pub folder: bool,
    /// A moment before it happened: what was looked at after it may have been looked at under the wrong name.
    pub before: Instant,
    pub since: Since,
    pub now: Instant,
}

/// All that a rename may concern.
pub(super) struct Parts<'a> {
    pub hints: &'a mut Hints,
    pub moves: &'a mut Moves,
    pub under_way: &'a mut UnderWay,
    pub lately: &'a Lately,
}

impl Parts<'_> {
    /// Takes a rename in.
    pub fn rename(&mut self, renamed: &Renamed) -> Turn {
        let Renamed { from, to, since, now, .. } = renamed;
        if from.is_within(to) || to.is_within(from) {
            self.hints.subtree(to.clone(), *since, *now);
            self.vacate(from, renamed);
            return Turn::Renamed;
        }
        self.hints.join_comparisons(from, *now);
        self.hints.join_comparisons(to, *now);
        let before = renamed.before.checked_sub(UNHEARD).unwrap_or(renamed.before);
        let suspects = self.suspects(from, to, before);
        let there = self.standing(from, renamed.folder);
        let turn = if self.moves.completes_exchange(from, to, *now) { Turn::Exchanged } else { Turn::Renamed };
        match turn {
            Turn::Exchanged => self.exchanged(renamed),
            Turn::Renamed => self.moved(renamed, there, before),
        }
        for suspect in suspects {
            self.look_again(suspect, turn, renamed);
        }
        turn
    }

    fn moved(&mut self, renamed: &Renamed, there: There, before: Instant) {
        let Renamed { from, to, since, now, .. } = renamed;
        self.under_way.renamed(from, to);
        self.move_hints(renamed, there);
        if matches!(there, There::Current | There::InDoubt | There::Changing) {
            self.moves.push((from, to), *since, before, there == There::Changing);
            self.hints.call(from.top());
            self.hints.is_known(to, Cause::ATTRIBUTES);
            self.look(to, Cause::ATTRIBUTES, renamed);
            self.vacate(from, renamed);
        }
        if there == There::InDoubt {
            self.hints.doubt(to.clone(), *since, *now);
        }
    }

    /// The second half of an exchange. Where the first did not become a rename, or is one already, both places are
    /// compared.
    fn exchanged(&mut self, renamed: &Renamed) {
        let Renamed { from, to, since, now, .. } = renamed;
        self.under_way.exchanged(from, to);
        self.share_hints(renamed);
        if !self.moves.make_exchange(from, to) {
            self.hints.doubt(from.clone(), *since, *now);
            self.hints.doubt(to.clone(), *since, *now);
        }
    }

    fn look(&mut self, path: &RelPath, cause: Cause, renamed: &Renamed) {
        self.hints.add(path.clone(), Depth::Entry, cause, renamed.since, renamed.now);
    }

    fn vacate(&mut self, path: &RelPath, renamed: &Renamed) {
        self.look(path, Cause::VACATED | Cause::ATTRIBUTES, renamed);
    }

    /// What the target has of `from` at the moment.
    fn standing(&self, from: &RelPath, folder: bool) -> There {
        let store = self.hints.store();
        if came_and_went(self.hints, self.under_way, self.lately, from) {
            return There::Nothing;
        }
        let waits_whole = store.comparison(from).is_some();
        let is = |cause| store.get(from).is_some_and(|waiting| waiting.cause.has(cause));
        let older = match folder {
            // What is in it has names of its own. What is in doubt is moved and compared there; what came is new.
            true => is(Cause::CREATED | Cause::GONE) || (waits_whole && !is(Cause::WRITTEN)),
            // What only its metadata differs in is mended before the rename; see the sender.
            false => {
                let content = Cause::CREATED | Cause::WRITTEN | Cause::WRITING | Cause::GONE | Cause::LOST;
                waits_whole || is(content)
            }
        };
        if older {
            // Only of what was still written it may be that nothing newer comes for long.
            let whole = folder || waits_whole || is(Cause::CREATED | Cause::GONE | Cause::LOST);
            return if is(Cause::WRITING) && !whole { There::Changing } else { There::Older };
        }
        match self.hints.comparison_above(from) {
            Some((_, Above::InDoubt)) if folder => There::InDoubt,
            Some(_) => There::Nothing,
            None => There::Current,
        }
    }

    fn move_hints(&mut self, renamed: &Renamed, there: There) {
        let Renamed { from, to, since, now, .. } = renamed;
        for path in self.hints.store().beneath(from) {
            if let Some(waiting) = self.hints.remove(&path)
                && let Some(path) = path.rebase(from, to)
            {
                self.hints.add_moved(path, waiting, *now);
            }
        }
        let Some(waiting) = self.hints.remove(from).map(|waiting| waiting.explained(*now)) else {
            if there == There::Nothing {
                // It stands in a folder that waits as a whole: since then.
                let above = self.hints.comparison_above(from);
                let above = above.and_then(|(folder, _)| self.hints.store().get(&folder));
                let since = above.map_or(*since, |above| above.since.min(*since));
                self.hints.subtree(to.clone(), since, *now);
            }
            return;
        };
        if there == There::Older {
            self.hints.add(from.clone(), Depth::Entry, Cause::GONE, waiting.since, *now);
        }
        if waiting.is_whole() && waiting.cause.has(Cause::WRITTEN) {
            self.hints.doubt(to.clone(), waiting.since, *now);
        } else if waiting.is_whole() {
            self.hints.subtree(to.clone(), waiting.since, *now);
        } else {
            let seen = waiting.cause.without(Cause::CREATED | Cause::GONE | Cause::VACATED);
            let cause = match there {
                There::Current | There::InDoubt => seen | Cause::ATTRIBUTES,
                There::Older | There::Changing | There::Nothing => seen.without(Cause::LOST) | Cause::WRITTEN,
            };
            self.hints.add_moved(to.clone(), Waiting { cause, ..waiting }, *now);
        }
    }

    /// After an exchange the hints of both places are of use in both. That doubles them: many become two comparisons.
    fn share_hints(&mut self, renamed: &Renamed) {
        let Renamed { from: a, to: b, now, .. } = renamed;
        let beneath = (self.hints.store().beneath(a), self.hints.store().beneath(b));
        if beneath.0.len() + beneath.1.len() > SHARED {
            self.hints.join(a, &beneath.0, *now);
            self.hints.join(b, &beneath.1, *now);
        }
        for (from, to) in [(a, b), (b, a)] {
            let mut paths = self.hints.store().beneath(from);
            paths.push(from.clone());
            for path in paths {
                // What is new may be at the other place now, and something here that the target has.
                self.hints.is_known(&path, Cause::ATTRIBUTES);
                let Some(waiting) = self.hints.store().get(&path).cloned() else { continue };
                let waiting = waiting.explained(*now);
                let Some(other) = path.rebase(from, to) else { continue };
                // What is gone may be gone from either; a look at a name that stands there deletes nothing.
                let cause = waiting.cause.without(Cause::VACATED) | Cause::ATTRIBUTES;
                self.hints.add_moved(other, Waiting { cause, ..waiting }, *now);
            }
            self.look(from, Cause::ATTRIBUTES, renamed);
        }
    }

    /// Work at or beneath either place that may have been done under the wrong name: all that is not acknowledged, and
    /// what was acknowledged since.
    fn suspects(&self, from: &RelPath, to: &RelPath, since: Instant) -> Vec<Suspect> {
        let mut found = Vec::new();
        for work in self.under_way.touching(from).into_iter().chain(self.under_way.touching(to)) {
            if work.task.is_whole() {
                found.extend(work.stands.last().map(|path| Suspect::Whole(path.clone())));
            } else {
                found.extend(work.stands.iter().map(|path| Suspect::Entry(path.clone())));
            }
        }
        let within = |path: &RelPath| path.is_within(from) || path.is_within(to);
        for looked in self.lately.since(since).filter(|looked| within(&looked.path)) {
            let path = looked.path.clone();
            found.push(if looked.whole { Suspect::Whole(path) } else { Suspect::Entry(path) });
        }
        if self.lately.is_unclear_since(since) {
            found.push(Suspect::Whole(to.clone()));
        }
        if found.len() > SUSPECTS { vec![Suspect::Anything] } else { found }
    }

    /// Work done under the wrong name may have put there what does not belong: where nothing stands at the source it is
    /// not to be left.
    fn look_again(&mut self, suspect: Suspect, turn: Turn, renamed: &Renamed) {
        let Renamed { from, to, since, now, .. } = renamed;
        let wrong = Cause::ATTRIBUTES | Cause::LOST;
        match suspect {
            Suspect::Entry(path) => {
                let moved = path.rebase(from, to);
                let back = if turn == Turn::Exchanged { path.rebase(to, from) } else { None };
                let left = moved.is_some() && turn == Turn::Renamed;
                moved.iter().chain(&back).for_each(|place| self.look(place, wrong, renamed));
                if left { self.vacate(&path, renamed) } else { self.look(&path, wrong, renamed) }
            }
            Suspect::Whole(path) => {
                let place = if path.is_within(to) { path } else { path.rebase(from, to).unwrap_or_else(|| to.clone()) };
                self.hints.doubt(place, *since, *now);
            }
            Suspect::Anything => {
                self.hints.doubt(to.clone(), *since, *now);
                self.hints.doubt(from.clone(), *since, *now);
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
    /// The same of a file that is still open. It is left to the sender whether the target renames that: it may be the last
    /// version for long.
    Changing,
    /// The entry as it is now; of a folder, what it is itself.
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
