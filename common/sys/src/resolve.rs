//! How a path beneath a held folder becomes a descriptor without leaving it: no link is followed, and with
//! [`Mounts::Stay`] no mount is entered.
//!
//! Used by [`Tree`](crate::Tree) and [`Dir`](crate::Dir). With `openat2` the kernel keeps the promise; where a kernel or
//! a sandbox has none, each component is opened by itself and looked at. There is no `..` in a path, by its type.
//!
//! RACE: a folder that is moved out of the root by a local user while it is held, or between two steps, is still that
//! folder: what is done there happens in it, never at another place that the peer chose.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;

use crate::far::{self, Silent};
use crate::mounts::MountId;
use crate::stat::Stat;

/// Whether an error says that there is no such entry or folder (any more): a name is missing on the way, or is no folder.
pub fn is_absence(error: &io::Error) -> bool {
    // ELOOP: a symbolic link where a folder was.
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// Longest path in one system call: `PATH_MAX` without its NUL.
const LONGEST: usize = 4095;
/// How often `openat2` may say "again" (a rename crossed it) before the path is walked.
const AGAIN: usize = 16;

pub(crate) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Opens for reading so that the access time stays as it is (`O_NOATIME`): a backup is no use of a file. The kernel allows
/// that to the owner and to `CAP_FOWNER`; of what it refuses the access time changes, at the cost of one more open.
///
/// LIMIT: there is no such way to read the text of a symbolic link.
pub(crate) fn unnoticed<T>(flags: OFlags, open: impl Fn(OFlags) -> io::Result<T>) -> io::Result<T> {
    if flags.intersects(OFlags::PATH | OFlags::WRONLY | OFlags::RDWR) {
        return open(flags);
    }
    match open(flags | OFlags::NOATIME) {
        Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => open(flags),
        opened => opened,
    }
}

const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A descriptor that only names an entry: opening it has no effect on FIFOs and devices, and a link stays a link.
pub(crate) const HANDLE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What is done at the border of another mounted file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounts {
    /// It is not entered: opening fails with `CrossesDevices` (`EXDEV`).
    Stay,
    /// It is entered as any folder.
    Cross,
}

/// How a path beneath the root is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolve {
    /// By `openat2`: the kernel confines it.
    Openat2,
    /// Component by component, for kernels or sandboxes without `openat2`.
    Walk,
}

/// The rules of one tree. `Copy`: each `Dir` carries them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    mounts: Mounts,
    how: Resolve,
    home: Mount,
}

/// Which mount a descriptor is on: its id, or the device where the kernel has no ids (before 5.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mount {
    Id(MountId),
    Device(u32, u32),
}

impl Reach {
    pub(crate) fn new(root: BorrowedFd<'_>, mounts: Mounts, how: Resolve) -> io::Result<Reach> {
        Ok(Reach { mounts, how, home: mount_of(root)? })
    }

    /// Whether another mounted file system is not entered.
    pub(crate) fn stays(&self) -> bool {
        self.mounts == Mounts::Stay
    }

    /// Opens a folder for reading. `path` is of any length; empty is `at` itself, as a new description.
    pub(crate) fn folder(&self, at: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
        let mut rest = if path.is_empty() { b"." } else { path };
        let mut held: Option<OwnedFd> = None;
        while rest.len() > LONGEST {
            let cut = rest[..=LONGEST].iter().rposition(|b| *b == b'/').ok_or(Errno::NAMETOOLONG)?;
            let step = self.open(held.as_ref().map_or(at, AsFd::as_fd), &rest[..cut], STEP)?;
            held = Some(step);
            rest = &rest[cut + 1..];
        }
        self.open(held.as_ref().map_or(at, AsFd::as_fd), rest, FOLDER)
    }

    /// A [`HANDLE`] of any kind of entry.
    pub(crate) fn handle(&self, at: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
        self.open(at, name, HANDLE)
    }

