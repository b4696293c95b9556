//! Putting, making and offering: what stands under a name afterwards.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use proto::{Keep, Kept, Kind, Meta, Outcome, Time, ToReceiver};

use super::rig::*;
use crate::receiver::Limits;

#[test]
fn a_file_appears_whole_with_its_metadata() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[folder("d"), put("d/f", "hello"), put("e", "")]);
        assert_eq!(fs::read(rig.at("d/f")).unwrap(), b"hello");
        assert_eq!(fs::metadata(rig.at("d/f")).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(mtime(&rig.at("d/f")), THEN);
        assert_eq!(fs::read(rig.at("e")).unwrap(), b"");
        assert_eq!((rig.counters.files(), rig.counters.bytes(), rig.counters.ops()), (2, 5, 3));
        assert!(rig.counters.last_op().is_some());
    }
}

#[test]
fn a_file_replaces_whatever_stands_there() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[folder("a"), folder("a/b"), put("a/b/c", "deep"), symlink("l", "/etc/passwd"), put("f", "old")]);
        rig.done(&[put("a", "1"), put("l", "2"), put("f", "3")]);
        for (name, content) in [("a", "1"), ("l", "2"), ("f", "3")] {
            assert!(fs::symlink_metadata(rig.at(name)).unwrap().is_file());
            assert_eq!(fs::read_to_string(rig.at(name)).unwrap(), content);
        }
    }
}

#[test]
fn without_its_parent_folder_an_entry_is_absent() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[put("file", ""), put("other", ""), symlink("link", ".")]);
        for parent in ["none", "file", "link"] {
            let there = |name: &str| format!("{parent}/{name}");
            assert_eq!(rig.outcome(put(&there("x"), "x")), Outcome::Absent);
            assert_eq!(rig.outcome(folder(&there("x"))), Outcome::Absent);
            assert_eq!(rig.outcome(symlink(&there("x"), "t")), Outcome::Absent);
            assert_eq!(rig.outcome(rename("other", &there("x"))), Outcome::Absent);
            assert_eq!(rig.outcome(rename(&there("x"), "other")), Outcome::Absent);
            let meta = meta(Kind::File);
            assert_eq!(rig.outcome(ToReceiver::Offer { path: path(&there("x")), meta, digest: None }), Outcome::Absent);
            rig.done(&[remove(&there("x"))]);
        }
        assert_eq!(names(&rig.at("")), ["file", "link", "other"]);
    }
}

#[test]
fn what_the_module_does_not_allow_is_refused() {
    let limits = Limits { max_file_size: Some(4) };
    let keep: Keep = Keep::DEFAULT.iter().filter(|kept| *kept != Kept::Symlinks).collect();
    let mut rig = Rig::with(Settings { limits, keep, ..Settings::default() }, |_| {});
    let Outcome::Refused { reason } = rig.outcome(put("f", "12345")) else { panic!() };
    assert!(reason.contains("max_file_size"), "{reason}");
    let Outcome::Refused { reason } = rig.outcome(symlink("l", "t")) else { panic!() };
    assert!(reason.contains("symbolic links"), "{reason}");
    let fifo = ToReceiver::Make { path: path("p"), meta: meta(Kind::Fifo) };
    assert!(matches!(rig.outcome(fifo), Outcome::Refused { .. }));
    let link = ToReceiver::Link { first: path("f"), others: vec![path("g")] };
    assert_eq!(rig.outcome(link), Outcome::Absent);
    rig.done(&[put("f", "1234")]);
    assert_eq!(names(&rig.at("")), ["f"]);
    assert_eq!(rig.counters.problems(), 3);
}

#[test]
fn a_name_that_is_too_long_for_the_file_system_is_not_a_failure() {
    let mut rig = Rig::new();
    // 255 bytes is what the protocol allows and ext4 and tmpfs take.
    let long = "x".repeat(255);
    rig.done(&[put(&long, "1")]);
    assert_eq!(names(&rig.at("")), [long]);
}

