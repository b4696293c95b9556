//! Each outcome that a target can give, of each kind of operation, each time for an hour: what leaves is bounded by what there
//! is, and nothing is sent over and over.

use std::os::unix::fs::symlink;

use proto::{Content, Kept, Kind, Outcome, ToReceiver, ToSender};

use super::liars::{entry, reason};
use super::scripted::Scripted;
use super::*;

/// More than follow from any answer in an hour. So many entries may leave again in any case.
const OPERATIONS: u64 = 10_000;

type Is = fn(&ToReceiver) -> bool;

fn makes(message: &ToReceiver, kind: Kind) -> bool {
    matches!(message, ToReceiver::Make { meta, .. } if meta.kind == kind)
}

fn asks(message: &ToReceiver) -> bool {
    matches!(message, ToReceiver::Put { content: Content::Asked { .. }, .. })
}

const KINDS: [(&str, Is); 15] = [
    ("a folder", |message| makes(message, Kind::Dir)),
    ("a symbolic link", |message| makes(message, Kind::Symlink)),
    ("a socket", |message| makes(message, Kind::Socket)),
    ("a file", |message| matches!(message, ToReceiver::Put { .. }) && !asks(message)),
    ("a question of room", asks),
    ("metadata of a folder", |message| matches!(message, ToReceiver::Mend { .. })),
    ("metadata", |message| matches!(message, ToReceiver::Offer { .. })),
    ("a link", |message| matches!(message, ToReceiver::Link { .. })),
    ("a rename", |message| matches!(message, ToReceiver::Rename { .. })),
    ("an exchange", |message| matches!(message, ToReceiver::Exchange { .. })),
    ("a removal", |message| matches!(message, ToReceiver::Remove { .. })),
    ("the end of the links", |message| matches!(message, ToReceiver::Settle { .. })),
    ("a comparison", |message| matches!(message, ToReceiver::Compare { .. })),
    ("the rest of a listing", |message| matches!(message, ToReceiver::List { .. })),
    ("a count", |message| matches!(message, ToReceiver::Count { .. })),
];

fn outcomes() -> [Outcome; 7] {
    [
        Outcome::Want,
        Outcome::Absent,
        Outcome::Partly { reason: reason() },
        Outcome::Refused { reason: reason() },
        Outcome::Failed { reason: reason() },
        Outcome::Full { reason: reason() },
        Outcome::ReadOnly { reason: reason() },
    ]
}

/// Whether the protocol has this outcome of this operation.
fn fits(message: &ToReceiver, outcome: &Outcome) -> bool {
    let asks = asks(message);
    match outcome {
        Outcome::Want => asks || matches!(message, ToReceiver::Offer { .. }),
        Outcome::Partly { .. } => {
            let tells = matches!(message, ToReceiver::Compare { .. } | ToReceiver::List { .. });
            !asks && !tells && !matches!(message, ToReceiver::Count { .. })
        }
        _ => true,
    }
}

/// What a target says that has nothing, or has what nobody knows, in parts.
fn says(op: u64, message: &ToReceiver, has_others: bool) -> Option<ToSender> {
    let others = |range: std::ops::Range<u8>| range.map(|n| entry(&format!("zz{n:03}"), Kind::File)).collect();
    Some(match message {
        ToReceiver::Compare { .. } if has_others => ToSender::Listing { op, entries: others(0..20), last: false },
        ToReceiver::List { .. } => ToSender::Listing { op, entries: others(20..25), last: true },
        ToReceiver::Count { .. } => ToSender::Counted { op, entries: 25 },
        ToReceiver::Compare { .. } => ToSender::NoFolder { op },
        ToReceiver::Put { content: Content::Asked { .. }, .. } => ToSender::Outcome { op, outcome: Outcome::Want },
        ToReceiver::Basis { id, .. } => ToSender::Signature { id: *id, size: 0, chunks: Vec::new(), last: true },
        _ => return None,
    })
}

fn tree_of_each_kind(pair: &Pair) -> u64 {
    let at = |name: &str| pair.here.join(name);
    fs::create_dir_all(at("d/e")).unwrap();
    fs::create_dir(at("moving")).unwrap();
    let files = ["a", "b", "d/f", "d/e/g", "one", "other", "moved", "moving/x", "gone"];
    files.iter().for_each(|name| fs::write(at(name), name).unwrap());
    for large in ["large", "d/large"] {
        fs::write(at(large), vec![1; 600_000]).unwrap();
    }
    for (first, name) in [("a", "a2"), ("d/f", "d/e/f2"), ("d/f", "f3")] {
        fs::hard_link(at(first), at(name)).unwrap();
    }
    for place in ["", "d/", "d/e/"] {
        symlink("a", at(&format!("{place}symlink"))).unwrap();
        drop(std::os::unix::net::UnixListener::bind(at(&format!("{place}socket"))).unwrap());
    }
    1_200_000
}

