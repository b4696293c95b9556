//! What is owed is as old as its oldest change.

use std::time::{Duration, Instant};

use super::{Cause, Desk, Hint, Pending, path};
use crate::pending::{Move, Since};

impl Pending {
    /// What `oldest` is to be, by looking at everything.
    fn oldest_by_walking(&self) -> Option<Instant> {
        let waiting = self.waiting.values().map(|waiting| waiting.since);
        let moves = self.moves.iter().cloned().map(Move::since);
        let taken = self.taken.values().map(|work| work.since);
        waiting.chain(moves).chain(taken).min().map(Since::at)
    }
}

#[test]
fn the_oldest_is_known_without_looking_at_everything() {
    let names = ["a", "b", "a/x", "a/y", "b/x.c", "c.c", "c/d/e"];
    for seed in 0..200 {
        let (mut rng, mut desk) = (fastrand::Rng::with_seed(seed), Desk::new());
        let mut taken = Vec::new();
        for step in 0..200 {
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
            assert_eq!(desk.pending.oldest(), desk.pending.oldest_by_walking(), "seed {seed}, step {step}");
        }
        desk.later(Duration::from_secs(20));
        taken.into_iter().for_each(|ticket| desk.pending.done(ticket, desk.now));
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
