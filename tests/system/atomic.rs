//! A reader of the backup sees whole versions with the metadata that belongs to them, at any moment.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::fs::{chmod, set_mtime};
use crate::rig::pair::{Pair, Setup};

/// Bytes of one cell: file, version, length of the whole, offset; so that a torn mixture names its parts.
const CELL: usize = 64;

/// Version `v` of file `f`: its length follows from the version, some large, some small.
fn version(f: u64, v: u64) -> Vec<u8> {
    let cells = if v.is_multiple_of(7) { 9_000 } else { 1 + (v * 131 % 900) } as usize;
    (0..cells).flat_map(|n| format!("{f:8} {v:16} {:16} {:19}\n\n", cells * CELL, n * CELL).into_bytes()).collect()
}

fn mode(v: u64) -> u32 {
    0o600 + (v % 64) as u32
}

fn mtime(v: u64) -> i64 {
    1_000_000_000 + v as i64
}

/// The version that `content` is a beginning of; panics when it is a mixture.
fn parse(path: &Path, content: &[u8]) -> Option<u64> {
    let cell = content.get(..CELL)?;
    let text = std::str::from_utf8(cell).unwrap_or_else(|_| panic!("garbage in {}", path.display()));
    let mut words = text.split_whitespace();
    let f: u64 = words.next().unwrap().parse().unwrap();
    let v: u64 = words.next().unwrap().parse().unwrap();
    let whole = version(f, v);
    assert!(whole.starts_with(content), "{} is not a beginning of version {v}", path.display());
    Some(v)
}

/// Samples `path` on the backup until `end`; every sample must be a whole version with its metadata, and no version
/// may follow a newer one. Returns the number of versions seen.
fn sample_whole(path: &Path, end: &AtomicBool) -> u64 {
    let (mut newest, mut seen) = (0, 0);
    while !end.load(SeqCst) {
        let Ok(mut file) = File::open(path) else {
            assert_eq!(newest, 0, "{} vanished", path.display());
            continue;
        };
        let before = file.metadata().unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        let v = parse(path, &content).unwrap_or_else(|| panic!("{} is {} bytes", path.display(), content.len()));
        assert_eq!(content.len(), version(content_file(&content), v).len(), "a part of version {v}");
        let shown = (before.mode() & 0o7777, before.mtime(), before.mtime_nsec());
        assert_eq!(shown, (mode(v), mtime(v), v as i64), "metadata of another version than {v}");
        assert!(v >= newest, "version {v} after {newest}");
        if v > newest {
            (newest, seen) = (v, seen + 1);
        }
    }
    seen
}

fn content_file(content: &[u8]) -> u64 {
    std::str::from_utf8(&content[..9]).unwrap().trim().parse().unwrap()
}

#[test]
fn a_reader_sees_only_whole_versions_with_their_metadata() {
    let pair = Pair::live("versions", Setup::default());
    let end = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    let span = Duration::from_secs(4);
    thread::scope(|scope| {
        for f in 0..2u64 {
            let (end, written, source) = (&end, &written, &pair.source);
            scope.spawn(move || {
                let deadline = Instant::now() + span;
                let mut v = 0;
                while Instant::now() < deadline {
                    v += 1;
                    let temporary = source.join(format!("temporary {f}"));
                    fs::write(&temporary, version(f, v)).unwrap();
                    chmod(&temporary, mode(v)).unwrap();
                    set_mtime(&temporary, mtime(v), v as u32).unwrap();
                    fs::rename(&temporary, source.join(format!("file {f}"))).unwrap();
                    written.fetch_add(1, SeqCst);
                    thread::sleep(Duration::from_millis(3));
                }
                end.store(true, SeqCst);
            });
        }
        let samples: Vec<_> = (0..2)
            .map(|f| {
                let (path, end) = (pair.backup.join(format!("file {f}")), &end);
                scope.spawn(move || sample_whole(&path, end))
            })
            .collect();
        for sample in samples {
            let seen = sample.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
            println!("{seen} versions seen of {} written", written.load(SeqCst));
            assert!(seen > 3, "the sampler saw {seen} versions only");
        }
    });
    pair.settle();
}

#[test]
fn a_file_rewritten_in_place_is_never_published_as_a_mixture() {
    let setup =
        Setup { source: "open_files = { settle = \"50ms\", max_delay = \"300ms\" }".into(), ..Setup::default() };
    let pair = Pair::live("inplace", setup);
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let deadline = Instant::now() + Duration::from_secs(4);
            let mut v = 0;
            while Instant::now() < deadline {
                v += 1;
                // Truncated, then written in pieces: every state is a beginning of one version.
                let mut file = File::create(pair.source.join("file 0")).unwrap();
                for piece in version(0, v).chunks(16 * 1024) {
                    file.write_all(piece).unwrap();
                }
                drop(file);
                if v.is_multiple_of(40) {
                    thread::sleep(Duration::from_millis(60));
                }
            }
            end.store(true, SeqCst);
        });
        let path = pair.backup.join("file 0");
        while !end.load(SeqCst) {
            if let Ok(content) = fs::read(&path) {
                let _ = parse(&path, &content);
            }
        }
    });
    pair.settle();
}
