//! Mount points of what is far: file systems for which another host or a program answers, and so perhaps never does. Where
//! mounts are not entered nothing is asked there, as even a look at one can hang for good.
//!
//! They are known by their names alone. The kernel tells nothing when a folder above is renamed, but no mount point itself can
//! be: so whatever bears such a name is opened first, as a descriptor that only names it. That asks nothing of what is mounted
//! there and fails, and all else is looked at as ever. On a host that has nothing mounted that is far it costs nothing.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use crate::mounts::{Changes, TABLE, points};

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
static NAMES: RwLock<Option<HashSet<Box<[u8]>>>> = RwLock::new(None);
/// Whether there are names. It is asked at each look.
static ANY: AtomicBool = AtomicBool::new(false);

/// Whether something that is far is mounted under this name somewhere.
pub(crate) fn is_point(name: &[u8]) -> bool {
    ANY.load(Ordering::Acquire)
        && NAMES.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|names| names.contains(name))
}

/// Learns what was mounted since the last call. Where `/proc` does not tell, nothing is known to be far.
pub(crate) fn learn() {
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

/// The last names of all mount points of what is far.
fn far(table: &[u8]) -> HashSet<Box<[u8]>> {
    let far = points(table).filter(|(_, _, kind)| !NEAR.contains(kind));
    far.filter_map(|(_, point, _)| Some(point.rsplit(|byte| *byte == b'/').next()?.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_host_or_a_program_answers_for_is_far() {
        let table = b"20 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 20 0:50 / /srv/a\\040b rw shared:2 - nfs4 host:/x rw\n\
                      31 20 0:51 / /srv/program rw,nosuid - fuse.sshfs x rw\n32 20 0:52 / /srv/memory rw - tmpfs t rw\n\
                      33 20 0:53 / /srv/new rw - unheard x rw\nnonsense\n";
        let mut names: Vec<_> = far(table).into_iter().collect();
        names.sort();
        assert_eq!(names, [&b"a b"[..], b"new", b"program"].map(Box::from));
        assert!(NEAR.is_sorted());
    }
}
