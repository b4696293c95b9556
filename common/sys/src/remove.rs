//! Removing whole trees inside the stage, of any size and depth, without recursion.
//!
//! A folder's subfolders are moved up into the stage one after the other, so that no path and no stack of descriptors
//! ever grows: each folder on the list is a direct child of the stage. Mounts are not entered and stop the removal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::listing::{self, Line};
use crate::moves::{self, At};
use crate::process::random;
use crate::resolve::FOLDER;
use proto::Kind;

/// How often a folder is emptied again when something keeps appearing in it.
const PASSES: usize = 8;

/// Removes `name` from the private folder `stage`, whatever it is; not there is removed. Goes on after an error and
/// returns the first one.
pub(crate) fn remove(stage: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    match unlink(stage, name) {
        Err(Errno::ISDIR) => {}
        done => return Ok(done?),
    }
    let mut work = Work { stage, seed: u64::from_ne_bytes(random()?), next: 0, left: vec![name.into()] };
    let mut first = Ok(());
    while let Some(folder) = work.left.pop() {
        first = first.and(work.folder(&folder));
    }
    first
}

/// Removes all that is in a private folder, not the folder itself.
pub(crate) fn contents(stage: BorrowedFd<'_>) -> io::Result<()> {
    let mut names: Vec<Box<[u8]>> = Vec::new();
    listing::anew(stage, |line| {
        names.push(line.name.into());
        Ok(())
    })?;
    names.iter().map(|name| remove(stage, name)).fold(Ok(()), io::Result::and)
}

/// Removes a folder with all that is in it, which needs no other folder.
pub(crate) fn emptied(at: At<'_>) -> io::Result<()> {
    let folder = moves::open_anyway(at, FOLDER, 0o700)?;
    contents(folder.as_fd())?;
    Ok(rustix::fs::unlinkat(at.folder, at.name, AtFlags::REMOVEDIR)?)
}

/// Removes one name that is not a folder; not there is removed. `ISDIR` for a folder on every file system.
pub(crate) fn unlink(folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        // POSIX lets a file system say EPERM for a folder.
        Err(Errno::PERM) => match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if stat.st_mode & 0o170_000 == 0o040_000 => Err(Errno::ISDIR),
            _ => Err(Errno::PERM),
        },
        done => done,
    }
}

struct Work<'a> {
    stage: BorrowedFd<'a>,
    seed: u64,
    next: u64,
    /// Folders in the stage that are still to be removed.
    left: Vec<Box<[u8]>>,
}

impl Work<'_> {
    fn folder(&mut self, name: &[u8]) -> io::Result<()> {
        let mut last = Err(Errno::NOTEMPTY);
        for _ in 0..PASSES {
            match rustix::fs::unlinkat(self.stage, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(error @ (Errno::NOTEMPTY | Errno::EXIST)) => last = Err(error),
                Err(error) => return Err(error.into()),
            }
            self.empty(name)?;
        }
        Ok(last?)
    }

    /// Unlinks a folder's entries and moves its subfolders up, to be next on the list.
    fn empty(&mut self, name: &[u8]) -> io::Result<()> {
        let folder = moves::open_anyway(At { folder: self.stage, name }, FOLDER, 0o700)?;
        let mut entries: Vec<(Box<[u8]>, Option<Kind>)> = Vec::new();
        listing::each(folder.as_fd(), |Line { name, kind, .. }| {
            entries.push((name.into(), kind));
            Ok(())
        })?;
        for (entry, kind) in entries {
            let at = At { folder: folder.as_fd(), name: &entry };
            match self.entry(at, kind) {
                Err(Errno::ACCESS) => {
                    moves::chmod(folder.as_fd(), 0o700)?;
                    self.entry(at, kind)?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    fn entry(&mut self, at: At<'_>, kind: Option<Kind>) -> Result<(), Errno> {
        if kind != Some(Kind::Dir) {
            match unlink(at.folder, at.name) {
                Err(Errno::ISDIR) => {}
                done => return done,
            }
        }
        self.next += 1;
        let up = format!("{:016x}-{:x}", self.seed, self.next);
        match moves::rename(at, At { folder: self.stage, name: up.as_bytes() }) {
            Ok(()) => self.left.push(up.into_bytes().into()),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
