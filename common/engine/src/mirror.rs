//! The state of one target that outlives its connections: what it is owed, how far it is, what is wrong with it. Shared
//! by the watcher, the sender and the status; every lock is held for a moment and never across a wait.

mod lines;
mod notes;
mod progress;
mod trouble;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use proto::login::Durability;
use tokio::sync::Notify;

use crate::blocked::Blocked;
use crate::clock::Clock;
use crate::hint::{Cause, Hint};
use crate::pending::{Pending, Rules};
use crate::view::Selection;
use lines::Lines;
pub(crate) use notes::Round;
pub use notes::{Note, Notes};
pub use progress::{Far, Progress};

/// Why a source was halted: nothing more is sent, and nothing deleted, until a person releases it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The source's root is not there, is not readable or is not the folder that it was.
    #[error("{0}")]
    Root(String),
    /// The source is empty and the backup is not.
    #[error("the source is empty, and the backup is not (it has {entries}): nothing was deleted")]
    Empty {
        /// Entries in the backup.
        entries: u64,
    },
    /// More would be deleted than `max_delete` allows.
    #[error(
        "{deletes} of {total} entries of the backup would be deleted, more than max_delete allows: nothing was deleted"
    )]
    Deletes {
        /// Entries that would go.
        deletes: u64,
        /// Entries there are.
        total: u64,
    },
}

/// Counters since the start; bytes are bytes.
#[derive(Debug, Default)]
pub struct Sent {
    /// Regular files whose content has arrived: it was acknowledged, and not refused.
    pub files: AtomicU64,
    /// Their content.
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
    /// The counters now.
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

    /// Whether nothing was ever sent.
    pub fn is_untouched(&self) -> bool {
        self.wire_bytes.load(Ordering::Relaxed) == 0
    }
}

/// See the module.
pub struct Mirror {
    selection: Selection,
    /// Locked before those that follow, where more than one is.
    pending: Mutex<Pending>,
    problems: Mutex<Notes>,
    left_out: Mutex<Notes>,
    lines: Mutex<Lines>,
    halt: Mutex<Option<Halt>>,
    last_error: Mutex<Option<String>>,
    blocked: Mutex<Option<Blocked>>,
    /// Somebody wants to know now whether that is over.
    asked: AtomicBool,
    durability: Mutex<Option<Durability>>,
    released: AtomicBool,
    scanning: AtomicBool,
    stuck: AtomicBool,
    /// Wakes the sender: hints came in, a folder was listed, or it is to stop.
    pub wake: Notify,
    clock: Clock,
    /// Counters.
    pub sent: Sent,
    /// How far the sending of content is.
    pub progress: Progress,
}

impl Mirror {
    /// Of a target that is owed nothing yet.
    pub fn new(rules: Rules, clock: Clock) -> Mirror {
        let selection = Selection::default();
        let notes = || Mutex::new(Notes::new(clock.clone()));
        Mirror {
            selection,
            pending: Mutex::new(Pending::new(rules).by(clock.clone()).of(selection)),
            problems: notes(),
            left_out: notes(),
            lines: Mutex::default(),
            halt: Mutex::default(),
            last_error: Mutex::default(),
            blocked: Mutex::default(),
            asked: AtomicBool::new(false),
            durability: Mutex::default(),
            released: AtomicBool::new(false),
            scanning: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            wake: Notify::new(),
            sent: Sent::default(),
            progress: Progress::new(clock.clone()),
            clock,
        }
    }

