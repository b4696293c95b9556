//! Power cuts at the backup host, on a disk of its own: what was acknowledged is there afterwards, whole, and nothing that
//! is there is anything else than what the source had at one moment.
//!
//! `POWER_CUTS` sets how many (12 on each file system), `POWER_SEED` the operations and moments. The long run:
//! ```text
//! POWER_CUTS=500 cargo test --release --test system power -- --nocapture
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::lease_faults::{Rival, STILL};
use crate::rig::is_root;
use crate::rig::mounted::{Disk, Format, Journal};
use crate::rig::pair::{Pair, Setup};
use crate::rig::rng::Rng;
use crate::rig::scratch::Scratch;
use crate::rig::states::{State, Tree, tree};

/// A source that changes by one atomic step at a time, and all that it has been.
struct History {
    root: PathBuf,
    /// Beside the source: files are written here and renamed into it.
    desk: PathBuf,
    rng: Rng,
    /// With the moment at which each was reached.
    past: Vec<(Instant, Tree)>,
}

impl History {
    fn step(&mut self) {
        let tree = &self.past.last().unwrap().1;
        let (mut files, mut folders) = (Vec::new(), vec![PathBuf::new()]);
        for (path, state) in tree {
            match state {
                State::Folder { .. } if path.as_os_str() != STILL => folders.push(path.clone()),
                State::File { .. } if !matches!(path.to_str(), Some("anchor" | "latest")) => files.push(path.clone()),
                _ => {}
            }
        }
        let fresh = self.rng.pick(&folders).join(format!("n{}", self.rng.next() % 100_000));
        let roll = if files.len() < 8 { 0 } else { self.rng.below(20) };
        let some = if files.is_empty() { &fresh } else { self.rng.pick(&files) };
        let at = |path: &Path| self.root.join(path);
        match roll {
            0..=6 => self.put(&fresh.clone()),
            7..=11 => self.put(&some.clone()),
            12..=13 => fs::remove_file(at(some)).unwrap(),
            14..=15 => fs::rename(at(some), at(&fresh)).unwrap(),
            16 if folders.len() < 8 => fs::create_dir(at(&fresh)).unwrap(),
            17 if folders.len() > 2 => {
                let to = PathBuf::from(format!("r{}", self.rng.next() % 100_000));
                fs::rename(at(&folders[1]), at(&to)).unwrap();
            }
            18 => crate::rig::fs::chmod(&at(some), 0o600 | self.rng.below(0o100) as u32).unwrap(),
            _ => crate::rig::fs::set_mtime(&at(some), self.rng.below(1 << 30) as i64, 5).unwrap(),
        }
        self.reached();
    }

    /// A new file or a replaced one, at once whole. A large one may keep most of what it had, which is then copied at the
    /// backup.
    fn put(&mut self, path: &Path) {
        let mut content = fs::read(self.root.join(path)).unwrap_or_default();
        let keeps = content.len() >= 300_000 && !self.rng.one_in(3);
        let some = if keeps { 5_000 } else { *self.rng.pick(&[1, 100, 4_096, 5_000, 70_000, 300_000, 500_000]) };
        let len = some + self.rng.below(50) as usize;
        // No zeros, so that a hole in it is seen.
        let new: Vec<u8> = self.rng.bytes(len).into_iter().map(|byte| byte | 1).collect();
        if keeps {
            let at = self.rng.below(content.len() as u64) as usize;
            content.splice(at..at, new);
        } else {
            content = new;
        }
        let made = self.desk.join("made");
        fs::write(&made, content).unwrap();
        fs::rename(made, self.root.join(path)).unwrap();
    }

    fn reached(&mut self) {
        self.past.push((Instant::now(), tree(&self.root)));
    }

    /// What is wrong with a backup that acknowledged all that had happened by `acknowledged`. A folder is renamed before
    /// what is owed of its files: these may show what they were under their old path.
    fn wrong(&self, acknowledged: Instant, backup: &Tree) -> Vec<String> {
        let first = self.past.iter().rposition(|(at, _)| *at <= acknowledged).unwrap_or(0);
        let since = || self.past[first..].iter().map(|(_, tree)| tree);
        let mut wrong = Vec::new();
        for (path, state) in backup {
            let was = |tree: &Tree| tree.iter().any(|(old, was)| old.file_name() == path.file_name() && was == state);
            if !since().any(was) {
                let older = self.past.iter().any(|(_, tree)| was(tree));
                let what = if older { "as it was before what is acknowledged" } else { "as it never was" };
                wrong.push(format!("{} stands {what}: {state}", path.display()));
            }
        }
        let missing = self.past[first].1.keys().filter(|path| !backup.contains_key(*path));
        for path in missing.filter(|path| since().all(|tree| tree.contains_key(*path))) {
            wrong.push(format!("{} is acknowledged and missing", path.display()));
        }
        wrong
    }
}

pub fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

pub fn can_cut() -> bool {
    let loops = Path::new("/dev/loop-control").exists();
    if !loops {
        eprintln!("LEFT OUT: power cuts need loop devices");
    }
    is_root("power cuts") && loops
}

