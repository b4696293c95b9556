//! What is mounted where, and which mounts stand on which others. Used by recvd, which may start before its disk is mounted,
//! and by pushd's watcher, which inotify does not tell of a disk that is mounted over a watched folder.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use proto::RelPath;
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::paths::canonical;

/// All that this process sees mounted.
pub(crate) const TABLE: &str = "/proc/self/mountinfo";

/// A mount, by the kernel's number: given again after it was unmounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MountId(pub(crate) u64);

impl MountId {
    /// Whether it was mounted on something in `below`, or on what was.
    ///
    /// # Errors
    /// Of the operating system, where `/proc` does not tell.
    pub fn is_above(self, below: MountId) -> io::Result<bool> {
        Ok(stands_on(&std::fs::read_to_string(TABLE)?, self.0, below.0))
    }
}

/// Knows whether something was mounted or unmounted since it was asked last.
#[derive(Debug)]
pub struct Changes(File);

impl Changes {
    /// Of all from now on.
    ///
    /// # Errors
    /// Of the operating system, where `/proc` does not tell.
    pub fn open() -> io::Result<Changes> {
        File::open(TABLE).map(Changes)
    }

    /// Whether something was since the last call, or since it was opened.
    pub fn have_come(&self) -> bool {
        let mut asked = [self.polled()];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut asked, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// What to poll. The kernel says so once for each change.
    pub(crate) fn polled(&self) -> PollFd<'_> {
        PollFd::new(&self.0, PollFlags::PRI)
    }
}

/// The mount points beneath a folder, by their paths from there, each with all that is mounted on it, the uppermost last.
/// No mount beneath it is asked anything, so that one that does not answer holds up nobody.
///
/// # Errors
/// Of the operating system, where `/proc` does not tell or there is no such folder.
pub fn mounts_beneath(folder: &Path) -> io::Result<BTreeMap<RelPath, Vec<MountId>>> {
    let folder = canonical(folder)?;
    Ok(beneath(&std::fs::read(TABLE)?, &folder))
}

/// A path that is beyond the limits of one is left out: nothing there is watched or sent.
fn beneath(table: &[u8], folder: &Path) -> BTreeMap<RelPath, Vec<MountId>> {
    let mut found: BTreeMap<RelPath, Vec<MountId>> = BTreeMap::new();
    for (number, point, _) in points(table) {
        if let Some(path) = from(folder, &point) {
            found.entry(path).or_default().push(MountId(number));
        }
    }
    found
}

/// Where a mount point is beneath a folder, if it is.
pub(crate) fn from(folder: &Path, point: &[u8]) -> Option<RelPath> {
    let within = Path::new(OsStr::from_bytes(point)).strip_prefix(folder).ok()?;
    RelPath::parse(within.as_os_str().as_bytes()).ok().filter(|path| !path.is_root())
}

/// The mounts of a table: each with its number, its mount point, and the kind of its file system.
pub(crate) fn points(table: &[u8]) -> impl Iterator<Item = (u64, Vec<u8>, &[u8])> {
    table.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut words = line.split(|byte| *byte == b' ');
        let number = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
        let point = unescaped(words.nth(3)?);
        // A few more words stand before the dash, as many as there are.
        words.find(|word| *word == b"-")?;
        Some((number, point, words.next()?))
    })
}

/// The kernel writes blanks, line ends and backslashes as a backslash and three octal digits.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, more)) = rest.split_first() {
        let byte = match more {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if *first == b'\\' => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        rest = if byte.is_some() { &more[3..] } else { more };
        bytes.push(byte.unwrap_or(*first));
    }
    bytes
}

/// `table` is as in proc_pid_mountinfo(5): each line begins with the number of a mount and that of the one it stands on.
fn stands_on(table: &str, mount: u64, below: u64) -> bool {
    let parents: std::collections::HashMap<u64, u64> = table
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').map(str::parse);
            Some((words.next()?.ok()?, words.next()?.ok()?))
        })
        .collect();
    // The uppermost stands on itself, or on one that we do not see.
    let down = |mount: &u64| parents.get(mount).copied().filter(|parent| parent != mount);
    std::iter::successors(down(&mount), down).take(parents.len()).any(|mount| mount == below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_found_beneath_a_folder_whatever_they_are_called() {
        let table = b"20 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 20 8:2 / /srv rw - xfs /dev/sdb rw\n\
                      31 30 8:2 /x /srv/a\\040b\\134c rw shared:3 - xfs /dev/sdb rw\n\
                      32 31 0:9 / /srv/a\\040b\\134c rw - tmpfs t rw\n\
                      33 30 0:8 / /srv/d/e\\012\xff rw - tmpfs t rw\n34 20 0:7 / /srv2 rw - tmpfs t rw\nnonsense\n\n";
        let path = |bytes: &[u8]| RelPath::parse(bytes).unwrap();
        let found: Vec<_> = beneath(table, Path::new("/srv")).into_iter().collect();
        let both = vec![MountId(31), MountId(32)];
        assert_eq!(found, [(path(b"a b\\c"), both), (path(b"d/e\n\xff"), vec![MountId(33)])]);
        assert_eq!(beneath(table, Path::new("/")).len(), 4);
    }

    #[test]
    fn a_mount_stands_on_all_that_is_beneath_it() {
        let table = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 20 8:2 / /srv rw - xfs /dev/sdb rw\n\
                     40 30 0:50 / /srv/x rw - tmpfs x rw\n41 20 0:51 / /run rw - tmpfs y rw\n50 50 0:2 / / rw - rootfs r rw\n";
        for (mount, below, stands) in [
            (40, 30, true),
            (40, 20, true),
            (30, 20, true),
            (30, 40, false),
            (41, 30, false),
            (30, 30, false),
            (50, 20, false),
        ] {
            assert_eq!(stands_on(table, mount, below), stands, "{mount} on {below}");
        }
    }
}
