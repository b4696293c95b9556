//! Renames of folders: as the kernel reports them, and in orders that it reports once in a thousand times.

use std::time::Instant;

use super::*;
use crate::watch::event::{Change, Event, Object};
use crate::watch::picture::Met;

impl Rig {
    /// The two kinds of swap of two names that the kernel knows.
    fn exchange(&self, a: &str, b: &str) {
        let (a, b) = (rel(a).split().unwrap(), rel(b).split().unwrap());
        let (from, to) = (self.watcher.hands.source.dir(&a.0).unwrap(), self.watcher.hands.source.dir(&b.0).unwrap());
        from.exchange(&a.1, &to, &b.1).unwrap();
    }

    /// Makes the watcher believe a rename that did not happen.
    fn pretend_renamed(&mut self, from: &str, to: &str, cookie: u32) {
        let now = Instant::now();
        for (path, change) in [(from, Change::MovedFrom { cookie, since: now }), (to, Change::MovedTo { cookie })] {
            let (folder, name) = rel(path).split().unwrap();
            let watch = self.watch(&folder.to_string().replace('.', "")).unwrap();
            let event = Event { watch, name: Some(name), change, object: Object::Folder };
            self.watcher.hands.backlog.push(event, now);
        }
    }
}

#[test]
fn a_folder_keeps_its_watches_under_its_new_name() {
    let mut rig = rig(|root| {
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        fs::create_dir(root.join("d")).unwrap();
    });
    let watch = rig.watch("a/b/c");
    fs::rename(rig.at("a"), rig.at("d/e")).unwrap();
    fs::write(rig.at("d/e/b/c/f"), "").unwrap();
    let notices = rig.rest();
    assert_eq!(renames(&notices), [pair("a", "d/e")]);
    assert!(notices.contains(&entry("d/e/b/c/f", Cause::WRITTEN)), "{notices:?}");
    assert!(!notices.iter().any(|notice| matches!(notice, Notice::Hint(Hint::Subtree { .. }))), "{notices:?}");
    assert_eq!(rig.watch("d/e/b/c"), watch);
    assert_eq!(rig.watcher.watches(), 5);
    assert!(!rig.watcher.picture.is_in_doubt());
    rig.assert_true_picture();
}

