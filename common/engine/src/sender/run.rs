//! A connection from its first step to its last: answers in, a turn of the session, and what is waited for when there is
//! nothing to do. [`Sender::run`] goes through it on a thread of its own; who has a clock of its own takes the steps itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc::error::TryRecvError;

use super::{Connection, Ended, Sender, Session, Turn, Until};
use crate::channel::INBOX;
use crate::mirror::Standing;
use crate::workers::{Step, sleep_until};

/// Buffers of answers that are taken in one step.
const HEARD: usize = 2 * INBOX;

impl Sender {
    /// Sends over one connection until it ends. What was not acknowledged then is owed again. To be called on a thread of
    /// its own, in the context of a tokio runtime.
    pub fn run(&mut self, connection: Connection, until: Until, stop: &AtomicBool) -> Ended {
        let runtime = tokio::runtime::Handle::current();
        let mut session = self.begin(connection, until);
        loop {
            if stop.load(Ordering::Acquire) {
                return Ended::Stopped;
            }
            match session.step() {
                Step::Worked => {}
                Step::Idle(due) => runtime.block_on(session.wait(due)),
                Step::Ended(ended) => return ended,
            }
        }
    }
}

impl Session<'_> {
    /// One turn: what has come in, and a share of all there is to do.
    pub fn step(&mut self) -> Step<Ended> {
        match self.go_on() {
            Ok(step) => step,
            Err(ended) => {
                if let Ended::Halted(halt) = &ended {
                    self.mirror.halt(halt.clone());
                }
                Step::Ended(ended)
            }
        }
    }

    fn go_on(&mut self) -> Result<Step<Ended>, Ended> {
        if !self.wire.hand_on_kept()? {
            // Nothing more is said before the peer takes that. It may take nothing before its answers are taken.
            return Ok(if self.hear()? { Step::Worked } else { Step::Idle(None) });
        }
        if !self.knows_target() {
            if self.hear()? {
                return Ok(Step::Worked);
            }
            self.wire.flush(self.mirror)?;
            return Ok(Step::Idle(None));
        }
        if self.turn()? == Turn::Worked {
            self.report_meanwhile()?;
            return Ok(Step::Worked);
        }
        if (self.passed || self.until == Until::InSync) && self.is_in_sync() {
            if self.until == Until::InSync {
                if self.tell_done()? {
                    return Ok(Step::Worked);
                }
                // Of what is beneath a mount that is away nothing is owed, and the backup is no copy of it.
                return Err(self.gives_up_held().unwrap_or(Ended::InSync));
            }
            self.passed = false;
            sys::process::give_back_memory();
        }
        if !self.mirror.progress.is_fresh() && self.is_in_sync() {
            self.mirror.progress.begin();
        }
        if self.until == Until::InSync
            && let Some(reason) = self.gives_up().or_else(|| self.gives_up_asked())
        {
            return Err(Ended::Blocked(reason));
        }
        if let Some(held) = self.gives_up_held() {
            return Err(held);
        }
        let report = self.report()?;
        self.wire.flush(self.mirror)?;
        Ok(Step::Idle(self.next_due().into_iter().chain(report).min()))
    }

    /// When there is something to do, if nothing comes in.
    fn next_due(&self) -> Option<Instant> {
        let now = self.mirror.now();
        let due = if self.has_room() { self.mirror.pending().next_due(now) } else { None };
        let (tries, opens) = match self.standing {
            Standing::Open => (self.next_try(), None),
            Standing::UsedUp(until) => (None, Some(until)),
        };
        due.into_iter().chain(tries).chain(opens).chain(self.wire.due()).chain(self.groups.search_due(now)).min()
    }

    /// Ready when the next step may find something to do: an answer, a hint, a listed folder, room for what is to be sent, or
    /// the time that is due.
    pub async fn wait(&mut self, due: Option<Instant>) {
        let (receipts, mirror) = (&mut self.receipts, self.mirror);
        let (full, outlet) = (self.wire.is_full(), self.wire.outlet());
        tokio::select! {
            biased;
            frames = receipts.recv(), if self.early.is_none() => self.early = frames,
            () = mirror.wake.notified() => {}
            () = outlet.has_room(), if full => {}
            () = sleep_until(due) => {}
        }
    }

    /// Answers that are there: a share of them, so that a receiver that never stops to talk is not all that is heard.
    pub(super) fn hear(&mut self) -> Result<bool, Ended> {
        let mut heard = false;
        for _ in 0..HEARD {
            let next = self.early.take().map_or_else(|| self.receipts.try_recv(), Ok);
            match next {
                Ok(frames) => self.take_in(frames)?,
                Err(TryRecvError::Empty) => return Ok(heard),
                Err(TryRecvError::Disconnected) => return Err(Ended::Lost),
            }
            heard = true;
        }
        Ok(heard)
    }

    fn take_in(&mut self, mut frames: Bytes) -> Result<(), Ended> {
        let violation = |error: proto::codec::Error| match error {
            proto::codec::Error::Unsupported { number } => Ended::Unsupported(number),
            error => Ended::Violation(error.to_string()),
        };
        while let Some(frame) = proto::codec::split(&mut frames, proto::limits::FRAME).map_err(violation)? {
            let message = proto::ToSender::decode(frame, self.version).map_err(violation)?;
            self.reply(message)?;
        }
        Ok(())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let unanswered: Vec<_> = self.flight.unanswered().map(|(op, sent)| (op, sent.clone())).collect();
        unanswered.iter().for_each(|(op, sent)| self.doubt_origins(*op, sent));
        self.are_unsure();
        self.origins.answered();
        self.mirror.sent.under_way(0, 0);
        self.mirror.progress.begin();
        self.groups.forget_work();
        self.room.forget_work();
        let now = self.mirror.now();
        self.mirror.pending().link_lost(now);
        self.mirror.progress.set_scanning(false);
        self.mirror.target.set_stuck(false);
    }
}
