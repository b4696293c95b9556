//! The line between intake and publisher: bundles leave it in the order in which they were admitted, however long each
//! takes to stage. It also bounds what is on the way, and knows when nothing more is coming.
//!
//! Nothing waits in a circle: the intake waits for the publisher, the publisher for pool threads and the outbox, pool
//! threads for the outbox, and that for the peer alone. Of [`memory`](super::memory) that tells, too.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::Notify;

use super::memory::{Charge, Retained};
use super::operation::Bundle;
use super::over::Over;
use crate::clock::Clock;
use crate::workers::Workers;

/// Bundles on the way, at most.
const BUNDLES: usize = 64;
/// Bytes of inline content on the way: while there are fewer, one more bundle is admitted, however large.
const BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Line {
    clock: Clock,
    workers: Workers,
    state: Mutex<State>,
    /// The publisher waits here for the next bundle.
    news: Condvar,
    retained: Retained,
    /// All operations up to this one are acknowledged to the peer.
    acknowledged: AtomicU64,
    /// The intake waits here for room.
    room: Condvar,
    /// The intake waits here for frames too, when the session ends from the other side.
    over: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest is next to be taken; `None` is still being staged.
    bundles: VecDeque<Option<Bundle>>,
    /// Number of the oldest bundle: so many have left the line.
    taken: u64,
    bytes: usize,
    /// The intake has nothing to read.
    quiet: bool,
    /// The intake waits for memory: nothing comes before something is carried out.
    starved: bool,
    /// Something else than a bundle is there for the publisher.
    nudged: bool,
    over: bool,
}

/// How long the publisher waits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    /// Until this moment, and not at all when nothing more is coming.
    Gathering(Instant),
    /// Until this moment, whether anything is coming or not.
    Resting(Instant),
}

/// What the publisher gets when it asks for the next bundle.
#[derive(Debug)]
pub(super) enum Next {
    Bundle(Bundle),
    /// Nothing came in time, or nothing more is coming.
    Nothing,
    /// The session is over: nothing comes any more.
    Over,
}

impl Line {
    pub(super) fn new(clock: Clock, workers: Workers, retained: Retained) -> Line {
        let (state, news, room, over, acknowledged) = Default::default();
        Line { clock, workers, state, news, retained, acknowledged, room, over }
    }

    /// What the session holds in memory.
    pub(super) fn retained(&self) -> &Retained {
        &self.retained
    }

    /// What time it is.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// What time it is for people.
    pub(super) fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    /// Publisher: all up to this operation is acknowledged. To be said before the peer hears it.
    pub(super) fn acknowledge(&self, upto: u64) {
        self.acknowledged.store(upto, Ordering::Relaxed);
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Intake: memory for a bundle, where there is some now. On one thread nobody could wait for it.
    pub(super) fn charge(&self, bytes: usize) -> Option<Charge> {
        match self.workers {
            Workers::Inline => Some(self.retained.operations_anyway(bytes)),
            Workers::Threads(_) => self.retained.try_operations(bytes),
        }
    }

    /// Intake: the same, when there is some. The publisher need not gather until then.
    pub(super) fn charge_waiting(&self, bytes: usize) -> Result<Charge, Over> {
        self.starve(true);
        let charge = self.retained.operations(bytes);
        self.starve(false);
        charge
    }

    fn starve(&self, starved: bool) {
        let mut state = self.lock();
        state.starved = starved;
        if starved && state.bundles.is_empty() {
            self.news.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Intake: a place for the next bundle, with so many bytes of inline content. Waits for room, where somebody else makes
    /// some.
    pub(super) fn admit(&self, bytes: usize) -> Result<u64, Over> {
        let mut state = self.lock();
        while self.workers != Workers::Inline && !state.over && (state.bundles.len() >= BUNDLES || state.bytes >= BYTES)
        {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.over {
            return Err(Over);
        }
        state.quiet = false;
        state.bytes += bytes;
        state.bundles.push_back(None);
        Ok(state.taken + state.bundles.len() as u64 - 1)
    }

    /// Whoever staged it: the bundle with this place is complete.
    pub(super) fn arrive(&self, place: u64, bundle: Bundle) {
        let mut state = self.lock();
        let Some(at) = place.checked_sub(state.taken) else { return };
        if let Some(slot) = usize::try_from(at).ok().and_then(|at| state.bundles.get_mut(at)) {
            *slot = Some(bundle);
        }
        if at == 0 {
            self.news.notify_one();
        }
    }

    /// Intake: there is nothing to read now.
    pub(super) fn quiet(&self) {
        let mut state = self.lock();
        state.quiet = true;
        if state.bundles.is_empty() {
            self.news.notify_one();
        }
    }

    /// Whoever answers what the publisher has asked and does not wait for: it is to look.
    pub(super) fn nudge(&self) {
        self.lock().nudged = true;
        self.news.notify_one();
    }

    /// Whether nothing is on the way: neither waiting nor being staged.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().bundles.is_empty()
    }

    /// Whether nothing is on the way and nothing more is coming.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.quiet && state.bundles.is_empty()
    }

    /// Publisher: the next bundle in order.
    pub(super) fn next(&self, wait: Wait) -> Next {
        let mut state = self.lock();
        loop {
            match self.take(&mut state, wait) {
                Ok(next) => return next,
                Err(until) => {
                    let left = until.saturating_duration_since(self.clock.now());
                    (state, _) = self.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// The same without waiting: else until when the publisher would.
    pub(super) fn try_next(&self, wait: Wait) -> Result<Next, Instant> {
        self.take(&mut self.lock(), wait)
    }

    fn take(&self, state: &mut State, wait: Wait) -> Result<Next, Instant> {
        if state.over {
            return Ok(Next::Over);
        }
        if let Some(bundle) = state.bundles.front_mut().and_then(Option::take) {
            let was_full = state.bundles.len() >= BUNDLES || state.bytes >= BYTES;
            state.bundles.pop_front();
            state.taken += 1;
            state.bytes -= bundle.bytes;
            if was_full {
                self.room.notify_one();
            }
            return Ok(Next::Bundle(bundle));
        }
        if std::mem::take(&mut state.nudged) {
            return Ok(Next::Nothing);
        }
        let until = match wait {
            Wait::Gathering(_) if (state.quiet || state.starved) && state.bundles.is_empty() => {
                return Ok(Next::Nothing);
            }
            Wait::Gathering(until) | Wait::Resting(until) => until,
        };
        if until <= self.clock.now() { Ok(Next::Nothing) } else { Err(until) }
    }

    /// Anyone: the session is over. What is on the way is dropped, and with it its temporaries.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        let dropped = std::mem::take(&mut state.bundles);
        self.news.notify_all();
        self.room.notify_all();
        self.over.notify_one();
        drop(state);
        self.retained.end();
        drop(dropped);
    }

    /// Ready when the session is over.
    pub(super) async fn ended(&self) {
        self.over.notified().await;
    }
}
