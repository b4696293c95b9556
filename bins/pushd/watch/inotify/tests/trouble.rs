//! Lost events, lost roots, limits.

use std::time::Instant;

use super::*;
use crate::watch::event::{Change, Event, Object};
use crate::watch::picture::Met;
use crate::watch::root;

impl Rig {
    /// As if a walk had met this there.
    fn meets(&mut self, folder: &str, name: &str, met: Met) {
        let place = Spot { parent: self.watch(folder).unwrap(), name: Name::parse(name.as_bytes()).unwrap() };
        self.watcher.picture.met(&place, met, 0, Instant::now());
    }
}

#[test]
fn after_lost_events_all_is_watched_again() {
    let mut rig = rig(|root| fs::create_dir_all(root.join("a/b")).unwrap());
    let limit: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    for number in 0..limit / 2 {
        let (one, two) = (rig.at(&format!("f{}", number % 2)), rig.at("g"));
        fs::write(&one, "").unwrap();
        fs::rename(&one, &two).unwrap();
    }
    // None of these is told by the kernel.
    fs::rename(rig.at("a/b"), rig.at("moved")).unwrap();
    fs::create_dir_all(rig.at("a/new/one")).unwrap();
    fs::remove_dir_all(rig.at("a/new")).unwrap();
    fs::create_dir_all(rig.at("a/other/one")).unwrap();
    let mut notices = Vec::new();
    rig.watcher.next(None, &mut notices).unwrap();
    assert_eq!(notices[0], Notice::Overflow);
    rig.rest();
    rig.assert_true_picture();
    assert_eq!(rig.watcher.watches(), 5);
    fs::write(rig.at("moved/f"), "").unwrap();
    fs::write(rig.at("a/other/one/f"), "").unwrap();
    let notices = rig.rest();
    assert!(notices.contains(&entry("moved/f", Cause::WRITTEN)));
    assert!(notices.contains(&entry("a/other/one/f", Cause::WRITTEN)));
}

#[test]
fn placing_again_keeps_the_watches() {
    let mut rig = rig(|root| fs::create_dir_all(root.join("a/b")).unwrap());
    let before = rig.watch("a/b");
    rig.watcher.place(&mut Vec::new()).unwrap();
    assert_eq!(rig.watch("a/b"), before);
    assert_eq!(rig.rest(), []);
}

#[test]
fn a_root_that_moves_or_goes_is_lost() {
    let mut first = rig(|_| {});
    fs::rename(&first.root, first.outside.join("r")).unwrap();
    assert!(matches!(&first.rest()[..], [Notice::RootLost { reason }] if reason.contains("moved or deleted")));
    fs::write(first.outside.join("r/f"), "").unwrap();
    assert_eq!(first.rest(), []);

    let mut second = rig(|root| fs::create_dir(root.join("d")).unwrap());
    fs::remove_dir_all(&second.root).unwrap();
    let notices = second.rest();
    assert!(matches!(notices.last(), Some(Notice::RootLost { .. })), "{notices:?}");
    assert_eq!(second.rest(), []);
}

#[test]
fn a_root_that_is_removed_when_it_has_been_empty_for_a_while_is_soon_lost() {
    let mut rig = rig(|root| fs::write(root.join("f"), "").unwrap());
    fs::remove_file(rig.at("f")).unwrap();
    assert_eq!(rig.rest().len(), 2);
    // The kernel tells nothing of it: the next look is made by time.
    fs::remove_dir(&rig.root).unwrap();
    let (began, mut notices) = (Instant::now(), Vec::new());
    while notices.is_empty() && began.elapsed() < root::LOOK / 2 {
        rig.watcher.next(Some(SILENCE), &mut notices).unwrap();
    }
    assert!(
        matches!(&notices[..], [Notice::RootLost { reason }] if reason.contains("moved or deleted")),
        "{notices:?}"
    );
}

#[test]
fn an_unmounted_root_is_lost() {
    let mut rig = rig(|_| {});
    let watch = rig.watcher.picture.tree().root();
    let event = Event { watch, name: None, change: Change::Unmounted, object: Object::Folder };
    rig.watcher.hands.backlog.push(event, Instant::now());
    assert!(matches!(&rig.rest()[..], [Notice::RootLost { reason }] if reason.contains("unmounted")));
}

