//! What the publisher has taken in since its last receipt.

use std::time::Instant;

use proto::RelPath;

use super::memory::Charge;
use super::operation::Operation;

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
