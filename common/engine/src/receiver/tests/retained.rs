//! What a peer can make a session hold.

use std::fs;
use std::sync::Arc;
use std::thread;

use bytes::{Bytes, BytesMut};
use proto::limits::WINDOW;
use proto::login::Durability;
use proto::{Kind, Meta, Outcome, ToReceiver, ToSender, Version, Xattrs, codec};
use tokio::sync::{mpsc, watch};

use super::rig::*;
use crate::clock::Clock;
use crate::receiver::{EndReason, Grant, Memory, Receiver, SURE};
use crate::view::Replica;
use crate::workers::{Step, Workers};

fn buffer(messages: impl IntoIterator<Item = ToReceiver>) -> Bytes {
    let mut bytes = BytesMut::new();
    messages.into_iter().for_each(|message| codec::put(&message, &mut bytes));
    bytes.freeze()
}

/// A folder with as much metadata as fits.
fn heavy(at: &str) -> ToReceiver {
    let xattrs = (0..4).map(|n| (format!("user.{n}").into_bytes().into(), vec![n; 60_000].into())).collect();
    let meta = Meta { xattrs: Xattrs::new(xattrs).unwrap(), ..meta(Kind::Dir) };
    ToReceiver::Make { path: path(at), meta }
}

#[test]
fn more_operations_than_may_be_unacknowledged_end_the_session() {
    for (extra, ends) in [(0, false), (1, true)] {
        let scratch = tempfile::TempDir::new().unwrap();
        let tree = Arc::new(sys::Tree::open(scratch.path(), sys::Mounts::Stay).unwrap());
        let replica = Arc::new(Replica::new(tree, proto::Keep::DEFAULT).unwrap());
        let grant = Grant::alone(replica, Durability::None);
        let (to, inbox) = mpsc::channel(2);
        let (outbox, mut frames) = mpsc::channel(1);
        let (_stop, stopped) = watch::channel(None);
        let mut receiver = Receiver::new(grant, Clock::system(), Workers::Inline);
        let mut session = receiver.begin(inbox, outbox, stopped);
        // Nothing is carried out before a buffer is taken in as a whole.
        to.try_send(buffer((0..WINDOW + extra).map(|_| remove("f")))).unwrap();
        let mut last = None;
        let ended = loop {
            match session.step() {
                Step::Ended(ended) => break Some(ended),
                Step::Idle(_) => break None,
                Step::Worked => {}
            }
            while let Ok(mut frames) = frames.try_recv() {
                while let Some(frame) = codec::split(&mut frames, proto::limits::FRAME).unwrap() {
                    last = Some(ToSender::decode(frame, Version::HIGHEST).unwrap());
                }
            }
        };
        let violated = matches!(&ended, Some(EndReason::Violation(reason)) if reason.contains("16384"));
        assert_eq!((violated, ended.is_some()), (ends, ends), "{ended:?}");
        if !ends {
            assert_eq!(last, Some(ToSender::Applied { upto: WINDOW }));
        }
    }
}

/// All that sessions do, with no memory but what is sure: contents, metadata and comparisons, each more than there is room for.
#[test]
fn sessions_with_no_more_than_is_sure_all_come_to_their_end() {
    const SESSIONS: usize = 6;
    let memory = Memory::new((SESSIONS * SURE) as u64, SESSIONS);
    thread::scope(|scope| {
        for session in 0..SESSIONS {
            let durability = [Durability::None, Durability::Batch][session % 2];
            let memory = memory.clone();
            scope.spawn(move || {
                let settings = Settings { durability, memory, ..Settings::default() };
                let mut rig = Rig::with(settings, |root| {
                    fs::create_dir(root.join("there")).unwrap();
                    (0..100).for_each(|n| fs::write(root.join(format!("there/{n}")), "").unwrap());
                });
                let content = "c".repeat(100_000);
                for round in 0..6 {
                    let files = (0..8).map(|n| put(&format!("f{round}-{n}"), &content));
                    let folders = (0..3).map(|n| heavy(&format!("d{round}-{n}")));
                    rig.send(&files.chain(folders).collect::<Vec<_>>());
                }
                let asked = |_| ToReceiver::Compare { path: path("there"), digest: [0; 16] };
                rig.send(&(0..64).map(asked).collect::<Vec<_>>());
                let (answers, others): (Vec<_>, Vec<_>) =
                    rig.answers().into_iter().partition(|answer| matches!(answer, ToSender::Listing { .. }));
                assert_eq!(answers.len(), 64);
                // Some file systems hold no extended attributes of that size.
                let partly = |answer: &ToSender| {
                    let ToSender::Outcome { outcome, .. } = answer else { return false };
                    matches!(outcome, Outcome::Partly { .. } | Outcome::Failed { .. } | Outcome::Full { .. })
                };
                assert!(others.iter().all(partly), "{others:?}");
                assert_eq!(fs::read_to_string(rig.at("f5-7")).unwrap(), content);
                assert_eq!(rig.close().0, EndReason::Closed);
            });
        }
    });
}
