//! Many changes at full speed from two threads. At rest the picture of the tree equals the disk, and so does the record
//! of a consumer who has looked only where he was told to.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use sys::inotify::queue_limit;

use super::*;

/// xorshift: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// One of some 150 paths, up to three levels deep.
    fn path(&mut self) -> PathBuf {
        (0..=self.roll(3)).map(|_| format!("n{}", self.roll(5))).collect()
    }
}

/// Random changes of one root.
pub(super) struct Storm {
    root: PathBuf,
    outside: PathBuf,
    tree: Tree,
    dice: Dice,
}

impl Storm {
    pub(super) fn of(rig: &Rig, seed: u64) -> Storm {
        let tree = Tree::open(&rig.root, Mounts::Stay).unwrap();
        Storm { root: rig.root.clone(), outside: rig.outside.clone(), tree, dice: Dice(seed * 0x9e37_79b9) }
    }

    /// One change. Most fail, on a name that is not there or is in the way. That is meant.
    pub(super) fn step(&mut self) {
        let (one, two) = (self.dice.path(), self.dice.path());
        let (a, b) = (self.root.join(&one), self.root.join(&two));
        let _ = match self.dice.roll(16) {
            0..=4 => fs::create_dir(a),
            5..=7 => fs::rename(a, b),
            8 => fs::remove_dir(a),
            9 => fs::remove_dir_all(a),
            10..=12 => fs::write(a.join("file"), &[b'x'; 100][..self.dice.roll(100) as usize]),
            13 => fs::rename(a, self.outside.join("x")),
            14 => fs::rename(self.outside.join("x"), a),
            _ => exchange(&self.tree, &rel_of(Path::new(""), &one), &rel_of(Path::new(""), &two)),
        };
    }
}

fn exchange(tree: &Tree, a: &RelPath, b: &RelPath) -> std::io::Result<()> {
    let ((from, a), (to, b)) = (a.split().unwrap(), b.split().unwrap());
    tree.dir(&from)?.exchange(&a, &tree.dir(&to)?, &b)
}

/// Each path with its inode and size (of folders the inode alone).
type Record = BTreeMap<PathBuf, (u64, u64)>;

fn look(record: &mut Record, path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(meta) => {
            let size = if meta.is_dir() { 0 } else { meta.len() };
            record.insert(path.to_owned(), (meta.ino(), size));
        }
        Err(_) => record.retain(|known, _| !known.starts_with(path)),
    }
}

fn look_beneath(record: &mut Record, path: &Path) {
    record.retain(|known, _| !known.starts_with(path));
    beneath(path).iter().for_each(|path| look(record, path));
}

/// Looks where it is told to, and at both ends of a rename.
pub(super) struct Consumer {
    root: PathBuf,
    record: Record,
    overflows: usize,
}

impl Consumer {
    pub(super) fn of(rig: &Rig) -> Consumer {
        Consumer { root: rig.root.clone(), record: Record::new(), overflows: 0 }
    }

    pub(super) fn take(&mut self, notice: Notice) {
        let at = |path: &RelPath| self.root.join(path.to_string());
        match notice {
            Notice::Hint(Hint::Entry { path, .. }) => look(&mut self.record, &at(&path)),
            Notice::Hint(Hint::Subtree { path }) => look_beneath(&mut self.record, &at(&path)),
            Notice::Hint(Hint::Renamed { from, to, .. }) => {
                look_beneath(&mut self.record, &at(&from));
                look_beneath(&mut self.record, &at(&to));
            }
            Notice::Overflow => {
                self.overflows += 1;
                look_beneath(&mut self.record, &self.root);
            }
            other => panic!("{other:?}"),
        }
    }

    /// At rest the record is the disk.
    pub(super) fn assert_complete(&self, seed: u64) {
        let mut disk = Record::new();
        look_beneath(&mut disk, &self.root);
        let differs = |path: &&PathBuf| **path != self.root && self.record.get(*path) != disk.get(*path);
        let wrong: BTreeSet<_> = disk.keys().chain(self.record.keys()).filter(differs).collect();
        assert!(wrong.is_empty(), "seed {seed}, {} overflows, not hinted: {wrong:?}", self.overflows);
    }
}

#[test]
fn after_two_threads_of_storm() {
    for seed in 1..=3 {
        let mut rig = rig(|_| {});
        let end = Arc::new(AtomicBool::new(false));
        let threads = [1, 2].map(|thread| {
            let (mut storm, end) = (Storm::of(&rig, seed * 2 + thread), end.clone());
            thread::spawn(move || {
                while !end.load(Ordering::Relaxed) {
                    storm.step();
                }
            })
        });
        let (hints, inbox) = mpsc::channel();
        let mut consumer = Consumer::of(&rig);
        let consumer = thread::spawn(move || {
            inbox.into_iter().for_each(|notice| consumer.take(notice));
            consumer
        });
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(600) {
            let mut notices = Vec::new();
            rig.watcher.next(Some(Duration::from_millis(10)), &mut notices).unwrap();
            notices.into_iter().for_each(|notice| hints.send(notice).unwrap());
        }
        end.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        rig.rest().into_iter().for_each(|notice| hints.send(notice).unwrap());
        drop(hints);
        let consumer = consumer.join().unwrap();
        rig.assert_true_picture();
        consumer.assert_complete(seed);
    }
}

/// Several changes between one read and the next: every walk sees a disk that is ahead of the events.
#[test]
fn after_bursts_that_are_read_late() {
    let most = queue_limit().unwrap_or(16).min(160) / 6;
    for seed in 1..=6 {
        let mut rig = rig(|_| {});
        let (mut storm, mut consumer) = (Storm::of(&rig, seed), Consumer::of(&rig));
        for burst in 1..=120 {
            for _ in 0..=storm.dice.roll(most) {
                storm.step();
            }
            let mut notices = Vec::new();
            rig.watcher.next(Some(Duration::ZERO), &mut notices).unwrap();
            if burst % 60 == 0 {
                notices.extend(rig.rest());
            }
            notices.into_iter().for_each(|notice| consumer.take(notice));
            if burst % 60 == 0 {
                rig.assert_true_picture();
                consumer.assert_complete(seed);
            }
        }
    }
}
