//! Many changes at full speed from two threads. At rest the picture of the tree equals the disk, and so does the record
//! of a consumer who has looked only where he was told to.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;

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

fn storm(root: &Path, outside: &Path, mut dice: Dice, end: &AtomicBool) {
    let tree = Tree::open(root, Mounts::Stay).unwrap();
    let content = [b'x'; 100];
    while !end.load(Ordering::Relaxed) {
        let (a, b) = (dice.path(), dice.path());
        // Most of these fail, on a name that is not there or is in the way. That is meant.
        let _ = match dice.roll(16) {
            0..=4 => fs::create_dir(root.join(&a)),
            5..=7 => fs::rename(root.join(&a), root.join(&b)),
            8 => fs::remove_dir(root.join(&a)),
            9 => fs::remove_dir_all(root.join(&a)),
            10..=12 => fs::write(root.join(&a).join("file"), &content[..dice.roll(100) as usize]),
            13 => fs::rename(root.join(&a), outside.join("x")),
            14 => fs::rename(outside.join("x"), root.join(&a)),
            _ => exchange(&tree, &rel_of(Path::new(""), &a), &rel_of(Path::new(""), &b)),
        };
    }
}

fn exchange(tree: &Tree, a: &RelPath, b: &RelPath) -> std::io::Result<()> {
    let ((from, a), (to, b)) = (a.split().unwrap(), b.split().unwrap());
    tree.dir(&from)?.exchange(&a, &tree.dir(&to)?, &b)
}

/// What the consumer knows: each path with inode and size (folders: their inode alone).
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

/// Looks where it is told to; a rename is looked at on both ends.
fn consume(root: &Path, inbox: &Receiver<Notice>) -> (Record, usize) {
    let (mut record, mut overflows) = (Record::new(), 0);
    for notice in inbox {
        let at = |path: &RelPath| root.join(path.to_string());
        match notice {
            Notice::Hint(Hint::Entry { path, .. }) if !path.is_root() => look(&mut record, &at(&path)),
            Notice::Hint(Hint::Entry { .. }) => {}
            Notice::Hint(Hint::Subtree { path }) => look_beneath(&mut record, &at(&path)),
            Notice::Hint(Hint::Renamed { from, to, .. }) => {
                look_beneath(&mut record, &at(&from));
                look_beneath(&mut record, &at(&to));
            }
            Notice::Overflow => {
                overflows += 1;
                look_beneath(&mut record, root);
            }
            other => panic!("{other:?}"),
        }
    }
    record.remove(root);
    (record, overflows)
}

#[test]
fn after_a_storm_the_picture_is_true_and_nothing_was_left_unhinted() {
    for seed in 1..=4 {
        let mut rig = rig(|_| {});
        let end = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..2)
            .map(|number| {
                let (root, outside, end) = (rig.root.clone(), rig.outside.clone(), end.clone());
                thread::spawn(move || storm(&root, &outside, Dice(seed * 77 + number), &end))
            })
            .collect();
        let (hints, inbox) = mpsc::channel();
        let root = rig.root.clone();
        let consumer = thread::spawn(move || consume(&root, &inbox));
        let start = std::time::Instant::now();
        let mut count = 0;
        while start.elapsed() < Duration::from_millis(600) {
            let mut notices = Vec::new();
            rig.watcher.next(Some(Duration::from_millis(10)), &mut notices).unwrap();
            count += notices.len();
            notices.into_iter().for_each(|notice| hints.send(notice).unwrap());
        }
        end.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        rig.rest().into_iter().for_each(|notice| hints.send(notice).unwrap());
        drop(hints);
        let (record, overflows) = consumer.join().unwrap();
        rig.assert_true_picture();
        let mut disk = Record::new();
        look_beneath(&mut disk, &rig.root);
        disk.remove(&rig.root);
        let wrong: Vec<_> = disk.iter().filter(|(path, seen)| record.get(*path) != Some(seen)).collect();
        assert!(wrong.is_empty(), "seed {seed}, {overflows} overflows, {count} notices, not hinted: {wrong:?}");
        let wrong: Vec<_> = record.keys().filter(|path| !disk.contains_key(*path)).collect();
        assert!(wrong.is_empty(), "seed {seed}, {overflows} overflows, {count} notices, end not hinted: {wrong:?}");
        eprintln!(
            "seed {seed}: {count} notices, {overflows} overflows, {} entries, {} strays",
            disk.len(),
            rig.watcher.strays
        );
    }
}
