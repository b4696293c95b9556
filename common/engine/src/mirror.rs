//! The state of one target that outlives its connections: what it is owed, how far it is, what is wrong with it. Shared
//! by the watcher, the sender and the status; every lock is held for a moment and never across a wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use proto::RelPath;
use proto::login::Durability;
use tokio::sync::Notify;

use crate::hint::Hint;
use crate::pending::{Pending, Rules, range_beneath};

/// Problems that are kept with their paths; more are counted.
const PROBLEMS: usize = 1000;

/// Why a source was halted: nothing more is sent, and nothing deleted, until a person releases it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The source's root is not there, is not readable or is not the folder that it was.
    #[error("{0}")]
    Root(String),
    /// The source is empty and the backup is not.
    #[error("the source is empty, but the backup has {entries} entries: nothing was deleted")]
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

/// Where the trouble with an entry is. One entry may have both: each is named, and over by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// It cannot be read here, or is not to be mirrored.
    Here,
    /// The target could not store it, or not all of it.
    There,
}

/// Trouble with one entry, as data: work goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What and why.
    pub reason: String,
    /// When it was first seen.
    pub since: SystemTime,
    /// When it was last seen.
    seen: Instant,
}

/// Problems by path, and side.
#[derive(Debug, Default)]
pub struct Problems {
    by_path: BTreeMap<(RelPath, Side), Problem>,
    beyond: u64,
}

impl Problems {
    /// The problems that are kept, in order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&RelPath, &Problem)> {
        self.by_path.iter().map(|((path, _), problem)| (path, problem))
    }

    /// How many there are, those not kept included.
    pub fn len(&self) -> u64 {
        self.by_path.len() as u64 + self.beyond
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Counters since the start; bytes are bytes.
#[derive(Debug, Default)]
pub struct Sent {
    /// Regular files whose content was sent.
    pub files: AtomicU64,
    /// Their content.
    pub bytes: AtomicU64,
    /// All frames, before TLS.
    pub wire_bytes: AtomicU64,
    /// Entries removed at the target by this side's word.
    pub removed: AtomicU64,
    /// Entries looked at by comparisons.
    pub compared: AtomicU64,
    /// Content of large files under way that has not been sent yet.
    pub(crate) uploading: AtomicU64,
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

    /// Bytes owed, as far as they are known: what large files under way have still to send.
    pub fn owed_bytes(&self) -> u64 {
        self.uploading.load(Ordering::Relaxed)
    }

    /// Whether nothing was ever sent.
    pub fn is_untouched(&self) -> bool {
        self.wire_bytes.load(Ordering::Relaxed) == 0
    }
}

/// See the module.
pub struct Mirror {
    pending: Mutex<Pending>,
    problems: Mutex<Problems>,
    halt: Mutex<Option<Halt>>,
    last_error: Mutex<Option<String>>,
    durability: Mutex<Option<Durability>>,
    released: AtomicBool,
    scanning: AtomicBool,
    /// Wakes the sender: hints came in, a folder was listed, or it is to stop.
    pub wake: Notify,
    /// Counters.
    pub sent: Sent,
}

impl Mirror {
    /// Of a target that is owed nothing yet.
    pub fn new(rules: Rules) -> Mirror {
        Mirror {
            pending: Mutex::new(Pending::new(rules)),
            problems: Mutex::default(),
            halt: Mutex::default(),
            last_error: Mutex::default(),
            durability: Mutex::default(),
            released: AtomicBool::new(false),
            scanning: AtomicBool::new(false),
            wake: Notify::new(),
            sent: Sent::default(),
        }
    }

    /// Takes hints in, in order, and wakes the sender.
    pub fn hint(&self, hints: impl IntoIterator<Item = Hint>) {
        let now = Instant::now();
        let mut pending = self.pending();
        for hint in hints {
            tracing::trace!(?hint);
            pending.hint(hint, now);
        }
        drop(pending);
        self.wake.notify_one();
    }

    /// What is owed.
    pub fn pending(&self) -> MutexGuard<'_, Pending> {
        lock(&self.pending)
    }

    /// Age of the oldest change not acknowledged; zero when in sync.
    pub fn lag(&self) -> Duration {
        self.pending().oldest().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// What is wrong with single entries.
    pub fn problems(&self) -> MutexGuard<'_, Problems> {
        lock(&self.problems)
    }

    /// Notes trouble with one entry at the source; the time of the first notice stays.
    pub fn problem(&self, path: &RelPath, reason: String) {
        self.note(path, Side::Here, reason);
    }

    /// The same of what the target could not store.
    pub fn problem_there(&self, path: &RelPath, reason: String) {
        self.note(path, Side::There, reason);
    }

    fn note(&self, path: &RelPath, side: Side, reason: String) {
        let mut problems = self.problems();
        let key = (path.clone(), side);
        if let Some(known) = problems.by_path.get_mut(&key) {
            known.reason = reason;
            known.seen = Instant::now();
        } else if problems.by_path.len() < PROBLEMS {
            tracing::warn!(path = %path, "{reason}");
            problems.by_path.insert(key, Problem { reason, since: SystemTime::now(), seen: Instant::now() });
        } else {
            problems.beyond += 1;
        }
    }

    /// The trouble with this entry is over, or about to be met again; whether there was any.
    pub fn resolved(&self, path: &RelPath) -> bool {
        let [here, there] = [Side::Here, Side::There].map(|side| self.resolve(path, side));
        here || there
    }

    /// It can be read here now, whatever the target said of it.
    pub(crate) fn resolved_here(&self, path: &RelPath) {
        self.resolve(path, Side::Here);
    }

    fn resolve(&self, path: &RelPath, side: Side) -> bool {
        self.problems().by_path.remove(&(path.clone(), side)).is_some()
    }

    /// Whether there is trouble with anything beneath this folder that is kept with its path.
    pub(crate) fn is_troubled_beneath(&self, folder: &RelPath) -> bool {
        range_beneath(folder, |(from, to)| {
            let bounds = (from.map(|path| (path, Side::There)), to.map(|path| (path, Side::Here)));
            self.problems().by_path.range(bounds).next().is_some()
        })
    }

    /// A comparison of everything, begun at this moment, has met all trouble that there still is.
    pub(crate) fn forget_problems_before(&self, began: Instant) {
        let mut problems = self.problems();
        problems.by_path.retain(|_, problem| problem.seen >= began);
        problems.beyond = 0;
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
