//! What a role sees of a tree: which entries exist for it ([`Selection`]), and what of them ([`Keep`], and the times and
//! names that the target's disk can hold: [`Capabilities`]).
//!
//! The sender asks the view of its source, the receiver the view of the folder that it was granted; neither asks a
//! [`Tree`] by itself. So a restore is a sender over the other host's view, a verification compares what two views list, and a
//! tree as it was at some time will be one more of them. What a peer writes to is a [`Replica`]: a view with the one way in
//! which anything in it changes.

mod displace;
mod fate;
mod folder;
mod in_place;
mod linked;
mod list;
mod listing;
mod protection;
mod replica;
mod rule;
mod selection;
mod site;
mod spelled;
mod window;
mod written;

use std::io;
use std::sync::Arc;

use proto::{Capabilities, Keep, Kept, Kind, Meta, RelPath, Time};
use sys::{File, Stat, Tree};

pub(crate) use displace::Obstacle;
pub use fate::Fate;
pub use folder::Folder;
pub(crate) use in_place::{gives_more, narrowed};
pub(crate) use linked::Linked;
pub use listing::{Inode, Listing, Names, Node, Skipped};
pub use protection::Protection;
pub use replica::Replica;
pub(crate) use replica::{Bounds, Digested, Rest};
pub use rule::Rule;
pub use selection::Selection;
pub(crate) use site::{By, Site};
pub(crate) use spelled::Spelled;
pub use written::Written;

/// A tree as a role sees it. Shared by all threads of the role.
#[derive(Debug, Clone)]
pub struct View {
    tree: Arc<Tree>,
    keep: Keep,
    /// Where what it shows will be stored. All times are shown as that holds them, and so compared, digested and sent.
    disk: Capabilities,
    selection: Selection,
}

impl View {
    /// Of what is selected: what the target does not make does not exist, either.
    pub fn of_source(tree: Arc<Tree>, keep: Keep, selection: Selection) -> View {
        View { tree, keep, disk: Capabilities::full(), selection: selection.of_kinds(keep) }
    }

    /// The same for a target whose disk is like this.
    #[must_use]
    pub fn for_disk(self, disk: Capabilities) -> View {
        View { selection: self.selection.for_disk(&disk), disk, ..self }
    }

    /// Of what is written to: whatever is selected exists, also what is not made there, so that it can be removed. What stands
    /// there the disk holds.
    pub fn of_replica(tree: Arc<Tree>, keep: Keep, selection: Selection) -> View {
        View { tree, keep, disk: Capabilities::full(), selection }
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

    /// What the disk can hold on which this is stored.
    pub fn disk(&self) -> &Capabilities {
        &self.disk
    }

    /// A time as the disk holds it. What stands for none is left alone.
    fn time(&self, time: Time) -> Time {
        if self.keeps(Kept::Mtime) { self.disk.time(time) } else { time }
    }

    fn held(&self, mut meta: Meta) -> Meta {
        meta.mtime = self.time(meta.mtime);
        meta
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
        file.meta(stat, self.keep).map(|meta| self.held(meta))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use proto::{Name, digest};
    use sys::Mounts;

    use super::*;

    /// A folder with a folder and a file in it, all three with this mtime.
    fn tree(scratch: &std::path::Path, mtime: SystemTime) -> Arc<Tree> {
        fs::create_dir(scratch.join("folder")).unwrap();
        fs::write(scratch.join("file"), "content").unwrap();
        for path in [scratch.join("file"), scratch.join("folder"), scratch.into()] {
            fs::File::open(path).unwrap().set_modified(mtime).unwrap();
        }
        Arc::new(Tree::open(scratch, Mounts::Stay).unwrap())
    }

    /// All mtimes that a view shows, however it is asked.
    fn shown(view: View) -> Vec<Time> {
        let view = Arc::new(view);
        let root = view.folder(&RelPath::root()).unwrap();
        let (file, folder) = (Name::parse(b"file").unwrap(), Name::parse(b"folder").unwrap());
        let listing = root.list(1).unwrap();
        assert_eq!(listing.digest, digest::folder(&listing.entries));
        let mut times: Vec<Time> = listing.entries.iter().map(|entry| entry.mtime).collect();
        times.push(root.own_meta().unwrap().mtime);
        for name in [&file, &folder] {
            times.push(root.meta(name, &root.look(name).unwrap().unwrap()).unwrap().mtime);
        }
        let (open, stat) = root.open(&file).unwrap();
        times.push(view.meta_of(&open, &stat).unwrap().mtime);
        times
    }

    #[test]
    fn a_source_is_seen_with_the_times_that_the_disk_of_the_target_holds() {
        let (scratch, whole) = (tempfile::tempdir().unwrap(), 5_000_000_001);
        let tree = tree(scratch.path(), SystemTime::UNIX_EPOCH + Duration::new(whole as u64, 123_456_789));
        let view = |keep| View::of_source(Arc::clone(&tree), keep, Selection::default());
        let of = |disk| shown(view(Keep::DEFAULT).for_disk(disk));
        let all = |secs, nanos| vec![Time { secs, nanos }; 6];
        let full = Capabilities::full();
        assert_eq!(of(full), all(whole, 123_456_789));
        assert_eq!(of(Capabilities { granularity: 100, ..full }), all(whole, 123_456_700));
        assert_eq!(of(Capabilities { granularity: 2_000_000_000, ..full }), all(whole - 1, 0));
        assert_eq!(of(Capabilities { last: i32::MAX.into(), ..full }), all(i32::MAX.into(), 0));
        // Where none is kept both sides have the same for it, which no disk is asked about.
        let none = Keep::DEFAULT.iter().filter(|kept| *kept != Kept::Mtime).collect();
        assert_eq!(shown(view(none).for_disk(Capabilities { first: whole, ..full })), all(0, 0));
    }
}
