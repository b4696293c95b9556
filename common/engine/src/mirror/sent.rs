//! What was sent since the start, and what is known of what is being sent. Written by one sender, read by anybody.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start; bytes are bytes.
#[derive(Debug, Default)]
pub struct Sent {
    /// Regular files whose content has arrived: it was acknowledged, and not refused.
    pub files: AtomicU64,
    /// Bytes of their content.
    pub bytes: AtomicU64,
    /// All frames, before TLS.
    pub wire_bytes: AtomicU64,
    /// Removals at the target by this side's word, acknowledged likewise; a folder with all that is in it is one.
    pub removed: AtomicU64,
    /// Entries looked at by comparisons.
    pub compared: AtomicU64,
    /// What is known of the work under way, see [`Owed`].
    entries_under_way: AtomicU64,
    bytes_under_way: AtomicU64,
}

/// What a target is owed at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owed {
    /// Changes that wait to be looked at, differences that comparisons have found so far, and what was sent and is not
    /// acknowledged; at least one for each piece of work, however much there will be found in it.
    pub paths: u64,
    /// Content of files that comparisons have found, where a listing told the size, and that large files under way have
    /// still to send; that of small files until they are acknowledged.
    pub bytes: u64,
}

/// [`Sent`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Totals {
    pub files: u64,
    pub bytes: u64,
    pub wire_bytes: u64,
    pub removed: u64,
    pub compared: u64,
}

impl Sent {
    /// All counters at one moment, each true by itself.
    pub fn totals(&self) -> Totals {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            files: now(&self.files),
            bytes: now(&self.bytes),
            wire_bytes: now(&self.wire_bytes),
            removed: now(&self.removed),
            compared: now(&self.compared),
        }
    }

    pub(crate) fn arrived(&self, files: u64, bytes: u64, removed: u64) {
        for (counter, more) in [(&self.files, files), (&self.bytes, bytes), (&self.removed, removed)] {
            counter.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Of the work under way so many entries and bytes are known.
    pub(crate) fn under_way(&self, entries: u64, bytes: u64) {
        self.entries_under_way.store(entries, Ordering::Relaxed);
        self.bytes_under_way.store(bytes, Ordering::Relaxed);
    }

    /// Entries and bytes that are known of the work under way.
    pub(super) fn known(&self) -> (u64, u64) {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (now(&self.entries_under_way), now(&self.bytes_under_way))
    }
}
