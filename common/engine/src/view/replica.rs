//! The folder that a peer writes to: a view that can be changed. What is new is made in the stage, where nobody sees it, and
//! comes to its name by [`displace`](Replica::displace) alone, as all that is moved, removed or changed.
//!
//! Where recvd is not root, the modes of its own folders and files bind it too. They are opened up for as long as that is
//! needed, and are read as if they had not been.

mod beneath;
mod flush;
mod list;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use proto::{Device, Keep, Kept, Kind, Meta, Name, RelPath, Time, Xattrs};
use sys::stage::Unlocked;
use sys::{Enclosure, File, FolderId, Lack, Stage, Staged, StagedFile, Stat, Tree};

use super::fate::Fate;
use super::protection::Protection;
use super::written::Written;
use super::{Folder, Selection, View};
pub(crate) use list::{Bounds, Digested, Rest};

/// Why a file does not come here whose content is not of one moment.
const UNMARKED: &str =
    "its content is not of one moment, which can be marked only where the module keeps xattrs or acls";

/// See the module. Shared by the threads of a session.
#[derive(Debug)]
pub struct Replica {
    view: Arc<View>,
    stage: Arc<Stage>,
    protection: Protection,
    fate: Arc<Fate>,
    /// Shuts other users out; `None` where they can come in.
    enclosure: Option<Arc<Enclosure>>,
    written: Arc<Written>,
    /// It is the whole module, of which is known which folder it is.
    whole: bool,
    /// Nothing is removed, and no folder leaves its name.
    pub(super) sparing: AtomicBool,
}

impl Replica {
    /// All of a tree, with a stage of its own in the root. Changes nothing on the disk; whether other users can come to it is
    /// looked at now.
    ///
    /// # Errors
    /// As [`Stage::new`].
    pub fn new(tree: Arc<Tree>, keep: Keep) -> io::Result<Replica> {
        let stage = Arc::new(Stage::new(Arc::clone(&tree))?);
        // Where it cannot be seen, they may.
        let enclosure = Enclosure::around(&tree).ok().flatten().map(Arc::new);
        let view = Arc::new(View::of_replica(tree, keep, Selection::default()));
        let (protection, fate, written, sparing) = Default::default();
        Ok(Replica { view, stage, protection, fate, enclosure, written, whole: true, sparing })
    }

    /// The same in which this is protected, and old versions meet this fate.
    #[must_use]
    pub fn with(self, protection: Protection, fate: Fate) -> Replica {
        Replica { protection, fate: Arc::new(fate), ..self }
    }

    /// The same with what is known of entries that were written before, by whichever session.
    #[must_use]
    pub fn knowing(self, written: Arc<Written>) -> Replica {
        Replica { written, ..self }
    }

    /// The same as if other users could come to it.
    #[cfg(test)]
    pub(crate) fn opened_to_all(self) -> Replica {
        Replica { enclosure: None, ..self }
    }

    /// As which it is read.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    pub(super) fn stage(&self) -> &Arc<Stage> {
        &self.stage
    }

    pub(super) fn protection(&self) -> &Protection {
        &self.protection
    }

    pub(crate) fn fate(&self) -> &Fate {
        &self.fate
    }

    pub(super) fn enclosure(&self) -> Option<&Enclosure> {
        self.enclosure.as_deref()
    }

    pub(super) fn written(&self) -> &Written {
        &self.written
    }

    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.view.tree
    }

    /// Which folder the peer writes to, as it can be written down.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn folder_id(&self) -> io::Result<FolderId> {
        self.tree().folder_id()
    }

    /// Whether the folder still stands at its path; if not, in words.
    pub(crate) fn stands(&self) -> Result<(), String> {
        let path = self.tree().path().display();
        match self.tree().stands() {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("{path} was replaced, unmounted or mounted over")),
            Err(error) => Err(format!("{path} cannot be looked at: {error}")),
        }
    }
}

