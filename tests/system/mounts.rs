//! Disks that are mounted over watched folders and unmounted while pushd runs, and mounts that never answer.

use std::fs;
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};

use super::limits::{NO_INSTANCE, has_namespaces};
use crate::rig::mounted::{Dead, Mounted};
use crate::rig::pair::{Pair, Setup};
use crate::rig::{eventually, is_root};

fn left_out(pair: &Pair) -> String {
    pair.pushd.target("t")["left_out"].to_string()
}

#[test]
fn a_disk_over_a_watched_folder_is_noticed_and_so_is_its_end() {
    if !is_root("a_disk_over_a_watched_folder_is_noticed_and_so_is_its_end") {
        return;
    }
    let mut pair = Pair::new("mounted over", Setup::default());
    let folder = pair.source.join("a b");
    fs::create_dir_all(folder.join("deep")).unwrap();
    for n in 0..18 {
        fs::write(folder.join("deep").join(n.to_string()), b"beneath").unwrap();
    }
    pair.start();
    pair.settle();
    for round in ["first", "second"] {
        let covered = pair.source.join("a b");
        let mounted = Mounted::tmpfs(&covered);
        fs::write(folder.join("other"), b"on the disk").unwrap();
        eventually("it is said that something is mounted there", || {
            left_out(&pair).contains("another file system") && left_out(&pair).contains("a b")
        });
        fs::write(pair.source.join("beside"), round).unwrap();
        eventually("the rest goes on", || fs::read(pair.backup.join("beside")).is_ok_and(|is| is == round.as_bytes()));
        assert_eq!(fs::read(pair.backup.join("a b/deep/17")).unwrap(), b"beneath");
        assert!(!pair.backup.join("a b/other").exists(), "it is not entered");
        drop(mounted);
        eventually("its end is noticed", || !left_out(&pair).contains("another file system"));
        fs::write(folder.join("deep/live"), round).unwrap();
        let live = pair.backup.join("a b/deep/live");
        eventually("it is watched again", || fs::read(&live).is_ok_and(|is| is == round.as_bytes()));
    }
    pair.settle();
    pair.assert_equal();
}

#[test]
fn a_mount_that_never_answers_is_named_and_all_else_goes_on() {
    if !is_root("a_mount_that_never_answers_is_named_and_all_else_goes_on") {
        return;
    }
    let mut pair = Pair::new("hangs", Setup { source: "one_file_system = false".into(), ..Setup::default() });
    let (at, later) = (pair.source.join("dead"), pair.source.join("later"));
    fs::create_dir(&at).unwrap();
    fs::create_dir(&later).unwrap();
    fs::write(later.join("file"), b"before").unwrap();
    let Some(dead) = Dead::mount(&at) else { return };
    let named = |pair: &Pair, place: &str| {
        let problems = pair.pushd.target("t")["problems"].to_string();
        problems.contains(place) && problems.contains("does not answer")
    };
    let arrives = |pair: &Pair, place: &str, text: &str| {
        fs::write(pair.source.join(place), text).unwrap();
        eventually(place, || fs::read(pair.backup.join(place)).is_ok_and(|is| is == text.as_bytes()));
    };
    pair.recvd.start();
    let done = pair.sync(&["--json"]);
    assert_eq!(done.code, 1, "{}", done.text());
    assert!(done.report()["problems"].to_string().contains("dead"), "{}", done.text());
    pair.pushd.daemon.start();
    eventually("it is a problem", || named(&pair, "dead"));
    arrives(&pair, "beside", "at the start");
    // Mounted over a folder that is watched.
    let Some(second) = Dead::mount(&later) else { return };
    eventually("that is a problem too", || named(&pair, "later"));
    arrives(&pair, "beside", "later");
    assert_eq!(fs::read(pair.backup.join("later/file")).unwrap(), b"before");
    let began = Instant::now();
    let exit = pair.pushd.daemon.end(Duration::from_secs(60));
    let (lasted, log) = (began.elapsed(), pair.pushd.daemon.log());
    drop((dead, second));
    assert!(exit.is_some() && lasted < Duration::from_secs(8), "{lasted:?}: {log}");
    assert!(!log.contains("takes too long to end"), "{log}");
}

