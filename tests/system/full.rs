//! A backup whose disk is full or read-only: a condition that is said once, costs next to nothing, and ends by itself.
//!
//! `FULL_SECONDS` (10) sets how long the condition lasts in the first two tests, with edits and passes meanwhile, and
//! `FULL_ENTRIES` (4000) how many files the first has:
//! ```text
//! FULL_SECONDS=300 FULL_ENTRIES=18000 cargo test --release --test system full:: -- --nocapture
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::rig::mounted::{Disk, Format, Mounted};
use crate::rig::pair::{Pair, Pushd, Recvd, Setup};
use crate::rig::rng::Rng;
use crate::rig::scratch::Scratch;
use crate::rig::{compare, eventually, is_root};

/// What a pair may send in an hour beyond twice a clean pass, in bytes.
const HOUR: u64 = 1 << 20;
/// How often large files are renamed while the disk becomes full.
const ROUNDS: usize = 3;

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

/// So that what is sent is to be seen.
fn uncompressed() -> Setup {
    Setup { target: "compress = \"off\"".into(), ..Setup::default() }
}

/// A pair whose backup is a tmpfs of its own.
fn pair_on<'a>(test: &str, disk: &'a Path, options: &str) -> (Mounted<'a>, Pair) {
    let mounted = Mounted::tmpfs_with(disk, options);
    let pair = Pair::new(test, Setup { backup_base: Some(disk.to_owned()), ..uncompressed() });
    (mounted, pair)
}

fn fill(folder: &Path, entries: usize, size: usize) {
    for n in 0..entries {
        let at = folder.join(format!("folder {:02}", n % 40));
        fs::create_dir_all(&at).unwrap();
        let mut content = format!("{n} ").repeat(size / 4);
        content.truncate(size);
        fs::write(at.join(format!("file {n}")), content).unwrap();
    }
}

fn wire_bytes(pair: &Pair) -> u64 {
    pair.pushd.target("t")["sent"]["wire_bytes"].as_u64().unwrap_or_default()
}

fn is_blocked(pair: &Pair) -> bool {
    pair.pushd.target("t")["state"] == "blocked"
}

/// Lines at error level in a log.
fn errors(log: &str) -> Vec<String> {
    log.lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect()
}

/// What a pass of this source sends to an empty backup.
fn clean_pass(source: &Path) -> u64 {
    let pair = Pair::new("full-clean", uncompressed());
    for entry in fs::read_dir(source).unwrap() {
        let copied = Command::new("cp").arg("-a").arg(entry.unwrap().path()).arg(&pair.source).status();
        assert!(copied.unwrap().success());
    }
    let mut pair = pair;
    pair.recvd.start();
    let done = pair.sync(&["--json"]);
    assert_eq!(done.code, 0, "{}", done.text());
    done.json()["targets"][0]["wire_bytes"].as_u64().unwrap()
}