#[test]
fn at_the_limit_the_rest_goes_on_and_is_tried_again() {
    let mut rig = rig(|root| fs::create_dir_all(root.join("b/sub")).unwrap());
    rig.rest();
    fs::create_dir_all(rig.at("a/sub")).unwrap();
    // As the kernel answers at its limit.
    rig.watcher.hands.backlog.lose();
    rig.meets("", "a", Met::Limit);
    rig.meets("", "a", Met::Limit);
    let notices = rig.rest();
    let [Notice::Unwatched { folders, limit: Some(_) }] = &notices[..] else { panic!("{notices:?}") };
    assert_eq!(*folders, [rel("a")]);
    fs::write(rig.at("b/f"), "").unwrap();
    assert!(rig.rest().contains(&entry("b/f", Cause::WRITTEN)));
    // A watch given back lets it in.
    fs::remove_dir(rig.at("b/sub")).unwrap();
    assert!(rig.rest().contains(&subtree("a")));
    rig.assert_true_picture();
}

#[test]
fn a_closed_folder_is_told_and_tried_when_it_opens() {
    let mut rig = rig(|_| {});
    fs::create_dir(rig.outside.join("a")).unwrap();
    rig.rest();
    rig.meets("", "a", Met::Denied("no right".into()));
    assert_eq!(rig.rest(), [Notice::Unwatched { folders: vec![rel("a")], limit: None }]);
    fs::rename(rig.outside.join("a"), rig.at("a")).unwrap();
    assert!(rig.rest().contains(&subtree("a")));
    assert_eq!(rig.watcher.unwatched_count(), 0);
}

#[test]
fn a_closed_folder_goes_where_its_parent_goes() {
    let mut rig = rig(|root| fs::create_dir_all(root.join("a/b")).unwrap());
    rig.rest();
    rig.meets("a", "closed", Met::Denied("no right".into()));
    assert_eq!(rig.watcher.unwatched(), [rel("a/closed")]);
    fs::rename(rig.at("a"), rig.at("c")).unwrap();
    rig.rest();
    assert_eq!(rig.watcher.unwatched(), [rel("c/closed")]);
    fs::remove_dir_all(rig.at("c")).unwrap();
    rig.rest();
    assert_eq!(rig.watcher.unwatched(), []);
}

#[test]
fn it_has_caught_up_when_all_that_was_held_is_told() {
    let mut rig = rig(|root| fs::create_dir_all(root.join("a/b")).unwrap());
    fs::write(rig.at("f"), "").unwrap();
    fs::rename(rig.at("f"), rig.outside.join("f")).unwrap();
    fs::rename(rig.at("a/b"), rig.at("b")).unwrap();
    let asked = Instant::now();
    let mut notices = Vec::new();
    rig.watcher.next(None, &mut notices).unwrap();
    // The half of a rename holds what is behind it.
    assert_eq!(renames(&notices), []);
    assert!(rig.watcher.caught_up().unwrap() < asked);
    while rig.watcher.caught_up().unwrap() < asked {
        rig.watcher.next(Some(Duration::from_millis(5)), &mut notices).unwrap();
    }
    assert_eq!(renames(&notices), [pair("a/b", "b")]);
    rig.watcher.picture.lose_root("for the test");
    assert_eq!(rig.watcher.caught_up(), None);
}

#[test]
fn events_of_watches_that_are_gone_are_nothing() {
    let mut rig = rig(|_| {});
    for change in [Change::Ignored, Change::SelfDeleted, Change::Written, Change::SelfMoved] {
        let name = (change == Change::Written).then(|| Name::parse(b"f").unwrap());
        let event = Event { watch: 12345, name, change, object: Object::Other };
        rig.watcher.hands.backlog.push(event, Instant::now());
    }
    assert_eq!(rig.rest(), []);
    assert_eq!(rig.watcher.picture.strays(), 4);
}
