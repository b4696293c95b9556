//! A storm: random operations on few names while hints come late, the wire is slow and links break; at rest the trees
//! must be equal, hard links included where the target keeps them. What the kernel and the watcher would say is said by the
//! test itself, in true order, so a round takes milliseconds and its trace, written on failure, fits a screen or two.
//!
//! Runs for `STORM_SECONDS` (5) with `STORM_SEED` (the clock) in `STORM_WORLDS` (6) worlds side by side. The schedule is the
//! machine's: a seed repeats the operations, not their timing.

mod asides;
mod link;
mod restless;
mod sim;
mod trace;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use fastrand::Rng;
use proto::{Keep, Kept, RelPath};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use tokio::sync::watch;

use super::{HOLDS, Shown, tree};
use crate::clock::Clock;
use crate::hint::Hint;
use crate::mirror::Mirror;
use crate::pending::{Holds, Rules};
use trace::Trace;
use world::World;

/// Entries above which a folder is removed.
const MOST: usize = 40;
/// A round that is not at rest after this time never will be.
const REST: Duration = Duration::from_secs(20);

/// The bit of a folder in a mode.
const FOLDER: u32 = 0o40000;

/// What must be alike at rest, beside what always must.
#[derive(Debug, Clone, Copy)]
struct Alike {
    links: bool,
    folder_times: bool,
}

/// A source, its target and what is between them.
struct Place {
    here: PathBuf,
    there: PathBuf,
    /// Hints on their way from the kernel. The `since` of a rename is filled in when it is read, as the watcher does.
    hints: Mutex<Vec<Hint>>,
    /// What the target's module keeps.
    keep: Keep,
    /// When masses of deletions wait, and for how long.
    holds: Holds,
    mirror: Arc<Mirror>,
    trace: Trace,
    clock: Clock,
    /// What changes gets the time of `clock`, and not the kernel's.
    stamps: bool,
    /// Changes when the link is cut.
    cut: watch::Sender<u64>,
    /// The world has come to its end.
    over: Arc<AtomicBool>,
}

impl Place {
    fn new(scratch: &Path, keep: Keep, clock: Clock, holds: Holds) -> Place {
        let (here, there) = (scratch.join("here"), scratch.join("there"));
        fs::create_dir(&here).unwrap();
        fs::create_dir(&there).unwrap();
        fs::write(here.join("anchor"), "keeps the root from being empty").unwrap();
        let mirror = Arc::new(Mirror::new(Place::rules(holds), clock.clone()));
        mirror.hint([Hint::Subtree { path: RelPath::root() }]);
        let cut = watch::channel(0).0;
        let (hints, over) = Default::default();
        Place {
            here,
            there,
            hints,
            keep,
            holds,
            mirror,
            trace: Trace::new(clock.clone()),
            clock,
            stamps: false,
            cut,
            over,
        }
    }

    fn rules(holds: Holds) -> Rules {
        Rules {
            settle: Duration::ZERO,
            open_settle: Duration::from_millis(5),
            open_max_delay: Duration::from_millis(20),
            holds,
        }
    }

