//! Which folders so much is told of that they are compared as a whole: more than a thousand changes a second for five seconds,
//! or thousands of renames in one. While that lasts a comparison follows the other ever later.
//!
//! LIMIT: a comparison does not see that one file was renamed over another of equal size and time. Outside of storms the
//! rename tells it.
//!
//! A storm is where it happens: of the folders below the root in which much changes the deepest that has nearly all of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use proto::RelPath;

/// More changes than this in a second are many.
const MANY: u32 = 1_000;
/// So many renames within a second are a storm at once: each costs more than any other change.
const RENAMES: u32 = 5_000;
/// A storm is when that lasted for so many seconds, and over when it did not.
const LASTS: u32 = 5;
const SECOND: Duration = Duration::from_secs(1);
/// Comparisons of a folder in a storm: after so long the second, and then ever later, up to this.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// When nothing more comes the comparison is due after this time.
const STILL: Duration = Duration::from_secs(2);
/// Every so many changes one place is remembered, and so many of them.
const EVERY: u32 = 16;
const PLACES: usize = 32;
/// LIMIT: bytes of one of those. Of a deeper one a folder above it is remembered, and a storm there is one of that.
const PLACE: usize = 256;
/// LIMIT: entries of the root that are counted at a time.
const METERS: usize = 1_024;

/// See the module. It only counts and tells: what becomes of hints is decided by who asks.
#[derive(Debug, Default)]
pub(super) struct Storms {
    meters: HashMap<RelPath, Meter>,
    /// By the entry of the root that they are in: one for each.
    storms: BTreeMap<RelPath, Storm>,
}

/// What changes below one entry of the root, outside of a storm there.
#[derive(Debug)]
struct Meter {
    rate: Rate,
    /// Folders in which something changed.
    places: VecDeque<RelPath>,
}

/// How much there was in this second, and in those before.
#[derive(Debug)]
struct Rate {
    began: Instant,
    changes: u32,
    renames: u32,
    /// Seconds in a row in which there was much, and those in which there was not.
    busy: u32,
    calm: u32,
}

#[derive(Debug)]
struct Storm {
    folder: RelPath,
    rate: Rate,
    pause: Duration,
    compared: Option<Instant>,
}

impl Rate {
    fn new(now: Instant) -> Rate {
        Rate { began: now, changes: 0, renames: 0, busy: 0, calm: 0 }
    }

    fn roll(&mut self, now: Instant) {
        let over = now.saturating_duration_since(self.began).as_secs().min(u64::from(LASTS) + 1) as u32;
        if over == 0 {
            return;
        }
        let much = self.changes > MANY;
        (self.busy, self.calm) = match much {
            true if over == 1 => (self.busy + 1, 0),
            true => (0, over - 1),
            false => (0, self.calm + over),
        };
        (self.began, self.changes, self.renames) = (now, 0, 0);
    }
}

impl Storms {
    /// The folder of the storm in which this is, or which it is.
    pub fn storm(&self, path: &RelPath) -> Option<RelPath> {
        if self.storms.is_empty() {
            return None;
        }
        let storm = self.storms.get(path.top_bytes())?;
        path.is_within(&storm.folder).then(|| storm.folder.clone())
    }

    /// A change at this place that is not part of a rename.
    pub fn changed(&mut self, path: &RelPath, now: Instant) {
        self.count(path, now, |rate| rate.changes += 1);
    }

    /// Something was renamed. Where that was the folder of a storm, or one above it, the storm is over.
    pub fn renamed(&mut self, from: &RelPath, to: &RelPath, now: Instant) {
        for place in [from, to] {
            if self.storms.get(place.top_bytes()).is_some_and(|storm| storm.folder.is_within(place)) {
                self.storms.remove(place.top_bytes());
            }
        }
        let count = |rate: &mut Rate| (rate.changes, rate.renames) = (rate.changes + 1, rate.renames + 1);
        self.count(from, now, count);
        if from.top_bytes() != to.top_bytes() {
            self.count(to, now, count);
        }
    }

