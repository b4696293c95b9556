//! Each old version leaves its name in one way, where it is heard of and where what is protected stays.

use std::fs;

use proto::login::Durability;
use proto::{Kind, Meta, Outcome, ToReceiver};

use super::rig::*;
use crate::view::Protection;

/// `d/sub` has the mode 0700 then.
fn changed(at: &str) -> ToReceiver {
    ToReceiver::Make { path: path(at), meta: Meta { mode: 0o700, ..meta(Kind::Dir) } }
}

fn compare(at: &str) -> ToReceiver {
    ToReceiver::Compare { path: path(at), digest: [0; 16] }
}

#[test]
fn whatever_an_operation_changes_is_displaced_once_and_there() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = Rig::recorded(durability);
        rig.done(&[folder("d"), folder("d/sub"), folder("e"), put("d/f", "1"), put("g", "2"), symlink("l", "t")]);
        rig.done(&[put("d/sub/x", "x"), put("h", "3"), put("i", "4"), put("e/y", "y")]);
        let made = ["d", "d/sub", "e", "d/f", "g", "l", "d/sub/x", "h", "i", "e/y"];
        assert_eq!(rig.displaced(), made.map(|at| (at.to_owned(), "staged")), "what is new has a place too");
        for (what, operation, displaced) in [
            ("a file over a file", put("d/f", "new"), vec![("d/f", "staged")]),
            ("a link over a file", symlink("g", "t"), vec![("g", "staged")]),
            ("a file over a folder", put("e", "file"), vec![("e", "staged")]),
            ("metadata of a file", offer("h", 1, 0o600), vec![("h", "metadata")]),
            ("metadata of a folder", changed("d/sub"), vec![("d/sub", "metadata")]),
            ("metadata of the root", changed(""), vec![(".", "metadata")]),
            ("a rename onto nothing", rename("d/f", "d/n"), vec![("d/n", "entry")]),
            ("a rename onto a file", rename("d/n", "h"), vec![("h", "entry")]),
            ("a link", link("h", &["i", "j"]), vec![("i", "staged"), ("j", "staged")]),
            ("a rename onto the same file", rename("i", "j"), vec![("j", "entry")]),
            ("an exchange", exchange("d", "l"), vec![("d", "exchange")]),
            ("a rename of a folder onto a link", rename("l", "g"), vec![("g", "entry")]),
            ("a folder with all beneath it", remove("g"), vec![("g", "nothing")]),
            ("a name that nothing has", remove("none"), vec![("none", "nothing")]),
        ] {
            rig.done(&[operation]);
            let displaced: Vec<_> = displaced.into_iter().map(|(at, by)| (at.to_owned(), by)).collect();
            assert_eq!(rig.displaced(), displaced, "{what}");
        }
        assert_eq!(names(&rig.at("")), ["d", "e", "h", "j"]);
    }
}

#[test]
fn what_changes_nothing_displaces_nothing() {
    let mut rig = Rig::recorded(Durability::None);
    let steps = [folder("d"), put("f", "1"), symlink("l", "t")];
    rig.done(&steps);
    rig.displaced();
    rig.done(&[folder("d"), symlink("l", "t"), offer("f", 1, 0o640), settle("")]);
    assert_eq!(rig.outcome(offer("f", 2, 0o640)), Outcome::Want);
    assert_eq!(rig.outcome(rename("none", "f")), Outcome::Absent);
    assert_eq!(rig.outcome(exchange("none", "f")), Outcome::Absent);
    assert_eq!(rig.displaced(), []);
}

#[test]
fn names_that_are_parted_are_displaced_in_order() {
    let mut rig = Rig::recorded(Durability::None);
    for file in ["a", "b", "c"] {
        fs::write(rig.at(file), file).unwrap();
        for twin in ["1", "2"] {
            fs::hard_link(rig.at(file), rig.at(&format!("{file}{twin}"))).unwrap();
        }
    }
    rig.send(&[compare("")]);
    rig.answers();
    rig.done(&[settle("")]);
    let parted = ["a1", "a2", "b1", "b2", "c1", "c2"];
    assert_eq!(rig.displaced(), parted.map(|at| (at.to_owned(), "staged")));
}