#[test]
fn what_the_kernel_does_not_let_go_of_is_named_at_the_end() {
    if !is_root("what_the_kernel_does_not_let_go_of_is_named_at_the_end") {
        return;
    }
    let mut pair = Pair::new("does not let go", Setup { source: "one_file_system = false".into(), ..Setup::default() });
    let at = pair.source.join("dead");
    fs::create_dir(&at).unwrap();
    let Some(mut dead) = Dead::mount(&at) else { return };
    dead.takes_questions();
    pair.start();
    eventually("it is a problem", || pair.pushd.target("t")["problems"].to_string().contains("does not answer"));
    pair.pushd.daemon.ask_to_end();
    let named = format!("a look at {} does not return", at.display());
    eventually("it is named", || pair.pushd.daemon.log().contains(&named));
    drop(dead);
    assert!(pair.pushd.daemon.exit(Duration::from_secs(60)).is_some());
}

#[test]
fn a_mount_that_never_answers_over_a_watched_folder_that_is_not_entered_holds_up_nothing() {
    if !is_root("a_mount_that_never_answers_over_a_watched_folder_that_is_not_entered_holds_up_nothing") {
        return;
    }
    let mut pair = Pair::new("over, not entered", Setup::default());
    let at = pair.source.join("later");
    fs::create_dir(&at).unwrap();
    fs::write(at.join("file"), b"before").unwrap();
    pair.start();
    pair.settle();
    let Some(dead) = Dead::mount(&at) else { return };
    for text in ["at once", "and later"] {
        fs::write(pair.source.join("beside"), text).unwrap();
        eventually(text, || fs::read(pair.backup.join("beside")).is_ok_and(|is| is == text.as_bytes()));
        eventually("it is said", || left_out(&pair).contains("later"));
        pair.pushd.command(&["resync"]);
    }
    pair.pushd.wait_in_sync(&[]).unwrap();
    drop(dead);
    eventually("its end is noticed", || !left_out(&pair).contains("another file system"));
    pair.settle();
    pair.assert_equal();
}

#[test]
fn a_mount_that_was_silent_and_answers_again_is_taken_up_and_one_that_dies_then_holds_up_no_end() {
    if !is_root("a_mount_that_was_silent_and_answers_again_is_taken_up_and_one_that_dies_then_holds_up_no_end") {
        return;
    }
    let mut pair = Pair::new("answers", Setup { source: "one_file_system = false".into(), ..Setup::default() });
    let at = pair.source.join("late");
    fs::create_dir(&at).unwrap();
    let Some(mut late) = Dead::mount(&at) else { return };
    pair.start();
    let problems = |pair: &Pair| pair.pushd.target("t")["problems"].to_string();
    eventually("it is a problem", || problems(&pair).contains("late"));
    assert!(!pair.backup.join("late").exists());
    late.answers();
    eventually("it is a problem no more", || !problems(&pair).contains("late"));
    pair.settle();
    assert!(pair.backup.join("late").is_dir());
    let done = pair.pushd.command(&["wait", "--timeout", "60s"]);
    assert_eq!(done.code, 0, "{}", done.text());
    // Now it is entered, and nobody knows yet that it has died.
    late.falls_silent();
    assert_eq!(pair.pushd.command(&["resync"]).code, 0);
    std::thread::sleep(Duration::from_secs(2));
    let began = Instant::now();
    let exit = pair.pushd.daemon.end(Duration::from_secs(60));
    let (lasted, log) = (began.elapsed(), pair.pushd.daemon.log());
    drop(late);
    assert!(exit.is_some() && lasted < Duration::from_secs(8), "{lasted:?}: {log}");
    assert!(log.contains("does not return") && log.contains("/late"), "{log}");
}

