//! Watched folders that have lost their place: another one stands there now. Where they went is told by an event that is
//! still to come, or they are gone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sys::inotify::Watch;

use super::At;
use crate::watch::event::Spot;

/// A folder without a place is kept so long; its place, if it has one, is found within milliseconds.
const KEPT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Adrift(BTreeMap<Watch, Lost>);

#[derive(Debug)]
struct Lost {
    /// The rename (from, to) that took its place `to`.
    by: Option<(Spot, Spot)>,
    at: At,
    /// Something happened in it meanwhile that could not be hinted.
    missed: bool,
}

/// What there is to say of a folder that has a place again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// Something in it could not be hinted for want of a path: all of it is to be looked at.
    Missed,
    /// It was not adrift, or nothing happened meanwhile.
    Whole,
}

impl Adrift {
    pub fn add(&mut self, watch: Watch, by: Option<(Spot, Spot)>, at: At) {
        self.0.insert(watch, Lost { by, at, missed: false });
    }

    pub fn remove(&mut self, watch: Watch) -> Landed {
        match self.0.remove(&watch) {
            Some(Lost { missed: true, .. }) => Landed::Missed,
            _ => Landed::Whole,
        }
    }

    /// A hint about something in a folder could not be given; `top`: the topmost folder above it.
    pub fn miss(&mut self, top: Watch) {
        if let Some(lost) = self.0.get_mut(&top) {
            lost.missed = true;
        }
    }

    /// Whom the rename `from` → `to` put out of its place.
    pub fn displaced_by(&self, from: &Spot, to: &Spot) -> Option<Watch> {
        let by = |lost: &Lost| lost.by.as_ref().is_some_and(|(f, t)| f == from && t == to);
        self.0.iter().find(|(_, lost)| by(lost)).map(|(watch, _)| *watch)
    }

    /// Who was not found in time; they stay here until they are removed.
    pub fn overdue(&self, now: Instant) -> Vec<Watch> {
        self.0.iter().filter(|(_, lost)| lost.at.now + KEPT <= now).map(|(watch, _)| *watch).collect()
    }

    /// When one will be overdue.
    pub fn due(&self) -> Option<Instant> {
        self.0.values().map(|lost| lost.at.now + KEPT).min()
    }

    /// How far back what is still to be found out may reach.
    pub fn oldest(&self) -> Option<Instant> {
        self.0.values().map(|lost| lost.at.behind).min()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}
