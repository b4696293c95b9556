//! A held root folder: the only way to a [`Dir`].
//!
//! pushd opens one for each source, recvd one for each module and one beneath it for each session. It knows nothing of
//! what stands in the tree, and nothing of who may use it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use proto::{Name, RelPath};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};

use crate::calls::{self, What};
use crate::dir::Dir;
use crate::far;
use crate::mounts::MountId;
use crate::procfs::ProcPath;
use crate::resolve::{self, Mount, Reach};
pub use crate::resolve::{Mounts, Resolve};
use crate::stat::Stat;

/// An open root directory; every operation goes through a held directory descriptor, beneath the root, and follows no
/// link.
///
/// LIMIT: the kernel reports a failed write-back once for each open file. Sessions that flush must therefore not share
/// one `Tree`: take one with [`beneath`](Tree::beneath) for each.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    reach: Reach,
    path: PathBuf,
}

/// What makes a root the same root: it is another one after a mount, or after it was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootId {
    /// Device of the file system.
    pub dev: u64,
    /// The inode of the root, unique on its device as long as it lives.
    pub ino: u64,
}

/// What makes a folder the same one, also after the host was started anew: a copy of it is another one.
///
/// LIMIT: an image of the whole file system is not told apart, nor is a snapshot that keeps inodes and their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderId {
    /// The number of its inode, which a later folder may have again.
    pub ino: u64,
    /// Seconds and nanoseconds of its birth; zero where the file system does not know.
    pub born: (i64, u32),
}

impl Tree {
    /// Opens the operator's path, in which links are followed. Uses `openat2` where it can be used.
    ///
    /// # Errors
    /// Of the operating system; and `Unsupported` where `/proc` is not mounted.
    pub fn open(path: &Path, mounts: Mounts) -> io::Result<Tree> {
        let root = open_root(path)?;
        let how = if resolve::has_openat2(root.as_fd()) { Resolve::Openat2 } else { Resolve::Walk };
        Tree::hold(root, path, mounts, how)
    }

    /// The same, with the way of resolving chosen.
    pub fn open_with(path: &Path, mounts: Mounts, how: Resolve) -> io::Result<Tree> {
        Tree::hold(open_root(path)?, path, mounts, how)
    }

    fn hold(root: OwnedFd, path: &Path, mounts: Mounts, how: Resolve) -> io::Result<Tree> {
        // Extended attributes are reached through /proc. Without it each entry would look as if it had vanished.
        if rustix::fs::lstat(ProcPath::of(root.as_fd()).as_c_str()).is_err() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "/proc is not mounted; mount it"));
        }
        let reach = Reach::new(root.as_fd(), mounts, how)?;
        if reach.stays() {
            far::learn_far();
        }
        Ok(Tree { root, reach, path: path.into() })
    }

    /// A folder of it as a root of its own, under the same rules.
    pub fn beneath(&self, path: &RelPath) -> io::Result<Tree> {
        use std::os::unix::ffi::OsStrExt;
        let root = self.reach.folder(self.root.as_fd(), path.as_bytes())?;
        let path = match path.is_root() {
            true => self.path.clone(),
            false => self.path.join(std::ffi::OsStr::from_bytes(path.as_bytes())),
        };
        Ok(Tree { root, reach: self.reach, path })
    }

    /// The root as a folder.
    pub fn root(&self) -> io::Result<Dir> {
        self.dir(&RelPath::root())
    }

    /// A folder beneath the root. Paths of more than 4,095 bytes are opened in hops.
    ///
    /// # Errors
    /// `NotFound` for a missing component, `NotADirectory` or `FilesystemLoop` for a link in the way, `CrossesDevices`
    /// for a mount in the way of [`Mounts::Stay`].
    pub fn dir(&self, path: &RelPath) -> io::Result<Dir> {
        let _call = calls::begin(What::Open, self.root.as_fd(), path.as_bytes());
        Ok(Dir::new(self.reach.folder(self.root.as_fd(), path.as_bytes())?, self.reach))
    }

    /// Whether its file system can be written and has room for so many bytes more in a new file, as far as it says.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn has_room(&self, bytes: u64) -> io::Result<bool> {
        crate::room::is_left(self.fd(), bytes)
    }

    /// Of the root that is held, whatever stands at its path now; compare with [`identity_at`].
    pub fn identity(&self) -> io::Result<RootId> {
        let Stat { dev, ino, .. } = Stat::of(&self.root)?;
        Ok(RootId { dev, ino })
    }

    /// Of the root that is held, as it can be written down.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn folder_id(&self) -> io::Result<FolderId> {
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let stat = rustix::fs::statx(&self.root, c"", AtFlags::EMPTY_PATH, wanted)?;
        let known = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
        let born = if known { (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec) } else { (0, 0) };
        Ok(FolderId { ino: stat.stx_ino, born })
    }

    /// Which mount it is on; `None` where the kernel does not say (before 5.8).
    pub fn mount(&self) -> Option<MountId> {
        match resolve::mount_of(self.root.as_fd()) {
            Ok(Mount::Id(mount)) => Some(mount),
            _ => None,
        }
    }

    /// Whether it is still what stands at its path. It is not after a rename or a removal there or further up, nor where
    /// something was mounted over it, or what it stands on was unmounted.
    ///
    /// # Errors
    /// Of the operating system, where that cannot be seen.
    pub fn stands(&self) -> io::Result<bool> {
        match identity_at(&self.path) {
            Err(error) if resolve::is_absence(&error) => Ok(false),
            there => Ok(there? == self.identity()?),
        }
    }

    /// What is done at the border of another mounted file system.
    pub fn mounts(&self) -> Mounts {
        if self.reach.stays() { Mounts::Stay } else { Mounts::Cross }
    }

    /// As given, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands under a single name of a folder that is held with a [`HANDLE`](resolve::HANDLE).
    pub(crate) fn handle(&self, at: BorrowedFd<'_>, name: &Name) -> io::Result<OwnedFd> {
        self.reach.handle(at, name.as_bytes())
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// What stands at the operator's path now.
///
/// # Errors
/// Of the operating system: `NotFound`, and `NotADirectory` when it is no folder.
pub fn identity_at(path: &Path) -> io::Result<RootId> {
    let Stat { dev, ino, .. } =
        Stat::of(rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)?;
    Ok(RootId { dev, ino })
}

fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    resolve::unnoticed(flags, |flags| Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
}
