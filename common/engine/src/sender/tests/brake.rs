//! What stops deletions, and what does not.

use super::*;

#[test]
fn an_emptied_source_halts_with_nothing_deleted() {
    let mut pair = Pair::new();
    fill(&pair.here);
    pair.pass();
    let before = tree(&pair.there);
    fs::remove_dir_all(pair.here.join("a")).unwrap();
    fs::remove_dir_all(pair.here.join("z")).unwrap();
    assert!(matches!(pair.pass().0, Ended::Halted(Halt::Empty { entries: 10 })), "{:?}", pair.mirror.halted());
    assert_eq!(tree(&pair.there).len(), before.len());
    pair.entry("a", Cause::GONE);
    pair.entry("z", Cause::GONE);
    assert!(matches!(pair.sync().0, Ended::Halted(Halt::Empty { .. })));
    assert_eq!(tree(&pair.there).len(), before.len());
    pair.mirror.release(Deletes::Once);
    assert_eq!(pair.pass().0, Ended::InSync);
    assert_eq!(tree(&pair.there).len(), 1);
}

#[test]
fn the_last_file_of_a_source_may_be_deleted() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("only"), "x").unwrap();
    pair.pass();
    fs::remove_file(pair.here.join("only")).unwrap();
    pair.entry("only", Cause::GONE);
    pair.entry("", Cause::ENTRIES);
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn a_mass_deletion_halts_and_is_let_through_once() {
    let mut pair = Pair::new();
    for n in 0..10 {
        fs::write(pair.here.join(format!("f{n}")), "x").unwrap();
    }
    pair.pass();
    for n in 0..6 {
        fs::remove_file(pair.here.join(format!("f{n}"))).unwrap();
    }
    assert_eq!(pair.pass().0, Ended::Halted(Halt::Deletes { deletes: 6, total: 10 }));
    assert_eq!(tree(&pair.there).len(), 11);
    pair.mirror.release(Deletes::Once);
    assert_eq!(pair.pass().0, Ended::InSync);
    pair.assert_equal();
    for n in 6..9 {
        fs::remove_file(pair.here.join(format!("f{n}"))).unwrap();
    }
    assert_eq!(pair.pass().0, Ended::Halted(Halt::Deletes { deletes: 3, total: 4 }), "the brake holds again");
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
    assert!(matches!(pair.pass().0, Ended::Halted(Halt::Root(_))));
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
