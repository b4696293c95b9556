//! What stops deletions, and what does not.

use std::time::Instant;

use super::*;
use crate::pending::Why;

/// How many deletions a run has left, and why.
fn held(ended: Ended) -> (u64, Why) {
    match ended {
        Ended::Held(held) => (held.entries, held.why),
        ended => panic!("{ended:?}"),
    }
}

#[test]
fn an_emptied_source_is_held_with_nothing_deleted_and_goes_by_a_word() {
    let mut pair = Pair::new();
    fill(&pair.here);
    pair.pass();
    let before = tree(&pair.there);
    fs::remove_dir_all(pair.here.join("a")).unwrap();
    fs::remove_dir_all(pair.here.join("z")).unwrap();
    assert_eq!(held(pair.pass().0), (10, Why::Emptied));
    assert_eq!(tree(&pair.there).len(), before.len());
    pair.entry("a", Cause::GONE);
    pair.entry("z", Cause::GONE);
    assert_eq!(held(pair.sync().0), (10, Why::Emptied));
    assert_eq!(tree(&pair.there).len(), before.len());
    assert!(pair.mirror.release());
    assert_eq!(pair.sync().0, Ended::InSync);
    assert_eq!(tree(&pair.there).len(), 1);
}

#[test]
fn a_source_that_is_emptied_live_waits_for_a_word_or_for_something_to_stand_in_it_again() {
    for word in [true, false] {
        let mut pair = Pair::new();
        let names = ["a", "b", "c"];
        names.iter().for_each(|name| fs::write(pair.here.join(name), name).unwrap());
        pair.pass();
        for name in names {
            fs::remove_file(pair.here.join(name)).unwrap();
            pair.entry(name, Cause::GONE);
        }
        pair.entry("", Cause::ENTRIES);
        assert_eq!(held(pair.sync().0), (3, Why::Emptied));
        assert!(pair.mirror.pending().waits_for_word(&path("a"), Instant::now()));
        if word {
            pair.mirror.release();
        } else {
            fs::write(pair.here.join("new"), "new").unwrap();
            pair.entry("new", Cause::CREATED | Cause::WRITTEN);
            pair.entry("", Cause::ENTRIES);
        }
        assert_eq!(pair.sync().0, Ended::InSync);
        pair.assert_equal();
    }
}

