//! Mount points of what is far: file systems for which another host or a program answers, and so perhaps never does. Where
//! mounts are not entered nothing is asked there, as even a look at one can hang for good.
//!
//! They are known by their names alone. The kernel tells nothing when a folder above is renamed, but no mount point itself can
//! be: so whatever bears such a name is opened first, as a descriptor that only names it. That asks nothing of what is mounted
//! there and fails, and all else is looked at as ever. On a host that has nothing mounted that is far it costs nothing.
//!
//! Where mounts are entered somebody else asks them whether they answer, and those that are silent are told apart here: they
//! are not entered either, and the error says why.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use proto::RelPath;
use rustix::fs::{CWD, Mode, OFlags};

use crate::calls::{self, What};
use crate::listing;
use crate::mounts::{Changes, MountId, TABLE, from, points};
use crate::paths::canonical;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// File systems in the kernel's memory and on disks of this host: what is their root stands in memory while they are mounted.
const NEAR: [&[u8]; 35] = [
    b"bcachefs",
    b"binfmt_misc",
    b"bpf",
    b"btrfs",
    b"cgroup",
    b"cgroup2",
    b"configfs",
    b"debugfs",
    b"devpts",
    b"devtmpfs",
    b"efivarfs",
    b"erofs",
    b"exfat",
    b"ext2",
    b"ext3",
    b"ext4",
    b"f2fs",
    b"fusectl",
    b"hugetlbfs",
    b"iso9660",
    b"jfs",
    b"mqueue",
    b"nilfs2",
    b"ntfs3",
    b"proc",
    b"pstore",
    b"ramfs",
    b"securityfs",
    b"squashfs",
    b"sysfs",
    b"tmpfs",
    b"tracefs",
    b"udf",
    b"vfat",
    b"xfs",
];

/// The kernel's table, once it is open: it says whether it changed since it was asked last.
static CHANGES: Mutex<Option<Changes>> = Mutex::new(None);
/// The mounts of each name.
static NAMES: RwLock<Option<Names>> = RwLock::new(None);
/// Whether there are names. It is asked at each look.
static ANY: AtomicBool = AtomicBool::new(false);
/// Of those that are entered: which do not answer, as somebody has found out.
static SILENT: RwLock<BTreeSet<MountId>> = RwLock::new(BTreeSet::new());
/// Whether there are such. It is asked whenever something is opened.
static ANY_SILENT: AtomicBool = AtomicBool::new(false);

type Names = HashMap<Box<[u8]>, Vec<MountId>>;

/// Which of the mounts of one name are silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silent {
    None,
    Some,
    All,
}

/// Whether something that is far is mounted under this name somewhere.
pub(crate) fn is_point(name: &[u8]) -> bool {
    ANY.load(Ordering::Acquire)
        && NAMES.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|names| names.contains_key(name))
}

/// Whether anything does not answer.
pub(crate) fn is_any_silent() -> bool {
    ANY_SILENT.load(Ordering::Acquire)
}

/// Whether what is mounted under this name somewhere does not answer.
pub(crate) fn silent_at(name: &[u8]) -> Silent {
    let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
    let Some(mounts) = names.as_ref().and_then(|names| names.get(name)) else { return Silent::None };
    match mounts.iter().filter(|mount| is_silent(**mount)).count() {
        0 => Silent::None,
        silent if silent == mounts.len() => Silent::All,
        _ => Silent::Some,
    }
}

/// Whether this one does not answer.
pub(crate) fn is_silent(mount: MountId) -> bool {
    SILENT.read().unwrap_or_else(PoisonError::into_inner).contains(&mount)
}

/// Nothing is opened on this mount from now on, nor looked at, or it is again: it does not answer, or does.
pub fn set_silent(mount: MountId, silent: bool) {
    learn_far();
    let mut all = SILENT.write().unwrap_or_else(PoisonError::into_inner);
    if silent {
        all.insert(mount);
    } else {
        all.remove(&mount);
    }
    ANY_SILENT.store(!all.is_empty(), Ordering::Release);
}

/// What is mounted beneath a folder and far, by its path from there, the uppermost of each.
///
/// # Errors
/// Of the operating system, where `/proc` does not tell or there is no such folder.
pub fn far_beneath(folder: &Path) -> io::Result<BTreeMap<RelPath, MountId>> {
    let folder = canonical(folder)?;
    let table = std::fs::read(TABLE)?;
    let mut found = BTreeMap::new();
    for (number, point, kind) in points(&table) {
        if let Some(path) = from(&folder, &point) {
            match NEAR.contains(&kind) {
                true => found.remove(&path),
                false => found.insert(path, MountId(number)),
            };
        }
    }
    Ok(found)
}

/// Asks what stands at a path anything that only its file system knows, so that it is seen whether that answers. Returns when
/// it has, whatever it said.
pub fn probe(path: &Path) {
    let handle = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // The folder that it is in is not far, and is what the call is named by.
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
    let Ok(folder) = rustix::fs::openat(CWD, folder, handle, Mode::empty()) else { return };
    let _call = calls::begin(What::Look, folder.as_fd(), name.as_bytes());
    if let Ok(handle) = rustix::fs::openat(CWD, path, handle, Mode::empty()) {
        let _ = rustix::fs::fstat(&handle);
    }
    // Of a folder it is asked what is in it, too.
    if let Ok(folder) = rustix::fs::openat(CWD, path, FOLDER | OFlags::NONBLOCK, Mode::empty()) {
        let _ = listing::each(folder.as_fd(), |_| Err(io::ErrorKind::Interrupted.into()));
    }
}

/// Learns what was mounted since the last call, so that whoever hears of a mount after this does not ask it. Where `/proc` does
/// not tell, nothing is known to be far.
pub fn learn_far() {
    let mut changes = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
    let changed = match &*changes {
        Some(changes) => changes.have_come(),
        None => {
            *changes = Changes::open().ok();
            changes.is_some()
        }
    };
    let Some(table) = changed.then(|| std::fs::read(TABLE).ok()).flatten() else { return };
    let names = far(&table);
    // RACE: others may look before they know; they are as late as if they had looked before it was mounted.
    let any = !names.is_empty();
    *NAMES.write().unwrap_or_else(PoisonError::into_inner) = Some(names);
    ANY.store(any, Ordering::Release);
}

/// The mounts of what is far, by the last names of their mount points.
fn far(table: &[u8]) -> Names {
    let mut names = Names::new();
    for (number, point, _) in points(table).filter(|(_, _, kind)| !NEAR.contains(kind)) {
        let name = point.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        names.entry(name.into()).or_default().push(MountId(number));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_host_or_a_program_answers_for_is_far() {
        let table = b"20 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 20 0:50 / /srv/a\\040b rw shared:2 - nfs4 host:/x rw\n\
                      31 20 0:51 / /srv/program rw,nosuid - fuse.sshfs x rw\n32 20 0:52 / /srv/memory rw - tmpfs t rw\n\
                      33 20 0:53 / /srv/new rw - unheard x rw\nnonsense\n";
        let mut names: Vec<_> = far(table).into_keys().collect();
        names.sort();
        assert_eq!(names, [&b"a b"[..], b"new", b"program"].map(Box::from));
        assert!(NEAR.is_sorted());
    }
}
