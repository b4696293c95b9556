//! What is found out of file systems that are known to hold less. Without privileges those tests have no disk, and pass.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use proto::Capabilities;

use super::House;
use super::disk::Disk;
use crate::stage::{PREFIX, probe};
use crate::{Mounts, Resolve, Tree};

fn tree(at: &Path) -> Arc<Tree> {
    Arc::new(Tree::open(at, Mounts::Stay).unwrap())
}

/// And that nothing of the trial is left.
fn found(at: &Path) -> Capabilities {
    let before = (fs::metadata(at).unwrap(), fs::read_dir(at).unwrap().count());
    let found = probe(tree(at)).unwrap();
    let after = (fs::metadata(at).unwrap(), fs::read_dir(at).unwrap().count());
    assert_eq!(before.1, after.1);
    assert_eq!((before.0.mtime(), before.0.mtime_nsec()), (after.0.mtime(), after.0.mtime_nsec()));
    assert!(found.is_sound(), "{found:?}");
    found
}

#[test]
fn the_disk_of_the_tests_is_tried_and_nothing_is_left() {
    let house = House::new(Resolve::Openat2);
    let found = found(&house.path(""));
    assert!(found.hardlinks && found.symlinks && found.first <= 0 && found.last >= i64::from(i32::MAX), "{found:?}");
}

#[test]
fn small_inodes_hold_whole_seconds_until_2038() {
    let Some(disk) = Disk::make("mkfs.ext4", &["-q", "-I", "128"], "loop") else { return };
    let times = (1_000_000_000, i32::MIN.into(), i32::MAX.into());
    let found = found(&disk.at);
    assert_eq!((found.granularity, found.first, found.last), times);
    let (granularity, first, last) = times;
    assert_eq!(found, Capabilities { granularity, first, last, ..Capabilities::full() });
}

#[test]
fn large_inodes_hold_nanoseconds_until_2446() {
    let Some(disk) = Disk::make("mkfs.ext4", &["-q", "-I", "256"], "loop") else { return };
    let range = (i64::from(i32::MIN), 15_032_385_535);
    let found = found(&disk.at);
    assert_eq!(found, Capabilities { first: range.0, last: range.1, ..Capabilities::full() });
}

#[test]
fn an_xfs_of_before_holds_nanoseconds_until_2038() {
    let Some(disk) = Disk::make("mkfs.xfs", &["-q", "-m", "bigtime=0"], "loop") else { return };
    let (first, last) = (i32::MIN.into(), i32::MAX.into());
    assert_eq!(found(&disk.at), Capabilities { first, last, ..Capabilities::full() });
}

#[test]
fn what_a_mount_turns_off_is_not_held() {
    let Some(disk) = Disk::make("mkfs.btrfs", &["-q"], "loop,noacl") else { return };
    // Nor does it say of any time that it is too early or too late.
    assert_eq!(found(&disk.at), Capabilities { acls: false, ..Capabilities::full() });
}

#[test]
fn a_disk_of_24_bits_of_everything_holds_little() {
    let Some(disk) = Disk::make("mkfs.vfat", &[], "loop") else { return };
    let found = found(&disk.at);
    assert_eq!(found.granularity, 2_000_000_000);
    assert!(!found.xattrs && !found.acls && !found.hardlinks && !found.symlinks && !found.any_bytes && !found.case);
    // So nothing says there of a file that its content is not of one moment.
    let error = Arc::new(crate::Stage::new(tree(&disk.at)).unwrap()).file(0).unwrap().mark_inexact().unwrap_err();
    assert!(error.kind() == io::ErrorKind::Unsupported && error.to_string().contains("of one moment"), "{error}");
}

#[test]
fn names_that_differ_in_case_are_one_where_the_folder_says_so() {
    let Some(disk) = Disk::make("mkfs.ext4", &["-q", "-O", "casefold"], "loop") else { return };
    let folded = disk.at.join("folded");
    fs::create_dir(&folded).unwrap();
    let set = Command::new("chattr").arg("+F").arg(&folded).output();
    if !set.is_ok_and(|done| done.status.success()) {
        return;
    }
    let inside = found(&folded);
    assert!(!inside.case && !inside.any_bytes && found(&disk.at).case, "{inside:?}");
}

#[test]
fn a_disk_that_is_read_only_or_full_tells_nothing_and_keeps_nothing() {
    let Some(disk) = Disk::make("mkfs.ext4", &["-q", "-m", "0"], "loop") else { return };
    let run = |options: &str| {
        let done = Command::new("mount").args(["-o", options]).arg(&disk.at).status().unwrap();
        assert!(done.success());
    };
    run("remount,ro");
    assert_eq!(probe(tree(&disk.at)).unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    run("remount,rw");
    let ballast = fs::File::create(disk.at.join("ballast")).unwrap();
    let mut piece = 256 << 20;
    let mut length = 0;
    while piece >= 1024 {
        match rustix::fs::fallocate(&ballast, rustix::fs::FallocateFlags::empty(), length, piece) {
            Ok(()) => length += piece,
            Err(_) => piece /= 2,
        }
    }
    assert_eq!(probe(tree(&disk.at)).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(stages(&disk.at), 0);
}

#[test]
fn what_a_killed_trial_left_is_swept() {
    let house = House::new(Resolve::Openat2);
    let stage = house.path(".recvd-stage-0123456789abcdef");
    fs::create_dir(&stage).unwrap();
    for name in ["file", "hole", "end. "] {
        fs::write(stage.join(name), "1").unwrap();
    }
    assert_eq!(
        (crate::stage::Leftovers::find(&house.tree).unwrap().clear(&house.tree).unwrap(), stages(&house.path(""))),
        (1, 0)
    );
}

fn stages(at: &Path) -> usize {
    let names = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.as_encoded_bytes().starts_with(PREFIX)).count()
}
