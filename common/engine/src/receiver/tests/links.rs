//! Hard links: joining and parting.

use std::fs;
use std::os::unix::fs::MetadataExt;

use proto::{Keep, Kept, Kind, Meta, Outcome, ToReceiver};

use super::rig::*;
use crate::receiver::{Memory, SURE};
use crate::view::Bounds;

fn inode(rig: &Rig, at: &str) -> u64 {
    fs::symlink_metadata(rig.at(at)).unwrap().ino()
}

#[test]
fn names_become_one_file() {
    for mut rig in [Rig::new(), Rig::durable()] {
        rig.done(&[folder("d"), put("a", "1"), put("d/b", "old"), link("a", &["d/b", "d/c"])]);
        assert_eq!(fs::metadata(rig.at("a")).unwrap().nlink(), 3);
        assert_eq!(fs::read(rig.at("d/b")).unwrap(), b"1");
        let ctime = fs::metadata(rig.at("a")).unwrap().ctime_nsec();
        rig.done(&[link("a", &["d/b", "d/c"])]);
        assert_eq!(fs::metadata(rig.at("a")).unwrap().ctime_nsec(), ctime, "nothing to do");
        assert_eq!(rig.outcome(link("none", &["x"])), Outcome::Absent);
        assert_eq!(rig.outcome(link("a", &["none/x"])), Outcome::Absent);
        assert_eq!(rig.outcome(link("d", &["x"])), Outcome::Absent);
        rig.done(&[put("a", "2")]);
        assert_eq!(fs::read(rig.at("d/b")).unwrap(), b"1", "a put parts the name");
    }
}

#[test]
fn what_is_one_of_several_names_is_not_taken_for_a_file_of_its_own() {
    let mut rig = Rig::new();
    rig.done(&[put("a", "same"), link("a", &["b"])]);
    let digest = Some(*blake3::hash(b"same").as_bytes());
    let rebuilt = || ToReceiver::Offer { path: path("b"), meta: Meta { size: 4, ..meta(Kind::File) }, digest };
    assert_eq!(rig.outcome(rebuilt()), Outcome::Want);
    rig.done(&[put("b", "same"), rebuilt()]);
    assert_ne!(inode(&rig, "a"), inode(&rig, "b"));
}

#[test]
fn a_name_that_cannot_be_one_of_a_file_leaves_the_others_joined() {
    let mut rig = Rig::new();
    rig.done(&[folder("d"), put("a", "1"), put("c", "1")]);
    assert_eq!(rig.outcome(link("a", &["none/b", "c", "d/e"])), Outcome::Absent);
    assert_eq!([inode(&rig, "c"), inode(&rig, "d/e")], [inode(&rig, "a"); 2]);
    // They are known to be a group: nothing is parted.
    rig.done(&[settle("")]);
    assert_eq!([inode(&rig, "c"), inode(&rig, "d/e")], [inode(&rig, "a"); 2]);
}

#[test]
fn a_module_without_hard_links_refuses_them() {
    let keep: Keep = Keep::DEFAULT.iter().filter(|kept| *kept != Kept::Hardlinks).collect();
    let mut rig = Rig::with(Settings { keep, ..Settings::default() }, |_| {});
    rig.done(&[put("a", "1")]);
    assert!(matches!(rig.outcome(link("a", &["b"])), Outcome::Refused { .. }));
}

#[test]
fn settling_parts_what_is_in_no_group_together() {
    for durability in [proto::login::Durability::None, proto::login::Durability::Batch] {
        let mut rig = Rig::with(Settings { durability, ..Settings::default() }, |module| {
            fs::create_dir(module.join("d")).unwrap();
            fs::write(module.join("a"), "content").unwrap();
            for name in ["b", "c", "d/e", "d/f", "lone"] {
                fs::hard_link(module.join("a"), module.join(name)).unwrap();
            }
        });
        let compare = |at: &str| ToReceiver::Compare { path: path(at), digest: [0; 16] };
        rig.send(&[compare(""), compare("d")]);
        assert_eq!(rig.answers().len(), 2);
        let (root, d) = (mtime(&rig.at("")), mtime(&rig.at("d")));
        rig.done(&[link("a", &["d/e"]), link("b", &["c", "d/f"]), settle("")]);
        let [a, b, c, e, f, lone] = ["a", "b", "c", "d/e", "d/f", "lone"].map(|name| inode(&rig, name));
        assert!(a == e && b == c && c == f && a != b && lone != a && lone != b);
        for name in ["a", "b", "c", "d/e", "d/f", "lone"] {
            assert_eq!(fs::read(rig.at(name)).unwrap(), b"content");
            assert_eq!(mtime(&rig.at(name)), mtime(&rig.at("a")));
        }
        assert_eq!((mtime(&rig.at("")), mtime(&rig.at("d"))), (root, d));
        rig.done(&[settle("")]);
    }
}

