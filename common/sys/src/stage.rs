//! The hidden folder of one session in the module root, where everything is made before it gets its name.
//!
//! Nobody but us can enter it (mode 0700, no ACL), nothing in it inherits an ACL or a group, and it stands on the
//! module's file system, so that publishing is a rename. It is made on first use and gone when nothing is staged; what
//! a killed session leaves is removed by [`Leftovers`]. The module root's mtime is kept throughout.

mod folder;
mod growing;
mod note;
mod probe;
mod removal;
mod staged;
mod wide;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::{Keep, Kind, Meta, Name, RelPath, Time};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::dir::Dir;
use crate::faults::{self, Verb};
use crate::metadata::{self, On, is_passing};
use crate::resolve::FOLDER;
use crate::stat::Stat;
use crate::tree::Tree;
use crate::{clone, process, remove};

pub use folder::Leftovers;
use folder::StageDir;
pub use growing::Growing;
pub use probe::probe;
use staged::{Origins, Temp};
pub use staged::{Staged, StagedFile};
use wide::Wide;
pub use wide::{Unlocked, not_ours};

/// How the names of recvd's own begin, in every folder of a module.
pub const RESERVED: &[u8] = b".recvd-";
/// How those of stage folders do.
pub const PREFIX: &[u8] = b".recvd-stage-";

/// Descriptors of finished files that a stage keeps open, so that few of them can be flushed without being reopened.
const HELD: usize = 16;

/// How often a name that something else keeps changing is tried.
const TRIES: usize = 8;
const RESTLESS: &str = "its name is being changed by something else all the time";

/// Whether a name is one of recvd's own.
pub fn is_reserved(name: &Name) -> bool {
    name.as_bytes().starts_with(RESERVED)
}

/// Whether a path leads through such a name, or to it.
pub fn is_reserved_path(path: &RelPath) -> bool {
    path.as_bytes().split(|byte| *byte == b'/').any(|name| name.starts_with(RESERVED))
}

/// The stage of one session. `Send + Sync`.
#[derive(Debug)]
pub struct Stage {
    tree: Arc<Tree>,
    name: String,
    next: AtomicU64,
    /// Entries of the module that have more rights for a moment. Locked before `state`.
    wide: Mutex<Vec<Wide>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    folder: Option<Arc<StageDir>>,
    /// Temporaries, removals and notes that stand in the folder.
    live: usize,
    /// Where the module root could not get its mtime back: the one that it is to get, and the one that it has until then.
    owed: Option<(Time, Time)>,
}

impl State {
    /// The mtime of the module root, as it was before the stage came or went.
    fn mtime_of(&self, root: &Dir) -> io::Result<Time> {
        let now = root.stat()?.mtime;
        Ok(self.owed.filter(|(_, got)| *got == now).map_or(now, |(wanted, _)| wanted))
    }

