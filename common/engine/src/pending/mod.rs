//! What one target is still owed. Hints go in, merge by path and come out as work; work is owed until it is
//! acknowledged. Nothing is dropped: a full store becomes bigger hints, a lost link brings all work back.
//!
//! [`Pending`] is put together from parts that know nothing of each other: the `hints` that wait, the `moves` that go
//! before them, the work `under_way`, what was looked at `lately`, and since when all is `agreed`. What concerns several
//! of them is here, in `renamed`, `ended` and `full`.
//!
//! The watcher's thread puts hints in, the sender takes work out; both under one lock, so nothing here blocks.
//! Time comes in as an argument.

mod ages;
mod agreed;
mod ended;
mod extent;
mod full;
mod hints;
mod holding;
mod inferred;
mod lately;
mod moves;
mod neighbours;
mod parked;
mod renamed;
mod rules;
mod seen;
mod store;
mod storms;
mod surge;
mod task;
#[cfg(test)]
mod tests;
mod turns;
mod under_way;
mod unsent;
mod waiting;

use std::time::{Duration, Instant};

use proto::RelPath;

pub use ages::Since;
pub(crate) use hints::Wait;
pub(crate) use holding::LetGo;
pub use holding::{Away, Held};
pub use inferred::Why;
pub(crate) use inferred::{Found, Scope};
pub use parked::{Claim, Owner};
pub(crate) use renamed::Turn;
pub use rules::{Holds, Rules};
pub(crate) use seen::Awaited;
pub use task::{Task, Ticket, Work};

use crate::clock::Clock;
use crate::hint::{Cause, Hint};
use crate::view::Selection;
use agreed::Agreed;
use full::Capacity;
use hints::Hints;
use inferred::Inferred;
use lately::{Lately, Looked};
use moves::{Move, Moves};
use renamed::{Parts, Renamed};
use seen::Seen;
use storms::Storms;
use turns::Outside;
use under_way::UnderWay;
use waiting::{Depth, Waiting};

/// What one target is owed: it merges and never drops.
pub struct Pending {
    selection: Selection,
    capacity: Capacity,
    hints: Hints,
    moves: Moves,
    under_way: UnderWay,
    lately: Lately,
    agreed: Agreed,
    inferred: Inferred,
    seen: Seen,
    storms: Storms,
}

/// How things get in and out.
impl Pending {
    /// Of a target that is owed nothing yet.
    pub fn new(rules: Rules) -> Pending {
        Pending {
            selection: Selection::default(),
            capacity: full::CAPACITY,
            hints: Hints::new(rules),
            moves: Moves::default(),
            under_way: UnderWay::new(),
            lately: Lately::default(),
            agreed: Agreed::default(),
            inferred: Inferred::default(),
            seen: Seen::default(),
            storms: Storms::default(),
        }
    }

    /// The same by this clock.
    pub(crate) fn by(mut self, clock: Clock) -> Pending {
        self.agreed = Agreed::by(clock);
        self
    }

    /// Only what this selects is owed.
    #[must_use]
    pub(crate) fn of(mut self, selection: Selection) -> Pending {
        self.selection = selection;
        self
    }

    /// Takes in a hint at something that was not known before. Of what is not selected nothing is owed.
    /// Returns what a rename turned out to be.
    pub(crate) fn hint(&mut self, hint: Hint, now: Instant) -> Option<Turn> {
        let since = Since::noticed(now);
        let hint = self.heard(hint, since, now)?;
        match self.outside_storms(hint, since, now) {
            Outside::Owed(hint) => self.owe(hint, since, now),
            Outside::Swallowed(turn) => turn,
        }
    }

    fn leaves_out(&self, path: &RelPath) -> bool {
        self.selection.leaves_out(path).is_some()
    }

