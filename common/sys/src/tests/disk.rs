//! File systems of a kind of their own. They need privileges and `mkfs`; where these are missing there are none.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::is_root;

/// A disk in a file, mounted until this is dropped.
pub(super) struct Disk {
    pub(super) at: PathBuf,
    _temp: TempDir,
}

impl Disk {
    /// `None` where that cannot be made here.
    pub(super) fn make(mkfs: &str, arguments: &[&str], options: &str) -> Option<Disk> {
        let temp = tempfile::tempdir().unwrap();
        let (image, at) = (temp.path().join("image"), temp.path().join("mnt"));
        // xfs is not made smaller.
        fs::File::create(&image).unwrap().set_len(320 << 20).unwrap();
        fs::create_dir(&at).unwrap();
        let run = |command: &mut Command| command.output().is_ok_and(|done| done.status.success());
        let made = is_root()
            && run(Command::new(mkfs).args(arguments).arg(&image))
            && run(Command::new("mount").args(["-o", options]).arg(&image).arg(&at));
        made.then(|| Disk { at, _temp: temp })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}