/// What happens at the source, once.
fn changes(pair: &Pair, clock: &Clock) {
    let at = |name: &str| pair.here.join(name);
    let since = clock.now();
    for (from, to, folder) in [("moved", "moved here", false), ("moving", "d/moving here", true)] {
        fs::rename(at(from), at(to)).unwrap();
        pair.hint(Hint::Renamed { from: path(from), to: path(to), folder, since });
    }
    for (from, to) in [("one", "aside"), ("other", "one"), ("aside", "other")] {
        fs::rename(at(from), at(to)).unwrap();
    }
    for (from, to) in [("one", "other"), ("other", "one")] {
        pair.hint(Hint::Renamed { from: path(from), to: path(to), folder: false, since });
    }
    fs::remove_file(at("gone")).unwrap();
    pair.entry("gone", Cause::GONE);
    for name in ["b", "d/e", "d/large"] {
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o700)).unwrap();
        pair.entry(name, Cause::ATTRIBUTES);
    }
    symlink("new", at("d/new")).unwrap();
    pair.entry("d/new", Cause::CREATED);
    fs::hard_link(at("b"), at("b2")).unwrap();
    pair.entry("b2", Cause::CREATED);
    pair.entry("d", Cause::ENTRIES);
    pair.entry("", Cause::ENTRIES);
}

/// Bytes that there are, and bytes of content and operations that leave in an hour to a target that says this of each such
/// operation and drops the link after each `lasts`.
fn an_hour(what: &str, is: Is, outcome: &Outcome, lasts: Duration, has_others: bool) -> (u64, u64, u64) {
    const HOUR: Duration = Duration::from_secs(3600);
    let (mut pair, clock) = Pair::stepped();
    pair.keep = Keep::DEFAULT.iter().chain([Kept::Specials]).collect();
    let tree = tree_of_each_kind(&pair);
    // Nothing is so new that it may have changed unseen.
    clock.advance(Duration::from_secs(10));
    let (began, mut sender) = (clock.now(), pair.new_sender());
    let (mut content, mut operations, mut changed) = (0, 0, false);
    while clock.since(began) < HOUR {
        pair.hint(Hint::Subtree { path: RelPath::root() });
        let (connected, mut target) = (clock.now(), Scripted::new(&pair, &mut sender, Until::Stopped));
        let mut next = target.hears();
        while clock.since(connected) < lasts && clock.since(began) < HOUR {
            let heard = match next {
                Ok(heard) => heard,
                // A person has to look at what it says that it has.
                Err(Ended::Halted(_)) => return (tree, content + target.content, operations + target.operations),
                Err(ended) => panic!("{what}: {ended:?}"),
            };
            assert!(operations + target.operations < 4 * OPERATIONS, "{what}: it spins after {:?}", clock.since(began));
            next = Ok(Vec::new());
            for (op, message) in &heard {
                let lie = is(message) && fits(message, outcome);
                let lie = lie.then(|| ToSender::Outcome { op: *op, outcome: outcome.clone() });
                let answers = lie.or_else(|| says(*op, message, has_others)).into_iter();
                for answer in answers.chain(message.is_operation().then_some(ToSender::Applied { upto: *op })) {
                    let more = target.says(&answer);
                    next = next.and_then(|mut all| {
                        all.extend(more?);
                        Ok(all)
                    });
                }
            }
            if heard.is_empty() {
                if !std::mem::replace(&mut changed, true) {
                    changes(&pair, &clock);
                }
                let (soon, late) = (clock.now() + Duration::from_millis(1), clock.now() + Duration::from_secs(10));
                clock.advance_to(target.due.unwrap_or(late).clamp(soon, late));
                next = target.hears();
            }
        }
        (content, operations) = (content + target.content, operations + target.operations);
    }
    (tree, content, operations)
}

fn hours(lasts: Duration) {
    for (what, is) in KINDS {
        let has_others = ["a removal", "the rest of a listing", "a count"].contains(&what);
        for outcome in outcomes() {
            let what = format!("{outcome:?} to {what}, for {lasts:?}");
            let (tree, content, operations) = an_hour(&what, is, &outcome, lasts, has_others);
            // So many bytes may leave again in any case.
            assert!(content <= 3 * tree + (64 << 20), "{what}: {content} bytes");
            assert!(operations < OPERATIONS, "{what}: {operations} operations");
        }
    }
}

#[test]
fn whatever_a_target_says_of_whichever_operation_nothing_is_sent_over_and_over() {
    hours(Duration::from_secs(7200));
}

#[test]
fn nor_is_it_to_one_that_drops_the_link_each_time() {
    hours(Duration::from_secs(300));
}

#[test]
fn a_folder_that_is_never_there_is_sent_ever_later_and_named() {
    let (pair, clock) = Pair::stepped();
    fs::create_dir(pair.here.join("d")).unwrap();
    pair.entry("d", Cause::CREATED);
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    let (mut heard, mut times, mut sent) = (target.hears().unwrap(), Vec::new(), 0);
    while times.len() < 18 {
        for (op, message) in std::mem::take(&mut heard) {
            if makes(&message, Kind::Dir) || matches!(message, ToReceiver::Mend { .. }) {
                sent += 1;
                if times.last() != Some(&clock.now()) {
                    times.push(clock.now());
                }
                heard.extend(target.says(&ToSender::Outcome { op, outcome: Outcome::Absent }).unwrap());
            }
            heard.extend(says(op, &message, false).map_or(Ok(Vec::new()), |answer| target.says(&answer)).unwrap());
            heard.extend(target.says(&ToSender::Applied { upto: op }).unwrap());
        }
        if heard.is_empty() {
            clock.advance_to(target.due.expect("it is not sent any more").max(clock.now()));
            heard = target.hears().unwrap();
        }
    }
    assert_eq!(times[17] - times[16], Duration::from_secs(60), "{times:?}");
    let error = pair.mirror.target.last_error().unwrap_or_default();
    assert!(error.starts_with("d: the target says again and again"), "{error:?}");
    let again = pair.mirror.account.again().entries;
    assert!(again >= sent && again < 2 * sent, "{again} of {sent}");
}
