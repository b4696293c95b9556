//! What operations in flight were.

use proto::{RelPath, Time};

use crate::pending::Claim;
use crate::view::{Inode, Node};

/// What an operation was, as far as an answer to it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sender) enum Sent {
    /// Content or a whole entry under this name, and what it takes.
    Entry(RelPath, Claim),
    /// The question whether there is room for that.
    Asked(RelPath, Claim),
    /// A folder, or its metadata.
    Folder(RelPath, Claim),
    /// Metadata of a folder that the target has.
    Standing(RelPath),
    /// Metadata of a file.
    Offer(RelPath),
    /// Metadata of a file with several names, and what it was then: when the target has it, the group is named.
    LinkedOffer(RelPath, Inode),
    /// Metadata of a file with several names that the target does not join: this one is a file of its own there.
    Apart(RelPath),
    /// Metadata of a file that is renamed next. If the target has another content of it, the look at the new name finds
    /// that out.
    Forerunner(RelPath),
    Remove(RelPath),
    /// From, to, and the names that are to be sent again should it fail: those that
    /// [`Origins::moved`](crate::sender::origins::Origins) gives.
    Rename(RelPath, RelPath, Vec<RelPath>),
    /// Both places, and names in the same way.
    Exchange(RelPath, RelPath, Vec<RelPath>),
    /// The name with the content, then the others.
    Link(RelPath, Vec<RelPath>),
    Compare(RelPath),
    /// What is in this folder behind some name.
    List(RelPath),
    Count(RelPath),
    /// The question whether nothing has the second name, before what has the first is renamed to it.
    Vacant(RelPath, RelPath),
    /// Metadata and the hash of a file, and which file with what mtime that was.
    Rebuilt(RelPath, Node, Time),
    Settle(RelPath),
}

impl Sent {
    pub(super) fn is_move(&self) -> bool {
        matches!(self, Sent::Rename(..) | Sent::Exchange(..))
    }

    /// Bytes of its paths.
    pub(super) fn path_bytes(&self) -> usize {
        let of = |paths: &[RelPath]| paths.iter().map(|path| path.as_bytes().len()).sum::<usize>();
        let one = |path: &RelPath| path.as_bytes().len();
        match self {
            Sent::Entry(path, _) | Sent::Asked(path, _) | Sent::Folder(path, _) | Sent::LinkedOffer(path, _) => {
                one(path)
            }
            Sent::Standing(path) | Sent::Offer(path) | Sent::Apart(path) | Sent::Forerunner(path) => one(path),
            Sent::Remove(path) | Sent::Compare(path) | Sent::List(path) | Sent::Count(path) => one(path),
            Sent::Rebuilt(path, ..) | Sent::Settle(path) => one(path),
            Sent::Rename(from, to, more) | Sent::Exchange(from, to, more) => one(from) + one(to) + of(more),
            Sent::Vacant(from, to) => one(from) + one(to),
            Sent::Link(first, others) => one(first) + of(others),
        }
    }

    /// Whether it concerns what stands at or beneath one of these places.
    pub(super) fn is_at(&self, places: [&RelPath; 2]) -> bool {
        let at = |path: &RelPath| places.into_iter().any(|place| path.is_within(place));
        match self {
            Sent::Rename(a, b, _) | Sent::Exchange(a, b, _) => at(a) || at(b),
            Sent::Link(first, others) => at(first) || others.iter().any(at),
            sent => sent.is_change() && at(place(sent)),
        }
    }

    /// Whether it brings or changes an entry, or one more name of it.
    pub fn is_change(&self) -> bool {
        let asks =
            matches!(self, Sent::Compare(_) | Sent::List(_) | Sent::Count(_) | Sent::Vacant(..) | Sent::Asked(..));
        !asks && !matches!(self, Sent::Forerunner(_) | Sent::Settle(_))
    }
}

/// The path that stands for an operation in a problem.
pub(in crate::sender) fn place(sent: &Sent) -> &RelPath {
    match sent {
        Sent::Entry(path, _) | Sent::Asked(path, _) | Sent::Folder(path, _) | Sent::Standing(path) => path,
        Sent::Offer(path) | Sent::Apart(path) | Sent::Remove(path) | Sent::Settle(path) => path,
        Sent::Forerunner(path) | Sent::LinkedOffer(path, _) => path,
        Sent::Rebuilt(path, ..) | Sent::Link(path, _) | Sent::Compare(path) | Sent::List(path) | Sent::Count(path) => {
            path
        }
        Sent::Rename(_, to, _) | Sent::Vacant(_, to) => to,
        Sent::Exchange(a, ..) => a,
    }
}
