//! Renames take along what waits, and whoever was on the way meanwhile looks again.

use std::time::Duration;

use super::{Cause, Desk, Hint, path};

#[test]
fn a_rename_takes_waiting_hints_along_and_comes_first() {
    let mut desk = Desk::new();
    desk.entry("a/x", Cause::WRITTEN);
    desk.renamed("a", "b");
    assert_eq!(desk.all(), ["rename a b", "look b", "look a", "look b/x"]);
}

#[test]
fn a_new_file_that_is_renamed_before_it_was_sent_is_just_new() {
    let mut desk = Desk::new();
    desk.entry("tmp", Cause::CREATED);
    desk.entry("tmp", Cause::WRITTEN);
    desk.renamed("tmp", "page");
    assert_eq!(desk.all_in_time(), ["look page"]);
    desk.subtree("new");
    desk.renamed("new", "newer");
    desk.renamed("newer/x", "y");
    assert_eq!(desk.all_in_time(), ["subtree newer", "subtree y", "gone new"]);
}

#[test]
fn two_renames_crosswise_are_an_exchange() {
    let mut desk = Desk::new();
    desk.entry("a/x", Cause::WRITTEN);
    desk.renamed("a", "b");
    desk.renamed("b", "a");
    let all = desk.all();
    assert_eq!(all[0], "exchange a b");
    assert!(all.contains(&"look a/x".into()) && all.contains(&"look b/x".into()), "{all:?}");
}

#[test]
fn what_was_on_its_way_when_a_rename_happened_is_looked_at_again() {
    let mut desk = Desk::new();
    desk.entry("a/x", Cause::WRITTEN);
    let since = desk.now;
    desk.later(Duration::from_millis(1));
    let on_its_way = desk.pending.take(desk.now).unwrap();
    desk.entry("a/y", Cause::WRITTEN);
    let acknowledged = desk.pending.take(desk.now).unwrap();
    desk.pending.done(acknowledged.ticket, desk.now);
    desk.renamed_since("a", "b", since);
    let all = desk.all();
    for look in ["look b/x", "look b/y", "look a/x", "look a/y"] {
        assert!(all.contains(&look.into()), "{look} in {all:?}");
    }
    desk.pending.done(on_its_way.ticket, desk.now);
    assert!(desk.pending.is_empty());
    // Long acknowledged work needs no second look.
    desk.later(Duration::from_secs(1));
    desk.renamed("b", "c");
    assert_eq!(desk.all(), ["rename b c", "look c", "look b"]);
}

#[test]
fn a_file_that_was_written_is_sent_anew_under_its_new_name() {
    let mut desk = Desk::new();
    desk.entry("f.c", Cause::WRITTEN);
    desk.renamed("f.c", "g.c");
    assert_eq!(desk.all_in_time(), ["look g.c", "gone f.c"], "what the target has of it is older");
    desk.entry("g.c", Cause::ATTRIBUTES);
    desk.later(Duration::from_secs(9));
    desk.renamed("g.c", "h.c");
    assert_eq!(desk.all_in_time(), ["rename g.c h.c", "look h.c", "look g.c"]);
}

#[test]
fn a_folder_looked_at_right_before_renames_is_renamed_and_compared() {
    let mut desk = Desk::new();
    for name in ["a/folder", "a/file.c"] {
        desk.entry(name, Cause::ATTRIBUTES);
    }
    let since = desk.now;
    desk.all();
    desk.renamed_since("a", "b", since);
    desk.renamed_since("b/folder", "out", since);
    desk.renamed_since("b/file.c", "out.c", since);
    desk.renamed_since("out", "b/back", since);
    let all = desk.all_in_time();
    assert_eq!(all[..3], ["rename a b", "rename b/folder out", "rename out b/back"], "no content: {all:?}");
    assert!(
        all.contains(&"look out.c".into()) && all.contains(&"gone b/file.c".into()),
        "a file is sent anew: {all:?}"
    );
}

#[test]
fn a_folder_within_one_in_doubt_is_renamed_and_compared() {
    let mut desk = Desk::new();
    desk.pending.hint(Hint::Subtree { path: path("a") }, desk.now);
    let since = desk.now;
    desk.all();
    desk.renamed_since("a", "b", since);
    desk.renamed_since("b/folder", "out", since);
    desk.renamed_since("out", "b/back", since);
    desk.renamed_since("b", "c", since);
    let all = desk.all_in_time();
    let renames = ["rename a b", "rename b/folder out", "rename out b/back", "rename b c"];
    let sent: Vec<_> = all.iter().filter(|line| line.starts_with("rename")).collect();
    assert_eq!(sent, renames, "{all:?}");
    assert!(all.contains(&"subtree c".into()), "{all:?}");
}

