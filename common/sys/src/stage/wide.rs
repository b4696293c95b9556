//! More rights to an entry for its owner than its mode says, for a moment: without the powers of root nothing can be done
//! in a folder of mode 0555, nor can one be moved. Its group and others never get more.
//!
//! INVARIANT: while an entry has more rights than its mode says, a note of that mode stands in the stage folder, so that the
//! next sweep of the module gives it back after a crash. The note is made before and removed after. A file system with a
//! journal keeps the order of the three through a power cut.
//!
//! LIMIT: the module's own folder holds the stage, so there is no place for a note of it: it is never opened so.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{MutexGuard, PoisonError};

use proto::{Name, RelPath};
use rustix::fs::{Access, AtFlags, FileType, Mode, RawMode};
use rustix::io::Errno;

use super::{Seat, Stage, Staged, note};
use crate::dir::Dir;
use crate::moves::chmod;
use crate::process;
use crate::procfs::ProcPath;
use crate::resolve::HANDLE;
use crate::stat::Stat;
use crate::tree::Tree;

/// What a folder needs for anything to be done in it, and for something beneath it.
const ALL: RawMode = 0o700;
const PASS: RawMode = 0o100;
const LOOK: RawMode = 0o500;

/// An entry that its owner may use more freely.
#[derive(Debug)]
pub(super) struct Wide {
    handle: OwnedFd,
    dev: u64,
    ino: u64,
    /// Its own mode, which it gets back.
    mode: RawMode,
    given: RawMode,
    path: RelPath,
    note: String,
    span: Span,
}

/// How long an entry has more rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    /// While an [`Unlocked`] lives.
    Guard,
    /// Until [`narrow`](Stage::narrow), whatever guard it had when it was opened.
    Batch,
}

/// One entry has more rights until this is dropped.
#[derive(Debug)]
pub struct Unlocked<'a> {
    stage: &'a Stage,
    dev: u64,
    ino: u64,
}

impl Stage {
    /// Makes a folder of `tree` one that can be opened, listed and changed, with all that leads to it; until
    /// [`narrow`](Stage::narrow). Whoever is not bound by modes has that already.
    ///
    /// # Errors
    /// `PermissionDenied` in words, where a folder is another user's; else of the operating system.
    pub fn widen(&self, tree: &Tree, path: &RelPath) -> io::Result<()> {
        if process::overrides_modes() {
            return Ok(());
        }
        let mut below = path.names().peekable();
        let mut handle = rustix::fs::openat(tree.fd(), c".", HANDLE, Mode::empty()).or_else(|error| match error {
            // Not even that may be looked up in it.
            Errno::ACCESS => rustix::io::fcntl_dupfd_cloexec(tree.fd(), 0),
            error => Err(error),
        })?;
        let mut at = self.in_module(tree)?;
        loop {
            let next = below.next();
            handle = self.give(handle, &[&at], if next.is_some() { PASS } else { ALL }, Span::Batch)?.0;
            let Some(name) = next else { return Ok(()) };
            at = at.join(&name).map_err(too_long)?;
            handle = tree.handle(handle.as_fd(), &name)?;
        }
    }

    /// Lets folders of ours be moved whatever their modes: a folder has to be writable for that. `paths`, in `tree`, are where
    /// they stand now and then. What had more rights at and beneath them gets its mode back first, as a sweep after a crash
    /// would not find it there.
    ///
    /// # Errors
    /// Of the operating system. What is another user's is left to what is done next.
    pub fn unlock(&self, tree: &Tree, places: &[(&Dir, &Name)], paths: &[&RelPath]) -> io::Result<Vec<Unlocked<'_>>> {
        let mut unlocked = Vec::new();
        if process::overrides_modes() {
            return Ok(unlocked);
        }
        let paths = self.all_in_module(tree, paths)?;
        self.give_back(|wide| paths.iter().any(|path| wide.path.is_within(path)))?;
        for (dir, name) in places {
            match rustix::fs::openat(dir.fd(), name.as_bytes(), HANDLE, Mode::empty()) {
                Ok(handle) => unlocked.extend(self.unlock_handle(handle, FileType::Directory, &paths)?),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(unlocked)
    }

    /// Lets the metadata of a file of ours be set, whatever its mode.
    ///
    /// # Errors
    /// As [`unlock`](Stage::unlock).
    pub fn unlock_file(
        &self,
        tree: &Tree,
        (dir, name): (&Dir, &Name),
        path: &RelPath,
    ) -> io::Result<Option<Unlocked<'_>>> {
        if process::overrides_modes() {
            return Ok(None);
        }
        let handle = rustix::fs::openat(dir.fd(), name.as_bytes(), HANDLE, Mode::empty())?;
        self.unlock_handle(handle, FileType::RegularFile, &self.all_in_module(tree, &[path])?)
    }