/// A module in which `d/in/kept`, `kept` and `own` may not be touched.
fn protected(durability: Durability) -> Rig {
    let settings = Settings {
        durability,
        protection: Protection::of(["d/in/kept", "kept", "own"].map(path)),
        ..Settings::default()
    };
    let mut rig = Rig::with(settings, |module| {
        fs::create_dir_all(module.join("d/in")).unwrap();
        fs::create_dir_all(module.join("own/in")).unwrap();
        for file in ["d/in/kept", "kept", "own/in/f"] {
            fs::write(module.join(file), file).unwrap();
        }
    });
    rig.done(&[put("f", "f"), folder("e")]);
    rig
}

#[test]
fn nothing_protected_is_replaced_removed_or_changed() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = protected(durability);
        for (operation, doing, at) in [
            (put("kept", "other"), "put it in place", "kept"),
            (symlink("kept", "t"), "put it in place", "kept"),
            (folder("kept"), "put it in place", "kept"),
            (link("f", &["kept"]), "put it in place", "kept"),
            (remove("kept"), "remove it", "kept"),
            (rename("f", "kept"), "rename it", "kept"),
            (rename("e", "kept"), "rename it", "kept"),
            (rename("kept", "away"), "rename it", "kept"),
            (exchange("f", "kept"), "exchange it", "kept"),
            (exchange("kept", "f"), "exchange it", "kept"),
            (offer("kept", 4, 0o600), "", ""),
            (changed("own"), "set its metadata", "own"),
            (changed("own/in"), "set its metadata", "own/in"),
            (remove("own/in/f"), "remove it", "own/in/f"),
            (remove("own"), "remove it", "own"),
        ] {
            match rig.outcome(operation.clone()) {
                // Its mtime is another one.
                Outcome::Want => assert!(matches!(operation, ToReceiver::Offer { .. })),
                Outcome::Refused { reason } => {
                    assert_eq!(reason, format!("cannot {doing}: '{at}' is protected on the backup host"));
                }
                other => panic!("{operation:?}: {other:?}"),
            }
        }
        for file in ["d/in/kept", "kept", "own/in/f"] {
            assert_eq!(fs::read_to_string(rig.at(file)).unwrap(), file);
        }
        // What is new is nobody's old version.
        rig.done(&[put("own/new", "x"), put("d/in/f", "y"), remove("d/in/f")]);
    }
}

#[test]
fn a_folder_with_something_protected_beneath_is_not_taken_as_a_whole() {
    for durability in [Durability::None, Durability::Batch] {
        let mut rig = protected(durability);
        for (operation, doing) in [
            (remove("d"), "remove it"),
            (remove("d/in"), "remove it"),
            (put("d", "file"), "put it in place"),
            (symlink("d", "t"), "put it in place"),
            (rename("f", "d"), "rename it"),
            (rename("e", "d"), "rename it"),
            (rename("d", "e"), "rename it"),
            (rename("d", "away"), "rename it"),
            (exchange("d", "e"), "exchange it"),
            (exchange("f", "d"), "exchange it"),
        ] {
            let Outcome::Refused { reason } = rig.outcome(operation.clone()) else { panic!("{operation:?}") };
            let why = "'d/in/kept', which stands in it, is protected on the backup host";
            assert_eq!(reason, format!("cannot {doing}: {why}"));
        }
        assert_eq!(fs::read_to_string(rig.at("d/in/kept")).unwrap(), "d/in/kept");
        // Its own metadata is another matter, as is what stands beside it.
        rig.done(&[changed("d"), changed("d/in"), remove("e"), remove("f")]);
        assert_eq!(names(&rig.at("")), ["d", "kept", "own"]);
    }
}

#[test]
fn an_offer_to_what_is_protected_is_refused() {
    let mut rig = protected(Durability::None);
    rig.done(&[put("own/new", "x")]);
    let Outcome::Refused { reason } = rig.outcome(offer("own/new", 1, 0o600)) else { panic!() };
    assert_eq!(reason, "cannot set its metadata: 'own/new' is protected on the backup host");
}
