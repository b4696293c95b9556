//! Backups on disks that hold less than the source does: coarse times, times that end in 2038, no attributes, no links.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use crate::rig::compare;
use crate::rig::eventually;
use crate::rig::fs::{acl, set_mtime, set_xattr};
use crate::rig::is_root;
use crate::rig::mounted::{Disk, Format};
use crate::rig::pair::{Pair, Setup, wait_without_stage};
use crate::rig::process::Done;
use crate::rig::scratch::Scratch;

/// A pair whose backup stands on such a disk; `None` where that cannot be made here.
fn pair(test: &str, format: Format) -> Option<(Pair, Disk, Scratch)> {
    pair_with(test, format, "")
}

/// The same, with this in the table of the module.
fn pair_with(test: &str, format: Format, module: &str) -> Option<(Pair, Disk, Scratch)> {
    let scratch = Scratch::new(&format!("disk-{test}"));
    let disk = Disk::new(scratch.path(), format);
    if !is_root(test) || !disk.try_make() {
        eprintln!("there is no {format:?} here: {test} is not tried");
        return None;
    }
    let setup = Setup { backup_base: Some(disk.path().into()), module: module.into(), ..Setup::default() };
    Some((Pair::new(test, setup), disk, scratch))
}

/// Times that not every disk has: nanoseconds, before 1970, on odd seconds, before 1901, after 2038 and after 2446.
const TIMES: [(i64, u32); 8] = [
    (1_500_000_001, 123_456_789),
    (1_500_000_000, 999_999_999),
    (-5, 1),
    (0, 1),
    (-2_500_000_000, 7),
    (2_147_483_647, 5),
    (2_500_000_000, 0),
    (16_000_000_000, 1),
];