    /// The mode that a folder gets where this one would shut the stage out.
    pub fn open_mode(&self, tree: &Tree, path: &RelPath, mode: u32) -> Option<u32> {
        let shut = mode & ALL != ALL && path.is_root() && tree.path() == self.tree.path();
        (shut && !process::overrides_modes()).then_some(mode | ALL)
    }

    /// The same for a new folder, on its way to a path.
    ///
    /// # Errors
    /// As [`unlock`](Stage::unlock).
    pub fn unlock_staged(&self, tree: &Tree, staged: &Staged, path: &RelPath) -> io::Result<Option<Unlocked<'_>>> {
        if staged.kind() != proto::Kind::Dir || process::overrides_modes() {
            return Ok(None);
        }
        let handle = rustix::fs::openat(staged.folder(), staged.name(), HANDLE, Mode::empty())?;
        self.unlock_handle(handle, FileType::Directory, &self.all_in_module(tree, &[path])?)
    }

    fn unlock_handle(&self, handle: OwnedFd, kind: FileType, paths: &[RelPath]) -> io::Result<Option<Unlocked<'_>>> {
        let stat = rustix::fs::fstat(&handle)?;
        let rights = if kind == FileType::Directory { 0o200 } else { 0o600 };
        if FileType::from_raw_mode(stat.st_mode) != kind {
            return Ok(None);
        }
        if stat.st_uid != process::effective_uid() {
            return Ok(None);
        }
        let (_, given) = self.give(handle, &paths.iter().collect::<Vec<_>>(), rights, Span::Guard)?;
        Ok(given.map(|(dev, ino)| Unlocked { stage: self, dev, ino }))
    }

    /// Lets the attributes of what stands at a name be read; the same otherwise.
    ///
    /// # Errors
    /// As [`unlock`](Stage::unlock).
    pub fn unlock_reading(
        &self,
        tree: &Tree,
        (dir, name): (&Dir, &Name),
        path: &RelPath,
    ) -> io::Result<Option<Unlocked<'_>>> {
        let handle = rustix::fs::openat(dir.fd(), name.as_bytes(), HANDLE, Mode::empty())?;
        let (_, given) = self.give(handle, &[&self.all_in_module(tree, &[path])?[0]], 0o400, Span::Guard)?;
        Ok(given.map(|(dev, ino)| Unlocked { stage: self, dev, ino }))
    }

    /// Whether a folder of ours has to be opened before anything in it can be looked at.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn is_shut(&self, dir: &Dir) -> io::Result<bool> {
        if process::overrides_modes() {
            return Ok(false);
        }
        let stat = dir.stat()?;
        Ok(stat.uid == process::effective_uid() && stat.mode & LOOK != LOOK)
    }

    /// Gives every entry its own mode back.
    ///
    /// # Errors
    /// Of the operating system; the rest is given back nevertheless, and what could not be is tried again the next time.
    pub fn narrow(&self) -> io::Result<()> {
        self.give_back(|_| true)
    }

    /// Whether any has more rights now.
    pub fn has_wide(&self) -> bool {
        !process::overrides_modes() && !self.wide().is_empty()
    }

    /// The mode of an entry that has more for a moment.
    pub fn mode_before(&self, stat: &Stat) -> Option<u32> {
        if process::overrides_modes() {
            return None;
        }
        self.wide().iter().find(|wide| (wide.dev, wide.ino) == (stat.dev, stat.ino)).map(|wide| wide.mode)
    }

    /// The entry was given another mode, which it keeps.
    pub fn has_mode(&self, stat: &Stat) {
        let mut wide = self.wide();
        while let Some(at) = wide.iter().position(|wide| (wide.dev, wide.ino) == (stat.dev, stat.ino)) {
            let known = wide.remove(at);
            self.forget_note(&known.note);
        }
    }

    /// Adds rights, and says of whom if there was need. `paths` are in the module.
    fn give(
        &self,
        handle: OwnedFd,
        paths: &[&RelPath],
        rights: RawMode,
        span: Span,
    ) -> io::Result<(OwnedFd, Option<(u64, u64)>)> {
        let stat = rustix::fs::fstat(&handle)?;
        let mode = stat.st_mode & 0o7777;
        let Some(path) = paths.first() else { return Ok((handle, None)) };
        if stat.st_uid != process::effective_uid() {
            return allowed(handle.as_fd(), rights, stat.st_uid, path).map(|()| (handle, None));
        }
        let mut wide = self.wide();
        let (dev, ino) = (stat.st_dev, stat.st_ino);
        if let Some(known) = wide.iter_mut().find(|wide| (wide.dev, wide.ino) == (dev, ino)) {
            // Others may be at it: they keep what they have.
            if span == Span::Batch {
                known.span = span;
            }
            chmod(handle.as_fd(), mode | known.given | rights)?;
            known.given |= rights;
            return Ok((handle, None));
        }
        if mode & rights == rights {
            return Ok((handle, None));
        }
        if path.is_root() {
            let text = format!("the module's folder has mode {mode:04o}, and recvd is not root: give it u+rwx");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        let kept = rustix::io::fcntl_dupfd_cloexec(&handle, 0)?;
        let note = self.note(mode, ino, paths)?;
        wide.push(Wide { handle: kept, dev, ino, mode, given: rights, path: (*path).clone(), note, span });
        chmod(handle.as_fd(), mode | rights)?;
        Ok((handle, Some((dev, ino))))
    }

    /// Makes a note, which leaves the stage with [`forget_note`](Stage::forget_note).
    fn note(&self, mode: RawMode, ino: u64, paths: &[&RelPath]) -> io::Result<String> {
        let seat = Seat::take(self)?;
        let name = format!("{}{}", note::NAME, self.next_name());
        let text = note::text(mode, ino, paths);
        rustix::fs::symlinkat(&text[..], seat.folder.fd(), &name)?;
        // As long as it stands, the stage is not empty.
        self.state().live += 1;
        Ok(name)
    }

    fn forget_note(&self, name: &str) {
        if let Some(folder) = &self.state().folder {
            // A note that stays does no harm: it says the mode that the entry has.
            let _ = rustix::fs::unlinkat(folder.fd(), name, AtFlags::empty());
        }
        self.leave();
    }

    /// The last first: what is beneath a folder is found through it.
    fn give_back(&self, chosen: impl Fn(&Wide) -> bool) -> io::Result<()> {
        let mut wide = self.wide();
        let mut first = Ok(());
        for at in (0..wide.len()).rev().filter(|at| chosen(&wide[*at])).collect::<Vec<_>>() {
            match chmod(wide[at].handle.as_fd(), wide[at].mode) {
                Ok(()) => {
                    let narrowed = wide.remove(at);
                    self.forget_note(&narrowed.note);
                }
                Err(error) => first = first.and(Err(error.into())),
            }
        }
        first
    }

    /// Where the root of `tree` stands in the module.
    fn in_module(&self, tree: &Tree) -> io::Result<RelPath> {
        use std::os::unix::ffi::OsStrExt;
        let beneath = tree.path().strip_prefix(self.tree.path()).map_err(io::Error::other)?;
        RelPath::parse(beneath.as_os_str().as_bytes()).map_err(too_long)
    }

    fn all_in_module(&self, tree: &Tree, paths: &[&RelPath]) -> io::Result<Vec<RelPath>> {
        let root = self.in_module(tree)?;
        let place = |path: &&RelPath| path.names().try_fold(root.clone(), |at, name| at.join(&name)).map_err(too_long);
        paths.iter().map(place).collect()
    }

    fn wide(&self) -> MutexGuard<'_, Vec<Wide>> {
        self.wide.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unlocked<'_> {
    fn drop(&mut self) {
        let it = |wide: &Wide| (wide.dev, wide.ino) == (self.dev, self.ino) && wide.span == Span::Guard;
        if let Err(error) = self.stage.give_back(it) {
            tracing::warn!("cannot give a mode back now: {error}");
        }
    }
}

