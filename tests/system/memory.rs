//! What pushd remembers is bounded, whatever users of a source do: the most memory that it has had, under trees and changes
//! made to fill it. What is bounded, and by what: ARCHITECTURE.md, "Memory".

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use crate::rig::pair::{Pair, Setup};

/// Far more than it has in any of these, and far less than without bounds.
const BOUND: u64 = 256 << 20;

fn assert_bounded(most: u64) {
    assert!(most < BOUND, "{} MiB", most >> 20);
}

/// A folder in which nothing needs a path.
struct Folder(OwnedFd);

impl Folder {
    fn open(path: &Path) -> Folder {
        Folder(rustix::fs::open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap())
    }

    /// Makes a folder in it.
    fn make(&self, name: &str) -> Folder {
        rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o755)).unwrap();
        self.enter(name)
    }

    /// So many folders in each other, with names of so many bytes; the innermost.
    fn deep(self, depth: usize, bytes: usize) -> Folder {
        (0..depth).fold(self, |folder, _| folder.make(&"d".repeat(bytes)))
    }

    fn enter(&self, name: &str) -> Folder {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Folder(rustix::fs::openat(&self.0, name, flags, Mode::empty()).unwrap())
    }

    /// Whether a file of the name is there, with these bytes first.
    fn begins(&self, name: &str, with: &[u8]) -> bool {
        let opened = rustix::fs::openat(&self.0, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        opened.is_ok_and(|file| {
            let mut bytes = vec![0; with.len()];
            rustix::io::read(&file, &mut bytes[..]) == Ok(with.len()) && bytes == with
        })
    }

    fn file(&self, name: &str, content: &[u8]) {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o644)).unwrap();
        rustix::io::write(&file, content).unwrap();
    }

    fn link(&self, from: &str, to: &Folder, name: &str) {
        rustix::fs::linkat(&self.0, from, &to.0, name, AtFlags::empty()).unwrap();
    }

    /// Makes new files for so long, as fast as it goes.
    fn storm(&self, span: Duration) -> usize {
        let (begun, mut made) = (Instant::now(), 0);
        while begun.elapsed() < span {
            (0..100).for_each(|n| self.file(&(made + n).to_string(), b""));
            made += 100;
        }
        made
    }
}

/// Beside these tests others run.
const PATIENCE: Duration = Duration::from_secs(600);

/// Waits for equal trees.
fn settle(pair: &Pair) {
    let end = Instant::now() + PATIENCE;
    while let Err(report) = pair.try_settle() {
        assert!(Instant::now() < end, "{report}");
    }
}

/// Waits until this is so.
fn comes(name: &str, mut what: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < end, "did not happen: {name}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn say(what: &str, pair: &Pair) -> u64 {
    let most = pair.pushd.daemon.most_memory();
    println!("{what}: {} MiB at most", most >> 20);
    most
}

/// Whether the target is there while something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Online,
    Stopped,
    Away,
}

/// A storm of new files 300 folders deep, whose names have so many bytes each, and equal trees at its end.
fn storm_at_depth(target: Target, bytes: usize, span: Duration) -> u64 {
    let mut pair = Pair::live("deep", Setup::default());
    let deep = Folder::open(&pair.source).make("user").deep(299, bytes);
    settle(&pair);
    match target {
        Target::Online => {}
        Target::Stopped => pair.recvd.daemon.stop(),
        Target::Away => {
            pair.recvd.daemon.kill();
            comes("pushd knows", || pair.pushd.target("t")["state"] == "offline");
        }
    }
    let made = deep.storm(span);
    say(&format!("{made} files 300 folders deep, names of {bytes}, {target:?}"), &pair);
    match target {
        Target::Online => {}
        Target::Stopped => pair.recvd.daemon.go_on(),
        Target::Away => pair.recvd.start(),
    }
    settle(&pair);
    say("in sync", &pair)
}

#[test]
fn a_storm_deep_in_a_tree_fills_no_memory() {
    for target in [Target::Online, Target::Stopped, Target::Away] {
        let most = storm_at_depth(target, 12, Duration::from_secs(2));
        assert!(most < BOUND, "{target:?}: {} MiB", most >> 20);
    }
}