/// Of each kind of entry one with each of those times.
fn fill(root: &Path) {
    let large: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8 | 1).collect();
    for (n, (secs, nanos)) in TIMES.into_iter().enumerate() {
        let folder = root.join(format!("folder {n}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("small"), format!("{n}")).unwrap();
        fs::write(folder.join("large"), &large).unwrap();
        fs::File::create(folder.join("hollow")).unwrap().set_len(3_000_000).unwrap();
        symlink("small", folder.join("symlink")).unwrap();
        fs::hard_link(folder.join("small"), folder.join("hard link")).unwrap();
        for name in ["small", "large", "hollow", "symlink", "."] {
            set_mtime(&folder.join(name), secs, nanos).unwrap();
        }
    }
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

/// What is there is not sent again, and the times are those that the disk holds.
fn a_second_pass_sends_nothing(test: &str, format: Format, held: fn((i64, u32)) -> (i64, u32)) {
    let Some((mut pair, _disk, _scratch)) = pair(test, format) else { return };
    fill(&pair.source);
    pair.recvd.start();
    assert!(sent(&pair.sync(&["--json"]))[0] > 3 * TIMES.len() as u64);
    for (n, time) in TIMES.into_iter().enumerate() {
        for name in ["small", "large", "hollow", "symlink", "."] {
            let there = fs::symlink_metadata(pair.backup.join(format!("folder {n}/{name}"))).unwrap();
            assert_eq!((there.mtime(), there.mtime_nsec() as u32), held(time), "{name} {time:?}");
        }
    }
    assert_nothing_sent(&pair.sync(&["--json"]));
    // Another recvd finds the same out.
    pair.recvd.daemon.kill();
    pair.recvd.start_whole();
    assert_nothing_sent(&pair.sync(&["--json"]));
    let found = differences(&pair);
    assert!(found.is_empty(), "{}", compare::listing(&found, 40));
}

#[test]
fn a_second_pass_sends_nothing_where_times_are_whole_seconds_until_2038() {
    a_second_pass_sends_nothing("seconds", Format::SmallInodes, |(secs, _)| {
        (secs.clamp(i32::MIN.into(), i32::MAX.into()), 0)
    });
}

#[test]
fn a_second_pass_sends_nothing_where_times_end_in_2038() {
    a_second_pass_sends_nothing("until2038", Format::OldXfs, |(secs, nanos)| {
        let (first, last) = (i32::MIN.into(), i32::MAX.into());
        if secs > first && secs < last { (secs, nanos) } else { (secs.clamp(first, last), 0) }
    });
}

/// Whatever recvd could do at its start.
#[test]
fn a_disk_that_was_read_only_at_the_start_is_tried_out_by_the_next_session() {
    let Some((mut pair, disk, _scratch)) = pair("readonly", Format::SmallInodes) else { return };
    fill(&pair.source);
    let left = pair.backup.join(".recvd-stage-0123456789abcdef");
    fs::create_dir_all(left.join("temporary")).unwrap();
    disk.remount("ro");
    pair.recvd.start_whole();
    assert!(pair.recvd.daemon.log().contains("cannot remove leftovers of interrupted sessions"));
    disk.remount("rw");
    assert!(sent(&pair.sync(&["--json"]))[0] > 0);
    assert_nothing_sent(&pair.sync(&["--json"]));
    assert_eq!(pair.recvd.daemon.log().matches("times on whole seconds up to 2038-01-19").count(), 1);
    assert!(!left.exists(), "what an earlier recvd has left stays");
}

/// Nobody logs in anew.
#[test]
fn a_disk_that_becomes_writable_under_a_session_is_tried_out_and_the_session_begins_anew() {
    let Some((mut pair, disk, _scratch)) = pair("writable", Format::SmallInodes) else { return };
    fill(&pair.source);
    disk.remount("ro");
    pair.recvd.start_whole();
    pair.pushd.daemon.start();
    eventually("it is read-only", || pair.pushd.target("t")["state"] == "blocked");
    disk.remount("rw");
    eventually("the disk is tried out", || pair.recvd.daemon.log().contains("times on whole seconds up to 2038-01-19"));
    pair.pushd.wait_in_sync(&[]).unwrap();
    let resync = || {
        let before = pair.pushd.sent_bytes("t");
        assert_eq!(pair.pushd.command(&["resync"]).code, 0);
        pair.pushd.wait_in_sync(&[]).unwrap();
        pair.pushd.sent_bytes("t") - before
    };
    resync();
    assert_eq!(resync(), 0, "sent again: {}", pair.pushd.daemon.log());
    let found = differences(&pair);
    assert!(found.is_empty(), "{}", compare::listing(&found, 40));
}

#[test]
fn a_disk_that_comes_late_is_tried_out_when_it_comes() {
    let Some((mut pair, disk, _scratch)) = pair("late", Format::SmallInodes) else { return };
    fill(&pair.source);
    let at = disk.path().join("recvd-backup");
    fs::remove_dir(&at).unwrap();
    // The module's folder is the mount point itself.
    let config = fs::read_to_string(&pair.recvd.config).unwrap();
    fs::write(&pair.recvd.config, config.replace("/recvd-backup", "")).unwrap();
    fs::remove_dir(disk.path().join("lost+found")).unwrap();
    disk.unmount();
    pair.recvd.start_whole();
    disk.mount();
    let done = pair.pushd.command(&["check"]);
    assert!(done.code == 0 && done.out.contains(": times on whole seconds up to 2038-01-19"), "{}", done.text());
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0, "a check has left something");
    assert!(sent(&pair.pushd.command(&["sync", "--json"]))[0] > 0);
    assert_nothing_sent(&pair.pushd.command(&["sync", "--json"]));
}

/// What a target's disk does not hold is said, and a change is mirrored as well as it can be.
#[test]
fn check_and_status_say_what_the_disk_does_not_hold() {
    let Some((mut pair, _disk, _scratch)) = pair("said", Format::SmallInodes) else { return };
    let lacks = "times on whole seconds up to 2038-01-19";
    pair.start();
    pair.pushd.wait_in_sync(&[]).unwrap();
    let said = pair.pushd.command(&["check"]);
    assert!(said.out.contains(&format!("its disk holds less than others: {lacks}")), "{}", said.text());
    let status = pair.pushd.command(&["status"]);
    assert!(status.out.contains(&format!("t: its disk holds less than others: {lacks}")), "{}", status.text());
    let disk = pair.pushd.target("t")["disk"].clone();
    assert_eq!((&disk["lacks"], &disk["time_step_ns"]), (&lacks.into(), &1_000_000_000.into()), "{disk:#}");
    assert_eq!((&disk["time_first"], &disk["time_last"]), (&i32::MIN.into(), &i32::MAX.into()), "{disk:#}");
    // Two versions of one size within one second.
    for content in ["one", "two", "six"] {
        fs::write(pair.source.join("anchor"), content).unwrap();
        pair.pushd.wait_in_sync(&[]).unwrap();
        assert_eq!(fs::read_to_string(pair.backup.join("anchor")).unwrap(), content);
    }
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

/// What stands in the backup, by path from its root.
fn stored(pair: &Pair) -> Vec<String> {
    wait_without_stage(&pair.backup);
    let mut found = Vec::new();
    let mut folders = vec![pair.backup.clone()];
    while let Some(folder) = folders.pop() {
        for at in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = at.strip_prefix(&pair.backup).unwrap().to_str().unwrap().to_owned();
            match at.is_dir() {
                _ if name.starts_with(".recvd-") || name == "ballast" => {}
                true => folders.push(at),
                false => found.push(name),
            }
        }
    }
    found.sort();
    found
}

/// The paths of what is not stored, of the report of a pass.
fn unstored(done: &Done) -> Vec<String> {
    let report = done.report();
    let problems = report["problems"].as_array().cloned().unwrap_or_default();
    assert!(
        problems.iter().all(|problem| problem["reason"].as_str().unwrap().starts_with("not stored: ")),
        "{report:#}"
    );
    let mut paths: Vec<_> = problems.iter().map(|problem| problem["path"].as_str().unwrap().to_owned()).collect();
    paths.sort();
    paths
}

/// Names that are one on the disk, and such as it cannot hold, do not take turns there.
fn names_have_one_place(test: &str, format: Format, module: &str, bad: &[&str]) {
    let Some((mut pair, _disk, _scratch)) = pair_with(test, format, module) else { return };
    for name in ["README", "readme", "d/File", "d/fILE", "D/x"].iter().chain(bad) {
        fs::create_dir_all(pair.source.join(name).parent().unwrap()).unwrap();
        fs::write(pair.source.join(name), name).unwrap();
    }
    // The brake must not find that much of it goes.
    fs::create_dir(pair.source.join("ballast")).unwrap();
    (0..40).for_each(|n| fs::write(pair.source.join(format!("ballast/{n}")), "").unwrap());
    pair.recvd.start();
    let mut named: Vec<_> = ["readme", "d"].into_iter().chain(bad.iter().copied()).collect();
    named.sort();
    for pass in 0..3 {
        let done = pair.sync(&["--json"]);
        let report = done.report();
        assert_eq!(unstored(&done), named, "{}", done.text());
        assert_eq!(stored(&pair), ["D/x", "README", "anchor"]);
        assert_eq!(fs::read_to_string(pair.backup.join("README")).unwrap(), "README");
        assert!(pass == 0 || report["files"] == 0 && report["bytes"] == 0, "{}", done.text());
    }
    // What was in the way goes, and what gets another spelling has that at the backup.
    fs::remove_file(pair.source.join("README")).unwrap();
    fs::remove_dir_all(pair.source.join("D")).unwrap();
    fs::remove_file(pair.source.join("d/fILE")).unwrap();
    pair.sync(&["--json"]);
    assert_eq!(stored(&pair), ["anchor", "d/File", "readme"]);
    assert_eq!(fs::read_to_string(pair.backup.join("readme")).unwrap(), "readme");
    let done = pair.sync(&["--json"]);
    named.retain(|name| bad.contains(name));
    assert_eq!(
        (unstored(&done), done.report()["files"].as_u64()),
        (named.into_iter().map(str::to_owned).collect(), Some(0))
    );
}

#[test]
fn of_names_that_differ_in_case_the_first_has_its_place_on_a_disk_that_folds_them() {
    names_have_one_place("folding", Format::Folding, "", &[]);
}

#[test]
fn names_that_a_fat_does_not_hold_are_named_and_not_sent_again() {
    let module = r#"keep = ["mtime"]"#;
    names_have_one_place("fat", Format::Fat, module, &["what: this?", "end.", "pipe|", "a\"b"]);
}
