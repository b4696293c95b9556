//! Where something changes in a replica, and by what: what [`displace`](super::Replica::displace) is told, and a
//! [`Fate`](super::fate::Fate) hears.

use std::io::{self, ErrorKind};

use proto::{Meta, Name, RelPath};
use sys::{Staged, Stat};

use super::Folder;

/// Where an entry stands: a name in a folder that is open, or that folder itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(super) folder: &'a Folder,
    /// `None` for the folder itself.
    pub(super) name: Option<&'a Name>,
    pub(super) path: &'a RelPath,
}

impl<'a> Site<'a> {
    /// What stands at `path`, which is `name` in that folder.
    pub(crate) fn entry(folder: &'a Folder, name: &'a Name, path: &'a RelPath) -> Site<'a> {
        Site { folder, name: Some(name), path }
    }

    /// The folder itself. Only its metadata can change.
    pub(crate) fn folder(folder: &'a Folder) -> Site<'a> {
        Site { folder, name: None, path: folder.path() }
    }

    /// Whose the entry is, in words, where it is not ours and that may be why something was denied.
    pub(crate) fn not_ours(&self) -> Option<String> {
        sys::stage::not_ours(self.folder.dir(), self.name?)
    }

    /// From the root of the replica.
    pub(crate) fn path(&self) -> &'a RelPath {
        self.path
    }

    pub(super) fn name(&self) -> io::Result<&'a Name> {
        self.name.ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "the folder itself has no name to leave"))
    }

    /// What stands there; `None` when nothing does.
    pub(super) fn stat(&self) -> io::Result<Option<Stat>> {
        match self.name {
            Some(name) => self.folder.look(name),
            None => self.folder.stat().map(Some),
        }
    }
}

/// What stands at a site after the old version has left it.
#[derive(Debug)]
pub(crate) enum By<'a> {
    /// Nothing. What is not there is removed already.
    Nothing,
    /// Something complete that was made out of sight.
    Staged(Staged),
    /// What stood at this other site and looked like this; nothing stands there then.
    Entry(Site<'a>, &'a Stat),
    /// What stood at this other site; the old version stands there then.
    Exchange(Site<'a>),
    /// The same entry, which looked like this, with this metadata; it changes in place.
    Metadata(&'a Meta, &'a Stat),
    /// The same folder with this mode, which gives nobody more than it has, and this mtime; of other metadata nothing.
    Narrower(&'a Meta),
}

impl<'a> By<'a> {
    /// The other site where something changes.
    pub(crate) fn other(&self) -> Option<Site<'a>> {
        match self {
            By::Entry(other, _) | By::Exchange(other) => Some(*other),
            By::Nothing | By::Staged(_) | By::Metadata(..) | By::Narrower(_) => None,
        }
    }

    /// Whether the same entry stands there afterwards.
    pub(crate) fn stays(&self) -> bool {
        matches!(self, By::Metadata(..) | By::Narrower(_))
    }

    /// What comes instead, in one word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            By::Nothing => "nothing",
            By::Staged(_) => "staged",
            By::Entry(..) => "entry",
            By::Exchange(_) => "exchange",
            By::Metadata(..) | By::Narrower(_) => "metadata",
        }
    }
}
