//! Operations on their way through the receiver, and the bundles in which they travel between threads.

use std::sync::Arc;

use bytes::Bytes;
use proto::{Kind, Meta, Outcome, RelPath};
use sys::{Staged, StagedFile};

use super::answer::About;
use super::basis::Built;
use super::equal::Claim;
use super::memory::Charge;

/// Operations in one bundle, at most: enough to make a hand-over between threads cheap, few enough to share the work.
pub(super) const BUNDLE_OPS: usize = 64;
/// Bytes that its operations hold, contents among them, after which a bundle is closed. With one more it still fits into
/// what each session has for [`sure`](super::memory::SURE).
pub(super) const BUNDLE_BYTES: usize = 512 * 1024;
/// What a piece of memory costs beside its bytes.
const PIECE: usize = 16;

/// One operation of the wire, of which the intake has checked all that can be checked without the disk.
#[derive(Debug)]
#[allow(missing_docs)]
pub(super) enum Operation {
    Put {
        path: RelPath,
        size: u64,
        /// Its content is not of one moment.
        inexact: bool,
        item: Item,
        built: Option<Built>,
    },
    Ask {
        path: RelPath,
        meta: Meta,
        room: u64,
        inexact: bool,
    },
    Make {
        path: RelPath,
        meta: Meta,
    },
    Mend {
        path: RelPath,
        meta: Meta,
    },
    Offer {
        path: RelPath,
        meta: Meta,
        digest: Option<[u8; 32]>,
    },
    Link {
        first: RelPath,
        others: Vec<RelPath>,
    },
    Remove {
        path: RelPath,
    },
    Rename {
        from: RelPath,
        to: RelPath,
    },
    Exchange {
        a: RelPath,
        b: RelPath,
    },
    /// A question about a folder.
    Folder {
        path: RelPath,
        about: About,
    },
    Count {
        path: RelPath,
    },
    Settle {
        path: RelPath,
    },
    Equal(Claim),
    Mark {
        name: String,
    },
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
    /// What its operations hold but for contents.
    pub weight: usize,
    /// Contents that were copied out of their frames.
    pub copied: usize,
    /// Operations of which it is settled where their contents are.
    pub settled: usize,
    /// What the others hold, contents among it.
    pub unsettled: usize,
    /// Charges for the frames in which other contents stand, once for each.
    pub frames: Vec<Arc<Charge>>,
    /// The charge for all else.
    pub charge: Charge,
}

impl Bundle {
    pub(super) fn push(&mut self, operation: Operation) {
        let (weight, content) = (operation.weight(), operation.content().map_or(0, Bytes::len));
        self.weight += weight;
        self.bytes += content;
        self.unsettled += weight + content;
        self.operations.push(operation);
    }

    pub(super) fn is_full(&self) -> bool {
        self.operations.len() >= BUNDLE_OPS || self.weight + self.bytes >= BUNDLE_BYTES
    }

    /// What is to be charged for it beside its frames.
    pub(super) fn cost(&self) -> usize {
        self.weight + self.copied
    }

    /// All contents are written: what they and their metadata held is free again.
    pub(super) fn staged(&mut self) {
        self.frames.clear();
        (self.copied, self.weight) = (0, self.operations.iter().map(Operation::weight).sum());
        self.charge.becomes(self.weight);
    }
}

impl Operation {
    /// All paths that it names.
    pub(super) fn paths(&self) -> impl Iterator<Item = &RelPath> {
        let (one, two) = match self {
            Operation::Mark { .. } => (None, None),
            Operation::Rename { from: one, to: two } | Operation::Exchange { a: one, b: two } => (Some(one), Some(two)),
            Operation::Put { path, .. }
            | Operation::Ask { path, .. }
            | Operation::Make { path, .. }
            | Operation::Mend { path, .. }
            | Operation::Offer { path, .. }
            | Operation::Link { first: path, .. }
            | Operation::Remove { path }
            | Operation::Folder { path, .. }
            | Operation::Count { path }
            | Operation::Equal(Claim { path, .. })
            | Operation::Settle { path } => (Some(path), None),
        };
        let others = match self {
            Operation::Link { others, .. } => &others[..],
            _ => &[],
        };
        one.into_iter().chain(two).chain(others)
    }