    /// Takes hints in, in order, and wakes the sender.
    pub fn hint(&self, hints: impl IntoIterator<Item = Hint>) {
        let now = self.now();
        let mut pending = self.pending();
        for hint in hints {
            tracing::trace!(?hint);
            let places = match &hint {
                Hint::Renamed { from, to, .. } => Some((from.clone(), to.clone())),
                // Nothing is owed of it, so nobody looks.
                Hint::Entry { path, cause } if cause.has(Cause::GONE) && self.selection.leaves_out(path).is_some() => {
                    self.gone(path);
                    None
                }
                _ => None,
            };
            pending.hint(hint, now);
            if let Some((from, to)) = places {
                self.renamed((&from, &to), pending.turn());
            }
        }
        drop(pending);
        self.wake.notify_one();
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Now, for who tells it of something.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// What is owed, locked: nobody waits while holding it.
    pub fn pending(&self) -> MutexGuard<'_, Pending> {
        lock(&self.pending)
    }

    /// What it is owed, as far as that is known.
    pub fn owed(&self) -> Owed {
        let (waiting, under_way) = self.pending().sizes();
        if under_way == 0 {
            return Owed { paths: waiting, bytes: 0 };
        }
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let paths = waiting + under_way.max(now(&self.sent.entries_under_way));
        Owed { paths, bytes: now(&self.sent.bytes_under_way) }
    }

    /// Age of the oldest change not acknowledged; zero when in sync.
    pub fn lag(&self) -> Duration {
        self.pending().oldest().map_or(Duration::ZERO, |since| self.clock.since(since))
    }

    /// Why it is halted, if it is.
    pub fn halted(&self) -> Option<Halt> {
        lock(&self.halt).clone()
    }

    /// Halts it.
    pub fn halt(&self, halt: Halt) {
        *lock(&self.halt) = Some(halt);
    }

    /// Ends a halt. With `Deletes::Once` the next pass may delete whatever it finds.
    pub fn release(&self, deletes: Deletes) {
        self.released.store(deletes == Deletes::Once, Ordering::Release);
        *lock(&self.halt) = None;
        self.wake.notify_one();
    }

    /// Whether the pass under way may delete without the brake.
    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    /// The pass that was released is over: the brake holds again.
    pub(crate) fn rearm(&self) {
        self.released.store(false, Ordering::Release);
    }

    /// Whether a comparison of the whole tree is under way.
    pub fn is_scanning(&self) -> bool {
        self.scanning.load(Ordering::Relaxed)
    }

    pub(crate) fn set_scanning(&self, scanning: bool) {
        self.scanning.store(scanning, Ordering::Relaxed);
    }

    /// Whether the target fails again and again to store what it gets, and has for about 15 seconds.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    pub(crate) fn set_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Relaxed);
    }

    /// Why nothing that needs room is stored, if that is so.
    pub fn blocked(&self) -> Option<Blocked> {
        lock(&self.blocked).clone()
    }

    pub(crate) fn set_blocked(&self, blocked: Option<Blocked>) {
        let now = blocked.as_ref().map(Blocked::to_string);
        let before = std::mem::replace(&mut *lock(&self.blocked), blocked).map(|before| before.to_string());
        let mut error = lock(&self.last_error);
        if now.is_some() || *error == before {
            *error = now;
        }
    }

    /// Has it tried soon whether a blocked target is blocked still; [`Blocked::tries`] tells that it was.
    pub fn try_again(&self) {
        self.asked.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    pub(crate) fn is_answered(&self) {
        self.asked.store(false, Ordering::Release);
    }

    /// The last trouble with the connection or the target as a whole.
    pub fn last_error(&self) -> Option<String> {
        lock(&self.last_error).clone()
    }

    /// What its acknowledgements mean, as the receiver said last; `None` before it has.
    pub fn durability(&self) -> Option<Durability> {
        *lock(&self.durability)
    }

    pub(crate) fn set_durability(&self, durability: Durability) {
        *lock(&self.durability) = Some(durability);
    }

    /// Notes or clears it.
    pub fn set_last_error(&self, error: Option<String>) {
        *lock(&self.last_error) = error;
    }
}

/// What a release allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletes {
    /// The brake stays on.
    Braked,
    /// The next pass may delete whatever it finds.
    Once,
}

/// A panic elsewhere does not make these values wrong: each is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
