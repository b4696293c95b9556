//! Places that wait, one at a time.

use super::*;

const HOLD: Duration = Duration::from_secs(30);

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

struct Desk {
    seen: Seen,
    now: Instant,
}

impl Desk {
    /// All of these went, in this order, and wait.
    fn holding(places: &[&str]) -> Desk {
        let (mut desk, now) = (Seen::default(), Instant::now());
        for at in places {
            desk.hold(path(at), 1, Since::noticed(now), false, now);
        }
        Desk { seen: desk, now }
    }

    fn hold(&mut self, place: &str) {
        self.seen.hold(path(place), 1, Since::noticed(self.now), false, self.now);
    }

    fn next(&mut self) -> Vec<String> {
        let said = |next: Next| match next {
            Next::CompareAll(path, _) => format!("compare all of {path}"),
            Next::Delete(path, _) => format!("delete {path}"),
            Next::Clear(path, _) => format!("clear {path}"),
            Next::Compare(path, _) => format!("compare {path}"),
        };
        self.seen.let_go().into_iter().map(said).collect()
    }
}

#[test]
fn a_folder_that_goes_takes_along_what_went_in_it() {
    let mut desk = Desk::holding(&["a/b/1", "a/b/2", "a/b", "a/3", "a", "z"]);
    assert_eq!(desk.seen.entries(), 6);
    assert_eq!(desk.next(), ["delete a", "delete z"]);
    assert!(desk.seen.is_empty() && desk.seen.oldest().is_none());
}

#[test]
fn what_takes_a_name_again_waits_no_more_but_what_was_in_a_folder_does() {
    let mut desk = Desk::holding(&["a/1", "a/2", "a", "f", "g"]);
    assert_eq!(desk.seen.stands(&path("f"), false, desk.now), Successor::Known);
    assert_eq!(desk.seen.awaits(&path("f")), Awaited::No);
    assert_eq!(desk.seen.stands(&path("a"), true, desk.now), Successor::Stale, "it is compared");
    assert_eq!(desk.seen.stands(&path("a/1"), false, desk.now), Successor::Within);
    assert_eq!(desk.seen.awaits(&path("a/2")), Awaited::Itself);
    assert_eq!(desk.next(), ["clear a", "delete g"]);
    let mut desk = Desk::holding(&["a/1", "a/2", "a"]);
    desk.seen.stands(&path("a"), true, desk.now);
    desk.seen.stands(&path("a"), false, desk.now);
    assert!(desk.next().is_empty(), "a file in place of the folder replaces all of it");
}

#[test]
fn a_folder_that_is_back_as_a_whole_waits_no_more() {
    let mut desk = Desk::holding(&["a/1", "a/2", "a", "f"]);
    desk.seen.stands(&path("a"), true, desk.now);
    let later = desk.now + STILL / 2;
    desk.seen.stands(&path("a/1"), false, later);
    assert_eq!(desk.seen.next_still(), Some(later + STILL));
    assert_eq!(desk.seen.take_still(later + STILL).len(), 1);
    desk.seen.compared(&path("a"), &[path("a/2")]);
    assert_eq!((desk.seen.awaits(&path("a/2")), desk.seen.next_still()), (Awaited::Itself, None));
    desk.seen.compared(&path(""), &[path("f")]);
    assert_eq!(desk.next(), ["delete f"]);
}

#[test]
fn what_went_where_nobody_looks_any_more_and_stands_in_the_new_root_waits_no_more() {
    let mut desk = Desk::holding(&["a/1", "a/2", "a", "f", "g", "h"]);
    desk.seen.compared(&path(""), &[]);
    assert_eq!(desk.seen.entries(), 6, "what went after it was listed has gone");
    desk.seen.source_is_another();
    assert_eq!(desk.seen.in_doubt_in(&path("")), ["a", "f", "g", "h"].map(path));
    desk.hold("g");
    desk.seen.compared(&path(""), &[path("h")]);
    assert_eq!(desk.next(), ["delete g", "delete h"], "one that goes anew, and one that is not in it");
}

