//! The model: random operations on a live source while both programs are killed and stopped and the link is cut; at rest
//! the trees are equal whole. There is no model but the source itself.
//!
//! In `cargo test` it runs for about a minute. The long run, 200,000 operations and more:
//! ```text
//! MODEL_ROUNDS=400 MODEL_SEED=1 RIG_DIR=/dev/shm cargo test --release --test system model -- --nocapture
//! ```
//! | variable | is |
//! |---|---|
//! | `MODEL_SEED` | the seed of the operations and faults; from the clock when unset, and always printed |
//! | `MODEL_OPS` | operations in a round, 500; after each round the trees come to rest and are compared |
//! | `MODEL_ROUNDS` | rounds with each durability; when unset, as many as fit in `MODEL_SECONDS` (60) together |
//! | `MODEL_DURABILITY` | `none` or `batch`; when unset, one after the other |
//! | `MODEL_FAULTS` | `none` leaves the faults out; or names of faults, with commas |
//! | `MODEL_ONLY` | names of operations, with commas: only these |
//! | `MODEL_STRICT` | set: equal only some time after pushd said so is a failure too |
//! | `MODEL_MAX_DELETE`, `MODEL_HOLD` | `max_delete` and `delete_hold` of the source; when unset, by the seed |
//! | `MODEL_SOURCE`, `MODEL_BACKUP` | folders in which source and backup stand, to have them on other file systems |
//!
//! For root, in half of the seeds, the backup has a disk of its own, which becomes full and read-only.
//!
//! How deletions are held is a matter of the seed, too, see `masses`.
//!
//! Timing is the machine's, so a seed repeats the operations, not the schedule.

mod faults;
mod masses;
mod ops;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use faults::Faults;
use masses::{Masses, Setting};
use ops::World;

use crate::rig::mounted::{Disk, Format};
use crate::rig::pair::{DURABILITIES, Pair, Setup};
use crate::rig::rng::Rng;
use crate::rig::scratch::Scratch;
use crate::rig::{compare, fs, is_root};

