//! Renames: one operation on the wire however large the folder is, and right even under load.

use std::fs::{self, File};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::fs::exchange;
use crate::rig::pair::{Pair, Setup};
use crate::rig::rng::Rng;

const FILES: usize = 2_000;

/// A live pair with a folder of 2,000 files of 4 KiB each.
fn with_large_folder(test: &str) -> Pair {
    let setup =
        Setup { source: "open_files = { settle = \"100ms\", max_delay = \"500ms\" }".into(), ..Setup::default() };
    let mut pair = Pair::new(test, setup);
    let folder = pair.source.join("large");
    fs::create_dir_all(folder.join("sub")).unwrap();
    let mut rng = Rng::new(7);
    for n in 0..FILES {
        let place = if n % 2 == 0 { folder.join(n.to_string()) } else { folder.join(format!("sub/{n}")) };
        fs::write(place, rng.bytes(4096)).unwrap();
    }
    pair.start();
    pair.settle();
    pair
}

#[test]
fn a_renamed_folder_of_2000_files_sends_no_content() {
    let pair = with_large_folder("rename");
    let before = pair.pushd.sent_bytes("t");
    let at = |name: &str| pair.source.join(name);
    fs::rename(at("large"), at("larger")).unwrap();
    pair.settle();
    assert_eq!(pair.pushd.sent_bytes("t"), before, "a rename sent content");
    fs::create_dir(at("elsewhere")).unwrap();
    pair.settle();
    fs::rename(at("larger"), at("elsewhere/large")).unwrap();
    pair.settle();
    assert_eq!(pair.pushd.sent_bytes("t"), before, "a move into another folder sent content");
    fs::rename(at("elsewhere"), at("somewhere")).unwrap();
    fs::rename(at("somewhere/large"), at("large")).unwrap();
    fs::rename(at("large"), at("somewhere/back")).unwrap();
    fs::rename(at("somewhere"), at("nowhere")).unwrap();
    pair.settle();
    assert_eq!(pair.pushd.sent_bytes("t"), before, "renames in quick succession sent content");
}

/// Whoever watches by inotify may see the new folder only after the move into it, so that content may be sent once
/// more here: only that all is equal in the end is demanded.
#[test]
fn a_folder_moved_into_a_folder_made_that_moment_arrives() {
    let pair = with_large_folder("newparent");
    let before = pair.pushd.sent_bytes("t");
    let at = |name: &str| pair.source.join(name);
    fs::create_dir(at("fresh")).unwrap();
    fs::rename(at("large"), at("fresh/large")).unwrap();
    pair.settle();
    fs::create_dir_all(at("a/b/c")).unwrap();
    fs::rename(at("fresh/large"), at("a/b/c/large")).unwrap();
    pair.settle();
    println!("{} bytes sent for two moves into fresh folders", pair.pushd.sent_bytes("t") - before);
}

#[test]
fn a_folder_renamed_while_a_file_inside_is_written_sends_only_that_file() {
    let pair = with_large_folder("renamewrite");
    let before = pair.pushd.sent_bytes("t");
    let writing = AtomicBool::new(true);
    thread::scope(|scope| {
        let mut file = File::create(pair.source.join("large/written")).unwrap();
        let writing = &writing;
        scope.spawn(move || {
            while writing.load(SeqCst) {
                file.write_all(b"a line while the folder moves\n").unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        });
        let mut name = pair.source.join("large");
        for n in 0..20 {
            let next = pair.source.join(format!("large {n}"));
            fs::rename(&name, &next).unwrap();
            name = next;
            thread::sleep(Duration::from_millis(40));
        }
        writing.store(false, SeqCst);
    });
    pair.settle();
    let sent = pair.pushd.sent_bytes("t") - before;
    let whole = (FILES * 4096) as u64;
    assert!(sent < whole / 4, "{sent} bytes sent for renames of a folder of {whole} bytes");
}

#[test]
fn swapped_names_converge() {
    let mut pair = Pair::new("exchange", Setup { source: "max_delete = \"100%\"".into(), ..Setup::default() });
    for name in ["a", "b", "c"] {
        fs::write(pair.source.join(name), name.repeat(1000)).unwrap();
        let folder = pair.source.join(format!("folder {name}"));
        fs::create_dir(&folder).unwrap();
        for n in 0..50 {
            fs::write(folder.join(n.to_string()), format!("{name} {n}")).unwrap();
        }
    }
    pair.start();
    pair.settle();
    let at = |name: &str| pair.source.join(name);
    // Once, so that nothing hides in a second swap.
    exchange(&at("a"), &at("b")).unwrap();
    exchange(&at("folder a"), &at("folder b")).unwrap();
    pair.settle();
    // A file with a folder.
    exchange(&at("c"), &at("folder c")).unwrap();
    fs::write(at("c/new"), b"in what was a file's name").unwrap();
    pair.settle();
    // At full speed, with writes in between.
    let end = Instant::now() + Duration::from_secs(1);
    let (mut rng, mut size) = (Rng::new(3), 5_000);
    while Instant::now() < end {
        exchange(&at("a"), &at("b")).unwrap();
        exchange(&at("folder a"), &at("folder b")).unwrap();
        if rng.one_in(50) {
            // No two of one size: written within a tick of the clock they could not be told apart.
            size += 1;
            fs::write(at(&format!("folder a/{}", rng.below(50))), rng.bytes(size)).unwrap();
            fs::write(at("a"), rng.bytes(size)).unwrap();
        }
        if rng.one_in(1000) {
            exchange(&at("folder a"), &at("b")).unwrap();
            exchange(&at("folder a"), &at("b")).unwrap();
        }
    }
    exchange(&at("folder a"), &at("folder b")).unwrap();
    pair.settle();
}

#[test]
fn two_threads_that_rename_at_full_speed_converge() {
    // Looked at after an overflow, a rename is a deletion and a new name.
    let mut pair = Pair::new("storm", Setup { source: "max_delete = \"100%\"".into(), ..Setup::default() });
    for n in 0..40 {
        let folder = pair.source.join(format!("d{n}"));
        fs::create_dir(&folder).unwrap();
        // Each of a size of its own: a comparison cannot tell contents of one size and one time apart.
        fs::write(folder.join("file"), vec![b'd'; 1000 + n]).unwrap();
        fs::write(pair.source.join(format!("f{n}")), vec![b'x'; n]).unwrap();
    }
    pair.start();
    pair.settle();
    thread::scope(|scope| {
        for seed in 0..2 {
            let source = &pair.source;
            scope.spawn(move || {
                // Even sizes in one thread, odd ones in the other: no two contents of one size.
                let (mut rng, mut size) = (Rng::new(seed), 100 + seed as usize);
                let end = Instant::now() + Duration::from_secs(1);
                while Instant::now() < end {
                    let (a, b) = (rng.below(40), rng.below(40));
                    match rng.below(6) {
                        0 => drop(fs::rename(source.join(format!("f{a}")), source.join(format!("f{b}")))),
                        1 => drop(fs::rename(source.join(format!("d{a}")), source.join(format!("d{b}/d{a}")))),
                        2 => drop(fs::rename(source.join(format!("d{b}/d{a}")), source.join(format!("d{a}")))),
                        3 => drop(exchange(&source.join(format!("f{a}")), &source.join(format!("d{b}")))),
                        4 => drop(exchange(&source.join(format!("d{a}")), &source.join(format!("d{b}")))),
                        _ => {
                            size += 2;
                            drop(fs::write(source.join(format!("f{a}")), rng.bytes(size)));
                        }
                    }
                }
            });
        }
    });
    pair.settle();
}