    /// One round: operations and cut links, then rest.
    fn round(&self, world: &mut World, cuts: bool) -> Result<usize, String> {
        self.trace.clear();
        world.begin_round();
        let steps = world.rng.usize(2..30);
        let pause = *world.rng.choice(&[0, 50, 500, 3_000]).unwrap();
        for _ in 0..steps {
            world.step();
            if cuts && world.rng.u8(..60) == 0 {
                self.trace.say(|| "CUT".into());
                self.cut.send_modify(|cuts| *cuts += 1);
            }
            if pause > 0 && world.rng.bool() {
                std::thread::sleep(Duration::from_micros(world.rng.u64(..pause)));
            }
        }
        world.thin_out();
        let began = Instant::now();
        loop {
            if self.hints.lock().unwrap().is_empty() && self.mirror.pending().is_empty() {
                let differences: Vec<_> = self.differences(self.alike()).into_iter().map(|(_, said)| said).collect();
                if differences.is_empty() {
                    return Ok(steps);
                }
                std::thread::sleep(Duration::from_millis(300));
                let owed = self.mirror.pending().owed();
                return Err(format!("{}\n(still owed then: {owed})", differences.join("\n")));
            }
            if began.elapsed() > REST {
                return Err(format!("not at rest, owed: {}", self.mirror.pending().owed()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Gives what stands there the time that it is.
    fn stamp(&self, path: &RelPath) {
        let since = self.clock.wall().duration_since(UNIX_EPOCH).unwrap();
        let time = Timespec { tv_sec: since.as_secs() as i64, tv_nsec: since.subsec_nanos().into() };
        let times = Timestamps { last_access: time, last_modification: time };
        // It may be gone by now.
        let _ = utimensat(CWD, self.here.join(OsStr::from_bytes(path.as_bytes())), &times, AtFlags::SYMLINK_NOFOLLOW);
    }

    fn alike(&self) -> Alike {
        Alike { links: self.keep.has(Kept::Hardlinks), folder_times: true }
    }

    /// Where the trees differ, and how.
    fn differences(&self, alike: Alike) -> Vec<(PathBuf, String)> {
        let (mut here, mut there) = (tree(&self.here), tree(&self.there));
        // Marks stand there.
        there.retain(|at, _| !at.as_os_str().as_bytes().starts_with(b".recvd-"));
        for shown in here.values_mut().chain(there.values_mut()) {
            if !alike.links {
                shown.4 = 0;
            }
            if !alike.folder_times && shown.0 & FOLDER != 0 {
                (shown.1, shown.2) = (0, 0);
            }
        }
        let mut found = Vec::new();
        for at in here.keys().chain(there.keys()).collect::<BTreeSet<_>>() {
            if here.get(at) != there.get(at) {
                found.push((at.clone(), format!("{at:?}: {} / {}", show(here.get(at)), show(there.get(at)))));
            }
        }
        let (here, there) = (groups(&self.here, &here), groups(&self.there, &there));
        let said = |what: &str, group: &Vec<PathBuf>| (group[0].clone(), format!("names of one file{what}: {group:?}"));
        found.extend(here.difference(&there).map(|group| said(", parted there", group)));
        found.extend(there.difference(&here).map(|group| said(" only there", group)));
        found
    }
}

fn show(entry: Option<&Shown>) -> String {
    entry.map_or("nothing".into(), |(mode, s, ns, _, nlink, content)| {
        let begins = String::from_utf8_lossy(&content[..content.len().min(8)]).into_owned();
        format!("mode {mode:o} mtime {s}.{ns:09} {nlink} names {} bytes {begins}", content.len())
    })
}

fn groups(root: &Path, tree: &BTreeMap<PathBuf, Shown>) -> BTreeSet<Vec<PathBuf>> {
    let mut found: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for (at, shown) in tree {
        if shown.4 > 1
            && let Ok(meta) = fs::symlink_metadata(root.join(at))
        {
            found.entry(meta.ino()).or_default().push(at.clone());
        }
    }
    found.into_values().collect()
}

/// A scratch folder in which no other user of the host can put anything, so that metadata is set in place.
pub(super) fn closed_in(folder: &Path) -> tempfile::TempDir {
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    tempfile::Builder::new().permissions(closed).tempdir_in(folder).unwrap()
}

fn run_world(seed: u64, until: Instant) -> (usize, Option<String>) {
    let scratch = closed_in(&std::env::temp_dir());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut rng = Rng::with_seed(seed);
    // Every third has a target where each name is a file of its own.
    let separate = seed.is_multiple_of(3);
    let keep = Keep::DEFAULT.iter().filter(|kept| !separate || *kept != Kept::Hardlinks).collect();
    let place = Place::new(scratch.path(), keep, Clock::system(), HOLDS);
    let mut world = World::new(&place, rng.fork());
    let (late, wire) = (rng.fork(), rng.fork());
    let (mut operations, mut failed) = (0, None);
    std::thread::scope(|scope| {
        scope.spawn(|| link::deliver(&place, late));
        scope.spawn(|| link::connect(&place, &runtime, wire));
        while Instant::now() < until && failed.is_none() {
            let began = Instant::now();
            match place.round(&mut world, rng.bool()) {
                Ok(steps) => operations += steps,
                Err(report) => {
                    say(&format!("==== STORM_SEED {seed}\n{}{report}\n", place.trace.lines(began)));
                    failed = Some(report);
                }
            }
        }
        place.over.store(true, Ordering::Release);
        place.mirror.wake.notify_one();
    });
    (operations, failed)
}

/// In one piece, past the test's capture of each thread.
fn say(text: &str) {
    std::io::stdout().lock().write_all(text.as_bytes()).unwrap();
}

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

#[test]
fn a_storm_leaves_equal_trees() {
    let seed = number("STORM_SEED", fastrand::u64(..1_000_000));
    let until = Instant::now() + Duration::from_secs(number("STORM_SECONDS", 5));
    let worlds: Vec<_> =
        (0..number("STORM_WORLDS", 6)).map(|n| std::thread::spawn(move || run_world(seed + n, until))).collect();
    let ends: Vec<_> = worlds.into_iter().map(|world| world.join().unwrap()).collect();
    let operations: usize = ends.iter().map(|(operations, _)| operations).sum();
    say(&format!("storm: seeds from {seed}: {operations} operations\n"));
    let failed: Vec<_> = ends.iter().filter_map(|(_, failed)| failed.as_ref()).collect();
    assert!(failed.is_empty(), "{} worlds ended unequal", failed.len());
}