/// Files of one size made within one tick of the clock, which can have one mtime. LIMIT: where they change places while
/// pushd is dead, no comparison tells them apart, as with rsync. So half of the seeds have them, the others kill pushd.
#[derive(Clone, Copy, PartialEq)]
enum Twins {
    Made,
    None,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// A scratch folder for one of the trees, where the environment wants it elsewhere.
fn elsewhere(name: &str) -> Option<Scratch> {
    std::env::var_os(name).map(|base| Scratch::under(&PathBuf::from(base), "model-tree"))
}

#[test]
fn random_operations_and_faults_leave_equal_trees() {
    let seed = number("MODEL_SEED").unwrap_or_else(Rng::seed_from_clock);
    let seconds = number("MODEL_SECONDS").unwrap_or(60);
    match std::env::var("MODEL_DURABILITY") {
        Ok(durability) => model(seed, &durability, seconds),
        Err(_) => DURABILITIES.into_iter().for_each(|durability| model(seed, durability, seconds / 2)),
    }
}

fn model(seed: u64, durability: &str, seconds: u64) {
    let rounds = number("MODEL_ROUNDS");
    let per_round = number("MODEL_OPS").unwrap_or(500);
    let mut rng = Rng::new(seed);
    println!("model: MODEL_SEED={seed} MODEL_OPS={per_round} MODEL_DURABILITY={durability}");

    let (source_base, backup_base) = (elsewhere("MODEL_SOURCE"), elsewhere("MODEL_BACKUP"));
    let place = Scratch::new("model-disk");
    let own = backup_base.is_none() && rng.one_in(2) && is_root("a disk that becomes full");
    let disk = own.then(|| Disk::make(place.path(), Format::Tmpfs));
    let setting = Setting::draw(&mut rng);
    println!("model: {setting:?}");
    let setup = Setup {
        durability: durability.into(),
        proxy: true,
        source: format!("{}\nopen_files = {{ settle = \"100ms\", max_delay = \"500ms\" }}", setting.toml()),
        source_base: source_base.as_ref().map(|s| s.path().to_path_buf()),
        backup_base: backup_base.as_ref().map(Scratch::path).or(disk.as_ref().map(Disk::path)).map(Path::to_path_buf),
        ..Setup::keeping_all()
    };
    let mut pair = Pair::new("model", setup);
    // Where other users can come, a folder that might be theirs does not get its owner, and is named: not equal, by design.
    fs::chmod(pair.backup.parent().unwrap(), 0o700).unwrap();
    let outside = match &source_base {
        Some(base) => base.folder("outside"),
        None => pair.scratch.folder("outside"),
    };
    let twins = if rng.one_in(2) { Twins::Made } else { Twins::None };
    let mut world = World::new(pair.source.clone(), outside, twins, rng.next());
    let mut faults = Faults::new(twins, disk, rng.next());
    let mut masses = Masses::new(setting, rng.next());
    pair.start();
    let start = Instant::now();
    let (mut round, mut late) = (0, 0);
    while rounds.map_or(start.elapsed() < Duration::from_secs(seconds), |rounds| round < rounds) {
        world.begin_round();
        faults.plan(per_round);
        let pause = [0, 0, 100, 1_000][rng.below(4) as usize];
        for at in 0..per_round {
            faults.step(at, &mut pair, &mut world);
            world.step();
            if faults.pushd_answers(at) {
                masses.step(&pair, &mut world);
            }
            if pause > 0 && rng.one_in(2) {
                std::thread::sleep(Duration::from_micros(rng.below(pause * 2)));
            }
        }
        world.end_round();
        faults.end(&mut pair);
        let died =
            if pair.pushd.daemon.is_running() && pair.recvd.daemon.is_running() { "" } else { "a daemon ended\n" };
        let rest = Instant::now();
        let settled = if died.is_empty() { masses.settle(&pair, &mut world) } else { Err(died.into()) };
        match settled {
            Ok(true) => {}
            Ok(false) if std::env::var_os("MODEL_STRICT").is_none() => late += 1,
            Ok(false) => fail(&mut pair, &world, seed, round, "equal only after pushd had said so"),
            Err(report) => fail(&mut pair, &world, seed, round, &report),
        }
        if rest.elapsed() > Duration::from_secs(5) {
            println!("model: round {round} needed {:?} to come to rest, after {}", rest.elapsed(), faults.planned());
        }
        if rng.one_in(2)
            && let Err(report) = masses.episode(&mut pair, &mut world)
        {
            fail(&mut pair, &world, seed, round, &report);
        }
        for log in [pair.pushd.daemon.log(), pair.recvd.daemon.log()] {
            if log.contains("panicked") {
                fail(&mut pair, &world, seed, round, "a thread panicked");
            }
        }
        round += 1;
        if round % 20 == 0 {
            println!("model: round {round}, {} operations, {:?}, late {late}", world.done(), start.elapsed());
        }
    }
    println!(
        "model: seed {seed}: {} operations in {round} rounds without a difference, {:?}; pushd spoke too soon in {late}",
        world.done(),
        start.elapsed()
    );
    println!("model: operations {}", counts(world.counts()));
    println!("model: faults {}", counts(faults.counts()));
    println!("model: deletions {}", counts(&masses.counts));
    // Before the disk is unmounted.
    pair.pushd.daemon.kill();
    pair.recvd.daemon.kill();
}

fn counts(counts: &BTreeMap<&'static str, u64>) -> String {
    counts.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
}

/// Prints what happened to the paths that differ, leaves everything standing and fails.
fn fail(pair: &mut Pair, world: &World, seed: u64, round: u64, report: &str) -> ! {
    let differences = compare::trees(&pair.source, &pair.backup);
    let mut words = BTreeSet::new();
    for difference in differences.iter().take(10) {
        let mut path = pair.source.clone();
        for name in difference.path.split(|b| *b == b'/') {
            path = fs::at(&path, name);
            words.extend(std::fs::symlink_metadata(&path).map(|meta| ops::inode(&meta)));
        }
        words.insert(format!("{}\"", fs::show(&difference.path)));
    }
    let log = world.log();
    let about: Vec<_> = log.iter().filter(|line| words.iter().any(|word| line.contains(word))).collect();
    let _ = std::fs::write(pair.scratch.path().join("operations.txt"), log.join("\n"));
    pair.scratch.keep();
    println!("the operations on {words:?}, the last of them:");
    for line in &about[about.len().saturating_sub(80)..] {
        println!("  {line}");
    }
    println!("status: {:#}", pair.pushd.status().unwrap_or_default());
    println!("now:\n{}", compare::listing(&differences, 40));
    panic!("model: MODEL_SEED={seed}, round {round}: {report}");
}
