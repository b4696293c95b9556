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

/// Removes what killed sessions left in the module root, whose mtime is kept, and gives back the modes that they had
/// changed. Returns how many there were; an error names the first that stays. Only before any session has begun: it cannot
/// tell a dead stage from a live one.
pub fn sweep(tree: &Tree) -> io::Result<u64> {
    let root = tree.root()?;
    let mut names: Vec<Box<[u8]>> = Vec::new();
    listing::anew(root.fd(), |line| {
        if line.name.starts_with(PREFIX) {
            names.push(line.name.into());
        }
        Ok(())
    })?;
    if names.is_empty() {
        return Ok(0);
    }
    let before = root.stat()?;
    let cleared = names.iter().map(|name| {
        clear(&root, name)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", ProcPath::shown(root.fd(), name))))
    });
    // All are tried, whatever becomes of one.
    let cleared = cleared.fold(Ok(()), io::Result::and);
    // Without the right to set it, the mtime stays that of the sweep.
    let _ = root.set_mtime(before.mtime);
    cleared.map(|()| names.len() as u64)
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
