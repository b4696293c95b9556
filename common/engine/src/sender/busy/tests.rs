//! How often a file that never holds still is tried, and what that costs.

use proto::{Device, Kind, Time};

use super::*;

const SIZE: u64 = 1 << 30;

fn path() -> RelPath {
    RelPath::parse(b"f").unwrap()
}

fn stat(version: i64) -> Stat {
    let time = Time { secs: version, nanos: 0 };
    let (kind, device, size) = (Kind::File, Device::default(), SIZE);
    let (mode, uid, gid, dev, ino, nlink, blocks) = (0o644, 0, 0, 1, 1, 1, 0);
    Stat { kind, size, mode, uid, gid, mtime: time, ctime: time, dev, ino, nlink, blocks, device }
}

fn tried(version: i64, bytes: u64, last: u64) -> Try {
    Try { after: stat(version), born: None, bytes, last, took: Duration::from_secs(3), stands: false }
}

/// A try in vain, of which an inexact copy was sent.
fn copied(busy: &mut Busy, tried: Try, now: Instant) {
    busy.failed(&path(), tried, now);
    busy.copied(&path(), 0, now);
}

/// A file that is written twice a second, for so long, by tries that send so much: the first three times at once. What was
/// sent in all, and in how many tries, after the first.
fn followed(first: impl Fn(&mut Busy, Instant), span: Duration, last: u64) -> (u64, u32) {
    let (mut busy, start) = (Busy::default(), Instant::now());
    first(&mut busy, start);
    let (mut sent, mut tries) = (0, 0);
    for tick in 1..span.as_millis() as u64 / 500 {
        let now = start + Duration::from_millis(tick * 500);
        if busy.due(&path(), &stat(tick as i64), now).is_none() {
            assert_eq!(busy.attempts(&path()), 1);
            (sent, tries) = (sent + last, tries + 1);
            busy.failed(&path(), tried(tick as i64, last, last), now);
        }
    }
    (sent, tries)
}

#[test]
fn four_times_its_size_is_sent_of_what_the_target_has_nothing_of() {
    let first = |busy: &mut Busy, now| busy.failed(&path(), tried(0, 3 * SIZE, SIZE), now);
    assert_eq!(followed(first, Duration::from_secs(36_000), SIZE), (SIZE, 1));
}

#[test]
fn its_size_is_sent_in_ten_minutes_of_what_it_has_a_version_of() {
    let first = |busy: &mut Busy, now| copied(busy, tried(0, 3 * SIZE, SIZE), now);
    let (sent, tries) = followed(first, Duration::from_secs(6000), SIZE);
    assert!((9..=11).contains(&(sent / SIZE)) && tries >= 9, "{sent} bytes in {tries} tries");
    // Little of it, and the pauses are what bounds it.
    let (_, tries) = followed(first, Duration::from_secs(6000), SIZE / 1000);
    assert!((20..=30).contains(&tries), "{tries} tries of three seconds in 6000");
}

#[test]
fn what_holds_still_is_tried_before_its_time_and_ever_later_when_that_was_in_vain() {
    let (mut busy, mut now) = (Busy::default(), Instant::now());
    let mut waited = Vec::new();
    for version in 0..5 {
        busy.failed(&path(), tried(version, 4 * SIZE, SIZE), now);
        let due = busy.due(&path(), &stat(version), now).unwrap();
        waited.push((due - now).as_secs());
        now = due;
        assert_eq!(busy.due(&path(), &stat(version), now), None);
    }
    assert_eq!(waited, [3, 6, 12, 24, 48]);
    assert!(busy.due(&path(), &stat(9), now).is_some(), "it was written meanwhile");
}

#[test]
fn an_exact_version_ends_it_and_so_does_another_file_under_its_name() {
    let (mut busy, now) = (Busy::default(), Instant::now());
    copied(&mut busy, tried(0, 3 * SIZE, SIZE), now);
    assert!(busy.is_copied(&path()) && busy.may_copy(&path()));
    busy.stored(&path(), now);
    assert!(busy.0.is_empty());
    busy.failed(&path(), tried(0, 3 * SIZE, SIZE), now);
    assert_eq!(busy.due(&path(), &Stat { ino: 2, ..stat(0) }, now), None);
    assert!(busy.0.is_empty());
}

#[test]
fn an_exact_one_at_the_target_stays_and_one_that_it_refuses_is_not_sent_again() {
    let (mut busy, now) = (Busy::default(), Instant::now());
    assert!(busy.may_copy(&path()));
    copied(&mut busy, tried(0, SIZE, SIZE), now);
    busy.is_kept(&path());
    assert!(!busy.may_copy(&path()) && !busy.is_copied(&path()));
    busy.gone(&path());
    copied(&mut busy, tried(0, SIZE, SIZE), now);
    busy.is_refused(&path(), now);
    assert!(!busy.may_copy(&path()) && !busy.is_copied(&path()));
}