fn cuts(format: Format) {
    if !can_cut() {
        return;
    }
    let (cuts, seed) = (number("POWER_CUTS", 12), number("POWER_SEED", Rng::seed_from_clock()));
    println!("power: {format:?}, POWER_SEED={seed}, {cuts} cuts");
    let room = Scratch::new("power");
    let disk = Disk::make(room.path(), format);
    let mut rng = Rng::new(seed);
    let (mut pair, mut history) = live_on(&disk, rng.next());
    let rival = Rival::of(&mut pair);
    let (mut steps, mut unacknowledged, mut doubted, mut went_on) = (0, 0, 0, 0);
    for cut in 0..cuts {
        history.past.clear();
        history.reached();
        let acknowledged = until_the_cut(&mut pair, &mut history, &disk, &mut rng);
        steps += history.past.len();
        unacknowledged += history.past.iter().filter(|(at, _)| *at > acknowledged).count();
        disk.unmount();
        disk.mount();
        let wrong = history.wrong(acknowledged, &tree(&pair.backup));
        assert!(wrong.is_empty(), "POWER_SEED={seed}, cut {cut} on {format:?}:\n{}", wrong.join("\n"));
        // The lease was on the disk before the first operation of the session. But recvd may have said with its last breath
        // that it does not find the folder; to whom it said so knows, where its log has lost that.
        let told = |pair: &Pair| {
            let (recvd, pushd) = (pair.recvd.daemon.log(), pair.pushd.daemon.log());
            recvd.matches("cannot be looked at").count() + pushd.matches("replaced, unmounted or mounted over").count()
        };
        let doubts = told(&pair) > doubted;
        let continued = rival.comes_first(&mut pair, "a cut");
        assert!(continued || doubts, "POWER_SEED={seed}, cut {cut} on {format:?}: all was compared");
        (doubted, went_on) = (told(&pair), went_on + u64::from(continued));
    }
    println!(
        "power: {format:?}: {cuts} cuts, {steps} steps, {unacknowledged} not yet acknowledged, {went_on} \
         sessions went on, no loss"
    );
    pair.recvd.daemon.kill();
}

fn live_on(disk: &Disk, seed: u64) -> (Pair, History) {
    let setup = Setup {
        durability: "batch".into(),
        backup_base: Some(disk.path().to_path_buf()),
        source: "max_delete = \"100%\"".into(),
        ..Setup::default()
    };
    let pair = Pair::live("power-pair", setup);
    let desk = pair.scratch.folder("desk");
    let history = History { root: pair.source.clone(), desk, rng: Rng::new(seed), past: Vec::new() };
    (pair, history)
}

/// Changes the source until the power goes; returns until when all is acknowledged.
fn until_the_cut(pair: &mut Pair, history: &mut History, disk: &Disk, rng: &mut Rng) -> Instant {
    let begin = Instant::now();
    let (over, pushd) = (AtomicBool::new(false), &pair.pushd);
    let journal = *rng.pick(&[Journal::Flushed, Journal::Lost]);
    let moment = Duration::from_micros(rng.below(600_000));
    let acknowledged = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut acknowledged = begin;
            while !over.load(Ordering::Acquire) {
                let asked = Instant::now();
                if pushd.command(&["wait", "--timeout", "300ms"]).code == 0 {
                    acknowledged = asked;
                }
            }
            acknowledged
        });
        while begin.elapsed() < moment {
            history.step();
            thread::sleep(Duration::from_micros(rng.below(8_000)));
        }
        disk.cut(journal);
        over.store(true, Ordering::Release);
        asking.join().unwrap()
    });
    pair.recvd.daemon.kill();
    acknowledged
}

#[test]
fn nothing_acknowledged_is_lost_on_ext4() {
    cuts(Format::Ext4);
}

#[test]
fn nothing_acknowledged_is_lost_on_xfs() {
    cuts(Format::Xfs);
}

/// One change, its acknowledgement, and at once the cut: nothing that comes after it takes it to the disk. What is forgotten
/// to be flushed is found here each time, and by chance only where changes follow each other.
fn each_change_alone(format: Format) {
    type Change = fn(&Path) -> io::Result<()>;
    const CHANGES: [(&str, Change); 8] = [
        ("a new file", |at| fs::write(at.join("new"), "of the new file")),
        ("a replaced one", |at| {
            fs::write(at.join("beside"), "of the replaced one")?;
            fs::rename(at.join("beside"), at.join("new"))
        }),
        ("a renamed one", |at| fs::rename(at.join("new"), at.join("renamed"))),
        ("a mode", |at| crate::rig::fs::chmod(&at.join("renamed"), 0o640)),
        ("a new folder", |at| fs::create_dir(at.join("folder"))),
        ("a second name", |at| fs::hard_link(at.join("renamed"), at.join("folder/second"))),
        ("a removed file", |at| fs::remove_file(at.join("renamed"))),
        ("a moved folder", |at| fs::rename(at.join("folder"), at.join("moved"))),
    ];
    if !can_cut() {
        return;
    }
    let room = Scratch::new("power");
    let disk = Disk::make(room.path(), format);
    let (mut pair, mut history) = live_on(&disk, 0);
    for (what, change) in CHANGES {
        history.past.clear();
        history.reached();
        change(&history.root).unwrap();
        history.reached();
        let asked = Instant::now();
        let done = pair.pushd.command(&["wait", "--timeout", "20s"]);
        assert_eq!(done.code, 0, "{what}: {}", done.text());
        disk.cut(Journal::Lost);
        pair.recvd.daemon.kill();
        disk.unmount();
        disk.mount();
        let wrong = history.wrong(asked, &tree(&pair.backup));
        assert!(wrong.is_empty(), "{what}, on {format:?}:\n{}", wrong.join("\n"));
        pair.recvd.start();
        pair.settle();
    }
    pair.recvd.daemon.kill();
}

#[test]
fn one_change_is_there_after_its_acknowledgement_on_ext4() {
    each_change_alone(Format::Ext4);
}

#[test]
fn one_change_is_there_after_its_acknowledgement_on_xfs() {
    each_change_alone(Format::Xfs);
}
