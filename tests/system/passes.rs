//! `pushd sync`: one full pass, what it sends and what it says.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::rig::fs::{at, chmod, set_mtime, set_xattr};
use crate::rig::is_root;
use crate::rig::mounted::Mounted;
use crate::rig::pair::{Pair, Setup};
use crate::rig::zoo::{Zoo, odd_names};

fn number(report: &serde_json::Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("no number '{key}' in {report:#}"))
}

#[test]
fn a_second_pass_sends_no_content() {
    let mut pair = Pair::new("second", Setup::default());
    Zoo::PLAIN.build(&pair.source).unwrap();
    pair.recvd.start();
    let first = pair.sync(&["--json"]);
    assert_eq!(first.code, 0, "{}", first.text());
    assert!(number(&first.report(), "bytes") > 10_000_000, "{}", first.text());
    let second = pair.sync(&["--json"]);
    assert_eq!(second.code, 0, "{}", second.text());
    let report = second.report();
    assert_eq!((number(&report, "files"), number(&report, "bytes")), (0, 0), "{report:#}");
    assert_eq!(number(&report, "deleted"), 0, "{report:#}");
    pair.assert_equal();
}

#[test]
fn changed_metadata_sends_no_content() {
    let mut pair = Pair::new("metadata", Setup::default());
    fs::create_dir(pair.source.join("folder")).unwrap();
    for n in 0..50 {
        fs::write(pair.source.join(format!("folder/{n}")), vec![n; 10_000]).unwrap();
    }
    pair.recvd.start();
    assert_eq!(pair.sync(&[]).code, 0);
    for n in 0..50 {
        let file = pair.source.join(format!("folder/{n}"));
        chmod(&file, 0o600 + n).unwrap();
        set_xattr(&file, "user.n", &[n as u8]).unwrap();
    }
    set_mtime(&pair.source.join("folder"), 1_000, 5).unwrap();
    let done = pair.sync(&["--json"]);
    assert_eq!(done.code, 0, "{}", done.text());
    assert_eq!(number(&done.report(), "bytes"), 0, "{}", done.text());
    pair.assert_equal();
}

#[test]
fn a_first_pass_into_a_backup_with_other_things_makes_it_equal() {
    let mut pair = Pair::new("extra", Setup { source: "max_delete = \"100%\"".into(), ..Setup::default() });
    fill_with_types(&pair.source, 0);
    for n in 0..30 {
        fs::write(pair.source.join(format!("file {n}")), format!("{n}")).unwrap();
    }
    // The same names with each other type, and things that the source does not have.
    fill_with_types(&pair.backup, 1);
    let extra = pair.backup.join("extra/deep/er");
    fs::create_dir_all(&extra).unwrap();
    for name in odd_names() {
        fs::write(at(&extra, &name), b"x").unwrap();
    }
    symlink("/etc", pair.backup.join("extra/link out")).unwrap();
    pair.recvd.start();
    let done = pair.sync(&["--json"]);
    assert_eq!(done.code, 0, "{}", done.text());
    pair.assert_equal();
}

#[test]
fn types_change_both_ways() {
    let mut pair = Pair::new("types", Setup { source: "max_delete = \"100%\"".into(), ..Setup::default() });
    pair.recvd.start();
    for turn in 0..6 {
        fill_with_types(&pair.source, turn);
        let done = pair.sync(&["--json"]);
        assert_eq!(done.code, 0, "turn {turn}: {}", done.text());
        pair.assert_equal();
    }
}

/// Six names, each a file, a link, an empty folder, a full folder, a link to a folder or nothing; `turn` shifts who is
/// what.
pub fn fill_with_types(root: &Path, turn: usize) {
    for n in 0..6 {
        let path = root.join(format!("name {n}"));
        let _ = crate::rig::fs::remove(&path);
        match (n + turn) % 6 {
            0 => fs::write(&path, format!("file {turn}")).unwrap(),
            1 => symlink("anchor", &path).unwrap(),
            2 => fs::create_dir(&path).unwrap(),
            3 => {
                fs::create_dir_all(path.join("sub/sub")).unwrap();
                for k in 0..20 {
                    fs::write(path.join(format!("sub/{k}")), b"content").unwrap();
                }
            }
            4 => symlink("/etc", &path).unwrap(),
            _ => {}
        }
    }
}

#[test]
fn without_delete_extra_entries_stay() {
    let mut pair = Pair::new("nodelete", Setup { source: "delete = false".into(), ..Setup::default() });
    fs::write(pair.source.join("new"), b"new").unwrap();
    fs::create_dir(pair.backup.join("old folder")).unwrap();
    fs::write(pair.backup.join("old folder/old"), b"old").unwrap();
    pair.recvd.start();
    let done = pair.sync(&["--json"]);
    assert!(matches!(done.code, 0 | 1), "{}", done.text());
    assert_eq!(fs::read(pair.backup.join("old folder/old")).unwrap(), b"old");
    assert_eq!(fs::read(pair.backup.join("new")).unwrap(), b"new");
}

#[test]
fn another_file_system_in_a_source_is_named_or_entered() {
    if !is_root("another_file_system_in_a_source_is_named_or_entered") {
        return;
    }
    for (source, entered) in [("", false), ("one_file_system = false", true)] {
        let mut pair = Pair::new("mounts", Setup { source: source.into(), ..Setup::default() });
        let disk = pair.source.join("disk");
        fs::create_dir(&disk).unwrap();
        let mounted = Mounted::tmpfs(&disk);
        fs::write(disk.join("file"), b"on another disk").unwrap();
        pair.recvd.start();
        let done = pair.sync(&["--json"]);
        assert_eq!(done.code, 0, "{}", done.text());
        assert_eq!(pair.backup.join("disk/file").exists(), entered);
        let left_out = done.report()["left_out"].to_string();
        assert_eq!(left_out.contains("another file system"), !entered, "{left_out}");
        drop(mounted);
    }
}
