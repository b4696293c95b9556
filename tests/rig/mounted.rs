//! File systems that are mounted for a test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// A tmpfs, unmounted at the end.
pub struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    pub fn tmpfs(path: &Path) -> Mounted<'_> {
        mount("tmpfs", path, "tmpfs", MountFlags::empty(), None).unwrap();
        Mounted(path)
    }

    /// Mounts the same file system at another place.
    pub fn bind(&self, at: &Path) {
        rustix::mount::mount_bind(self.0, at).unwrap();
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = unmount(self.0, UnmountFlags::DETACH);
    }
}

/// What a [`Disk`] is formatted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Ext4,
    Xfs,
}

/// What a power cut leaves of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journal {
    /// What it holds at that moment is written first: names may be there without the data that belongs to them.
    Flushed,
    /// Nothing more is written.
    Lost,
}

/// A disk of its own, in a file, that can lose its power. Unmounted at the end.
pub struct Disk {
    image: PathBuf,
    at: PathBuf,
}

impl Disk {
    /// Makes `folder/disk` and mounts it at `folder/mnt`.
    pub fn make(folder: &Path, format: Format) -> Disk {
        let disk = Disk { image: folder.join("disk"), at: folder.join("mnt") };
        // xfs is not made smaller than 300 MB. The file has holes.
        File::create(&disk.image).unwrap().set_len(320 << 20).unwrap();
        std::fs::create_dir(&disk.at).unwrap();
        let mkfs = match format {
            Format::Ext4 => "mkfs.ext4",
            Format::Xfs => "mkfs.xfs",
        };
        command(Command::new(mkfs).arg("-q").arg(&disk.image));
        disk.mount();
        disk
    }

    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Also recovers what the journal has, after a cut.
    pub fn mount(&self) {
        command(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.at));
    }

    /// Nobody may use it any more. The loop device goes with the mount.
    pub fn unmount(&self) {
        unmount(&self.at, UnmountFlags::empty()).unwrap();
    }

    /// The power is gone: the kernel writes nothing more to the disk, and every use of it fails until it is mounted again.
    pub fn cut(&self, journal: Journal) {
        let words = match journal {
            Journal::Flushed => "shutdown -f",
            Journal::Lost => "shutdown",
        };
        command(Command::new("xfs_io").args(["-x", "-c", words]).arg(&self.at));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}

fn command(command: &mut Command) {
    let done = super::process::run(command, None);
    assert_eq!(done.code, 0, "{command:?}: {}", done.text());
}