#[test]
fn a_mount_that_never_answers_and_is_not_entered_is_left_out_and_nothing_waits_for_it() {
    if !is_root("a_mount_that_never_answers_and_is_not_entered_is_left_out_and_nothing_waits_for_it") {
        return;
    }
    // A module that keeps no hard links has the source searched for further names.
    let module = r#"keep = ["mode", "owner", "mtime", "symlinks"]"#;
    let mut pair = Pair::new("not entered", Setup { module: module.into(), ..Setup::default() });
    let at = pair.source.join("folder/dead");
    fs::create_dir_all(&at).unwrap();
    fs::write(pair.source.join("folder/first"), b"before").unwrap();
    let Some(dead) = Dead::mount(&at) else { return };
    let soon = Duration::from_secs(60);
    pair.recvd.start();
    for word in ["first", "second"] {
        let done = pair.sync(&["--json"]);
        assert_eq!(done.code, 0, "{word}: {}", done.text());
        assert!(done.report()["left_out"].to_string().contains("folder/dead"), "{word}: {}", done.text());
    }
    assert_eq!(pair.pushd.command(&["check"]).code, 0);
    pair.pushd.daemon.start();
    pair.pushd.wait_in_sync(&[]).unwrap();
    let arrives = |pair: &Pair, place: &str, text: &str| {
        eventually(place, || fs::read(pair.backup.join(place)).is_ok_and(|is| is == text.as_bytes()));
    };
    fs::write(pair.source.join("folder/live"), "live").unwrap();
    arrives(&pair, "folder/live", "live");
    fs::hard_link(pair.source.join("folder/live"), pair.source.join("folder/linked")).unwrap();
    fs::write(pair.source.join("folder/live"), "both").unwrap();
    arrives(&pair, "folder/linked", "both");
    // Of a rename above it the table of mounts tells nothing.
    fs::rename(pair.source.join("folder"), pair.source.join("renamed")).unwrap();
    arrives(&pair, "renamed/linked", "both");
    fs::write(pair.source.join("renamed/live"), "renamed").unwrap();
    arrives(&pair, "renamed/linked", "renamed");
    assert_eq!(pair.pushd.command(&["resync"]).code, 0);
    pair.pushd.wait_in_sync(&[]).unwrap();
    let status = pair.pushd.command(&["status", "-v"]);
    assert!(status.code == 0 && status.out.contains("renamed/dead: another file system"), "{}", status.text());
    assert!(pair.pushd.daemon.end(soon).is_some());
    assert!(!pair.pushd.daemon.log().contains("takes too long"), "{}", pair.pushd.daemon.log());
    pair.pushd.daemon.start();
    pair.pushd.wait_in_sync(&[]).unwrap();
    drop(dead);
    fs::remove_file(pair.source.join("renamed/linked")).unwrap();
    eventually("its end is noticed", || !left_out(&pair).contains("another file system"));
    pair.settle();
    pair.assert_equal();
}

/// Whether deletions wait for a person because of a mount.
fn is_away(pair: &Pair) -> bool {
    let held = pair.pushd.target("t")["held"].clone();
    held["until"].is_null() && held["why"].as_str().is_some_and(|why| why.contains("nothing is mounted now"))
}

#[test]
fn a_mount_that_vanished_is_held_over_a_restart_until_it_is_back_or_released() {
    if !is_root("a_mount_that_vanished_is_held_over_a_restart_until_it_is_back_or_released") {
        return;
    }
    let mut pair = Pair::new("vanished", Setup { source: "one_file_system = false".into(), ..Setup::default() });
    let (at, other) = (pair.source.join("disks/one"), pair.source.with_file_name("elsewhere"));
    fs::create_dir_all(&at).unwrap();
    fs::create_dir(&other).unwrap();
    fs::write(at.join("covered"), b"beneath the disk").unwrap();
    for n in 0..200 {
        fs::write(pair.source.join(n.to_string()), b"the bulk of it").unwrap();
    }
    let mounted = Mounted::tmpfs(&at);
    mounted.bind(&other);
    for name in ["file", "covered"] {
        fs::write(at.join(name), b"on the disk").unwrap();
    }
    pair.start();
    pair.settle();
    let backup = pair.backup.clone();
    let stands = |what: &str| {
        for name in ["file", "covered"] {
            assert_eq!(fs::read(backup.join("disks/one").join(name)).unwrap(), b"on the disk", "{what}");
        }
    };
    stands("at first");
    let goes_on = |pair: &Pair, text: &str| {
        fs::write(pair.source.join("beside"), text).unwrap();
        eventually("the rest goes on", || fs::read(backup.join("beside")).is_ok_and(|is| is == text.as_bytes()));
    };
    unmount(&at, UnmountFlags::DETACH).unwrap();
    eventually("it is held", || is_away(&pair));
    eventually("all that the backup has there is counted", || pair.pushd.target("t")["held"]["entries"] == 3);
    goes_on(&pair, "live");
    assert_eq!(pair.pushd.command(&["status"]).code, 75);
    pair.pushd.command(&["resync"]);
    goes_on(&pair, "compared");
    stands("unmounted live");
    assert!(pair.pushd.daemon.end(Duration::from_secs(60)).is_some());
    let done = pair.sync(&[]);
    assert_eq!(done.code, 75, "{}", done.text());
    stands("after a pass of its own");
    pair.pushd.daemon.start();
    eventually("it is held after a restart", || is_away(&pair));
    goes_on(&pair, "restarted");
    stands("not mounted at the start");
    rustix::mount::mount_bind(&other, &at).unwrap();
    eventually("it is back", || pair.pushd.target("t")["held"].is_null());
    pair.settle();
    // More than max_delete lets go: one word is enough all the same.
    (0..400).for_each(|n| fs::write(at.join(n.to_string()), b"most of all").unwrap());
    pair.settle();
    pair.assert_equal();
    unmount(&at, UnmountFlags::DETACH).unwrap();
    eventually("it is held again", || is_away(&pair));
    assert_eq!(pair.pushd.command(&["release"]).code, 0);
    pair.settle();
    assert_eq!(fs::read(backup.join("disks/one/covered")).unwrap(), b"beneath the disk");
    pair.assert_equal();
    // And so it is where the mount point has gone, too.
    rustix::mount::mount_bind(&other, &at).unwrap();
    pair.settle();
    unmount(&at, UnmountFlags::DETACH).unwrap();
    fs::remove_dir_all(&at).unwrap();
    eventually("it is held with its mount point", || is_away(&pair));
    eventually("it is counted again", || pair.pushd.target("t")["held"]["entries"] == 403);
    assert_eq!(pair.pushd.command(&["release"]).code, 0);
    let done = pair.pushd.command(&["wait", "--timeout", "60s"]);
    assert_eq!(done.code, 0, "{}", done.text());
    pair.assert_equal();
    let _ = unmount(&other, UnmountFlags::DETACH);
}