    /// Takes in a hint that comes of a change noticed before.
    pub(crate) fn owe(&mut self, hint: Hint, since: Since, now: Instant) -> Option<Turn> {
        let mut turn = None;
        self.agreed.stays(self.owed_now(), now);
        match hint {
            Hint::Entry { path, .. } | Hint::Folder { path } | Hint::Subtree { path } if self.leaves_out(&path) => {}
            Hint::Renamed { from, to, .. } if self.leaves_out(&from) => {
                if !self.leaves_out(&to) {
                    self.hints.doubt(to, since, now);
                }
            }
            Hint::Renamed { from, to, .. } if self.leaves_out(&to) => self.entry(from, Cause::GONE, since, now),
            Hint::Entry { path, cause } => self.entry(path, cause, since, now),
            Hint::Folder { path } => self.hints.add(path, Depth::Folder, Cause::default(), since, now),
            Hint::Subtree { path } if self.hints.leave_to_comparison_above(&path, since) => {}
            Hint::Subtree { path } => self.hints.subtree(path, since, now),
            Hint::Renamed { from, to, folder, since: before } => {
                let Pending { hints, moves, under_way, lately, .. } = self;
                let mut parts = Parts { hints, moves, under_way, lately };
                let renamed = Renamed { from, to, folder, before, since, now };
                let is = parts.rename(&renamed);
                self.held_renamed(&renamed.from, &renamed.to, is, now);
                turn = Some(is);
            }
        }
        self.capacity.keep(&mut self.hints, &mut self.moves, now);
        turn
    }

    /// A hint at one entry, with the two rules that only events allow: a vanished entry takes its hints beneath along,
    /// and what came and went before anyone looked was never there.
    fn entry(&mut self, path: RelPath, cause: Cause, mut since: Since, now: Instant) {
        if self.hints.leave_to_comparison_above(&path, since) {
            return;
        }
        if cause.has(Cause::GONE) {
            since = self.hints.drop_beneath(&path, since);
            if unsent::came_and_went(&self.hints, &self.under_way, &self.lately, &path) {
                self.hints.remove(&path);
                return;
            }
        }
        self.hints.add(path, Depth::Entry, cause, since, now);
    }

    /// What was done at `path` cannot be known: what the target has there is compared, and sent if it is a file.
    pub(crate) fn doubt(&mut self, path: RelPath, since: Since, now: Instant) {
        self.hints.doubt(path, since, now);
    }

    /// What work of this age was to do at `path` waits for room. What is due there, or waits in a folder above, will meet it.
    pub(crate) fn park(&mut self, path: RelPath, wait: Wait, claim: Claim, since: Since, now: Instant) {
        self.hints.park(path, wait, claim, since, now);
    }

    /// Whether a folder at or above `path` waits to be compared with all beneath it; then it is as old as this.
    pub(crate) fn is_covered(&mut self, path: &RelPath, since: Since) -> bool {
        self.hints.leave_to_comparison(path, since)
    }

    /// The hint at this path, if one waits, is not due before `due`.
    pub(crate) fn postpone(&mut self, path: &RelPath, due: Instant) {
        self.hints.postpone(path, due);
    }

    /// The next piece of work whose time has come.
    pub fn take(&mut self, now: Instant) -> Option<Work> {
        if self.seen_due().is_some_and(|due| due <= now) {
            self.let_seen_go(Cause::default(), now);
        }
        for (folder, since) in self.seen.take_still(now) {
            self.hints.subtree(folder, since, now);
        }
        self.take_in_turn(now)
    }

    /// Takes out what waits for room and needs least, of what `fits`.
    pub(crate) fn take_parked(&mut self, fits: impl Fn(Claim) -> bool, now: Instant) -> Option<(Work, Claim)> {
        let path = self.hints.store().least_parked(fits)?.clone();
        let waiting = self.hints.remove(&path)?;
        let claim = waiting.parked?;
        Some((self.begin(path, waiting, now), claim))
    }

    fn begin(&mut self, path: RelPath, waiting: Waiting, now: Instant) -> Work {
        let task = match waiting.depth {
            Depth::Entry => Task::Entry { path, cause: waiting.cause },
            Depth::Folder => Task::Folder { path },
            Depth::Subtree => Task::Subtree { path, cleared: waiting.cause.has(Cause::CLEARED) },
        };
        self.hand_out(task, waiting.since, now)
    }

