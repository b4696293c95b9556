//! The publisher: takes bundles in order, closes batches, and says what is visible and what is durable.
//!
//! Runs on a thread of its own. With durability `none` operations are carried out as they come and a batch is only a
//! receipt; with `batch` they gather until their contents are flushed, then all names change in order.

mod verdicts;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::login::Durability;
use proto::{Outcome, RelPath};
use sys::{Staged, durable};

use super::answer::Ask;
use super::batch::{Batch, unflushed};
use super::change::Changes;
use super::equal::Equals;
use super::line::{Line, Next, Wait};
use super::operation::{Bundle, Operation};
use super::outcome::{self, Done};
use super::over::Over;
use super::pool::Pool;
use super::receipts::Receipts;
use super::{Counters, Disk, Grant};
use crate::clock::Clock;

/// Operations in a batch, at most.
const OPS: usize = 256;
/// Content in a batch, in bytes, after which it closes.
const BYTES: u64 = 32 * 1024 * 1024;
/// Age at which a batch closes though more is coming.
const AGE: Duration = Duration::from_millis(20);
/// After so long without work the folder of temporaries is removed from the mirror, if it still stands there.
const REST: Duration = Duration::from_millis(500);
/// How often an idle session looks whether its folder still stands at its path.
const LOOK: Duration = Duration::from_secs(4);

pub(super) struct Publisher<'a> {
    line: &'a Line,
    pool: &'a Pool,
    counters: &'a Counters,
    clock: Clock,
    disk: Arc<Disk>,
    durability: Durability,
    receipts: Receipts,
    changes: Changes,
    equals: Equals,
    batch: Batch,
    /// Temporaries may have been made since the last rest.
    restless: bool,
    /// When it looks after its folder, if nothing comes in.
    rests: Option<Instant>,
    /// In words, once the folder does not stand at its path any more.
    uprooted: Option<String>,
}