#[test]
fn what_an_emptied_source_would_delete_is_counted_with_all_beneath() {
    let mut pair = Pair::new();
    site(&pair, 30);
    pair.pass();
    fs::remove_dir_all(pair.here.join("site")).unwrap();
    fs::remove_file(pair.here.join("other")).unwrap();
    // What went before the folder is left to it.
    ["site/1", "site", "other"].iter().for_each(|name| pair.entry(name, Cause::GONE));
    pair.entry("", Cause::ENTRIES);
    assert_eq!(held(pair.sync().0), (32, Why::Emptied));
    pair.mirror.release();
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn what_came_and_went_unseen_is_not_counted_in_an_emptied_source() {
    let mut pair = Pair::new();
    site(&pair, 300);
    pair.pass();
    fs::remove_dir_all(pair.here.join("site")).unwrap();
    fs::remove_file(pair.here.join("other")).unwrap();
    // Of some nobody has told that they came, and the target has none of them.
    (0..320).for_each(|n| pair.entry(&format!("site/{n}"), Cause::GONE));
    ["site", "other", "passing"].iter().for_each(|name| pair.entry(name, Cause::GONE));
    pair.entry("", Cause::ENTRIES);
    assert_eq!(held(pair.sync().0), (302, Why::Emptied));
    pair.mirror.release();
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

/// A folder with so many files is moved out of the source: an event tells of that alone.
fn moved_out(pair: &mut Pair, files: usize) {
    site(pair, files);
    pair.pass();
    fs::rename(pair.here.join("site"), pair.here.parent().unwrap().join("elsewhere")).unwrap();
    pair.entry("site", Cause::GONE | Cause::WITH_ALL);
    pair.entry("", Cause::ENTRIES);
}

#[test]
fn a_folder_that_is_moved_out_weighs_what_the_target_has_in_it() {
    let mut pair = Pair::new();
    moved_out(&mut pair, 300);
    let began = std::time::Instant::now();
    let mirror = pair.mirror.clone();
    let seen = std::thread::spawn(move || {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        let look = || {
            std::thread::sleep(Duration::from_millis(1));
            mirror.deletions_held()
        };
        std::iter::repeat_with(look).find(|it| it.is_some() || std::time::Instant::now() > until)
    });
    assert_eq!(pair.sync().0, Ended::InSync);
    assert!(began.elapsed() >= HOLDS.mass / 2, "it did not wait");
    let held = seen.join().unwrap().flatten().unwrap();
    assert_eq!((held.entries, held.why), (301, Why::Mass));
    pair.assert_equal();
    let mut few = Pair::new();
    moved_out(&mut few, 50);
    assert_eq!(few.sync().0, Ended::InSync);
    assert_eq!(few.mirror.sent.totals().removed, 1, "few go at once");
    few.assert_equal();
}

#[test]
fn a_folder_that_is_moved_out_amid_a_mass_counts_with_all_that_is_in_it() {
    let mut pair = Pair::new();
    site(&pair, 300);
    fs::create_dir(pair.here.join("more")).unwrap();
    (0..50).for_each(|n| fs::write(pair.here.join(format!("more/{n}")), "x").unwrap());
    pair.pass();
    raze(&pair, 300);
    fs::rename(pair.here.join("more"), pair.here.parent().unwrap().join("elsewhere")).unwrap();
    pair.entry("more", Cause::GONE | Cause::WITH_ALL);
    let mirror = pair.mirror.clone();
    let until = std::time::Instant::now() + Duration::from_secs(20);
    let seen = std::thread::spawn(move || {
        let all = || mirror.deletions_held().is_some_and(|held| held.entries == 352);
        while !all() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        all()
    });
    assert_eq!(pair.sync().0, Ended::InSync);
    assert!(seen.join().unwrap(), "301 and 51 are held together");
    pair.assert_equal();
}

#[test]
fn where_all_may_go_a_source_may_be_emptied() {
    let mut pair = Pair::new();
    pair.options.max_delete = MaxDelete::Percent(100.0);
    fs::write(pair.here.join("only"), "x").unwrap();
    pair.pass();
    fs::remove_file(pair.here.join("only")).unwrap();
    pair.entry("only", Cause::GONE);
    pair.entry("", Cause::ENTRIES);
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

/// A site of so many files, beside another file.
fn site(pair: &Pair, files: usize) {
    fs::write(pair.here.join("other"), "x").unwrap();
    fs::create_dir(pair.here.join("site")).unwrap();
    for n in 0..files {
        fs::write(pair.here.join(format!("site/{n}")), format!("file {n}")).unwrap();
    }
}

/// All of the site goes, as a watcher tells of it.
fn raze(pair: &Pair, files: usize) {
    fs::remove_dir_all(pair.here.join("site")).unwrap();
    for n in 0..files {
        pair.entry(&format!("site/{n}"), Cause::GONE);
        pair.entry("site", Cause::ENTRIES);
    }
    pair.entry("site", Cause::GONE);
    pair.entry("", Cause::ENTRIES);
}

#[test]
fn a_mass_that_is_seen_goes_when_its_time_has_come() {
    let mut pair = Pair::new();
    site(&pair, 300);
    pair.pass();
    raze(&pair, 300);
    let held = pair.mirror.deletions_held().unwrap();
    assert_eq!((held.entries, held.why), (301, Why::Mass));
    assert!(held.left.is_some() && !pair.mirror.pending().waits_for_word(&path(""), Instant::now()));
    let began = std::time::Instant::now();
    assert_eq!(pair.sync().0, Ended::InSync);
    assert!(began.elapsed() >= HOLDS.mass / 2);
    pair.assert_equal();
}

#[test]
fn what_is_rebuilt_never_went_and_is_not_sent_again() {
    for keeps_times in [true, false] {
        let mut pair = Pair::new();
        site(&pair, 300);
        pair.pass();
        let before = pair.mirror.sent.totals();
        let times: Vec<_> =
            (0..300).map(|n| fs::metadata(pair.here.join(format!("site/{n}"))).unwrap().modified().unwrap()).collect();
        raze(&pair, 300);
        fs::create_dir(pair.here.join("site")).unwrap();
        pair.hint(Hint::Subtree { path: path("site") });
        pair.entry("", Cause::ENTRIES);
        // All but one, which is new, and the last ten.
        for (n, time) in times.iter().enumerate().take(290) {
            let at = pair.here.join(format!("site/{n}"));
            fs::write(&at, if n == 7 { "another".to_owned() } else { format!("file {n}") }).unwrap();
            if keeps_times {
                fs::File::options().write(true).open(&at).unwrap().set_modified(*time).unwrap();
            }
            pair.entry(&format!("site/{n}"), Cause::CREATED | Cause::WRITTEN);
        }
        pair.entry("site", Cause::ENTRIES);
        assert_eq!(pair.sync().0, Ended::InSync);
        pair.assert_equal();
        let now = pair.mirror.sent.totals();
        assert_eq!((now.files - before.files, now.removed - before.removed), (1, 10), "times kept: {keeps_times}");
    }
}

#[test]
fn another_thing_in_the_place_of_what_waits_goes_at_once() {
    let mut pair = Pair::new();
    site(&pair, 300);
    pair.pass();
    raze(&pair, 300);
    symlink("elsewhere", pair.here.join("site")).unwrap();
    pair.entry("site", Cause::CREATED);
    pair.entry("", Cause::ENTRIES);
    assert_eq!(pair.sync().0, Ended::InSync);
    assert!(pair.mirror.deletions_held().is_none());
    pair.assert_equal();
}

#[test]
fn of_a_folder_that_was_held_and_stands_nothing_is_left_that_a_comparison_has_spared() {
    let mut pair = Pair::new();
    site(&pair, 300);
    fs::create_dir_all(pair.here.join("top/folder")).unwrap();
    fs::write(pair.here.join("top/folder/file"), "x").unwrap();
    pair.pass();
    raze(&pair, 300);
    // As when two folders change places, and for a moment it is not known which of them events tell of.
    fs::remove_file(pair.here.join("top/folder/file")).unwrap();
    pair.entry("top/folder", Cause::GONE);
    pair.hint(Hint::Subtree { path: path("top") });
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn a_mass_deletion_is_held_and_is_let_through_once() {
    let mut pair = Pair::new();
    for n in 0..10 {
        fs::write(pair.here.join(format!("f{n}")), "x").unwrap();
    }
    pair.pass();
    for n in 0..6 {
        fs::remove_file(pair.here.join(format!("f{n}"))).unwrap();
    }
    assert_eq!(held(pair.pass().0), (6, Why::Many));
    assert_eq!(tree(&pair.there).len(), 11);
    pair.mirror.release_pass();
    assert_eq!(pair.pass().0, Ended::InSync);
    pair.assert_equal();
    for n in 6..9 {
        fs::remove_file(pair.here.join(format!("f{n}"))).unwrap();
    }
    assert_eq!(held(pair.pass().0), (3, Why::Many), "the brake holds again");
}

#[test]
fn a_rename_that_is_told_of_late_is_no_mass_deletion() {
    let mut pair = Pair::new();
    fs::create_dir(pair.here.join("large")).unwrap();
    for n in 0..50 {
        fs::write(pair.here.join(format!("large/{n}")), "x").unwrap();
    }
    pair.pass();
    let since = std::time::Instant::now();
    fs::rename(pair.here.join("large"), pair.here.join("moved")).unwrap();
    let mirror = pair.mirror.clone();
    let late = std::thread::spawn(move || {
        // The comparison that misses it has begun, and is through.
        for scanning in [true, false] {
            while mirror.progress.is_scanning() != scanning {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        mirror.hint([Hint::Renamed { from: path("large"), to: path("moved"), folder: true, since }]);
    });
    assert_eq!(pair.pass().0, Ended::InSync);
    late.join().unwrap();
    pair.assert_equal();
}

#[test]
fn a_replaced_root_halts() {
    let mut pair = Pair::new();
    fill(&pair.here);
    pair.pass();
    let before = tree(&pair.there);
    fs::rename(&pair.here, pair.here.with_extension("old")).unwrap();
    fs::create_dir(&pair.here).unwrap();
    assert!(matches!(pair.pass().0, Ended::Halted(_)));
    pair.entry("a", Cause::GONE);
    assert_eq!(tree(&pair.there), before);
}

#[test]
fn with_deletion_off_nothing_is_deleted() {
    let mut pair = Pair::new();
    pair.options.delete = false;
    fill(&pair.here);
    pair.pass();
    fs::remove_file(pair.here.join("a/b/none")).unwrap();
    pair.entry("a/b/none", Cause::GONE);
    assert_eq!(pair.pass().0, Ended::InSync);
    assert!(pair.there.join("a/b/none").exists());
}

#[test]
fn while_deletions_are_held_all_else_goes_on() {
    let mut pair = Pair::new();
    site(&pair, 20);
    pair.pass();
    fs::remove_dir_all(pair.here.join("site")).unwrap();
    fs::write(pair.here.join("new"), "y").unwrap();
    assert_eq!(held(pair.pass().0), (21, Why::Many));
    assert_eq!(fs::read(pair.there.join("new")).unwrap(), b"y", "what the pass met");
    fs::write(pair.here.join("other"), "changed").unwrap();
    pair.entry("other", Cause::WRITTEN);
    assert_eq!(held(pair.sync().0), (21, Why::Many));
    assert_eq!(fs::read(pair.there.join("other")).unwrap(), b"changed", "and what came after it");
    assert_eq!(fs::read_dir(pair.there.join("site")).unwrap().count(), 20);
    pair.mirror.release();
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn what_is_there_again_is_not_held_and_what_has_become_few_goes() {
    let mut pair = Pair::new();
    site(&pair, 20);
    pair.pass();
    fs::rename(pair.here.join("site"), pair.here.with_extension("away")).unwrap();
    assert_eq!(held(pair.pass().0), (21, Why::Many));
    // All of it but for two is back.
    fs::rename(pair.here.with_extension("away"), pair.here.join("site")).unwrap();
    for n in 0..2 {
        fs::remove_file(pair.here.join(format!("site/{n}"))).unwrap();
    }
    let before = pair.mirror.sent.totals().files;
    pair.entry("site", Cause::CREATED);
    pair.entry("", Cause::ENTRIES);
    assert_eq!(pair.sync().0, Ended::InSync);
    assert_eq!(pair.mirror.sent.totals().files, before, "what is there was never gone");
    pair.assert_equal();
}
