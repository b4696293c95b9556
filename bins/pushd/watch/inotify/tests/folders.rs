//! Folders that come and go.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use sys::inotify::queue_limit;

use super::*;

#[test]
fn a_new_folder_is_watched_and_told_whole() {
    let mut rig = rig(|_| {});
    fs::create_dir_all(rig.at("a/b/c")).unwrap();
    fs::write(rig.at("a/b/c/f"), "").unwrap();
    let notices = rig.rest();
    assert!(notices.contains(&subtree("a")) && notices.contains(&entry("", Cause::ENTRIES)), "{notices:?}");
    assert_eq!(rig.watcher.watches(), 4);
    rig.assert_true_picture();
    fs::write(rig.at("a/b/c/f"), "x").unwrap();
    assert!(rig.rest().contains(&entry("a/b/c/f", Cause::WRITTEN)));
}

/// While another thread makes fresh nested folders with a file in each, the consumer does what the product does: lists
/// a subtree when it is hinted, looks at an entry when it is hinted.
#[test]
fn of_3000_files_in_fresh_nested_folders_none_is_missed() {
    let mut rig = rig(|_| {});
    let root = rig.root.clone();
    let done = Arc::new(AtomicBool::new(false));
    let ended = done.clone();
    let maker = thread::spawn(move || {
        for number in 0..3000 {
            let folder = root.join(format!("a{number}/b/c"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("f{number}")), "").unwrap();
        }
        ended.store(true, Ordering::Release);
    });
    let (hints, inbox) = mpsc::channel();
    let root = rig.root.clone();
    let consumer = thread::spawn(move || {
        let mut seen = BTreeSet::new();
        for notice in inbox {
            match notice {
                Notice::Hint(Hint::Subtree { path }) => seen.extend(beneath(&root.join(path.to_string()))),
                Notice::Hint(Hint::Entry { path, .. }) => {
                    let path = root.join(path.to_string());
                    seen.extend(path.exists().then_some(path));
                }
                // Only where the kernel was told to hold fewer events than it does by default.
                Notice::Overflow if queue_limit().is_some_and(|limit| limit < 16_384) => seen.extend(beneath(&root)),
                other => panic!("{other:?}"),
            }
        }
        seen
    });
    loop {
        let ended = done.load(Ordering::Acquire);
        let mut notices = Vec::new();
        rig.watcher.next(Some(Duration::from_millis(100)), &mut notices).unwrap();
        let silent = notices.is_empty();
        notices.into_iter().for_each(|notice| hints.send(notice).unwrap());
        if ended && silent {
            break;
        }
    }
    drop(hints);
    let seen = consumer.join().unwrap();
    maker.join().unwrap();
    let missed = (0..3000).filter(|n| !seen.contains(&rig.at(&format!("a{n}/b/c/f{n}")))).count();
    assert_eq!(missed, 0);
    assert_eq!(rig.watcher.watches(), 9001);
}

#[test]
fn a_folder_that_goes_gives_its_watches_back() {
    let mut rig = rig(|root| fs::create_dir_all(root.join("a/b/c")).unwrap());
    assert_eq!(rig.watcher.watches(), 4);
    fs::remove_dir_all(rig.at("a")).unwrap();
    let notices = rig.rest();
    assert!(notices.contains(&entry("a", Cause::GONE)), "{notices:?}");
    assert_eq!(rig.watcher.watches(), 1);
    fs::create_dir_all(rig.at("a/b")).unwrap();
    assert!(rig.rest().contains(&subtree("a")));
    rig.assert_true_picture();
}

#[test]
fn a_folder_that_moves_out_is_silent_and_gives_its_watches_back() {
    let mut rig = rig(|root| fs::create_dir_all(root.join("a/b")).unwrap());
    fs::rename(rig.at("a"), rig.outside.join("a")).unwrap();
    assert_eq!(rig.rest(), [entry("a", Cause::GONE | Cause::WITH_ALL), entry("", Cause::ENTRIES)]);
    assert_eq!(rig.watcher.watches(), 1);
    fs::write(rig.outside.join("a/b/f"), "").unwrap();
    assert_eq!(rig.rest(), []);
}

