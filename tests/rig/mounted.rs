//! File systems that are mounted for a test.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::fuse;

/// A tmpfs, unmounted at the end.
pub struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    pub fn tmpfs(path: &Path) -> Mounted<'_> {
        mount("tmpfs", path, "tmpfs", MountFlags::empty(), None).unwrap();
        Mounted(path)
    }

    /// With options as `mount -o` takes them.
    pub fn tmpfs_with<'a>(path: &'a Path, options: &str) -> Mounted<'a> {
        command(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path));
        Mounted(path)
    }

    /// Changes options.
    pub fn remount(&self, options: &str) {
        command(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(self.0));
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

/// A file system for which a program is to answer, which never does. Unmounted at the end.
pub struct Dead {
    /// Of this one alone, in the table of mounts.
    name: String,
    /// What the kernel asks; closed, all that hangs fails.
    server: Arc<File>,
    /// Reads it, until told to stop.
    reader: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Dead {
    /// `None` where the kernel has no such.
    pub fn mount(at: &Path) -> Option<Dead> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        let name = format!("dead-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        mount(name.as_str(), at, "fuse", MountFlags::empty(), Some(&*options)).unwrap();
        Some(Dead { name, server: Arc::new(server), reader: None })
    }

    /// Takes each question from now on, and answers none: the kernel lets go of nobody who has asked.
    pub fn takes_questions(&mut self) {
        self.hears(|_| None);
    }

    /// Answers from now on, what was asked before too: there is an empty folder.
    pub fn answers(&mut self) {
        self.hears(fuse::answer);
    }

    /// Hears nothing more.
    pub fn falls_silent(&mut self) {
        if let Some((stop, reader)) = self.reader.take() {
            stop.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        }
    }

    fn hears(&mut self, answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) {
        self.falls_silent();
        let (server, stop) = (self.server.clone(), Arc::new(AtomicBool::new(false)));
        let told = stop.clone();
        let takes = move || {
            let mut question = vec![0; 1 << 20];
            // Read only when there is one: a reader that waits cannot be told to stop.
            let mut ready = [PollFd::new(&*server, PollFlags::IN)];
            while !told.load(Ordering::Relaxed) {
                let moment = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
                if rustix::event::poll(&mut ready, Some(&moment)).is_ok_and(|count| count > 0) {
                    let Ok(length) = (&*server).read(&mut question) else { return };
                    // Whoever asked may have given up.
                    answer(&question[..length]).map(|answer| (&*server).write(&answer));
                }
            }
        };
        self.reader = Some((stop, thread::spawn(takes)));
    }
}

impl Drop for Dead {
    fn drop(&mut self) {
        self.falls_silent();
        // Where it is by now: a folder above may have been renamed.
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let ours = format!(" - fuse {} ", self.name);
        for point in table.lines().filter(|line| line.contains(&ours)).filter_map(|line| line.split(' ').nth(4)) {
            let _ = unmount(point.replace("\\040", " ").as_str(), UnmountFlags::DETACH);
        }
    }
}

/// What a [`Disk`] is formatted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Ext4,
    /// An ext4 of before: times on whole seconds, until 2038.
    SmallInodes,
    Xfs,
    /// An xfs of before: times until 2038.
    OldXfs,
    Btrfs,
    /// A btrfs that is mounted without ACLs.
    WithoutAcls,
    /// An ext4 that does not tell case apart.
    Folding,
    /// A FAT.
    Fat,
    /// In memory, a smaller one.
    Tmpfs,
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
    format: Format,
}

impl Disk {
    /// Makes `folder/disk` and mounts it at `folder/mnt`.
    pub fn make(folder: &Path, format: Format) -> Disk {
        let disk = Disk::new(folder, format);
        assert!(disk.try_make(), "cannot make it");
        disk
    }

    /// The same, not made yet.
    pub fn new(folder: &Path, format: Format) -> Disk {
        Disk { image: folder.join("disk"), at: folder.join("mnt"), format }
    }

    /// Makes and mounts it, if the tool and the kernel can.
    pub fn try_make(&self) -> bool {
        // xfs is not made smaller than 300 MB. The file has holes.
        File::create(&self.image).unwrap().set_len(320 << 20).unwrap();
        std::fs::create_dir(&self.at).unwrap();
        let (mkfs, options): (_, &[&str]) = match self.format {
            Format::Ext4 => ("mkfs.ext4", &[]),
            Format::SmallInodes => ("mkfs.ext4", &["-I", "128"]),
            Format::Xfs => ("mkfs.xfs", &[]),
            Format::OldXfs => ("mkfs.xfs", &["-m", "bigtime=0"]),
            Format::Btrfs | Format::WithoutAcls => ("mkfs.btrfs", &[]),
            Format::Folding => ("mkfs.ext4", &["-O", "casefold"]),
            Format::Fat => ("mkfs.vfat", &[]),
            Format::Tmpfs => return self.is_mounted(),
        };
        let quiet = (self.format != Format::Fat).then_some("-q");
        let made = Command::new(mkfs).args(quiet).args(options).arg(&self.image).output();
        made.is_ok_and(|made| made.status.success()) && self.is_mounted() && self.folds()
    }

    /// Has an empty disk of that kind tell no case apart, if the kernel can.
    fn folds(&self) -> bool {
        if self.format != Format::Folding {
            return true;
        }
        std::fs::remove_dir(self.at.join("lost+found")).unwrap();
        Command::new("chattr").arg("+F").arg(&self.at).output().is_ok_and(|set| set.status.success())
    }

    fn is_mounted(&self) -> bool {
        self.mounting().status().is_ok_and(|mounted| mounted.success())
    }

    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Also recovers what the journal has, after a cut.
    pub fn mount(&self) {
        command(&mut self.mounting());
    }

    fn mounting(&self) -> Command {
        let mut mount = Command::new("mount");
        match self.format {
            Format::Tmpfs => mount.args(["-t", "tmpfs", "-o", "size=128m", "tmpfs"]).arg(&self.at),
            Format::WithoutAcls => mount.args(["-o", "loop,noacl"]).arg(&self.image).arg(&self.at),
            _ => mount.args(["-o", "loop"]).arg(&self.image).arg(&self.at),
        };
        mount
    }

    /// Changes options.
    pub fn remount(&self, options: &str) {
        command(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.at));
    }

    /// The same, where nothing is being written.
    pub fn try_remount(&self, options: &str) {
        let _ = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.at).output();
    }

    /// Takes all of its room but so many bytes.
    pub fn fill(&self, left: u64) {
        let Ok(file) = File::create(self.ballast()) else { return };
        let space = rustix::fs::fstatvfs(&file).unwrap();
        let mut length = 0;
        let mut piece = (space.f_bfree * space.f_frsize).saturating_sub(left);
        // Some of what is free is for what it takes to note which blocks are taken.
        while piece >= 4096 {
            match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), length, piece) {
                Ok(()) => length += piece,
                Err(_) => piece /= 2,
            }
            if left > 0 && length > 0 {
                break;
            }
        }
    }

    /// Gives that room back.
    pub fn empty(&self) {
        let _ = std::fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
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
