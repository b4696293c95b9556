//! What went wrong with the ways to one target since the start.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kit::Exit;

use crate::nesting::Nesting;

/// Written by the lane, and asked by whoever waits for it.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<(Trouble, Option<Nesting>)>);

/// What went wrong until one moment, counted.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// Tries that did not get in, and sessions that were ended for a reason.
    refused: u64,
    /// Sessions that were lost. One may be of a link that had been dead for long.
    lost: u64,
    /// The last of both.
    last: Option<(Exit, String)>,
}

impl Troubles {
    /// What went wrong so far.
    pub fn now(&self) -> Trouble {
        self.lock().0.clone()
    }

    /// A try did not get in, or a session was ended for this reason.
    pub fn refused(&self, exit: Exit, reason: &str) {
        let (trouble, _) = &mut *self.lock();
        trouble.refused += 1;
        trouble.last = Some((exit, reason.to_owned()));
    }

    /// A session was lost, for this reason.
    pub fn lost(&self, reason: &str) {
        let (trouble, _) = &mut *self.lock();
        trouble.lost += 1;
        trouble.last = Some((Exit::Unreachable, reason.to_owned()));
    }

    /// The target was reached, and must not be written to for this, or may be.
    pub fn set_nested(&self, nested: Option<Nesting>) {
        self.lock().1 = nested;
    }

    /// Why the target must not be written to, as it lay at the last login.
    pub fn nested(&self) -> Option<Nesting> {
        self.lock().1
    }

    /// Forgets that the target must not be written to; whether that was so.
    pub fn forget_nested(&self) -> bool {
        self.lock().1.take().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, (Trouble, Option<Nesting>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    /// The trouble that has come since `earlier`, if it is more than one lost link.
    pub fn since(self, earlier: &Trouble) -> Option<(Exit, String)> {
        if self.refused > earlier.refused || self.lost > earlier.lost + 1 { self.last } else { None }
    }
}
