//! Where the picture may differ from the disk: places and folders to be looked at again, the later the more often that was
//! of no use.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sys::inotify::Watch;

use super::At;
use crate::watch::event::Spot;
use crate::watch::pairing::PATIENCE;

/// A place about which there is still doubt after so many tries is given up, some five seconds after the first.
pub const TRIES: u8 = 8;

#[derive(Debug, Default)]
pub struct Doubts(BTreeMap<Where, Doubt>);

/// What to look at again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Where {
    /// Which folder stands there.
    Spot(Spot),
    /// Which folders stand in this one.
    Listing(Watch),
}

#[derive(Debug, Clone, Copy)]
pub struct Doubt {
    /// How many looks were of no use.
    pub tries: u8,
    due: Instant,
    /// How far back what is found out may reach.
    pub behind: Instant,
}

impl Doubts {
    /// Of two doubts about the same, the more tries, the earlier look and the earlier moment count.
    pub fn add(&mut self, subject: Where, tries: u8, at: At) {
        let wait = if tries == 0 { Duration::ZERO } else { PATIENCE * 2u32.saturating_pow(u32::from(tries) - 1) };
        let due = at.now + wait;
        let doubt = self.0.entry(subject).or_insert(Doubt { tries, due, behind: at.behind });
        doubt.tries = doubt.tries.max(tries);
        doubt.due = doubt.due.min(due);
        doubt.behind = doubt.behind.min(at.behind);
    }

    /// What is to be looked at by now. It stays in doubt until it is removed.
    pub fn overdue(&self, now: Instant) -> Vec<Where> {
        self.0.iter().filter(|(_, doubt)| doubt.due <= now).map(|(subject, _)| subject.clone()).collect()
    }

    pub fn remove(&mut self, subject: &Where) -> Option<Doubt> {
        self.0.remove(subject)
    }

    /// When one will be overdue.
    pub fn due(&self) -> Option<Instant> {
        self.0.values().map(|doubt| doubt.due).min()
    }

    /// How far back what is still to be found out may reach.
    pub fn oldest(&self) -> Option<Instant> {
        self.0.values().map(|doubt| doubt.behind).min()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}
