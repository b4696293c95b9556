//! What a role sees of a tree: which entries exist for it ([`Selection`]), and what of them ([`Keep`]).
//!
//! The sender asks the view of its source, the receiver the view of the folder that it was granted; neither asks a
//! [`Tree`] by itself. So a restore is a sender over the other host's view, a verification compares what two views list, and a
//! tree as it was at some time will be one more of them.

mod folder;
mod list;
mod listing;
mod rule;
mod selection;

use std::io;
use std::sync::Arc;

use proto::{Keep, Kept, Kind, Meta, RelPath};
use sys::{File, Stat, Tree};

pub use folder::Folder;
pub use listing::{Inode, Listing, Names, Node, Skipped};
pub use rule::Rule;
pub use selection::Selection;

/// A tree as a role sees it. Shared by all threads of the role.
#[derive(Debug)]
pub struct View {
    tree: Arc<Tree>,
    keep: Keep,
    selection: Selection,
}

impl View {
    /// Of what is mirrored: what the target does not make does not exist.
    pub fn of_source(tree: Arc<Tree>, keep: Keep) -> View {
        View { tree, keep, selection: Selection::default().of_kinds(keep) }
    }

    /// A folder beneath the root, opened.
    ///
    /// # Errors
    /// As [`Tree::dir`].
    pub fn folder(self: &Arc<Self>, path: &RelPath) -> io::Result<Folder> {
        Ok(Folder::new(Arc::clone(self), self.tree.dir(path)?, path.clone()))
    }

    /// Whether this is kept at the target.
    pub fn keeps(&self, kept: Kept) -> bool {
        self.keep.has(kept)
    }

    /// Whether an entry of this mode loses its setuid or setgid bit.
    pub fn drops_setid(&self, kind: Kind, mode: u32) -> bool {
        self.keep.drops_setid(kind, mode)
    }

    /// The owner that the target gives an entry of this one: 0 where none is kept.
    pub fn owner(&self, uid: u32, gid: u32) -> (u32, u32) {
        if self.keeps(Kept::Owner) { (uid, gid) } else { (0, 0) }
    }

    /// All that is kept of the metadata of an open file, which was found like this.
    ///
    /// # Errors
    /// As [`File::meta`].
    pub fn meta_of(&self, file: &File, stat: &Stat) -> io::Result<Meta> {
        file.meta(stat, self.keep)
    }
}
