//! What there is much of, and what may not be sent.

use bytes::Bytes;
use proto::{Entry, Kind, Name, ToReceiver, ToSender, codec, limits};

use super::scripted::Scripted;
use super::*;
use crate::channel::BUFFER;
use crate::pack::Unpacker;
use crate::workers::Step;

#[test]
fn many_large_files_at_once_are_sent_a_few_at_a_time() {
    let mut pair = Pair::new();
    pair.pass();
    for n in 0..100 {
        fs::write(pair.here.join(format!("f{n}")), vec![n; 300_000]).unwrap();
        pair.entry(&format!("f{n}"), Cause::CREATED | Cause::WRITTEN);
    }
    pair.entry("", Cause::ENTRIES);
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn reserved_names_are_never_sent() {
    let mut pair = Pair::new();
    let stage = ".recvd-stage-0";
    fs::create_dir_all(pair.here.join("d").join(stage)).unwrap();
    fs::write(pair.here.join("d").join(stage).join("f"), "").unwrap();
    fs::write(pair.here.join("d/out"), "came out of it").unwrap();
    pair.pass();
    fs::write(pair.here.join("d/out"), "came out of it again").unwrap();
    let inside = format!("d/{stage}/f");
    for cause in [Cause::CREATED | Cause::WRITTEN, Cause::GONE] {
        pair.entry(&inside, cause);
    }
    pair.entry(&format!("d/{stage}"), Cause::GONE);
    pair.hint(Hint::Subtree { path: path(&format!("d/{stage}")) });
    pair.hint(Hint::Folder { path: path(&format!("d/{stage}")) });
    let since = std::time::Instant::now();
    pair.hint(Hint::Renamed { from: path(&inside), to: path("d/out"), folder: false, since });
    assert_eq!(pair.sync().0, Ended::InSync);
    fs::rename(pair.here.join("d/out"), pair.here.join(&inside)).unwrap();
    pair.hint(Hint::Renamed { from: path("d/out"), to: path(&inside), folder: false, since });
    assert_eq!(pair.sync().0, Ended::InSync);
    assert!(!pair.there.join("d/out").exists() && !pair.there.join("d").join(stage).exists());
}

#[test]
fn a_file_with_many_names_that_loses_one_is_looked_at_once() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("n0"), "content").unwrap();
    for n in 1..500 {
        fs::hard_link(pair.here.join("n0"), pair.here.join(format!("n{n}"))).unwrap();
    }
    pair.pass();
    fs::remove_file(pair.here.join("n7")).unwrap();
    pair.entry("n7", Cause::GONE);
    pair.entry("", Cause::ENTRIES);
    let (ended, took) = pair.sync();
    assert_eq!((ended, took.files), (Ended::InSync, 0));
    assert!(took.wire_bytes < 16 * 1024, "{} bytes for one name of 500", took.wire_bytes);
    pair.assert_equal();
}

#[test]
fn a_sender_whose_outbox_is_full_goes_on_hearing_and_keeps_little() {
    let mut pair = Pair::new();
    (pair.options.workers, pair.compress) = (Workers::Inline, Compress::Off);
    for n in 0..200 {
        fs::write(pair.here.join(format!("f{n}")), vec![n; 200_000]).unwrap();
    }
    pair.hint(Hint::Subtree { path: RelPath::root() });
    let mut sender = pair.new_sender();
    let (outbox, mut frames) = mpsc::channel(OUTBOX);
    let (answers, receipts) = answers(1, &pair.policy);
    let (keep, durability, compress) = (pair.keep, pair.durability, pair.compress);
    let mut session = sender.begin(
        Connection { outbox, receipts, keep, durability, compress, version: proto::Version::HIGHEST },
        Until::Stopped,
    );
    let says = |message: &ToSender| {
        answers.try_send(frame(message)).expect("it does not take what it is told");
    };
    // The target has nothing.
    while session.step() == Step::Worked {}
    says(&ToSender::NoFolder { op: 2 });
    while session.step() == Step::Worked {}
    let kept = |session: &crate::sender::Session<'_>| session.wire.outlet().kept_bytes() + session.wire.buffer.len();
    assert!(session.wire.is_full());
    for _ in 0..1000 {
        says(&ToSender::Pong);
        while session.step() == Step::Worked {}
        assert!(kept(&session) < 2 * BUFFER, "{} bytes are kept", kept(&session));
    }
    // It goes on where it was, as soon as somebody reads.
    let mut operations = 0;
    while let Ok(mut buffer) = frames.try_recv() {
        operations += count(&mut buffer);
        while session.step() == Step::Worked {
            assert!(kept(&session) < 2 * BUFFER, "{} bytes are kept", kept(&session));
        }
    }
    assert_eq!(operations, 200 + 3, "the files, the root, its comparison and its end");
}

/// Operations in a buffer of frames.
fn count(frames: &mut Bytes) -> u64 {
    let messages = std::iter::from_fn(|| codec::split(frames, limits::FRAME).unwrap());
    messages.map(|frame| u64::from(ToReceiver::decode(frame, proto::Version::HIGHEST).unwrap().is_operation())).sum()
}

