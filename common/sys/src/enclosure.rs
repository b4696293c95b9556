//! Whether other users of this host can come to a folder: not where one above it lets in nobody but us and root.
//!
//! Used by the engine before it changes a file in place, and by recvd to say which modules are open. Whoever is inside
//! already, with a folder held open, stays there; so does who comes by another way to the same disk, as a bind mount.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode};

use crate::process;
use crate::resolve::HANDLE;
use crate::stat::Stat;
use crate::tree::{Mounts, Tree};

/// What a folder's mode gives to those who are not its owner, where they can pass through it. An ACL has its bound in the
/// bits of the group, so it lets in nobody whom they do not.
const PASS: u32 = 0o011;

/// A folder, held open, that let in nobody else when it was found.
#[derive(Debug)]
pub struct Enclosure(OwnedFd);

impl Enclosure {
    /// The nearest one above the root of a tree, or that root itself; `None` where other users can come to it.
    ///
    /// The root comes last: its mode may be one that a peer sets.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn around(tree: &Tree) -> io::Result<Option<Enclosure>> {
        let mut at = rustix::fs::openat(tree.fd(), c".", HANDLE, Mode::empty())?;
        let mut stat = Stat::of(&at)?;
        let root = Enclosure(at.as_fd().try_clone_to_owned()?);
        loop {
            let above = rustix::fs::openat(&at, c"..", HANDLE, Mode::empty())?;
            let next = Stat::of(&above)?;
            if next.same_inode(&stat) {
                return Ok(Some(root).filter(Enclosure::is_closed));
            }
            if lets_in_nobody(&next) {
                return Ok(Some(Enclosure(above)));
            }
            (at, stat) = (above, next);
        }
    }

    /// Whether it lets in nobody else now.
    pub fn is_closed(&self) -> bool {
        Stat::of(&self.0).is_ok_and(|stat| lets_in_nobody(&stat))
    }
}

fn lets_in_nobody(stat: &Stat) -> bool {
    process::is_ours(stat.uid) && stat.mode & PASS == 0
}

/// Whether other users of this host can come to the folder at `path`; they can where that cannot be seen.
pub fn is_open(path: &Path) -> bool {
    let around = |tree: Tree| Enclosure::around(&tree);
    !Tree::open(path, Mounts::Stay).and_then(around).is_ok_and(|enclosure| enclosure.is_some())
}

/// The folder that a person would best close so that nobody else comes to the one at `path`: the one above it, if that holds
/// nothing but `modules`; else the one at `path`. `None` where both are another user's. No path has links in it.
pub fn to_close(path: &Path, modules: &[&Path]) -> Option<PathBuf> {
    let ours = |path: &&Path| {
        let opened = rustix::fs::openat(CWD, *path, HANDLE, Mode::empty()).map_err(io::Error::from);
        opened.and_then(Stat::of).is_ok_and(|stat| process::is_ours(stat.uid))
    };
    // Folders such as /srv are there for much else, even where nothing else is in them now.
    let above = path.parent().filter(|above| above.components().count() > 2);
    let above = above.filter(|above| holds_nothing_but(above, modules)).filter(ours);
    above.or(Some(path).filter(ours)).map(Path::to_owned)
}

fn holds_nothing_but(folder: &Path, modules: &[&Path]) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.into_iter().all(|entry| {
        let expected = |path: PathBuf| modules.contains(&&*path) || path.ends_with("lost+found");
        entry.is_ok_and(|entry| expected(entry.path()))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_above_that_lets_in_nobody_else_closes_all_beneath_it() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("a/b/root");
        fs::create_dir_all(&root).unwrap();
        let tree = Tree::open(&root, Mounts::Stay).unwrap();
        let around = || Enclosure::around(&tree).unwrap();
        chmod(temp.path(), 0o755);
        if around().is_some() {
            // The folder of temporaries is closed to others itself.
            return;
        }
        // Who may only list it gets no further.
        for (folder, closed) in [("", 0o700), ("a", 0o744), ("a/b", 0o500), ("a/b/root", 0o700)] {
            let folder = temp.path().join(folder);
            chmod(&folder, closed);
            let enclosure = around().unwrap();
            for (mode, is_closed) in [(0o710, false), (0o701, false), (0o760, true), (0o755, false)] {
                chmod(&folder, mode);
                assert_eq!(enclosure.is_closed(), is_closed, "{mode:o}");
                assert_eq!(around().is_some(), is_closed, "{mode:o}");
            }
        }
        // The nearest above counts before the root, whose mode may change.
        chmod(&root, 0o700);
        chmod(temp.path(), 0o700);
        let enclosure = around().unwrap();
        chmod(&root, 0o755);
        assert!(enclosure.is_closed());
    }

    #[test]
    fn one_that_belongs_to_somebody_else_closes_nothing() {
        if process::effective_uid() != 0 {
            return;
        }
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("root");
        fs::create_dir(&root).unwrap();
        chmod(temp.path(), 0o755);
        let tree = Tree::open(&root, Mounts::Stay).unwrap();
        if Enclosure::around(&tree).unwrap().is_some() {
            // As above.
            return;
        }
        chmod(temp.path(), 0o700);
        assert!(Enclosure::around(&tree).unwrap().is_some());
        std::os::unix::fs::chown(temp.path(), Some(65_534), None).unwrap();
        assert!(Enclosure::around(&tree).unwrap().is_none());
    }

    #[test]
    fn what_to_close_is_the_folder_above_where_it_is_there_for_modules_alone() {
        let temp = tempfile::tempdir().unwrap();
        let temp = fs::canonicalize(temp.path()).unwrap();
        let (backup, www, databases) = (temp.join("backup"), temp.join("backup/www"), temp.join("backup/databases"));
        fs::create_dir_all(&www).unwrap();
        fs::create_dir_all(&databases).unwrap();
        fs::create_dir_all(backup.join("lost+found")).unwrap();
        assert_eq!(to_close(&www, &[&www, &databases]), Some(backup.clone()));
        assert_eq!(to_close(&www, &[&www]), Some(www.clone()), "what else would be shut out?");
        assert_eq!(to_close(Path::new("/usr"), &[Path::new("/usr")]), Some("/usr".into()));
        chmod(&temp, 0o700);
        assert!(!is_open(&www) && is_open(&temp.join("nowhere")));
        if process::effective_uid() == 0 {
            for other in [&backup, &www] {
                std::os::unix::fs::chown(other, Some(65_534), None).unwrap();
            }
            assert_eq!(to_close(&www, &[&www, &databases]), None);
        }
    }
}
