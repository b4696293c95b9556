//! What time it is, for both roles and all that is theirs: taken from outside, so that a test gives them a clock of its own.
//!
//! A clock is asked, never waited on: who waits for a moment waits outside of here, and then asks again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Clones are the same clock.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    began: Instant,
    /// Nanoseconds since it began.
    passed: AtomicU64,
}

/// What the wall clock shows when a manual clock begins: some day in 2020, the same for all of them.
const DAY: Duration = Duration::from_secs(1_600_000_000);

impl Default for Clock {
    fn default() -> Clock {
        Clock::system()
    }
}

impl Clock {
    /// The clocks of this machine.
    pub fn system() -> Clock {
        Clock(Source::System)
    }

    /// One that stands still but for [`advance`](Clock::advance).
    pub fn manual() -> Clock {
        Clock::manual_from(Instant::now())
    }

    /// The same that begins at this moment, for who keeps it in step with another clock.
    pub fn manual_from(began: Instant) -> Clock {
        Clock(Source::Manual(Arc::new(Manual { began, passed: AtomicU64::new(0) })))
    }

    /// Now, on the clock that never goes back.
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Manual(manual) => manual.began + manual.passed(),
        }
    }

    /// Now, on the clock that shows people the time, and may be set.
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::System => SystemTime::now(),
            Source::Manual(manual) => UNIX_EPOCH + DAY + manual.passed(),
        }
    }

    /// How long ago this was; zero for what is yet to come.
    pub fn since(&self, then: Instant) -> Duration {
        self.now().saturating_duration_since(then)
    }

    /// Lets time pass, on both clocks. Does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            manual.passed.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Lets time pass until then, if that is not over already.
    pub fn advance_to(&self, then: Instant) {
        self.advance(then.saturating_duration_since(self.now()));
    }
}

impl Manual {
    fn passed(&self) -> Duration {
        Duration::from_nanos(self.passed.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_goes_only_when_it_is_told_to() {
        let clock = Clock::manual();
        let (same, began, wall) = (clock.clone(), clock.now(), clock.wall());
        assert_eq!((clock.now(), clock.wall()), (began, wall));
        let second = Duration::from_secs(1);
        same.advance(second);
        assert_eq!((clock.now(), clock.wall()), (began + second, wall + second));
        clock.advance_to(began + 3 * second);
        clock.advance_to(began);
        assert_eq!(clock.since(began), 3 * second);
        assert_eq!(clock.since(began + 9 * second), Duration::ZERO);
        assert_eq!(Clock::manual().wall(), wall, "all begin on the same day");
    }

    #[test]
    fn the_clock_of_the_system_goes_by_itself() {
        let (clock, before) = (Clock::system(), Instant::now());
        clock.advance(Duration::from_secs(1000));
        assert!(clock.now() >= before && clock.since(before) < Duration::from_secs(900));
        assert!(clock.wall() > UNIX_EPOCH + DAY);
    }
}
