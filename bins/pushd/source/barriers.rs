//! Moments that somebody waits for: all that happened before one has become hints. Asked for from any thread, reached on the
//! source's own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::watch::PATIENCE;

/// How often it is looked whether one is reached: a little longer than a rename waits for its second half, so that at rest
/// the first look suffices.
pub const LOOK: Duration = PATIENCE.saturating_add(Duration::from_millis(5));

#[derive(Debug, Default)]
pub struct Barriers {
    /// How many were asked for.
    asked: AtomicU64,
    /// The number of the last one that was reached, and with it all before.
    reached: AtomicU64,
}

/// The one that the source's thread waits for, if it does.
#[derive(Debug, Default)]
pub struct Awaited(Option<(u64, Instant)>);

impl Barriers {
    /// Asks for one; returns its number.
    pub fn ask(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Whether the one of this number was reached.
    pub fn is_reached(&self, number: u64) -> bool {
        self.reached.load(Ordering::Acquire) >= number
    }

    /// Takes up what was asked for since the last one: a moment a little later than now, as the kernel may tell late.
    pub fn await_next(&self, awaited: &mut Awaited, now: Instant) {
        let number = self.asked.load(Ordering::Acquire);
        if awaited.0.is_none() && !self.is_reached(number) {
            awaited.0 = Some((number, now + PATIENCE));
        }
    }

    /// The one that is awaited is reached, and no other is.
    pub fn reach(&self, awaited: &mut Awaited) {
        if let Some((number, _)) = awaited.0.take() {
            self.reached.store(number, Ordering::Release);
        }
    }
}

impl Awaited {
    pub fn is_any(&self) -> bool {
        self.0.is_some()
    }

    /// Whether there is one, and all that happened before it has become hints. It goes by time and not by silence, for a busy
    /// source is never silent. `caught_up`: that of the watcher.
    pub fn is_over(&self, caught_up: impl FnOnce() -> Option<Instant>) -> bool {
        self.0.is_some_and(|(_, until)| caught_up().is_some_and(|moment| moment >= until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_reached_when_the_watcher_has_caught_up_with_the_moment_after_it_was_asked_for() {
        let (barriers, mut awaited, now) = (Barriers::default(), Awaited::default(), Instant::now());
        barriers.await_next(&mut awaited, now);
        assert!(!awaited.is_any());
        let (first, second) = (barriers.ask(), barriers.ask());
        barriers.await_next(&mut awaited, now);
        let third = barriers.ask();
        barriers.await_next(&mut awaited, now + PATIENCE * 9);
        assert!(!awaited.is_over(|| None) && !awaited.is_over(|| Some(now)));
        assert!(awaited.is_over(|| Some(now + PATIENCE)));
        barriers.reach(&mut awaited);
        assert_eq!([first, second, third].map(|number| barriers.is_reached(number)), [true, true, false]);
        barriers.await_next(&mut awaited, now);
        assert!(awaited.is_any(), "what was asked for meanwhile");
    }
}