    /// Bytes that it holds in memory, but for its content.
    pub(super) fn weight(&self) -> usize {
        let paths: usize = self.paths().map(|path| size_of::<RelPath>() + path.as_bytes().len() + PIECE).sum();
        let name = match self {
            Operation::Folder { about: About::Behind(Some(name)), .. } => PIECE + name.as_bytes().len(),
            Operation::Mark { name } => PIECE + name.len(),
            _ => 0,
        };
        size_of::<Operation>() + paths + name + self.meta().map_or(0, meta_weight)
    }

    /// Metadata that it holds.
    fn meta(&self) -> Option<&Meta> {
        match self {
            Operation::Put { item: Item::Inline(meta, _) | Item::Blob(meta, _), .. }
            | Operation::Ask { meta, .. }
            | Operation::Make { meta, .. }
            | Operation::Mend { meta, .. }
            | Operation::Offer { meta, .. } => Some(meta),
            _ => None,
        }
    }

    /// The content that it holds.
    pub(super) fn content(&self) -> Option<&Bytes> {
        match self {
            Operation::Put { item: Item::Inline(_, content), .. } => Some(content),
            _ => None,
        }
    }

    /// Whether a pool thread has to write something before it can be published.
    pub(super) fn needs_staging(&self) -> bool {
        matches!(self, Operation::Put { item: Item::Inline(..) | Item::Blob(..), .. })
    }

    /// Whether `folder` may stand elsewhere after this operation, or be none any more.
    pub(super) fn displaces(&self, folder: &RelPath) -> bool {
        match self {
            Operation::Put { path, .. } | Operation::Remove { path } => folder.is_within(path),
            Operation::Make { path, meta } => meta.kind != Kind::Dir && folder.is_within(path),
            Operation::Rename { from, to } | Operation::Exchange { a: from, b: to } => {
                folder.is_within(from) || folder.is_within(to)
            }
            Operation::Link { others, .. } => others.iter().any(|other| folder.is_within(other)),
            _ => false,
        }
    }

    /// Whether the listing of `folder` may look different after this operation than before it.
    pub(super) fn concerns(&self, folder: &RelPath) -> bool {
        match self {
            Operation::Put { path, .. }
            | Operation::Make { path, .. }
            | Operation::Mend { path, .. }
            | Operation::Offer { path, .. }
            | Operation::Remove { path } => alters(path, folder),
            Operation::Rename { from, to } | Operation::Exchange { a: from, b: to } => {
                alters(from, folder) || alters(to, folder)
            }
            Operation::Link { others, .. } => others.iter().any(|other| alters(other, folder)),
            Operation::Ask { .. } | Operation::Folder { .. } | Operation::Count { .. } => false,
            Operation::Equal(_) | Operation::Mark { .. } => false,
            // What Compares note of links is judged by the next Settle.
            Operation::Settle { .. } => true,
        }
    }
}

/// What metadata holds beside its own size, which an operation has in any case.
fn meta_weight(meta: &Meta) -> usize {
    let each = 2 * (size_of::<Box<[u8]>>() + PIECE);
    meta.link.len() + meta.xattrs.iter().map(|(name, value)| each + name.len() + value.len()).sum::<usize>()
}

fn alters(path: &RelPath, folder: &RelPath) -> bool {
    if folder.is_within(path) {
        return true;
    }
    let path = path.as_bytes();
    let parent = path.iter().rposition(|b| *b == b'/').map_or(&b""[..], |at| &path[..at]);
    parent == folder.as_bytes()
}
