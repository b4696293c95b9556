//! What is owed is as old as its oldest change.

use std::time::Duration;

use super::{Cause, Desk, Hint, path};
use crate::pending::{Claim, Since, Task, Wait};

fn holding(rng: &mut fastrand::Rng) -> Wait {
    [Wait::Entry(Cause::WRITTEN), Wait::Entry(Cause::GONE), Wait::Subtree, Wait::Doubt][rng.usize(..4)]
}

fn claim(bytes: u64) -> Claim {
    Claim { owner: (0, 0), bytes }
}

#[test]
fn the_oldest_is_known_without_looking_at_everything() {
    let names = ["a", "b", "a/x", "a/y", "b/x.c", "c.c", "c/d/e"];
    for seed in 0..200 {
        let (mut rng, mut desk) = (fastrand::Rng::with_seed(seed), Desk::new());
        let mut taken = Vec::new();
        for _ in 0..200 {
            desk.later(Duration::from_millis(rng.u64(..40)));
            let (one, other) = (names[rng.usize(..names.len())], names[rng.usize(..names.len())]);
            match rng.u8(..14) {
                0..=2 => desk.entry(one, Cause::WRITTEN),
                3 => desk.entry(one, Cause::CREATED),
                4 => desk.entry(one, Cause::GONE),
                5 => desk.subtree(one),
                6 => desk.renamed(one, other),
                7 => {
                    desk.renamed(one, other);
                    desk.renamed(other, one);
                }
                8..=10 => taken.extend(desk.pending.take(desk.now).map(|work| work.ticket)),
                11 if rng.bool() => {
                    let (wait, claim) = (holding(&mut rng), claim(rng.u64(..4)));
                    desk.pending.park(path(one), wait, claim, Since::noticed(desk.start), desk.now);
                }
                13 => taken.extend(desk.pending.take_parked(|_| true, desk.now).map(|(work, _)| work.ticket)),
                11 if rng.u8(..20) == 0 => desk.pending.collapse(desk.now),
                12 if rng.u8(..10) == 0 => {
                    desk.pending.link_lost(desk.now);
                    taken.clear();
                }
                _ if !taken.is_empty() => {
                    let ticket = taken.swap_remove(rng.usize(..taken.len()));
                    match rng.u8(..5) {
                        0 => desk.pending.again(ticket, Duration::from_millis(5), desk.now),
                        1 => desk.pending.lost_sight(ticket, desk.now),
                        2 => desk.pending.still_open(ticket, desk.now),
                        _ => desk.pending.done(ticket, desk.now),
                    }
                }
                _ => {}
            }
            desk.pending.check();
        }
        desk.later(Duration::from_secs(20));
        taken.into_iter().for_each(|ticket| desk.pending.done(ticket, desk.now));
        while let Some((work, _)) = desk.pending.take_parked(|_| true, desk.now) {
            desk.pending.done(work.ticket, desk.now);
        }
        desk.all_in_time();
        assert_eq!((desk.pending.oldest(), desk.pending.len()), (None, 0), "seed {seed}");
    }
}

#[test]
fn what_is_covered_by_a_comparison_gives_it_its_age() {
    let mut desk = Desk::new();
    desk.entry("d/f", Cause::WRITTEN);
    let work = desk.pending.take(desk.now).unwrap();
    desk.later(Duration::from_secs(60));
    desk.subtree("d");
    let again = Hint::Entry { path: path("d/f"), cause: Cause::WRITTEN };
    desk.pending.owe(again, work.since, desk.now);
    desk.pending.done(work.ticket, desk.now);
    assert_eq!(desk.pending.oldest(), Some(desk.start));
    desk.renamed("d/f", "out");
    desk.pending.take(desk.now).unwrap();
    assert_eq!(desk.pending.oldest(), Some(desk.start));
}

#[test]
fn what_waits_for_room_is_owed_and_not_due_and_the_smallest_comes_first() {
    let mut desk = Desk::new();
    let since = Since::noticed(desk.start);
    desk.later(Duration::from_secs(60));
    for (at, bytes) in [("large.c", 100), ("small.c", 1), ("middle.c", 10)] {
        desk.pending.park(path(at), Wait::Entry(Cause::WRITTEN), claim(bytes), since, desk.now);
    }
    assert_eq!(desk.all_in_time(), [""; 0]);
    assert_eq!((desk.pending.len(), desk.pending.parked()), (3, 3));
    assert_eq!((desk.pending.oldest(), desk.pending.oldest_moving()), (Some(desk.start), None));
    assert!(desk.pending.next_due(desk.now).is_none());
    let fits = |claim: Claim| claim.bytes < 50;
    let mut tried = Vec::new();
    while let Some((work, _)) = desk.pending.take_parked(fits, desk.now) {
        let Task::Entry { path, .. } = work.task else { panic!("{:?}", work.task) };
        tried.push(path.to_string());
        desk.pending.done(work.ticket, desk.now);
    }
    assert_eq!(tried, ["small.c", "middle.c"]);
    // What is heard of it makes it due, under its new name, and as old as it was.
    desk.renamed("large.c", "larger.c");
    assert_eq!((desk.pending.parked(), desk.pending.oldest_moving()), (0, Some(desk.start)));
    assert_eq!(desk.all_in_time(), ["look larger.c", "gone large.c"]);
}

#[test]
fn what_is_in_a_folder_that_waits_for_room_waits_with_it() {
    let mut desk = Desk::new();
    let since = Since::noticed(desk.start);
    desk.later(Duration::from_secs(60));
    desk.pending.park(path("d"), Wait::Subtree, claim(0), Since::noticed(desk.now), desk.now);
    desk.pending.park(path("d/f"), Wait::Entry(Cause::WRITTEN), claim(1), since, desk.now);
    desk.entry("d/g", Cause::WRITTEN);
    assert_eq!((desk.pending.len(), desk.pending.oldest()), (1, Some(desk.start)));
    assert_eq!(desk.all_in_time(), [""; 0]);
}

#[test]
fn a_full_store_of_what_waits_for_room_does_not_become_due() {
    let mut desk = Desk::new();
    let since = Since::noticed(desk.start);
    for n in 0..100 {
        let at = path(&format!("d/{n}"));
        desk.pending.park(at, Wait::Entry(Cause::WRITTEN), claim(n), since, desk.now);
    }
    desk.pending.collapse(desk.now);
    assert_eq!((desk.pending.len(), desk.pending.parked()), (1, 1));
    assert_eq!(desk.all_in_time(), [""; 0]);
    assert!(desk.pending.take_parked(|_| true, desk.now).is_some());
}