#[test]
fn a_big_folder_is_renamed_at_once() {
    let mut rig = rig(|root| {
        for number in 0..2000 {
            fs::create_dir_all(root.join(format!("a/b{number}"))).unwrap();
        }
    });
    let start = Instant::now();
    let mut notices = Vec::new();
    for (from, to) in [("a", "x"), ("x", "y"), ("y", "a")].repeat(100) {
        fs::rename(rig.at(from), rig.at(to)).unwrap();
        rig.watcher.next(Some(Duration::ZERO), &mut notices).unwrap();
    }
    notices.extend(rig.rest());
    assert_eq!(renames(&notices).len(), 300, "{notices:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(rig.watcher.watches(), 2002);
    assert_eq!(rig.watcher.picture.strays(), 0);
}

#[test]
fn a_chain_of_renames_comes_in_order() {
    let mut rig = rig(|root| {
        for name in ["1", "2", "3"] {
            fs::create_dir_all(root.join(name).join(format!("in{name}"))).unwrap();
        }
    });
    for (from, to) in [("3", "4"), ("2", "3"), ("1", "2")] {
        fs::rename(rig.at(from), rig.at(to)).unwrap();
    }
    assert_eq!(renames(&rig.rest()), [pair("3", "4"), pair("2", "3"), pair("1", "2")]);
    rig.assert_true_picture();
}

#[test]
fn exchanged_folders_keep_their_watches() {
    let mut rig = rig(|root| {
        for name in ["a/x/deep", "b/y", "c"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
    });
    for (a, b) in [("a", "b"), ("a", "c"), ("b/x/deep", "c"), ("a", "b"), ("a", "b")] {
        let before = (rig.watch(a), rig.watch(b));
        rig.exchange(a, b);
        let notices = rig.rest();
        assert_eq!(renames(&notices), [pair(a, b), pair(b, a)], "{notices:?}");
        assert_eq!((rig.watch(b), rig.watch(a)), before);
        assert_eq!(rig.watcher.picture.doubtful_since(), None);
        rig.assert_true_picture();
    }
    // Several before any is read.
    for _ in 0..3 {
        rig.exchange("a", "b");
        rig.exchange("b", "c");
    }
    rig.rest();
    rig.assert_true_picture();
}

#[test]
fn a_folder_exchanged_with_a_file() {
    let mut rig = rig(|root| {
        fs::create_dir_all(root.join("a/x")).unwrap();
        fs::write(root.join("f"), "").unwrap();
    });
    rig.exchange("a", "f");
    assert_eq!(renames(&rig.rest()), [pair("a", "f"), pair("f", "a")]);
    rig.assert_true_picture();
    rig.exchange("a", "f");
    rig.rest();
    rig.assert_true_picture();
}

#[test]
fn a_folder_exchanged_with_one_outside() {
    let mut rig = rig(|root| fs::create_dir_all(root.join("a/x")).unwrap());
    fs::create_dir_all(rig.outside.join("b/y")).unwrap();
    let outside = Tree::open(&rig.outside, Mounts::Stay).unwrap().root().unwrap();
    let (inside, a, b) =
        (rig.watcher.hands.source.root().unwrap(), Name::parse(b"a").unwrap(), Name::parse(b"b").unwrap());
    for _ in 0..2 {
        // The order of the two halves that are seen depends on the order of the names.
        inside.exchange(&a, &outside, &b).unwrap();
        assert!(rig.rest().contains(&subtree("a")));
        rig.assert_true_picture();
        outside.exchange(&b, &inside, &a).unwrap();
        assert!(rig.rest().contains(&subtree("a")));
        rig.assert_true_picture();
    }
}

#[test]
fn a_replaced_folder_is_dropped() {
    let mut rig = rig(|root| {
        fs::create_dir_all(root.join("a/x")).unwrap();
        fs::create_dir(root.join("b")).unwrap();
    });
    fs::rename(rig.at("a"), rig.at("b")).unwrap();
    assert_eq!(renames(&rig.rest()), [pair("a", "b")]);
    assert_eq!(rig.watcher.watches(), 3);
    rig.assert_true_picture();
    // And back, at once after another replacement.
    fs::create_dir(rig.at("a")).unwrap();
    fs::rename(rig.at("b"), rig.at("a")).unwrap();
    fs::rename(rig.at("a"), rig.at("b")).unwrap();
    rig.rest();
    rig.assert_true_picture();
    assert_eq!(rig.watcher.watches(), 3);
}

#[test]
fn into_a_folder_that_is_not_watched_yet() {
    let mut rig = rig(|root| fs::create_dir_all(root.join("a/x")).unwrap());
    let watch = rig.watch("a/x");
    fs::create_dir_all(rig.at("n/m")).unwrap();
    fs::rename(rig.at("a"), rig.at("n/m/a")).unwrap();
    let notices = rig.rest();
    assert!(notices.contains(&subtree("n")), "{notices:?}");
    assert_eq!(rig.watch("n/m/a/x"), watch);
    rig.assert_true_picture();
}

/// The events of a swap through a third name, read after the disk was seen in its final state: nothing confirms them.
#[test]
fn a_rename_that_no_folder_confirms_is_checked_on_the_disk() {
    let mut rig = rig(|root| {
        fs::create_dir_all(root.join("d/p/in-p")).unwrap();
        fs::create_dir_all(root.join("d/r/in-r")).unwrap();
    });
    rig.pretend_renamed("d/p", "d/t", 1);
    rig.pretend_renamed("d/r", "d/p", 2);
    rig.pretend_renamed("d/t", "d/r", 3);
    let notices = rig.rest();
    assert!(notices.contains(&subtree("d/p")) && notices.contains(&subtree("d/r")), "{notices:?}");
    rig.assert_true_picture();
    assert_eq!(rig.watcher.watches(), 6);
}

#[test]
fn a_late_rename_over_a_newer_folder_is_undone() {
    let mut rig = rig(|root| fs::create_dir_all(root.join("d/e/f")).unwrap());
    rig.pretend_renamed("d/e", "x", 1);
    let mut notices = Vec::new();
    rig.watcher.next(None, &mut notices).unwrap();
    rig.pretend_renamed("d", "x/y", 2);
    rig.rest();
    rig.assert_true_picture();
}

#[test]
fn a_folder_that_is_a_known_one_moved_there_is_found_again() {
    let mut rig = rig(|root| fs::create_dir_all(root.join("a/x")).unwrap());
    fs::create_dir(rig.at("b")).unwrap();
    rig.rest();
    let watch = rig.watch("a");
    fs::rename(rig.at("a"), rig.at("b/a")).unwrap();
    // As if that rename had been lost: the look at the place meets a watch known elsewhere.
    rig.watcher.hands.backlog.lose();
    let place = Spot { parent: rig.watch("b").unwrap(), name: Name::parse(b"a").unwrap() };
    rig.watcher.picture.met(&place, Met::Trouble("it passes".into()), 0, Instant::now());
    assert!(rig.rest().contains(&subtree("b/a")));
    assert_eq!(rig.watch("b/a"), watch);
    rig.assert_true_picture();
}
