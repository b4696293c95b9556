//! A session from its first frame to its end: with threads, each of which has one thing to do, or step by step on the
//! caller's, who then has the clock in hand.

use std::thread;
use std::time::Instant;

use tokio::runtime::Builder;

use super::intake::Intake;
use super::over::Over;
use super::publisher::Publisher;
use super::receipts::Receipts;
use super::{EndReason, Grant, Receiver, Stop};
use crate::channel::{Inbox, Outbox, Outlet};
use crate::workers::{Step, Workers, sleep_until, start_within};

/// A session that is moved on by its steps. Dropped before it is over: it ends without a word to the peer.
pub struct Session<'a> {
    receiver: &'a Receiver,
    /// `None` once the session is over.
    parts: Option<(Intake<'a>, Publisher<'a>)>,
    outbox: Outbox,
    outlet: Outlet,
}

impl Receiver {
    /// Runs until the peer goes away. Blocks: call it on a thread of its own, outside of any asynchronous task.
    ///
    /// On return the outbox is dropped, all threads are joined, and temporaries are removed.
    pub fn run(mut self, inbox: Inbox, outbox: Outbox, stop: Stop) -> EndReason {
        match self.workers {
            Workers::Threads(most) => self.run_on_threads(most.max(1), inbox, outbox, stop),
            Workers::Inline => {
                let runtime = match Builder::new_current_thread().enable_time().build() {
                    Ok(runtime) => runtime,
                    Err(error) => return EndReason::Fault(format!("cannot wait for frames: {error}")),
                };
                let mut session = self.begin(inbox, outbox, stop);
                loop {
                    match session.step() {
                        Step::Worked => {}
                        Step::Idle(due) => runtime.block_on(session.wait(due)),
                        Step::Ended(ended) => return ended,
                    }
                }
            }
        }
    }

    /// Begins a session, to be moved on by [`Session::step`].
    pub fn begin(&mut self, inbox: Inbox, outbox: Outbox, stop: Stop) -> Session<'_> {
        let Receiver { grant, clock, workers, counters, said, line, pool } = &*self;
        let outlet = Outlet::new(outbox.clone(), *workers);
        let receipts = Receipts::new(outlet.clone());
        let publisher = Publisher::new(grant, line, pool, receipts, counters, clock.clone());
        let intake = Intake::new(grant, (line, pool), (inbox, outlet.clone()), stop, *workers, (said, &counters.told));
        Session { receiver: self, parts: Some((intake, publisher)), outbox, outlet }
    }

    fn run_on_threads(self, most: usize, inbox: Inbox, outbox: Outbox, stop: Stop) -> EndReason {
        let Receiver { grant, clock, workers, counters, said, line, pool } = self;
        let (last_word, outlet) = (outbox.clone(), Outlet::new(outbox, workers));
        let ended = thread::scope(|scope| {
            let mut threads = Vec::with_capacity(most);
            let (mut publisher, mut fault) = (None, None);
            for _ in 0..most {
                match start_within(scope, "recv-pool", || pool.work(&line)) {
                    Ok(thread) => threads.push(thread),
                    Err(error) => fault = Some(error),
                }
            }
            let receipts = Receipts::new(outlet.clone());
            let publish = || Publisher::new(&grant, &line, &pool, receipts, &counters, clock).run();
            match start_within(scope, "recv-publish", publish) {
                Ok(thread) => publisher = Some(thread),
                Err(error) => fault = Some(error),
            }
            let ended = match fault {
                Some(error) => EndReason::Fault(format!("cannot start a thread: {error}")),
                None => {
                    Intake::new(&grant, (&line, &pool), (inbox, outlet), stop, workers, (&said, &counters.told)).run()
                }
            };
            line.end();
            pool.close();
            let panicked = threads.into_iter().map(|thread| thread.join()).filter(Result::is_err).count();
            let published = publisher.map_or(Ok(None), |thread| thread.join());
            match published {
                Ok(Some(uprooted)) => EndReason::Uprooted(uprooted),
                Ok(None) if panicked == 0 => ended,
                _ => EndReason::Fault("a thread of the session has panicked".to_owned()),
            }
        });
        drop((line, pool));
        rest(&grant);
        ended.tell(&last_word);
        ended
    }
}

/// Removes the folder of temporaries, of which there are none any more.
fn rest(grant: &Grant) {
    if let Err(error) = grant.replica.rest() {
        tracing::warn!(%error, "cannot remove the folder of temporaries; the next start of the service will");
    }
}

impl Session<'_> {
    /// Reads one buffer, carries out one bundle, and does one step for a large file.
    pub fn step(&mut self) -> Step<EndReason> {
        match self.go_on() {
            Ok(step) => step,
            Err(ended) => {
                let ended = self.end().map_or(ended, EndReason::Uprooted);
                if !self.outlet.is_full() {
                    ended.tell(&self.outbox);
                }
                Step::Ended(ended)
            }
        }
    }

    fn go_on(&mut self) -> Result<Step<EndReason>, EndReason> {
        let Some((intake, publisher)) = &mut self.parts else { return Err(EndReason::Closed) };
        intake.goes_on()?;
        if !self.outlet.flush().map_err(|_| EndReason::Closed)? {
            return Ok(Step::Idle(None));
        }
        let read = intake.step()?;
        let published = publisher.step().map_err(|Over| EndReason::Closed)?;
        let helped = self.receiver.pool.step();
        if helped == Some(true) {
            self.receiver.line.nudge();
        }
        match published {
            Err(due) if !read && helped.is_none() => Ok(Step::Idle(Some(due))),
            _ => Ok(Step::Worked),
        }
    }

    /// Ready when the next step may find something to do.
    pub async fn wait(&mut self, due: Option<Instant>) {
        let full = self.outlet.is_full();
        let Some((intake, _)) = &mut self.parts else { return };
        tokio::select! {
            biased;
            // Why it is over, the next step finds too.
            _ = intake.wait() => {}
            () = self.outlet.has_room(), if full => {}
            () = sleep_until(due) => {}
        }
    }

    /// Says why it had to end, where it was the folder's.
    fn end(&mut self) -> Option<String> {
        let (intake, mut publisher) = self.parts.take()?;
        self.receiver.line.end();
        self.receiver.pool.close();
        let uprooted = publisher.end();
        // And with them all temporaries.
        drop((intake, publisher));
        rest(&self.receiver.grant);
        uprooted
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
