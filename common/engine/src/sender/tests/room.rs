//! What travels while the target's disk is full or read-only.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use proto::{Content, Outcome, ToReceiver};
use sys::Lack;

use super::fake::Fake;
use super::*;

fn full() -> Option<Outcome> {
    Some(Outcome::Full { reason: "no space".into() })
}

/// Enough of everything: files, folders, what is renamed, what is removed, what only its metadata changed of.
fn busy() -> Pair {
    let pair = Pair::new();
    for folder in 0..5 {
        let folder = format!("folder {folder}");
        fs::create_dir(pair.here.join(&folder)).unwrap();
        for n in 0..40 {
            fs::write(pair.here.join(format!("{folder}/file {n}")), vec![n; 3_000]).unwrap();
        }
        pair.entry(&folder, Cause::CREATED);
    }
    fs::write(pair.here.join("large"), vec![1; 2_000_000]).unwrap();
    pair.entry("large", Cause::WRITTEN);
    fs::write(pair.here.join("renamed"), "x").unwrap();
    let since = std::time::Instant::now();
    pair.hint(Hint::Renamed { from: path("was"), to: path("renamed"), folder: false, since });
    pair.entry("removed", Cause::GONE);
    fs::write(pair.here.join("changed"), "x").unwrap();
    pair.entry("changed", Cause::ATTRIBUTES);
    pair
}

#[test]
fn where_nothing_at_all_is_taken_nothing_is_sent_over_and_over() {
    let pair = busy();
    let fake = Fake::new(|_: &ToReceiver| full());
    let operations = fake.operations();
    let counted = operations.clone();
    let mirror = pair.mirror.clone();
    let burst = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(900));
        (counted.load(Ordering::Relaxed), mirror.sent.totals().wire_bytes)
    });
    fake.connect(&pair, pair.new_sender(), Until::Stopped, Duration::from_millis(4_500));
    let (first, bytes) = burst.join().unwrap();
    let later = operations.load(Ordering::Relaxed) - first;
    assert!(later < 100, "{later} operations after the first {first}");
    let wire = pair.mirror.sent.totals().wire_bytes;
    assert!(wire - bytes < 20_000, "{} bytes after the first {bytes}", wire - bytes);
    let blocked = pair.mirror.target.blocked().unwrap();
    assert_eq!((blocked.lack, blocked.tries > 0), (Lack::Room, true), "{blocked:?}");
    assert!(pair.mirror.entries.problems().is_empty());
}

#[test]
fn a_run_that_is_to_end_does_so_and_says_what_lacks() {
    for (outcome, what) in [(full(), "full"), (Some(Outcome::ReadOnly { reason: "so".into() }), "read-only")] {
        let pair = busy();
        let fake = Fake::new(move |_: &ToReceiver| outcome.clone());
        let (_, ended) = fake.connect(&pair, pair.new_sender(), Until::InSync, Duration::from_secs(60));
        let Ended::Blocked(reason) = ended else { panic!("{ended:?}") };
        assert!(reason.starts_with(&format!("the backup's disk is {what}: ")), "{reason}");
        assert!(!pair.mirror.pending().is_empty());
    }
}

#[test]
fn content_follows_the_promise_of_room_and_the_end_needs_no_hand() {
    let pair = Pair::new();
    for n in 0..200 {
        fs::write(pair.here.join(format!("file {n}")), vec![7; 1_000 + n]).unwrap();
        pair.entry(&format!("file {n}"), Cause::WRITTEN);
    }
    let begun = std::time::Instant::now();
    let asked = Arc::new(Mutex::new(std::collections::HashSet::new()));
    // The first two seconds it is full; after the first refusal no content comes that was not asked about.
    let mut refused: Option<std::time::Instant> = None;
    let promised = asked.clone();
    let fake = Fake::new(move |message: &ToReceiver| {
        let is_full = begun.elapsed() < Duration::from_secs(2);
        match message {
            ToReceiver::Put { path, content: Content::Asked { .. }, .. } => {
                asked.lock().unwrap().insert(path.clone());
                if is_full { full() } else { Some(Outcome::Want) }
            }
            ToReceiver::Put { path, .. } => {
                let old = refused.is_some_and(|at| at.elapsed() > Duration::from_millis(700));
                assert!(!old || asked.lock().unwrap().remove(path), "{path} was not asked about");
                if is_full {
                    refused.get_or_insert_with(std::time::Instant::now);
                    full()
                } else {
                    None
                }
            }
            _ => None,
        }
    });
    let (_, ended) = fake.connect(&pair, pair.new_sender(), Until::Stopped, Duration::from_secs(6));
    assert_eq!(ended, Ended::Stopped);
    assert!(
        pair.mirror.pending().is_empty(),
        "{} owed, {:?}",
        pair.mirror.pending().len(),
        pair.mirror.target.blocked()
    );
    assert_eq!(pair.mirror.target.blocked(), None);
    assert!(promised.lock().unwrap().is_empty());
}

#[test]
fn where_much_is_missing_at_once_its_folder_is_listed_now_and_then() {
    let pair = Pair::new();
    let lists = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = lists.clone();
    let fake = Fake::new(move |message: &ToReceiver| {
        if matches!(message, ToReceiver::Compare { .. }) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        None
    });
    let mirror = pair.mirror.clone();
    let hints = std::thread::spawn(move || {
        for n in 0..40 {
            mirror.hint([Hint::Entry { path: path(&n.to_string()), cause: Cause::LOST }]);
            mirror.hint([Hint::Entry { path: RelPath::root(), cause: Cause::ENTRIES }]);
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    fake.connect(&pair, pair.new_sender(), Until::Stopped, Duration::from_secs(4));
    hints.join().unwrap();
    let lists = lists.load(Ordering::Relaxed);
    assert!((1..10).contains(&lists), "listed {lists} times");
    assert!(pair.mirror.pending().is_empty());
}

#[test]
fn after_names_that_were_not_joined_the_folders_of_all_are_looked_at() {
    for outcome in [Outcome::ReadOnly { reason: "so".into() }, Outcome::Failed { reason: "so".into() }] {
        let pair = Pair::new();
        fs::create_dir(pair.here.join("d")).unwrap();
        fs::write(pair.here.join("a"), "x").unwrap();
        fs::hard_link(pair.here.join("a"), pair.here.join("d/b")).unwrap();
        pair.entry("d", Cause::CREATED);
        pair.entry("a", Cause::WRITTEN);
        pair.entry("d/b", Cause::CREATED);
        // Its first answer to a link; then whether the folder of the other name came.
        let (mut refusal, refused, mended) = (Some(outcome), Arc::new(AtomicBool::new(false)), Arc::default());
        let (has, seen) = (refused.clone(), Arc::clone(&mended));
        let fake = Fake::new(move |message: &ToReceiver| match message {
            ToReceiver::Link { .. } => {
                has.store(true, Ordering::Relaxed);
                refusal.take()
            }
            ToReceiver::Put { content: Content::Asked { .. }, .. } => Some(Outcome::Want),
            ToReceiver::Mend { path: folder, .. } if has.load(Ordering::Relaxed) && *folder == path("d") => {
                AtomicBool::store(&seen, true, Ordering::Relaxed);
                None
            }
            _ => None,
        });
        let (_, ended) = fake.connect(&pair, pair.new_sender(), Until::InSync, Duration::from_secs(60));
        assert_eq!(ended, Ended::InSync);
        assert!(refused.load(Ordering::Relaxed), "no name was to be joined");
        assert!(AtomicBool::load(&mended, Ordering::Relaxed), "the folder of the other name may have another mtime");
    }
}