#[test]
fn an_exchange_whose_halves_come_apart_is_compared() {
    let mut desk = Desk::new();
    let since = desk.now;
    desk.later(Duration::from_millis(1));
    desk.renamed("a", "b");
    assert_eq!(desk.all()[0], "rename a b");
    desk.renamed_since("b", "a", since);
    let all = desk.all();
    assert!(all.contains(&"subtree b".into()) && all.contains(&"subtree a".into()), "{all:?}");
}

#[test]
fn a_rename_and_one_back_later_are_two_renames() {
    let mut desk = Desk::new();
    desk.renamed("a", "b");
    assert_eq!(desk.all()[0], "rename a b");
    desk.later(Duration::from_secs(2));
    desk.renamed("b", "a");
    assert_eq!(desk.all()[0], "rename b a");
}

#[test]
fn a_deletion_that_waits_in_an_exchanged_folder_is_looked_for_in_both() {
    let mut desk = Desk::new();
    desk.entry("a/x", Cause::GONE);
    desk.renamed("a", "b");
    desk.renamed("b", "a");
    let all = desk.all_in_time();
    assert!(all.contains(&"gone a/x".into()) && all.contains(&"gone b/x".into()), "{all:?}");
}

#[test]
fn a_comparison_under_way_covers_a_renamed_folder_anew() {
    let mut desk = Desk::new();
    desk.subtree("");
    let pass = desk.pending.take(desk.now).unwrap();
    desk.renamed("a", "b");
    let all = desk.all();
    assert!(all.contains(&"rename a b".into()) && all.contains(&"subtree b".into()), "{all:?}");
    desk.pending.done(pass.ticket, desk.now);
}

#[test]
fn parents_that_were_not_sent_go_before_a_rename_into_them() {
    let mut desk = Desk::new();
    desk.subtree("new");
    desk.renamed("old", "new/old");
    assert_eq!(desk.all()[0], "rename old new/old after [\"new\"]");
}

#[test]
fn a_folder_that_went_ahead_of_a_rename_is_known_to_the_target() {
    let moved: [fn(&mut Desk); 2] = [|desk| desk.renamed("new", "newer"), |desk| desk.entry("new", Cause::GONE)];
    for (leave, expected) in moved.into_iter().zip(["rename new newer", "gone new"]) {
        let mut desk = Desk::new();
        desk.entry("new", Cause::CREATED);
        desk.renamed("old", "new/old");
        let rename = desk.pending.take(desk.now).unwrap();
        assert_eq!(super::show(&rename), "rename old new/old after [\"new\"]");
        leave(&mut desk);
        desk.pending.done(rename.ticket, desk.now);
        let all = desk.all_in_time();
        assert!(all.contains(&expected.into()), "{expected} in {all:?}");
    }
}

#[test]
fn what_takes_the_place_of_a_new_file_and_is_deleted_is_deleted_at_the_target() {
    let mut desk = Desk::new();
    desk.entry("new.c", Cause::CREATED);
    desk.renamed("old.c", "new.c");
    desk.entry("new.c", Cause::GONE);
    let all = desk.all_in_time();
    assert!(all.contains(&"gone new.c".into()), "{all:?}");
}

#[test]
fn a_name_that_was_new_in_one_of_two_exchanged_folders_is_known_in_both() {
    let mut desk = Desk::new();
    desk.entry("b/file.c", Cause::CREATED);
    desk.renamed("a", "b");
    desk.renamed("b", "a");
    // What stands here came from the other folder.
    desk.entry("b/file.c", Cause::GONE);
    let all = desk.all_in_time();
    assert!(all.contains(&"gone b/file.c".into()), "{all:?}");
}

/// Two renames of the storm, hinted as if both had been exchanges: folders move into each other and out again.
#[test]
fn a_storm_of_renames_does_not_multiply_what_is_owed() {
    let mut desk = Desk::new();
    let mut state = 1u64;
    let mut below = move |n: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % n
    };
    for round in 0..1000 {
        let (a, b) = (format!("d{}", below(40)), format!("d{}", below(40)));
        let (from, to) = match below(4) {
            0 => (a.clone(), format!("{b}/{a}")),
            1 => (format!("{b}/{a}"), a.clone()),
            _ => (a.clone(), b.clone()),
        };
        desk.renamed(&from, &to);
        if from != to && below(2) == 0 {
            desk.renamed(&to, &from);
        }
        desk.entry(&format!("{a}/f"), Cause::WRITTEN);
        // Some of it is under way all the time.
        if round % 10 == 0 {
            desk.pending.take(desk.now);
        }
        desk.later(Duration::from_millis(1));
        assert!(desk.pending.len() < 40 * 1200, "{} are owed after {round} renames", desk.pending.len());
    }
}

#[test]
fn an_exchange_of_what_waits_whole_is_compared_at_both_places() {
    let mut desk = Desk::new();
    desk.subtree("a");
    desk.renamed("a", "b");
    desk.renamed("b", "a");
    let all = desk.all_in_time();
    assert!(all.contains(&"subtree a".into()) && all.contains(&"subtree b".into()), "{all:?}");
}
