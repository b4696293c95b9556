//! Receivers of which each tells one lie, as often as it is let: none of them makes the sender hold, send or do what has no
//! bound.

use proto::{Chunk, Outcome, ToReceiver, ToSender, limits};

use super::scripted::Scripted;
use super::*;
use crate::sender::delta::{Delta, Segment, UNMATCHED};

/// The operation of that many, the last of its kind.
fn last(heard: &[(u64, ToReceiver)], is: impl Fn(&ToReceiver) -> bool) -> u64 {
    heard.iter().rev().find(|(_, message)| is(message)).expect("it has sent none").0
}

fn violates<T: std::fmt::Debug>(result: Result<T, Ended>) -> bool {
    match result {
        Err(Ended::Violation(_)) => true,
        Err(ended) => panic!("{ended:?}"),
        Ok(_) => false,
    }
}

pub(super) fn reason() -> String {
    "because".to_owned()
}

#[test]
fn an_operation_has_one_outcome() {
    let wishes = [Outcome::Want, Outcome::Absent];
    let others = [Outcome::Refused { reason: reason() }, Outcome::Partly { reason: reason() }];
    let failures = [Outcome::Failed { reason: reason() }, Outcome::Full { reason: reason() }];
    let all: Vec<_> = wishes.into_iter().chain(others).chain(failures).collect();
    for first in &all {
        for second in &all {
            let (pair, _clock) = Pair::stepped();
            fs::write(pair.here.join("f"), "content").unwrap();
            let mut sender = pair.new_sender();
            let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
            pair.entry("f", Cause::ATTRIBUTES);
            let heard = target.hears().unwrap();
            let op = last(&heard, |message| matches!(message, ToReceiver::Offer { .. }));
            target.says(&ToSender::Outcome { op, outcome: first.clone() }).unwrap();
            let again = target.says(&ToSender::Outcome { op, outcome: second.clone() });
            // What was done in part may turn out not to be durable.
            let partly = matches!(first, Outcome::Partly { .. });
            let may =
                partly && matches!(second, Outcome::Refused { .. } | Outcome::Failed { .. } | Outcome::Full { .. });
            assert_eq!(violates(again), !may, "{first:?}, then {second:?}");
        }
    }
}

/// As a target tells of it.
pub(super) fn entry(name: &str, kind: proto::Kind) -> proto::Entry {
    proto::Entry {
        name: proto::Name::parse(name.as_bytes()).unwrap(),
        kind,
        size: 0,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: proto::Time::default(),
        device: proto::Device::default(),
        extra: [0; 16],
        inexact: false,
    }
}

/// Of folders.
fn listing(op: u64, names: &[&str], last: bool) -> ToSender {
    let entries = names.iter().map(|name| entry(name, proto::Kind::Dir)).collect();
    ToSender::Listing { op, entries, last }
}

/// The question that has been asked about `d`.
fn compared(pair: &Pair, target: &mut Scripted<'_>) -> u64 {
    pair.hint(Hint::Subtree { path: path("d") });
    last(&target.hears().unwrap(), |message| matches!(message, ToReceiver::Compare { .. }))
}

/// The question that follows this first part of an answer to `op`.
fn asked_on(target: &mut Scripted<'_>, first: &ToSender) -> u64 {
    let heard = target.says(first).unwrap();
    last(&heard, |message| matches!(message, ToReceiver::List { after: Some(_), .. }))
}

