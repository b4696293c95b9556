//! That a source is halted: nothing more is sent, and nothing deleted, until a person releases it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::lock;

/// Why a source was halted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The source's root is not there, is not readable or is not the folder that it was.
    #[error("{0}")]
    Root(String),
    /// The source is empty and the backup is not.
    #[error("the source is empty, and the backup is not (it has {entries}): nothing was deleted")]
    Empty {
        /// How many there are in the backup.
        entries: u64,
    },
    /// More would be deleted than `max_delete` allows.
    #[error(
        "{deletes} of {total} entries of the backup would be deleted, more than max_delete allows: nothing was deleted"
    )]
    Deletes {
        /// Entries that would go.
        deletes: u64,
        /// Entries in the backup before that.
        total: u64,
    },
}

/// What a release allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletes {
    /// The brake stays on.
    Braked,
    /// The next pass may delete whatever it finds.
    Once,
}

/// Whether one is halted, and what a release has allowed.
#[derive(Debug, Default)]
pub(super) struct Halts {
    halt: Mutex<Option<Halt>>,
    released: AtomicBool,
}

impl Halts {
    pub fn halted(&self) -> Option<Halt> {
        lock(&self.halt).clone()
    }

    pub fn halt(&self, halt: Halt) {
        *lock(&self.halt) = Some(halt);
    }

    pub fn release(&self, deletes: Deletes) {
        self.released.store(deletes == Deletes::Once, Ordering::Release);
        *lock(&self.halt) = None;
    }

    pub fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    pub fn rearm(&self) {
        self.released.store(false, Ordering::Release);
    }
}
