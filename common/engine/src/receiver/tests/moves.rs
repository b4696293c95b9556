//! Removing, renaming, exchanging and counting.

use std::fs;
use std::os::unix::fs::MetadataExt;

use proto::{Outcome, ToReceiver, ToSender};

use super::rig::*;

#[test]
fn what_is_removed_is_gone_with_all_beneath_it() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[folder("d"), folder("d/e"), put("d/e/f", "x"), put("f", "x"), symlink("l", "f")]);
        rig.done(&[remove("d"), remove("l"), remove("none"), remove("none/deeper")]);
        assert_eq!(names(&rig.at("")), ["f"]);
    }
}

#[test]
fn a_rename_replaces_whatever_stands_there() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[folder("d"), folder("d/e"), put("d/e/f", "deep"), put("a", "1"), put("b", "2")]);
        rig.done(&[rename("a", "b")]);
        assert_eq!(names(&rig.at("")), ["b", "d"]);
        assert_eq!(fs::read(rig.at("b")).unwrap(), b"1");
        rig.done(&[rename("d", "b"), put("b/e/g", "new")]);
        assert_eq!(names(&rig.at("")), ["b"]);
        assert_eq!(names(&rig.at("b/e")), ["f", "g"]);
        rig.done(&[put("x", "file"), rename("x", "b")]);
        assert_eq!(names(&rig.at("")), ["b"]);
        assert_eq!(fs::read(rig.at("b")).unwrap(), b"file");
        assert_eq!(rig.outcome(rename("none", "b")), Outcome::Absent);
        assert_eq!(fs::read(rig.at("b")).unwrap(), b"file");
    }
}

#[test]
fn a_rename_onto_another_name_of_the_same_file_leaves_one() {
    let mut rig = Rig::new();
    rig.done(&[put("a", "1"), ToReceiver::Link { first: path("a"), others: vec![path("b")] }, rename("a", "b")]);
    assert_eq!(names(&rig.at("")), ["b"]);
}

#[test]
fn an_exchange_swaps_any_two() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[folder("d"), put("d/f", "x"), put("g", "y")]);
        rig.done(&[ToReceiver::Exchange { a: path("d"), b: path("g") }, put("g/h", "z")]);
        assert_eq!(fs::read(rig.at("d")).unwrap(), b"y");
        assert_eq!(names(&rig.at("g")), ["f", "h"]);
        let missing = ToReceiver::Exchange { a: path("d"), b: path("none") };
        assert_eq!(rig.outcome(missing), Outcome::Absent);
    }
}

#[test]
fn counts_count_what_was_done_before() {
    for mut rig in [Rig::new(), Rig::durable()] {
        let count = |at: &str| ToReceiver::Count { path: path(at) };
        rig.send(&[folder("d"), put("d/f", "x"), count("d"), count(""), count("none"), count("d/f/x"), put("d/g", "")]);
        let counts: Vec<u64> = rig
            .answers()
            .into_iter()
            .map(|answer| match answer {
                ToSender::Counted { entries, .. } => entries,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(counts, [2, 3, 0, 0]);
    }
}

#[test]
fn work_in_a_folder_leaves_its_mtime_alone() {
    for mut rig in [Rig::new(), Rig::durable()] {
        let dirs = ["", "a", "b", "b/c"];
        rig.done(&[folder("a"), folder("b"), folder("b/c"), folder("")]);
        let unchanged = |rig: &Rig| dirs.iter().all(|dir| mtime(&rig.at(dir)) == THEN);
        assert!(unchanged(&rig));
        rig.done(&[put("a/x", "1"), put("b/c/y", "2"), symlink("b/l", "t"), folder("a/d"), put("z", "")]);
        assert!(unchanged(&rig));
        rig.done(&[rename("a/x", "b/x"), rename("b/c", "a/c"), put("a/c/new", ""), rename("a/c", "b/c")]);
        assert!(unchanged(&rig));
        rig.done(&[remove("b/x"), remove("b/c/y"), put("a/d", "a file instead"), remove("a/d")]);
        assert!(unchanged(&rig));
        rig.done(&[ToReceiver::Link { first: path("z"), others: vec![path("a/z"), path("b/c/z")] }]);
        assert!(unchanged(&rig));
    }
}

#[test]
fn a_folder_that_is_renamed_after_it_was_worked_in_keeps_its_mtime() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[folder("a"), folder("a/b"), put("a/b/c", "")]);
        rig.done(&[
            put("a/b/d", ""),
            rename("a", "z"),
            put("z/b/e", ""),
            remove("z/b/c"),
            rename("z/b", "b"),
            put("b/f", ""),
        ]);
        assert_eq!(mtime(&rig.at("b")), THEN);
        assert_eq!(mtime(&rig.at("z")), THEN);
        assert_eq!(names(&rig.at("b")), ["d", "e", "f"]);
    }
}

#[test]
fn a_folder_made_among_work_in_it_has_the_mtime_it_was_made_with() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[folder("a")]);
        let other = proto::Time { secs: 77, nanos: 7 };
        let meta = proto::Meta { mtime: other, ..meta(proto::Kind::Dir) };
        let make = ToReceiver::Make { path: path("a"), meta };
        rig.done(&[put("a/1", ""), make.clone(), put("a/2", "")]);
        assert_eq!(mtime(&rig.at("a")), other);
        let ctime = fs::metadata(rig.at("a")).unwrap().ctime_nsec();
        rig.done(&[make]);
        assert_eq!(fs::metadata(rig.at("a")).unwrap().ctime_nsec(), ctime);
    }
}

#[test]
fn a_batch_over_more_folders_than_are_held_keeps_all_mtimes() {
    for mut rig in [Rig::new(), Rig::durable()] {
        let dirs: Vec<String> = (0..600).map(|n| format!("d{n}")).collect();
        rig.done(&dirs.iter().map(|dir| folder(dir)).collect::<Vec<_>>());
        rig.done(&[put("f", "x")]);
        for dirs in dirs.chunks(proto::limits::LINKS) {
            let others = dirs.iter().map(|dir| path(&format!("{dir}/f"))).collect();
            rig.send(&[ToReceiver::Link { first: path("f"), others }]);
        }
        assert_eq!(rig.answers(), []);
        assert!(dirs.iter().all(|dir| mtime(&rig.at(dir)) == THEN));
        assert_eq!(fs::metadata(rig.at("f")).unwrap().nlink(), 601);
    }
}
