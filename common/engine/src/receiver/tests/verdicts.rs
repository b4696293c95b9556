//! Whether files are equal, marks, and what a receiver skips.

use bytes::Bytes;
use proto::login::Durability;
use proto::{Outcome, ToReceiver, limits};

use super::rig::*;

fn equal(at: &str, content: &[u8]) -> ToReceiver {
    ToReceiver::Equal { path: path(at), size: content.len() as u64, digest: *blake3::hash(content).as_bytes() }
}

fn mark(name: &str) -> ToReceiver {
    ToReceiver::Mark { name: name.into() }
}

/// A file of some MiB, in pieces.
fn large(at: &str, content: &[u8]) -> Vec<ToReceiver> {
    let mut hash = proto::digest::Transcript::new();
    let mut messages = vec![ToReceiver::Blob { id: 1, size: content.len() as u64 }];
    for (n, piece) in content.chunks(limits::DATA).enumerate() {
        let offset = (n * limits::DATA) as u64;
        hash.update(offset, piece);
        messages.push(ToReceiver::Data { id: 1, offset, bytes: Bytes::copy_from_slice(piece) });
    }
    let meta = proto::Meta { size: content.len() as u64, ..meta(proto::Kind::File) };
    let content = proto::Content::Blob { id: 1, hash: hash.finish() };
    messages.push(ToReceiver::Put { path: path(at), meta, content, inexact: false });
    messages
}

#[test]
fn a_file_is_compared_as_it_is_in_its_turn() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = Rig::with(Settings { durability, ..Settings::default() }, |_| {});
        let first = [put("f", "one"), equal("f", b"one"), put("f", "two"), equal("f", b"one"), equal("f", b"two")];
        assert_eq!(rig.run(&first), [(3, Outcome::Differs)]);
        let moved = [rename("f", "g"), equal("g", b"two"), equal("f", b"two"), put("f", ""), equal("f", b"")];
        assert_eq!(rig.run(&moved), [(2, Outcome::Differs)]);
        // Another size, a folder, a link, nothing on the way to it.
        rig.done(&[folder("d"), symlink("l", "g")]);
        let none = ["g", "d", "l", "d/no", "no/no", "g/no"].map(|at| equal(at, b"longer"));
        let outcomes: Vec<_> = (0..none.len()).map(|n| (n, Outcome::Differs)).collect();
        assert_eq!(rig.run(&none), outcomes);
        assert_eq!(rig.counters.problems(), 0, "an answer is no trouble");
    }
}

#[test]
fn large_files_are_read_beside_all_else_and_receipts_wait_for_them() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = Rig::with(Settings { durability, ..Settings::default() }, |_| {});
        let mut content = vec![7; 30 << 20];
        content[29 << 20] = 8;
        rig.done(&large("big", &content));
        // More of them than are open at a time, and what comes behind them takes their name.
        let mut messages: Vec<_> = (0..40).map(|_| equal("big", &content)).collect();
        messages.extend([remove("big"), put("big", "small"), equal("big", b"small")]);
        content[29 << 20] = 9;
        messages.insert(3, equal("big", &content));
        assert_eq!(rig.run(&messages), [(3, Outcome::Differs)]);
        assert_eq!(std::fs::read(rig.at("big")).unwrap(), b"small");
        // The session may end while some are being read.
        rig.send(&large("big", &content));
        rig.send(&[equal("big", &content), equal("big", &content)]);
        let (ended, scratch) = rig.close();
        assert_eq!(ended, crate::receiver::EndReason::Closed);
        assert_eq!(all_names(&scratch.path().join("module")), ["big"]);
    }
}

