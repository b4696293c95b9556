//! That a source is halted: nothing more is sent, and nothing deleted, until a person releases it or its root is back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::lock;

/// Why a source was halted: its root is not there, is not readable or is not the folder that it was. In words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Halt(pub String);

/// Whether one is halted, and whether a person has let deletions through.
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

    pub fn go_on(&self) {
        *lock(&self.halt) = None;
    }

    pub fn release(&self) {
        self.released.store(true, Ordering::Release);
    }

    pub fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    pub fn rearm(&self) {
        self.released.store(false, Ordering::Release);
    }
}