    fn begin_move(&mut self, step: Move, now: Instant) -> Work {
        let since = step.since();
        let task = match step {
            Move::Rename { from, to, before, older, .. } => {
                let parents = self.hints.unsent_parents(&to);
                // They go before it. What is in them is still to be looked at.
                parents.iter().for_each(|folder| self.hints.is_known(folder, Cause::WRITTEN));
                Task::Rename { from, to, parents, before, older }
            }
            Move::Exchange { a, b, .. } => Task::Exchange { a, b },
        };
        self.hand_out(task, since, now)
    }

    fn hand_out(&mut self, task: Task, since: Since, now: Instant) -> Work {
        let stands = task.places().map(|place| self.moves.forwarded(place)).collect();
        self.under_way.begin(task, stands, since, now)
    }
}

/// How work ends, see `ended`.
impl Pending {
    /// This work is acknowledged.
    pub fn done(&mut self, ticket: Ticket, now: Instant) {
        let Some(work) = self.release(ticket, now) else { return };
        if work.task.is_comparison() {
            self.lately.compared(now);
        }
        let whole = work.task.is_whole();
        for path in work.stands {
            self.lately.add(Looked { at: now, path, whole });
        }
        if self.is_empty() {
            self.agreed.reached(now);
        }
    }

    /// This work has to be done again, not before `after`.
    pub fn again(&mut self, ticket: Ticket, after: Duration, now: Instant) {
        if let Some(work) = self.release(ticket, now) {
            ended::again(&mut self.hints, &work, after, now);
        }
    }

    /// This work found nothing where something was expected: an event will say why, or else the listing of the folder
    /// above.
    pub fn lost_sight(&mut self, ticket: Ticket, now: Instant) {
        if let Some(work) = self.release(ticket, now) {
            ended::lost_sight(&mut self.hints, &work, now);
        }
    }

    /// This file is new under this name and may still be written: its content is due by the rule for open files. Its other
    /// names, if it has any, are told by what writes to it.
    pub fn still_open(&mut self, ticket: Ticket, now: Instant) {
        if let Some(work) = self.release(ticket, now) {
            ended::still_open(&mut self.hints, &work, now);
        }
    }

    /// A session with the target begins.
    pub fn link_made(&mut self) {
        self.agreed.link_made();
    }

    /// The link is lost: all work that was handed out is owed again.
    pub fn link_lost(&mut self, now: Instant) {
        self.agreed.link_lost(self.owed_now(), now);
        for ticket in self.under_way.tickets() {
            if let Some(work) = self.release(ticket, now) {
                ended::unanswered(&mut self.hints, &work, now);
            }
        }
    }

    fn release(&mut self, ticket: Ticket, now: Instant) -> Option<Work> {
        self.under_way.end(ticket).map(|taken| ended::release(&mut self.hints, taken, now))
    }
}

/// What the sender tells of work under way, and asks.
impl Pending {
    /// The entry of this work is a folder, and is being compared with all beneath it.
    pub fn widened(&mut self, ticket: Ticket) {
        self.under_way.widen(ticket);
    }

    /// What this work was to compare turned out to be no folder: it is looked at.
    pub(crate) fn narrowed(&mut self, ticket: Ticket) {
        self.under_way.narrow(ticket);
    }

    /// This work does what older work was about: it is as old as that.
    pub(crate) fn takes_over(&mut self, ticket: Ticket, since: Since) {
        self.under_way.take_over(ticket, since);
    }

    /// These places were looked at, too, by work that is about others.
    pub fn looked_at(&mut self, places: &[RelPath], now: Instant) {
        for path in places {
            self.lately.add(Looked { at: now, path: path.clone(), whole: false });
        }
    }

    /// When the oldest change in this work was noticed.
    pub(crate) fn since(&self, ticket: Ticket, now: Instant) -> Since {
        self.under_way.since(ticket).unwrap_or(Since::noticed(now))
    }

    /// When this work was handed out: what changed after it looked is younger than that.
    pub(crate) fn begun(&self, ticket: Ticket, now: Instant) -> Since {
        Since::noticed(self.under_way.begun(ticket).unwrap_or(now))
    }

    /// Where what stands at a place of the target will stand after the renames that wait.
    pub(crate) fn forwarded(&self, place: &RelPath) -> RelPath {
        self.moves.forwarded(place)
    }
}
