//! Mount points of the source on which nothing is mounted now, and was before. What the target has of them is held, with all
//! that is beneath: nothing there is compared, sent or deleted until the mount is back or a person lets them go.
//!
//! Whoever knows the table of mounts is asked once more before anything is concluded from what shows at the source: a mount may
//! have gone a moment before, of which nobody has told yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use proto::RelPath;

use super::lock;
use crate::pending::Turn;

/// What is known of one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Away {
    since: Instant,
    /// Entries of the backup at and beneath it, once the target has told.
    entries: Option<u64>,
    /// Another folder has taken its place. What leaves it later is that one, or a third: this stays.
    over: bool,
    /// Where the last rename went that has taken it along, as a folder above it was renamed.
    along: Option<RelPath>,
}

/// What is held because of mounts, for who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// How many mounts are away, and one of them.
    pub mounts: u64,
    pub first: RelPath,
    /// Of how many of them it is not known how much the backup has; each counts as one entry.
    pub uncounted: u64,
    pub entries: u64,
    pub since: Instant,
}

/// Tells which are absent, if that may have changed since it was asked last and may concern this place.
pub(super) type Ask = Box<dyn Fn(&RelPath, &mut dyn FnMut(Vec<RelPath>)) + Send + Sync>;

/// See the module. `any`: whether there are some. It is asked at each look.
#[derive(Default)]
pub struct Absent {
    places: Mutex<Places>,
    any: AtomicBool,
    ask: OnceLock<Ask>,
}

#[derive(Default)]
struct Places {
    away: BTreeMap<RelPath, Away>,
    /// What stood where the last rename went to: should that have been half of an exchange, it stands elsewhere.
    replaced: Option<Replaced>,
}

struct Replaced {
    at: RelPath,
    away: Vec<(RelPath, Away)>,
}

impl Absent {
    /// Who is asked from now on.
    pub(super) fn ask_of(&self, ask: Ask) {
        // Another one would tell the same.
        let _ = self.ask.set(ask);
    }

    /// Has it told which are absent by now, if that may not be known and may concern this place.
    pub(super) fn ask(&self, place: &RelPath, mut hear: impl FnMut(Vec<RelPath>)) {
        if let Some(ask) = self.ask.get() {
            ask(place, &mut hear);
        }
    }

    /// These are absent, and no others. Returns what was and is not any more, and what was not before.
    pub(super) fn set(&self, places: Vec<RelPath>, now: Instant) -> (Vec<RelPath>, Vec<RelPath>) {
        let mut absent = lock(&self.places);
        absent.settle();
        let before = std::mem::take(&mut absent.away);
        let new = Away { since: now, entries: None, over: false, along: None };
        let known = |path: &RelPath| before.get(path).unwrap_or(&new).clone();
        absent.away = places.into_iter().map(|path| (path.clone(), known(&path))).collect();
        self.any.store(!absent.away.is_empty(), Ordering::Release);
        let fresh = absent.away.keys().filter(|path| !before.contains_key(*path)).cloned().collect();
        (before.into_keys().filter(|path| !absent.away.contains_key(path)).collect(), fresh)
    }

