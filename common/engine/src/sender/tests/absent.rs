//! Mounts that are away: what the target has of them is held, whatever shows in their place and is renamed around them.

use std::sync::Mutex;

use proto::Kind;

use super::*;
use crate::pending::{Away, Held, Why};

/// A pair whose source has a disk in a folder, of a folder and three files, and the target all of it.
fn with_disk() -> Pair {
    let mut pair = Pair::new();
    disk(&pair);
    fs::write(pair.here.join("other"), "other").unwrap();
    assert_eq!(pair.pass().0, Ended::InSync);
    pair.assert_equal();
    pair
}

fn disk(pair: &Pair) {
    fs::create_dir_all(pair.here.join("up/disk/folder")).unwrap();
    for name in ["one", "two", "folder/three"] {
        fs::write(pair.here.join("up/disk").join(name), name).unwrap();
    }
}

/// The disk is not mounted, and something else shows beneath.
fn unmount(pair: &Pair) {
    fs::remove_dir_all(pair.here.join("up/disk")).unwrap();
    fs::create_dir(pair.here.join("up/disk")).unwrap();
    fs::write(pair.here.join("up/disk/two"), "beneath the disk").unwrap();
}

/// What is held on account of mounts, where nothing else is, wherever they are.
fn away(ended: Ended) -> Away {
    match ended {
        Ended::Held(Held { entries, why: Why::Unmounted, away, .. }) if entries == away.entries => {
            Away { first: None, ..away }
        }
        ended => panic!("{ended:?}"),
    }
}

fn assert_kept(pair: &Pair, at: &str) {
    for name in ["one", "two", "folder/three"] {
        assert_eq!(fs::read_to_string(pair.there.join(at).join(name)).unwrap(), name, "{at}");
    }
}

fn problems(pair: &Pair) -> String {
    pair.mirror.entries.problems().iter().map(|(at, note)| format!("{at}: {}\n", note.reason)).collect()
}

/// The disk is not mounted any more, and then the folder that it was in is removed.
fn lose_folder_above(pair: &mut Pair) {
    unmount(pair);
    pair.mirror.set_absent(vec![path("up/disk")]);
    assert_eq!(away(pair.sync().0), counted());
    fs::remove_dir_all(pair.here.join("up")).unwrap();
    pair.entry("up", Cause::GONE);
    assert_eq!(away(pair.sync().0), counted());
}

/// A folder of the source is renamed, and that is told.
fn renamed(pair: &Pair, from: &str, to: &str) {
    fs::rename(pair.here.join(from), pair.here.join(to)).unwrap();
    let since = std::time::Instant::now();
    pair.hint(Hint::Renamed { from: path(from), to: path(to), folder: true, since });
}

/// All of the disk.
fn counted() -> Away {
    Away { mounts: 1, first: None, uncounted: 0, entries: 5 }
}