impl<'a> Publisher<'a> {
    pub(super) fn new(
        grant: &Grant,
        line: &'a Line,
        pool: &'a Pool,
        receipts: Receipts,
        counters: &'a Counters,
        clock: Clock,
    ) -> Publisher<'a> {
        let (changes, durability) = (Changes::new(grant, clock.clone(), line.retained()), grant.durability);
        let (batch, equals, disk) = (Batch::default(), Equals::new(grant), Arc::clone(&grant.disk));
        let (restless, rests, uprooted) = (true, None, None);
        Publisher {
            line,
            pool,
            counters,
            clock,
            disk,
            durability,
            receipts,
            changes,
            equals,
            batch,
            restless,
            rests,
            uprooted,
        }
    }

    /// Works until the session is over. What was not carried out by then is dropped. Where the folder was why it had to end,
    /// says what happened to the folder.
    pub(super) fn run(mut self) -> Option<String> {
        let _alarm = Alarm(self.line);
        loop {
            let next = self.line.next(self.wait());
            if let Err(Over) = self.turn(next) {
                return self.end();
            }
        }
    }

    /// Ends the work. Where the folder was why the session had to end, says what happened to the folder.
    pub(super) fn end(&mut self) -> Option<String> {
        // What fails now has no receipt that would claim it.
        let _ = self.changes.finish();
        self.uprooted.take()
    }

    /// What there is to do now, without waiting: until when it would, where there is nothing.
    pub(super) fn step(&mut self) -> Result<Result<(), Instant>, Over> {
        match self.line.try_next(self.wait()) {
            Ok(next) => self.turn(next).map(Ok),
            Err(until) => Ok(Err(until)),
        }
    }

    fn wait(&mut self) -> Wait {
        match self.batch.closes {
            Some(closes) => Wait::Gathering(closes),
            None => {
                let pause = if self.restless { REST } else { LOOK };
                Wait::Resting(*self.rests.get_or_insert_with(|| self.clock.now() + pause))
            }
        }
    }

    fn turn(&mut self, next: Next) -> Result<(), Over> {
        self.rests = None;
        self.answered()?;
        match next {
            Next::Over => Err(Over),
            Next::Bundle(bundle) => self.bundle(bundle),
            Next::Nothing if self.batch.closes.is_some() => self.close().map(drop),
            Next::Nothing => {
                if self.restless {
                    self.rest();
                }
                self.stand()
            }
        }
    }

    /// Ends the session where its folder does not stand at its path any more: nobody would find what is written to it then.
    /// Asked before each receipt, so that none claims what went there, and once in a while.
    ///
    /// RACE: it may go right after this look. What was acknowledged in between is compared when the sender comes again, for
    /// then another folder stands there.
    fn stand(&mut self) -> Result<(), Over> {
        self.changes.stands().map_err(|why| {
            self.uprooted = Some(why);
            Over
        })
    }

    /// Takes the empty folder of temporaries out of the mirror. Where that fails it is tried again after a while.
    fn rest(&mut self) {
        match self.changes.rest() {
            Ok(gone) => self.restless = !gone,
            Err(error) => tracing::debug!(%error, "cannot remove the folder of temporaries now"),
        }
    }

    fn bundle(&mut self, bundle: Bundle) -> Result<(), Over> {
        self.restless = true;
        let Bundle { first: mut op, operations, charge, .. } = bundle;
        let mut operations = operations.into_iter().peekable();
        while let Some(operation) = operations.next() {
            match operation {
                Operation::Folder { path, about } => {
                    self.make_way(&path)?;
                    let mut run = vec![Ask { op, path, about }];
                    let batch = &self.batch;
                    let joins = |next: &Operation| match next {
                        Operation::Folder { path, .. } => !batch.concerns(path),
                        _ => false,
                    };
                    while let Some(Operation::Folder { path, about }) = operations.next_if(joins) {
                        run.push(Ask { op: op + run.len() as u64, path, about });
                    }
                    let ops = run.len();
                    self.look(run)?;
                    op += ops as u64;
                    self.took(op - 1, ops)?;
                }
                Operation::Count { path } => {
                    self.close()?;
                    let counted = self.changes.count(&path);
                    self.changes.close_up();
                    match counted {
                        Ok(entries) => self.receipts.counted(op, entries)?,
                        Err(error) => self.report(op, Err(outcome::failed(format!("cannot count: {error}"))))?,
                    }
                    self.took(op, 1)?;
                    op += 1;
                }
                Operation::Equal(claim) => {
                    self.equal(op, &claim)?;
                    self.took(op, 1)?;
                    op += 1;
                }
                Operation::Mark { name } => {
                    self.mark(op, &name)?;
                    self.took(op, 1)?;
                    op += 1;
                }
                operation => {
                    self.take(op, operation)?;
                    self.took(op, 1)?;
                    op += 1;
                }
            }
        }
        if !self.batch.waiting.is_empty() {
            // Some of them may be carried out already; they are charged until the others are, too.
            self.batch.charge.join(charge);
        }
        Ok(())
    }

    /// One operation that changes something.
    fn take(&mut self, op: u64, operation: Operation) -> Result<(), Over> {
        match self.durability {
            Durability::None => {
                if self.changes.is_wide() {
                    self.finish()?;
                    self.changes.let_go();
                }
                self.carry_out(op, operation)
            }
            Durability::Batch => {
                if let Operation::Put { size, .. } = &operation {
                    self.batch.bytes = self.batch.bytes.saturating_add(*size);
                }
                self.batch.waiting.push((op, operation));
                Ok(())
            }
        }
    }

    /// The batch holds `ops` operations more, the last of which is `upto`.
    fn took(&mut self, upto: u64, ops: usize) -> Result<(), Over> {
        let batch = &mut self.batch;
        batch.upto = upto;
        batch.ops += ops;
        let now = self.clock.now();
        let closes = *batch.closes.get_or_insert(now + AGE);
        if batch.ops >= OPS || batch.bytes >= BYTES || closes <= now {
            self.close()?;
        }
        Ok(())
    }

    fn carry_out(&mut self, op: u64, operation: Operation) -> Result<(), Over> {
        let (put, asks, removes) = match &operation {
            Operation::Put { size, .. } => (Some(*size), None, false),
            Operation::Ask { meta, .. } => (None, Some(meta.size), false),
            operation => (None, None, matches!(operation, Operation::Remove { .. })),
        };
        self.pool.rests().forget(|folder| operation.displaces(folder));
        let done = self.changes.perform(op, operation);
        let outcome = done.as_ref().err();
        self.disk.note(put.or(asks), outcome, self.clock.now());
        if let (Some(_), Some(outcome)) = (asks, outcome) {
            return self.receipts.outcome(op, outcome.clone());
        }
        if outcome::is_done(&done) {
            self.batch.done.push(op);
            put.into_iter().for_each(|size| self.counters.file(size));
            if removes {
                self.counters.removal();
            }
        }
        self.report(op, done)
    }

    fn report(&mut self, op: u64, done: Done) -> Result<(), Over> {
        let Err(outcome) = done else { return Ok(()) };
        if !matches!(outcome, Outcome::Want | Outcome::Absent | Outcome::Differs) {
            self.counters.problem();
        }
        self.receipts.outcome(op, outcome)
    }

    /// Before a question about a folder: closes the batch where that has changed something that the answer would look at.
    fn make_way(&mut self, folder: &RelPath) -> Result<(), Over> {
        let owes = self.batch.concerns(folder) || self.changes.owes();
        if owes {
            self.close()?;
        }
        Ok(())
    }

    /// Closes the batch: carries out what waits, and sends the receipts. Whether all of it is as durable as it is to be.
    fn close(&mut self) -> Result<bool, Over> {
        let batch = std::mem::take(&mut self.batch);
        if batch.ops == 0 {
            return Ok(true);
        }
        let (upto, ops) = (batch.upto, batch.ops as u64);
        self.batch.done = batch.done;
        let mut whole = self.carry_out_all(batch.waiting)?;
        drop(batch.charge);
        self.finish()?;
        if self.line.is_idle() {
            // Before the receipt: whoever hears that all has arrived finds nothing else in the mirror.
            self.rest();
        }
        self.stand()?;
        if self.durability == Durability::None {
            self.line.acknowledge(upto);
        }
        self.receipts.applied(upto)?;
        match self.durability {
            Durability::None => {
                self.changes.let_go();
                self.batch.done.clear();
            }
            Durability::Batch => {
                self.receipts.send()?;
                match self.seal()? {
                    Some(proof) if whole => {
                        self.stand()?;
                        self.line.acknowledge(upto);
                        self.receipts.durable(upto, proof)?;
                    }
                    _ => whole = false,
                }
            }
        }
        self.counters.batch(ops, self.clock.wall());
        self.receipts.send()?;
        // Nobody waits for this.
        self.changes.free_replaced();
        Ok(whole)
    }

    /// Flushes contents, then carries out all in order. False when something could not be made durable: the operations
    /// concerned have got their outcomes.
    fn carry_out_all(&mut self, waiting: Vec<(u64, Operation)>) -> Result<bool, Over> {
        let staged: Vec<&Staged> = waiting.iter().filter_map(|(_, operation)| operation.staged()).collect();
        if let Err(error) = self.changes.flush(&staged) {
            tracing::error!(%error, operations = waiting.len(), "cannot flush; nothing of this batch is published");
            for (op, operation) in waiting {
                let outcome = unflushed(&operation, &error);
                self.disk.note(None, Some(&outcome), self.clock.now());
                self.report(op, Err(outcome))?;
            }
            return Ok(false);
        }
        let mut sealed = true;
        for (op, operation) in waiting {
            if self.changes.is_wide() {
                self.finish()?;
                sealed &= self.seal()?.is_some();
            }
            self.carry_out(op, operation)?;
        }
        Ok(sealed)
    }

    /// Gives the touched folders their mtimes. Where that fails one operation is not done: the sender will look at its
    /// folders again.
    fn finish(&mut self) -> Result<(), Over> {
        for (op, outcome) in self.changes.finish() {
            if let Some(at) = self.batch.done.iter().position(|done| *done == op) {
                self.batch.done.swap_remove(at);
                self.report(op, Err(outcome))?;
            }
        }
        Ok(())
    }

    /// Makes durable what was carried out since the last time; `None` when that failed and each operation has got its
    /// outcome. Never tried again: the kernel has dropped what it could not write.
    fn seal(&mut self) -> Result<Option<durable::Durable>, Over> {
        let done = std::mem::take(&mut self.batch.done);
        match self.changes.seal() {
            Ok(proof) => Ok(Some(proof)),
            Err(error) => {
                tracing::error!(%error, operations = done.len(), "cannot flush folders; what is published may be lost");
                for op in done {
                    self.report(op, Err(outcome::failed(format!("cannot flush its folder: {error}"))))?;
                }
                Ok(None)
            }
        }
    }
}

/// However the publisher ends, the session is over.
struct Alarm<'a>(&'a Line);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
