//! Several watchers at one instance of inotify: each hears all of its own and nothing else, also where they overlap.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use kit::Stop;

use super::storm::{Consumer, Storm};
use super::*;
use crate::watch::hub::Hub;
use crate::watch::queue::{LARGE, Queue};

/// A hub with its thread.
struct Served {
    hub: Arc<Hub>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn new() -> Served {
        let (hub, stop) = (Arc::new(Hub::new().unwrap()), Stop::new());
        let (serving, until) = (hub.clone(), stop.clone());
        let thread = Some(thread::spawn(move || serving.serve(&until)));
        Served { hub, stop, thread }
    }

    fn supply(&self) -> Supply {
        Supply::Shared(self.hub.clone())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.request();
        self.hub.wake();
        self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn each_hears_its_own_and_a_rename_between_two_is_none() {
    let served = Served::new();
    let mut first = rig_with(&served.supply(), |root| fs::create_dir(root.join("d")).unwrap());
    let mut second = rig_at(&served.supply(), &first.outside);
    fs::write(first.at("d/f"), "").unwrap();
    assert!(first.rest().contains(&entry("d/f", Cause::WRITTEN)));
    assert_eq!(second.rest(), []);
    fs::rename(first.at("d"), second.at("d")).unwrap();
    let (left, came) = (first.rest(), second.rest());
    assert!(
        left.contains(&entry("d", Cause::GONE | Cause::WITH_ALL)) && came.contains(&subtree("d")),
        "{left:?} {came:?}"
    );
    assert_eq!((renames(&left), renames(&came)), (vec![], vec![]));
    fs::write(second.at("d/g"), "").unwrap();
    assert!(second.rest().contains(&entry("d/g", Cause::WRITTEN)));
    assert_eq!(first.rest(), []);
    first.assert_true_picture();
    second.assert_true_picture();
}

#[test]
fn who_waits_is_rung_at_by_the_thread_of_the_hub() {
    let served = Served::new();
    let mut waiting = rig_with(&served.supply(), |_| {});
    let file = waiting.at("f");
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        fs::write(file, "").unwrap();
    });
    let mut notices = Vec::new();
    let began = Instant::now();
    // It would read by itself when it looks for its root.
    waiting.watcher.looked = began + Duration::from_secs(600);
    while notices.is_empty() {
        waiting.watcher.next(Some(Duration::from_secs(300)), &mut notices).unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(60));
    writer.join().unwrap();
}

#[test]
fn a_folder_that_two_watch_is_watched_until_both_have_given_it_back() {
    let served = Served::new();
    let mut outer = rig_with(&served.supply(), |root| fs::create_dir_all(root.join("in/a/b")).unwrap());
    let mut inner = rig_at(&served.supply(), &outer.at("in"));
    assert_eq!(outer.watch("in/a/b"), inner.watch("a/b"), "the kernel has one watch for both");
    fs::write(outer.at("in/a/f"), "").unwrap();
    assert!(outer.rest().contains(&entry("in/a/f", Cause::WRITTEN)));
    assert!(inner.rest().contains(&entry("a/f", Cause::WRITTEN)));
    fs::rename(outer.at("in/a/b"), outer.at("in/b")).unwrap();
    assert_eq!(renames(&outer.rest()), [pair("in/a/b", "in/b")]);
    assert_eq!(renames(&inner.rest()), [pair("a/b", "b")]);
    // Out of one and not of the other.
    fs::rename(outer.at("in/b"), outer.at("b")).unwrap();
    outer.rest();
    inner.rest();
    fs::write(outer.at("b/f"), "").unwrap();
    assert!(outer.rest().contains(&entry("b/f", Cause::WRITTEN)));
    assert_eq!(inner.rest(), []);
    inner.assert_true_picture();
    drop(inner);
    fs::write(outer.at("in/a/g"), "").unwrap();
    assert!(outer.rest().contains(&entry("in/a/g", Cause::WRITTEN)));
    outer.assert_true_picture();
    // Back again after all was given back.
    let root = outer.root.clone();
    let keep = outer._base.take();
    drop(outer);
    let mut again = rig_at(&served.supply(), &root);
    fs::write(root.join("in/a/h"), "").unwrap();
    assert!(again.rest().contains(&entry("in/a/h", Cause::WRITTEN)));
    again.assert_true_picture();
    drop((again, keep));
}

