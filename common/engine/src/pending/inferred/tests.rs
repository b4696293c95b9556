//! What is held, what of it stands again, and where it is after renames.

use std::time::Instant;

use super::*;

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

fn found(places: &[(&str, u64)]) -> Found {
    Found { places: places.iter().map(|(at, entries)| (path(at), *entries)).collect(), beyond: 0, total: 100 }
}

fn holding(places: &[(&str, u64)]) -> Inferred {
    let mut inferred = Inferred::default();
    let root = RelPath::root();
    let since = Since::noticed(Instant::now());
    inferred.hold(Scope { top: &root, deep: true }, found(places), Why::Many, since);
    inferred
}

#[test]
fn what_stands_again_is_not_held_nor_what_is_above_it() {
    let mut inferred = holding(&[("a", 5), ("b", 1), ("c", 70)]);
    assert_eq!(inferred.entries(), 76);
    assert!(inferred.stands(&path("b"), Instant::now()).is_empty(), "it had nothing in it");
    assert_eq!(
        inferred.stands(&path("a/new/file"), Instant::now()),
        [path("a")],
        "what else was in it is to be compared"
    );
    assert_eq!((inferred.entries(), inferred.concerns(&path("c")), inferred.concerns(&path("a"))), (70, true, false));
    inferred.gone(&path("c"));
    assert!(inferred.is_empty());
}

#[test]
fn a_comparison_replaces_what_it_reaches_and_no_more() {
    let mut inferred = holding(&[("a/x", 5), ("a/y/z", 7), ("b", 70)]);
    let a = path("a");
    let flat = Scope { top: &a, deep: false };
    assert_eq!(inferred.entries_outside(flat), 77);
    assert_eq!(inferred.entries_outside(Scope { deep: true, ..flat }), 70);
    inferred.hold(flat, found(&[("a/w", 1)]), Why::Many, Since::noticed(Instant::now()));
    assert_eq!(inferred.entries(), 78);
    inferred.met(Scope { deep: true, ..flat });
    assert_eq!(inferred.let_go(), Some(vec![path("b")]));
    assert!(inferred.is_empty());
}

#[test]
fn of_another_source_nothing_is_concluded() {
    let mut inferred = holding(&[("a", 5)]);
    inferred.source_is_another();
    assert!(inferred.is_empty() && inferred.told().is_none());
}

#[test]
fn held_places_go_along_with_a_rename() {
    let mut inferred = holding(&[("a/x", 5), ("b/y", 7)]);
    inferred.renamed(&path("a"), &path("b"));
    assert_eq!(inferred.let_go(), Some(vec![path("b/x")]), "what was at its new place is replaced");
}

#[test]
fn held_places_go_along_with_an_exchange() {
    let mut inferred = holding(&[("a/x", 5), ("b/y", 7), ("c", 1)]);
    inferred.renamed(&path("a"), &path("b"));
    inferred.exchanged(&path("b"), &path("a"));
    assert_eq!(inferred.let_go(), Some(vec![path("a/y"), path("b/x"), path("c")]));
    let mut inferred = holding(&[("b/y", 7)]);
    inferred.renamed(&path("a"), &path("b"));
    inferred.exchanged(&path("b"), &path("a"));
    assert_eq!((inferred.total(), inferred.let_go()), (100, Some(vec![path("a/y")])));
}

#[test]
fn of_what_is_beyond_the_bound_the_number_is_known() {
    let long = |n: usize| format!("{n:04}{}", "x".repeat(240));
    let names: Vec<String> = (0..80_000).map(long).collect();
    let mut inferred = holding(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
    assert_eq!(inferred.entries(), 80_000);
    assert!(inferred.concerns(&path("any")));
    let root = RelPath::root();
    assert_eq!(inferred.entries_outside(Scope { top: &root, deep: true }), 0);
    assert!(inferred.let_go().is_none() && inferred.is_empty(), "a comparison finds them");
}

#[test]
fn what_is_in_a_held_folder_is_held() {
    let inferred = holding(&[("site", 5)]);
    assert!(inferred.concerns(&path("site/x/y")) && !inferred.concerns(&path("sites")));
}