#[test]
fn a_question_about_a_folder_has_one_answer() {
    let (pair, _clock) = Pair::stepped();
    fs::create_dir(pair.here.join("d")).unwrap();
    let no_folder = |op| ToSender::NoFolder { op };
    let failed = |op| ToSender::Outcome { op, outcome: Outcome::Failed { reason: reason() } };
    let absent = |op| ToSender::Outcome { op, outcome: Outcome::Absent };
    let answer = |op| listing(op, &["m", "n"], false);
    // Each is an answer by itself; two are not, whatever they are, nor a receipt instead of one that was owed.
    let answers: [&dyn Fn(u64) -> ToSender; 5] =
        [&answer, &|op| listing(op, &["z"], true), &no_folder, &failed, &absent];
    for first in answers {
        for second in answers {
            for rest in [false, true] {
                let mut sender = pair.new_sender();
                let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
                let mut op = compared(&pair, &mut target);
                if rest {
                    op = asked_on(&mut target, &answer(op));
                }
                let first = if rest { listing(op, &["o"], false) } else { first(op) };
                assert!(!violates(target.says(&first)), "{first:?}");
                assert!(violates(target.says(&second(op))), "{first:?}, then {:?}", second(op));
            }
        }
    }
}

#[test]
fn a_listing_goes_on_behind_its_last_name() {
    let (pair, _clock) = Pair::stepped();
    fs::create_dir(pair.here.join("d")).unwrap();
    let again = |op| listing(op, &["n"], true);
    let back = |op| listing(op, &["a"], true);
    let receipt = |op| ToSender::Applied { upto: op };
    let lies: [&dyn Fn(u64) -> ToSender; 3] = [&again, &back, &receipt];
    for lie in lies {
        let mut sender = pair.new_sender();
        let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
        let op = compared(&pair, &mut target);
        let op = asked_on(&mut target, &listing(op, &["m", "n"], false));
        assert!(violates(target.says(&lie(op))), "{:?} behind n", lie(op));
    }
}

#[test]
fn content_that_was_sent_is_not_wanted() {
    let (pair, _clock) = Pair::stepped();
    fs::write(pair.here.join("f"), "content").unwrap();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    pair.entry("f", Cause::CREATED | Cause::WRITTEN);
    let op = last(&target.hears().unwrap(), |message| matches!(message, ToReceiver::Put { .. }));
    assert!(violates(target.says(&ToSender::Outcome { op, outcome: Outcome::Want })));
}

#[test]
fn a_count_comes_once() {
    let (pair, _clock) = Pair::stepped();
    fs::write(pair.here.join("f"), "content").unwrap();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    fs::create_dir(pair.here.join("d")).unwrap();
    let asked = compared(&pair, &mut target);
    let heard = target.says(&listing(asked, &["extra"], true)).unwrap();
    let op = last(&heard, |message| matches!(message, ToReceiver::Count { .. }));
    target.says(&ToSender::Counted { op, entries: 1 }).unwrap();
    assert!(violates(target.says(&ToSender::Counted { op, entries: 1 })));
}

#[test]
fn what_answers_nothing_is_a_violation_when_it_comes_too_often_at_once() {
    let chatter = [
        ToSender::Pong,
        ToSender::Applied { upto: 1 },
        ToSender::Durable { upto: 1 },
        ToSender::Copied { id: 7, bytes: 0 },
    ];
    for says in chatter {
        let (mut pair, _clock) = Pair::stepped();
        pair.durability = Durability::Batch;
        let mut sender = pair.new_sender();
        let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
        fs::write(pair.here.join("f"), "content").unwrap();
        pair.entry("f", Cause::CREATED | Cause::WRITTEN);
        target.hears().unwrap();
        let mut times = 0;
        while !violates(target.says(&says)) {
            times += 1;
            assert!(times < 2 * limits::CHATTER, "{says:?} without end");
        }
        assert!(times >= limits::CHATTER, "{says:?} only {times} times");
    }
}

#[test]
fn signs_of_life_may_come_for_ever() {
    let (pair, clock) = Pair::stepped();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    for _ in 0..2 * limits::CHATTER {
        clock.advance(Duration::from_secs(1));
        target.says(&ToSender::Pong).unwrap();
    }
}

