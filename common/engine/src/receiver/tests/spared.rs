//! A session that mirrors no deletions, and metadata of folders that stand or do not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use proto::login::Durability;
use proto::{Content, Kind, Meta, Outcome, ToReceiver};

use super::rig::*;
use crate::receiver::EndReason;
use crate::view::Fate;

const IN_THE_WAY: &str = "a folder stands there at the target, and delete is off";

fn mend(at: &str) -> ToReceiver {
    ToReceiver::Mend { path: path(at), meta: Meta { mode: 0o700, ..meta(Kind::Dir) } }
}

/// A folder with something in it, an empty one, files and a link; the peer has said that it deletes nothing.
fn sparing(durability: Durability) -> Rig {
    let settings = Settings { durability, fate: Fate::Recorded(Default::default()), ..Settings::default() };
    let mut rig = Rig::with(settings, |module| {
        fs::create_dir_all(module.join("d/in")).unwrap();
        fs::create_dir(module.join("empty")).unwrap();
        for file in ["d/in/kept", "f", "g", "h"] {
            fs::write(module.join(file), file).unwrap();
        }
        std::os::unix::fs::symlink("t", module.join("l")).unwrap();
    });
    rig.send(&[ToReceiver::Spare]);
    rig
}

#[test]
fn no_folder_leaves_its_name_where_deletions_are_not_mirrored() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = sparing(durability);
        let inexact = match put("d", "x") {
            ToReceiver::Put { path, meta, content, .. } => ToReceiver::Put { path, meta, content, inexact: true },
            _ => unreachable!(),
        };
        for operation in [put("d", "x"), put("empty", "x"), symlink("d", "t"), link("f", &["d"]), inexact] {
            let Outcome::Refused { reason } = rig.outcome(operation.clone()) else { panic!("{operation:?}") };
            assert_eq!(reason, IN_THE_WAY, "{operation:?}");
        }
        for at in ["d", "empty", "d/in/kept", "f", "l"] {
            let Outcome::Refused { reason } = rig.outcome(remove(at)) else { panic!("{at}") };
            assert_eq!(reason, "delete is off");
        }
        for operation in [
            rename("f", "d"),
            rename("f", "empty"),
            rename("l", "d"),
            rename("d", "new"),
            rename("d/in", "new"),
            rename("d", "f"),
            rename("d", "empty"),
            exchange("d", "f"),
            exchange("f", "empty"),
            exchange("d", "empty"),
        ] {
            assert_eq!(rig.outcome(operation.clone()), Outcome::Absent, "{operation:?}");
        }
        assert_eq!(rig.displaced(), [], "no old version was touched");
        assert_eq!(names(&rig.at("")), ["d", "empty", "f", "g", "h", "l"]);
        assert_eq!(fs::read_to_string(rig.at("d/in/kept")).unwrap(), "d/in/kept");
    }
}

#[test]
fn new_versions_take_their_names_where_deletions_are_not_mirrored() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = sparing(durability);
        rig.done(&[put("f", "new"), put("l", "no link"), put("d/new", "n"), folder("d"), folder("d/more"), mend("d")]);
        rig.done(&[rename("f", "new"), rename("new", "g"), exchange("g", "h"), link("g", &["i"])]);
        assert_eq!(["g", "h"].map(|at| fs::read_to_string(rig.at(at)).unwrap()), ["h", "new"]);
        // A folder takes the name of a file, of which nothing else is lost.
        rig.done(&[folder("h"), put("h/x", "x"), remove("none"), remove("none/at/all")]);
        assert_eq!(names(&rig.at("")), ["d", "empty", "g", "h", "i", "l"]);
        assert_eq!(names(&rig.at("d")), ["in", "more", "new"]);
    }
}

#[test]
fn that_deletions_are_not_mirrored_is_said_once_and_before_all_operations() {
    for messages in [vec![ToReceiver::Spare, ToReceiver::Spare], vec![put("f", "x"), ToReceiver::Spare]] {
        let mut rig = Rig::new();
        rig.send(&messages);
        let (ended, ..) = rig.ended();
        let EndReason::Violation(why) = ended else { panic!("{ended:?}") };
        assert_eq!(why, "said too late, or twice, that it mirrors no deletions");
    }
    // Nobody else is bound by it.
    let mut rig = Rig::new();
    rig.done(&[folder("d"), put("d/f", "x"), put("d", "y"), remove("d")]);
    assert_eq!(names(&rig.at("")), [""; 0]);
}

#[test]
fn a_folder_is_mended_where_it_stands_and_made_nowhere() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = Rig::recorded(durability);
        rig.done(&[folder("d"), put("d/f", "x"), put("file", "y"), symlink("l", "d")]);
        rig.displaced();
        for at in ["none", "none/at/all", "file", "file/in", "l", "l/f", "d/f"] {
            assert_eq!(rig.outcome(mend(at)), Outcome::Absent, "{at}");
        }
        assert_eq!(rig.displaced(), []);
        rig.done(&[mend("d"), mend("")]);
        assert_eq!(rig.displaced(), [("d".to_owned(), "metadata"), (".".to_owned(), "metadata")]);
        let shown = fs::metadata(rig.at("d")).unwrap();
        assert_eq!((shown.permissions().mode() & 0o7777, mtime(&rig.at("d"))), (0o700, THEN));
        assert_eq!(fs::read_to_string(rig.at("d/f")).unwrap(), "x");
        // Within a batch as in a `Make`: what is done in it afterwards does not show.
        rig.done(&[mend("d"), put("d/g", "z")]);
        assert_eq!(mtime(&rig.at("d")), THEN);
        rig.done(&[remove("d")]);
        assert_eq!(rig.outcome(mend("d")), Outcome::Absent);
        assert_eq!(names(&rig.at("")), ["file", "l"]);
    }
}

#[test]
fn what_a_folder_stands_in_the_way_of_is_refused_before_its_content_is_sent() {
    let mut rig = sparing(Durability::None);
    let asked = match put("d", "x") {
        ToReceiver::Put { path, meta, .. } => {
            ToReceiver::Put { path, meta, content: Content::Asked { room: 1 }, inexact: false }
        }
        _ => unreachable!(),
    };
    assert_eq!(rig.outcome(asked), Outcome::Refused { reason: IN_THE_WAY.to_owned() });
}
