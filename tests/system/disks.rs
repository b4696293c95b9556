//! Backups on disks that hold less than the source does: no ACLs.

use std::fs;

use crate::rig::compare;
use crate::rig::fs::{acl, set_xattr};
use crate::rig::is_root;
use crate::rig::mounted::{Disk, Format};
use crate::rig::pair::{Pair, Setup, wait_without_stage};
use crate::rig::process::Done;
use crate::rig::scratch::Scratch;

/// A pair whose backup stands on such a disk; `None` where that cannot be made here.
fn pair(test: &str, format: Format) -> Option<(Pair, Disk, Scratch)> {
    let scratch = Scratch::new(&format!("disk-{test}"));
    let disk = Disk::new(scratch.path(), format);
    if !is_root(test) || !disk.try_make() {
        eprintln!("there is no {format:?} here: {test} is not tried");
        return None;
    }
    let setup = Setup { backup_base: Some(disk.path().into()), ..Setup::default() };
    Some((Pair::new(test, setup), disk, scratch))
}

/// Files, bytes of content and of frames that a pass has sent.
fn sent(done: &Done) -> [u64; 3] {
    assert_eq!(done.code, 0, "{}", done.text());
    let report = done.report();
    ["files", "bytes", "wire_bytes"].map(|key| report[key].as_u64().unwrap())
}

fn assert_nothing_sent(done: &Done) {
    let [files, bytes, wire] = sent(done);
    // One digest of the whole is the same.
    assert!((files, bytes) == (0, 0) && wire < 1_000, "{}", done.text());
}

/// All differences but those of times.
fn differences(pair: &Pair) -> Vec<compare::Difference> {
    wait_without_stage(&pair.backup);
    compare::trees(&pair.source, &pair.backup).into_iter().filter(|difference| difference.what != "mtime").collect()
}

#[test]
fn what_the_disk_does_not_hold_is_no_problem_and_no_difference() {
    let Some((mut pair, _disk, _scratch)) = pair("without", Format::WithoutAcls) else { return };
    fs::create_dir(pair.source.join("folder")).unwrap();
    for name in ["anchor", "folder"] {
        set_xattr(&pair.source.join(name), "system.posix_acl_access", &acl(6)).unwrap();
        set_xattr(&pair.source.join(name), "user.n", b"1").unwrap();
    }
    pair.recvd.start();
    assert_eq!(sent(&pair.sync(&["--json"]))[0], 1);
    assert_nothing_sent(&pair.sync(&["--json"]));
    let found = differences(&pair);
    assert!(found.iter().all(|difference| difference.detail.contains("posix_acl")), "{found:?}");
    assert_eq!(pair.recvd.daemon.log().matches("its disk holds less than others: no ACLs").count(), 1);
}
