//! Renaming and exchanging names, also of folders that their owner may not write.
//!
//! A folder that moves to another parent has its `..` rewritten, for which the kernel asks for the right to write it:
//! without privileges a folder of mode 0555 cannot be moved unless the right is added for a moment.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, RawMode, RenameFlags};
use rustix::io::Errno;

use crate::procfs::ProcPath;
use crate::resolve::HANDLE;

/// A name in a held folder.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) folder: BorrowedFd<'a>,
    pub(crate) name: &'a [u8],
}

/// Renames; replaces what stands at `to` as `rename(2)` does.
pub(crate) fn rename(from: At<'_>, to: At<'_>) -> Result<(), Errno> {
    attempt(from, to, RenameFlags::empty())
}

/// Renames where nothing stands at `to`; `EXIST` where something does.
pub(crate) fn rename_new(from: At<'_>, to: At<'_>) -> Result<(), Errno> {
    attempt(from, to, RenameFlags::NOREPLACE)
}

/// Both names swap what they stand for.
pub(crate) fn exchange(one: At<'_>, other: At<'_>) -> Result<(), Errno> {
    attempt(one, other, RenameFlags::EXCHANGE)
}

fn attempt(from: At<'_>, to: At<'_>, flags: RenameFlags) -> Result<(), Errno> {
    let act = || rustix::fs::renameat_with(from.folder, from.name, to.folder, to.name, flags);
    match act() {
        Err(Errno::ACCESS) => {}
        done => return done,
    }
    let mut unlocked = Vec::new();
    unlocked.extend(Unlocked::new(from)?);
    if flags.contains(RenameFlags::EXCHANGE) {
        unlocked.extend(Unlocked::new(to)?);
    }
    if unlocked.is_empty() { Err(Errno::ACCESS) } else { act() }
}

/// A folder that its owner may write until this is dropped.
struct Unlocked {
    folder: OwnedFd,
    mode: RawMode,
}

impl Unlocked {
    /// `None` when it is no folder, or one that can be written already.
    fn new(at: At<'_>) -> Result<Option<Unlocked>, Errno> {
        let folder = rustix::fs::openat(at.folder, at.name, HANDLE, Mode::empty())?;
        let stat = rustix::fs::fstat(&folder)?;
        let mode = stat.st_mode & 0o7777;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory || mode & 0o200 != 0 {
            return Ok(None);
        }
        chmod(folder.as_fd(), mode | 0o200)?;
        Ok(Some(Unlocked { folder, mode }))
    }
}

impl Drop for Unlocked {
    fn drop(&mut self) {
        // Cannot fail where adding the right did not; if it does, the next comparison finds the mode.
        let _ = chmod(self.folder.as_fd(), self.mode);
    }
}

/// Changes the mode of what a descriptor stands for, also one that was opened with [`HANDLE`]; never of a link.
pub(crate) fn chmod(handle: BorrowedFd<'_>, mode: RawMode) -> Result<(), Errno> {
    rustix::fs::chmod(ProcPath::of(handle).as_c_str(), Mode::from_raw_mode(mode))
}

/// Opens for reading what stands under a name, and gives its owner the rights that this needs where they lack.
pub(crate) fn open_anyway(at: At<'_>, flags: OFlags, rights: RawMode) -> Result<OwnedFd, Errno> {
    match rustix::fs::openat(at.folder, at.name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {}
        opened => return opened,
    }
    let handle = rustix::fs::openat(at.folder, at.name, HANDLE, Mode::empty())?;
    let stat = rustix::fs::fstat(&handle)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        return Err(Errno::LOOP);
    }
    chmod(handle.as_fd(), (stat.st_mode & 0o7777) | rights)?;
    rustix::fs::openat(at.folder, at.name, flags, Mode::empty())
}
