//! The line between intake and publisher: chunks leave it in the order in which they were admitted, however long each
//! takes to stage. It also bounds what is on the way, and knows when nothing more is coming.
//!
//! Nothing waits in a circle: the intake waits for the publisher, the publisher for pool threads and the outbox, pool
//! threads for the outbox, and that for the peer alone.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::over::Over;
use super::step::Chunk;

/// Chunks on the way, at most.
const CHUNKS: usize = 64;
/// Inline content on the way, in bytes: one chunk more is admitted while less than this waits.
const BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Line {
    state: Mutex<State>,
    /// The publisher waits here.
    news: Condvar,
    /// The intake waits here for room.
    room: Condvar,
    /// The intake waits here for frames too, when the session ends from the other side.
    over: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest is next to be taken; `None` is still being staged.
    chunks: VecDeque<Option<Chunk>>,
    /// Number of the oldest.
    taken: u64,
    bytes: usize,
    /// The intake has nothing to read.
    quiet: bool,
    over: bool,
}

/// How long the publisher waits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    /// Until this moment, and not at all when nothing more is coming.
    Gathering(Instant),
    /// Until this moment.
    Resting(Instant),
}

/// What the publisher gets.
#[derive(Debug)]
pub(super) enum Next {
    Chunk(Chunk),
    /// Nothing came in time, or nothing more is coming.
    Nothing,
    /// The session is over.
    Over,
}

impl Line {
    pub(super) fn new() -> Line {
        Line { state: Mutex::default(), news: Condvar::new(), room: Condvar::new(), over: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Intake: a place for the next chunk, with that much inline content. Waits for room.
    pub(super) fn admit(&self, bytes: usize) -> Result<u64, Over> {
        let mut state = self.lock();
        while !state.over && (state.chunks.len() >= CHUNKS || state.bytes >= BYTES) {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.over {
            return Err(Over);
        }
        state.quiet = false;
        state.bytes += bytes;
        state.chunks.push_back(None);
        Ok(state.taken + state.chunks.len() as u64 - 1)
    }

    /// Whoever staged it: the chunk with this place is complete.
    pub(super) fn arrive(&self, place: u64, chunk: Chunk) {
        let mut state = self.lock();
        let Some(at) = place.checked_sub(state.taken) else { return };
        if let Some(slot) = usize::try_from(at).ok().and_then(|at| state.chunks.get_mut(at)) {
            *slot = Some(chunk);
        }
        if at == 0 {
            self.news.notify_one();
        }
    }

    /// Intake: there is nothing to read now.
    pub(super) fn quiet(&self) {
        let mut state = self.lock();
        state.quiet = true;
        if state.chunks.is_empty() {
            self.news.notify_one();
        }
    }

    /// Whether nothing is on the way: neither waiting nor being staged.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().chunks.is_empty()
    }

    /// Whether nothing is on the way and nothing more is coming.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.quiet && state.chunks.is_empty()
    }

    /// Publisher: the next chunk in order.
    pub(super) fn next(&self, wait: Wait) -> Next {
        let mut state = self.lock();
        loop {
            if state.over {
                return Next::Over;
            }
            if let Some(chunk) = state.chunks.front_mut().and_then(Option::take) {
                let was_full = state.chunks.len() >= CHUNKS || state.bytes >= BYTES;
                state.chunks.pop_front();
                state.taken += 1;
                state.bytes -= chunk.bytes;
                if was_full {
                    self.room.notify_one();
                }
                return Next::Chunk(chunk);
            }
            let until = match wait {
                Wait::Gathering(_) if state.quiet && state.chunks.is_empty() => return Next::Nothing,
                Wait::Gathering(until) | Wait::Resting(until) => until,
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::Nothing;
            }
            (state, _) = self.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Anyone: the session is over. What is on the way is dropped, and with it its temporaries.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        let dropped = std::mem::take(&mut state.chunks);
        self.news.notify_all();
        self.room.notify_all();
        self.over.notify_one();
        drop(state);
        drop(dropped);
    }

    /// Ready when the session is over.
    pub(super) async fn ended(&self) {
        self.over.notified().await;
    }
}
