//! What a target says of itself is heard before anything is sent, and kept to.

use proto::policy::Bounds;
use proto::{Capabilities, ToReceiver};

use super::scripted::Scripted;
use super::*;
use crate::workers::Step;

fn troubled(pair: &Pair) -> Vec<String> {
    pair.mirror.entries.problems().iter().map(|(path, note)| format!("{path} {}", note.reason)).collect()
}

#[test]
fn before_the_target_has_said_what_it_takes_nothing_is_sent() {
    for until in [Until::Stopped, Until::InSync] {
        let (pair, _) = Pair::stepped();
        fs::write(pair.here.join("f"), "content").unwrap();
        pair.hint(Hint::Subtree { path: RelPath::root() });
        let mut sender = pair.new_sender();
        let mut target = Scripted::mute(&pair, &mut sender, until);
        assert_eq!(target.hears(), Ok(vec![]));
        assert_eq!(target.says(&ToSender::Pong), Ok(vec![]));
        // Whoever moves the bytes answers it.
        assert_eq!(target.says(&ToSender::Ping), Ok(vec![]));
        let policy = ToSender::Policy(Box::default());
        let first = target.says(&policy).unwrap();
        assert!(matches!(first[0], (1, ToReceiver::Make { .. })), "{first:?}");
        assert_eq!(target.says(&policy), Err(Ended::Violation("it has told its rules twice".into())));
    }
}

#[test]
fn what_need_not_be_known_is_skipped_also_before_the_target_has_said_what_it_takes() {
    let (pair, _) = Pair::stepped();
    fs::write(pair.here.join("f"), "content").unwrap();
    pair.hint(Hint::Subtree { path: RelPath::root() });
    let mut sender = pair.new_sender();
    let mut target = Scripted::mute(&pair, &mut sender, Until::InSync);
    let extra = |kind: u8| ToSender::Extra { kind, body: vec![kind; 300 * usize::from(kind - 128)].into() };
    for kind in 128..=159 {
        assert_eq!(target.says(&extra(kind)), Ok(vec![]), "{kind}");
    }
    let mut owed = target.says(&ToSender::Policy(Box::default())).unwrap();
    for kind in 128..=159 {
        owed.extend(target.says(&extra(kind)).unwrap());
    }
    assert!(matches!(owed[..], [(1, ToReceiver::Make { .. }), (2, ToReceiver::Compare { .. })]), "{owed:?}");
    target.says(&extra(140)).unwrap();
    // The first that is none of them.
    let mut frame = bytes::BytesMut::from(&frame(&extra(159))[..]);
    frame[proto::codec::LENGTH] = 160;
    assert!(matches!(target.says_raw(frame.freeze()), Err(Ended::Violation(_))));
}

#[test]
fn rules_that_need_what_is_not_known_are_no_breach_of_the_protocol() {
    use proto::extensions::{Extension, Extensions};
    let of = |number, required| Extension { number, required, value: vec![number as u8; 3].into() };
    for (required, ended) in [(false, Ended::InSync), (true, Ended::Unsupported(77))] {
        let (pair, _) = Pair::stepped();
        let mut sender = pair.new_sender();
        let mut target = Scripted::mute(&pair, &mut sender, Until::InSync);
        let extensions = Extensions::new(vec![of(1, false), of(77, required)]).unwrap();
        let policy = Policy { extensions, ..Policy::default() };
        assert_eq!(target.says(&ToSender::Policy(Box::new(policy))), Err(ended));
    }
}

#[test]
fn a_sender_to_which_nothing_is_owed_waits_for_the_policy_too() {
    let (pair, _) = Pair::stepped();
    let mut sender = pair.new_sender();
    let mut target = Scripted::mute(&pair, &mut sender, Until::InSync);
    assert_eq!(target.session.step(), Step::Idle(None));
    assert_eq!(target.says(&ToSender::Policy(Box::default())), Err(Ended::InSync));
}

