//! Which versions were sent in the last hour, the latest of them.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proto::{RelPath, Time};
use sys::Stat;

use super::faded::{Faded, Known};
use super::{HOUR, Past};

/// Versions that are remembered: some 3 MiB.
const MOST: usize = 64 * 1024;
/// What was sent so soon after its last change may have changed since, within a tick of the clock of its file system, and looks
/// the same: it is not remembered. Where times are of whole seconds, ticks are as long as those of FAT.
const TICK: Duration = Duration::from_millis(100);
const LONG_TICK: Duration = Duration::from_millis(2500);

/// One state of a file under one name. The hashes are this process's own: nobody can choose files that are taken for each
/// other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Version(u64);

/// At most [`MOST`], with when each was sent.
pub(super) struct Versions {
    hashing: RandomState,
    /// When each was sent last.
    sent: HashMap<Version, Instant>,
    /// The same in order; one that was sent again stands there twice.
    order: VecDeque<(Version, Instant, SystemTime)>,
    /// When the last of those was sent that are not remembered although it is no hour ago, and a little of each of them.
    forgotten: Option<(Instant, SystemTime)>,
    faded: Faded,
}

impl Versions {
    pub fn new() -> Versions {
        Versions {
            hashing: RandomState::new(),
            sent: HashMap::new(),
            order: VecDeque::new(),
            forgotten: None,
            faded: Faded::default(),
        }
    }

    pub fn of(&self, path: &RelPath, stat: &Stat) -> Version {
        let Stat { size, mtime, ctime, dev, ino, .. } = stat;
        Version(self.hashing.hash_one((path.as_bytes(), dev, ino, size, mtime, ctime)))
    }

    /// The same for when the target says that it lacks something for it.
    pub fn lacking(&self, path: &RelPath, stat: &Stat) -> Version {
        let Version(hash) = self.of(path, stat);
        Version(self.hashing.hash_one((hash, "lacking")))
    }

    /// The same of the file, whatever its names are.
    pub fn of_file(&self, stat: &Stat) -> Version {
        self.of(&RelPath::root(), stat)
    }

    /// This version, of a file that changed last at `changed`, is sent now. What was known of it.
    pub fn meet(&mut self, version: Version, changed: Time, (now, wall): (Instant, SystemTime)) -> Past {
        self.expire(now);
        let past = match self.sent.contains_key(&version) {
            true => Past::Sent,
            false if self.was_never_sent(changed, wall) => Past::New,
            false => match self.faded.of(version.0, now, HOUR) {
                Known::Never => Past::New,
                Known::Sent => Past::Sent,
                Known::Perhaps => Past::Perhaps,
            },
        };
        if !is_fresh(changed, wall) {
            self.sent.insert(version, now);
            self.order.push_back((version, now, wall));
            if self.order.len() > MOST {
                let first = self.order.front().map(|(version, ..)| version.0);
                self.forgotten = self.forget();
                first.into_iter().for_each(|hash| self.faded.add(hash, now, HOUR));
            }
        }
        past
    }

    /// Of a version that is not remembered, whether that says that it was not sent.
    fn was_never_sent(&self, changed: Time, wall: SystemTime) -> bool {
        let Some((_, forgotten)) = self.forgotten else { return true };
        let changed = moment(changed);
        changed > forgotten && changed <= wall
    }

    fn expire(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) >= HOUR;
        while self.order.front().is_some_and(|(_, at, _)| is_old(*at)) {
            self.forget();
        }
        self.forgotten = self.forgotten.filter(|(at, _)| !is_old(*at));
    }

    /// The first in order is not remembered any more, unless it was sent again later. When it was sent.
    fn forget(&mut self) -> Option<(Instant, SystemTime)> {
        let (version, at, wall) = self.order.pop_front()?;
        if self.sent.get(&version) == Some(&at) {
            self.sent.remove(&version);
        }
        Some((at, wall))
    }
}

fn moment(time: Time) -> SystemTime {
    let since = |secs: u64| Duration::new(secs, time.nanos);
    match u64::try_from(time.secs) {
        Ok(secs) => UNIX_EPOCH.checked_add(since(secs)).unwrap_or(UNIX_EPOCH),
        Err(_) => UNIX_EPOCH,
    }
}

/// Whether it has changed in the last hour.
pub(super) fn is_of_late(changed: Time, wall: SystemTime) -> bool {
    wall.duration_since(moment(changed)).map_or(true, |age| age < HOUR)
}

/// Whether it has just changed. What is to change yet is on another clock.
fn is_fresh(changed: Time, wall: SystemTime) -> bool {
    let tick = if changed.nanos == 0 { LONG_TICK } else { TICK };
    wall.duration_since(moment(changed)).is_ok_and(|age| age < tick)
}
