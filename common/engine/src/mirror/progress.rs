//! How far the sending of content is: what was found that is to be sent, how much of it is through, also of a large file under
//! way, and how fast it moves. Begins anew with a full pass, and when nothing is owed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;

/// A rate is that of about this time.
const WINDOW: Duration = Duration::from_secs(1);
/// What did not move for this long is at rest.
const REST: Duration = Duration::from_secs(3);

/// See the module. Written by one sender, read by anybody; each number is true by itself.
#[derive(Debug, Default)]
pub struct Progress {
    clock: Clock,
    found: Amount,
    done: Amount,
    compared: AtomicU64,
    whole: AtomicBool,
    scanning: AtomicBool,
    rate: Mutex<Rate>,
}

#[derive(Debug, Default)]
struct Amount {
    files: AtomicU64,
    bytes: AtomicU64,
}

/// [`Progress`] at one moment. Bytes are those of the files, holes and what the target had of them included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Far {
    /// Files that were sent whole.
    pub files: u64,
    /// Bytes of them, and of those under way.
    pub bytes: u64,
    /// Files found that are to be sent, or were.
    pub found_files: u64,
    /// Their bytes, as far as they are known.
    pub found_bytes: u64,
    /// Entries that were compared with the target.
    pub compared: u64,
    /// Whether that is all: the source was looked through, and all sizes are known.
    pub whole: bool,
}

#[derive(Debug, Default)]
struct Rate {
    window: Option<Instant>,
    /// Since the window began.
    bytes: u64,
    /// Bytes a second in the window before.
    last: Option<u64>,
}

impl Progress {
    /// Nothing is found yet.
    pub(crate) fn new(clock: Clock) -> Progress {
        Progress { clock, ..Progress::default() }
    }

    /// How far it is at this moment.
    pub fn far(&self) -> Far {
        let (files, bytes) = self.done.read();
        let (found_files, found_bytes) = self.found.read();
        Far {
            files,
            bytes,
            found_files: found_files.max(files),
            found_bytes: found_bytes.max(bytes),
            compared: self.compared.load(Ordering::Relaxed),
            whole: self.whole.load(Ordering::Relaxed),
        }
    }

    /// Bytes a second, lately.
    pub fn rate(&self) -> u64 {
        self.lock_rate().at(self.clock.now())
    }

    pub(crate) fn begin(&self) {
        self.found.clear();
        self.done.clear();
        self.compared.store(0, Ordering::Relaxed);
        self.whole.store(false, Ordering::Relaxed);
    }

    /// Whether nothing was found or compared since it began.
    pub(crate) fn is_fresh(&self) -> bool {
        self.far() == Far { whole: self.whole.load(Ordering::Relaxed), ..Far::default() }
    }

    /// So many entries were compared.
    pub(crate) fn compare(&self, entries: u64) {
        self.compared.fetch_add(entries, Ordering::Relaxed);
    }

    /// A file that is to be sent.
    pub(crate) fn find(&self, bytes: u64) {
        self.found.add(1, bytes);
    }

    /// It is not to be sent after all, or will be found again.
    pub(crate) fn lose(&self, bytes: u64) {
        self.found.sub(1, bytes);
    }

    /// So much of a file is through.
    pub(crate) fn advance(&self, bytes: u64) {
        self.done.add(0, bytes);
        self.lock_rate().add(bytes, self.clock.now());
    }

    /// So much of a file has to be sent again.
    pub(crate) fn retreat(&self, bytes: u64) {
        self.done.sub(0, bytes);
    }

    /// A file of which all bytes are through is sent.
    pub(crate) fn complete(&self) {
        self.done.add(1, 0);
    }

    pub(crate) fn set_whole(&self, whole: bool) {
        self.whole.store(whole, Ordering::Relaxed);
    }

    /// Whether a comparison of the whole tree is under way.
    pub fn is_scanning(&self) -> bool {
        self.scanning.load(Ordering::Relaxed)
    }

    pub(crate) fn set_scanning(&self, scanning: bool) {
        self.scanning.store(scanning, Ordering::Relaxed);
    }

    fn lock_rate(&self) -> std::sync::MutexGuard<'_, Rate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Amount {
    fn read(&self) -> (u64, u64) {
        (self.files.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    fn add(&self, files: u64, bytes: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What began anew in between is not taken from twice.
    fn sub(&self, files: u64, bytes: u64) {
        let less = |counter: &AtomicU64, by: u64| {
            counter.store(counter.load(Ordering::Relaxed).saturating_sub(by), Ordering::Relaxed);
        };
        less(&self.files, files);
        less(&self.bytes, bytes);
    }

    fn clear(&self) {
        self.files.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }
}

impl Rate {
    fn add(&mut self, bytes: u64, now: Instant) {
        let window = *self.window.get_or_insert(now);
        let during = now.saturating_duration_since(window);
        if during >= REST {
            *self = Rate { window: Some(now), bytes: 0, last: None };
        } else if during >= WINDOW {
            *self = Rate { window: Some(now), bytes: 0, last: Some(per_second(self.bytes, during)) };
        }
        self.bytes += bytes;
    }

    fn at(&self, now: Instant) -> u64 {
        let Some(window) = self.window else { return 0 };
        let during = now.saturating_duration_since(window);
        match self.last {
            _ if during >= REST => 0,
            Some(last) if during < WINDOW => last,
            // What began just now is not yet a rate.
            None if during < WINDOW / 4 => 0,
            _ => per_second(self.bytes, during),
        }
    }
}

fn per_second(bytes: u64, during: Duration) -> u64 {
    (bytes as f64 / during.as_secs_f64().max(1e-3)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_second_and_ends() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(rate.at(start), 0);
        for tick in 0..20 {
            rate.add(1000, after(tick * 100));
        }
        assert_eq!(rate.at(after(1950)), 10_000);
        assert_eq!(rate.at(after(2500)), 6_666, "it slows down");
        assert_eq!(rate.at(after(5000)), 0);
        rate.add(500, after(9000));
        assert_eq!((rate.at(after(9100)), rate.at(after(9500))), (0, 1000));
    }

    #[test]
    fn what_is_done_is_never_more_than_what_was_found() {
        let progress = Progress::default();
        assert!(progress.is_fresh());
        progress.find(100);
        progress.find(50);
        progress.advance(60);
        progress.retreat(60);
        progress.advance(100);
        progress.complete();
        progress.lose(50);
        let far = Far { files: 1, bytes: 100, found_files: 1, found_bytes: 100, ..Far::default() };
        assert_eq!(progress.far(), far);
        progress.begin();
        progress.retreat(5);
        progress.advance(7);
        assert_eq!(progress.far().found_bytes, 7);
    }
}
