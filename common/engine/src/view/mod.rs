//! What a role sees of a tree: which entries exist for it ([`Selection`]), and what of them ([`Keep`]).
//!
//! The sender asks the view of its source, the receiver the view of the folder that it was granted; neither asks a
//! [`Tree`] by itself. So a restore is a sender over the other host's view, a verification compares what two views list, and a
//! tree as it was at some time will be one more of them. What a peer writes to is a [`Replica`]: a view with the one way in
//! which anything in it changes.

mod displace;
mod fate;
mod folder;
mod list;
mod listing;
mod protection;
mod replica;
mod rule;
mod selection;
mod site;

use std::io;
use std::sync::Arc;

use proto::{Keep, Kept, Kind, Meta, RelPath};
use sys::{File, Stat, Tree};

pub(crate) use displace::Obstacle;
pub use fate::Fate;
pub use folder::Folder;
pub use listing::{Inode, Listing, Names, Node, Skipped};
pub use protection::Protection;
pub use replica::Replica;
pub use rule::Rule;
pub use selection::Selection;
pub(crate) use site::{By, Site};

/// A tree as a role sees it. Shared by all threads of the role.
#[derive(Debug)]
pub struct View {
    tree: Arc<Tree>,
    keep: Keep,
    selection: Selection,
}

impl View {
    /// Of what is selected: what the target does not make does not exist, either.
    pub fn of_source(tree: Arc<Tree>, keep: Keep, selection: Selection) -> View {
        View { tree, keep, selection: selection.of_kinds(keep) }
    }

    /// Of what is written to: whatever is selected exists, also what is not made there, so that it can be removed.
    pub fn of_replica(tree: Arc<Tree>, keep: Keep, selection: Selection) -> View {
        View { tree, keep, selection }
    }

    /// Which entries exist for the role.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Whether entries of this kind are made at the target.
    pub fn makes(&self, kind: Kind) -> bool {
        self.keep.admits(kind)
    }

    /// Takes from metadata what is not kept.
    pub fn project(&self, meta: &mut Meta) {
        self.keep.project_meta(meta);
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