    /// Gives it back. Without the right to do so, it stays the time at which the stage came or went.
    fn restore(&mut self, root: &Dir, mtime: Time) -> io::Result<()> {
        self.owed = None;
        match root.set_mtime(mtime) {
            Err(error) if is_passing(&error) => {
                // On a disk that is read-only nothing has come or gone, and nothing is owed.
                let is_other = |now: &Stat| now.mtime != mtime;
                self.owed = root.stat().ok().filter(is_other).map(|now| (mtime, now.mtime));
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

impl Stage {
    /// A stage in the root of `tree`, the module. Touches no disk.
    pub fn new(tree: Arc<Tree>) -> io::Result<Stage> {
        let name = format!("{}{:016x}", PREFIX.escape_ascii(), u64::from_ne_bytes(process::random()?));
        Ok(Stage { tree, name, next: AtomicU64::new(0), wide: Mutex::default(), state: Mutex::default() })
    }

    /// A file to be written, at most `size` bytes. Space is not reserved: how much of it is holes is not known yet, and
    /// a write that finds no space fails long before the file has a name.
    pub fn file(self: &Arc<Self>, size: u64) -> io::Result<StagedFile> {
        faults::ask(Verb::Stage)?;
        self.file_of_mode(size, 0o600)
    }

    /// The same for a file whose metadata is known: its mode need not be set later, if all goes well.
    pub fn file_like(self: &Arc<Self>, meta: &Meta, keep: Keep) -> io::Result<StagedFile> {
        faults::ask(Verb::Stage)?;
        // In a folder that nobody else can enter a file may have its mode before it has its content and its owner.
        let wanted = metadata::mode_of_new(meta, keep) & 0o777;
        // Attributes are set before the mode, which may forbid it.
        let plain = meta.xattrs.is_empty() || process::overrides_modes();
        match process::umask() {
            Some(umask) if wanted & umask == 0 && plain => self.file_of_mode(meta.size, wanted),
            _ => self.file(meta.size),
        }
    }

    fn file_of_mode(self: &Arc<Self>, size: u64, mode: u32) -> io::Result<StagedFile> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode);
        let (fd, temp) = self.create(|folder, name| Ok(rustix::fs::openat(folder, name, flags, mode)?))?;
        Ok(StagedFile::new(temp, fd, size, mode.as_raw_mode()))
    }

    /// A folder, link, FIFO, socket or device, with all its metadata.
    ///
    /// # Errors
    /// `InvalidInput` for a regular file and for a kind that `keep` does not admit; else of the operating system, so
    /// `PermissionDenied` for a device without the right to make one.
    pub fn make(self: &Arc<Self>, meta: &Meta, keep: Keep) -> io::Result<Staged> {
        faults::ask(Verb::Stage)?;
        if meta.kind == Kind::File || !keep.admits(meta.kind) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "is of a kind that is not kept here"));
        }
        let device = rustix::fs::makedev(meta.device.major, meta.device.minor);
        let (private, special) = (Mode::RWXU, Mode::RUSR | Mode::WUSR);
        let node =
            |folder: BorrowedFd<'_>, name: &str, kind, device| rustix::fs::mknodat(folder, name, kind, special, device);
        let ((), temp) = self.create(|folder, name| {
            let made = match meta.kind {
                Kind::Dir => rustix::fs::mkdirat(folder, name, private),
                Kind::Symlink => rustix::fs::symlinkat(&meta.link[..], folder, name),
                Kind::Fifo => node(folder, name, FileType::Fifo, 0),
                Kind::Socket => node(folder, name, FileType::Socket, 0),
                Kind::CharDevice => node(folder, name, FileType::CharacterDevice, device),
                Kind::BlockDevice => node(folder, name, FileType::BlockDevice, device),
                Kind::File => Ok(()),
            };
            made.map_err(io::Error::from)
        })?;
        let problems = if meta.kind == Kind::Dir {
            let folder = rustix::fs::openat(temp.folder(), temp.name(), FOLDER, Mode::empty())?;
            metadata::apply(On::Fd(folder.as_fd()), temp.fresh(0o700), meta, keep)?
        } else {
            metadata::apply(On::Staged(temp.folder(), temp.name()), temp.fresh(0o600), meta, keep)?
        };
        Ok(Staged::new(temp, meta.kind, Origins::Own, None, problems))
    }

    /// Another name of the file (or link, or special) that stands at `name`.
    ///
    /// # Errors
    /// Of `link(2)`: `TooManyLinks`, `PermissionDenied` for a folder, `NotFound`.
    pub fn link(self: &Arc<Self>, dir: &Dir, name: &Name) -> io::Result<Staged> {
        faults::ask(Verb::Stage)?;
        let ((), temp) = self.create(|folder, temp| {
            Ok(rustix::fs::linkat(dir.fd(), name.as_bytes(), folder, temp, AtFlags::empty())?)
        })?;
        let kind = Stat::at(temp.folder(), temp.name().as_bytes())?.map_or(Kind::File, |stat| stat.kind);
        Ok(Staged::new(temp, kind, Origins::Linked, None, Vec::new()))
    }

    /// An entry of its own with the content and metadata of the one at `name`: blocks are shared where the file system
    /// can, holes stay holes.
    ///
    /// # Errors
    /// `NotFound`; `IsADirectory`; else of the operating system.
    pub fn copy(self: &Arc<Self>, dir: &Dir, name: &Name) -> io::Result<Staged> {
        faults::ask(Verb::Stage)?;
        let keep = Keep::EVERYTHING;
        let stat = dir.lookup(name)?.ok_or(io::ErrorKind::NotFound)?;
        match stat.kind {
            Kind::Dir => Err(io::ErrorKind::IsADirectory.into()),
            Kind::File => {
                let (from, stat) = dir.open_file(name)?;
                let file = self.file(stat.size)?;
                clone::content(&from, stat.size, file.fd())?;
                file.measure()?;
                if from.is_inexact()? {
                    file.mark_inexact()?;
                }
                file.finish(&from.meta(&stat, keep)?, keep)
            }
            _ => self.make(&dir.meta(name, &stat, keep)?, keep),
        }
    }

    /// Removes the stage folder when nothing is staged; the module root keeps its mtime. Returns whether it is gone.
    /// It is made again when it is needed.
    pub fn rest(&self) -> io::Result<bool> {
        let mut state = self.state();
        if state.live > 0 {
            return Ok(false);
        }
        if state.folder.is_none() && state.owed.is_none() {
            return Ok(true);
        }
        let root = self.tree.root()?;
        let before = state.mtime_of(&root)?;
        let remove = || rustix::fs::unlinkat(root.fd(), &self.name, AtFlags::REMOVEDIR);
        let removed = match (remove(), &state.folder) {
            // What could not be removed before gets another try.
            (Err(Errno::NOTEMPTY | Errno::EXIST), Some(folder)) => {
                remove::contents(folder.fd()).and_then(|()| Ok(remove()?))
            }
            (Err(Errno::NOENT), _) => Ok(()),
            (removed, _) => removed.map_err(io::Error::from),
        };
        let restored = state.restore(&root, before);
        removed?;
        state.folder = None;
        restored.map(|()| true)
    }

    /// Makes an entry under a new name in the stage. A stage folder that somebody has removed is made again, once.
    fn create<T>(self: &Arc<Self>, make: impl Fn(BorrowedFd<'_>, &str) -> io::Result<T>) -> io::Result<(T, Temp)> {
        let mut again = true;
        loop {
            let folder = self.enter()?;
            // From here on the `Temp` leaves the stage.
            let mut temp = Temp::new(self.clone(), folder, self.next_name());
            match make(temp.folder(), temp.name()) {
                Ok(made) => {
                    temp.exists();
                    return Ok((made, temp));
                }
                Err(error) if again && error.kind() == io::ErrorKind::NotFound && self.forget(temp.home()) => {
                    again = false
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn next_name(&self) -> String {
        format!("{:x}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> io::Result<Arc<StageDir>> {
        let mut state = self.state();
        let folder = match &state.folder {
            Some(folder) => folder.clone(),
            None => {
                let root = self.tree.root()?;
                let before = state.mtime_of(&root)?;
                let made = StageDir::make(&root, &self.name);
                // Where that fails, the state knows what the root is to get back.
                let _ = state.restore(&root, before);
                state.folder.insert(Arc::new(made?)).clone()
            }
        };
        state.live += 1;
        Ok(folder)
    }

    /// Makes the stage folder, if it is not there. To be called before the module root's mtime is read or set: making the
    /// folder on another thread meanwhile would put an older one back.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn prepare(&self) -> io::Result<()> {
        self.enter()?;
        self.leave();
        Ok(())
    }

    fn leave(&self) {
        self.state().live -= 1;
    }

    /// Whether one more descriptor may be kept open.
    fn may_hold(&self) -> bool {
        self.state().live <= HELD
    }

    /// Forgets a stage folder that is no longer there. Returns whether it was so.
    fn forget(&self, lost: &Arc<StageDir>) -> bool {
        if !lost.is_gone() {
            return false;
        }
        self.state().folder.take_if(|folder| Arc::ptr_eq(folder, lost));
        true
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Nothing is staged any more: each temporary holds the stage. What cannot be removed is swept at the next start.
        if let Err(error) = self.narrow().and_then(|()| self.rest()) {
            tracing::warn!("cannot remove {} in {}: {error}", self.name, self.tree.path().display());
        }
    }
}

/// A place in the stage for something that is no [`Temp`].
struct Seat<'a> {
    stage: &'a Stage,
    folder: Arc<StageDir>,
}

impl Seat<'_> {
    fn take(stage: &Stage) -> io::Result<Seat<'_>> {
        let folder = stage.enter()?;
        if !folder.is_gone() {
            return Ok(Seat { stage, folder });
        }
        stage.forget(&folder);
        stage.leave();
        let folder = stage.enter()?;
        Ok(Seat { stage, folder })
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.stage.leave();
    }
}