/// What stands there, whatever the modes say.
impl Replica {
    /// The folder at a path, whatever its mode.
    ///
    /// # Errors
    /// As [`Tree::dir`]; `PermissionDenied` where it is another user's.
    pub(crate) fn folder(&self, path: &RelPath) -> io::Result<Folder> {
        match self.view.folder(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.open_up(path)?;
                self.view.folder(path)
            }
            folder => folder,
        }
    }

    /// The file at a path, for reading, if its mode lets us.
    ///
    /// # Errors
    /// As [`Tree::dir`] and [`open_file`](sys::Dir::open_file).
    pub(crate) fn open(&self, path: &RelPath) -> io::Result<(File, Stat)> {
        let (folder, name) = path.split().ok_or(io::ErrorKind::IsADirectory)?;
        self.tree().dir(&folder)?.open_file(&name)
    }

    /// The metadata of a folder itself, of which this is the `Stat`.
    ///
    /// # Errors
    /// As [`own_meta`](sys::Dir::own_meta).
    pub(crate) fn meta_of_folder(&self, folder: &Folder, stat: &Stat) -> io::Result<Meta> {
        let mut meta = folder.own_meta()?;
        if let Some(mode) = self.mode_before(stat) {
            meta.mode = mode;
            self.view.keep.project_meta(&mut meta);
        }
        Ok(meta)
    }

    /// The mode of an entry that was opened up.
    pub(super) fn mode_before(&self, stat: &Stat) -> Option<u32> {
        self.stage.mode_before(stat)
    }

    /// How many entries stand at and beneath a path; 0 when there is nothing.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn count(&self, path: &RelPath) -> io::Result<u64> {
        let Some((parent, name)) = path.split() else { return self.count_all() };
        match self.folder_to_look_in(&parent) {
            Ok(folder) => self.count_in(&folder, &name),
            Err(error) if sys::is_absence(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// A folder with a mode that lets it be opened may still let nothing in it be looked at.
    fn folder_to_look_in(&self, path: &RelPath) -> io::Result<Folder> {
        let folder = self.folder(path)?;
        if self.is_shut(&folder)? {
            self.open_up(path)?;
        }
        Ok(folder)
    }

    fn count_all(&self) -> io::Result<u64> {
        let root = self.folder_to_look_in(&RelPath::root())?;
        let mut entries = 1;
        for child in root.children()? {
            let kind = match child.kind {
                Some(kind) => kind,
                None => root.look(&child.name)?.map_or(Kind::File, |stat| stat.kind),
            };
            if root.leaves_out(&child.name, kind).is_none() {
                entries += self.count_in(&root, &child.name)?;
            }
        }
        Ok(entries)
    }

    fn count_in(&self, folder: &Folder, name: &Name) -> io::Result<u64> {
        folder.dir().count(name, |beneath| {
            let parent = folder.path();
            let path = if parent.is_root() { beneath.to_vec() } else { [parent.as_bytes(), b"/", beneath].concat() };
            // If it is not in our power the next try says so.
            let _ = RelPath::parse(&path).map(|path| self.open_up(&path));
        })
    }
}

/// More rights to what is ours than its modes give us, for a moment.
impl Replica {
    /// Makes a folder one in which all can be done, with those on the way to it, until [`narrow`](Replica::narrow).
    ///
    /// # Errors
    /// `PermissionDenied` in words, where one is another user's; else of the operating system.
    pub(crate) fn open_up(&self, path: &RelPath) -> io::Result<()> {
        self.stage.widen(self.tree(), path)
    }

    /// Whether a folder must be opened up before anything in it can be looked at.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn is_shut(&self, folder: &Folder) -> io::Result<bool> {
        self.stage.is_shut(folder.dir())
    }

    /// Lets the attributes of an entry be read until the guard is dropped.
    pub(super) fn unlock_reading(&self, folder: &Folder, name: &Name) -> io::Result<Option<Unlocked<'_>>> {
        let path = folder.path().join(name).map_err(io::Error::other)?;
        self.stage.unlock_reading(self.tree(), (folder.dir(), name), &path)
    }

    /// Whether anything is opened up.
    pub(crate) fn is_opened_up(&self) -> bool {
        self.stage.has_wide()
    }

    /// Gives all that was opened up its own mode back.
    pub(crate) fn narrow(&self) {
        if let Err(error) = self.stage.narrow() {
            tracing::warn!("cannot give folders their modes back now: {error}");
        }
    }

    /// The mode that a folder gets where this one would shut the stage out.
    pub(crate) fn mode_instead(&self, path: &RelPath, mode: u32) -> Option<u32> {
        self.stage.open_mode(self.tree(), path, mode).filter(|_| self.view.keeps(Kept::Mode))
    }
}

