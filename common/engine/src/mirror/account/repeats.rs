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
pub(super) struct Repeats {
    sent: HashMap<Version, (u32, Instant)>,
    /// When those of which that is an hour ago were looked for last, to make room.
    swept: Option<Instant>,
}

impl Repeats {
    /// This one was sent again.
    pub fn again(&mut self, version: Version, now: Instant) {
        if self.sent.len() >= MOST && !self.sent.contains_key(&version) {
            if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < PAUSE.1) {
                return;
            }
            self.swept = Some(now);
            self.sent.retain(|_, (_, last)| now.saturating_duration_since(*last) < HOUR);
            if self.sent.len() >= MOST {
                return;
            }
        }
        let (times, last) = self.sent.entry(version).or_insert((0, now));
        (*times, *last) = (times.saturating_add(1), now);
    }

    /// Whether nothing was sent again.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// When this one may be sent once more, if not now.
    pub fn due(&self, version: Version, now: Instant) -> Option<Instant> {
        let (times, last) = self.sent.get(&version)?;
        let doublings = times.checked_sub(FREE)?.min(16);
        let due = *last + (PAUSE.0 * (1 << doublings)).min(PAUSE.1);
        Some(due).filter(|due| *due > now)
    }
}