#[test]
fn what_went_in_a_folder_moves_along_with_it_and_what_it_took_the_place_of_is_replaced() {
    let mut desk = Desk::holding(&["old/1", "site/1", "site/2", "site"]);
    desk.seen.renamed(&path("old"), &path("site"), desk.now);
    assert_eq!(desk.next(), ["clear site", "delete site/1"]);
}

#[test]
fn it_is_due_after_the_last_but_not_for_ever_later() {
    let mut desk = Desk::holding(&["a"]);
    assert_eq!(desk.seen.due(HOLD), Some(desk.now + HOLD));
    for at in 1..600 {
        let now = desk.now + Duration::from_secs(at);
        desk.seen.hold(path("b"), 1, Since::noticed(now), false, now);
    }
    assert_eq!(desk.seen.due(HOLD), Some(desk.now + 10 * HOLD));
}

#[test]
fn an_emptied_source_has_no_end_before_something_stands_in_it() {
    let mut desk = Desk::holding(&["a"]);
    desk.seen.source_is(true, desk.now);
    assert_eq!((desk.seen.due(HOLD), desk.seen.is_emptied()), (None, true));
    let later = desk.now + Duration::from_secs(3600);
    desk.seen.source_is(false, later);
    assert_eq!(desk.seen.due(HOLD), Some(later + HOLD));
}

#[test]
fn so_many_names_are_held_and_no_more() {
    let now = Instant::now();
    let mut seen = Seen::default();
    for n in 0..80_000 {
        seen.hold(path(&format!("d/{n:06}{}", "x".repeat(240))), 1, Since::noticed(now), false, now);
    }
    assert!(seen.bytes <= BYTES && seen.entries() == 80_000, "{} bytes", seen.bytes);
    assert_eq!(seen.awaits(&path("d")), Awaited::Within);
    let next = seen.let_go();
    assert!(next.contains(&Next::Compare(path("d"), Since::noticed(now))), "what is beyond is found by a comparison");
}

#[test]
fn what_went_in_very_many_folders_or_deep_ones_is_found_by_a_comparison_of_all_above() {
    let now = Instant::now();
    let deep = "f".repeat(250) + "/";
    let mut seen = Seen::default();
    for n in 0..1_000 {
        let folder = format!("top/{n:04}/{}", deep.repeat(100));
        (0..2).for_each(|file| seen.hold(path(&format!("{folder}{file}")), 1, Since::noticed(now), false, now));
    }
    assert!(seen.bytes <= BYTES + 2 * MORE && seen.entries() == 2_000, "{} bytes", seen.bytes);
    assert_eq!(seen.awaits(&path("top/0000")), Awaited::Within);
    assert_eq!(seen.awaits(&path("top/other")), Awaited::No);
    assert!(seen.let_go().contains(&Next::CompareAll(path("top"), Since::noticed(now))));
    for n in 0..100_000 {
        seen.hold(path(&format!("{n:06}{}/file", "x".repeat(240))), 1, Since::noticed(now), false, now);
    }
    assert!(seen.bytes <= BYTES + 2 * MORE + size(&RelPath::root()) && seen.entries() == 100_000);
    assert!(seen.let_go().contains(&Next::CompareAll(RelPath::root(), Since::noticed(now))));
}

#[test]
fn what_waits_in_either_of_two_folders_goes_along_with_their_exchange() {
    let mut desk = Desk::holding(&["a/1", "b/2", "z"]);
    desk.seen.renamed(&path("a"), &path("b"), desk.now);
    desk.seen.exchanged(&path("b"), &path("a"), desk.now);
    let next = desk.next();
    for place in ["delete a/2", "delete b/1", "delete z"] {
        assert!(next.contains(&place.to_owned()), "{place}: {next:?}");
    }
}