#[test]
fn what_the_backup_has_of_a_mount_that_is_away_is_counted_and_held() {
    let mut pair = with_disk();
    unmount(&pair);
    pair.mirror.set_absent(vec![path("up/disk")]);
    assert_eq!(
        pair.mirror.deletions_held().unwrap().away,
        Away { mounts: 1, first: Some(Box::new(path("up/disk"))), uncounted: 1, entries: 1 }
    );
    assert_eq!(away(pair.pass().0), counted());
    assert_kept(&pair, "up/disk");
    disk(&pair);
    pair.mirror.set_absent(Vec::new());
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

/// It is asked which mounts are away, and nobody has told before.
fn ask(pair: &Pair) {
    let told = Mutex::new(Some(vec![path("up/disk")]));
    pair.mirror.ask_for_mounts(move |_, hear| {
        if let Some(places) = told.lock().unwrap().take() {
            hear(places);
        }
    });
}

#[test]
fn a_pass_asks_once_more_before_it_concludes_anything_from_what_shows() {
    let mut pair = with_disk();
    unmount(&pair);
    ask(&pair);
    assert_eq!(away(pair.pass().0), counted());
    assert_kept(&pair, "up/disk");
}

#[test]
fn a_look_asks_once_more_before_it_concludes_anything_from_what_shows() {
    for (name, cause) in [("up/disk/one", Cause::GONE), ("up/disk/two", Cause::WRITTEN), ("up/disk", Cause::GONE)] {
        let mut pair = with_disk();
        unmount(&pair);
        if cause == Cause::GONE && name == "up/disk" {
            fs::remove_dir_all(pair.here.join(name)).unwrap();
        }
        ask(&pair);
        pair.entry(name, cause);
        assert_eq!(away(pair.sync().0), counted(), "{name}");
        assert_kept(&pair, "up/disk");
    }
}

#[test]
fn a_mount_that_is_away_stays_held_through_renames_around_it() {
    let mut pair = with_disk();
    unmount(&pair);
    pair.mirror.set_absent(vec![path("up/disk")]);
    pair.renamed("up", "moved");
    assert_eq!(away(pair.sync().0), counted());
    assert_kept(&pair, "moved/disk");
    assert!(!pair.there.join("up").exists());
    // The mount point itself, on which nothing is mounted.
    pair.renamed("moved/disk", "moved/away");
    assert_eq!(away(pair.pass().0), counted());
    assert_kept(&pair, "moved/away");
    assert!(!pair.there.join("moved/disk").exists());
    // What shows in its place goes elsewhere, and what the backup has in its place does not.
    pair.renamed("moved/away/two", "two");
    assert_eq!(away(pair.pass().0), counted());
    assert_kept(&pair, "moved/away");
    assert_eq!(fs::read_to_string(pair.there.join("two")).unwrap(), "beneath the disk");
    pair.renamed("other", "moved/away/two");
    assert_eq!(away(pair.pass().0), counted());
    assert_kept(&pair, "moved/away");
    assert_eq!(pair.mirror.absent(), [path("moved/away")]);
}

#[test]
fn a_folder_that_takes_the_place_of_a_mount_that_is_away_replaces_nothing_of_it() {
    let mut pair = with_disk();
    fs::create_dir(pair.here.join("new")).unwrap();
    fs::write(pair.here.join("new/file"), "new").unwrap();
    pair.pass();
    fs::remove_dir_all(pair.here.join("up/disk")).unwrap();
    fs::create_dir(pair.here.join("up/disk")).unwrap();
    pair.mirror.set_absent(vec![path("up/disk")]);
    pair.renamed("new", "up/disk");
    assert_eq!(away(pair.sync().0), counted());
    assert_kept(&pair, "up/disk");
    assert!(!pair.there.join("up/disk/file").exists());
    let gone = pair.mirror.absent();
    pair.mirror.forget_absent(&gone, Vec::new());
    assert_eq!(pair.pass().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn what_takes_the_name_of_a_mount_that_is_away_is_named_until_it_may_have_it() {
    for released in [true, false] {
        let mut pair = with_disk();
        fs::remove_dir_all(pair.here.join("up/disk")).unwrap();
        pair.mirror.set_absent(vec![path("up/disk")]);
        pair.entry("up/disk", Cause::GONE);
        assert_eq!(away(pair.sync().0), counted());
        assert!(problems(&pair).is_empty());
        std::os::unix::fs::symlink("../other", pair.here.join("up/disk")).unwrap();
        pair.entry("up/disk", Cause::CREATED);
        for pass in [false, true] {
            assert_eq!(away(if pass { pair.pass().0 } else { pair.sync().0 }), counted());
            assert!(problems(&pair).contains("up/disk: it stands where something was mounted"), "{pass}");
            assert_kept(&pair, "up/disk");
        }
        if released {
            pair.mirror.forget_absent(&[path("up/disk")], Vec::new());
        } else {
            fs::remove_file(pair.here.join("up/disk")).unwrap();
            pair.entry("up/disk", Cause::GONE);
            assert_eq!(away(pair.sync().0), counted());
            assert!(problems(&pair).is_empty(), "it has gone");
            disk(&pair);
            pair.mirror.set_absent(Vec::new());
            pair.entry("up", Cause::ENTRIES);
        }
        assert_eq!(pair.sync().0, Ended::InSync);
        pair.assert_equal();
        assert!(problems(&pair).is_empty());
    }
}

#[test]
fn a_mount_that_has_gone_for_good_goes_by_one_word_also_with_its_mount_point() {
    let mut pair = with_disk();
    fs::remove_dir_all(pair.here.join("up/disk")).unwrap();
    pair.mirror.set_absent(vec![path("up/disk")]);
    pair.entry("up/disk", Cause::GONE);
    assert_eq!(away(pair.pass().0), counted());
    let gone = pair.mirror.absent();
    pair.mirror.forget_absent(&gone, Vec::new());
    let next = pair.mirror.pending().take(pair.mirror.now()).unwrap();
    let cleared = crate::pending::Task::Subtree { path: path("up/disk"), cleared: true };
    assert_eq!(next.task, cleared, "nobody looks there without knowing of the word");
    pair.mirror.pending().again(next.ticket, Duration::ZERO, pair.mirror.now());
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn what_takes_the_name_of_a_folder_in_which_a_mount_was_waits_for_a_word() {
    for newcomer in [Some(Kind::File), Some(Kind::Symlink), None] {
        let mut pair = with_disk();
        fs::write(pair.here.join("up/beside"), "beside").unwrap();
        pair.pass();
        lose_folder_above(&mut pair);
        match newcomer {
            Some(Kind::File) => fs::write(pair.here.join("up"), "a file").unwrap(),
            Some(_) => std::os::unix::fs::symlink("other", pair.here.join("up")).unwrap(),
            None => {}
        }
        pair.entry("up", if newcomer.is_some() { Cause::CREATED | Cause::WRITTEN } else { Cause::GONE });
        for pass in [false, true] {
            assert_eq!(away(if pass { pair.pass().0 } else { pair.sync().0 }), counted(), "{newcomer:?}");
            assert_kept(&pair, "up/disk");
            let named = problems(&pair);
            let is_named = named.contains("up: it stands where something was mounted");
            assert_eq!(is_named, newcomer.is_some(), "{newcomer:?} {pass}: {named}");
        }
        let gone = pair.mirror.absent();
        pair.mirror.forget_absent(&gone, Vec::new());
        assert_eq!(pair.sync().0, Ended::InSync, "one word is enough");
        pair.assert_equal();
        assert!(problems(&pair).is_empty());
    }
}

#[test]
fn a_folder_that_is_moved_to_the_name_of_one_above_a_mount_that_is_away_takes_nothing_of_it() {
    let mut pair = with_disk();
    fs::create_dir(pair.here.join("b")).unwrap();
    fs::write(pair.here.join("b/file"), "b").unwrap();
    pair.pass();
    lose_folder_above(&mut pair);
    renamed(&pair, "b", "up");
    assert_eq!(away(pair.sync().0), counted());
    assert_kept(&pair, "up/disk");
    assert_eq!(fs::read_to_string(pair.there.join("up/file")).unwrap(), "b");
    assert!(!pair.there.join("b").exists());
    // From here on they go together.
    renamed(&pair, "up", "c");
    assert_eq!((away(pair.sync().0), pair.mirror.absent()), (counted(), vec![path("c/disk")]));
    assert_kept(&pair, "c/disk");
    assert!(!pair.there.join("up").exists());
}

#[test]
fn a_folder_that_is_moved_onto_a_mount_point_and_off_again_takes_nothing_along() {
    let mut pair = with_disk();
    fs::create_dir(pair.here.join("b")).unwrap();
    fs::write(pair.here.join("b/file"), "b").unwrap();
    pair.pass();
    fs::remove_dir_all(pair.here.join("up/disk")).unwrap();
    pair.mirror.set_absent(vec![path("up/disk")]);
    pair.entry("up/disk", Cause::GONE);
    for back in ["elsewhere", "b"] {
        let from = if back == "b" { "elsewhere" } else { "b" };
        renamed(&pair, from, "up/disk");
        assert_eq!(away(pair.sync().0), counted());
        assert_kept(&pair, "up/disk");
        renamed(&pair, "up/disk", back);
        assert_eq!((away(pair.sync().0), pair.mirror.absent()), (counted(), vec![path("up/disk")]));
        assert_kept(&pair, "up/disk");
        assert_eq!(fs::read_to_string(pair.there.join(back).join("file")).unwrap(), "b");
        assert!(!pair.there.join(from).exists());
    }
}

#[test]
fn a_mount_that_is_away_stays_held_through_an_exchange_above_it() {
    for other in [true, false] {
        let mut pair = with_disk();
        fs::create_dir(pair.here.join("b")).unwrap();
        fs::write(pair.here.join("b/file"), "b").unwrap();
        pair.pass();
        unmount(&pair);
        pair.mirror.set_absent(vec![path("up/disk")]);
        let (a, b) = if other { ("up", "b") } else { ("b", "up") };
        for (from, to) in [(a, "swap"), (b, a), ("swap", b)] {
            fs::rename(pair.here.join(from), pair.here.join(to)).unwrap();
        }
        for (from, to) in [(a, b), (b, a)] {
            let since = std::time::Instant::now();
            pair.hint(Hint::Renamed { from: path(from), to: path(to), folder: true, since });
        }
        assert_eq!(pair.mirror.absent(), [path("b/disk")], "{other}");
        assert_eq!(away(pair.pass().0), counted(), "{other}");
        assert_kept(&pair, "b/disk");
        assert_eq!(fs::read_to_string(pair.there.join("up/file")).unwrap(), "b");
    }
}

#[test]
fn what_is_back_unseen_is_not_held_any_more_after_a_pass_that_could_not_list_everything() {
    let mut pair = with_disk();
    fs::create_dir(pair.here.join("site")).unwrap();
    (0..60).for_each(|n| fs::write(pair.here.join(format!("site/{n}")), "x").unwrap());
    pair.pass();
    fs::rename(pair.here.join("site"), pair.here.with_file_name("elsewhere")).unwrap();
    assert!(matches!(pair.pass().0, Ended::Held(Held { entries: 61, why: Why::Many, .. })));
    unmount(&pair);
    pair.mirror.set_absent(vec![path("up/disk")]);
    fs::rename(pair.here.with_file_name("elsewhere"), pair.here.join("site")).unwrap();
    assert_eq!(away(pair.pass().0), counted());
}
