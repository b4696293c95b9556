//! Takes work on, lets go of it when it is acknowledged, and has more looked at on account of it.

use proto::RelPath;

use super::brake::Reason;
use super::flight::End;
use super::groups::Crowded;
use super::looks::{Look, Why};
use super::pass::Reach;
use super::{Ended, Session, TURN};
use crate::hint::{Cause, Hint};
use crate::pending::{Since, Task, Ticket, Work};

impl Session<'_> {
    pub(super) fn take_work(&mut self) -> Result<bool, Ended> {
        let mut worked = false;
        for _ in 0..TURN {
            if !self.has_room() {
                break;
            }
            let Some(work) = self.mirror.pending().take(self.mirror.now()) else { break };
            worked = true;
            self.take_on(work)?;
        }
        Ok(worked)
    }

    pub(super) fn take_on(&mut self, Work { ticket, task, mut stands, .. }: Work) -> Result<(), Ended> {
        self.flight.hold(ticket);
        match task {
            Task::Entry { path, cause } => self.look_or_queue(Look::new(ticket, path, Why::Event(cause)))?,
            Task::Folder { path } => self.start_pass(ticket, path, Reach::Folder)?,
            Task::Subtree { path, cleared } => {
                let reason = if cleared { Reason::Cleared } else { Reason::Unknown };
                self.start_pass_for(ticket, path, Reach::Subtree, reason)?;
            }
            Task::Rename { from, to, parents, before, older } => {
                let absent = &self.mirror.absent;
                let crosses = absent.is_crossed_at(&from) || absent.is_crossed_at(&to) || absent.is_replaced_at(&to);
                let is_none = crosses || self.is_no_move(&from, &to) || self.keeps_both(&to);
                let old = older || self.is_older(&from, &to);
                if is_none || self.is_overtaken(&to, before) || (old && !self.busy.knows(&from)) {
                    // The other place waits to be sent as it is now.
                    stands.truncate(if older { 1 } else { stands.len() });
                    self.leave_overtaken(ticket, &from, stands);
                } else {
                    self.make_parents(ticket, &parents)?;
                    if old { self.ask_vacant(ticket, from, to)? } else { self.rename(ticket, from, to)? }
                }
            }
            Task::Exchange { a, b } => self.exchange(ticket, (a, b), &stands)?,
        }
        self.flight.let_go(ticket);
        Ok(())
    }

    /// Where more names are to be searched for than can be at once, everything is compared.
    pub(super) fn step_crowded(&mut self) {
        if let Some(Crowded { since, tickets }) = self.groups.take_crowded() {
            self.owe_since(since, Hint::Subtree { path: RelPath::root() });
            tickets.into_iter().for_each(|ticket| self.flight.let_go(ticket));
        }
    }

    /// Lets go of work whose last operation is acknowledged. Returns whether something was tried with it, so that more
    /// may be.
    pub(super) fn finish_work(&mut self) -> bool {
        let ended = self.flight.take_ended();
        if ended.is_empty() {
            return false;
        }
        let mut tried = false;
        let now = self.mirror.now();
        if ended.iter().any(|(_, end)| matches!(end, End::Again(_))) {
            self.retries.back_off();
        } else {
            self.retries.succeeded();
            self.mirror.target.set_stuck(false);
        }
        for (ticket, end) in &ended {
            if let Some((top, round)) = self.passes.has_met(*ticket)
                && *end == End::Done
            {
                self.mirror.entries.forget_before(&top, round);
                self.mirror.entries.tell_held_back();
            }
        }
        let mut pending = self.mirror.pending();
        for (ticket, end) in ended {
            tried |= self.room.ended(ticket);
            match end {
                End::Done => pending.done(ticket, now),
                End::LostSight => pending.lost_sight(ticket, now),
                End::StillOpen => pending.still_open(ticket, now),
                End::Again(after) => pending.again(ticket, after, now),
            }
        }
        tried
    }

    /// Has something looked at because of what this work has found or failed to do. That is work of its own, and may
    /// have to wait.
    /// INVARIANT: it is as old as the work. All that the sender wants looked at goes through here and what follows.
    pub(super) fn owe(&self, ticket: Ticket, hint: Hint) {
        self.owe_since(self.since(ticket), hint);
    }

    pub(super) fn owe_entry(&self, ticket: Ticket, path: RelPath, cause: Cause) {
        self.owe(ticket, Hint::Entry { path, cause });
    }

    pub(super) fn owe_since(&self, since: Since, hint: Hint) {
        self.mirror.pending().owe(hint, since, self.mirror.now());
    }

    /// Has something looked at that changed after this work had looked at it, and sent it as it was then.
    pub(super) fn owe_rest(&self, ticket: Ticket, path: RelPath, cause: Cause) {
        let begun = self.mirror.pending().begun(ticket, self.mirror.now());
        self.owe_since(begun, Hint::Entry { path, cause });
    }

    /// The same for a place of which it is not known what an operation has left there.
    pub(super) fn doubt(&self, ticket: Ticket, path: RelPath) {
        let since = self.since(ticket);
        self.mirror.pending().doubt(path, since, self.mirror.now());
    }

    /// This work does what the other one, which sends nothing itself, was to do: it is as old as the older of both.
    pub(super) fn takes_over(&self, ticket: Ticket, other: Ticket) {
        let since = self.since(other);
        self.mirror.pending().takes_over(ticket, since);
    }

    pub(super) fn since(&self, ticket: Ticket) -> Since {
        self.mirror.pending().since(ticket, self.mirror.now())
    }
}
