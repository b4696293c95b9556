//! What a try to read a file costs, attempt by attempt.

use std::time::{Duration, Instant};

use sys::{Birth, Stat};

use super::Try;

/// What a try costs while it lasts.
#[derive(Debug, Default)]
pub(in crate::sender) struct Cost {
    begun: Option<Instant>,
    /// Bytes sent in this attempt, and in all before it.
    bytes: u64,
    earlier: u64,
    /// Whether the target was seen to have a version.
    stands: bool,
}

impl Cost {
    /// An attempt begins now.
    pub fn begins(&mut self, now: Instant) {
        self.earlier += std::mem::take(&mut self.bytes);
        self.begun = Some(now);
    }

    /// So much was sent.
    pub fn sends(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// The target says how large its version is, or that it has none: 0.
    pub fn meets(&mut self, size: u64) {
        self.stands |= size > 0;
    }

    /// All of it by now, in vain, as the file was this then.
    pub fn in_vain(&self, (after, born): (Stat, Option<Birth>), now: Instant) -> Try {
        Try {
            after,
            born,
            bytes: self.earlier + self.bytes,
            last: self.bytes,
            took: self.begun.map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun)),
            stands: self.stands,
        }
    }
}
