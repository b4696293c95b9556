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

fn reason() -> String {
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

/// Of folders.
fn listing(op: u64, names: &[&str], last: bool) -> ToSender {
    let entry = |name: &&str| proto::Entry {
        name: proto::Name::parse(name.as_bytes()).unwrap(),
        kind: proto::Kind::Dir,
        size: 0,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: proto::Time::default(),
        device: proto::Device::default(),
        extra: [0; 16],
        inexact: false,
    };
    ToSender::Listing { op, entries: names.iter().map(entry).collect(), last }
}

#[test]
fn a_question_about_a_folder_has_one_answer_and_a_listing_goes_on_in_order() {
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
                pair.hint(Hint::Subtree { path: path("d") });
                let mut op = last(&target.hears().unwrap(), |message| matches!(message, ToReceiver::Compare { .. }));
                if rest {
                    let heard = target.says(&answer(op)).unwrap();
                    let asks = |message: &ToReceiver| matches!(message, ToReceiver::List { after: Some(_), .. });
                    op = last(&heard, asks);
                }
                let first = if rest { listing(op, &["o"], false) } else { first(op) };
                assert!(!violates(target.says(&first)), "{first:?}");
                assert!(violates(target.says(&second(op))), "{first:?}, then {:?}", second(op));
            }
        }
    }
    let again = |op| listing(op, &["n"], true);
    let back = |op| listing(op, &["a"], true);
    let receipt = |op| ToSender::Applied { upto: op };
    let lies: [&dyn Fn(u64) -> ToSender; 3] = [&again, &back, &receipt];
    for lie in lies {
        let mut sender = pair.new_sender();
        let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
        pair.hint(Hint::Subtree { path: path("d") });
        let op = last(&target.hears().unwrap(), |message| matches!(message, ToReceiver::Compare { .. }));
        let heard = target.says(&answer(op)).unwrap();
        let op = last(&heard, |message| matches!(message, ToReceiver::List { .. }));
        assert!(violates(target.says(&lie(op))), "{:?} behind n", lie(op));
    }
}

#[test]
fn only_what_asks_is_wanted_and_a_count_comes_once() {
    let (pair, _clock) = Pair::stepped();
    fs::write(pair.here.join("f"), "content").unwrap();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    pair.entry("f", Cause::CREATED | Cause::WRITTEN);
    let op = last(&target.hears().unwrap(), |message| matches!(message, ToReceiver::Put { .. }));
    assert!(violates(target.says(&ToSender::Outcome { op, outcome: Outcome::Want })));

    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    fs::create_dir(pair.here.join("d")).unwrap();
    pair.hint(Hint::Subtree { path: path("d") });
    let asked = last(&target.hears().unwrap(), |message| matches!(message, ToReceiver::Compare { .. }));
    let heard = target.says(&listing(asked, &["extra"], true)).unwrap();
    let op = last(&heard, |message| matches!(message, ToReceiver::Count { .. }));
    target.says(&ToSender::Counted { op, entries: 1 }).unwrap();
    assert!(violates(target.says(&ToSender::Counted { op, entries: 1 })));
}

