//! The stage folder on the disk: made so that nobody else gets in and nothing is inherited, and swept at the start.
//!
//! Used by [`Stage`](super::Stage) alone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::{PREFIX, note};
use crate::dir::Dir;
use crate::metadata::{Now, Origin};
use crate::moves::{self, At};
use crate::procfs::ProcPath;
use crate::resolve::FOLDER;
use crate::stat::Stat;
use crate::tree::Tree;
use crate::{listing, remove};

/// The folder on the disk.
#[derive(Debug)]
pub(crate) struct StageDir {
    fd: OwnedFd,
    /// Whose new entries are; no possible id where that is not known.
    uid: u32,
    gid: u32,
}

impl StageDir {
    /// Makes the folder in the module root, whose mtime changes. An empty one of this name, which a try that failed
    /// half-way could not remove, is replaced.
    pub(super) fn make(root: &Dir, name: &str) -> io::Result<StageDir> {
        let remove = || rustix::fs::unlinkat(root.fd(), name, AtFlags::REMOVEDIR);
        let create = || rustix::fs::mkdirat(root.fd(), name, Mode::RWXU);
        match create() {
            Err(Errno::EXIST) => remove().and_then(|()| create())?,
            created => created?,
        }
        let made = StageDir::secure(root, name);
        if made.is_err() {
            let _ = remove();
        }
        made
    }

    fn secure(root: &Dir, name: &str) -> io::Result<StageDir> {
        let fd = rustix::fs::openat(root.fd(), name, FOLDER, Mode::empty())?;
        let Stat { uid, gid, .. } = Stat::of(&fd)?;
        // A user who may write the module root could have put a folder of his own there by now.
        let ours = rustix::process::geteuid().as_raw();
        if uid != ours {
            let text = format!("the new stage folder {name} belongs to uid {uid} and not to {ours}");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        // The module root may hand down an ACL or its group; what is made here must begin without either.
        for acl in ["system.posix_acl_default", "system.posix_acl_access"] {
            match rustix::fs::fremovexattr(&fd, acl) {
                Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        rustix::fs::fchmod(&fd, Mode::RWXU)?;
        let group = rustix::process::getegid();
        let gid = match gid == group.as_raw() || rustix::fs::fchown(&fd, None, Some(group)).is_ok() {
            true => group.as_raw(),
            false => u32::MAX,
        };
        Ok(StageDir { fd, uid, gid })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether somebody has removed it.
    pub(super) fn is_gone(&self) -> bool {
        rustix::fs::fstat(&self.fd).is_ok_and(|stat| stat.st_nlink == 0)
    }

    /// How a new entry of this mode is.
    pub(crate) fn fresh(&self, mode: u32) -> Now {
        Now { uid: self.uid, gid: self.gid, mode, origin: Origin::Fresh }
    }
}

/// What killed sessions have left in a module root, by name.
#[derive(Debug, Default)]
pub struct Leftovers(Vec<Box<[u8]>>);

impl Leftovers {
    /// All that is there. Only before any session has begun: a dead stage cannot be told from a live one.
    ///
    /// # Errors
    /// Of the operating system, where the root cannot be listed.
    pub fn find(tree: &Tree) -> io::Result<Leftovers> {
        let mut names: Vec<Box<[u8]>> = Vec::new();
        listing::anew(tree.root()?.fd(), |line| {
            if line.name.starts_with(PREFIX) {
                names.push(line.name.into());
            }
            Ok(())
        })?;
        Ok(Leftovers(names))
    }

    /// Whether there is nothing, or nothing any more.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes it from the root, whose mtime is kept, and gives back the modes that those sessions had changed. Returns how
    /// much is gone; what stays, as on a disk that is read-only, may be removed later.
    ///
    /// # Errors
    /// The first of those that keep something there, named.
    pub fn clear(&mut self, tree: &Tree) -> io::Result<u64> {
        if self.is_empty() {
            return Ok(0);
        }
        let (root, found) = (tree.root()?, self.0.len());
        let (before, mut first) = (root.stat()?, None);
        // All are tried, whatever becomes of one.
        self.0.retain(|name| match clear(&root, name) {
            Ok(()) => false,
            Err(error) => {
                let place = ProcPath::shown(root.fd(), name);
                first.get_or_insert_with(|| io::Error::new(error.kind(), format!("{place}: {error}")));
                true
            }
        });
        // Without the right to set it, the mtime stays that of the sweep.
        let _ = root.set_mtime(before.mtime);
        first.map_or(Ok((found - self.0.len()) as u64), Err)
    }
}

fn clear(root: &Dir, name: &[u8]) -> io::Result<()> {
    match remove::unlink(root.fd(), name) {
        Err(Errno::ISDIR) => {}
        done => return Ok(done?),
    }
    let stage = moves::open_anyway(At { folder: root.fd(), name }, FOLDER, 0o700)?;
    note::heal(root, stage.as_fd())?;
    remove::contents(stage.as_fd())?;
    Ok(rustix::fs::unlinkat(root.fd(), name, AtFlags::REMOVEDIR)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mounts;

    #[test]
    fn what_a_failed_try_left_is_replaced_if_it_is_empty() {
        let place = tempfile::tempdir().unwrap();
        let root = Tree::open(place.path(), Mounts::Stay).unwrap().root().unwrap();
        StageDir::make(&root, "stage").unwrap();
        let again = StageDir::make(&root, "stage").unwrap();
        assert!(!again.is_gone());
        std::fs::write(place.path().join("stage/temporary"), "").unwrap();
        assert_eq!(StageDir::make(&root, "stage").unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
    }
}
