//! Who shares a source: turns, storms, and what may be remembered of either.

use std::time::Duration;

use super::{CAPACITY, Cause, Desk, full, path};

const SECOND: Duration = Duration::from_secs(1);

impl Desk {
    fn taken(&mut self, most: usize) -> Vec<String> {
        let works = std::iter::from_fn(|| self.pending.take(self.now)).take(most);
        works.map(|work| super::show(&work)).collect()
    }

    /// So many files are new in a second, in this folder, for so many seconds.
    fn storm(&mut self, folder: &str, many: u32, seconds: u32) {
        for n in 0..many * seconds {
            self.entry(&format!("{folder}/{n}"), Cause::CREATED | Cause::WRITTEN);
            self.later(SECOND / many);
        }
    }

    fn bytes(&self) -> usize {
        self.pending.hints.store().bytes() + self.pending.moves.bytes()
    }
}

#[test]
fn a_file_of_one_does_not_wait_for_the_renames_of_another() {
    let mut desk = Desk::new();
    for n in 0..1000 {
        desk.renamed(&format!("a/{n}.x"), &format!("a/{n}.y"));
        desk.entry(&format!("a/f{n}"), Cause::WRITTEN);
    }
    desk.entry("b/file", Cause::WRITTEN);
    let first = desk.taken(3);
    assert!(first.contains(&"look b/file".into()), "{first:?}");
    desk.pending.check();
}

#[test]
fn renames_that_concern_the_same_places_keep_their_order() {
    let mut desk = Desk::new();
    desk.renamed("a/1.x", "b/1.x");
    desk.renamed("b/1.x", "c/1.x");
    desk.renamed("c/1.x", "c/2.x");
    desk.renamed("d/1.x", "d/2.x");
    desk.entry("c/2.x", Cause::WRITTEN);
    let all = desk.all();
    let at = |work: &str| all.iter().position(|there| there == work).unwrap_or_else(|| panic!("{work} in {all:?}"));
    assert!(at("rename a/1.x b/1.x") < at("rename b/1.x c/1.x"), "{all:?}");
    assert!(at("rename b/1.x c/1.x") < at("rename c/1.x c/2.x"), "{all:?}");
    assert!(at("rename c/1.x c/2.x") < at("look c/2.x"), "{all:?}");
    assert!(all.iter().filter(|work| work.starts_with("rename")).count() == 4, "{all:?}");
}

#[test]
fn all_that_is_moved_goes_before_the_root_is_compared() {
    let mut desk = Desk::new();
    desk.subtree("");
    desk.renamed("a/1.x", "a/2.x");
    desk.renamed("b/1.x", "b/2.x");
    let all = desk.all();
    let last_move = all.iter().rposition(|work| work.starts_with("rename")).unwrap();
    assert!(all.iter().position(|work| work == "subtree .").unwrap() > last_move, "{all:?}");
}

#[test]
fn a_folder_in_a_storm_is_compared_as_a_whole_ever_later_and_its_neighbour_is_not() {
    let mut desk = Desk::new();
    desk.storm("u/a", 1_100, 7);
    desk.entry("u/b", Cause::WRITTEN);
    let all = desk.all();
    assert!(all.contains(&"look u/b".into()) && all.contains(&"subtree u/a".into()), "{} works", all.len());
    let mut compared = 0;
    for _ in 0..60 {
        desk.storm("u/a", 1_100, 1);
        desk.renamed("u/a/1.x", "u/a/2.x");
        let all = desk.all();
        assert!(all.iter().all(|work| work == "subtree u/a"), "{all:?}");
        compared += all.len();
    }
    assert!((3..=8).contains(&compared), "{compared} comparisons in a minute");
    assert!(!desk.pending.is_empty(), "the last is owed");
    desk.later(3 * SECOND);
    assert_eq!(desk.all(), ["subtree u/a"]);
    assert!(desk.pending.is_empty());
    desk.later(10 * SECOND);
    desk.entry("u/a/1", Cause::WRITTEN);
    assert_eq!(desk.all(), ["look u/a/1"], "it is over");
    desk.pending.check();
}

