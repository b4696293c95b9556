//! How the file of marks grows.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex};

use proto::login::Durability;
use proto::{Outcome, ToReceiver, ToSender};
use sys::faults::Verb;

use super::rig::*;

const FILE: &str = ".recvd-marks";

fn mark(name: &str) -> ToReceiver {
    ToReceiver::Mark { name: name.into() }
}

/// One to which both kinds of durability apply, with this file in it.
fn rigs(before: &str) -> [Rig; 2] {
    [Durability::None, Durability::Batch].map(|durability| {
        Rig::with(Settings { durability, ..Settings::default() }, |root| fs::write(root.join(FILE), before).unwrap())
    })
}

fn marked(rig: &Rig) -> Vec<String> {
    let text = fs::read_to_string(rig.at(FILE)).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

fn inode(rig: &Rig) -> u64 {
    fs::metadata(rig.at(FILE)).unwrap().ino()
}

fn is_refused(rig: &mut Rig, name: &str) -> bool {
    matches!(rig.outcome(mark(name)), Outcome::Refused { .. })
}

#[test]
fn the_first_mark_of_a_session_replaces_the_file_and_all_others_are_written_behind_its_end() {
    for mut rig in rigs("1 one\n") {
        let found = inode(&rig);
        rig.done(&[mark("two")]);
        let made = inode(&rig);
        assert_ne!(made, found, "it may be anybody's");
        rig.done(&(0..50).map(|n| mark(&format!("mark {n}"))).collect::<Vec<_>>());
        assert!(is_refused(&mut rig, "one") && is_refused(&mut rig, "two") && is_refused(&mut rig, "mark 49"));
        rig.done(&[put("f", ""), mark("last")]);
        assert_eq!(inode(&rig), made, "none of them has made it anew");
        let marks = marked(&rig);
        assert_eq!(
            (marks.len(), &marks[..3], &marks[52][..]),
            (53, &["one", "two", "mark 0"].map(String::from)[..], "last")
        );
    }
}

#[test]
fn a_file_of_marks_that_somebody_changes_is_read_again_and_no_other_name_of_it_is_written_to() {
    for mut rig in rigs("") {
        rig.done(&[mark("one"), mark("two")]);
        fs::hard_link(rig.at(FILE), rig.scratch.path().join("snapshot")).unwrap();
        rig.done(&[mark("three")]);
        let snapshot = fs::read_to_string(rig.scratch.path().join("snapshot")).unwrap();
        assert_eq!((snapshot.lines().count(), marked(&rig).len()), (2, 3));
        // Lines that went may come again, and what was written by another hand counts.
        fs::write(rig.at(FILE), "7 other\n").unwrap();
        assert!(is_refused(&mut rig, "other"));
        rig.done(&[mark("one")]);
        assert_eq!(marked(&rig), ["other", "one"]);
        fs::remove_file(rig.at(FILE)).unwrap();
        rig.done(&[mark("other"), mark("two")]);
        assert_eq!(marked(&rig), ["other", "two"]);
    }
}

#[test]
fn a_line_that_was_cut_off_is_no_mark() {
    for torn in ["2", "2 tw", "\0\0\0\0"] {
        for mut rig in rigs(&format!("1 one\n{torn}")) {
            assert!(is_refused(&mut rig, "one"));
            rig.done(&[mark("tw"), mark("two")]);
            assert_eq!(marked(&rig), ["one", "tw", "two"]);
        }
    }
}

#[test]
fn after_a_flush_that_failed_a_mark_waits_for_all_that_there_is() {
    // Whether each of the next flushes fails; beyond them none does. And how many there were.
    let flushes = Arc::new(Mutex::new((vec![], 0)));
    let asked = Arc::clone(&flushes);
    let disk = move |verb: Verb| {
        let (plan, count) = &mut *asked.lock().unwrap();
        *count += usize::from(verb == Verb::Flush);
        (verb == Verb::Flush && !plan.is_empty() && plan.remove(0)).then(|| io::Error::from_raw_os_error(5))
    };
    let settings = Settings { durability: Durability::Batch, disk: Some(Box::new(disk)), ..Settings::default() };
    let mut rig = Rig::with(settings, |_| {});
    let next = |plan: &[bool]| *flushes.lock().unwrap() = (plan.to_vec(), 0);
    let flushed = || flushes.lock().unwrap().1;
    rig.done(&[mark("first")]);
    next(&[]);
    rig.done(&[mark("usual")]);
    assert_eq!(flushed(), 1, "its own line");
    // The content is written, and the folder that has its name is not.
    next(&[false, true]);
    rig.send(&[put("f", "content")]);
    let [ToSender::Applied { upto: 3 }, ToSender::Outcome { op: 3, outcome: Outcome::Failed { .. } }] =
        [rig.next(), rig.next()]
    else {
        panic!("it is told")
    };
    for _ in 0..2 {
        next(&[true]);
        assert!(matches!(rig.outcome(mark("unsure")), Outcome::Failed { .. }));
        assert_eq!((flushed(), marked(&rig)), (1, ["first", "usual"].map(String::from).to_vec()));
    }
    next(&[]);
    rig.done(&[mark("sure")]);
    assert_eq!(flushed(), 2);
    next(&[]);
    rig.done(&[mark("usual again")]);
    assert_eq!((flushed(), marked(&rig).len()), (1, 4));
}
