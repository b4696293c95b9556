//! Work stays owed until it is acknowledged, wherever its places stand by then.

use std::time::Duration;

use super::{Cause, Desk, HOLDS, Task, path};

#[test]
fn work_of_a_lost_link_is_owed_where_waiting_renames_take_it() {
    let mut desk = Desk::new();
    desk.renamed("a", "b");
    desk.renamed("b", "a");
    assert!(matches!(desk.pending.take(desk.now).unwrap().task, Task::Exchange { .. }));
    desk.later(Duration::from_secs(9));
    desk.renamed("a", "f");
    desk.pending.link_lost(desk.now);
    let all = desk.all_in_time();
    assert!(all.contains(&"subtree f".into()) && all.contains(&"subtree b".into()), "{all:?}");
}

#[test]
fn what_was_on_its_way_when_the_link_broke_and_vanishes_is_deleted() {
    let mut desk = Desk::new();
    desk.entry("f", Cause::CREATED | Cause::WRITTEN);
    desk.pending.take(desk.now).unwrap();
    desk.pending.link_lost(desk.now);
    desk.later(Duration::from_secs(9));
    desk.entry("f", Cause::GONE);
    assert_eq!(desk.all_in_time(), ["look .", "gone f"]);
}

#[test]
fn an_entry_that_proves_a_folder_is_a_comparison_of_it() {
    let mut desk = Desk::new();
    desk.entry("a", Cause::WRITTEN);
    let work = desk.pending.take(desk.now).unwrap();
    desk.pending.widened(work.ticket);
    desk.renamed("a/x", "a/y");
    let all = desk.all_in_time();
    assert!(all.contains(&"subtree a/y".into()), "{all:?}");
}

/// Each would have the next compared, too.
#[test]
fn a_file_that_was_to_be_compared_is_no_comparison_for_the_renames_around_it() {
    for narrows in [true, false] {
        let mut desk = Desk::new();
        desk.subtree("d/f");
        let work = desk.pending.take(desk.now).unwrap();
        if narrows {
            desk.pending.narrowed(work.ticket);
        }
        desk.pending.done(work.ticket, desk.now);
        desk.renamed("a/x", "a/y");
        let all = desk.all_in_time();
        assert_eq!(all.contains(&"subtree a/y".into()), !narrows, "{all:?}");
    }
}

#[test]
fn a_lost_link_brings_everything_back() {
    let mut desk = Desk::new();
    desk.entry("d/f", Cause::WRITTEN);
    desk.entry("d/gone", Cause::GONE);
    desk.subtree("s");
    desk.renamed("from", "to");
    desk.later(HOLDS.deleted);
    while desk.pending.take(desk.now).is_some() {}
    desk.pending.link_lost(desk.now);
    let all = desk.all_in_time();
    for work in ["look d", "look d/f", "gone d/gone", "subtree s", "gone from", "subtree to"] {
        assert!(all.contains(&work.into()), "{work} in {all:?}");
    }
    assert!(!all.iter().any(|work| work.starts_with("rename")), "what a rename did is not known: {all:?}");
}

#[test]
fn lost_sight_is_explained_by_an_event_or_asked_again() {
    let mut desk = Desk::new();
    desk.entry("f", Cause::WRITTEN);
    let work = desk.pending.take(desk.now).unwrap();
    desk.pending.lost_sight(work.ticket, desk.now);
    assert_eq!(desk.all(), [""; 0]);
    desk.entry("f", Cause::GONE);
    assert_eq!(desk.all_in_time(), ["gone f"]);
}

#[test]
fn a_rename_that_explains_why_nothing_was_found_is_looked_after_at_once() {
    for exchanged in [false, true] {
        let mut desk = Desk::new();
        desk.entry("f.tmp", Cause::CREATED | Cause::WRITTEN);
        let work = desk.pending.take(desk.now).unwrap();
        desk.pending.lost_sight(work.ticket, desk.now);
        desk.renamed("f.tmp", "f.html");
        if exchanged {
            desk.renamed("f.html", "f.tmp");
            desk.later(HOLDS.deleted);
        }
        let all = desk.all();
        assert!(all.iter().any(|work| work.ends_with("f.html")), "{exchanged}: {all:?}");
    }
}

#[test]
fn work_under_way_follows_the_renames_that_are_hinted_meanwhile() {
    let mut desk = Desk::new();
    desk.entry("a/x", Cause::WRITTEN);
    let work = desk.pending.take(desk.now).unwrap();
    desk.renamed("a", "b");
    desk.renamed("b/x", "b/y");
    desk.pending.again(work.ticket, Duration::ZERO, desk.now);
    let all = desk.all_in_time();
    assert!(all.contains(&"look b/y".into()), "{all:?}");
}

#[test]
fn work_under_way_at_an_exchange_is_about_both_places() {
    let mut desk = Desk::new();
    desk.entry("a/x", Cause::GONE);
    desk.later(HOLDS.deleted);
    let work = desk.pending.take(desk.now).unwrap();
    desk.renamed("a", "b");
    desk.renamed("b", "a");
    desk.pending.again(work.ticket, Duration::ZERO, desk.now);
    let all = desk.all_in_time();
    assert!(all.contains(&"gone a/x".into()) && all.contains(&"gone b/x".into()), "{all:?}");
}

#[test]
fn work_under_way_in_folders_exchanged_within_exchanged_ones_is_followed_by_the_folder_above() {
    let mut desk = Desk::new();
    desk.entry("top/0/0/0/0/0/f", Cause::WRITTEN);
    let work = desk.pending.take(desk.now).unwrap();
    for depth in (0..5).rev() {
        let (a, b) = (format!("top{}", "/0".repeat(depth + 1)), format!("top{}/1", "/0".repeat(depth)));
        desk.renamed(&a, &b);
        desk.renamed(&b, &a);
    }
    assert_eq!(desk.pending.under_way.stands(work.ticket), [path("top")], "32 places");
    desk.all_in_time();
    desk.pending.done(work.ticket, desk.now);
    assert_eq!(desk.all(), ["subtree top"], "whatever it has done there");
}