#[test]
fn guesses_are_few_and_beyond_them_nothing_is_told_at_all() {
    let mut rig = Rig::new();
    rig.done(&[put("secret", "pin 1234")]);
    let mut differs = 0;
    for round in 0..100 {
        let guesses: Vec<_> =
            (0..100).map(|n| equal("secret", format!("pin {:04}", round * 100 + n).as_bytes())).collect();
        for (at, outcome) in rig.run(&guesses) {
            match outcome {
                Outcome::Differs => differs += 1,
                Outcome::Failed { reason } => assert!(reason.contains("another content"), "{reason}"),
                other => panic!("{other:?} of guess {at}"),
            }
        }
    }
    assert!((limits::GUESSES..limits::GUESSES + 10).contains(&differs), "{differs} guesses");
    // Else a failure would tell the same.
    assert!(matches!(rig.outcome(equal("secret", b"pin 1234")), Outcome::Failed { .. }));
}

#[test]
fn what_is_the_same_is_told_as_often_as_one_likes() {
    let mut rig = Rig::new();
    rig.done(&[put("f", "content")]);
    for _ in 0..20 {
        rig.done(&vec![equal("f", b"content"); 200]);
    }
}

#[test]
fn marks_are_kept_in_order_and_a_name_is_given_once() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = Rig::with(Settings { durability, ..Settings::default() }, |_| {});
        rig.done(&[folder("d"), ToReceiver::Make { path: path(""), meta: meta(proto::Kind::Dir) }]);
        rig.done(&[put("f", "1"), mark("before the upgrade"), put("f", "2"), mark("ж")]);
        let refused = rig.run(&[mark("ж"), mark("upgrade")]);
        assert!(matches!(&refused[..], [(0, Outcome::Refused { reason })] if reason.contains("'ж'")), "{refused:?}");
        let stands = std::fs::read_to_string(rig.at(".recvd-marks")).unwrap();
        let names: Vec<_> = stands.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(names, ["before the upgrade", "ж", "upgrade"]);
        let times: Vec<u128> = stands.lines().map(|line| line.split_once(' ').unwrap().0.parse().unwrap()).collect();
        assert!(times.is_sorted() && times[0] > 1_600_000_000_000_000_000, "{times:?}");
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(rig.at(".recvd-marks")).unwrap().mode() & 0o777, 0o600);
        // The folder looks as the sender says all the same.
        rig.done(&[put("g", "")]);
        assert_eq!(mtime(&rig.at("")), THEN);
        assert_eq!(names_of(&mut rig), ["d", "f", "g"]);
    }
}

