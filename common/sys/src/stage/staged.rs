//! Temporaries in a [`Stage`]: a file being written, and a complete entry that waits for its name.
//!
//! Both are removed when they are dropped. Nothing here is seen by anybody before [`Staged::publish`].

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proto::{INEXACT, Keep, Kind, Meta, Name};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::clone::{self, write_at};
use crate::dir::Dir;
use crate::faults::{self, Verb};
use crate::file::File;
use crate::metadata::{self, Now, On};
use crate::moves::{self, At};
use crate::stat::{Birth, Stat};
use crate::xattr::Of;

use super::removal::discard;
use super::{RESTLESS, Stage, StageDir, TRIES};

/// A name in the stage; what has it is removed with it.
#[derive(Debug)]
pub(super) struct Temp {
    stage: Arc<Stage>,
    folder: Arc<StageDir>,
    name: String,
    exists: bool,
}

impl Temp {
    pub(super) fn new(stage: Arc<Stage>, folder: Arc<StageDir>, name: String) -> Temp {
        Temp { stage, folder, name, exists: false }
    }

    /// From now on there is something to remove.
    pub(super) fn exists(&mut self) {
        self.exists = true;
    }

    pub(super) fn home(&self) -> &Arc<StageDir> {
        &self.folder
    }

    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.fd()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn fresh(&self, mode: u32) -> Now {
        self.folder.fresh(mode)
    }

    fn at(&self) -> At<'_> {
        At { folder: self.folder.fd(), name: self.name.as_bytes() }
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if self.exists {
            discard(&self.folder, &self.name);
        }
        self.stage.leave();
    }
}

/// A temporary that is being written.
#[derive(Debug)]
pub struct StagedFile {
    // Declared first: closed before its name is removed.
    fd: OwnedFd,
    temp: Temp,
    size: u64,
    /// With which it was made.
    mode: u32,
    /// How long it is on the disk.
    length: AtomicU64,
    birth: Option<Birth>,
}

impl StagedFile {
    pub(super) fn new(temp: Temp, fd: OwnedFd, size: u64, mode: u32) -> StagedFile {
        StagedFile { fd, temp, size, mode, length: AtomicU64::new(0), birth: None }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Asks the disk for the length, after something else has written.
    pub(super) fn measure(&self) -> io::Result<()> {
        self.length.fetch_max(Stat::of(&self.fd)?.size, Ordering::Relaxed);
        Ok(())
    }

    /// Finds out whether the file system has room for so many bytes of it, by reserving them. For a file that is not to be
    /// published: what of it are holes is not known any more.
    ///
    /// # Errors
    /// Of the operating system: `StorageFull`, `QuotaExceeded`.
    pub fn reserve(&self, bytes: u64) -> io::Result<()> {
        crate::room::reserve(self.fd.as_fd(), bytes)
    }

    /// Writes all of `bytes`; what is never written is a hole.
    ///
    /// # Errors
    /// `InvalidInput` beyond the size that was announced; else of the operating system.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        faults::ask(Verb::Write)?;
        let end = offset.saturating_add(bytes.len() as u64);
        if end > self.size {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "more bytes than were announced"));
        }
        write_at(self.fd.as_fd(), bytes, offset)?;
        self.length.fetch_max(end, Ordering::Relaxed);
        Ok(())
    }

    /// Writes what is not a hole in this range of another file, from `offset` on; blocks are shared where the file system
    /// can and both places are at the same distance from a block's beginning.
    ///
    /// # Errors
    /// As [`write_at`](StagedFile::write_at). A file that has become shorter is none: what is missing becomes a hole.
    pub fn copy(&self, from: &File, range: Range<u64>, offset: u64) -> io::Result<()> {
        faults::ask(Verb::Write)?;
        let end = offset.saturating_add(range.end.saturating_sub(range.start));
        if end > self.size {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "more bytes than were announced"));
        }
        clone::range(from, range, self.fd.as_fd(), offset)?;
        self.measure()
    }

    /// Asks what tells it from all others, to be known of what it becomes ([`Staged::birth`]).
    pub fn note_birth(&mut self) {
        self.birth = Birth::of(&self.fd).ok().flatten();
    }

    /// Marks it as one whose content is not of one moment. To be called before it is finished: its mode may forbid it then.
    ///
    /// # Errors
    /// Of a failing disk; `Unsupported` or `PermissionDenied`, in words, where it cannot be marked.
    pub fn mark_inexact(&self) -> io::Result<()> {
        faults::ask(Verb::Write)?;
        Of::Fd(self.fd.as_fd()).set(INEXACT, b"").map_err(|errno| {
            let error = io::Error::from(errno);
            match metadata::is_passing(&error) {
                true => error,
                false => io::Error::new(
                    error.kind(),
                    format!("its content is not of one moment, which cannot be marked on it: {error}"),
                ),
            }
        })
    }

    /// Gives it its length, owner, mode, extended attributes and, last, its mtime.
    ///
    /// # Errors
    /// `InvalidInput` when it is longer than `meta` says; else of a failing disk. What only could not be set is in
    /// [`Staged::problems`].
    pub fn finish(self, meta: &Meta, keep: Keep) -> io::Result<Staged> {
        faults::ask(Verb::Write)?;
        let length = self.length.load(Ordering::Relaxed);
        if length > meta.size {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "has more bytes than its metadata says"));
        }
        if length < meta.size {
            rustix::fs::ftruncate(&self.fd, meta.size)?;
        }
        let problems = metadata::apply(On::Fd(self.fd.as_fd()), self.temp.fresh(self.mode), meta, keep)?;
        let fd = self.temp.stage.may_hold().then_some(self.fd);
        let staged = Staged::new(self.temp, Kind::File, Origins::Own, fd, problems);
        Ok(Staged { birth: self.birth, ..staged })
    }
}

