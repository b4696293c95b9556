//! Who shares a source with others: what one does as fast, or as deep, as possible holds up nobody.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{Mode, OFlags, mkdirat, openat};
use serde_json::Value;

use crate::rig::eventually;
use crate::rig::pair::{Pair, Setup};

/// What was held is soon over.
fn hasty() -> Setup {
    Setup { source: "delete_hold = \"2s\"".into(), ..Setup::default() }
}

/// When the entry last changed there, whatever did that.
fn changed(at: &Path) -> (i64, i64) {
    let meta = fs::metadata(at).unwrap();
    (meta.ctime(), meta.ctime_nsec())
}

#[test]
fn a_file_does_not_wait_for_what_a_neighbour_has_renamed_before() {
    let pair = Pair::live("renamers", hasty());
    fs::create_dir(pair.source.join("quiet")).unwrap();
    let storm = pair.source.join("a");
    for n in 0..20 {
        fs::create_dir_all(storm.join(format!("{n}/e"))).unwrap();
        fs::write(storm.join(format!("{n}/e/f")), n.to_string()).unwrap();
    }
    fs::write(storm.join("half"), b"on its way").unwrap();
    pair.settle();
    // All of it waits at once, and fewer than make the kernel's queue overflow.
    pair.pushd.daemon.stop();
    for n in 0..4_000 {
        fs::rename(storm.join(n.to_string()), storm.join((n + 20).to_string())).unwrap();
        if n == 2_000 {
            fs::rename(storm.join("half"), storm.join("half way")).unwrap();
        }
    }
    fs::write(pair.source.join("quiet/file"), b"of a neighbour").unwrap();
    pair.pushd.daemon.go_on();
    pair.settle();
    // By the clock of the disk: how busy the machine is has no say in it.
    let [file, half] = ["quiet/file", "a/half way"].map(|name| changed(&pair.backup.join(name)));
    assert!(file < half, "the file came at {file:?}, after what was renamed before it: {half:?}");
}

/// Makes folders in folders, so many, deeper than any path leads.
fn dig(top: &Path, depth: usize) {
    fs::create_dir(top).unwrap();
    let mut at = File::open(top).unwrap();
    for _ in 1..depth {
        mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = openat(&at, "d", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap().into();
    }
}

/// Removes what was dug, which takes a program that goes down folder by folder.
fn fill_in(top: &Path) {
    assert!(Command::new("rm").arg("-rf").arg(top).status().unwrap().success());
}

/// The file of the neighbour arrives, the tree is named once and is there as deep as paths go, and nothing else is owed.
fn is_named_beside_a_neighbour(pair: &Pair) {
    eventually("the neighbour's file", || pair.backup.join("beside").exists());
    eventually("it is named, and nothing else is owed", || {
        let target = pair.pushd.target("t");
        let problems = target["problems"].as_array().cloned().unwrap_or_default();
        let named = |problem: &Value| {
            let path = problem["path"].as_str().unwrap_or_default();
            path.starts_with("a/d/d/") && problem["reason"].as_str().is_some_and(|reason| reason.contains("deeper"))
        };
        problems.len() == 1 && problems.iter().all(named) && target["state"] == "live" && target["owed"]["paths"] == 0
    });
    let mut at = pair.backup.join("a");
    let depth = std::iter::from_fn(|| (at.is_dir() && at.is_absolute()).then(|| at.push("d"))).count();
    assert_eq!(depth, 1_024);
}

#[test]
fn a_tree_that_grows_too_deep_is_named_and_its_neighbours_are_mirrored() {
    let pair = Pair::live("too-deep", hasty());
    dig(&pair.source.join("a"), 9_909);
    fs::write(pair.source.join("beside"), b"of a neighbour").unwrap();
    is_named_beside_a_neighbour(&pair);
    fs::write(pair.source.join("later"), b"of a neighbour").unwrap();
    eventually("what comes later", || pair.backup.join("later").exists());
    fill_in(&pair.source.join("a"));
    pair.settle();
}

#[test]
fn a_tree_that_was_too_deep_before_is_named_and_its_neighbours_are_mirrored() {
    let mut pair = Pair::new("too-deep-before", Setup::default());
    dig(&pair.source.join("a"), 9_909);
    fs::write(pair.source.join("beside"), b"of a neighbour").unwrap();
    pair.start();
    is_named_beside_a_neighbour(&pair);
    for top in [&pair.source, &pair.backup] {
        fill_in(&top.join("a"));
    }
}