/// What a comparison of the root lists.
fn names_of(rig: &mut Rig) -> Vec<String> {
    rig.send(&[ToReceiver::Compare { path: path(""), digest: [0; 16] }]);
    match &rig.answers()[..] {
        [proto::ToSender::Listing { entries, .. }] => entries.iter().map(|entry| entry.name.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn marks_are_bounded_and_a_file_that_is_not_theirs_is_left_alone() {
    let lines: String = (0..limits::MARKED - 1).map(|n| format!("{n} name {n}\n")).collect();
    let mut rig = Rig::with(Settings::default(), |root| std::fs::write(root.join(".recvd-marks"), &lines).unwrap());
    rig.done(&[mark("the last one")]);
    assert!(matches!(rig.outcome(mark("too many")), Outcome::Refused { reason } if reason.contains("4096")));
    for other in [vec![b'x'; 8 << 20], vec![0xff; 10]] {
        let mut rig = Rig::with(Settings::default(), |root| std::fs::write(root.join(".recvd-marks"), &other).unwrap());
        assert!(matches!(rig.outcome(mark("m")), Outcome::Failed { reason } if reason.contains("file of marks")));
        assert_eq!(std::fs::read(rig.at(".recvd-marks")).unwrap(), other);
    }
}

#[test]
fn what_need_not_be_known_is_skipped() {
    let mut rig = Rig::new();
    for kind in [128, 140, 159] {
        let body = Bytes::from(vec![kind; usize::from(kind)]);
        rig.done(&[
            ToReceiver::Extra { kind, body },
            put("f", "content"),
            ToReceiver::Extra { kind, body: Bytes::new() },
        ]);
    }
    assert_eq!(names(&rig.at("")), ["f"]);
    let mut frame = bytes::BytesMut::new();
    proto::codec::put(&ToReceiver::Extra { kind: 159, body: Bytes::new() }, &mut frame);
    *frame.last_mut().unwrap() = 160;
    rig.send_raw(frame.freeze());
    let (ended, _, _) = rig.ended();
    assert!(matches!(ended, crate::receiver::EndReason::Violation(_)), "{ended:?}");
}

#[test]
fn what_a_sender_tells_of_itself_is_known() {
    use proto::report::{Done, Report};
    let mut rig = Rig::new();
    assert_eq!(rig.counters.told.tale(), crate::receiver::Tale::default());
    let report = |owed_paths| Report { owed_paths, ..Report::default() };
    let done = Done { entries: 1, bytes: 2, problems: 2 };
    let problem = |at| ToReceiver::Problem { path: path(at), reason: "cannot be read".into() };
    rig.done(&[ToReceiver::Report(report(7)), put("f", ""), ToReceiver::Report(report(0)), problem("a"), problem("b")]);
    rig.done(&[ToReceiver::Done(done), put("g", "")]);
    let tale = rig.counters.told.tale();
    assert_eq!((tale.report.unwrap().0, tale.done, tale.problems), (report(0), Some(done), 2));
}

#[test]
fn one_that_is_gone_is_heard_to_the_end() {
    use std::sync::Arc;

    use bytes::BytesMut;
    use proto::codec;
    use proto::report::Done;
    use tokio::sync::{mpsc, watch};

    use crate::clock::Clock;
    use crate::receiver::{Grant, Receiver};
    use crate::view::Replica;
    use crate::workers::Workers;

    let scratch = tempfile::tempdir().unwrap();
    let tree = Arc::new(sys::Tree::open(scratch.path(), sys::Mounts::Stay).unwrap());
    let replica = Arc::new(Replica::new(tree, proto::Keep::DEFAULT).unwrap());
    let grant = Grant::alone(replica, Durability::None);
    let receiver = Receiver::new(grant, Clock::system(), Workers::Threads(2));
    let (counters, said) = (receiver.counters(), receiver.said());
    let (to, inbox) = mpsc::channel(4);
    // Nobody is there to hear the pong.
    let (outbox, _) = mpsc::channel(crate::channel::OUTBOX);
    let done = Done { entries: 1, bytes: 2, problems: 0 };
    let mut words = BytesMut::new();
    [ToReceiver::Ping, ToReceiver::Done(done), ToReceiver::Return].iter().for_each(|word| codec::put(word, &mut words));
    to.try_send(words.freeze()).unwrap();
    drop(to);
    let (_stop, stopped) = watch::channel(None);
    let _ = receiver.run(inbox, outbox, stopped);
    assert_eq!((counters.told.tale().done, said.borrow().returned), (Some(done), true));
}

#[test]
fn on_one_thread_an_answer_waits_for_no_timer() {
    use crate::channel::{OUTBOX, frame};
    let scratch = tempfile::tempdir().unwrap();
    // More than is read in one step: the batch is closed before the answer is there.
    std::fs::File::create(scratch.path().join("f")).unwrap().set_len(20 << 20).unwrap();
    let tree = sys::Tree::open(scratch.path(), sys::Mounts::Stay).unwrap();
    let replica = crate::view::Replica::new(tree.into(), proto::Keep::DEFAULT).unwrap();
    let grant = crate::receiver::Grant::alone(replica.into(), Durability::None);
    let (clock, workers) = (crate::clock::Clock::manual(), crate::workers::Workers::Inline);
    let mut receiver = crate::receiver::Receiver::new(grant, clock, workers);
    let ((to, inbox), (outbox, mut frames)) = (tokio::sync::mpsc::channel(1), tokio::sync::mpsc::channel(OUTBOX));
    let (_stop, stopped) = tokio::sync::watch::channel(None);
    let mut session = receiver.begin(inbox, outbox, stopped);
    to.try_send(frame(&equal("f", &vec![0; 20 << 20]))).unwrap();
    while session.step() == crate::workers::Step::Worked {}
    assert_eq!(frames.try_recv(), Ok(frame(&proto::ToSender::Applied { upto: 1 })));
}
