//! Targets that ask again and again for what they were sent: what leaves in an hour is bounded by what there is, and whoever
//! does not ask gets all that changes.

use std::os::unix::fs::FileExt;

use proto::{Kind, Outcome, ToReceiver, ToSender};

use super::liars::reason;
use super::scripted::Scripted;
use super::*;
use crate::sender::looks::{Look, Why};
use crate::sender::pass::Difference;

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
        ToReceiver::Put { content: proto::Content::Asked { .. }, .. } => outcome(op, Outcome::Want),
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

/// To a module that joins them, and to one to which each is a file of its own.
#[test]
fn of_files_with_ten_names_a_target_gets_three_times_the_files_in_an_hour() {
    const FILES: u64 = 40 * 1_800_000;
    const TREE: u64 = 40 * 900_000;
    let lies: [(&str, Says); 6] = [
        ("it has nothing, at each connection", none),
        ("the names are not there", |op, message| match message {
            ToReceiver::Link { .. } => outcome(op, Outcome::Absent),
            _ => none(op, message),
        }),
        ("no name can be joined, nor has one the content", |op, message| match message {
            ToReceiver::Link { .. } => outcome(op, Outcome::Refused { reason: reason() }),
            ToReceiver::Offer { .. } => outcome(op, Outcome::Want),
            _ => none(op, message),
        }),
        ("no name takes a file", |op, message| match message {
            ToReceiver::Put { .. } => outcome(op, Outcome::Refused { reason: reason() }),
            _ => none(op, message),
        }),
        ("each file has failed", |op, message| match message {
            ToReceiver::Put { .. } => outcome(op, Outcome::Failed { reason: reason() }),
            _ => none(op, message),
        }),
        ("what is offered is not there", |op, message| match message {
            ToReceiver::Link { .. } => outcome(op, Outcome::Absent),
            ToReceiver::Offer { .. } => outcome(op, Outcome::Want),
            _ => none(op, message),
        }),
    ];
    for (what, says) in lies {
        let (pair, clock) = Pair::stepped();
        four_folders(&pair, 16_200_000, 10);
        let (content, _) = an_hour(&pair, &clock, says, Duration::from_secs(40));
        assert!(content >= FILES, "{what}: only {content} bytes in all");
        assert!(content <= 3 * FILES + FILES / 4, "{what}: {content} bytes for {FILES}");
    }
    let (mut pair, clock) = Pair::stepped();
    pair.keep = Keep::DEFAULT.iter().filter(|kept| *kept != proto::Kept::Hardlinks).collect();
    four_folders(&pair, 7_200_000, 3);
    let (content, _) = an_hour(&pair, &clock, none, Duration::from_secs(40));
    assert!((3 * TREE..=5 * TREE + TREE / 4).contains(&content), "{content} bytes for {TREE}");
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
fn what_changes_at_the_source_is_sent_however_often_it_does() {
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

#[test]
fn large_files_that_wait_for_each_other_are_part_of_what_there_is() {
    const FILES: u64 = 12;
    let (pair, _clock) = Pair::stepped();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    pair.hint(Hint::Subtree { path: RelPath::root() });
    target.hears().unwrap();
    // Met by name alone, while the pass over all goes on.
    let (ticket, why) = (target.session.flight.get(2).unwrap().0, Why::Differs(Difference::Missing));
    for name in (0..FILES).map(|n| format!("f{n}")) {
        fs::write(pair.here.join(&name), vec![1; 1_000_000]).unwrap();
        target.session.queue_look(Look { kind: Some(Kind::File), ..Look::new(ticket, path(&name), why) });
    }
    let heard = target.hears().unwrap();
    assert_eq!(heard.iter().filter(|(_, message)| matches!(message, ToReceiver::Put { .. })).count(), 12);
    assert_eq!(pair.mirror.account.counted().bytes, FILES * 1_000_000);
}

#[test]
fn a_version_that_comes_while_another_is_sent_again_is_new() {
    let (pair, clock) = Pair::stepped();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    let write = |byte| fs::write(pair.here.join("f"), vec![byte; 10_000_000]).unwrap();
    let is_put = |message: &ToReceiver| matches!(message, ToReceiver::Put { .. });
    write(1);
    pair.entry("f", Cause::CREATED | Cause::WRITTEN);
    let heard = target.hears().unwrap();
    let (op, _) = heard.iter().find(|(_, message)| is_put(message)).expect("it is not sent");
    target.says(&ToSender::Outcome { op: *op, outcome: Outcome::Failed { reason: reason() } }).unwrap();
    assert_eq!(pair.mirror.account.again().bytes, 0);
    // It is sent once more, and becomes another meanwhile.
    clock.advance(Duration::from_secs(60));
    let (content, mut heard) = (target.content, target.hears().unwrap());
    write(2);
    while !heard.iter().any(|(_, message)| is_put(message)) {
        let answer = heard.iter().find_map(|(op, message)| none(*op, message)).expect("it is not sent again");
        heard = target.says(&answer).unwrap();
    }
    let (sent, again) = (target.content - content, pair.mirror.account.again().bytes);
    assert!(sent > 19_000_000 && again < 11_000_000, "{again} of {sent} bytes are taken to be sent again");
}
