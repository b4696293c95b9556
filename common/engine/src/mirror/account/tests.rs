use std::time::UNIX_EPOCH;

use proto::{Device, Kind, Time};

use super::*;

/// Seconds from the epoch to a day before the manual clock's, at which the files changed.
const THEN: i64 = 1_599_900_000;

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

fn file(ino: u64, size: u64, changed: i64) -> Stat {
    let time = Time { secs: changed, nanos: 1 };
    let (kind, mode, uid, gid, mtime, ctime) = (Kind::File, 0o644, 0, 0, time, time);
    Stat { kind, size, mode, uid, gid, mtime, ctime, dev: 1, ino, nlink: 1, blocks: 1, device: Device::default() }
}

fn sends(account: &Account, stat: &Stat) -> Past {
    let (path, amount) = (path("f"), Amount { bytes: stat.size, entries: 1 });
    let past = account.sends(&path, stat, amount, Occasion::Other);
    account.has_sent(&path, stat, past);
    past
}

/// Seconds from the epoch by this clock.
fn wall(clock: &Clock) -> i64 {
    clock.wall().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

/// Of files that have one name.
fn all(amount: Amount) -> Stock {
    Stock { named: amount, once: amount }
}

const MIB: u64 = 1024 * 1024;

#[test]
fn what_did_not_change_is_sent_three_times_an_hour() {
    let clock = Clock::manual();
    let account = Account::new(clock.clone());
    account.begin_count();
    account.count(all(Amount { bytes: 100 * MIB, entries: 10 }));
    account.end_count();
    let files: Vec<_> = (0..10).map(|ino| file(ino, 10 * MIB, THEN)).collect();
    let mut sent = 0;
    for round in 0..100 {
        for stat in &files {
            if account.standing() == Standing::Open {
                assert_eq!(sends(&account, stat), if round == 0 { Past::New } else { Past::Sent });
                sent += stat.size;
            }
        }
        clock.advance(Duration::from_secs(30));
    }
    assert_eq!(sent, 300 * MIB);
    let Standing::UsedUp(until) = account.standing() else { panic!("it has nothing left") };
    assert!(account.asks().is_some());
    assert!(until <= clock.now() + HOUR);
    clock.advance_to(until + HOUR);
    assert_eq!((account.standing(), account.asks()), (Standing::Open, None));
}

#[test]
fn a_change_at_the_source_is_never_held_against_the_target() {
    let clock = Clock::manual();
    let account = Account::new(clock.clone());
    // A file of 100 MiB that changes ten times a minute, and is sent at once or late.
    for change in 0..100 {
        let stat = file(1, 100 * MIB, wall(&clock));
        clock.advance(Duration::from_millis(if change % 2 == 0 { 10 } else { 2000 }));
        assert_eq!((sends(&account, &stat), account.standing()), (Past::New, Standing::Open));
        clock.advance(Duration::from_secs(6));
    }
    // Many different ones, more than are remembered.
    for ino in 0..200_000 {
        let stat = file(ino, MIB, wall(&clock));
        clock.advance(Duration::from_millis(500));
        assert_eq!(sends(&account, &stat), Past::New, "{ino}");
    }
    assert_eq!(account.standing(), Standing::Open);
}

#[test]
fn new_files_that_come_faster_than_they_are_sent_are_held_against_nobody_and_are_sent_three_times_an_hour() {
    const FILES: u64 = 300_000;
    let clock = Clock::manual();
    let account = Account::new(clock.clone());
    account.begin_count();
    account.count(all(Amount { bytes: 0, entries: 300 }));
    account.end_count();
    let made: Vec<_> = (0..FILES).map(|ino| file(ino, 0, wall(&clock))).collect();
    let mut sent: u64 = 0;
    for round in 0..4 {
        for some in made.chunks(1000) {
            clock.advance(Duration::from_millis(100));
            if account.standing() == Standing::Open {
                some.iter().for_each(|stat| _ = sends(&account, stat));
                sent += 1000;
            }
        }
        assert!(round > 0 || sent == FILES, "after {sent} of them it waits");
    }
    assert!((2 * FILES..=3 * FILES + FILES / 10).contains(&sent), "{sent} for {FILES}");
}

#[test]
fn a_first_pass_over_more_than_is_remembered_is_one_time() {
    let clock = Clock::manual();
    let account = Account::new(clock.clone());
    let amount = Amount { bytes: 1000, entries: 1 };
    let mut times: u64 = 0;
    'passes: for _ in 0..10 {
        account.begin_count();
        account.count(all(Amount { bytes: 0, entries: 200_000 }));
        for ino in 0..200_000 {
            if account.standing() != Standing::Open {
                break 'passes;
            }
            account.count(all(Amount { bytes: 1000, entries: 0 }));
            account.sends(&path("f"), &file(ino, 1000, THEN), amount, Occasion::FullPass);
            times += 1;
        }
        account.end_count();
    }
    assert!((400_000..=700_000).contains(&times), "{times} files of 200,000");
}

