//! Mount points of the source on which nothing is mounted now, and was before. What the target has of them is held, with all
//! that is beneath: nothing there is compared, sent or deleted until the mount is back or a person lets them go.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use proto::RelPath;

use super::lock;

/// See the module; each with when it was noticed. `any`: whether there are some. It is asked at each look.
#[derive(Debug, Default)]
pub struct Absent {
    places: Mutex<BTreeMap<RelPath, Instant>>,
    any: AtomicBool,
}

impl Absent {
    /// These are absent, and no others. Returns what was and is not any more.
    pub(super) fn set(&self, places: Vec<RelPath>, now: Instant) -> Vec<RelPath> {
        let mut absent = lock(&self.places);
        let before = std::mem::take(&mut *absent);
        *absent = places.into_iter().map(|path| (path.clone(), before.get(&path).copied().unwrap_or(now))).collect();
        self.any.store(!absent.is_empty(), Ordering::Release);
        before.into_keys().filter(|path| !absent.contains_key(path)).collect()
    }

    /// `from` is now `to`, with the mount points beneath it.
    pub(super) fn renamed(&self, from: &RelPath, to: &RelPath) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut absent = lock(&self.places);
        let moved: Vec<_> = absent.keys().filter(|path| path.is_within(from)).cloned().collect();
        for path in moved {
            if let (Some(since), Some(at)) = (absent.remove(&path), path.rebase(from, to)) {
                absent.insert(at, since);
            }
        }
    }

    /// How many there are, and since when; `None` where there are none.
    pub(super) fn told(&self) -> Option<(u64, Instant)> {
        let absent = lock(&self.places);
        Some((absent.len() as u64, absent.values().min().copied()?))
    }

    /// Whether this is one, or is beneath one.
    pub(crate) fn covers(&self, path: &RelPath) -> bool {
        self.is_any(|place| path.is_within(place))
    }

    /// The same, or one is beneath it: whether something that is held would go with it.
    pub(crate) fn concerns(&self, path: &RelPath) -> bool {
        self.is_any(|place| path.is_within(place) || place.is_within(path))
    }

    fn is_any(&self, meets: impl Fn(&RelPath) -> bool) -> bool {
        self.any.load(Ordering::Acquire) && lock(&self.places).keys().any(meets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_or_beneath_is_covered_and_what_is_above_would_take_it_along() {
        let path = |text: &str| RelPath::parse(text.as_bytes()).unwrap();
        let (absent, now) = (Absent::default(), Instant::now());
        assert_eq!((absent.told(), absent.concerns(&path("a"))), (None, false));
        absent.set(vec![path("a/b"), path("c")], now);
        assert_eq!(absent.told(), Some((2, now)));
        let asked =
            ["a", "a/b", "a/b/x", "a/bc", "d"].map(|text| (absent.covers(&path(text)), absent.concerns(&path(text))));
        assert_eq!(asked, [(false, true), (true, true), (true, true), (false, false), (false, false)]);
        absent.renamed(&path("a"), &path("z/y"));
        assert!(absent.covers(&path("z/y/b/x")) && !absent.concerns(&path("a")));
        assert_eq!(absent.set(vec![path("c")], now), [path("z/y/b")]);
        absent.set(Vec::new(), now);
        assert!(!absent.covers(&path("c")));
    }
}
