//! The room at a target, one refusal after the other.

use super::*;

const WORK: Ticket = 7;
const OWNER: Owner = (1, 1);

fn full(now: Instant) -> Room {
    let mut room = Room::default();
    assert_eq!(room.refused(Lack::Room, "no space", now), News::Begun);
    assert_eq!(room.refused(Lack::Room, "no space", now), News::Known);
    room
}

fn wish(bytes: u64, promised: Option<u64>) -> Wish {
    Wish { ticket: WORK, pace: Pace::Entry, bytes, promised }
}

fn claim(bytes: u64) -> Claim {
    Claim { owner: OWNER, bytes }
}

#[test]
fn while_there_is_a_lack_no_content_leaves_whose_room_was_not_promised() {
    let mut room = full(Instant::now());
    let never = || panic!("nobody asks");
    for bytes in [0, 1, 1 << 40] {
        assert_eq!(room.of_content(wish(bytes, None), never), Gate::Wait);
        room.tries(WORK, claim(bytes));
        assert_eq!(room.of_content(wish(bytes, None), never), Gate::Ask);
        let in_pass = Wish { pace: Pace::Pass, ..wish(bytes, None) };
        assert_eq!(room.of_content(in_pass, never), Gate::Wait, "what a pass finds is tried by itself");
        assert!(room.ended(WORK));
        assert_eq!(room.of_content(wish(bytes, Some(bytes)), never), Gate::Open);
    }
    assert_eq!(room.of_content(wish(1 << 30, Some(1 << 20)), never), Gate::Wait, "it has grown by far");
}

#[test]
fn with_no_lack_only_what_was_refused_before_is_asked_about_and_only_if_it_is_large() {
    let room = Room::default();
    assert_eq!(room.of_content(wish(1, None), || panic!("nobody asks")), Gate::Open);
    assert_eq!(room.of_content(wish(1 << 30, None), || false), Gate::Open);
    assert_eq!(room.of_content(wish(1 << 30, None), || true), Gate::Ask);
    assert_eq!(room.of_content(wish(1 << 30, Some(0)), || panic!("nobody asks")), Gate::Open);
    assert_eq!(room.of_entry(WORK, Pace::Entry, OWNER), Gate::Open);
}

#[test]
fn what_has_no_content_waits_where_nothing_of_its_owner_fits() {
    let mut room = full(Instant::now());
    assert_eq!(room.of_entry(WORK, Pace::Entry, OWNER), Gate::WithFolder);
    room.limit(WORK, claim(0));
    assert_eq!(room.of_entry(WORK, Pace::Entry, OWNER), Gate::Wait);
    assert_eq!(room.of_entry(WORK, Pace::Entry, (2, 2)), Gate::WithFolder);
    room.tries(WORK, claim(0));
    assert_eq!(room.of_entry(WORK, Pace::Entry, OWNER), Gate::Open);
}

#[test]
fn what_did_not_fit_bounds_what_else_is_tried_until_a_round_begins() {
    let now = Instant::now();
    let mut room = full(now);
    room.tries(WORK, claim(100));
    assert_eq!(room.limit(WORK, claim(60)), claim(100), "what it was known to need");
    assert_eq!([99, 100].map(|bytes| room.fits(claim(bytes))), [true, false]);
    assert!(room.fits(Claim { owner: (2, 2), bytes: 100 }), "another's quota is not concerned");
    room.open(now + PAUSE.0);
    assert!(room.fits(claim(100)));
}

#[test]
fn what_needs_more_than_it_says_comes_after_others_but_not_behind_all() {
    let mut room = full(Instant::now());
    let mut needs = claim(100);
    for _ in 0..40 {
        room.tries(WORK, needs);
        let more = room.limit_more(WORK, claim(100));
        assert!(more.bytes >= needs.bytes);
        needs = more;
    }
    assert_eq!(needs, claim(16 * LEAST));
    assert_eq!(room.limit_more(WORK, claim(100)), claim(100), "not tried: what it says");
}

#[test]
fn rounds_come_after_pauses_that_grow_and_at_once_if_somebody_asks() {
    let mut now = Instant::now();
    let mut room = full(now);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let next = room.next_try(Interest::None).unwrap();
        pauses.push(next.duration_since(now).as_secs());
        now = next;
        room.open(now);
        assert_eq!((room.next_try(Interest::None), room.standing(1, None)), (None, Standing::InVain));
        room.rest(now);
        assert!(room.gives_up());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    assert!(room.next_try(Interest::Asked).unwrap() < now, "the last refusal is long ago");
    room.freed(now);
    assert_eq!(room.next_try(Interest::None).unwrap().duration_since(now), PAUSE.1 / 8);
    assert_eq!(room.standing(0, None), Standing::Over);
    room.is_over(now);
    room.refused(Lack::Room, "no space", now);
    assert_eq!(room.next_try(Interest::None), Some(now + PAUSE.1), "one that comes and goes");
}

#[test]
fn tries_grow_with_what_comes_through_and_none_is_judged_while_one_is_under_way() {
    let now = Instant::now();
    let mut room = full(now);
    room.open(now);
    let mut ticket = 1;
    while room.may_try() {
        room.tries(ticket, claim(1));
        ticket += 1;
    }
    assert_eq!(ticket, 1 + TRIES.0 as u64);
    assert_eq!(room.standing(1, None), Standing::Open);
    assert!(room.ended(1) && !room.ended(1) && room.may_try());
    (2..ticket).for_each(|ticket| assert!(room.ended(ticket)));
    assert_eq!(room.standing(0, Some(now)), Standing::Open, "it was held before, perhaps");
    assert_eq!(room.standing(0, Some(now + PAUSE.0)), Standing::Over);
}

#[test]
fn a_read_only_target_takes_nothing_and_may_be_full_when_it_can_be_written() {
    let now = Instant::now();
    let mut room = full(now);
    assert_eq!(room.refused(Lack::Writing, "read-only", now), News::Begun);
    assert!(room.is_closed() && !room.is_full());
    assert_eq!(room.refused(Lack::Room, "no space", now), News::Known, "what was on its way says nothing");
    assert_eq!(room.is_writable_and_full(now), Some("no space".into()));
    assert!(room.is_full());
}

#[test]
fn room_that_was_promised_is_asked_for_with_that_of_others() {
    let mut room = full(Instant::now());
    assert_eq!(room.ask(1, 100), 100);
    assert_eq!(room.ask(2, 10), 110);
    room.tries(3, claim(50));
    assert_eq!(room.ask(3, 1), 160, "it is known to need more");
    room.ended(1);
    assert_eq!(room.ask(2, 10), 60);
    room.forget_work();
    assert_eq!(room.ask(2, 10), 10);
}
