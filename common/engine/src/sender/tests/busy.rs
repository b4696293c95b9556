//! Files that never hold still, by a clock that the test sets: when each is tried, and what is said of it.

use std::collections::VecDeque;

use proto::{Entry, Kept, Kind, Outcome, ToReceiver};
use sys::faults::{self, Verb};

use super::liars::entry;
use super::scripted::Scripted;
use super::*;

/// From here on the file is written anew, with another size, before each question for content or metadata, of anything.
fn agitate(at: &Path, size: usize) {
    fs::write(at, vec![b'.'; size]).unwrap();
    let (file, mut versions) = (fs::File::options().write(true).open(at).unwrap(), 0);
    faults::plan(move |verb| {
        if verb == Verb::Read {
            versions += 1;
            let bytes = vec![b'a' + (versions % 26) as u8; size - versions % 1000];
            file.set_len(bytes.len() as u64).unwrap();
            file.write_all_at(&bytes, 0).unwrap();
        }
        None
    });
}

/// One whose sender takes steps, and looks at what is written once a second.
fn watched() -> (Pair, Clock) {
    let (mut pair, clock) = Pair::stepped();
    let second = Duration::from_secs(1);
    let rules = Rules { settle: Duration::ZERO, open_settle: second, open_max_delay: second, holds: HOLDS };
    pair.mirror = Arc::new(Mirror::new(rules, clock.clone()));
    (pair, clock)
}

/// What comes in so many seconds, in each of which a file is written: what is put, and whether that is inexact. All is done.
fn puts(target: &mut Scripted, clock: &Clock, seconds: u32, written: Option<&Path>) -> Vec<(String, bool)> {
    let mut puts = Vec::new();
    for _ in 0..seconds {
        if let Some(at) = written {
            fs::File::options().write(true).open(at).unwrap().set_modified(clock.wall()).unwrap();
        }
        let mut heard = VecDeque::from(target.hears().unwrap());
        while let Some((op, message)) = heard.pop_front() {
            match message {
                ToReceiver::Put { path, inexact, .. } => puts.push((path.to_string(), inexact)),
                ToReceiver::Basis { id, .. } => {
                    let none = ToSender::Signature { id, size: 0, chunks: Vec::new(), last: true };
                    heard.extend(target.says(&none).unwrap());
                }
                ToReceiver::Count { .. } => {
                    heard.extend(target.says(&ToSender::Counted { op, entries: 0 }).unwrap());
                }
                _ => {}
            }
            if heard.is_empty() && op > 0 {
                heard.extend(target.says(&ToSender::Applied { upto: target.operations }).unwrap());
            }
        }
        clock.advance(Duration::from_secs(1));
    }
    puts
}

#[test]
fn a_small_one_is_copied_too_after_three_tries_and_then_once_in_ten_minutes() {
    let (pair, clock) = watched();
    let (size, mut sender) = (200_000, pair.new_sender());
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    agitate(&pair.here.join("f"), size);
    pair.entry("f", Cause::CREATED | Cause::WRITING);
    assert_eq!(puts(&mut target, &clock, 3, None), []);
    assert!(pair.said()[0].contains("keeps its last version"), "{:?}", pair.said());
    let copy = ("f".to_owned(), true);
    assert_eq!(puts(&mut target, &clock, 60, None), [copy.clone(), copy.clone()]);
    assert!(pair.said()[0].contains("an inexact copy"), "{:?}", pair.said());
    let copies = puts(&mut target, &clock, 3000, None);
    assert!((4..=6).contains(&copies.len()) && copies.iter().all(|put| *put == copy), "{copies:?}");
    faults::end();
    pair.entry("f", Cause::WRITTEN);
    assert_eq!(puts(&mut target, &clock, 2, None), [("f".to_owned(), false)]);
    assert!(pair.said().is_empty());
}

