//! Versions that the target has got again and again: each is sent ever later.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::HOUR;
use super::versions::Version;

/// Versions that this is remembered of. Where there are more, only all that is sent again together is bounded.
const MOST: usize = 4096;
/// How often one is sent again without a pause: its folder may be lost more than once.
const FREE: u32 = 2;
/// First and longest pause.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How often each was sent again, and when last.
#[derive(Debug, Default)]
pub(super) struct Repeats(HashMap<Version, (u32, Instant)>);

impl Repeats {
    /// This one was sent again.
    pub fn again(&mut self, version: Version, now: Instant) {
        if self.0.len() >= MOST && !self.0.contains_key(&version) {
            self.0.retain(|_, (_, last)| now.saturating_duration_since(*last) < HOUR);
            if self.0.len() >= MOST {
                return;
            }
        }
        let (times, last) = self.0.entry(version).or_insert((0, now));
        (*times, *last) = (times.saturating_add(1), now);
    }

    /// Whether nothing was sent again.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When this one may be sent once more, if not now.
    pub fn due(&self, version: Version, now: Instant) -> Option<Instant> {
        let (times, last) = self.0.get(&version)?;
        let doublings = times.checked_sub(FREE)?.min(16);
        let due = *last + (PAUSE.0 * (1 << doublings)).min(PAUSE.1);
        Some(due).filter(|due| *due > now)
    }
}