    /// `from` is now `to`, with the mount points beneath it.
    pub(super) fn renamed(&self, from: &RelPath, to: &RelPath, turn: Turn) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut absent = lock(&self.places);
        let moved = match turn {
            Turn::Renamed => {
                absent.settle();
                let away = absent.take_within(to).into_iter();
                let stays = |(path, away): (RelPath, Away)| {
                    let over = away.over || path == *to;
                    (path, Away { over, along: None, ..away })
                };
                absent.replaced = Some(Replaced { at: to.clone(), away: away.map(stays).collect() });
                let (stay, go) =
                    absent.take_within(from).into_iter().partition(|(path, away)| away.over && path == from);
                let stay: Vec<_> = stay;
                absent.away.extend(stay);
                go
            }
            // What went there with the first half stays.
            Turn::Exchanged => {
                let replaced = absent.replaced.take().filter(|replaced| replaced.at == *from);
                let away = replaced.map(|replaced| replaced.away).unwrap_or_default().into_iter();
                away.map(|(path, away)| (path, Away { over: false, ..away })).collect()
            }
        };
        for (path, away) in moved {
            if let Some(at) = path.rebase(from, to) {
                absent.away.insert(at, Away { along: Some(to.clone()), ..away });
            }
        }
    }

    /// Where they stand by now.
    pub fn places(&self) -> Vec<RelPath> {
        lock(&self.places).all().map(|(path, _)| path.clone()).collect()
    }

    /// Entries of this folder that are one, or a folder with one in it.
    pub(crate) fn within(&self, folder: &RelPath) -> Vec<RelPath> {
        if !self.holds() {
            return Vec::new();
        }
        let entry = |path: RelPath| {
            std::iter::successors(Some(path), RelPath::parent).find(|at| at.parent().as_ref() == Some(folder))
        };
        self.places().into_iter().filter_map(entry).collect()
    }

    /// What is held on account of them; `None` where there are none.
    pub(super) fn told(&self) -> Option<Told> {
        let absent = lock(&self.places);
        let first = absent.all().map(|(path, _)| path).min()?.clone();
        let since = absent.all().map(|(_, away)| away.since).min()?;
        let entries = absent.all().map(|(_, away)| away.entries.unwrap_or(1)).fold(0, u64::saturating_add);
        let uncounted = absent.all().filter(|(_, away)| away.entries.is_none()).count() as u64;
        Some(Told { mounts: absent.all().count() as u64, first, uncounted, entries, since })
    }

    /// Whether this is one of which it is not known how much the backup has.
    pub(crate) fn is_uncounted(&self, path: &RelPath) -> bool {
        lock(&self.places).all().any(|(at, away)| at == path && away.entries.is_none())
    }

    /// The target has so many entries at and beneath this one. Whether it is one.
    pub(crate) fn counted(&self, path: &RelPath, entries: u64) -> bool {
        let mut absent = lock(&self.places);
        let Some(away) = absent.get_mut(path) else { return false };
        away.entries = Some(entries);
        true
    }

    /// Whether this is one.
    pub(crate) fn is_one(&self, path: &RelPath) -> bool {
        self.is_any(|place, _| place == path)
    }

    /// Whether this is one, or is beneath one.
    pub(crate) fn covers(&self, path: &RelPath) -> bool {
        self.is_any(|place, _| path.is_within(place))
    }

    /// The same, or one is beneath it: whether something that is held would go with it.
    pub(crate) fn concerns(&self, path: &RelPath) -> bool {
        self.is_any(|place, _| path.is_within(place) || place.is_within(path))
    }

    /// Whether a rename to or from this place would meet what the target has beneath one, rather than take one along.
    pub(crate) fn is_crossed_at(&self, path: &RelPath) -> bool {
        self.is_any(|place, away| if place == path { away.over } else { path.is_within(place) })
    }

    /// Whether a rename to this place would replace what the target has of one beneath it, which was there before.
    pub(crate) fn is_replaced_at(&self, path: &RelPath) -> bool {
        self.is_any(|place, away| place != path && place.is_within(path) && away.along.as_ref() != Some(path))
    }

    /// Whether there are any.
    pub(super) fn holds(&self) -> bool {
        self.is_any(|_, _| true)
    }

    fn is_any(&self, meets: impl Fn(&RelPath, &Away) -> bool) -> bool {
        self.any.load(Ordering::Acquire) && lock(&self.places).all().any(|(path, away)| meets(path, away))
    }
}

impl Places {
    fn all(&self) -> impl Iterator<Item = (&RelPath, &Away)> {
        let replaced = self.replaced.iter().flat_map(|replaced| &replaced.away);
        self.away.iter().chain(replaced.map(|(path, away)| (path, away)))
    }

    fn get_mut(&mut self, path: &RelPath) -> Option<&mut Away> {
        let replaced = self.replaced.iter_mut().flat_map(|replaced| &mut replaced.away);
        self.away.get_mut(path).or_else(|| replaced.into_iter().find(|(at, _)| at == path).map(|(_, away)| away))
    }

    fn take_within(&mut self, folder: &RelPath) -> Vec<(RelPath, Away)> {
        let within: Vec<_> = self.away.keys().filter(|path| path.is_within(folder)).cloned().collect();
        within.into_iter().filter_map(|path| self.away.remove_entry(&path)).collect()
    }