/// `mv` in a loop, by who has it open.
#[test]
fn a_file_that_is_renamed_all_the_time_is_not_tried_afresh_for_each_name() {
    for busy_files in [BusyFiles::Wait, BusyFiles::Copy] {
        let (mut pair, clock) = watched();
        pair.options.busy_files = busy_files;
        let (size, mut sender) = (1 << 20, pair.new_sender());
        let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
        agitate(&pair.here.join("0"), size);
        pair.entry("0", Cause::CREATED | Cause::WRITING);
        let mut copies = 0;
        for n in 0..100 {
            let (from, to) = (n.to_string(), (n + 1).to_string());
            let at = pair.here.join(&from);
            copies += puts(&mut target, &clock, 6, Some(&at)).iter().filter(|(_, inexact)| *inexact).count();
            fs::rename(&at, pair.here.join(&to)).unwrap();
            pair.hint(Hint::Renamed { from: path(&from), to: path(&to), folder: false, since: clock.now() });
        }
        // Ten minutes: what its first copy costs, and, of each name that is removed at the target, what is left to be spent.
        let most = if busy_files == BusyFiles::Wait { 4 } else { 9 };
        assert!(target.content <= most * size as u64, "{} bytes of a file of {size}", target.content);
        assert_eq!(copies > 0, busy_files == BusyFiles::Copy);
        faults::end();
        pair.entry("100", Cause::WRITTEN);
        assert_eq!(puts(&mut target, &clock, 60, None), [("100".to_owned(), false)]);
    }
}

#[test]
fn where_it_is_to_wait_or_cannot_be_marked_nothing_is_stored_before_it_holds_still() {
    let unmarked = Keep::EVERYTHING.iter().filter(|kept| ![Kept::Xattrs, Kept::Acls, Kept::Setid].contains(kept));
    for (busy_files, keep) in [(BusyFiles::Wait, Keep::DEFAULT), (BusyFiles::Copy, unmarked.collect())] {
        let (mut pair, clock) = watched();
        (pair.options.busy_files, pair.keep) = (busy_files, keep);
        let (size, at, mut sender) = (1 << 20, pair.here.join("f"), pair.new_sender());
        let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
        agitate(&at, size);
        pair.entry("f", Cause::CREATED | Cause::WRITING);
        assert_eq!(puts(&mut target, &clock, 3600, Some(&at)), []);
        assert!((3..=4).contains(&(target.content.div_ceil(size as u64))), "{} bytes", target.content);
        assert!(pair.said()[0].contains("keeps its last version"), "{:?}", pair.said());
        faults::end();
        assert_eq!(puts(&mut target, &clock, 60, None), [("f".to_owned(), false)]);
        assert!(pair.said().is_empty());
    }
}

/// Its last version is all that the target has of it, for long.
#[test]
fn the_last_version_of_a_file_that_never_holds_still_goes_along_when_it_is_renamed() {
    for (busy_files, pause) in [(BusyFiles::Wait, 0), (BusyFiles::Copy, 0), (BusyFiles::Wait, 1), (BusyFiles::Copy, 1)]
    {
        for taken in [0, 1] {
            let (mut pair, clock) = watched();
            pair.options.busy_files = busy_files;
            let (size, mut sender) = (1 << 20, pair.new_sender());
            let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
            let (f, g) = (pair.here.join("f"), pair.here.join("g"));
            fs::write(&f, vec![b'.'; size]).unwrap();
            pair.entry("f", Cause::CREATED | Cause::WRITTEN);
            assert_eq!(puts(&mut target, &clock, 10, None), [("f".to_owned(), false)]);
            agitate(&f, size);
            pair.entry("f", Cause::WRITING);
            puts(&mut target, &clock, 30, Some(&f));
            // With what was written lately on its way, and while it waits.
            pair.entry("f", Cause::WRITING);
            clock.advance(Duration::from_secs(pause));
            fs::rename(&f, &g).unwrap();
            pair.hint(Hint::Renamed { from: path("f"), to: path("g"), folder: false, since: clock.now() });
            let mut said = Vec::new();
            for _ in 0..3 {
                let mut heard = VecDeque::from(target.hears().unwrap());
                while let Some((op, message)) = heard.pop_front() {
                    let none = |id| ToSender::Signature { id, size: 0, chunks: Vec::new(), last: true };
                    let answer = match message {
                        ToReceiver::Count { .. } => Some(ToSender::Counted { op, entries: taken }),
                        ToReceiver::Basis { id, .. } => Some(none(id)),
                        _ => None,
                    };
                    heard.extend(answer.into_iter().flat_map(|answer| target.says(&answer).unwrap()));
                    said.push(message);
                }
                clock.advance(Duration::from_millis(500));
            }
            target.says(&ToSender::Applied { upto: target.operations }).unwrap();
            let renamed = |message: &ToReceiver| matches!(message, ToReceiver::Rename { to, .. } if *to == path("g"));
            let removed = |message: &ToReceiver| matches!(message, ToReceiver::Remove { .. });
            assert_eq!(said.iter().any(renamed), taken == 0, "{said:?}");
            assert_eq!(said.iter().any(removed), taken == 1, "an older version replaces nothing: {said:?}");
            assert!(!pair.mirror.pending().is_empty(), "it is owed");
            faults::end();
            assert_eq!(puts(&mut target, &clock, 60, None), [("g".to_owned(), false)]);
        }
    }
}

