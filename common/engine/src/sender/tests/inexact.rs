//! What the target has of a file that was not of one moment is sent again, however equal it looks.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use proto::{INEXACT, Kept, Name, ToReceiver};
use sys::faults::{self, Verb};

use super::scripted::Scripted;
use super::*;

/// Has a receiver's file of this content, marked as not being of one moment, stand in a folder, with the metadata of what
/// stands there.
fn tear(root: &Path, at: &str, content: &[u8]) {
    let tree = Arc::new(Tree::open(root, Mounts::Stay).unwrap());
    let (folder, name) = (tree.root().unwrap(), Name::parse(at.as_bytes()).unwrap());
    let stage = Arc::new(sys::Stage::new(tree).unwrap());
    let meta = folder.meta(&name, &folder.lookup(&name).unwrap().unwrap(), Keep::DEFAULT).unwrap();
    let file = stage.file(meta.size).unwrap();
    file.write_at(content, 0).unwrap();
    file.mark_inexact().unwrap();
    let before = folder.stat().unwrap().mtime;
    file.finish(&meta, Keep::DEFAULT).unwrap().publish(&folder, &name, &stage).unwrap();
    stage.rest().unwrap();
    folder.set_mtime(before).unwrap();
}

fn is_marked(at: &Path) -> bool {
    rustix::fs::getxattr(at, INEXACT, &mut [0; 8][..]).is_ok()
}

#[test]
fn a_pass_sends_its_content_and_the_next_nothing() {
    for durability in [Durability::None, Durability::Batch] {
        let mut pair = Pair::new();
        pair.durability = durability;
        let large = vec![7; 1 << 20];
        fs::write(pair.here.join("f"), "whole").unwrap();
        fs::write(pair.here.join("large"), &large).unwrap();
        fs::write(pair.here.join("still"), "still").unwrap();
        pair.pass();
        tear(&pair.there, "f", b"w");
        // Equal by chance: nobody can know.
        tear(&pair.there, "large", &large);
        let (ended, took) = pair.pass();
        assert_eq!((ended, took.files), (Ended::InSync, 2));
        pair.assert_equal();
        assert!(!is_marked(&pair.there.join("f")) && !is_marked(&pair.there.join("large")));
        assert_eq!(pair.pass().1.files, 0);
    }
}

#[test]
fn other_metadata_at_the_source_sends_its_content() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("f"), "whole").unwrap();
    pair.pass();
    tear(&pair.there, "f", b"w");
    fs::set_permissions(pair.here.join("f"), fs::Permissions::from_mode(0o600)).unwrap();
    pair.entry("f", Cause::ATTRIBUTES);
    let (ended, took) = pair.sync();
    assert_eq!((ended, took.files), (Ended::InSync, 1));
    pair.assert_equal();
    assert!(!is_marked(&pair.there.join("f")));
}

#[test]
fn all_names_of_it_become_names_of_what_is_sent() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("a"), "whole").unwrap();
    fs::hard_link(pair.here.join("a"), pair.here.join("b")).unwrap();
    pair.pass();
    tear(&pair.there, "a", b"w");
    fs::remove_file(pair.there.join("b")).unwrap();
    fs::hard_link(pair.there.join("a"), pair.there.join("b")).unwrap();
    assert_eq!(pair.pass().0, Ended::InSync);
    pair.assert_equal();
    assert!(!is_marked(&pair.there.join("a")));
}

/// Where a source is itself a backup.
#[test]
fn a_mark_at_the_source_is_no_difference() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("f"), "whole").unwrap();
    tear(&pair.here, "f", b"whole");
    assert!(is_marked(&pair.here.join("f")));
    assert_eq!(pair.pass().1.files, 1);
    pair.assert_equal();
    assert!(!is_marked(&pair.there.join("f")));
    assert_eq!(pair.pass().1.files, 0);
}

/// Bytes of a file that is large enough to be read for longer than the clock of its file system ticks.
const LARGE: u64 = 24 << 20;

impl Pair {
    /// Sends what is owed while `f` is written all the time, and cut short and lengthened, so that no two looks see the same.
    fn sync_while_written(&mut self, size: u64) -> (Ended, Totals) {
        let (at, stop) = (self.here.join("f"), Arc::new(AtomicBool::new(false)));
        let writes = Arc::clone(&stop);
        let file = fs::File::options().create(true).truncate(false).write(true).open(at).unwrap();
        file.set_len(size).unwrap();
        let writer = std::thread::spawn(move || {
            let mut rng = fastrand::Rng::with_seed(1);
            while !writes.load(Ordering::Relaxed) {
                file.set_len(size - rng.u64(..size / 2)).unwrap();
                file.write_at(&[rng.u8(..); 100], rng.u64(..size / 2)).unwrap();
            }
            file.set_len(size).unwrap();
        });
        // It has begun.
        while self.here.join("f").metadata().unwrap().len() == size {
            std::thread::yield_now();
        }
        self.entry("f", Cause::WRITING);
        let done = self.sync();
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        done
    }

    fn said(&self) -> Vec<String> {
        self.mirror.entries.problems().iter().map(|(_, note)| note.reason.clone()).collect()
    }

    /// What comes of it when it rests.
    fn rests(&mut self) {
        self.entry("f", Cause::WRITTEN);
        assert_eq!(self.sync().0, Ended::InSync);
        self.entry("", Cause::ENTRIES);
        assert_eq!(self.sync().0, Ended::InSync);
        self.assert_equal();
        assert!(!is_marked(&self.there.join("f")));
    }
}

#[test]
fn of_what_never_holds_still_the_target_gets_an_inexact_copy_and_an_exact_one_when_it_does() {
    for durability in [Durability::None, Durability::Batch] {
        let mut pair = Pair::new();
        pair.durability = durability;
        let (ended, took) = pair.sync_while_written(LARGE);
        assert_eq!((ended, took.files), (Ended::InSync, 1));
        assert!(took.wire_bytes <= 4 * LARGE, "{} bytes for a file of {LARGE}", took.wire_bytes);
        assert!(is_marked(&pair.there.join("f")));
        assert!(pair.said().iter().all(|said| said.contains("an inexact copy")) && pair.said().len() == 1);
        pair.rests();
    }
}

#[test]
fn an_exact_version_at_the_target_stays_until_there_is_another() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("f"), vec![7; LARGE as usize]).unwrap();
    pair.pass();
    let before = fs::read(pair.there.join("f")).unwrap();
    // A sender that knows nothing of what the target has.
    pair.sender = None;
    let (ended, _) = pair.sync_while_written(LARGE);
    assert_eq!(ended, Ended::InSync);
    assert!(fs::read(pair.there.join("f")).unwrap() == before && !is_marked(&pair.there.join("f")));
    assert!(pair.said().iter().all(|said| said.contains("keeps its last version")) && pair.said().len() == 1);
    pair.rests();
}

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