/// What is new, made out of sight.
impl Replica {
    /// Makes the folder of temporaries now, so that nothing which is made later changes the mtime of the module's root. Where
    /// there is no room for it, it is not made, and what frees room goes on.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        match self.stage.prepare() {
            Err(error) if Lack::of(&error).is_some() => Ok(()),
            prepared => prepared,
        }
    }

    /// Removes the folder of temporaries, if it is empty. Returns whether it is gone.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn rest(&self) -> io::Result<bool> {
        self.stage.rest()
    }

    /// A file to be written, at most so many bytes.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn file(&self, size: u64) -> io::Result<StagedFile> {
        self.stage.file(size)
    }

    /// The same where the metadata is known, and whether the content is of one moment.
    ///
    /// # Errors
    /// Of the operating system; as [`mark_inexact`](Replica::mark_inexact).
    pub(crate) fn file_like(&self, meta: &Meta, inexact: bool) -> io::Result<StagedFile> {
        if !inexact {
            return self.stage.file_like(meta, self.view.keep);
        }
        let file = self.stage.file(meta.size)?;
        self.mark_inexact(&file).map(|()| file)
    }

    /// Marks a file as one whose content is not of one moment. Never done where listings would not show it.
    ///
    /// # Errors
    /// As [`StagedFile::mark_inexact`].
    pub(crate) fn mark_inexact(&self, file: &StagedFile) -> io::Result<()> {
        if self.view.keep.has_xattrs() {
            return file.mark_inexact();
        }
        Err(io::Error::new(io::ErrorKind::Unsupported, UNMARKED))
    }

    /// Gives a file that is written its length and metadata.
    ///
    /// # Errors
    /// As [`StagedFile::finish`].
    pub(crate) fn finish(&self, mut file: StagedFile, meta: &Meta) -> io::Result<Staged> {
        if self.remembers() {
            file.note_birth();
        }
        file.finish(meta, self.view.keep)
    }

    /// A file of recvd's own, with this content, which nobody else may read.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn own_file(&self, content: &[u8]) -> io::Result<Staged> {
        let file = self.stage.file(content.len() as u64)?;
        file.write_at(content, 0)?;
        let meta = Meta {
            kind: Kind::File,
            size: content.len() as u64,
            mode: 0o600,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            device: Device::default(),
            link: Box::default(),
            xattrs: Xattrs::default(),
        };
        file.finish(&meta, [Kept::Mode].into_iter().collect())
    }

    /// A folder, link or special.
    ///
    /// # Errors
    /// As [`Stage::make`].
    pub(crate) fn make(&self, meta: &Meta) -> io::Result<Staged> {
        let mut staged = self.stage.make(meta, self.view.keep)?;
        // Nothing else that is made here is changed in place.
        if meta.kind == Kind::Dir && self.remembers() {
            staged.note_birth();
        }
        Ok(staged)
    }

    /// Another name of a file.
    ///
    /// # Errors
    /// As [`Stage::link`].
    pub(crate) fn link(&self, folder: &Folder, name: &Name) -> io::Result<Staged> {
        self.stage.link(folder.dir(), name)
    }

    /// An entry of its own like that one.
    ///
    /// # Errors
    /// As [`Stage::copy`].
    pub(crate) fn copy(&self, folder: &Folder, name: &Name) -> io::Result<Staged> {
        self.stage.copy(folder.dir(), name)
    }
}

/// What was changed, kept through a power cut.
impl Replica {
    /// Gives a folder the mtime that the sender has said, after names in it have changed.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn give_back_mtime(&self, folder: &Folder, mtime: Time) -> io::Result<()> {
        folder.dir().set_mtime(mtime)
    }
}