    /// The last rename was no half of an exchange: what is held where it went to is held there still.
    fn settle(&mut self) {
        for (path, away) in self.replaced.take().into_iter().flat_map(|replaced| replaced.away) {
            self.away.entry(path).or_insert(away);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    fn places(absent: &Absent) -> Vec<String> {
        absent.places().iter().map(RelPath::to_string).collect()
    }

    #[test]
    fn what_is_at_or_beneath_is_covered_and_what_is_above_would_take_it_along() {
        let (absent, now) = (Absent::default(), Instant::now());
        assert_eq!((absent.told(), absent.concerns(&path("a"))), (None, false));
        assert_eq!(absent.set(vec![path("a/b"), path("c")], now).1, [path("a/b"), path("c")]);
        assert_eq!(absent.told(), Some(Told { mounts: 2, first: path("a/b"), uncounted: 2, entries: 2, since: now }));
        let asked =
            ["a", "a/b", "a/b/x", "a/bc", "d"].map(|text| (absent.covers(&path(text)), absent.concerns(&path(text))));
        assert_eq!(asked, [(false, true), (true, true), (true, true), (false, false), (false, false)]);
        absent.renamed(&path("a"), &path("z/y"), Turn::Renamed);
        assert!(absent.covers(&path("z/y/b/x")) && !absent.concerns(&path("a")));
        assert_eq!(absent.set(vec![path("c")], now), (vec![path("z/y/b")], vec![]));
        absent.set(Vec::new(), now);
        assert!(!absent.covers(&path("c")));
    }

    #[test]
    fn what_the_target_has_there_is_counted_once_it_has_told() {
        let (absent, now) = (Absent::default(), Instant::now());
        absent.set(vec![path("a"), path("b")], now);
        assert!(absent.counted(&path("a"), 41) && !absent.counted(&path("c"), 7));
        assert!(!absent.is_uncounted(&path("a")) && absent.is_uncounted(&path("b")));
        absent.renamed(&path("a"), &path("d"), Turn::Renamed);
        absent.set(vec![path("b"), path("d")], now);
        assert_eq!(absent.told(), Some(Told { mounts: 2, first: path("b"), uncounted: 1, entries: 42, since: now }));
    }

    #[test]
    fn they_go_along_with_an_exchange_on_either_side() {
        let now = Instant::now();
        for (before, after) in [(&["a/x"][..], &["b/x"][..]), (&["b/y"], &["a/y"]), (&["a/x", "b/y"], &["a/y", "b/x"])]
        {
            let absent = Absent::default();
            absent.set(before.iter().map(|text| path(text)).collect(), now);
            absent.renamed(&path("a"), &path("b"), Turn::Renamed);
            absent.renamed(&path("b"), &path("a"), Turn::Exchanged);
            assert_eq!(places(&absent), after, "{before:?}");
        }
        // Of two that are called alike each is on the other side.
        let absent = Absent::default();
        absent.set(vec![path("a/x"), path("b/x")], now);
        absent.counted(&path("a/x"), 3);
        absent.renamed(&path("a"), &path("b"), Turn::Renamed);
        absent.renamed(&path("b"), &path("a"), Turn::Exchanged);
        assert_eq!(places(&absent), ["a/x", "b/x"]);
        assert!(absent.is_uncounted(&path("a/x")) && !absent.is_uncounted(&path("b/x")));
        // What takes the place of one does not end it.
        let absent = Absent::default();
        absent.set(vec![path("a")], now);
        absent.renamed(&path("b"), &path("a"), Turn::Renamed);
        assert!(absent.covers(&path("a/x")));
        absent.renamed(&path("c"), &path("d"), Turn::Renamed);
        let crossed = ["a", "a/x", "b"].map(|text| absent.is_crossed_at(&path(text)));
        assert_eq!((places(&absent), crossed), (vec!["a".to_owned()], [true, true, false]));
        // Moved there and back again is none.
        let absent = Absent::default();
        absent.set(vec![path("a/x")], now);
        absent.renamed(&path("a"), &path("b"), Turn::Renamed);
        absent.renamed(&path("b"), &path("a"), Turn::Renamed);
        assert_eq!(places(&absent), ["a/x"]);
    }
}
