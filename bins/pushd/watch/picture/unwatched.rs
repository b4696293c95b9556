//! Folders that cannot be watched: the limit of watches, or no right to open them. Never silent, never given up.
//!
//! They are told once, remembered with their place, and tried again when watches were given back and from time to time.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use proto::RelPath;
use sys::inotify::Watch;

use crate::watch::event::Spot;

/// They are tried again after so long.
const RETRY: Duration = Duration::from_secs(60);

/// LIMIT: what is remembered to have been said, and bytes of those paths. Then it is forgotten, and said again.
const SAID: (usize, usize) = (10_000, 1024 * 1024);

/// Why a folder is not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The limit of watches.
    Limit,
    /// It cannot be opened.
    Closed,
}

#[derive(Debug)]
pub struct Unwatched {
    places: BTreeMap<Spot, Why>,
    /// Those of them that have not been told yet, and some that are watched by now.
    untold: Vec<(Spot, Why)>,
    /// What has been said in the log already.
    said: HashSet<RelPath>,
    said_bytes: usize,
    /// Watches were given back since the last try.
    freed: bool,
    /// When all are tried in any case.
    retry: Instant,
}

impl Unwatched {
    pub fn new(now: Instant) -> Unwatched {
        let (places, untold, said) = Default::default();
        Unwatched { places, untold, said, said_bytes: 0, freed: false, retry: now }
    }

    /// Remembers a place, to be told and tried again.
    pub fn add(&mut self, place: &Spot, why: Why) {
        if self.places.insert(place.clone(), why).is_none() {
            self.untold.push((place.clone(), why));
        }
    }

    /// Forgets a place; whether it was one of these.
    pub fn remove(&mut self, place: &Spot) -> bool {
        self.places.remove(place).is_some()
    }

    pub fn contains(&self, place: &Spot) -> bool {
        self.places.contains_key(place)
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn places(&self) -> impl Iterator<Item = &Spot> {
        self.places.keys()
    }

    /// Whether this path is to be said in the log: not a second time.
    pub fn say(&mut self, path: &RelPath) -> bool {
        let new = self.said.insert(path.clone());
        self.said_bytes += if new { path.as_bytes().len() } else { 0 };
        if self.said.len() > SAID.0 || self.said_bytes > SAID.1 {
            (self.said, self.said_bytes) = Default::default();
        }
        new
    }

    /// Takes out what has come to be unwatched and still is.
    pub fn untold(&mut self) -> Vec<(Spot, Why)> {
        let mut untold = std::mem::take(&mut self.untold);
        untold.retain(|(place, _)| self.places.contains_key(place));
        untold
    }

    /// Watches were given back: those that came to the limit may fit in now.
    pub fn free(&mut self) {
        self.freed = true;
    }

    /// Which ones are to be tried now; those whose folder is not among these any more are forgotten.
    pub fn due_tries(&mut self, now: Instant, is_known: impl Fn(Watch) -> bool) -> Vec<(Spot, Why)> {
        let freed = std::mem::take(&mut self.freed);
        let all = self.retry <= now;
        if self.places.is_empty() {
            self.retry = now + RETRY;
            return Vec::new();
        }
        if !all && !freed {
            return Vec::new();
        }
        self.retry = now + RETRY;
        self.places.retain(|place, _| is_known(place.parent));
        let chosen = self.places.iter().filter(|(_, why)| all || **why == Why::Limit);
        chosen.map(|(place, why)| (place.clone(), *why)).collect()
    }

    /// When they are tried next, where no watch is given back before.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        match () {
            () if self.places.is_empty() => None,
            () if self.freed => Some(now),
            () => Some(self.retry),
        }
    }

    /// What was said in the log stays said.
    pub fn clear(&mut self) {
        self.places.clear();
        self.untold.clear();
        self.freed = false;
    }
}