/// A file of which the target may have an older version, up to the question for that.
fn asked(pair: &Pair, target: &mut Scripted<'_>) -> u32 {
    fs::write(pair.here.join("f"), vec![7; 1_000_000]).unwrap();
    pair.entry("f", Cause::WRITTEN);
    let heard = target.hears().unwrap();
    let basis = heard.iter().find_map(|(_, message)| match message {
        ToReceiver::Basis { id, .. } => Some(*id),
        _ => None,
    });
    basis.expect("it has asked for no basis")
}

fn signature(id: u32, size: u64, chunks: usize, last: bool) -> ToSender {
    ToSender::Signature { id, size, chunks: vec![Chunk { length: 8192, digest: [1; 16] }; chunks], last }
}

#[test]
fn what_cannot_be_a_signature_is_a_violation() {
    let (pair, _clock) = Pair::stepped();
    // Of each part its size, its chunks, and whether it is the last.
    let lies = [
        ("goes on behind its end", [(1 << 20, 1, true), (1 << 20, 1, true)]),
        ("is of another size with each part", [(1 << 20, 1, false), (1 << 21, 1, false)]),
        ("is of nothing", [(0, 1, true); 2]),
        ("is nothing, twice", [(0, 0, true); 2]),
    ];
    for (what, parts) in lies {
        let mut sender = pair.new_sender();
        let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
        let id = asked(&pair, &mut target);
        let mut told =
            parts.into_iter().map(|(size, chunks, last)| violates(target.says(&signature(id, size, chunks, last))));
        assert!(told.any(|violated| violated), "a signature that {what}");
    }
}

#[test]
fn a_signature_without_end_is_a_violation() {
    let (pair, _clock) = Pair::stepped();
    // Of a file that is on its way, and of one that is not any more.
    for gone in [false, true] {
        let mut sender = pair.new_sender();
        let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
        let id = asked(&pair, &mut target);
        if gone {
            fs::write(pair.here.join("f"), "small now").unwrap();
            pair.entry("f", Cause::WRITTEN);
            target.hears().unwrap();
        }
        let most = limits::CHUNKS / 10_000 + 1;
        let part = signature(id, 1 << 40, 10_000, false);
        let times = (0..10 * most).take_while(|_| !violates(target.says(&part))).count();
        assert!(times <= most, "{times} parts");
    }
}

#[test]
fn of_a_signature_nothing_is_taken_behind_what_is_enough() {
    let part = |count| vec![Chunk { length: 8192, digest: [1; 16] }; count];
    let mut delta = Delta::default();
    assert!(delta.signed(1 << 30, part(3), false));
    // The next part is too large to be held, and the one after it would stand in its place.
    delta.is_enough();
    assert!(delta.signed(1 << 30, part(2), false) && delta.signed(1 << 30, part(1), true));
    assert_eq!(delta.held(), 3);
}

#[test]
fn what_waits_for_a_signature_that_does_not_come_is_bounded() {
    let (pair, _clock) = Pair::stepped();
    fs::File::create(pair.here.join("f")).unwrap().set_len(256 << 20).unwrap();
    let mut sender = pair.new_sender();
    let target = Scripted::new(&pair, &mut sender, Until::Stopped);
    let (folder, name, stat) = target.session.find(&path("f")).unwrap().unwrap();
    let (file, _) = folder.open(&name).unwrap();
    let mut delta = Delta::default();
    assert!(delta.signed(1 << 20, vec![Chunk { length: 8192, digest: [1; 16] }], false));
    let (mut at, mut later) = (0, 0);
    loop {
        match delta.find(&file, at..stat.size).unwrap() {
            Segment::Later(bytes) => (at, later) = (at + bytes, later + 1),
            Segment::Unknown => break,
            other => panic!("{other:?} at {at}"),
        }
    }
    assert!(later == UNMATCHED && at < stat.size, "{later} chunks, up to {at}");
    // It goes on with the end of the signature.
    assert!(delta.signed(1 << 20, Vec::new(), true));
    assert_eq!(delta.find(&file, at..stat.size).unwrap(), Segment::New(0..at / later as u64));
}