/// Edits that fit and passes, for so long.
fn go_on(pair: &Pair, length: Duration) {
    let began = Instant::now();
    let mut edits = 0;
    while began.elapsed() < length {
        edits += 1;
        fs::write(pair.source.join("anchor"), format!("edit {edits:9}")).unwrap();
        if edits % 5 == 0 {
            assert_eq!(pair.pushd.command(&["resync"]).code, 0);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn assert_told_once(pair: &Pair) {
    for (who, log) in [("pushd", pair.pushd.daemon.log()), ("recvd", pair.recvd.daemon.log())] {
        let lines = errors(&log);
        assert_eq!(lines.len(), 2, "{who}: one line at the begin and one at the end: {lines:#?}");
        assert!(lines[1].contains("again"), "{who}: {lines:#?}");
    }
}

#[test]
fn a_full_disk_is_a_condition_of_the_target_and_ends_by_itself() {
    if !is_root("a full disk") {
        return;
    }
    let (scratch, seconds) = (Scratch::new("full-disk"), number("FULL_SECONDS", 10));
    let disk = scratch.folder("disk");
    let (mounted, mut pair) = pair_on("full", &disk, "size=4m");
    fill(&pair.source, number("FULL_ENTRIES", 4_000) as usize, 3_000);
    let clean = clean_pass(&pair.source);
    pair.start();
    eventually("the target is blocked", || is_blocked(&pair));
    let began = Instant::now();
    let first = pair.pushd.target("t");
    go_on(&pair, Duration::from_secs(seconds));
    let sent = wire_bytes(&pair);
    println!("full disk, {seconds} s: {sent} bytes, a clean pass takes {clean}");
    assert!(sent <= clean + HOUR * (seconds + 60) / 3600 + 64 * 1024, "{sent} bytes, a clean pass takes {clean}");
    let target = pair.pushd.target("t");
    assert_eq!(target["state"], "blocked", "{target:#}");
    assert_eq!(target["problems_total"], 0, "{target:#}");
    assert_eq!(target["since"], first["since"], "it has begun anew");
    assert!(target["last_error"].as_str().unwrap().starts_with("the backup's disk is full"), "{target:#}");
    assert!(u128::from(target["lag_ms"].as_u64().unwrap()) >= began.elapsed().as_millis() - 1000, "{target:#}");
    // Who begins anew sends what it takes to hear of it, at most a pass.
    pair.pushd.daemon.kill();
    pair.pushd.daemon.start();
    eventually("the target is blocked again", || is_blocked(&pair));
    go_on(&pair, Duration::from_secs(3));
    assert!(wire_bytes(&pair) <= clean, "{} bytes after a new start", wire_bytes(&pair));
    let asked = Instant::now();
    let done = pair.pushd.command(&["wait", "--timeout", "60s"]);
    assert_eq!(done.code, 75, "{}", done.text());
    assert!(done.text().contains("disk is full"), "{}", done.text());
    assert!(asked.elapsed() < Duration::from_secs(50), "it has waited for its timeout");
    assert_eq!(pair.pushd.command(&["status"]).code, 75);
    // The daemon makes the pass, and it comes to the same.
    let done = pair.pushd.command(&["sync", "--no-progress"]);
    assert_eq!(done.code, 75, "{}", done.text());
    assert!(done.text().contains("disk is full"), "{}", done.text());
    let lines = [&pair.pushd.daemon, &pair.recvd.daemon].map(|daemon| errors(&daemon.log()).len());
    assert_eq!(lines, [2, 1], "recvd says it once, pushd at each start");
    mounted.remount("size=256m");
    pair.settle();
    eventually("recvd says that it is over", || errors(&pair.recvd.daemon.log()).len() > 1);
    assert_eq!(errors(&pair.pushd.daemon.log()).len(), 3);
    assert_eq!(pair.pushd.target("t")["last_error"], serde_json::Value::Null);
}

#[test]
fn a_file_that_does_not_fit_is_not_sent_again_for_what_else_changes() {
    if !is_root("a file that does not fit") {
        return;
    }
    let (scratch, seconds) = (Scratch::new("full-large"), number("FULL_SECONDS", 10));
    let disk = scratch.folder("disk");
    let (mounted, mut pair) = pair_on("large", &disk, "size=8m");
    let large = 24 << 20;
    fs::write(pair.source.join("large"), vec![7; large as usize]).unwrap();
    pair.start();
    eventually("the target is blocked", || is_blocked(&pair));
    for n in 0..20 {
        fs::write(pair.source.join(format!("small {n}")), vec![n; 20_000]).unwrap();
        let arrived = || fs::read(pair.backup.join(format!("small {n}"))).is_ok_and(|content| content == [n; 20_000]);
        eventually("what fits arrives", arrived);
    }
    go_on(&pair, Duration::from_secs(seconds));
    let sent = wire_bytes(&pair);
    println!("large file, {seconds} s: {sent} bytes of a file of {large}");
    assert!(sent < 2 * large + HOUR, "{sent} bytes");
    assert!(is_blocked(&pair));
    let before = wire_bytes(&pair);
    // What frees room goes on.
    fs::remove_file(pair.source.join("small 3")).unwrap();
    fs::rename(pair.source.join("small 4"), pair.source.join("renamed")).unwrap();
    eventually("removed and renamed", || {
        !pair.backup.join("small 3").exists()
            && pair.backup.join("renamed").exists()
            && !pair.backup.join("small 4").exists()
    });
    assert!(wire_bytes(&pair) - before < 64 * 1024);
    mounted.remount("size=256m");
    pair.settle();
    eventually("recvd says that it is over", || errors(&pair.recvd.daemon.log()).len() > 1);
    assert_told_once(&pair);
}

#[test]
fn without_inodes_what_frees_some_goes_on() {
    if !is_root("a disk without inodes") {
        return;
    }
    let scratch = Scratch::new("full-inodes");
    let disk = scratch.folder("disk");
    let (_mounted, mut pair) = pair_on("inodes", &disk, "nr_inodes=64");
    fill(&pair.source, 40, 100);
    fs::remove_dir_all(pair.source.join("folder 39")).unwrap();
    for n in 10..39 {
        fs::remove_dir_all(pair.source.join(format!("folder {n}"))).unwrap();
    }
    pair.start();
    pair.settle();
    for n in 0..100 {
        fs::write(pair.source.join(format!("one more {n:03}")), "x").unwrap();
    }
    eventually("the target is blocked", || is_blocked(&pair));
    // A folder that is not empty goes, too, although there is no inode for a place to put it.
    fs::remove_dir_all(pair.source.join("folder 00")).unwrap();
    eventually("it is removed", || !pair.backup.join("folder 00").exists());
    for n in 20..100 {
        fs::remove_file(pair.source.join(format!("one more {n:03}"))).unwrap();
    }
    pair.settle();
    assert!(compare::trees(&pair.source, &pair.backup).is_empty());
}

#[test]
fn a_disk_that_is_read_only_is_waited_for() {
    if !is_root("a disk that becomes read-only") {
        return;
    }
    let scratch = Scratch::new("full-readonly");
    let disk = Disk::make(scratch.path(), Format::Ext4);
    let mut pair = Pair::new("readonly", Setup { backup_base: Some(disk.path().to_owned()), ..uncompressed() });
    fill(&pair.source, 300, 1_000);
    pair.start();
    pair.settle();
    let before = wire_bytes(&pair);
    disk.remount("ro");
    for n in 0..8 {
        fs::remove_dir_all(pair.source.join(format!("folder {n:02}"))).unwrap();
    }
    fs::rename(pair.source.join("folder 20"), pair.source.join("renamed")).unwrap();
    fs::write(pair.source.join("new"), "new").unwrap();
    eventually("the target is blocked", || is_blocked(&pair));
    go_on(&pair, Duration::from_secs(5));
    assert!(wire_bytes(&pair) - before < 64 * 1024, "{} bytes", wire_bytes(&pair) - before);
    let target = pair.pushd.target("t");
    assert!(target["last_error"].as_str().unwrap().starts_with("the backup's disk is read-only"), "{target:#}");
    assert_eq!(pair.pushd.command(&["wait", "--timeout", "30s"]).code, 75);
    disk.remount("rw");
    pair.settle();
    eventually("recvd says that it is over", || errors(&pair.recvd.daemon.log()).len() > 1);
    assert_told_once(&pair);
    pair.pushd.daemon.kill();
    pair.recvd.daemon.kill();
}

#[test]
fn several_sources_on_one_full_disk_are_one_condition_of_the_module() {
    if !is_root("a full disk") {
        return;
    }
    let scratch = Scratch::new("full-several");
    let disk = scratch.folder("disk");
    let mounted = Mounted::tmpfs_with(&disk, "size=2m");
    let mut recvd = Recvd::prepare(&scratch, "recvd", &Setup { backup_base: Some(disk.clone()), ..uncompressed() });
    recvd.start();
    let names = ["one", "two", "three"];
    let mut sources: Vec<Pushd> = names
        .iter()
        .map(|name| {
            let source = scratch.folder(&format!("source {name}"));
            // More than the disk has, each for itself.
            fill(&source, 80, 40_000);
            let target = recvd.target("t", recvd.port, "").replace("\"m\"", &format!("\"m/{name}\""));
            let tables =
                format!("{target}\n[source.s]\npath = {:?}\ntargets = [\"t\"]\n", source.display().to_string());
            Pushd::prepare(&scratch, name, &tables, &[])
        })
        .collect();
    sources.iter_mut().for_each(|pushd| pushd.daemon.start());
    eventually("all are blocked", || sources.iter().all(|pushd| pushd.target("t")["state"] == "blocked"));
    // One goes away and comes back: for the module nothing begins or ends with that.
    sources[0].daemon.kill();
    sources[0].daemon.start();
    eventually("it is blocked again", || sources[0].target("t")["state"] == "blocked");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(errors(&recvd.daemon.log()).len(), 1, "{:#?}", errors(&recvd.daemon.log()));
    mounted.remount("size=256m");
    for pushd in &sources {
        pushd.wait_in_sync(&[]).unwrap();
    }
    for name in names {
        let differences = compare::trees(&scratch.path().join(format!("source {name}")), &recvd.backup.join(name));
        assert!(differences.is_empty(), "{name}: {}", compare::listing(&differences, 10));
    }
    eventually("recvd says that it is over", || errors(&recvd.daemon.log()).len() > 1);
    assert_eq!(errors(&recvd.daemon.log()).len(), 2);
}

#[test]
fn a_quota_is_a_full_disk() {
    let scratch = Scratch::new("full-quota");
    let disk = Disk::new(scratch.path(), Format::Btrfs);
    if !is_root("a quota") || !disk.try_make() {
        eprintln!("LEFT OUT: a quota needs mkfs.btrfs, and btrfs in the kernel");
        return;
    }
    let limit = |limit: &str| {
        let limited = Command::new("btrfs").args(["qgroup", "limit", limit]).arg(disk.path()).status();
        assert!(limited.unwrap().success());
    };
    assert!(Command::new("btrfs").args(["quota", "enable"]).arg(disk.path()).status().unwrap().success());
    limit("12M");
    let setup = Setup { backup_base: Some(disk.path().to_owned()), ..uncompressed() };
    let mut pair = Pair::new("quota", setup);
    let large = 24 << 20;
    fs::write(pair.source.join("large"), vec![7; large as usize]).unwrap();
    fill(&pair.source, 200, 1_000);
    pair.start();
    eventually("the target is blocked", || is_blocked(&pair));
    eventually("what fits arrives", || compare::trees(&pair.source, &pair.backup).len() == 1);
    go_on(&pair, Duration::from_secs(10));
    let sent = wire_bytes(&pair);
    println!("quota: {sent} bytes of a file of {large}");
    assert!(sent < 2 * large + HOUR, "{sent} bytes");
    let target = pair.pushd.target("t");
    assert!(target["last_error"].as_str().unwrap().contains("quota"), "{target:#}");
    limit("none");
    pair.settle();
    pair.pushd.daemon.kill();
    pair.recvd.daemon.kill();
}

/// Large files that are replaced by renames and copied until the disk is full.
#[test]
fn what_does_not_fit_is_waited_for_whatever_renames_happen() {
    if !is_root("a full disk of its own") {
        return;
    }
    for round in 0..ROUNDS {
        let scratch = Scratch::new("full-renames");
        let disk = Disk::make(scratch.path(), Format::Xfs);
        let setup = Setup { backup_base: Some(disk.path().to_owned()), ..uncompressed() };
        let mut pair = Pair::new("renames", setup);
        let at = |name: &str| pair.source.join(name);
        let noise = Rng::new(1).bytes(24 << 20);
        fs::write(at("big"), &noise).unwrap();
        pair.recvd.start();
        pair.pushd.daemon.start();
        pair.settle();
        let append = || File::options().append(true).open(at("big")).unwrap().write_all(b"more").unwrap();
        append();
        fs::write(at("big.new"), [&noise[7..], b"new"].concat()).unwrap();
        fs::rename(at("big.new"), at("big")).unwrap();
        for copy in 0..14 {
            fs::copy(at("big"), at(&format!("copy {copy}"))).unwrap();
            append();
            if copy % 3 == round % 3 {
                fs::rename(at(&format!("copy {copy}")), at("big")).unwrap();
            }
        }
        let asked = Instant::now();
        let done = pair.pushd.command(&["wait", "--timeout", "60s"]);
        let missing = compare::trees(&pair.source, &pair.backup);
        assert!(!missing.is_empty(), "the disk is not full: make it smaller");
        assert_eq!(done.code, 75, "files are missing: {}", compare::listing(&missing, 20));
        let (lag, waited) = (pair.pushd.target("t")["lag_ms"].as_u64().unwrap(), asked.elapsed().as_millis());
        assert!(u128::from(lag) >= waited.saturating_sub(500), "lag {lag} ms after a wait of {waited} ms");
        for copy in 0..14 {
            let _ = fs::remove_file(at(&format!("copy {copy}")));
        }
        pair.settle();
        pair.pushd.daemon.kill();
        pair.recvd.daemon.kill();
    }
}

#[test]
fn a_pass_to_a_full_disk_ends_and_says_why() {
    if !is_root("a pass to a full disk") {
        return;
    }
    let scratch = Scratch::new("full-sync");
    let disk = scratch.folder("disk");
    let (mounted, mut pair) = pair_on("sync", &disk, "size=2m");
    fill(&pair.source, 400, 1_000);
    File::create(pair.source.join("large")).unwrap().write_all(&vec![1; 4 << 20]).unwrap();
    pair.recvd.start();
    let done = pair.sync(&[]);
    assert_eq!(done.code, 75, "{}", done.text());
    assert!(done.text().contains("the backup's disk is full"), "{}", done.text());
    let missing = compare::trees(&pair.source, &pair.backup);
    assert_eq!(missing.len(), 1, "what fits is there: {}", compare::listing(&missing, 10));
    mounted.remount("size=256m");
    assert_eq!(pair.sync(&[]).code, 0);
    assert!(compare::trees(&pair.source, &pair.backup).is_empty());
}