#[test]
fn a_version_that_is_wanted_again_and_again_is_sent_ever_later() {
    let clock = Clock::manual();
    let account = Account::new(clock.clone());
    let stat = file(1, 5, THEN);
    let mut pauses = Vec::new();
    for _ in 0..13 {
        let due = account.due(&path("f"), &stat).unwrap_or(clock.now());
        pauses.push(due.duration_since(clock.now()).as_secs());
        clock.advance_to(due);
        sends(&account, &stat);
    }
    assert_eq!(pauses, [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    // Another version of it is another matter.
    assert_eq!(account.due(&path("f"), &file(1, 5, THEN + 1)), None);
    account.begin_anew();
    assert_eq!(account.due(&path("f"), &stat), None);
}

#[test]
fn a_person_has_all_of_it_sent_anew() {
    let clock = Clock::manual();
    let account = Account::new(clock.clone());
    let stat = file(1, 30 * MIB, THEN);
    while account.standing() == Standing::Open {
        sends(&account, &stat);
    }
    account.begin_anew();
    assert_eq!((account.standing(), sends(&account, &stat)), (Standing::Open, Past::New));
}

#[test]
fn names_of_one_file_are_sent_each_and_are_one_file() {
    // Files that came lately and that an event tells of, and old ones that a pass meets.
    for late in [false, true] {
        let clock = Clock::manual();
        let account = Account::new(clock.clone());
        let stat = |ino| Stat { nlink: 10, ..file(ino, 10 * MIB, if late { wall(&clock) - 10 } else { THEN }) };
        let files: Vec<_> = (0..10).map(stat).collect();
        let names: Vec<_> = (0..10).map(|name| path(&name.to_string())).collect();
        account.begin_count();
        if !late {
            let once = Amount { bytes: 100 * MIB, entries: 100 };
            account.count(Stock { named: Amount { bytes: 1000 * MIB, entries: 100 }, once });
        }
        account.end_count();
        let mut sent = [0; 2];
        for round in 0..100 {
            for (name, stat) in names.iter().flat_map(|name| files.iter().map(move |stat| (name, stat))) {
                if account.standing() == Standing::Open {
                    let amount = Amount { bytes: stat.size, entries: 1 };
                    let past = account.sends(name, stat, amount, Occasion::Other);
                    assert_eq!(past, if round == 0 { Past::New } else { Past::Sent });
                    sent[usize::from(round > 0)] += stat.size;
                }
            }
        }
        assert_eq!(sent, [1000 * MIB, 200 * MIB], "late: {late}");
    }
}

#[test]
fn what_the_target_lacks_counts_from_the_second_time_that_it_says_so_of_one_version() {
    let clock = Clock::manual();
    let account = Account::new(clock.clone());
    for n in 0..50_000 {
        // Each has changed since it was sent, as by a rename.
        account.lacks(&path("f"), &file(1, 0, THEN + n));
    }
    assert_eq!((account.again(), account.standing()), (Amount::default(), Standing::Open));
    for _ in 0..10_000 {
        account.lacks(&path("f"), &file(1, 0, THEN));
    }
    assert_eq!(account.again(), Amount { bytes: 0, entries: 10_000 });
    assert!(matches!(account.standing(), Standing::UsedUp(_)));
}