#[test]
fn what_answers_nothing_is_heard_a_number_of_times() {
    let chatter = [
        ToSender::Pong,
        ToSender::Applied { upto: 1 },
        ToSender::Durable { upto: 1 },
        ToSender::Copied { id: 7, bytes: 0 },
    ];
    for says in chatter {
        let (mut pair, clock) = Pair::stepped();
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
        // As signs of life come, it may be said for ever.
        let mut sender = pair.new_sender();
        let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
        for _ in 0..2 * limits::CHATTER {
            clock.advance(Duration::from_secs(1));
            target.says(&ToSender::Pong).unwrap();
        }
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

#[test]
fn a_signature_ends() {
    let chunk = |length: u32| Chunk { length, digest: [1; 16] };
    let (pair, _clock) = Pair::stepped();
    let signature = |id, size, chunks, last| ToSender::Signature { id, size, chunks, last };
    // What cannot be a signature.
    // Size, chunks, and whether it is the last.
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
        let mut told = parts.into_iter().map(|(size, chunks, last)| {
            let chunks = vec![chunk(8192); chunks];
            violates(target.says(&signature(id, size, chunks, last)))
        });
        assert!(told.any(|violated| violated), "a signature that {what}");
    }
    // One that never ends, of a file that is on its way, and of one that is not any more.
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
        let part = signature(id, 1 << 40, vec![chunk(8192); 10_000], false);
        let times = (0..10 * most).take_while(|_| !violates(target.says(&part))).count();
        assert!(times <= most, "{times} parts");
    }
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

/// What a target says of each message, or nothing.
type Says = fn(u64, &ToReceiver) -> Option<ToSender>;

/// Bytes of content and operations that leave in an hour to a target that says this, which drops the link after each `lasts`.
fn an_hour(pair: &Pair, clock: &Clock, says: Says, lasts: Duration) -> (u64, u64) {
    let (began, mut sender) = (clock.now(), pair.new_sender());
    let (mut content, mut operations) = (0, 0);
    while clock.since(began) < Duration::from_secs(3600) {
        // It says that somebody else wrote there.
        pair.hint(Hint::Subtree { path: RelPath::root() });
        let (connected, mut target) = (clock.now(), Scripted::new(pair, &mut sender, Until::Stopped));
        let mut next = target.hears();
        while clock.since(connected) < lasts && clock.since(began) < Duration::from_secs(3600) {
            let mut answers = Vec::new();
            for (op, message) in next.expect("it takes this for a violation") {
                answers.extend(says(op, &message));
                if message.is_operation() {
                    answers.push(ToSender::Applied { upto: op });
                }
            }
            next = Ok(Vec::new());
            let waits = answers.is_empty();
            for answer in answers {
                next.as_mut().unwrap().extend(target.says(&answer).expect("it takes this for a violation"));
            }
            if waits {
                let due = target.due.unwrap_or(clock.now() + Duration::from_secs(10));
                clock.advance_to(
                    due.clamp(clock.now() + Duration::from_millis(1), clock.now() + Duration::from_secs(10)),
                );
                next = target.hears();
            }
        }
        (content, operations) = (content + target.content, operations + target.operations);
    }
    (content, operations)
}

fn outcome(op: u64, outcome: Outcome) -> Option<ToSender> {
    Some(ToSender::Outcome { op, outcome })
}

fn none(op: u64, message: &ToReceiver) -> Option<ToSender> {
    match message {
        ToReceiver::Compare { .. } => Some(ToSender::NoFolder { op }),
        ToReceiver::Basis { id, .. } => Some(ToSender::Signature { id: *id, size: 0, chunks: Vec::new(), last: true }),
        _ => None,
    }
}

/// Each of ten files, with so many names, of which one is so large.
fn four_folders(pair: &Pair, large: usize, names: usize) {
    for folder in 0..4 {
        fs::create_dir(pair.here.join(format!("d{folder}"))).unwrap();
        for file in 0..10 {
            let first = pair.here.join(format!("d{folder}/f{file}"));
            fs::write(&first, vec![file; if file < 9 { 200_000 } else { large }]).unwrap();
            for other in 1..names {
                fs::hard_link(&first, pair.here.join(format!("d{folder}/g{other}{file}"))).unwrap();
            }
        }
    }
}

#[test]
fn names_of_one_file_are_sent_each_once_and_beyond_that_twice_the_files() {
    const TREE: u64 = 40 * 900_000;
    let lies: [(&str, Says); 3] = [
        ("it has nothing, at each connection", none),
        ("the names are not there", |op, message| match message {
            ToReceiver::Link { .. } => outcome(op, Outcome::Absent),
            _ => none(op, message),
        }),
        ("each file has failed", |op, message| match message {
            ToReceiver::Put { .. } => outcome(op, Outcome::Failed { reason: reason() }),
            _ => none(op, message),
        }),
    ];
    for (what, says) in lies {
        let (pair, clock) = Pair::stepped();
        four_folders(&pair, 7_200_000, 3);
        let (content, _) = an_hour(&pair, &clock, says, Duration::from_secs(40));
        assert!(content >= 3 * TREE, "{what}: only {content} bytes in all");
        assert!(content <= 5 * TREE + TREE / 4, "{what}: {content} bytes for {TREE}");
    }
}

#[test]
fn whatever_a_target_says_it_gets_three_times_the_tree_in_an_hour() {
    const TREE: u64 = 40 * 2_000_000;
    let lies: [(&str, Says); 5] = [
        ("it has nothing, at each connection", none),
        ("the folder is absent, whatever is put into it", |op, message| match message {
            ToReceiver::Put { path, .. } if path.depth() > 1 => outcome(op, Outcome::Absent),
            _ => none(op, message),
        }),
        ("its folders are empty, at each connection", |op, message| match message {
            ToReceiver::Compare { .. } => Some(ToSender::Listing { op, entries: Vec::new(), last: true }),
            _ => none(op, message),
        }),
        ("each file has failed", |op, message| match message {
            ToReceiver::Put { .. } => outcome(op, Outcome::Failed { reason: reason() }),
            _ => none(op, message),
        }),
        ("each disk is full, for a moment", |op, message| match message {
            ToReceiver::Put { content: proto::Content::Asked { .. }, .. } => outcome(op, Outcome::Want),
            ToReceiver::Put { .. } => outcome(op, Outcome::Full { reason: reason() }),
            _ => none(op, message),
        }),
    ];
    for (what, says) in lies {
        for lasts in [Duration::from_secs(40), Duration::from_secs(7200)] {
            let (pair, clock) = Pair::stepped();
            four_folders(&pair, 18_200_000, 1);
            let (content, operations) = an_hour(&pair, &clock, says, lasts);
            assert!(content >= TREE, "{what}: only {content} bytes in all");
            assert!(content <= 3 * TREE + TREE / 4, "{what}: {content} bytes for {TREE}");
            assert!(operations < 20_000, "{what}: {operations} operations");
            // Who says so once is no liar.
            let honest = what.ends_with("at each connection") && lasts > Duration::from_secs(3600);
            assert_eq!(pair.mirror.pending().is_empty(), honest, "{what}");
            if content > 2 * TREE {
                let error = pair.mirror.target.last_error().unwrap_or_default();
                let asks = pair.mirror.keeps_asking().is_some() && error.contains("keeps asking");
                assert!(asks || error.contains("because"), "{what}: {error:?}");
            }
        }
    }
}

#[test]
fn what_changes_at_the_source_is_sent_however_often_it_does_and_a_person_has_all_sent_anew() {
    let (pair, clock) = Pair::stepped();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    let file = fs::File::create(pair.here.join("log")).unwrap();
    for times in 1..=400 {
        file.write_all_at(&[7; 1000], times * 250_000).unwrap();
        pair.entry("log", Cause::CREATED | Cause::WRITTEN);
        // Half of a megabyte on average, in pieces with holes between them.
        target.hears().unwrap();
        let upto = target.operations;
        target.says(&ToSender::Applied { upto }).unwrap();
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!((pair.mirror.keeps_asking(), pair.mirror.pending().len()), (None, 0));
    let times = pair.mirror.sent.totals().files;
    assert_eq!(times, 400);
}
