//! Files that are written all the time: what is sent of them is bounded by their size, the backup gets a copy of what it has
//! nothing of, and an exact one when they rest.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::pair::{Pair, Setup};
use crate::rig::rng::Rng;
use crate::rig::{eventually, patience, stays};

const MIB: u64 = 1 << 20;

/// Bytes that zstd makes nothing of.
fn random(rng: &mut Rng, length: u64) -> Vec<u8> {
    (0..length / 8).flat_map(|_| rng.next().to_le_bytes()).collect()
}

/// A file of such bytes.
fn noise(at: &Path, size: u64) {
    let (mut rng, file) = (Rng::new(size), File::create(at).unwrap());
    (0..size / MIB).for_each(|n| file.write_all_at(&random(&mut rng, MIB), n * MIB).unwrap());
}

/// A file of `size` that is overwritten at random places, so much at a time, while `during` lasts.
fn while_written<T>(at: &Path, (size, piece): (u64, u64), pause: Duration, during: impl FnOnce() -> T) -> T {
    let writes = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut rng, file) = (Rng::new(7), File::options().write(true).open(at).unwrap());
            while writes.load(Ordering::SeqCst) {
                let bytes = random(&mut rng, piece);
                file.write_all_at(&bytes, rng.below(size - piece)).unwrap();
                thread::sleep(pause);
            }
        });
        let ends = Ends(&writes);
        let done = during();
        drop(ends);
        done
    })
}

/// The scope waits for its thread, also where something panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

fn wire(pair: &Pair) -> u64 {
    pair.pushd.target("t")["sent"]["wire_bytes"].as_u64().unwrap()
}

fn is_marked(at: &Path) -> bool {
    rustix::fs::getxattr(at, "user.recvd.inexact", &mut [0; 8][..]).is_ok()
}

/// A live pair, and a name in its source.
fn live(test: &str, source: &str) -> (Pair, PathBuf) {
    let pair = Pair::live(test, Setup { source: source.into(), ..Setup::default() });
    let at = pair.source.join("f");
    (pair, at)
}

/// Follows a new file of so many MiB for some time while it is written by pieces, each after such a pause; then it rests.
fn follow(test: &str, size: u64, (piece, pause): (u64, Duration), span: Duration) {
    let (pair, at) = live(test, "");
    let (size, copy) = (size * MIB, pair.backup.join("f"));
    let (before, begun) = (wire(&pair), Instant::now());
    // It is complete under its name before it is written to.
    noise(&pair.scratch.path().join("new"), size);
    fs::rename(pair.scratch.path().join("new"), &at).unwrap();
    let first = while_written(&at, (size, piece), pause, || {
        eventually("something of it stands", || copy.exists());
        let first = (begun.elapsed(), wire(&pair) - before);
        thread::sleep(span.saturating_sub(begun.elapsed()));
        first
    });
    let (exact, sent) = (!is_marked(&copy), wire(&pair) - before);
    let rests = Instant::now();
    pair.settle();
    let all = wire(&pair) - before;
    println!(
        "{test}: first copy after {:?} and {} MiB; {} MiB in {span:?} (exact: {exact}); {} MiB in sync, {:?} later",
        first.0,
        first.1 / MIB,
        sent / MIB,
        all / MIB,
        rests.elapsed()
    );
    assert!(!is_marked(&copy));
    assert!(first.1 <= 4 * size + MIB, "{} bytes of {size} before the first copy stood", first.1);
    assert!(sent <= 5 * size + MIB, "{sent} bytes of a file of {size}");
}

#[test]
fn a_large_file_that_is_written_all_the_time_is_copied_and_costs_little() {
    follow("busy", 64, (4096, Duration::from_millis(5)), Duration::from_secs(20));
}

/// The rate that people have reported.
#[test]
fn one_that_is_written_four_times_a_second_too() {
    follow("four", 64, (4096, Duration::from_millis(250)), Duration::from_secs(20));
}

#[test]
#[ignore = "a gigabyte, three times on the disk, and a minute and a half"]
fn one_of_a_gigabyte_too() {
    follow("gigabyte", 1024, (4096, Duration::from_millis(250)), Duration::from_secs(90));
}

#[test]
fn one_that_is_filled_at_random_places_is_followed_for_little_more_than_its_size() {
    let (pair, at) = live("torrent", "");
    let (size, piece) = (160 * MIB, 256 * 1024);
    let before = wire(&pair);
    let file = File::create(&at).unwrap();
    file.set_len(size).unwrap();
    let mut rng = Rng::new(3);
    // Each once, in an order without a pattern: 257 has no divisor in common with their number.
    for n in 0..size / piece {
        let at = n * 257 % (size / piece);
        file.write_all_at(&random(&mut rng, piece), at * piece).unwrap();
        thread::sleep(Duration::from_millis(25));
    }
    drop(file);
    pair.settle();
    let sent = wire(&pair) - before;
    println!("{} MiB on the wire for {} MiB", sent / MIB, size / MIB);
    assert!(sent <= 5 * size, "{sent} bytes of a file of {size}");
    assert!(!is_marked(&pair.backup.join("f")));
}

#[test]
fn where_it_is_to_wait_nothing_is_stored_before_it_rests_and_what_is_sent_is_bounded() {
    let (pair, at) = live("waits", "busy_files = \"wait\"");
    let (size, copy) = (64 * MIB, pair.backup.join("f"));
    let before = wire(&pair);
    noise(&pair.scratch.path().join("new"), size);
    fs::rename(pair.scratch.path().join("new"), &at).unwrap();
    while_written(&at, (size, 4096), Duration::from_millis(1), || {
        eventually("it is named", || pair.pushd.target("t")["problems"][0]["path"] == "f");
        assert!(stays(Duration::from_secs(15), || !copy.exists()), "something of it is stored");
        assert!(pair.pushd.target("t")["owed"]["paths"].as_u64() > Some(0));
    });
    let sent = wire(&pair) - before;
    assert!(sent <= 4 * size + MIB, "{sent} bytes of a file of {size}");
    pair.settle();
    assert!(!is_marked(&copy));
}

#[test]
fn an_exact_version_is_followed_and_never_gives_way_to_an_inexact_one() {
    let (pair, at) = live("database", "");
    let (size, copy) = (100 * MIB, pair.backup.join("f"));
    noise(&at, size);
    pair.settle();
    let before = wire(&pair);
    let began = fs::metadata(&copy).unwrap().modified().unwrap();
    while_written(&at, (size, 4096), Duration::from_secs(1), || {
        let inexact = || is_marked(&copy);
        let end = Instant::now() + patience();
        while fs::metadata(&copy).unwrap().modified().unwrap() == began {
            assert!(!inexact() && Instant::now() < end, "no later version of it came");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(stays(Duration::from_secs(10), || !inexact()));
    });
    let sent = wire(&pair) - before;
    println!("{} MiB on the wire", sent / MIB);
    assert!(sent < size / 2, "{sent} bytes of a file of {size}");
    pair.settle();
}