#[test]
#[ignore = "a minute and a half of storms, for figures"]
fn long_storms_deep_in_a_tree_fill_no_memory() {
    for target in [Target::Online, Target::Stopped, Target::Away] {
        let most = storm_at_depth(target, 12, Duration::from_secs(25));
        assert!(most < BOUND, "{target:?}: {} MiB", most >> 20);
    }
}

/// So many folders with a file each, side by side so deep that each path is 60 KiB.
fn folders_at_depth(folders: usize) -> u64 {
    let mut pair = Pair::new("wide", Setup::default());
    let top = Folder::open(&pair.source).make("user");
    let deep = top.deep(299, 200);
    for n in 0..folders {
        deep.make(&n.to_string()).file("file", b"x");
    }
    pair.start();
    settle(&pair);
    say(&format!("{folders} folders 300 deep"), &pair)
}

#[test]
fn many_folders_deep_in_a_tree_fill_no_memory() {
    let most = folders_at_depth(300);
    assert_bounded(most);
}

#[test]
#[ignore = "takes minutes, for figures"]
fn very_many_folders_deep_in_a_tree_fill_no_memory() {
    let most = folders_at_depth(20_000);
    assert_bounded(most);
}

/// So many files that the target refuses, with names of 200 bytes, ten folders deep.
fn problems(files: usize) -> u64 {
    let mut pair = Pair::new("refused", Setup { module: "max_file_size = \"1B\"".into(), ..Setup::default() });
    let top = Folder::open(&pair.source);
    let content = b"two";
    for folder in 0..files / 1000 {
        let deep = top.make(&format!("{folder:0>200}")).deep(9, 200);
        (0..1000).for_each(|n| deep.file(&format!("{n:0>200}"), content));
    }
    pair.start();
    comes("all are named or counted", || pair.pushd.target("t")["problems_total"].as_u64() >= Some(files as u64));
    let most = say(&format!("{files} problems"), &pair);
    comes("nothing else is owed", || pair.pushd.command(&["status", "-v"]).code == 1);
    most.max(say("with status", &pair))
}

#[test]
fn many_problems_fill_no_memory() {
    let most = problems(10_000);
    assert_bounded(most);
}

#[test]
#[ignore = "takes a minute, for figures"]
fn very_many_problems_fill_no_memory() {
    let most = problems(200_000);
    assert_bounded(most);
}