#[test]
fn setuid_is_not_set_where_the_module_does_not_keep_it() {
    let mut rig = Rig::new();
    let ToReceiver::Put { path, meta, content, .. } = put("f", "x") else { panic!() };
    rig.done(&[ToReceiver::Put { path, meta: Meta { mode: 0o6755, ..meta }, content, inexact: false }]);
    assert_eq!(fs::metadata(rig.at("f")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn a_folder_gets_metadata_in_place_and_keeps_its_content() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[folder("d"), put("d/f", "x")]);
        let before = fs::metadata(rig.at("d")).unwrap();
        rig.done(&[folder("d")]);
        assert_eq!(fs::metadata(rig.at("d")).unwrap().ctime_nsec(), before.ctime_nsec(), "nothing to do");
        let meta = Meta { mode: 0o700, mtime: Time { secs: 5, nanos: 6 }, ..meta(Kind::Dir) };
        rig.done(&[ToReceiver::Make { path: path("d"), meta: meta.clone() }]);
        let after = fs::metadata(rig.at("d")).unwrap();
        assert_eq!((after.ino(), after.mode() & 0o7777), (before.ino(), 0o700));
        assert_eq!(mtime(&rig.at("d")), meta.mtime);
        assert_eq!(fs::read(rig.at("d/f")).unwrap(), b"x");
    }
}

#[test]
fn the_root_is_a_folder_too() {
    let mut rig = Rig::durable();
    let meta = Meta { mode: 0o711, ..meta(Kind::Dir) };
    rig.done(&[put("f", "x"), ToReceiver::Make { path: path(""), meta }, put("g", "y")]);
    assert_eq!(mtime(&rig.at("")), THEN);
    assert_eq!(fs::metadata(rig.at("")).unwrap().mode() & 0o7777, 0o711);
}

#[test]
fn links_and_specials_are_made_once() {
    let mut rig = Rig::with(Settings { keep: Keep::EVERYTHING, ..Settings::default() }, |_| {});
    let fifo = || ToReceiver::Make { path: path("p"), meta: meta(Kind::Fifo) };
    rig.done(&[symlink("l", "to"), fifo()]);
    let inodes = |rig: &Rig| ["l", "p"].map(|name| fs::symlink_metadata(rig.at(name)).unwrap().ino());
    let before = inodes(&rig);
    assert_eq!(mtime(&rig.at("l")), THEN);
    rig.done(&[symlink("l", "to"), fifo()]);
    assert_eq!(inodes(&rig), before);
    rig.done(&[symlink("l", "elsewhere")]);
    assert_eq!(fs::read_link(rig.at("l")).unwrap().to_str(), Some("elsewhere"));
}

#[test]
fn an_offer_changes_metadata_only_when_the_content_is_surely_there() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[folder("d"), put("f", "hello")]);
        fs::hard_link(rig.at("f"), rig.at("twin")).unwrap();
        let right = Meta { size: 5, mode: 0o600, ..meta(Kind::File) };
        let offer = |at: &str, meta: &Meta| ToReceiver::Offer { path: path(at), meta: meta.clone(), digest: None };
        assert_eq!(rig.outcome(offer("f", &right)), Outcome::Want, "it has another name");
        fs::remove_file(rig.at("twin")).unwrap();
        for (name, meta) in [
            ("none", right.clone()),
            ("d", right.clone()),
            ("f", Meta { size: 4, ..right.clone() }),
            ("f", Meta { mtime: Time { nanos: 1, ..THEN }, ..right.clone() }),
        ] {
            assert_eq!(rig.outcome(offer(name, &meta)), Outcome::Want);
        }
        rig.done(&[offer("f", &right)]);
        let stat = fs::metadata(rig.at("f")).unwrap();
        assert_eq!(stat.permissions().mode() & 0o7777, 0o600);
        rig.done(&[offer("f", &right)]);
        assert_eq!(fs::metadata(rig.at("f")).unwrap().ctime_nsec(), stat.ctime_nsec(), "nothing to do");
        assert_eq!(rig.counters.problems(), 0);
    }
}