#[test]
fn an_unmount_is_noticed_and_held_where_nothing_is_watched() {
    let name = "an_unmount_is_noticed_and_held_where_nothing_is_watched";
    if !is_root(name) || !has_namespaces(name) {
        return;
    }
    let pushd_prefix = vec!["unshare", "-Ur", "sh", "-c", NO_INSTANCE];
    let source = "one_file_system = false".into();
    let mut pair = Pair::new("polled", Setup { pushd_prefix, source, ..Setup::default() });
    let at = pair.source.join("disk");
    fs::create_dir(&at).unwrap();
    fs::write(pair.source.join("other"), b"other").unwrap();
    let mounted = Mounted::tmpfs(&at);
    fs::write(at.join("file"), b"on the disk").unwrap();
    pair.start();
    eventually("it has arrived", || fs::read(pair.backup.join("disk/file")).is_ok_and(|is| is == b"on the disk"));
    drop(mounted);
    eventually("it is held", || is_away(&pair));
    pair.pushd.command(&["resync"]);
    eventually("all that the backup has there is counted", || pair.pushd.target("t")["held"]["entries"] == 2);
    assert_eq!(fs::read(pair.backup.join("disk/file")).unwrap(), b"on the disk");
}

#[test]
fn a_mount_that_is_away_is_held_through_renames_and_exchanges_above_it() {
    if !is_root("a_mount_that_is_away_is_held_through_renames_and_exchanges_above_it") {
        return;
    }
    let mut pair = Pair::new("renamed", Setup { source: "one_file_system = false".into(), ..Setup::default() });
    let (source, backup) = (pair.source.clone(), pair.backup.clone());
    for folder in ["a/away", "a/there", "b"] {
        fs::create_dir_all(source.join(folder)).unwrap();
    }
    fs::write(source.join("b/file"), b"b").unwrap();
    let (away, there) = (source.join("a/away"), source.join("a/there"));
    let (away, there) = (Mounted::tmpfs(&away), Mounted::tmpfs(&there));
    for name in ["away", "there"] {
        fs::write(source.join("a").join(name).join("file"), name).unwrap();
    }
    pair.start();
    pair.settle();
    let stands = |folder: &str| {
        eventually(folder, || {
            let read = |name: &str| fs::read(backup.join(folder).join(name).join("file")).unwrap_or_default();
            read("away") == b"away" && read("there") == b"there"
        });
    };
    drop(away);
    eventually("it is held", || is_away(&pair));
    fs::rename(source.join("a"), source.join("c")).unwrap();
    stands("c");
    rustix::fs::renameat_with(
        rustix::fs::CWD,
        source.join("c"),
        rustix::fs::CWD,
        source.join("b"),
        rustix::fs::RenameFlags::EXCHANGE,
    )
    .unwrap();
    stands("b");
    eventually("the other side", || fs::read(backup.join("c/file")).is_ok_and(|is| is == b"b"));
    pair.pushd.command(&["resync"]);
    assert!(pair.pushd.daemon.end(Duration::from_secs(60)).is_some());
    pair.pushd.daemon.start();
    eventually("it is held after a restart", || is_away(&pair));
    fs::write(source.join("b/there/live"), b"live").unwrap();
    eventually("the other disk is a part of the source", || backup.join("b/there/live").exists());
    stands("b");
    unmount(source.join("b/there"), UnmountFlags::DETACH).unwrap();
    drop(there);
}