/// So many files with names of 100 bytes, which vanish.
fn held(entries: usize, by_start: bool) -> u64 {
    let source = "delete_hold = \"5s\"\nmax_delete = \"10%\"".into();
    let mut pair = Pair::new("mass", Setup { source, ..Setup::default() });
    let folder = pair.source.join("spool");
    fs::create_dir(&folder).unwrap();
    let spool = Folder::open(&folder);
    for n in 0..entries / 1000 {
        let one = spool.make(&format!("{n:0>100}"));
        (0..1000).for_each(|n| one.file(&format!("{n:0>100}"), b""));
    }
    pair.start();
    settle(&pair);
    say(&format!("{entries} entries"), &pair);
    if by_start {
        pair.pushd.daemon.end(Duration::from_secs(60));
    }
    for n in 0..entries / 1000 {
        let one = folder.join(format!("{n:0>100}"));
        for entry in fs::read_dir(&one).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    if by_start {
        pair.pushd.daemon.start();
        comes("they are held", || pair.pushd.target("t")["held"]["entries"].as_u64() >= Some(entries as u64));
        assert_eq!(pair.pushd.command(&["release", "s"]).code, 0);
    }
    settle(&pair);
    say(&format!("{entries} deletions, by a start: {by_start}"), &pair)
}

#[test]
fn masses_of_deletions_fill_no_memory() {
    for by_start in [false, true] {
        let most = held(20_000, by_start);
        assert_bounded(most);
    }
}

#[test]
#[ignore = "takes minutes, for figures"]
fn large_masses_of_deletions_fill_no_memory() {
    for by_start in [false, true] {
        let most = held(300_000, by_start);
        assert_bounded(most);
    }
}

/// So many files of two names each, in folders of so many bytes.
fn links(files: usize, depth: usize) -> (Pair, u64) {
    let mut pair =
        Pair::new("linked", Setup { module: "keep = [\"mode\", \"mtime\", \"hardlinks\"]".into(), ..Setup::default() });
    let top = Folder::open(&pair.source);
    let (one, other) = (top.make("one").deep(depth, 200), top.make("other").deep(depth, 200));
    for n in 0..files {
        one.file(&n.to_string(), b"x");
        one.link(&n.to_string(), &other, &n.to_string());
    }
    pair.start();
    settle(&pair);
    let most = say(&format!("{files} files of two names, {depth} deep"), &pair);
    (pair, most)
}

/// The same when all that one of their folders has is renamed.
fn renamed_links(files: usize, depth: usize) -> u64 {
    let (pair, most) = links(files, depth);
    rustix::fs::renameat(CWD, pair.source.join("one"), CWD, pair.source.join("two")).unwrap();
    settle(&pair);
    most.max(say("renamed", &pair))
}

#[test]
fn many_names_of_files_fill_no_memory() {
    assert_bounded(links(3_000, 100).1);
    assert_bounded(renamed_links(3_000, 100));
}

#[test]
#[ignore = "takes minutes, for figures"]
fn very_many_names_of_files_fill_no_memory() {
    for (files, depth) in [(200_000, 1), (50_000, 5), (8_000, 299)] {
        assert_bounded(renamed_links(files, depth));
    }
}

/// One file of so many names, 299 folders deep, that is written under one of them; to a module that joins them or does not.
fn names_of_one(names: usize, joins: bool) -> u64 {
    let keep = if joins { "\"mode\", \"mtime\", \"hardlinks\"" } else { "\"mode\", \"mtime\"" };
    let mut pair = Pair::new("crowded", Setup { module: format!("keep = [{keep}]"), ..Setup::default() });
    let top = Folder::open(&pair.source).make("user");
    let deep = top.deep(298, 200);
    // Under those two hundred that are not joined it is more than a target may have again.
    let (first, second) = (vec![b'1'; if joins { 400 * 1024 } else { 1 }], b"written again");
    deep.file("0", &first);
    (1..names).for_each(|n| deep.link("0", &deep, &n.to_string()));
    // Not all of them are joined: what counts is what is under each.
    let are = |pair: &Pair, content: &[u8]| {
        comes("it is under each", || {
            pair.pushd.wait_in_sync(&[]).is_ok() && {
                let there = Folder::open(&pair.backup).enter("user");
                let there = (0..298).fold(there, |folder, _| folder.enter(&"d".repeat(200)));
                (0..names).all(|n| there.begins(&n.to_string(), &content[..content.len().min(100)]))
            }
        });
    };
    pair.start();
    are(&pair, &first);
    let most = say(&format!("{names} names of a file, joined: {joins}"), &pair);
    deep.file("7", second);
    are(&pair, second);
    most.max(say("written", &pair))
}

/// All names of it take more than may be told at once, and more than a search may find.
#[test]
fn a_file_of_very_many_names_fills_no_memory_and_is_stored_under_each() {
    for joins in [true, false] {
        assert_bounded(names_of_one(450, joins));
    }
}

/// So many files in the root: a first pass, one that finds nothing, and one after the kernel has lost events. The most of each.
fn in_one_folder(files: usize) -> [u64; 3] {
    let mut pair = Pair::new("flat", Setup::default());
    let root = Folder::open(&pair.source);
    (0..files).for_each(|n| root.file(&n.to_string(), b""));
    pair.start();
    settle(&pair);
    let first = say(&format!("{files} files in the root"), &pair);
    pair.pushd.daemon.end(Duration::from_secs(60));
    pair.pushd.daemon.start();
    settle(&pair);
    let unchanged = say("unchanged", &pair);
    pair.pushd.daemon.forget_most_memory();
    pair.pushd.daemon.stop();
    // More than inotify keeps.
    (0..20_000).for_each(|n| root.file(&format!("new-{n}"), b""));
    pair.pushd.daemon.go_on();
    settle(&pair);
    [first, unchanged, say("events lost", &pair)]
}

/// LIMIT: the listing of one folder is held whole, of which the docs say how much that is.
#[test]
#[ignore = "takes minutes, for figures"]
fn a_large_folder_takes_two_hundred_bytes_for_each_entry() {
    let small = in_one_folder(100_000);
    let large = in_one_folder(1_000_000);
    for (small, large) in small.into_iter().zip(large) {
        let each = large.saturating_sub(small) / 900_000;
        assert!(each < 220, "{each} bytes");
    }
}
