//! Contents in pieces.

use std::fs;
use std::os::unix::fs::MetadataExt;

use bytes::Bytes;
use proto::digest::Transcript;
use proto::{Content, Kind, Meta, Outcome, ToReceiver};

use super::rig::*;
use crate::receiver::{EndReason, Limits};

fn blob(id: u32, size: u64) -> ToReceiver {
    ToReceiver::Blob { id, size }
}

fn data(id: u32, offset: u64, bytes: &[u8]) -> ToReceiver {
    ToReceiver::Data { id, offset, bytes: Bytes::copy_from_slice(bytes) }
}

fn put_blob(at: &str, id: u32, size: u64, pieces: &[(u64, &[u8])]) -> ToReceiver {
    let mut transcript = Transcript::new();
    pieces.iter().for_each(|(offset, bytes)| transcript.update(*offset, bytes));
    let content = Content::Blob { id, hash: transcript.finish() };
    ToReceiver::Put { path: path(at), meta: Meta { size, ..meta(Kind::File) }, content, inexact: false }
}

#[test]
fn pieces_and_holes_make_a_file() {
    for mut rig in [Rig::new(), Rig::durable()] {
        let size = 8 << 20;
        let pieces: [(u64, &[u8]); 2] = [(0, b"head"), (4 << 20, b"middle")];
        rig.send(&[blob(1, size), blob(2, 3), data(1, 0, b"head"), data(2, 0, b"abc")]);
        rig.done(&[data(1, 4 << 20, b"middle"), put_blob("f", 1, size, &pieces), put_blob("g", 2, 3, &[(0, b"abc")])]);
        let content = fs::read(rig.at("f")).unwrap();
        assert_eq!(
            (content.len() as u64, &content[..4], &content[4 << 20..][..6]),
            (size, &b"head"[..], &b"middle"[..])
        );
        let stat = fs::metadata(rig.at("f")).unwrap();
        assert!(stat.blocks() * 512 < size / 2, "holes stay holes: {} blocks", stat.blocks());
        assert_eq!(mtime(&rig.at("f")), THEN);
        assert_eq!(fs::read(rig.at("g")).unwrap(), b"abc");
        assert_eq!(rig.counters.bytes(), size + 3);
    }
}

#[test]
fn an_id_may_be_used_again_once_it_is_free() {
    let mut rig = Rig::new();
    rig.done(&[
        blob(1, 1),
        data(1, 0, b"a"),
        put_blob("a", 1, 1, &[(0, b"a")]),
        blob(1, 1),
        ToReceiver::Drop { id: 1 },
    ]);
    rig.done(&[blob(1, 1), data(1, 0, b"b"), put_blob("b", 1, 1, &[(0, b"b")])]);
    assert_eq!(names(&rig.at("")), ["a", "b"]);
}

#[test]
fn what_is_only_opened_and_dropped_touches_no_disk() {
    let mut rig = Rig::new();
    let opened = (0..1000).flat_map(|_| [blob(1, 5), ToReceiver::Drop { id: 1 }]).chain([blob(1, 3)]);
    rig.send(&opened.collect::<Vec<_>>());
    rig.send(&[ToReceiver::Ping]);
    assert_eq!(rig.next(), proto::ToSender::Pong);
    assert_eq!(fs::read_dir(rig.at("")).unwrap().count(), 0, "not even the folder of temporaries");
    // Nor does the first piece come too late.
    rig.done(&[data(1, 0, b"abc"), put_blob("f", 1, 3, &[(0, b"abc")])]);
    assert_eq!(fs::read(rig.at("f")).unwrap(), b"abc");
}

#[test]
fn a_blob_without_any_piece_is_a_file() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[blob(1, 0), blob(2, 1 << 20), put_blob("empty", 1, 0, &[]), put_blob("hole", 2, 1 << 20, &[])]);
        assert_eq!(fs::read(rig.at("empty")).unwrap(), b"");
        assert_eq!(fs::read(rig.at("hole")).unwrap(), vec![0; 1 << 20]);
    }
}

#[test]
fn a_damaged_content_is_not_published() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[put("f", "old")]);
        let outcomes = rig.run(&[blob(1, 3), data(1, 0, b"new"), put_blob("f", 1, 3, &[(0, b"neW")])]);
        let [(0, Outcome::Failed { reason })] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert!(reason.contains("damaged"), "{reason}");
        assert_eq!(fs::read(rig.at("f")).unwrap(), b"old");
    }
}

#[test]
fn a_blob_beyond_the_limit_is_refused_and_never_written() {
    let limits = Limits { max_file_size: Some(9) };
    let mut rig = Rig::with(Settings { limits, ..Settings::default() }, |_| {});
    let outcomes = rig.run(&[blob(1, 10), data(1, 0, b"0123456789"), put_blob("f", 1, 10, &[(0, b"0123456789")])]);
    assert!(matches!(&outcomes[..], [(0, Outcome::Refused { .. })]), "{outcomes:?}");
    assert_eq!(names(&rig.at("")), [""; 0]);
}

#[test]
fn a_session_that_ends_amid_a_blob_leaves_nothing() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[put("f", "x")]);
        rig.send(&[blob(1, 1000), data(1, 0, b"begin")]);
        let (ended, scratch) = rig.close();
        assert_eq!(ended, EndReason::Closed);
        assert_eq!(all_names(&scratch.path().join("module")), ["f"]);
    }
}

#[test]
fn every_breach_of_the_life_of_a_blob_ends_the_session() {
    let put_one = || put_blob("f", 1, 4, &[(0, b"x")]);
    let many = (0..=proto::limits::BLOBS as u32).map(|id| blob(id, 1)).collect();
    let breaches: [(&str, Vec<ToReceiver>); 9] = [
        ("more than 64", many),
        ("twice", vec![blob(1, 4), blob(1, 4)]),
        ("not open", vec![data(1, 0, b"x")]),
        ("not open", vec![ToReceiver::Drop { id: 1 }]),
        ("not open", vec![put_one()]),
        ("not open", vec![blob(1, 4), data(1, 0, b"x"), put_one(), data(1, 1, b"y")]),
        ("overlap", vec![blob(1, 4), data(1, 2, b"x"), data(1, 2, b"y")]),
        ("beyond its 4 bytes", vec![blob(1, 4), data(1, 2, b"xyz")]),
        ("with blob 1 of 5 bytes", vec![blob(1, 5), data(1, 0, b"x"), put_one()]),
    ];
    for (words, messages) in breaches {
        let mut rig = Rig::new();
        rig.send(&messages);
        let (ended, last, scratch) = rig.ended();
        let EndReason::Violation(reason) = ended else { panic!("{words}: {ended:?}") };
        assert!(reason.contains(words), "{reason}");
        let Some(proto::ToSender::Bye { refusal: proto::login::Refusal::Protocol { reason: said } }) = last else {
            panic!("{last:?}")
        };
        assert_eq!(said, reason);
        assert!(!scratch.path().join("module/f").exists() || words == "not open");
        assert!(all_names(&scratch.path().join("module")).iter().all(|name| name == "f"));
    }
}
