//! Running totals of one session, for status and metrics. Written by the publisher, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::told::Told;

/// What a session has done so far.
#[derive(Debug, Default)]
pub struct Counters {
    files: AtomicU64,
    bytes: AtomicU64,
    ops: AtomicU64,
    removed: AtomicU64,
    problems: AtomicU64,
    last_ms: AtomicU64,
    /// What the sender has told of itself.
    pub told: Told,
}

impl Counters {
    /// Files published with their content.
    pub fn files(&self) -> u64 {
        self.files.load(Relaxed)
    }

    /// Bytes of those files, holes included.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Operations carried out, whatever came of them.
    pub fn ops(&self) -> u64 {
        self.ops.load(Relaxed)
    }

    /// `Remove` operations carried out, also those that found nothing to remove.
    pub fn removed(&self) -> u64 {
        self.removed.load(Relaxed)
    }

    /// Operations that were refused, failed, or were done in part.
    pub fn problems(&self) -> u64 {
        self.problems.load(Relaxed)
    }

    /// When the last batch of operations was over; `None` before the first.
    pub fn last_op(&self) -> Option<SystemTime> {
        match self.last_ms.load(Relaxed) {
            0 => None,
            ms => Some(UNIX_EPOCH + Duration::from_millis(ms)),
        }
    }

    pub(super) fn file(&self, bytes: u64) {
        self.files.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn removal(&self) {
        self.removed.fetch_add(1, Relaxed);
    }

    pub(super) fn problem(&self) {
        self.problems.fetch_add(1, Relaxed);
    }

    /// `ops` more operations are over, now.
    pub(super) fn batch(&self, ops: u64, now: SystemTime) {
        self.ops.fetch_add(ops, Relaxed);
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_ms.store(u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1), Relaxed);
    }
}
