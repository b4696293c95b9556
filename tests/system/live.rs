//! Live: what happens in the folder happens on the backup, whatever way programs have of writing.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use crate::rig::pair::{Pair, Setup};
use crate::rig::{compare, eventually};

const EAGER: &str = "open_files = { settle = \"100ms\", max_delay = \"500ms\" }";

fn eager() -> Setup {
    Setup { source: EAGER.into(), ..Setup::default() }
}

#[test]
fn none_of_3000_files_in_fresh_nested_folders_is_missed() {
    let pair = Pair::live("nested", Setup::default());
    let mut made = 0;
    for chain in 0..100 {
        let mut path = pair.source.join(format!("chain {chain}"));
        for level in 0..10 {
            path = path.join(format!("level {level}"));
            fs::create_dir_all(&path).unwrap();
            for n in 0..3 {
                fs::write(path.join(format!("file {n}")), format!("{chain} {level} {n}")).unwrap();
                made += 1;
            }
        }
    }
    assert_eq!(made, 3000);
    pair.settle();
}

#[test]
fn folders_made_elsewhere_and_moved_in_arrive_whole_and_stay_watched() {
    let pair = Pair::live("movedin", Setup::default());
    let outside = pair.scratch.folder("outside");
    for round in 0..10 {
        let folder = outside.join(format!("tree {round}"));
        fs::create_dir_all(folder.join("a/b/c")).unwrap();
        for n in 0..30 {
            fs::write(folder.join(format!("a/b/{n}")), vec![round; n]).unwrap();
        }
        let inside = pair.source.join(format!("tree {round}"));
        fs::rename(&folder, &inside).unwrap();
        fs::write(inside.join("a/b/c/after"), b"written at once after the move").unwrap();
    }
    pair.settle();
    fs::write(pair.source.join("tree 3/a/b/c/later"), b"later").unwrap();
    pair.settle();
}

#[test]
fn a_folder_moved_out_is_no_longer_watched() {
    let pair = Pair::live("movedout", Setup::default());
    fs::create_dir_all(pair.source.join("going/deep/deeper")).unwrap();
    fs::write(pair.source.join("going/deep/file"), b"inside").unwrap();
    pair.settle();
    let outside = pair.scratch.path().join("gone");
    fs::rename(pair.source.join("going"), &outside).unwrap();
    pair.settle();
    let before = compare::fingerprint(&pair.backup);
    fs::write(outside.join("deep/file"), b"must not come").unwrap();
    fs::write(outside.join("deep/deeper/new"), b"must not come").unwrap();
    fs::create_dir(outside.join("deep/folder")).unwrap();
    pair.settle();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(compare::fingerprint(&pair.backup), before);
    // The same name again is another folder.
    fs::create_dir_all(pair.source.join("going/deep")).unwrap();
    fs::write(pair.source.join("going/deep/file"), b"a new one").unwrap();
    fs::write(outside.join("deep/file"), b"must still not come").unwrap();
    pair.settle();
}

#[test]
fn a_log_that_stays_open_arrives_while_it_grows() {
    let pair = Pair::live("log", eager());
    let mut log = File::create(pair.source.join("growing.log")).unwrap();
    for line in 0..5 {
        writeln!(log, "line {line} of a log that nobody closes").unwrap();
        let written = fs::metadata(pair.source.join("growing.log")).unwrap().len();
        eventually("the line arrives while the file is open", || {
            fs::metadata(pair.backup.join("growing.log")).is_ok_and(|m| m.len() == written)
        });
    }
    let writing = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while writing.load(SeqCst) {
                writeln!(log, "busy line {n}").unwrap();
                n += 1;
                thread::sleep(Duration::from_millis(2));
            }
        });
        let start = fs::metadata(pair.source.join("growing.log")).unwrap().len();
        // Never still, and sent all the same, as an exact prefix.
        eventually("the file arrives although it never rests", || {
            let mut copy = Vec::new();
            File::open(pair.backup.join("growing.log")).unwrap().read_to_end(&mut copy).unwrap();
            let original = fs::read(pair.source.join("growing.log")).unwrap();
            assert!(original.starts_with(&copy), "not a prefix");
            copy.len() as u64 > start + 100
        });
        writing.store(false, SeqCst);
    });
    pair.settle();
}