#[test]
fn what_leaves_a_storm_is_compared_where_it_came_and_what_enters_it_has_gone() {
    let mut desk = Desk::new();
    desk.storm("a", 1_100, 7);
    desk.all();
    desk.renamed("a/1.x", "b/1.x");
    desk.renamed("b/2.x", "a/2.x");
    desk.later(2 * SECOND);
    let all = desk.all();
    for work in ["subtree a", "subtree b/1.x", "gone b/2.x"] {
        assert!(all.contains(&work.into()), "{work} in {all:?}");
    }
    desk.renamed("a", "c");
    let all = desk.all_in_time();
    assert!(all.contains(&"rename a c".into()), "the folder itself is moved: {all:?}");
}

#[test]
fn long_paths_are_remembered_as_far_as_there_is_room() {
    let deep = "folder-of-a-deep-tree/".repeat(300);
    let mut desk = Desk::new();
    for n in 0..20_000 {
        desk.entry(&format!("a/{deep}{n}"), Cause::CREATED | Cause::WRITTEN);
        assert!(desk.bytes() <= CAPACITY.bytes, "{} bytes after {n}", desk.bytes());
    }
    desk.entry("b/file", Cause::WRITTEN);
    let all = desk.all();
    assert!(all.contains(&"look b/file".into()) && all.len() < 6_000, "{} works", all.len());
    // (Names as long as that are shown shortened.)
    assert!(all.iter().any(|work| work.starts_with("folder a/folder-of")));
}

#[test]
fn what_takes_most_becomes_a_comparison_of_the_nearest_folder_and_its_neighbour_stays() {
    let mut desk = Desk::new();
    let deep = "f".repeat(100);
    for n in 0..6_000 {
        desk.entry(&format!("a/{deep}/{deep}/{deep}/{n}/{deep}/{deep}/{deep}/x"), Cause::WRITTEN);
        desk.renamed(&format!("a/{deep}/{deep}/{n}.x"), &format!("a/{deep}/{deep}/{n}.y"));
        desk.entry(&format!("b/{n}/file"), Cause::WRITTEN);
        assert!(desk.bytes() <= CAPACITY.bytes);
    }
    desk.renamed(&format!("a/{deep}/{deep}/out.x"), "c/in.x");
    desk.pending.check();
    desk.pending.collapse(desk.now);
    let all = desk.all();
    let looks = all.iter().filter(|work| work.starts_with("look b/")).count();
    assert_eq!(looks, 6_000);
    assert!(all.contains(&format!("subtree a/{deep}/{deep}")), "{:?}", &all[..9]);
    desk.pending.check();
    assert_eq!(desk.bytes(), 0);
    assert_eq!(desk.pending.forwarded(&path("a/x")), path("a/x"));
}

#[test]
fn what_renames_of_others_carry_on_is_compared_where_it_comes_to() {
    let mut desk = Desk::new();
    desk.renamed("b/2.x", "b/1.x");
    desk.renamed("a/1.x", "b/1.x");
    desk.renamed("b/1.x", "c/1.x");
    desk.renamed("c/1.x", "c/2.x");
    desk.renamed("a/d", "b/d/e");
    desk.renamed("b/d", "d/d");
    desk.renamed("b/3.x", "e/3.x");
    let pending = &mut desk.pending;
    full::collapse_neighbour(&path("a"), &mut pending.hints, &mut pending.moves, desk.now);
    desk.pending.check();
    let all = desk.all_in_time();
    for work in ["rename b/2.x b/1.x", "rename b/1.x c/1.x", "rename b/d d/d", "rename b/3.x e/3.x"] {
        assert!(all.iter().any(|there| there.starts_with(work)), "{work} in {all:?}");
    }
    for work in ["subtree c/2.x", "subtree d/d/e", "subtree a", "subtree b"] {
        assert!(all.contains(&work.into()), "{work} in {all:?}");
    }
    assert!(!all.contains(&"subtree e/3.x".into()), "{all:?}");
}

#[test]
fn entries_of_the_root_count_for_what_a_neighbour_takes() {
    let mut desk = Desk::new();
    desk.entry("d/a", Cause::WRITTEN);
    let one = desk.bytes();
    desk.entry("d/b", Cause::WRITTEN);
    let beside = desk.bytes() - one;
    desk.entry("e", Cause::WRITTEN);
    let flat = desk.bytes() - one - beside;
    assert!(flat > 2 * beside, "{flat} and {beside}");
    for n in 0..100_000 {
        desk.entry(&format!("file {n}"), Cause::WRITTEN);
        assert!(desk.bytes() <= CAPACITY.bytes);
    }
    desk.pending.check();
    desk.all();
    assert_eq!(desk.bytes(), 0);
}