/// What stands in compressed messages, in operations, and the windows that they say.
fn unpacked(unpacker: &mut Unpacker, messages: Vec<(u64, ToReceiver)>) -> (u64, Vec<u8>) {
    let (mut operations, mut windows) = (0, Vec::new());
    for (_, message) in messages {
        match message {
            ToReceiver::Packed { length, bytes } => {
                let mut frames = unpacker.unpack(length, &bytes).unwrap();
                while let Some(frame) = codec::split(&mut frames, limits::FRAME).unwrap() {
                    let message = ToReceiver::decode(frame, proto::Version::HIGHEST).unwrap();
                    operations += u64::from(message.is_operation());
                }
            }
            ToReceiver::Windowed { log } => {
                unpacker.windowed(log).unwrap();
                windows.push(log);
            }
            _ => {}
        }
    }
    (operations, windows)
}

#[test]
fn a_quiet_sender_ends_its_compressed_frame_at_the_moment_that_it_waits_for_and_then_waits_for_nothing() {
    let (mut pair, clock) = Pair::stepped();
    pair.compress = Compress::Level(1);
    let mut sender = pair.new_sender();
    let (mut target, mut unpacker) = (Scripted::new(&pair, &mut sender, Until::Stopped), Unpacker::default());
    target.hears().unwrap();
    // The first report is told: what is stored within a second is none.
    clock.advance(Duration::from_secs(1));
    target.hears().unwrap();
    assert_eq!(target.due, None);
    for (round, text) in ["all work and no play ", "makes a dull boy of him "].into_iter().enumerate() {
        fs::write(pair.here.join("text"), text.repeat(1000)).unwrap();
        pair.entry("text", Cause::WRITTEN);
        let (operations, windows) = unpacked(&mut unpacker, target.hears().unwrap());
        assert_eq!((operations, windows, unpacker.is_open()), (1, Vec::new(), true));
        target.says(&ToSender::Applied { upto: target.operations + 1 + round as u64 }).unwrap();
        let due = target.due.expect("the moment at which the frame ends");
        let granted = target.says(&ToSender::Window { log: 23 }).unwrap();
        assert_eq!((granted, target.due), (Vec::new(), Some(due)), "there is nothing to compress now");
        clock.advance(due - clock.now() - Duration::from_millis(1));
        assert_eq!((target.hears().unwrap(), target.due), (Vec::new(), Some(due)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(unpacked(&mut unpacker, target.hears().unwrap()), (0, vec![20]), "it has no use for it any more");
        assert_eq!((unpacker.is_open(), target.due), (false, None));
    }
}

#[test]
fn all_comparisons_together_hold_so_much_of_what_goes_and_all_of_it_goes_in_the_end() {
    const MOST: usize = 10_000;
    let (pair, clock) = Pair::stepped();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    target.session.passes.most = MOST;
    // What only the target has: in each of 12 folders more than all may hold.
    let mut there = std::collections::BTreeSet::new();
    for folder in 0..12 {
        fs::create_dir(pair.here.join(format!("d{folder}"))).unwrap();
        pair.hint(Hint::Folder { path: path(&format!("d{folder}")) });
        there.extend((100..200).map(|file| path(&format!("d{folder}/f{file}"))));
    }
    let (mut heard, mut together) = (target.hears().unwrap(), 0);
    for turn in 0.. {
        assert!(turn < 1000, "{} are left", there.len());
        let (mut answers, mut upto) = (Vec::new(), 0);
        for (op, message) in heard {
            upto = if message.is_operation() { op } else { upto };
            let (folder, after) = match message {
                ToReceiver::Remove { path, .. } => {
                    assert!(there.remove(&path), "{path} goes twice");
                    continue;
                }
                ToReceiver::Count { path } => {
                    // In other folders it has much that stays.
                    let others = if path.is_root() { 1_000_000 } else { 1 };
                    let inside = there.iter().filter(|file| file.is_within(&path)).count() as u64;
                    answers.push(ToSender::Counted { op, entries: others + inside });
                    continue;
                }
                ToReceiver::Compare { path, .. } => (path, None),
                ToReceiver::List { path, after } => (path, after),
                _ => continue,
            };
            let behind = there.iter().filter_map(RelPath::split).filter(|(above, _)| *above == folder);
            let names = behind.map(|(_, name)| name).filter(|name| Some(name) > after.as_ref());
            let names: Vec<_> = names.take(31).collect();
            let entries = names.iter().take(30).map(file).collect();
            answers.push(ToSender::Listing { op, entries, last: names.len() < 31 });
        }
        together = together.max(answers.iter().filter(|one| matches!(one, ToSender::Listing { .. })).count());
        heard = Vec::new();
        for answer in answers.into_iter().chain((upto > 0).then_some(ToSender::Applied { upto })) {
            heard.extend(target.says(&answer).unwrap());
            let held = MOST - target.session.passes.room();
            let extras = target.session.passes.extras();
            assert!(held < MOST + 200 && extras <= MOST / 128 + 1, "{extras} are held, {held} bytes");
        }
        if heard.is_empty() && there.is_empty() && pair.mirror.pending().is_empty() {
            break;
        }
        if heard.is_empty() {
            clock.advance(Duration::from_secs(1));
            heard = target.hears().unwrap();
        }
    }
    assert_eq!((together, target.session.passes.room()), (12, MOST));
}

fn file(name: &Name) -> Entry {
    let (mtime, device, extra) = Default::default();
    let (name, kind) = (name.clone(), Kind::File);
    Entry { name, kind, size: 1, mode: 0o644, uid: 0, gid: 0, mtime, device, extra, inexact: false }
}
