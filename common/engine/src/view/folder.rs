//! An open folder of a view. Single names only; what the view leaves out can be looked at by name, so that it can be told why
//! it is not there.

use std::io;
use std::sync::{Arc, OnceLock};

use proto::{Kind, Meta, Name, RelPath};
use sys::{Birth, Child, Dir, File, Stat};

use super::{Rule, View};

/// An open folder, as its view shows it.
#[derive(Debug)]
pub struct Folder {
    view: Arc<View>,
    dir: Dir,
    path: RelPath,
    birth: OnceLock<Option<Birth>>,
}

impl Folder {
    pub(super) fn new(view: Arc<View>, dir: Dir, path: RelPath) -> Folder {
        Folder { view, dir, path, birth: OnceLock::new() }
    }

    /// From the root of the view, as it was opened.
    pub fn path(&self) -> &RelPath {
        &self.path
    }

    /// What leaves out the entry of this name and kind.
    pub fn leaves_out(&self, name: &Name, kind: Kind) -> Option<Rule> {
        self.view.selection.leaves_out_of(&self.path, name, kind)
    }

    /// What stands under the name; `None` when nothing does.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn look(&self, name: &Name) -> io::Result<Option<Stat>> {
        self.dir.lookup(name)
    }

    /// A regular file, for reading. To be called where one was found: see [`Dir::open_found`].
    ///
    /// # Errors
    /// As [`Dir::open_found`].
    pub fn open(&self, name: &Name) -> io::Result<(File, Stat)> {
        self.dir.open_found(name)
    }

    /// All that is kept of the metadata of `name`, which was found like this.
    ///
    /// # Errors
    /// As [`Dir::meta`].
    pub fn meta(&self, name: &Name, stat: &Stat) -> io::Result<Meta> {
        self.dir.meta(name, stat, self.view.keep).map(|meta| self.view.held(meta))
    }

    /// The same, and whether the content is marked as not being of one moment.
    ///
    /// # Errors
    /// As [`Dir::meta`].
    pub(crate) fn marked_meta(&self, name: &Name, stat: &Stat) -> io::Result<(Meta, bool)> {
        self.dir.marked_meta(name, stat, self.view.keep).map(|(meta, inexact)| (self.view.held(meta), inexact))
    }

    /// The folder's own `Stat`.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn stat(&self) -> io::Result<Stat> {
        self.dir.stat()
    }

    /// The folder's own metadata, as far as it is kept.
    ///
    /// # Errors
    /// As [`Dir::own_meta`].
    pub fn own_meta(&self) -> io::Result<Meta> {
        self.dir.own_meta(self.view.keep).map(|meta| self.view.held(meta))
    }

    /// All names that stand in it, those that are left out among them, as the kernel tells of them.
    ///
    /// # Errors
    /// As [`Dir::list`].
    pub fn children(&self) -> io::Result<Vec<Child>> {
        self.dir.list()
    }

    /// What tells it from all other folders, where the file system says it. Asked once.
    pub(super) fn birth(&self) -> Option<Birth> {
        *self.birth.get_or_init(|| self.dir.birth().ok().flatten())
    }

    /// The same names, one by one.
    ///
    /// # Errors
    /// As [`Dir::list`].
    pub(super) fn each_name(&self, each: impl FnMut(&[u8])) -> io::Result<()> {
        self.dir.each_name(each)
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }
}
