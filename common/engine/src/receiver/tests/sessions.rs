//! How sessions end, and what they leave.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::login::{Durability, Refusal};
use proto::{ToReceiver, ToSender};

use super::rig::*;
use crate::clock::Clock;
use crate::receiver::EndReason;
use crate::workers::Workers;

#[test]
fn names_of_temporaries_end_the_session() {
    let bad = ".recvd-stage-0";
    let within = format!("d/{bad}/f");
    let digest = [0; 16];
    for message in [
        put(bad, ""),
        put(&within, ""),
        folder(bad),
        remove(bad),
        rename("a", bad),
        rename(&within, "a"),
        ToReceiver::Exchange { a: path("a"), b: path(bad) },
        ToReceiver::Link { first: path("a"), others: vec![path("b"), path(bad)] },
        ToReceiver::Compare { path: path(bad), digest },
        ToReceiver::List { path: path(bad), after: None },
        ToReceiver::Count { path: path(bad) },
        ToReceiver::Settle { path: path(bad) },
    ] {
        let mut rig = Rig::new();
        rig.send(&[message]);
        let (ended, _, scratch) = rig.ended();
        assert!(matches!(&ended, EndReason::Violation(reason) if reason.contains("reserved")), "{ended:?}");
        assert_eq!(all_names(&scratch.path().join("module")), [""; 0]);
    }
}

#[test]
fn bytes_that_are_no_messages_end_the_session() {
    for bytes in [&[0, 0, 0, 0][..], &[255; 8], &[1, 0, 0, 0, 200], &[9, 0, 0, 0, 16]] {
        let mut rig = Rig::new();
        rig.send_raw(Bytes::copy_from_slice(bytes));
        let (ended, last, _) = rig.ended();
        assert!(matches!(ended, EndReason::Violation(_)), "{ended:?}");
        assert!(matches!(last, Some(ToSender::Bye { refusal: Refusal::Protocol { .. } })), "{last:?}");
    }
}

#[test]
fn a_session_can_be_stopped_while_it_waits() {
    let mut rig = Rig::new();
    rig.done(&[put("f", "x")]);
    let refusal = Refusal::Busy { reason: "a person has released it".into(), retry: Duration::from_secs(9) };
    rig.stop.send_replace(Some(refusal.clone()));
    let (ended, last, scratch) = rig.ended();
    assert_eq!(ended, EndReason::Stopped(refusal.clone()));
    assert_eq!(last, Some(ToSender::Bye { refusal }), "the peer hears why");
    assert_eq!(all_names(&scratch.path().join("module")), ["f"]);
}

#[test]
fn a_folder_that_was_replaced_ends_the_session_and_nothing_more_is_acknowledged() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = Rig::with(Settings { durability, ..Settings::default() }, |_| {});
        rig.done(&[put("f", "x")]);
        let (place, hidden) = (rig.at(""), rig.scratch.path().join("hidden"));
        std::fs::rename(&place, &hidden).unwrap();
        std::fs::create_dir(&place).unwrap();
        rig.send(&[put("g", "x")]);
        let bye = rig.next();
        let ToSender::Bye { refusal: Refusal::Busy { reason, .. } } = bye else { panic!("{bye:?}") };
        assert!(reason.contains("replaced") && !reason.contains("module"), "{reason}");
        let (ended, _, scratch) = rig.ended();
        assert!(matches!(&ended, EndReason::Uprooted(reason) if reason.contains("module")), "{ended:?}");
        assert_eq!(all_names(&scratch.path().join("module")), [""; 0]);
    }
}

#[test]
fn an_idle_session_ends_when_its_folder_is_gone() {
    let mut rig = Rig::new();
    rig.done(&[put("f", "x")]);
    std::fs::rename(rig.at(""), rig.scratch.path().join("hidden")).unwrap();
    assert!(matches!(rig.next(), ToSender::Bye { .. }));
    let (ended, ..) = rig.ended();
    assert!(matches!(ended, EndReason::Uprooted(_)), "{ended:?}");
}

#[test]
fn a_ping_is_answered_at_any_time() {
    let mut rig = Rig::new();
    rig.send(&[ToReceiver::Ping]);
    assert_eq!(rig.next(), ToSender::Pong);
}

#[test]
fn a_ping_that_comes_with_an_unanswered_one_and_a_compressed_one_end_the_session() {
    let packed = || {
        let mut frames = bytes::BytesMut::new();
        (0..1000).for_each(|_| proto::codec::put(&ToReceiver::Ping, &mut frames));
        crate::channel::frame(&ToReceiver::Packed {
            length: frames.len() as u32,
            bytes: zstd::bulk::compress(&frames, 1).unwrap().into(),
        })
    };
    let twice = || {
        let mut frames = bytes::BytesMut::new();
        [put("f", "x"), ToReceiver::Ping, ToReceiver::Pong, ToReceiver::Ping]
            .iter()
            .for_each(|message| proto::codec::put(message, &mut frames));
        frames.freeze()
    };
    for buffer in [packed(), twice()] {
        let mut rig = Rig::new();
        rig.send_raw(buffer);
        let (ended, ..) = rig.ended();
        assert!(matches!(&ended, EndReason::Violation(reason) if reason.contains("ping")), "{ended:?}");
    }
}

#[test]
fn the_folder_of_temporaries_is_gone_when_all_is_quiet() {
    let mut rig = Rig::new();
    rig.done(&[folder("")]);
    rig.done(&[put("f", "x")]);
    let begin = Instant::now();
    while all_names(&rig.at("")) != ["f"] {
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", all_names(&rig.at("")));
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(mtime(&rig.at("")), THEN);
    rig.done(&[put("g", "x")]);
}

#[test]
fn a_peer_that_reads_nothing_holds_back_the_intake_and_no_more() {
    // A receiver whose outbox nobody empties: the session ends when the outbox is dropped.
    use proto::login::Durability;
    use std::sync::Arc;
    let scratch = tempfile::TempDir::new().unwrap();
    let tree = Arc::new(sys::Tree::open(scratch.path(), sys::Mounts::Stay).unwrap());
    let replica = Arc::new(crate::view::Replica::new(tree, proto::Keep::DEFAULT).unwrap());
    let grant = crate::receiver::Grant::alone(replica, Durability::None);
    let (to, inbox) = tokio::sync::mpsc::channel(2);
    let (outbox, frames) = tokio::sync::mpsc::channel(1);
    let (_stop, stopped) = tokio::sync::watch::channel(None);
    let session = thread::spawn(move || {
        crate::receiver::Receiver::new(grant, Clock::system(), Workers::Threads(2)).run(inbox, outbox, stopped)
    });
    let mut buffer = bytes::BytesMut::new();
    (0..100).for_each(|n| proto::codec::put(&put(&format!("f{n}"), "x"), &mut buffer));
    let mut sent = 0;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(1) {
        match to.try_send(buffer.clone().freeze()) {
            Ok(()) => sent += 1,
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
    assert!(sent < 200, "{sent} buffers were taken in though no receipt could leave");
    drop(frames);
    assert_eq!(session.join().unwrap(), EndReason::Closed);
    assert!(all_names(scratch.path()).iter().all(|name| name.starts_with('f')));
}