#[test]
fn settling_concerns_only_what_is_beneath_its_folder() {
    let mut rig = Rig::with(Settings::default(), |module| {
        for dir in ["x", "y"] {
            fs::create_dir(module.join(dir)).unwrap();
            fs::write(module.join(dir).join("1"), "").unwrap();
            fs::hard_link(module.join(dir).join("1"), module.join(dir).join("2")).unwrap();
        }
    });
    let compare = |at: &str| ToReceiver::Compare { path: path(at), digest: [0; 16] };
    rig.send(&[compare("x"), compare("y")]);
    rig.answers();
    rig.done(&[settle("x")]);
    assert_ne!(inode(&rig, "x/1"), inode(&rig, "x/2"));
    assert_eq!(inode(&rig, "y/1"), inode(&rig, "y/2"));
}

/// `d/a`, `d/b` and `outside` are one file, and `d` was compared.
fn with_a_group_across_folders() -> Rig {
    let mut rig = Rig::with(Settings::default(), |module| {
        fs::create_dir(module.join("d")).unwrap();
        fs::write(module.join("d/a"), "").unwrap();
        for name in ["d/b", "outside"] {
            fs::hard_link(module.join("d/a"), module.join(name)).unwrap();
        }
    });
    rig.send(&[ToReceiver::Compare { path: path("d"), digest: [0; 16] }]);
    rig.answers();
    rig
}

#[test]
fn settling_keeps_together_what_a_link_has_joined_across_folders() {
    let mut rig = with_a_group_across_folders();
    rig.done(&[link("outside", &["d/b"]), link("d/b", &["outside"])]);
    rig.done(&[ToReceiver::Remove { path: path("d/a") }, settle("d")]);
    assert_eq!(inode(&rig, "d/b"), inode(&rig, "outside"));
}

#[test]
fn a_group_is_parted_with_its_names_elsewhere() {
    let mut rig = with_a_group_across_folders();
    rig.done(&[link("d/b", &["outside"]), settle("d")]);
    assert_eq!(inode(&rig, "d/b"), inode(&rig, "outside"));
    assert_ne!(inode(&rig, "d/b"), inode(&rig, "d/a"));
}

/// A folder with many names of a file, and one with two.
fn with_many_and_few(settings: Settings) -> Rig {
    Rig::with(settings, |module| {
        for (dir, names) in [("few", 2), ("many", 40)] {
            fs::create_dir(module.join(dir)).unwrap();
            fs::write(module.join(dir).join("0"), "").unwrap();
            (1..names)
                .for_each(|n| fs::hard_link(module.join(dir).join("0"), module.join(format!("{dir}/{n}"))).unwrap());
        }
    })
}

#[test]
fn names_of_which_too_many_are_in_a_folder_stay_joined() {
    // Looked at as a whole, and by windows.
    for whole in [100, 0] {
        let bounds = Bounds { whole, linked: 500, ..Bounds::default() };
        let mut rig = with_many_and_few(Settings { bounds, ..Settings::default() });
        let compare = |at: &str| ToReceiver::Compare { path: path(at), digest: [0; 16] };
        rig.send(&[compare("few"), compare("many")]);
        assert_eq!(rig.answers().len(), 2);
        rig.done(&[settle("")]);
        assert_eq!(inode(&rig, "many/1"), inode(&rig, "many/2"));
        assert_eq!(inode(&rig, "few/0"), inode(&rig, "few/1"), "nothing is parted until the next");
        rig.send(&[compare("few")]);
        assert_eq!(rig.answers().len(), 1);
        rig.done(&[settle("")]);
        assert_ne!(inode(&rig, "few/0"), inode(&rig, "few/1"));
    }
}

#[test]
fn without_memory_for_what_was_seen_names_stay_joined() {
    for (lent, joined) in [(0, true), (1 << 20, false)] {
        let memory = Memory::new((SURE + lent) as u64, 1);
        let mut rig = with_many_and_few(Settings { memory, ..Settings::default() });
        rig.send(&[ToReceiver::Compare { path: path("many"), digest: [0; 16] }]);
        assert_eq!(rig.answers().len(), 1);
        rig.done(&[settle("")]);
        assert_eq!(inode(&rig, "many/1") == inode(&rig, "many/2"), joined);
    }
}
