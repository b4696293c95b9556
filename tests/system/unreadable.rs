//! What cannot be read at the source keeps its copy on the backup and is named. pushd runs without the rights of root.

use std::fs;
use std::os::unix::fs::chown;

use crate::rig::compare;
use crate::rig::fs::{chmod, give_away};
use crate::rig::pair::{Pair, Setup};
use crate::rig::{eventually, is_root};

const NOBODY: u32 = 65_534;

/// A live pair whose pushd is nobody, who owns the source.
fn nobodys_pair(test: &str) -> Pair {
    let setpriv = vec!["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let mut pair = Pair::new(test, Setup { pushd_prefix: setpriv, ..Setup::default() });
    for folder in ["open", "locked", "locked/inner"] {
        fs::create_dir(pair.source.join(folder)).unwrap();
        for n in 0..10 {
            fs::write(pair.source.join(format!("{folder}/{n}")), format!("{folder} {n}")).unwrap();
        }
    }
    give_away(&pair.source, NOBODY).unwrap();
    give_away(&pair.pushd.dir, NOBODY).unwrap();
    pair.start();
    pair.settle();
    pair
}

fn names_problem(pair: &Pair, path: &str) -> bool {
    pair.pushd.target("t")["problems"]
        .as_array()
        .is_some_and(|all| all.iter().any(|p| p["path"].as_str().is_some_and(|p| p.ends_with(path))))
}

fn locked_copy(pair: &Pair) -> Vec<Vec<u8>> {
    compare::fingerprint(&pair.backup.join("locked")).into_keys().collect()
}

#[test]
fn unreadable_entries_keep_their_copy_and_are_named() {
    if !is_root("unreadable_entries_keep_their_copy_and_are_named") {
        return;
    }
    let mut pair = nobodys_pair("unreadable");
    let before = locked_copy(&pair);
    // While pushd is dead, so that it has to read the content and cannot.
    pair.pushd.daemon.kill();
    fs::write(pair.source.join("open/3"), b"changed, and then locked").unwrap();
    chmod(&pair.source.join("open/3"), 0o000).unwrap();
    chown(pair.source.join("open/3"), Some(0), Some(0)).unwrap();
    fs::write(pair.source.join("locked/new"), b"not to be seen").unwrap();
    chmod(&pair.source.join("locked"), 0o000).unwrap();
    pair.pushd.daemon.start();
    eventually("both are named", || names_problem(&pair, "open/3") && names_problem(&pair, "locked"));
    assert_eq!(fs::read(pair.backup.join("open/3")).unwrap(), b"open 3");
    assert!(before.iter().all(|path| locked_copy(&pair).contains(path)), "the copies of the locked folder are gone");
    // Others go on.
    fs::write(pair.source.join("open/fresh"), b"fresh").unwrap();
    eventually("others go on", || fs::read(pair.backup.join("open/fresh")).is_ok_and(|c| c == b"fresh"));
    // Once it can be read again, it is, and the problems are gone.
    chmod(&pair.source.join("locked"), 0o755).unwrap();
    chown(pair.source.join("open/3"), Some(NOBODY), Some(NOBODY)).unwrap();
    chmod(&pair.source.join("open/3"), 0o644).unwrap();
    fs::write(pair.source.join("open/3"), b"readable again").unwrap();
    chown(pair.source.join("open/fresh"), Some(NOBODY), Some(NOBODY)).unwrap();
    give_away(&pair.source, NOBODY).unwrap();
    pair.settle();
    eventually("no problem is left", || !names_problem(&pair, "open/3") && !names_problem(&pair, "locked"));
}

#[test]
fn a_folder_that_becomes_unreadable_live_keeps_its_copy() {
    if !is_root("a_folder_that_becomes_unreadable_live_keeps_its_copy") {
        return;
    }
    let pair = nobodys_pair("lockedlive");
    let before = locked_copy(&pair);
    chmod(&pair.source.join("locked"), 0o000).unwrap();
    fs::write(pair.source.join("open/after"), b"after").unwrap();
    eventually("others go on", || pair.backup.join("open/after").exists());
    assert_eq!(pair.pushd.command(&["resync"]).code, 0);
    eventually("it is named", || names_problem(&pair, "locked"));
    assert!(before.iter().all(|path| locked_copy(&pair).contains(path)), "the copies are gone");
    chmod(&pair.source.join("locked"), 0o755).unwrap();
    give_away(&pair.source, NOBODY).unwrap();
    pair.settle();
}

#[test]
fn a_sync_with_something_unreadable_exits_with_1_and_names_it() {
    if !is_root("a_sync_with_something_unreadable_exits_with_1_and_names_it") {
        return;
    }
    let mut pair = Pair::new("syncunreadable", Setup::default());
    fs::write(pair.source.join("secret"), b"secret").unwrap();
    chmod(&pair.source.join("secret"), 0o000).unwrap();
    give_away(&pair.source, NOBODY).unwrap();
    give_away(&pair.pushd.dir, NOBODY).unwrap();
    fs::write(pair.backup.join("secret"), b"the old copy").unwrap();
    pair.recvd.start();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.arg(crate::rig::process::pushd_program()).args(["sync", "--json", "--config"]).arg(&pair.pushd.config);
    let done = crate::rig::process::run(&mut command, None);
    assert_eq!(done.code, 1, "{}", done.text());
    assert!(done.text().contains("secret"), "not named: {}", done.text());
    assert_eq!(fs::read(pair.backup.join("secret")).unwrap(), b"the old copy");
    assert_eq!(fs::read(pair.backup.join("anchor")).unwrap(), fs::read(pair.source.join("anchor")).unwrap());
}