    fn count(&mut self, path: &RelPath, now: Instant, count: impl Fn(&mut Rate)) {
        let top = path.top_bytes();
        if let Some(storm) = self.storms.get_mut(top) {
            storm.rate.roll(now);
            if storm.rate.calm >= LASTS {
                self.storms.remove(top);
            } else if path.is_within(&storm.folder) {
                return count(&mut storm.rate);
            }
        }
        if path.as_bytes() == top {
            // An entry of the root has no folder below it.
            return;
        }
        let Some(meter) = self.meter(path, now) else { return };
        meter.rate.roll(now);
        count(&mut meter.rate);
        if meter.rate.changes.is_multiple_of(EVERY) {
            if meter.places.len() == PLACES {
                meter.places.pop_front();
            }
            meter.places.push_back(place(path));
        }
        if meter.rate.busy >= LASTS || meter.rate.renames >= RENAMES {
            let folder = busiest(&path.top(), &meter.places);
            self.meters.remove(top);
            self.begin(path.top(), folder, now);
        }
    }

    /// That of the entry of the root in which this is; `None` where too many are busy.
    fn meter(&mut self, path: &RelPath, now: Instant) -> Option<&mut Meter> {
        let top = path.top_bytes();
        if !self.meters.contains_key(top) {
            if self.meters.len() >= METERS {
                self.meters.retain(|_, meter| now.saturating_duration_since(meter.rate.began) <= SECOND);
            }
            if self.meters.len() >= METERS {
                return None;
            }
            self.meters.insert(path.top(), Meter { rate: Rate::new(now), places: VecDeque::new() });
        }
        self.meters.get_mut(top)
    }

    fn begin(&mut self, top: RelPath, mut folder: RelPath, now: Instant) {
        if let Some(storm) = self.storms.get(&top) {
            // There is one more beside it: both are one.
            while !storm.folder.is_within(&folder) {
                folder = folder.parent().unwrap_or_default();
            }
        }
        self.storms.retain(|_, storm| now.saturating_duration_since(storm.rate.began) <= SECOND * (LASTS + 1));
        tracing::debug!(%folder, "so much changes here that the folder is compared as a whole");
        self.storms.insert(top, Storm { folder, rate: Rate::new(now), pause: Duration::ZERO, compared: None });
    }

    /// When this folder, in which there is a storm and something has changed again, is to be compared.
    pub fn due(&self, folder: &RelPath, now: Instant) -> Instant {
        let storm = self.storms.get(&folder.top()).filter(|storm| storm.folder == *folder);
        let next = storm.and_then(|storm| Some(storm.compared? + storm.pause));
        next.map_or(now, |next| next.max(now).min(now + STILL))
    }

    /// All at and beneath this folder is being compared.
    pub fn compared(&mut self, folder: &RelPath, now: Instant) {
        if self.storms.is_empty() {
            return;
        }
        if let Some(storm) = self.storms.get_mut(&folder.top()).filter(|storm| storm.folder == *folder) {
            storm.compared = Some(now);
            storm.pause = (storm.pause * 2).clamp(FIRST, LONGEST);
        }
    }
}

/// The folder in which this is, or one above that whose path is not too long.
fn place(path: &RelPath) -> RelPath {
    let bytes = path.as_bytes();
    let short = bytes.get(..=PLACE).unwrap_or(bytes);
    let cut = short.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    RelPath::parse(&bytes[..cut]).unwrap_or_else(|_| path.top())
}