/// Where the inode of a [`Staged`] comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origins {
    /// Made in the stage.
    Own,
    /// A further name of something that stands in the tree.
    Linked,
}

/// Complete, with all its metadata, not yet visible.
#[derive(Debug)]
pub struct Staged {
    /// Of a file, while few are staged.
    fd: Option<OwnedFd>,
    temp: Temp,
    kind: Kind,
    origin: Origins,
    problems: Vec<String>,
    birth: Option<Birth>,
}

impl Staged {
    pub(super) fn new(temp: Temp, kind: Kind, origin: Origins, fd: Option<OwnedFd>, problems: Vec<String>) -> Staged {
        Staged { fd, temp, kind, origin, problems, birth: None }
    }

    /// The kind of what was made; of another name, that of what it names.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What could not be set, each as "owner 33:33: Operation not permitted (os error 1)".
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// What tells it from all others, if that was asked and the file system says it.
    pub fn birth(&self) -> Option<Birth> {
        self.birth
    }

    /// Asks what tells it from all others: of a folder, whose descriptor is closed already, by its name in the stage.
    pub fn note_birth(&mut self) {
        self.birth = Birth::under(self.temp.folder(), self.temp.name()).ok().flatten();
    }

    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.temp.folder()
    }

    pub(super) fn name(&self) -> &str {
        self.temp.name()
    }

    /// How it is now.
    pub fn stat(&self) -> io::Result<Stat> {
        let found = Stat::at(self.temp.folder(), self.temp.name().as_bytes())?;
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Waits until its data and metadata survive a power cut. Links and specials have no data: the journal carries them
    /// with the folder that they are published in.
    pub fn flush(&self) -> io::Result<()> {
        if let Some(fd) = &self.fd {
            return Ok(rustix::fs::fsync(fd)?);
        }
        let flags = match self.kind {
            Kind::File => OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK,
            Kind::Dir => crate::resolve::FOLDER,
            _ => return Ok(()),
        };
        // A mode of 0 keeps us out without privileges, but not from a descriptor for writing or for nothing.
        let at = self.temp.at();
        let open = |flags| rustix::fs::openat(at.folder, at.name, flags, Mode::empty());
        let fd = match open(flags) {
            Err(Errno::ACCESS) if self.kind == Kind::File => open(flags | OFlags::WRONLY),
            opened => opened,
        };
        match fd {
            Ok(fd) => Ok(rustix::fs::fsync(fd)?),
            // The file cannot be flushed by itself then: all of its file system is.
            Err(Errno::ACCESS) => Ok(rustix::fs::syncfs(at.folder)?),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives it its name. Whatever stands there is replaced in one step, also a folder with all beneath it, which is then
    /// removed in the stage `onto`.
    pub fn publish(mut self, dir: &Dir, name: &Name, onto: &Stage) -> io::Result<()> {
        faults::ask(Verb::Publish)?;
        self.fd = None;
        for _ in 0..TRIES {
            match moves::rename(self.temp.at(), dir.at(name)) {
                Ok(()) => return self.published(),
                Err(Errno::ISDIR | Errno::NOTDIR | Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            match moves::exchange(self.temp.at(), dir.at(name)) {
                // Dropping the temporary now removes what stood there.
                Ok(()) => return Ok(()),
                Err(Errno::NOENT) => {}
                // RACE: a file system that cannot exchange shows nothing under the name for a moment.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => onto.take_out(dir, name)?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other(RESTLESS))
    }

    /// Gives it its name where nothing has it; what stands there stays.
    ///
    /// # Errors
    /// `AlreadyExists` when something stands there; else of the operating system.
    pub fn publish_new(mut self, dir: &Dir, name: &Name) -> io::Result<()> {
        faults::ask(Verb::Publish)?;
        self.fd = None;
        match moves::rename_new(self.temp.at(), dir.at(name)) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.rename_if_free(dir, name)?,
            renamed => renamed?,
        }
        self.published()
    }

    /// The same where the file system cannot look and rename in one step.
    fn rename_if_free(&self, dir: &Dir, name: &Name) -> io::Result<()> {
        if dir.lookup(name)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // RACE: what comes to stand there now is replaced, if rename can: of folders only one with nothing in it.
        match moves::rename(self.temp.at(), dir.at(name)) {
            Err(Errno::NOTEMPTY | Errno::NOTDIR | Errno::ISDIR) => Err(io::ErrorKind::AlreadyExists.into()),
            renamed => Ok(renamed?),
        }
    }

    fn published(&mut self) -> io::Result<()> {
        self.temp.exists = false;
        if self.origin == Origins::Linked {
            // When the name was one of the same file already, the kernel has renamed nothing.
            match rustix::fs::unlinkat(self.temp.folder(), self.temp.name(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