    /// What stands under a name; `None` when there is nothing. Where something is mounted that may never answer, and nothing
    /// that is mounted is entered, it is not asked: `EXDEV`.
    pub(crate) fn look(&self, at: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Stat>> {
        let careful = if self.stays() { far::is_point(name) } else { far::is_any_silent() };
        if !careful {
            return Stat::at(at, name);
        }
        match self.handle(at, name) {
            Ok(handle) => Stat::of(handle).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// With these flags, `NOFOLLOW` among them.
    pub(crate) fn open(&self, at: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        unnoticed(flags, |flags| self.resolve(at, path, flags))
    }

    /// Fails where a path leads onto a mount that is known not to answer.
    fn avoid_silent(&self, at: BorrowedFd<'_>, path: &[u8]) -> io::Result<()> {
        let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let mut held: Option<OwnedFd> = None;
        let mut done = 0;
        for (number, name) in names.iter().enumerate() {
            let silent = far::silent_at(name);
            if silent == Silent::None {
                continue;
            }
            for step in &names[done..number] {
                let from = held.as_ref().map_or(at, AsFd::as_fd);
                held = Some(rustix::fs::openat(from, *step, STEP, Mode::empty())?);
            }
            done = number;
            let from = held.as_ref().map_or(at, AsFd::as_fd);
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
            match rustix::fs::openat2(from, *name, HANDLE, Mode::empty(), resolve) {
                Err(Errno::XDEV) if silent == Silent::All => return Err(unanswered()),
                Err(Errno::XDEV | Errno::NOSYS | Errno::PERM) => {
                    let there = rustix::fs::openat(from, *name, HANDLE, Mode::empty())?;
                    if matches!(mount_of(there.as_fd())?, Mount::Id(mount) if far::is_silent(mount)) {
                        return Err(unanswered());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn resolve(&self, at: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        if self.mounts == Mounts::Cross && far::is_any_silent() {
            self.avoid_silent(at, path)?;
        }
        if self.how == Resolve::Walk {
            return self.walk(at, path, flags);
        }
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        if self.mounts == Mounts::Stay {
            resolve |= ResolveFlags::NO_XDEV;
        }
        for _ in 0..AGAIN {
            match rustix::fs::openat2(at, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return Ok(opened?),
            }
        }
        self.walk(at, path, flags)
    }

    fn walk(&self, at: BorrowedFd<'_>, path: &[u8], last: OFlags) -> io::Result<OwnedFd> {
        let mut held: Option<OwnedFd> = None;
        let mut names = path.split(|b| *b == b'/').peekable();
        while let Some(name) = names.next() {
            let flags = if names.peek().is_some() { STEP } else { last };
            let from = held.as_ref().map_or(at, AsFd::as_fd);
            let step = rustix::fs::openat(from, name, flags, Mode::empty())?;
            if self.mounts == Mounts::Stay && mount_of(step.as_fd())? != self.home {
                return Err(Errno::XDEV.into());
            }
            held = Some(step);
        }
        held.ok_or_else(|| Errno::NOENT.into())
    }
}

fn unanswered() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "what is mounted there does not answer")
}

pub(crate) fn mount_of(fd: BorrowedFd<'_>) -> io::Result<Mount> {
    // The file system itself, which may not answer, is asked nothing.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(fd, c"", flags, StatxFlags::MNT_ID | StatxFlags::INO)?;
    if StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID) {
        Ok(Mount::Id(MountId(stat.stx_mnt_id)))
    } else {
        Ok(Mount::Device(stat.stx_dev_major, stat.stx_dev_minor))
    }
}

/// Whether this kernel and sandbox let us use `openat2`.
pub(crate) fn has_openat2(root: BorrowedFd<'_>) -> bool {
    let probe = rustix::fs::openat2(root, c".", STEP, Mode::empty(), ResolveFlags::BENEATH);
    // A sandbox that does not know the call refuses it with EPERM or ENOSYS; any other error is not about the call.
    !matches!(probe, Err(Errno::NOSYS | Errno::PERM))
}