#[test]
fn an_overflow_is_one_for_all_of_them() {
    let served = Served::new();
    let mut first = rig_with(&served.supply(), |_| {});
    let mut second = rig_with(&served.supply(), |_| {});
    first.rest();
    second.rest();
    let limit = sys::inotify::queue_limit().unwrap();
    // Nobody reads meanwhile.
    served.hub.hold(|| {
        for number in 0..limit {
            fs::write(first.at(&format!("f{}", number % 2)), "").unwrap();
        }
        fs::create_dir(second.at("unseen")).unwrap();
    });
    assert!(first.rest().contains(&Notice::Overflow));
    assert!(second.rest().contains(&Notice::Overflow));
    fs::write(second.at("unseen/f"), "").unwrap();
    assert!(second.rest().contains(&entry("unseen/f", Cause::WRITTEN)));
    second.assert_true_picture();
}

#[test]
fn what_others_have_read_for_it_counts_as_read_only_when_it_is_told() {
    let served = Served::new();
    let mut first = rig_with(&served.supply(), |_| {});
    let mut second = rig_with(&served.supply(), |_| {});
    fs::write(first.at("f"), "").unwrap();
    // The half of a rename, which waits for the other.
    fs::rename(first.at("f"), first.outside.join("f")).unwrap();
    let asked = Instant::now();
    // By the second, or by the thread.
    second.rest();
    assert!(first.watcher.caught_up().unwrap() < asked, "it has not been told");
    let mut notices = Vec::new();
    while first.watcher.caught_up().unwrap() < asked {
        first.watcher.next(Some(Duration::ZERO), &mut notices).unwrap();
    }
    assert!(notices.contains(&entry("f", Cause::WRITTEN)), "{notices:?}");
    assert!(notices.contains(&entry("f", Cause::GONE)), "{notices:?}");
    // Taken, and not told.
    fs::write(first.at("g"), "").unwrap();
    let asked = Instant::now();
    first.watcher.hands.backlog.read().unwrap();
    assert!(first.watcher.hands.backlog.drained() >= asked && first.watcher.caught_up().unwrap() < asked);
}

#[test]
fn a_large_source_has_an_instance_of_its_own() {
    let served = Served::new();
    let prepare = |root: &Path| (0..=LARGE).for_each(|n| fs::create_dir(root.join(n.to_string())).unwrap());
    let mut large = rig_with(&served.supply(), prepare);
    let mut small = rig_with(&served.supply(), |_| {});
    assert!(matches!(
        (large.watcher.hands.backlog.queue(), small.watcher.hands.backlog.queue()),
        (Queue::Own(_), Queue::Shared(_))
    ));
    assert_eq!(large.watcher.watches(), LARGE + 2);
    assert_eq!(served.hub.watches(), 1, "what it had of the shared one is given back");
    fs::write(large.at("7/f"), "").unwrap();
    assert!(large.rest().contains(&entry("7/f", Cause::WRITTEN)));
    assert_eq!(small.rest(), []);
}

/// Renames go between the sources, and one stands within another.
#[test]
fn after_a_storm_over_three_that_overlap() {
    for seed in 1..=3 {
        let served = Served::new();
        let outer = rig_with(&served.supply(), |root| fs::create_dir(root.join("in")).unwrap());
        let rigs = [rig_at(&served.supply(), &outer.at("in")), rig_at(&served.supply(), &outer.outside), outer];
        let end = Arc::new(AtomicBool::new(false));
        let storms = [Storm::of(&rigs[2], seed), Storm::of(&rigs[0], seed + 100)].map(|mut storm| {
            let end = end.clone();
            thread::spawn(move || {
                while !end.load(Ordering::Relaxed) {
                    storm.step();
                }
            })
        });
        let watching = rigs.map(|mut rig| {
            let end = end.clone();
            thread::spawn(move || {
                let mut consumer = Consumer::of(&rig);
                while !end.load(Ordering::Relaxed) {
                    let mut notices = Vec::new();
                    rig.watcher.next(Some(Duration::from_millis(10)), &mut notices).unwrap();
                    notices.into_iter().for_each(|notice| consumer.take(notice));
                }
                (rig, consumer)
            })
        });
        thread::sleep(Duration::from_millis(600));
        end.store(true, Ordering::Relaxed);
        storms.into_iter().for_each(|storm| storm.join().unwrap());
        for thread in watching {
            let (mut rig, mut consumer) = thread.join().unwrap();
            rig.rest().into_iter().for_each(|notice| consumer.take(notice));
            rig.assert_true_picture();
            consumer.assert_complete(seed);
        }
    }
}
