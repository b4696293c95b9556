//! Which deletions that are seen wait, as masses of them.

use super::*;
use crate::pending::{Awaited, Found, LetGo, Scope, Since, Why};

impl Desk {
    /// How many wait, and why.
    fn waits(&self) -> Option<(u64, Why)> {
        self.pending.deletions_held(self.now).map(|held| (held.entries, held.why))
    }

    /// These files go, each a millisecond after the one before.
    fn go(&mut self, files: std::ops::Range<usize>) {
        for n in files {
            self.entry(&format!("site/{n}"), Cause::GONE);
            self.later(Duration::from_millis(1));
        }
    }
}

#[test]
fn more_than_a_hundred_in_a_second_wait_and_those_of_the_moment_before_with_them() {
    let mut desk = Desk::new();
    desk.go(0..100);
    assert_eq!(desk.waits(), None);
    desk.go(100..101);
    assert_eq!(desk.waits(), Some((101, Why::Mass)));
}

#[test]
fn files_that_come_and_go_all_the_time_are_no_mass() {
    let mut desk = Desk::new();
    for n in 0..1_000 {
        let file = format!("spool/{n}");
        desk.entry(&file, Cause::CREATED);
        desk.entry(&file, Cause::WRITTEN);
        desk.entry(&file, Cause::GONE);
    }
    desk.entry("known", Cause::GONE);
    assert_eq!(desk.waits(), None);
    assert_eq!(desk.all_in_time(), ["gone known"]);
}

#[test]
fn what_was_concluded_goes_without_what_was_seen_a_moment_ago() {
    let mut desk = Desk::new();
    desk.go(0..101);
    let (root, since) = (RelPath::root(), Since::noticed(desk.now));
    let found = Found { places: vec![(path("old"), 7)], beyond: 0, total: 10 };
    desk.pending.hold(Scope { top: &root, deep: true }, found, Why::Many, since);
    assert_eq!(desk.waits(), Some((108, Why::Many)));
    let held = desk.pending.deletions_held(desk.now).unwrap();
    assert_eq!((held.seen, held.total, held.largest), (101, 10, Some((path("old"), 7))), "of ten no more than seven");
    assert_eq!(desk.pending.let_inferred_go(desk.now), LetGo::All);
    assert_eq!(desk.waits(), Some((101, Why::Mass)), "it may be about to come back");
    desk.later(Duration::from_secs(1));
    assert_eq!(desk.all(), ["gone old"]);
}

#[test]
fn what_came_and_went_at_a_place_that_is_held_takes_along_what_the_target_has_there() {
    for at in ["old", "old/file"] {
        let mut desk = Desk::new();
        let (root, since) = (RelPath::root(), Since::noticed(desk.now));
        let found = Found { places: vec![(path("old"), 7)], beyond: 0, total: 10 };
        desk.pending.hold(Scope { top: &root, deep: true }, found, Why::Many, since);
        desk.entry(at, Cause::CREATED);
        desk.entry(at, Cause::GONE);
        desk.later(Duration::from_secs(1));
        assert_eq!(desk.all(), [format!("gone {at}")]);
    }
}

#[test]
fn a_folder_that_was_held_and_is_found_standing_is_compared() {
    let mut desk = Desk::new();
    desk.go(0..101);
    desk.entry("folder", Cause::GONE);
    assert_eq!(desk.pending.awaits(&path("folder/file")), Awaited::Itself, "so a comparison leaves it to what is held");
    desk.pending.stands(&path("folder"), true, desk.now);
    assert_eq!(desk.pending.awaits(&path("folder/file")), Awaited::No);
    assert_eq!(desk.all(), ["subtree folder"]);
}

#[test]
fn what_an_emptied_source_holds_is_owed_but_does_not_move() {
    let mut desk = Desk::new();
    desk.pending.hold_emptied(path("site"), Since::noticed(desk.now), desk.now);
    assert_eq!(desk.waits(), Some((1, Why::Emptied)));
    let at = path("site/page");
    assert!(desk.pending.owes(&at, desk.now) && !desk.pending.moves_at(&at, desk.now));
    assert_eq!(desk.pending.let_go(desk.now), LetGo::All);
    assert_eq!(desk.waits(), None);
}

#[test]
fn what_comes_back_by_and_by_is_not_deleted_as_it_has_become_few() {
    let mut desk = Desk::new();
    let (root, since) = (RelPath::root(), Since::noticed(desk.now));
    let places = (0..600).map(|n| (path(&format!("site/{n}")), 1)).collect();
    desk.pending.hold(Scope { top: &root, deep: true }, Found { places, beyond: 0, total: 1_000 }, Why::Many, since);
    assert_eq!(desk.pending.held_as_many(desk.now), Some((600, 1_000)));
    for n in 0..500 {
        desk.later(HOLDS.mass / 2);
        desk.pending.stands(&path(&format!("site/{n}")), false, desk.now);
        assert_eq!((desk.pending.held_as_many(desk.now), desk.pending.is_coming_back(desk.now)), (None, true));
    }
    let over = desk.now + HOLDS.mass;
    assert_eq!(desk.pending.next_due(desk.now), Some(over), "it is looked after");
    assert_eq!(desk.pending.held_as_many(over), Some((100, 1_000)));
    assert_eq!((desk.pending.next_due(over), desk.pending.is_coming_back(over)), (None, false));
}