fn too_long(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Whose an entry is, where it is not ours and that may be why something was denied.
pub fn not_ours(dir: &Dir, name: &Name) -> Option<String> {
    let uid = dir.lookup(name).ok()??.uid;
    let ours = process::effective_uid();
    (uid != ours && !process::overrides_modes()).then(|| {
        format!("it belongs to uid {uid} on the backup host: give it to recvd (uid {ours}), or remove it there")
    })
}

/// Whether we have these rights to what is another user's.
fn allowed(handle: BorrowedFd<'_>, rights: RawMode, uid: u32, path: &RelPath) -> io::Result<()> {
    let mut access = Access::EXEC_OK;
    access.set(Access::READ_OK, rights & 0o400 != 0);
    access.set(Access::WRITE_OK, rights & 0o200 != 0);
    match rustix::fs::accessat(rustix::fs::CWD, ProcPath::of(handle).as_c_str(), access, AtFlags::EACCESS) {
        Err(Errno::ACCESS) => {
            let ours = process::effective_uid();
            let text = format!(
                "the folder '{path}' belongs to uid {uid} on the backup host and is closed to recvd: give it to recvd (uid \
                 {ours}), or remove it there"
            );
            Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
        }
        // What else is wrong shows when it is used.
        _ => Ok(()),
    }
}
