//! Finding out whether a lack is over: the rounds in which what waits is tried, the question that is asked of a disk that
//! cannot be written, and what is said of begin and end.

use std::time::Instant;

use proto::{Content, Kind, Meta, Name, Outcome, RelPath, Time, ToReceiver};
use sys::Lack;

use super::lack::{LATER, PARKED};
use super::{Interest, Standing};
use crate::blocked::Blocked;
use crate::pending::{Claim, Ticket};
use crate::sender::flight::{Answer, Sent};
use crate::sender::{Ended, Session};

/// The work of the question whether a read-only target can be written again: no other has this number.
const QUESTION: Ticket = Ticket::MAX;

impl Session<'_> {
    /// What came of the question.
    fn answered(&mut self, op: u64, outcome: &Outcome) -> Result<(), Ended> {
        self.flight.answered(op, Answer::Not, &[]);
        self.flight.conclude(op);
        match outcome {
            // Full is another matter.
            Outcome::Want | Outcome::Full { .. } => self.is_writable(),
            _ => {
                self.in_vain();
                Ok(())
            }
        }
    }

    /// Whether this outcome is of the question, and is dealt with.
    pub(in crate::sender) fn hear_answer(&mut self, op: u64, ticket: Ticket, outcome: &Outcome) -> Result<bool, Ended> {
        if ticket != QUESTION {
            return Ok(false);
        }
        self.answered(op, outcome)?;
        Ok(true)
    }

    /// Tries what may fit, and finds out whether the lack is over. Whether there was anything to do.
    pub(in crate::sender) fn step_room(&mut self) -> Result<bool, Ended> {
        if !self.room.is_short() {
            return Ok(false);
        }
        let now = self.mirror.now();
        let opens = self.next_try().is_some_and(|at| at <= now);
        if opens {
            self.mirror.target.is_answered();
            self.room.open(now);
            self.tell_begun();
        }
        if self.room.is_closed() {
            return if opens { self.ask_for_writing().map(|()| true) } else { Ok(false) };
        }
        let tried = self.try_held(now)?;
        Ok(self.judge(now) || tried || opens)
    }

    /// When something is to be tried, if nothing else happens.
    pub(in crate::sender) fn next_try(&self) -> Option<Instant> {
        self.room.next_try(if self.mirror.target.is_asked() { Interest::Asked } else { Interest::None })
    }

    fn try_held(&mut self, now: Instant) -> Result<bool, Ended> {
        let mut tried = false;
        while self.room.may_try() && self.may_send() {
            let mut pending = self.mirror.pending();
            let few = pending.parked() < PARKED / 2;
            let fits = |claim: Claim| self.room.fits(claim) && (few || claim.owner != LATER.owner);
            let taken = pending.take_parked(fits, now);
            drop(pending);
            let Some((work, claim)) = taken else { break };
            self.room.tries(work.ticket, claim);
            tried = true;
            self.take_on(work)?;
        }
        Ok(tried)
    }

    /// Closes a round in which all was tried, and the whole condition when nothing waits any more.
    fn judge(&mut self, now: Instant) -> bool {
        let (parked, moving) = {
            let pending = self.mirror.pending();
            (pending.parked(), pending.oldest_moving())
        };
        match self.room.standing(parked, moving) {
            Standing::Open => false,
            Standing::InVain => {
                self.in_vain();
                false
            }
            Standing::Over => {
                self.is_over(now);
                true
            }
        }
    }

    /// It was tried anew, and is as it was.
    fn in_vain(&mut self) {
        self.room.rest(self.mirror.now());
        if let Some(mut blocked) = self.mirror.target.blocked() {
            blocked.tries += 1;
            blocked.paths = blocked.paths.max(self.waiting());
            self.mirror.target.set_blocked(Some(blocked));
        }
    }

    fn is_over(&mut self, now: Instant) {
        self.tell_begun();
        self.room.is_over(now);
        if let Some(blocked) = self.mirror.target.blocked() {
            let lasted = self.mirror.clock().wall().duration_since(blocked.since).unwrap_or_default().as_secs();
            let paths = blocked.paths;
            tracing::error!(
                "the backup's disk takes what comes again, after {lasted} s; paths that had to wait: {paths}"
            );
        }
        self.mirror.target.set_blocked(None);
    }

    /// Once the first answers are in, so that it is known how much waits.
    fn tell_begun(&mut self) {
        if let Some(mut blocked) = self.mirror.target.blocked().filter(|blocked| !blocked.told) {
            blocked.told = true;
            blocked.paths = blocked.paths.max(self.waiting());
            let rule = match blocked.lack {
                Lack::Room => "only what fits and what frees room is sent",
                Lack::Writing => "nothing is sent",
            };
            tracing::error!("{blocked}; until that is over {rule}; paths that wait: {}", blocked.paths);
            self.mirror.target.set_blocked(Some(blocked));
        }
    }

    /// Paths that have to wait now.
    fn waiting(&self) -> u64 {
        let pending = self.mirror.pending();
        (if self.room.is_closed() { pending.len() } else { pending.parked() }) as u64
    }

    fn ask_for_writing(&mut self) -> Result<(), Ended> {
        let meta = Meta {
            kind: Kind::File,
            size: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            device: Default::default(),
            link: Box::default(),
            xattrs: Default::default(),
        };
        // Nothing gets this name.
        let Ok(name) = Name::parse(b"question") else { return Ok(()) };
        let (path, claim) = (RelPath::from(name), Claim { owner: (0, 0), bytes: 0 });
        let message = ToReceiver::Put { path: path.clone(), meta, content: Content::Asked { room: 0 }, inexact: false };
        self.send(QUESTION, &message, Sent::Asked(path, claim))?;
        Ok(())
    }

    /// The target can be written again. What was parked before waits for room still.
    fn is_writable(&mut self) -> Result<(), Ended> {
        let now = self.mirror.now();
        let parked = self.mirror.pending().parked() > 0;
        if !parked {
            self.is_over(now);
        } else if let Some(reason) = self.room.is_writable_and_full(now)
            && let Some(blocked) = self.mirror.target.blocked()
        {
            self.mirror.target.set_blocked(Some(Blocked { lack: Lack::Room, reason, ..blocked }));
        }
        Ok(())
    }

    /// Why a run that is to end does so with something owed: all that can be sent is sent, and the rest was tried in vain.
    pub(in crate::sender) fn gives_up(&self) -> Option<String> {
        if !self.room.was_in_vain() {
            return None;
        }
        let pending = self.mirror.pending();
        let rests = self.room.gives_up() && self.flight.is_empty() && self.groups.is_idle();
        let all_is_tried = self.room.is_closed() || (rests && pending.oldest_moving().is_none());
        if !all_is_tried {
            return None;
        }
        let (blocked, owed) = (self.mirror.target.blocked()?, pending.len());
        Some(format!("{blocked}; paths that are still owed: {owed}"))
    }
}
