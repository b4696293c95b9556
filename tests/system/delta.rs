//! Large files of which the backup has an older version, and compression, through real programs and file systems.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::rig::compare::{self, listing};
use crate::rig::is_root;
use crate::rig::mounted::{Disk, Format};
use crate::rig::pair::{DURABILITIES, Pair, Setup};
use crate::rig::rng::Rng;
use crate::rig::scratch::Scratch;
use crate::rig::zoo::Zoo;

fn wire_bytes(pair: &Pair) -> u64 {
    pair.pushd.targets()[0]["sent"]["wire_bytes"].as_u64().unwrap()
}

#[test]
fn what_is_written_into_a_large_file_is_all_that_travels() {
    for durability in DURABILITIES {
        let pair = Pair::live("delta", Setup { durability: durability.into(), ..Setup::default() });
        let mut rng = Rng::new(5);
        let at = pair.source.join("database");
        let mut content = rng.bytes(6 << 20);
        fs::write(&at, &content).unwrap();
        pair.settle();
        let file = fs::File::options().write(true).open(&at).unwrap();
        for round in 0..4 {
            let before = wire_bytes(&pair);
            file.write_all_at(&rng.bytes(4096), rng.below(6 << 20)).unwrap();
            file.write_all_at(&rng.bytes(1000), file.metadata().unwrap().len()).unwrap();
            pair.settle();
            let sent = wire_bytes(&pair) - before;
            // It may be sent more than once: for each event there is a look.
            assert!(sent < 600_000, "{sent} bytes for 5096, round {round}");
        }
        drop(file);
        // As editors save: another file, renamed over it.
        content.splice(3_000_000..3_000_000, rng.bytes(100));
        let before = wire_bytes(&pair);
        fs::write(pair.scratch.path().join("saved"), &content).unwrap();
        fs::rename(pair.scratch.path().join("saved"), &at).unwrap();
        pair.settle();
        let sent = wire_bytes(&pair) - before;
        assert!(sent < 600_000, "{sent} bytes for an insertion");
    }
}

/// Bytes in use on a file system.
fn used(at: &Path) -> u64 {
    let stat = rustix::fs::statvfs(at).unwrap();
    (stat.f_blocks - stat.f_bfree) * stat.f_frsize
}

#[test]
fn an_unchanged_part_shares_its_blocks_where_the_file_system_can() {
    if !is_root("an_unchanged_part_shares_its_blocks_where_the_file_system_can") {
        return;
    }
    if !Path::new("/dev/loop-control").exists() {
        eprintln!("LEFT OUT: shared blocks need loop devices");
        return;
    }
    let room = Scratch::new("shared");
    let disk = Disk::make(room.path(), Format::Xfs);
    let setup = Setup { durability: "batch".into(), backup_base: Some(disk.path().to_path_buf()), ..Setup::default() };
    let mut pair = Pair::new("shared-pair", setup);
    let mut rng = Rng::new(6);
    let at = pair.source.join("image");
    fs::write(&at, rng.bytes(32 << 20)).unwrap();
    pair.recvd.start();
    assert_eq!(pair.sync(&[]).code, 0);
    // The old version stays, under a name of its own, so that nothing of it is given back.
    let held = fs::File::open(pair.backup.join("image")).unwrap();
    let before = used(disk.path());
    let mut content = fs::read(&at).unwrap();
    content.extend(rng.bytes(1000));
    fs::write(&at, &content).unwrap();
    assert_eq!(pair.sync(&[]).code, 0);
    pair.assert_equal();
    let more = used(disk.path()).saturating_sub(before);
    assert!(more < 4 << 20, "{more} bytes more for 1000");
    drop(held);
}

#[test]
fn a_zoo_arrives_whole_with_every_sort_of_compression() {
    for compress in ["\"off\"", "\"auto\"", "1", "19"] {
        let setup = Setup { target: format!("compress = {compress}"), ..Setup::default() };
        let mut pair = Pair::new("packed", setup);
        Zoo::PLAIN.build(&pair.source).unwrap();
        fs::write(pair.source.join("text"), "all work and no play\n".repeat(100_000)).unwrap();
        pair.recvd.start();
        let done = pair.sync(&["--json"]);
        assert_eq!(done.code, 0, "{}", done.text());
        let differences = compare::trees(&pair.source, &pair.backup);
        assert!(differences.is_empty(), "{compress}: {}", listing(&differences, 20));
    }
}
