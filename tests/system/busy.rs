//! Files that are written all the time: what is sent of them is bounded by their size, the backup gets a copy of what it has
//! nothing of, and an exact one when they rest.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
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

/// Waits for the copy of a file that rests: for half a minute at most it is not tried, and then all of it is read.
fn until_exact(pair: &Pair, at: &Path, copy: &Path) {
    let end = Instant::now() + 4 * patience();
    let time = |at: &Path| fs::metadata(at).and_then(|meta| meta.modified()).ok();
    while is_marked(copy) || time(copy) != time(at) {
        assert!(Instant::now() < end, "no exact version came: {:#}", pair.pushd.target("t"));
        thread::sleep(Duration::from_millis(100));
    }
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
    until_exact(&pair, &at, &copy);
    let rests = rests.elapsed();
    pair.settle();
    let all = wire(&pair) - before;
    println!(
        "{test}: first copy after {:?} and {} MiB; {} MiB in {span:?} (exact: {exact}); {} MiB in sync, {:?} later",
        first.0,
        first.1 / MIB,
        sent / MIB,
        all / MIB,
        rests
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

/// `BUSY_SPAN` says how many seconds it is written.
#[test]
#[ignore = "a gigabyte, three times on the disk, and a minute and a half"]
fn one_of_a_gigabyte_too() {
    let span = std::env::var("BUSY_SPAN").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(90);
    follow("gigabyte", 1024, (4096, Duration::from_millis(250)), Duration::from_secs(span));
}

/// A hollow file of `size` that fills in, as a torrent does: pieces of 16 to 64 KiB in no order, so many bytes a second.
fn fill(at: &Path, size: u64, rate: u64) {
    let (mut rng, file) = (Rng::new(3), File::create(at).unwrap());
    file.set_len(size).unwrap();
    let mut pieces = vec![0];
    while *pieces.last().unwrap() < size {
        pieces.push((pieces.last().unwrap() + rng.between(1, 4) * 16 * 1024).min(size));
    }
    let mut pieces: Vec<_> = pieces.windows(2).map(|ends| (ends[0], ends[1] - ends[0])).collect();
    (1..pieces.len()).rev().for_each(|n| pieces.swap(n, rng.below(n as u64 + 1) as usize));
    let (begun, mut done) = (Instant::now(), 0);
    for (at, length) in pieces {
        file.write_all_at(&random(&mut rng, length), at).unwrap();
        done += length;
        let due = Duration::from_secs_f64(done as f64 / rate as f64);
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
}

/// Follows such a file until it is whole, and its copy too.
fn torrent(test: &str, source: &str, (size, rate): (u64, u64)) {
    let (pair, at) = live(test, source);
    let (before, copy) = (wire(&pair), pair.backup.join("f"));
    fill(&at, size, rate);
    let (filling, rests) = (wire(&pair) - before, Instant::now());
    if source.contains("wait") {
        assert!(!is_marked(&copy), "an inexact copy stands");
    }
    until_exact(&pair, &at, &copy);
    let rests = rests.elapsed();
    pair.settle();
    let sent = wire(&pair) - before;
    println!(
        "{test}: {} MiB on the wire for {} MiB while it was filled, {} MiB in all; exact {rests:?} later",
        filling / MIB,
        size / MIB,
        sent / MIB
    );
    assert!(sent <= 5 * size, "{sent} bytes of a file of {size}");
    assert!(!is_marked(&copy));
}

#[test]
fn one_that_is_filled_at_random_places_is_followed_for_little_more_than_its_size() {
    torrent("torrent", "", (160 * MIB, 8 * MIB));
}

#[test]
fn so_it_is_where_nothing_is_to_be_stored_before_it_rests() {
    torrent("patient", "busy_files = \"wait\"", (160 * MIB, 8 * MIB));
}

#[test]
#[ignore = "420 MiB, three times on the disk, and a minute and a half"]
fn a_torrent_of_a_usual_size_too() {
    torrent("usual", "", (420 * MIB, 7 * MIB));
}

/// Of a download that stalls, and is written to in what it has.
#[test]
fn a_hollow_one_that_never_rests_is_copied_with_its_holes() {
    let (pair, at) = live("hollow", "");
    let (size, copy, before) = (64 * MIB, pair.backup.join("f"), wire(&pair));
    let new = pair.scratch.path().join("new");
    noise(&new, size / 4);
    File::options().write(true).open(&new).unwrap().set_len(size).unwrap();
    fs::rename(&new, &at).unwrap();
    while_written(&at, (size / 4, 4096), Duration::from_millis(1), || {
        eventually("an inexact copy stands", || is_marked(&copy));
        assert!(
            stays(Duration::from_secs(10), || is_marked(&copy)),
            "what is written all the time is said to be exact"
        );
    });
    let sent = wire(&pair) - before;
    assert!(sent <= 2 * size, "{sent} bytes of a file of {size}, of which a quarter is there");
    until_exact(&pair, &at, &copy);
    pair.settle();
    assert!(fs::metadata(&copy).unwrap().blocks() * 512 < size / 2, "its holes are filled");
}

#[test]
fn one_that_had_no_data_when_it_was_mirrored_first_is_copied_too() {
    let (pair, at) = live("hollow at first", "");
    let (size, copy) = (16 * MIB, pair.backup.join("f"));
    File::create(&at).unwrap().set_len(size).unwrap();
    pair.settle();
    assert!(fs::metadata(&copy).unwrap().len() == size && !is_marked(&copy));
    while_written(&at, (size, 64 * 1024), Duration::from_millis(2), || {
        eventually("there is a copy with data", || is_marked(&copy) && fs::metadata(&copy).unwrap().blocks() > 0);
    });
    until_exact(&pair, &at, &copy);
    pair.settle();
    pair.assert_equal();
}

#[test]
fn after_a_restart_of_either_it_is_named_until_an_exact_copy_follows() {
    type Restart = fn(&mut Pair);
    let restarts: [(&str, Restart, Restart); 2] = [
        ("pushd", |pair| pair.pushd.daemon.kill(), |pair| pair.pushd.daemon.start()),
        ("recvd", |pair| pair.recvd.daemon.kill(), |pair| pair.recvd.start()),
    ];
    for (who, ends, starts) in restarts {
        let (mut pair, at) = live(&format!("busy-{who}"), "");
        let (size, copy) = (32 * MIB, pair.backup.join("f"));
        let named = |pair: &Pair| {
            let problem = &pair.pushd.target("t")["problems"][0];
            problem["path"] == "f"
                && problem["reason"].as_str().is_some_and(|reason| reason.contains("an inexact copy"))
        };
        noise(&pair.scratch.path().join("new"), size);
        fs::rename(pair.scratch.path().join("new"), &at).unwrap();
        while_written(&at, (size, 4096), Duration::from_millis(1), || {
            eventually("an inexact copy is named", || is_marked(&copy) && named(&pair));
            ends(&mut pair);
            starts(&mut pair);
            eventually("it is named again", || named(&pair));
            assert!(stays(Duration::from_secs(3), || is_marked(&copy) && named(&pair)), "{who} has forgotten it");
            ends(&mut pair);
        });
        // It comes to rest while nobody looks.
        assert!(is_marked(&copy));
        starts(&mut pair);
        until_exact(&pair, &at, &copy);
        pair.settle();
        assert_eq!(pair.pushd.target("t")["problems_total"], 0);
    }
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
