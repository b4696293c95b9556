//! The account of a session, and many sessions that share little.

use std::thread;
use std::time::Duration;

use super::*;

fn free(memory: &Memory) -> i64 {
    memory.lock().free
}

#[test]
fn what_is_sure_is_charged_to_nobody_else_and_more_is_lent_and_comes_back() {
    let memory = Memory::new(5 * SURE as u64, 2);
    let (one, other) = (memory.account(), memory.account());
    let lent = 3 * SURE;
    assert_eq!(free(&memory), lent as i64);
    let sure = one.try_operations(SURE).unwrap();
    assert_eq!(free(&memory), lent as i64, "what is sure is not lent");
    let more = one.try_operations(lent).unwrap();
    assert_eq!(free(&memory), 0);
    assert!(one.try_operations(1).is_none() && other.try_extra(1).is_none());
    let theirs = other.try_operations(SURE).unwrap();
    assert!(other.try_operations(1).is_none());
    drop(more);
    assert_eq!(free(&memory), lent as i64);
    drop((sure, theirs));
    assert!(other.try_operations(SURE + 1).is_some(), "the first may be of any size");
    drop((one, other));
    assert_eq!(free(&memory), lent as i64);
    assert!(memory.lock().accounts.is_empty());
}

#[test]
fn extras_take_nothing_of_what_is_sure_and_may_be_taken_anyway() {
    let memory = Memory::new(SURE as u64, 1);
    let one = memory.account();
    assert!(one.try_extra(1).is_none());
    let mut forced = one.extra_anyway(10);
    assert_eq!(free(&memory), -10);
    assert!(one.try_operations(SURE).is_some(), "whatever extras there are");
    forced.becomes(4);
    assert_eq!(free(&memory), -4);
    forced.becomes(20);
    assert_eq!(free(&memory), -20);
    let mut all = Charge::default();
    all.becomes(7);
    all.join(forced);
    all.join(one.extra_anyway(5));
    assert_eq!(free(&memory), -25);
    drop(all);
    assert_eq!(free(&memory), 0);
}

#[test]
fn one_session_has_its_bound_however_much_there_is() {
    let memory = Memory::new(1 << 40, 1);
    let one = memory.account();
    let extra = one.try_extra(RETAINED).unwrap();
    assert!(one.try_extra(1).is_none());
    let sure = one.try_operations(SURE).unwrap();
    assert!(one.try_operations(1).is_none());
    drop(extra);
    assert!(one.try_operations(RETAINED - SURE).is_some());
    drop(sure);
}

#[test]
fn who_waits_goes_on_by_what_its_own_session_or_another_gives_back() {
    let memory = Memory::new(3 * SURE as u64, 2);
    let (one, other) = (memory.account(), memory.account());
    for own in [true, false] {
        let (sure, lent) = (one.try_operations(SURE).unwrap(), other.try_extra(SURE).unwrap());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| one.operations(SURE).is_ok());
            while memory.lock().waiting.is_empty() {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            let kept = if own {
                drop(sure);
                lent
            } else {
                drop(lent);
                sure
            };
            assert!(waiting.join().unwrap());
            drop(kept);
        });
        assert_eq!((free(&memory), memory.lock().waiting.len()), (SURE as i64, 0));
    }
}

#[test]
fn a_session_that_ends_waits_no_more() {
    let memory = Memory::new(SURE as u64, 1);
    let one = memory.account();
    let _sure = one.try_operations(SURE).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| one.operations(1).is_err());
        while memory.lock().waiting.is_empty() {
            thread::yield_now();
        }
        one.end();
        assert!(waiting.join().unwrap());
    });
    assert!(one.operations(1).is_err(), "nor later");
}

/// Each has what it holds carried out by a thread of its own, as a publisher does, after random times. If anybody waited for
/// what others hold, some would wait for ever.
#[test]
fn many_sessions_with_little_between_them_all_come_to_their_end() {
    const SESSIONS: usize = 24;
    let memory = Memory::new((SESSIONS * SURE + SURE / 2) as u64, SESSIONS);
    thread::scope(|scope| {
        for seed in 0..SESSIONS {
            let account = memory.account();
            let (hand, carry_out) = std::sync::mpsc::channel::<Charge>();
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed as u64);
                let extra = account.try_extra(SURE / 4);
                for _ in 0..200 {
                    let charge = account.operations(rng.usize(1..=SURE)).unwrap();
                    hand.send(charge).unwrap();
                }
                drop(extra);
            });
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(1000 + seed as u64);
                for mut charge in carry_out {
                    if rng.bool() {
                        thread::yield_now();
                        charge.becomes(charge.bytes / 2);
                    }
                }
            });
        }
    });
    assert_eq!(free(&memory), (SURE / 2) as i64);
}

#[test]
fn what_grows_is_covered_as_far_as_there_is_room() {
    let memory = Memory::new((SURE + 2 * STEP) as u64, 1);
    let account = memory.account();
    let mut charge = account.no_extra();
    assert!(charge.try_cover(0) && free(&memory) == 2 * STEP as i64);
    assert!(charge.try_cover(1) && free(&memory) == STEP as i64);
    assert!(charge.try_cover(STEP) && free(&memory) == STEP as i64);
    assert!(!charge.try_cover(2 * STEP + 1) && free(&memory) == STEP as i64, "all of it or nothing");
    assert!(charge.try_cover(2 * STEP) && free(&memory) == 0);
    charge.becomes(10);
    assert_eq!(free(&memory), 2 * STEP as i64 - 10);
    drop(charge);
    assert_eq!(free(&memory), 2 * STEP as i64);
    assert!(!Charge::default().try_cover(1));
}