#[test]
fn a_disk_with_whole_seconds_up_to_2038_is_compared_by_what_it_holds() {
    let mut pair = Pair::new();
    fill(&pair.here);
    let times = [("a/small", 1_700_000_000, 5), ("a/b/none", 5_000_000_000, 7), ("a/b/c/large", 3, 999_999_999)];
    for (at, secs, nanos) in times {
        let file = fs::File::options().write(true).open(pair.here.join(at)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::new(secs, nanos)).unwrap();
    }
    let full = Capabilities::full();
    pair.policy.capabilities = Capabilities { granularity: 1_000_000_000, last: i32::MAX.into(), ..full };
    assert_eq!(pair.pass().0, Ended::InSync);
    for (at, secs, _) in times {
        let held = fs::metadata(pair.there.join(at)).unwrap();
        assert_eq!((held.mtime(), held.mtime_nsec()), ((secs as i64).min(i32::MAX.into()), 0), "{at}");
    }
    let (ended, took) = pair.pass();
    assert_eq!((ended, took.files, took.removed), (Ended::InSync, 0, 0));
    assert!(took.wire_bytes < 4096, "{} bytes of a tree that is alike", took.wire_bytes);
    // The next connection may lead to another disk.
    pair.policy.capabilities = full;
    pair.pass();
    pair.assert_equal();
}

#[test]
fn a_file_that_is_too_large_there_is_not_sent_in_vain() {
    let mut pair = Pair::new();
    pair.policy.limits = Bounds { file_size: Some(1 << 20), ..Bounds::default() };
    for (name, size) in [("fits", 1 << 20), ("dump", (1 << 20) + 1)] {
        fs::write(pair.here.join(name), vec![7; size]).unwrap();
    }
    for sent in [1, 0] {
        let (ended, took) = pair.pass();
        assert_eq!((ended, took.files), (Ended::InSync, sent));
        assert_eq!(
            troubled(&pair),
            ["dump not stored: 1048577 bytes are more than the module's max_file_size of 1048576 bytes"]
        );
    }
    pair.renamed("dump", "other");
    pair.sync();
    assert_eq!(troubled(&pair).len(), 1);
    fs::write(pair.here.join("other"), "small").unwrap();
    pair.entry("other", Cause::WRITTEN);
    pair.entry("", Cause::ENTRIES);
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn a_file_that_becomes_too_large_while_it_is_sent_is_given_up() {
    let (mut pair, clock) = Pair::stepped();
    pair.policy.limits = Bounds { file_size: Some(2 << 20), ..Bounds::default() };
    let at = pair.here.join("f");
    fs::write(&at, vec![1; 1 << 20]).unwrap();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    target.hears().unwrap();
    pair.entry("f", Cause::CREATED | Cause::WRITTEN);
    // It is opened, and some of it read.
    for _ in 0..3 {
        target.session.step();
    }
    assert_eq!(target.operations, 0);
    fs::File::options().write(true).open(&at).unwrap().set_len(3 << 20).unwrap();
    pair.entry("f", Cause::WRITTEN);
    clock.advance(Duration::from_secs(1));
    let heard = target.hears().unwrap();
    assert!(heard.iter().any(|(_, message)| matches!(message, ToReceiver::Drop { .. })), "{}", heard.len());
    assert_eq!(target.operations, 0, "nothing is put");
    assert_eq!(
        troubled(&pair),
        ["f not stored: 3145728 bytes are more than the module's max_file_size of 2097152 bytes"]
    );
    drop(target);
    assert!(pair.mirror.pending().is_empty());
}

#[test]
fn where_the_disk_cannot_exchange_two_names_both_are_looked_at() {
    for exchange in [true, false] {
        let mut pair = Pair::new();
        pair.policy.capabilities.exchange = exchange;
        for (at, content) in [("a", "one"), ("b", "three"), ("c/x", "five"), ("d/y", "eleven")] {
            let file = pair.here.join(at);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        pair.pass();
        for (one, other) in [("a", "b"), ("c", "d")] {
            let at = |name: &str| pair.here.join(name);
            for (from, to) in [(one, "aside"), (other, one), ("aside", other)] {
                fs::rename(at(from), at(to)).unwrap();
            }
            for (from, to) in [(one, other), (other, one)] {
                let (folder, since) = (one == "c", std::time::Instant::now());
                pair.hint(Hint::Renamed { from: path(from), to: path(to), folder, since });
            }
        }
        pair.entry("", Cause::ENTRIES);
        let mut sender = pair.new_sender();
        let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
        let heard = target.hears().unwrap();
        let exchanges = heard.iter().filter(|(_, message)| matches!(message, ToReceiver::Exchange { .. })).count();
        assert_eq!(exchanges, if exchange { 2 } else { 0 }, "{heard:?}");
        drop(target);
        drop(sender);
        // What was not acknowledged is owed to the next connection.
        assert_eq!(pair.sync().0, Ended::InSync);
        pair.assert_equal();
    }
}
