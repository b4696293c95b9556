//! Renames of watched folders that are done in the picture and not yet confirmed. The kernel tells of a rename in the two
//! folders that it is from and to, and then in the folder itself: only that says for sure which folder it was.

use std::time::Instant;

use sys::inotify::Watch;

use super::At;
use crate::watch::event::Spot;
use crate::watch::pairing::PATIENCE;

#[derive(Debug, Default)]
pub struct Renames {
    /// How many times a folder was told to be renamed, to come or to leave.
    told: u64,
    unconfirmed: Vec<Unconfirmed>,
}

/// A rename by which this folder was moved in the picture.
#[derive(Debug)]
pub struct Unconfirmed {
    moved: Watch,
    pub from: Spot,
    pub to: Spot,
    /// What `told` was when it was moved.
    number: u64,
    until: Instant,
    /// How far back it may reach.
    pub behind: Instant,
}

/// What it means that a folder says that it was renamed.
#[derive(Debug)]
pub enum Confirmed {
    /// It is the one that was moved last.
    Sure,
    /// It was moved, but others were renamed since: it may speak of one of those.
    Unsure(Unconfirmed),
    /// It was not moved: all that were are doubtful, and so is where it stands.
    Another(Vec<Unconfirmed>),
}

impl Renames {
    /// A folder was told to be renamed, to come or to leave.
    pub fn count(&mut self) {
        self.told += 1;
    }

    /// The folder was moved, and is to confirm it.
    pub fn expect(&mut self, moved: Watch, from: Spot, to: Spot, at: At) {
        let (number, until) = (self.told, at.now + PATIENCE);
        self.unconfirmed.push(Unconfirmed { moved, from, to, number, until, behind: at.behind });
    }

    /// The folder says that it was renamed.
    pub fn confirm(&mut self, watch: Watch) -> Confirmed {
        let Some(at) = self.unconfirmed.iter().position(|rename| rename.moved == watch) else {
            return Confirmed::Another(std::mem::take(&mut self.unconfirmed));
        };
        let rename = self.unconfirmed.remove(at);
        if rename.number == self.told { Confirmed::Sure } else { Confirmed::Unsure(rename) }
    }

    /// Takes one out that was not confirmed in time. `drained`: when the kernel's queue was last seen empty.
    pub fn overdue(&mut self, drained: Instant) -> Option<Unconfirmed> {
        let at = self.unconfirmed.iter().position(|rename| rename.until <= drained)?;
        Some(self.unconfirmed.remove(at))
    }

    /// When one will be overdue.
    pub fn due(&self) -> Option<Instant> {
        self.unconfirmed.iter().map(|rename| rename.until).min()
    }

    /// How far back what is still to be found out may reach.
    pub fn oldest(&self) -> Option<Instant> {
        self.unconfirmed.iter().map(|rename| rename.behind).min()
    }

    pub fn clear(&mut self) {
        self.unconfirmed.clear();
    }
}