/// The deepest folder that has nearly all of these places in it.
fn busiest(top: &RelPath, places: &VecDeque<RelPath>) -> RelPath {
    let mut shares: HashMap<RelPath, usize> = HashMap::new();
    for place in places {
        for at in std::iter::successors(Some(place.clone()), RelPath::parent) {
            *shares.entry(at).or_default() += 1;
        }
    }
    let most = shares.into_iter().filter(|(at, share)| !at.is_root() && share * 8 >= places.len() * 7);
    most.map(|(at, _)| at).max_by_key(|at| (at.depth(), at.clone())).unwrap_or_else(|| top.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    /// So many changes a second in this folder, for so many seconds.
    fn blow(storms: &mut Storms, folder: &str, many: u32, seconds: u32, start: Instant) -> Instant {
        for n in 0..many * seconds {
            let at = path(format!("{folder}/{n}").trim_start_matches('/'));
            storms.changed(&at, start + SECOND / many * n);
        }
        start + SECOND * seconds
    }

    #[test]
    fn a_storm_is_where_nearly_all_changes_are_when_they_are_many_for_long() {
        let mut storms = Storms::default();
        let now = blow(&mut storms, "www/u1/cache", 1_100, 4, Instant::now());
        assert_eq!(storms.storm(&path("www/u1/cache/1")), None);
        storms.changed(&path("www/u2/index"), now);
        blow(&mut storms, "www/u1/cache", 1_100, 2, now);
        assert_eq!(storms.storm(&path("www/u1/cache/x/y")), Some(path("www/u1/cache")));
        assert_eq!((storms.storm(&path("www/u2/index")), storms.storm(&path("b"))), (None, None));
    }

    #[test]
    fn a_storm_in_a_folder_too_deep_is_one_of_a_folder_above_it() {
        let (mut storms, folder) = (Storms::default(), "folder/".repeat(100) + "x");
        blow(&mut storms, &folder, 1_100, 6, Instant::now());
        let storm = storms.storm(&path(&folder)).unwrap();
        assert_eq!(storm, path("folder/".repeat(36).trim_end_matches('/')));
        assert_eq!((place(&path("a/b/c")), place(&path("a/b"))), (path("a/b"), path("a")));
    }

    #[test]
    fn what_is_short_or_slow_is_none() {
        let mut storms = Storms::default();
        let now = blow(&mut storms, "a", 900, 20, Instant::now());
        let now = blow(&mut storms, "a", 20_000, 3, now);
        blow(&mut storms, "a", 100, 3, now);
        assert_eq!(storms.storm(&path("a/1")), None);
        blow(&mut storms, "", 20_000, 8, now);
        assert!(storms.storms.is_empty(), "entries of the root have no folder below it");
    }

    #[test]
    fn thousands_of_renames_in_a_second_are_one_at_once() {
        let (mut storms, now) = (Storms::default(), Instant::now());
        for _ in 0..RENAMES {
            storms.renamed(&path("a/d/1"), &path("a/d/2"), now);
        }
        assert_eq!(storms.storm(&path("a/d/1")), Some(path("a/d")));
        storms.renamed(&path("a"), &path("b"), now);
        assert_eq!(storms.storm(&path("a/d/1")), None, "it has moved");
    }

    #[test]
    fn comparisons_come_ever_later_and_soon_when_it_is_still() {
        let mut storms = Storms::default();
        let now = blow(&mut storms, "a", 2_000, 6, Instant::now());
        assert_eq!(storms.due(&path("a"), now), now);
        for pause in [1, 2, 2, 2] {
            storms.compared(&path("a"), now);
            assert_eq!(storms.due(&path("a"), now), now + SECOND * pause, "each change puts it off by that at most");
        }
        let ends = now + LONGEST;
        assert_eq!(storms.due(&path("a"), ends), ends);
    }

    #[test]
    fn two_of_one_neighbour_are_one_and_it_ends_when_little_changes() {
        let mut storms = Storms::default();
        let mut now = blow(&mut storms, "a/x/1", 2_000, 6, Instant::now());
        for _ in 0..7 {
            blow(&mut storms, "a/x/1", 2_000, 1, now);
            now = blow(&mut storms, "a/y", 2_000, 1, now);
        }
        assert_eq!(storms.storm(&path("a/y/1")), Some(path("a")));
        now = blow(&mut storms, "a/y", 10, 7, now);
        storms.changed(&path("a/y"), now);
        assert_eq!(storms.storm(&path("a/y/1")), None);
    }
}