#[test]
fn the_ways_in_which_editors_save_all_arrive() {
    let pair = Pair::live("editors", Setup::default());
    let dir = &pair.source;
    for round in 0..30 {
        let text = format!("round {round}\n").repeat(round + 1);
        // vim: a probe, the old one aside, a new file, the backup goes.
        let name = dir.join("vim.txt");
        fs::write(dir.join("4913"), b"").unwrap();
        fs::remove_file(dir.join("4913")).unwrap();
        let _ = fs::rename(&name, dir.join("vim.txt~"));
        fs::write(&name, &text).unwrap();
        let _ = fs::remove_file(dir.join("vim.txt~"));
        // emacs: a lock that is a dangling link, a backup once, writing in place.
        symlink("me@host.1234:5678", dir.join(".#emacs.txt")).unwrap();
        fs::write(dir.join("emacs.txt"), &text).unwrap();
        fs::remove_file(dir.join(".#emacs.txt")).unwrap();
        // sed -i, gedit and most others: a temporary, renamed over.
        fs::write(dir.join("sedXYZ"), &text).unwrap();
        fs::rename(dir.join("sedXYZ"), dir.join("sed.txt")).unwrap();
        // An office suite: lock, temporary, the old one deleted, the new one linked in.
        fs::write(dir.join(".~lock.office#"), b"me").unwrap();
        fs::write(dir.join("lu123.tmp"), &text).unwrap();
        let _ = fs::remove_file(dir.join("office.odt"));
        fs::hard_link(dir.join("lu123.tmp"), dir.join("office.odt")).unwrap();
        fs::remove_file(dir.join("lu123.tmp")).unwrap();
        fs::remove_file(dir.join(".~lock.office#")).unwrap();
        // nano: truncate and write.
        let mut file = File::create(dir.join("nano.txt")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
    pair.settle();
}

#[test]
fn rotated_logs_arrive_under_their_new_names() {
    let pair = Pair::live("rotation", eager());
    let log = |n: u32| pair.source.join(if n == 0 { "app.log".into() } else { format!("app.log.{n}") });
    let mut current = File::create(log(0)).unwrap();
    for round in 0..40 {
        // Longer from round to round: logs of one size and one tick of the clock could not be told apart.
        for line in 0..20 + round {
            writeln!(current, "round {round} line {line}").unwrap();
        }
        for n in (0..8).rev() {
            let _ = fs::rename(log(n), log(n + 1));
        }
        // The old descriptor still writes, to the name that is now .1.
        writeln!(current, "the last line, after the rename").unwrap();
        current = File::create(log(0)).unwrap();
    }
    // copytruncate
    for round in 0..20 {
        writeln!(current, "copied {round}").unwrap();
        fs::copy(log(0), log(9)).unwrap();
        File::options().write(true).open(log(0)).unwrap().set_len(0).unwrap();
    }
    drop(current);
    pair.settle();
}

#[test]
fn types_flip_live_both_ways() {
    let pair = Pair::live("flip", Setup { source: "max_delete = \"100%\"".into(), ..Setup::default() });
    for turn in 0..60 {
        super::passes::fill_with_types(&pair.source, turn);
        if turn % 12 == 5 {
            pair.settle();
        }
    }
    pair.settle();
}

#[test]
fn links_and_metadata_are_seen() {
    use crate::rig::fs::{chmod, set_mtime, set_xattr};
    let pair = Pair::live("links", Setup::default());
    let dir = &pair.source;
    fs::create_dir(dir.join("folder")).unwrap();
    fs::write(dir.join("one"), b"shared").unwrap();
    fs::hard_link(dir.join("one"), dir.join("folder/two")).unwrap();
    symlink("one", dir.join("folder/link")).unwrap();
    pair.settle();
    // Written through one name, seen through all.
    fs::write(dir.join("folder/two"), b"shared, and changed").unwrap();
    chmod(&dir.join("one"), 0o601).unwrap();
    pair.settle();
    // A third name, then the group parts.
    fs::hard_link(dir.join("folder/two"), dir.join("three")).unwrap();
    fs::remove_file(dir.join("one")).unwrap();
    fs::write(dir.join("one"), b"on its own").unwrap();
    set_mtime(&dir.join("folder/link"), 1_000_000, 1).unwrap();
    set_mtime(&dir.join("folder"), 2_000_000, 2).unwrap();
    set_xattr(&dir.join("three"), "user.x", b"y").unwrap();
    pair.settle();
    chmod(&pair.source, 0o711).unwrap();
    set_mtime(&pair.source, 3_000_000, 3).unwrap();
    pair.settle();
}

#[test]
fn a_wait_ends_although_the_source_is_never_silent() {
    let pair = Pair::live("busywait", eager());
    let (busy, writing) = (pair.source.join("busy.log"), AtomicBool::new(true));
    thread::scope(|scope| {
        scope.spawn(|| {
            while writing.load(SeqCst) {
                let mut log = File::options().append(true).create(true).open(&busy).unwrap();
                writeln!(log, "one more line").unwrap();
                thread::sleep(Duration::from_millis(5));
            }
        });
        let before = pair.source.join("before");
        let mut result = Ok(());
        for round in 0..5 {
            fs::write(&before, format!("round {round}")).unwrap();
            let done = pair.pushd.command(&["wait", "--timeout", "20s"]);
            let arrived = fs::read(pair.backup.join("before")).ok() == fs::read(&before).ok();
            if done.code != 0 || !arrived {
                result = Err(format!("round {round}: arrived: {arrived}; {}", done.text()));
                break;
            }
        }
        // Before anything that may panic: the scope waits for its thread.
        writing.store(false, SeqCst);
        assert_eq!(result, Ok(()));
    });
    pair.settle();
}

#[test]
fn a_write_through_one_name_reaches_the_others_where_no_hard_links_are_kept() {
    let module = r#"keep = ["mode", "owner", "mtime", "symlinks", "xattrs", "acls"]"#;
    let mut pair = Pair::new("nolinks", Setup { module: module.into(), ..eager() });
    let source = pair.source.clone();
    let at = |name: &str| source.join(name);
    fs::create_dir(at("d")).unwrap();
    for (first, second) in [("one", "d/two"), ("large", "d/large too")] {
        fs::write(at(first), vec![b'.'; if first == "large" { 400_000 } else { 10 }]).unwrap();
        fs::hard_link(at(first), at(second)).unwrap();
    }
    let outside = pair.scratch.path().join("outside");
    fs::hard_link(at("one"), &outside).unwrap();
    pair.start();
    let settled = |what: &str| {
        pair.pushd.wait_in_sync(&[]).unwrap();
        let differences = compare::trees(&pair.source, &pair.backup);
        let differences: Vec<_> = differences.into_iter().filter(|found| found.what != "hard links").collect();
        assert!(differences.is_empty(), "{what}: {}", compare::listing(&differences, 9));
        assert_eq!(pair.pushd.target("t")["problems_total"], 0, "{what}");
    };
    settled("the first pass");
    for name in ["one", "d/two", "large", "d/large too"] {
        fs::write(at(name), format!("written as {name}")).unwrap();
        settled(name);
    }
    let mut open = File::options().append(true).open(at("one")).unwrap();
    writeln!(open, "and never closed").unwrap();
    settled("an open file");
    crate::rig::fs::chmod(&at("d/two"), 0o600).unwrap();
    settled("a mode");
    fs::hard_link(&outside, at("three")).unwrap();
    fs::write(at("three"), "by a new name").unwrap();
    settled("a new name");
    fs::write(at("three"), "by a name that goes").unwrap();
    fs::remove_file(at("three")).unwrap();
    settled("a name that goes");
}
