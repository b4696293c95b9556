//! What the publisher says of folders, of contents and of a moment: listings, whether files are equal, and marks.

use super::Publisher;
use crate::receiver::answer::Ask;
use crate::receiver::asks::Asks;
use crate::receiver::equal::{Begun, Claim};
use crate::receiver::outcome;
use crate::receiver::over::Over;

impl Publisher<'_> {
    /// Answers questions about folders, in parallel, the answers in order.
    pub(super) fn look(&mut self, run: Vec<Ask>) -> Result<(), Over> {
        let mut asks = Asks::new(run);
        while let Some((answer, charge)) = asks.next(self.pool, self.line.retained())? {
            self.changes.note(&answer);
            if answer.problem {
                self.counters.problem();
            }
            let frame = answer.frame.map(|frame| charge.until_dropped(frame));
            frame.into_iter().try_for_each(|frame| self.receipts.frame(frame))?;
        }
        self.changes.close_up();
        self.receipts.send()
    }

    /// Gives this moment a name. All before it is durable then, or it is not given.
    pub(super) fn mark(&mut self, op: u64, name: &str) -> Result<(), Over> {
        let done = if self.close()? {
            self.changes.mark(op, name, self.clock.wall())
        } else {
            Err(outcome::failed("what came before the mark is not durable"))
        };
        if outcome::is_done(&done) {
            self.batch.done.push(op);
        }
        self.report(op, done)
    }

    /// Has a file compared with what the sender says of it. Until that is known no receipt is sent.
    pub(super) fn equal(&mut self, op: u64, claim: &Claim) -> Result<(), Over> {
        if let Some(folder) = claim.path.parent() {
            self.make_way(&folder)?;
        }
        while self.equals.is_full() {
            // On one thread nobody else reads.
            while self.pool.works_inline() && self.pool.step().is_some() {}
            if let Some((op, verdict)) = self.equals.wait()? {
                self.report(op, verdict)?;
            }
        }
        match self.equals.ask(op, claim, self.clock.now()) {
            Begun::Answered(verdict) => self.report(op, verdict),
            Begun::Reads(reading) => {
                self.receipts.hold();
                self.pool.read(reading);
                Ok(())
            }
        }
    }

    /// Tells what is answered by now. What waited for the last answer follows.
    pub(super) fn answered(&mut self) -> Result<(), Over> {
        if self.equals.is_empty() {
            return Ok(());
        }
        while let Some((op, verdict)) = self.equals.answered()? {
            self.report(op, verdict)?;
        }
        if self.equals.is_empty() {
            self.receipts.let_go()?;
            self.receipts.send()?;
        }
        Ok(())
    }
}
