//! The question whether there is room.

use proto::login::Durability;
use proto::{Content, Kind, Meta, Outcome, ToReceiver};

use super::rig::*;
use crate::receiver::Limits;

fn ask(at: &str, size: u64, room: u64) -> ToReceiver {
    let meta = Meta { size, ..meta(Kind::File) };
    ToReceiver::Put { path: path(at), meta, content: Content::Asked { room }, inexact: false }
}

#[test]
fn it_is_answered_in_its_turn_and_nothing_is_put() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = Rig::with(Settings { durability, ..Settings::default() }, |_| {});
        assert_eq!(rig.outcome(ask("f", 5, 5)), Outcome::Want);
        assert_eq!(rig.outcome(ask("d/f", 5, 5)), Outcome::Absent, "its folder is not there");
        assert_eq!(rig.run(&[folder("d"), ask("d/f", 5, 5)]), [(1, Outcome::Want)]);
        // No disk has so much.
        let outcome = rig.outcome(ask("f", 5, 1 << 62));
        assert!(matches!(&outcome, Outcome::Full { reason } if reason.contains("space")), "{outcome:?}");
        assert_eq!(rig.counters.problems(), 0, "a question is no trouble");
        let (_, scratch) = rig.close();
        assert_eq!(all_names(&scratch.path().join("module")), ["d"]);
        assert!(all_names(&scratch.path().join("module/d")).is_empty());
    }
}

#[test]
fn what_is_too_large_for_the_module_is_refused_at_once() {
    let limits = Limits { max_file_size: Some(10) };
    let mut rig = Rig::with(Settings { limits, ..Settings::default() }, |_| {});
    assert!(matches!(rig.outcome(ask("f", 11, 1)), Outcome::Refused { .. }));
}