/// A target to which an inexact copy of `f`, written all the time, was sent, and the number of that.
fn copied<'s>(pair: &Pair, clock: &Clock, sender: &'s mut Sender) -> (Scripted<'s>, u64) {
    let mut target = Scripted::new(pair, sender, Until::Stopped);
    agitate(&pair.here.join("f"), 1 << 20);
    pair.entry("f", Cause::CREATED | Cause::WRITTEN);
    for _ in 0..60 {
        let mut heard = VecDeque::from(target.hears().unwrap());
        while let Some((op, message)) = heard.pop_front() {
            match message {
                ToReceiver::Put { inexact: true, .. } => return (target, op),
                ToReceiver::Basis { id, .. } => {
                    let older = ToSender::Signature { id, size: 7, chunks: Vec::new(), last: true };
                    heard.extend(target.says(&older).unwrap());
                }
                _ => {}
            }
        }
        clock.advance(Duration::from_secs(1));
    }
    panic!("no copy was sent");
}

#[test]
fn an_inexact_copy_is_told_of_when_the_target_has_taken_it() {
    for takes in [true, false] {
        let (pair, clock) = watched();
        let mut sender = pair.new_sender();
        let (mut target, op) = copied(&pair, &clock, &mut sender);
        assert!(pair.said().iter().all(|said| !said.contains("inexact")), "{:?}", pair.said());
        if !takes {
            target.says(&ToSender::Outcome { op, outcome: Outcome::Differs }).unwrap();
        }
        target.says(&ToSender::Applied { upto: target.operations }).unwrap();
        assert_eq!((pair.said()[0].contains("an inexact copy"), pair.said().len()), (takes, 1), "{:?}", pair.said());
        faults::end();
    }
}

#[test]
fn where_the_connection_is_lost_before_an_inexact_copy_is_taken_none_is_told_of() {
    let (pair, clock) = watched();
    let mut sender = pair.new_sender();
    drop(copied(&pair, &clock, &mut sender));
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    target.hears().unwrap();
    assert!(pair.said().iter().all(|said| said.contains("keeps its last version")), "{:?}", pair.said());
    faults::end();
}

#[test]
fn a_listing_that_is_older_than_the_exact_version_says_nothing_of_it() {
    let (pair, clock) = watched();
    let mut sender = pair.new_sender();
    let (mut target, _) = copied(&pair, &clock, &mut sender);
    target.says(&ToSender::Applied { upto: target.operations }).unwrap();
    pair.hint(Hint::Folder { path: RelPath::root() });
    let heard = target.hears().unwrap();
    let question = heard.iter().find(|(_, message)| matches!(message, ToReceiver::Compare { .. }));
    let op = question.unwrap_or_else(|| panic!("{heard:?}")).0;
    faults::end();
    pair.entry("f", Cause::WRITTEN);
    let mut heard = VecDeque::new();
    for _ in 0..60 {
        heard.extend(target.hears().unwrap());
        clock.advance(Duration::from_secs(1));
    }
    while let Some((_, message)) = heard.pop_front() {
        if let ToReceiver::Basis { id, .. } = message {
            let none = ToSender::Signature { id, size: 0, chunks: Vec::new(), last: true };
            heard.extend(target.says(&none).unwrap());
        }
    }
    assert!(pair.said().is_empty(), "an exact version is on its way: {:?}", pair.said());
    let here = fs::metadata(pair.here.join("f")).unwrap();
    let entry = Entry { size: here.len(), inexact: true, ..entry("f", Kind::File) };
    target.says(&ToSender::Listing { op, entries: vec![entry], last: true }).unwrap();
    assert!(pair.said().is_empty(), "{:?}", pair.said());
}
