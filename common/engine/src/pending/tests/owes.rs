//! Who waits for a part of the source waits for what concerns it.

use std::time::{Duration, Instant};

use proto::RelPath;

use super::{Cause, Hint, Pending, RULES, path};

fn entry(at: &str, cause: Cause) -> Hint {
    Hint::Entry { path: path(at), cause }
}

/// Of these places those of which something is owed after this hint: while it waits and while it is worked on, which
/// must be the same.
fn concerned(hint: Hint) -> Vec<&'static str> {
    let places = ["", "a", "a/b", "a/b/c", "a/bc", "x", "x/y"];
    let (mut pending, now) = (Pending::new(RULES), Instant::now());
    let which = |pending: &Pending, moment| -> Vec<&'static str> {
        places.into_iter().filter(|place| pending.owes(&path(place), moment)).collect()
    };
    pending.hint(hint, now);
    let earlier = which(&pending, now.checked_sub(Duration::from_secs(1)).unwrap());
    assert_eq!(earlier, [""; 0], "what came in later does not count");
    let waiting = which(&pending, now);
    while pending.take(now + Duration::from_secs(60)).is_some() {}
    assert_eq!(which(&pending, now), waiting, "under way");
    waiting
}

#[test]
fn a_part_of_the_source_waits_for_what_concerns_it() {
    assert_eq!(concerned(entry("a/b", Cause::WRITTEN)), ["", "a", "a/b", "a/b/c"]);
    assert_eq!(concerned(entry("a/b/c", Cause::GONE)), ["", "a", "a/b", "a/b/c"]);
    assert_eq!(concerned(entry("x", Cause::CREATED)), ["", "x", "x/y"], "a folder that is made first");
    assert_eq!(concerned(entry("a", Cause::ENTRIES)), ["", "a"], "the mtime of a folder is its own");
    assert_eq!(concerned(Hint::Subtree { path: path("a/b") }), ["", "a", "a/b", "a/b/c"]);
    assert_eq!(concerned(Hint::Folder { path: path("a") }), ["", "a", "a/b", "a/b/c", "a/bc"]);
    assert_eq!(concerned(Hint::Subtree { path: RelPath::root() }).len(), 7);
}

#[test]
fn single_entries_that_are_left_are_listed() {
    let (mut pending, now) = (Pending::new(RULES), Instant::now());
    let later = now + Duration::from_secs(1);
    assert_eq!(pending.stragglers(now, 2), Some(vec![]));
    pending.hint(entry("a", Cause::ATTRIBUTES), now);
    assert!(pending.take(now).is_some());
    pending.hint(entry("b", Cause::WRITING), now);
    pending.hint(Hint::Subtree { path: path("c") }, later);
    let mut both = pending.stragglers(now, 2).unwrap();
    both.sort_unstable();
    assert_eq!(both, [path("a"), path("b")]);
    assert_eq!(pending.stragglers(now, 1), None, "too many");
    assert_eq!(pending.stragglers(later, 9), None, "a comparison is no single entry");
}

#[test]
fn a_rename_concerns_both_places() {
    let (from, to) = (path("a/b"), path("x/y"));
    let renamed = Hint::Renamed { from, to, folder: true, since: Instant::now() };
    assert_eq!(concerned(renamed), ["", "a", "a/b", "a/b/c", "x", "x/y"]);
}