#[test]
fn a_folder_that_moves_in_is_new() {
    let mut rig = rig(|_| {});
    fs::create_dir_all(rig.outside.join("a/b")).unwrap();
    fs::rename(rig.outside.join("a"), rig.at("a")).unwrap();
    assert_eq!(rig.rest(), [subtree("a"), entry("", Cause::ENTRIES)]);
    fs::write(rig.at("a/b/f"), "").unwrap();
    assert!(rig.rest().contains(&entry("a/b/f", Cause::WRITTEN)));
}

#[test]
fn a_link_to_a_folder_is_an_entry() {
    let mut rig = rig(|_| {});
    fs::create_dir(rig.outside.join("d")).unwrap();
    symlink(rig.outside.join("d"), rig.at("l")).unwrap();
    assert_eq!(rig.rest(), [entry("l", Cause::CREATED), entry("", Cause::ENTRIES)]);
    assert_eq!(rig.watcher.watches(), 1);
}

#[test]
fn a_name_that_changes_its_kind_converges() {
    let mut rig = rig(|_| {});
    for _ in 0..20 {
        fs::create_dir(rig.at("x")).unwrap();
        fs::remove_dir(rig.at("x")).unwrap();
        fs::write(rig.at("x"), "").unwrap();
        fs::remove_file(rig.at("x")).unwrap();
        symlink(&rig.outside, rig.at("x")).unwrap();
        fs::remove_file(rig.at("x")).unwrap();
    }
    fs::create_dir(rig.at("x")).unwrap();
    rig.rest();
    rig.assert_true_picture();
    assert_eq!(rig.watcher.watches(), 2);
}

#[test]
fn two_hundred_levels() {
    let deep = vec!["d"; 200].join("/");
    let mut rig = rig(|root| fs::create_dir_all(root.join(&deep)).unwrap());
    assert_eq!(rig.watcher.watches(), 201);
    let file = format!("{deep}/f");
    fs::write(rig.at(&file), "").unwrap();
    assert!(rig.rest().contains(&entry(&file, Cause::WRITTEN)));
    fs::rename(rig.at("d"), rig.outside.join("d")).unwrap();
    rig.rest();
    assert_eq!(rig.watcher.watches(), 1);
    fs::rename(rig.outside.join("d"), rig.at("e")).unwrap();
    rig.rest();
    assert_eq!(rig.watcher.watches(), 201);
    rig.assert_true_picture();
}

#[test]
fn what_is_not_selected_is_watched_only_once_it_has_another_name() {
    let mut rig = rig(|root| fs::create_dir_all(root.join("a/.recvd-stage-1/b")).unwrap());
    assert_eq!(rig.watcher.watches(), 2);
    fs::create_dir(rig.at(".recvd-stage-2")).unwrap();
    fs::create_dir(rig.at("a/.recvd-stage-1/c")).unwrap();
    rig.rest();
    assert_eq!(rig.watcher.watches(), 2);
    fs::remove_dir(rig.at(".recvd-stage-2")).unwrap();
    fs::rename(rig.at("a/.recvd-stage-1"), rig.at("a/d")).unwrap();
    assert!(rig.rest().contains(&subtree("a/d")));
    rig.assert_true_picture();
    fs::write(rig.at("a/d/c/f"), "").unwrap();
    assert!(rig.rest().contains(&entry("a/d/c/f", Cause::WRITTEN)));
    // One that is watched already goes on being watched: nothing is owed of it.
    fs::rename(rig.at("a/d"), rig.at("a/.recvd-stage-3")).unwrap();
    fs::rename(rig.at("a/.recvd-stage-3"), rig.at("e")).unwrap();
    rig.rest();
    rig.assert_true_picture();
}
