//! What the publisher has taken in since its last receipt.

use std::time::Instant;

use proto::{Outcome, RelPath};
use sys::{Lack, Staged};

use super::memory::Charge;
use super::operation::{Item, Operation};
use super::outcome;

/// Operations since the last receipt.
#[derive(Default)]
pub(super) struct Batch {
    /// Those that wait for the flush, with their numbers; none with durability `none`.
    pub waiting: Vec<(u64, Operation)>,
    /// What those hold in memory.
    pub charge: Charge,
    /// Those that were carried out.
    pub done: Vec<u64>,
    pub ops: usize,
    pub bytes: u64,
    /// When it must close though more is coming; `None` while it is empty.
    pub closes: Option<Instant>,
    pub upto: u64,
}

impl Batch {
    /// Whether something that waits may change the listing of this folder.
    pub fn concerns(&self, folder: &RelPath) -> bool {
        self.waiting.iter().any(|(_, operation)| operation.concerns(folder))
    }
}

/// The outcome of an operation when the batch could not be flushed, and none of it was carried out. Only a `Put` is told that
/// the disk is full: what frees room can be tried again at once.
pub(super) fn unflushed(operation: &Operation, error: &std::io::Error) -> Outcome {
    match (Lack::of(error), operation) {
        (Some(Lack::Room), Operation::Put { .. }) | (Some(Lack::Writing), _) => outcome::of("flush", error),
        _ => outcome::failed(format!("cannot flush: {error}")),
    }
}

impl Operation {
    pub(super) fn staged(&self) -> Option<&Staged> {
        match self {
            Operation::Put { item: Item::Ready(Ok(staged)), .. } => Some(staged),
            _ => None,
        }
    }
}