#[test]
fn a_small_file_waits_for_nothing_but_the_copies_of_it_do() {
    let (mut busy, mut now) = (Busy::default(), Instant::now());
    let nothing = |version| Try { took: Duration::ZERO, ..tried(version, 0, 0) };
    for version in 0..3 {
        assert!(!busy.may_copy_small(&path(), now));
        busy.failed(&path(), nothing(version), now);
        assert_eq!(busy.due(&path(), &stat(version + 1), now), None);
    }
    let mut copies = 0;
    for version in 0..1200 {
        busy.failed(&path(), nothing(version), now);
        if busy.may_copy_small(&path(), now) {
            copies += 1;
            busy.copied(&path(), SIZE, now);
        }
        now += Duration::from_secs(1);
    }
    assert!((2..=4).contains(&copies), "{copies} copies in twenty minutes");
}

#[test]
fn what_is_remembered_is_bounded() {
    let (mut busy, now) = (Busy::default(), Instant::now());
    for n in 0..2 * FILES {
        busy.failed(&RelPath::parse(format!("{n}").as_bytes()).unwrap(), tried(0, SIZE, SIZE), now);
    }
    assert_eq!(busy.0.len(), FILES);
}

#[test]
fn what_is_lost_at_the_target_is_copied_anew_and_what_is_renamed_takes_its_pauses_along() {
    let (mut busy, now) = (Busy::default(), Instant::now());
    copied(&mut busy, tried(0, SIZE, SIZE), now);
    busy.is_kept(&path());
    assert!(!busy.may_copy(&path()));
    busy.is_lost(&path(), now);
    assert!(busy.may_copy(&path()) && busy.due(&path(), &stat(1), now).is_none());
    busy.failed(&path(), tried(1, SIZE, SIZE), now);
    let to = RelPath::parse(b"d/g").unwrap();
    busy.moved(&path(), &to);
    assert!(busy.due(&to, &stat(1), now).is_some() && busy.due(&path(), &stat(1), now).is_none());
    busy.gone(&RelPath::parse(b"d").unwrap());
    assert_eq!(busy.attempts(&to), ATTEMPTS, "it is not remembered");
}

#[test]
fn a_file_that_was_large_is_not_kept_waiting_by_what_that_has_cost() {
    let (mut busy, now) = (Busy::default(), Instant::now());
    copied(&mut busy, tried(0, 3 * SIZE, SIZE), now);
    busy.failed(&path(), tried(1, SIZE, SIZE), now);
    let small = |version| Stat { size: 1, ..stat(version) };
    assert!(busy.due(&path(), &small(2), now).is_some());
    let later = now + SPAN * FIRST as u32;
    busy.due(&path(), &small(3), later);
    assert_eq!(busy.due(&path(), &small(4), later), None);
}

#[test]
fn no_pause_is_longer_than_an_hour_or_the_try() {
    let (mut busy, now) = (Busy::default(), Instant::now());
    for took in [Duration::from_secs(1800), Duration::from_secs(7200)] {
        busy.failed(&path(), Try { took, stands: true, ..tried(0, 0, 0) }, now);
        let next = now + took.max(LONGEST);
        assert!(busy.due(&path(), &stat(1), next - STILL.1).is_some());
        assert_eq!(busy.due(&path(), &stat(2), next), None);
    }
}

#[test]
fn what_the_target_loses_again_and_again_costs_its_size_in_ten_minutes_too() {
    let (mut busy, start, mut sent) = (Busy::default(), Instant::now(), 0);
    copied(&mut busy, tried(0, 3 * SIZE, SIZE), start);
    for second in 1..6000 {
        let now = start + Duration::from_secs(second);
        busy.is_lost(&path(), now);
        if busy.due(&path(), &stat(second as i64), now).is_none() {
            sent += SIZE;
            copied(&mut busy, tried(second as i64, SIZE, SIZE), now);
        }
    }
    assert!((10..=15).contains(&(sent / SIZE)), "{sent} bytes in a hundred minutes");
}

#[test]
fn what_changes_places_takes_all_along() {
    let (mut busy, now) = (Busy::default(), Instant::now());
    let other = RelPath::parse(b"d/g").unwrap();
    copied(&mut busy, tried(0, SIZE, SIZE), now);
    busy.exchanged(&path(), &RelPath::parse(b"d").unwrap());
    assert!(busy.is_copied(&RelPath::parse(b"d").unwrap()) && !busy.is_copied(&path()));
    busy.failed(&other, tried(0, SIZE, SIZE), now);
    busy.exchanged(&RelPath::parse(b"d").unwrap(), &path());
    assert!(busy.is_copied(&path()) && busy.at(&RelPath::parse(b"f/g").unwrap()).is_some() && busy.0.len() == 2);
}
