//! Operations on their way through the receiver, and the bundles in which they travel between threads.

use bytes::Bytes;
use proto::{Digest, Meta, Outcome, RelPath};
use sys::{Staged, StagedFile};

use super::basis::Built;

/// Operations in one bundle, at most: enough to make a hand-over between threads cheap, few enough to share the work.
pub(super) const BUNDLE_OPS: usize = 64;
/// Inline content after which a bundle is closed, in bytes.
pub(super) const BUNDLE_BYTES: usize = 512 * 1024;

/// One operation of the wire, of which the intake has checked all that can be checked without the disk.
#[derive(Debug)]
#[allow(missing_docs)]
pub(super) enum Operation {
    Put { path: RelPath, size: u64, item: Item, built: Option<Built> },
    Ask { path: RelPath, meta: Meta, room: u64 },
    Make { path: RelPath, meta: Meta },
    Offer { path: RelPath, meta: Meta },
    Link { first: RelPath, others: Vec<RelPath> },
    Remove { path: RelPath },
    Rename { from: RelPath, to: RelPath },
    Exchange { a: RelPath, b: RelPath },
    Compare { path: RelPath, digest: Digest },
    Count { path: RelPath },
    Settle { path: RelPath },
}

/// The content of a `Put`, from the wire to a temporary.
#[derive(Debug)]
pub(super) enum Item {
    /// As it came in its frame.
    Inline(Meta, Bytes),
    /// Written already, without its metadata.
    Blob(Meta, StagedFile),
    /// Complete with its metadata, or the outcome that its operation gets.
    Ready(Result<Staged, Outcome>),
}

/// Consecutive operations that go from thread to thread together, at most [`BUNDLE_OPS`].
#[derive(Debug, Default)]
pub(super) struct Bundle {
    /// Number of the first of them.
    pub first: u64,
    pub operations: Vec<Operation>,
    /// Inline content in it, as it was admitted.
    pub bytes: usize,
}

impl Operation {
    /// Whether a pool thread has to write something before it can be published.
    pub(super) fn needs_staging(&self) -> bool {
        matches!(self, Operation::Put { item: Item::Inline(..) | Item::Blob(..), .. })
    }

    /// Whether the listing of `folder` may look different after this operation than before it.
    pub(super) fn concerns(&self, folder: &RelPath) -> bool {
        match self {
            Operation::Put { path, .. }
            | Operation::Make { path, .. }
            | Operation::Offer { path, .. }
            | Operation::Remove { path } => alters(path, folder),
            Operation::Rename { from, to } | Operation::Exchange { a: from, b: to } => {
                alters(from, folder) || alters(to, folder)
            }
            Operation::Link { others, .. } => others.iter().any(|other| alters(other, folder)),
            Operation::Ask { .. } | Operation::Compare { .. } | Operation::Count { .. } => false,
            // What Compares note of links is judged by the next Settle.
            Operation::Settle { .. } => true,
        }
    }
}

fn alters(path: &RelPath, folder: &RelPath) -> bool {
    if folder.is_within(path) {
        return true;
    }
    let path = path.as_bytes();
    let parent = path.iter().rposition(|b| *b == b'/').map_or(&b""[..], |at| &path[..at]);
    parent == folder.as_bytes()
}
