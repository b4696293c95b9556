//! Where the backup stands on its host: a folder that is replaced, mounted over or unmounted while a session runs takes
//! nothing more in, and what went there is owed to the one that comes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::rig::mounted::Mounted;
use crate::rig::pair::{DURABILITIES, Pair, Setup, assert_equal};
use crate::rig::{compare, eventually, is_root, stays};

/// A live pair whose backup was not empty when recvd started.
fn live(test: &str, setup: Setup) -> Pair {
    let mut pair = Pair::new(test, setup);
    fs::write(pair.backup.join("anchor"), "from before").unwrap();
    pair.start();
    pair.settle();
    pair
}

fn log_has(pair: &Pair, words: &str) -> bool {
    pair.recvd.daemon.log().contains(words)
}

/// What `pushd wait` says within a few seconds.
fn wait(pair: &Pair) -> i32 {
    pair.pushd.command(&["wait", "--timeout", "3s"]).code
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// pushd was told to come again in half a minute: it comes now.
fn dial_again(pair: &mut Pair) {
    pair.pushd.daemon.kill();
    pair.pushd.daemon.start();
}

#[test]
fn where_the_root_was_replaced_nothing_is_in_sync_though_nothing_changed() {
    let pair = live("replacedidle", Setup::default());
    fs::write(pair.source.join("kept"), "in the folder that is moved away").unwrap();
    pair.settle();
    fs::rename(&pair.backup, pair.backup.with_file_name("hidden")).unwrap();
    fs::create_dir(&pair.backup).unwrap();
    eventually("pushd knows", || {
        pair.pushd.target("t")["last_error"].as_str().is_some_and(|error| error.contains("replaced"))
    });
    assert_eq!(wait(&pair), 75, "in sync with a folder that is empty");
    assert!(pair.pushd.target("t")["owed"]["paths"].as_u64() >= Some(1));
}

#[test]
fn a_root_that_is_replaced_gets_nothing_and_what_was_sent_is_owed() {
    for durability in DURABILITIES {
        let mut pair = live("replaced", Setup { durability: durability.into(), ..Setup::default() });
        let hidden = pair.backup.with_file_name("hidden");
        fs::rename(&pair.backup, &hidden).unwrap();
        fs::create_dir(&pair.backup).unwrap();
        fs::write(pair.source.join("new"), "sent to nowhere").unwrap();
        assert_eq!(wait(&pair), 75, "acknowledged though nobody finds it");
        eventually("pushd says why", || {
            pair.pushd.target("t")["last_error"].as_str().is_some_and(|error| error.contains("replaced"))
        });
        assert!(log_has(&pair, "was replaced, unmounted or mounted over"), "{}", pair.recvd.daemon.log());
        for _ in 0..5 {
            assert_eq!(pair.pushd.command(&["check"]).code, 75);
        }
        let said = pair.recvd.daemon.log().matches("is another folder than at the start").count();
        assert_eq!(said, 1, "each try is told of: {}", pair.recvd.daemon.log());
        assert!(compare::fingerprint(&pair.backup).is_empty(), "written to a folder that is not the module\'s");

        fs::remove_dir(&pair.backup).unwrap();
        fs::rename(&hidden, &pair.backup).unwrap();
        dial_again(&mut pair);
        pair.settle();
        assert!(log_has(&pair, "is there again"), "{}", pair.recvd.daemon.log());
    }
}

#[test]
fn an_idle_session_is_ended_by_a_mount_and_all_is_compared_after_it() {
    if !is_root("an_idle_session_is_ended_by_a_mount_and_all_is_compared_after_it") {
        return;
    }
    let mut pair = live("covered", Setup::default());
    let backup = pair.backup.clone();
    let mounted = Mounted::tmpfs(&backup);
    eventually("the session ends", || log_has(&pair, "was replaced, unmounted or mounted over"));
    fs::write(pair.source.join("new"), "while it is hidden").unwrap();
    assert_eq!(wait(&pair), 75);
    assert!(compare::fingerprint(&backup).is_empty(), "written to a file system that is not the module\'s");
    drop(mounted);
    dial_again(&mut pair);
    pair.settle();
}

#[test]
fn a_disk_that_is_mounted_after_the_start_gets_all_and_its_empty_place_nothing() {
    if !is_root("a_disk_that_is_mounted_after_the_start_gets_all_and_its_empty_place_nothing") {
        return;
    }
    for durability in DURABILITIES {
        let mut pair = Pair::live("late", Setup { durability: durability.into(), ..Setup::default() });
        let backup = pair.backup.clone();
        let mounted = Mounted::tmpfs(&backup);
        // As another recvd, killed before, would have left it.
        fs::create_dir(backup.join(".recvd-stage-0123")).unwrap();
        fs::write(pair.source.join("new"), "for the disk").unwrap();
        pair.settle();
        assert!(log_has(&pair, "a file system was mounted at"), "{}", pair.recvd.daemon.log());
        assert!(log_has(&pair, "removed 1 leftovers"), "{}", pair.recvd.daemon.log());

        drop(mounted);
        let beneath = compare::fingerprint(&backup);
        fs::write(pair.source.join("newer"), "for the disk too").unwrap();
        assert_eq!(wait(&pair), 75, "the place of the disk was written to");
        dial_again(&mut pair);
        assert!(stays(Duration::from_secs(2), || compare::fingerprint(&backup) == beneath));
        assert!(log_has(&pair, "is another folder than at the start"), "{}", pair.recvd.daemon.log());
    }
}

#[test]
fn the_folder_of_one_source_is_replaced() {
    let mut pair = Pair::new("inner", Setup::default());
    let config = read(&pair.pushd.config).unwrap();
    fs::write(&pair.pushd.config, config.replace("module = \"m\"", "module = \"m/web1\"")).unwrap();
    pair.start();
    let inner = pair.backup.join("web1");
    let settled = || {
        pair.pushd.wait_in_sync(&[]).unwrap();
        assert_equal(&pair.source, &inner);
    };
    settled();
    fs::rename(&inner, pair.backup.join("hidden")).unwrap();
    fs::create_dir(&inner).unwrap();
    fs::write(pair.source.join("new"), "for the folder that is there").unwrap();
    assert_eq!(pair.pushd.command(&["wait", "--timeout", "60s"]).code, 0);
    assert_eq!(read(&inner.join("new")).as_deref(), Some("for the folder that is there"));
    settled();
    assert_eq!(read(&pair.backup.join("hidden/anchor")).as_deref(), Some("always here\n"));
}

#[test]
fn a_link_that_breaks_while_the_folder_is_replaced_is_not_continued() {
    let mut pair = Pair::new("unseen", Setup { proxy: true, ..Setup::default() });
    let config = read(&pair.pushd.config).unwrap();
    fs::write(&pair.pushd.config, config.replace("module = \"m\"", "module = \"m/web1\"")).unwrap();
    pair.start();
    let inner = pair.backup.join("web1");
    pair.pushd.wait_in_sync(&[]).unwrap();
    pair.proxy.as_ref().unwrap().cut();
    fs::rename(&inner, pair.backup.join("hidden")).unwrap();
    pair.pushd.wait_in_sync(&[]).unwrap();
    eventually("all is there", || compare::trees(&pair.source, &inner).is_empty());
}

#[test]
fn a_root_that_is_gone_is_said_once() {
    let mut pair = live("gone", Setup::default());
    let away = pair.backup.with_file_name("away");
    fs::rename(&pair.backup, &away).unwrap();
    eventually("the session ends", || log_has(&pair, "was replaced, unmounted or mounted over"));
    for _ in 0..5 {
        assert_eq!(pair.pushd.command(&["check"]).code, 75);
    }
    let log = pair.recvd.daemon.log();
    assert_eq!(log.matches("No such file or directory").count(), 1, "{log}");
    let recvd = crate::rig::process::recvd_program();
    let checked =
        crate::rig::process::run(Command::new(recvd).arg("check").arg("--config").arg(&pair.recvd.config), None);
    assert_eq!(checked.code, 78, "{}", checked.text());
    assert!(checked.text().contains("does not exist"), "{}", checked.text());
    fs::rename(&away, &pair.backup).unwrap();
    dial_again(&mut pair);
    pair.settle();
}

#[test]
fn leftovers_that_cannot_be_removed_are_named() {
    if !is_root("leftovers_that_cannot_be_removed_are_named") {
        return;
    }
    let mut pair = Pair::new("leftover", Setup::default());
    let (stays, goes) = (pair.backup.join(".recvd-stage-0123"), pair.backup.join(".recvd-stage-4567"));
    fs::create_dir(&stays).unwrap();
    fs::create_dir(&goes).unwrap();
    // What is mounted there cannot be removed.
    let mounted = Mounted::tmpfs(&stays);
    pair.recvd.start();
    let words = format!("cannot remove leftovers of interrupted sessions, and tries again: {}: ", stays.display());
    assert!(log_has(&pair, &words), "{}", pair.recvd.daemon.log());
    assert!(!goes.exists(), "one that stays keeps others");
    drop(mounted);
}

#[test]
fn a_disk_in_a_module_is_named_until_it_is_gone() {
    if !is_root("a_disk_in_a_module_is_named_until_it_is_gone") {
        return;
    }
    let mut pair = Pair::new("reach", Setup::default());
    let config = read(&pair.pushd.config).unwrap();
    fs::write(&pair.pushd.config, config.replace("module = \"m\"", "module = \"m/web1\"")).unwrap();
    let inner = pair.backup.join("web1");
    fs::create_dir_all(inner.join("deep")).unwrap();
    fs::create_dir(pair.source.join("deep")).unwrap();
    fs::write(pair.source.join("deep/file"), "content").unwrap();
    pair.recvd.start();

    let mounted = Mounted::tmpfs(&inner);
    for _ in 0..2 {
        let done = pair.sync(&[]);
        assert_eq!(done.code, 75, "{}", done.text());
        assert!(done.text().contains("at m/web1 another file system is mounted on the backup host"), "{}", done.text());
        assert!(done.text().contains("give that disk a module of its own"), "{}", done.text());
    }
    let words = format!("{}: another file system is mounted there", inner.display());
    assert_eq!(pair.recvd.daemon.log().matches(&words).count(), 1, "{}", pair.recvd.daemon.log());
    drop(mounted);

    let deep = inner.join("deep");
    let mounted = Mounted::tmpfs(&deep);
    let done = pair.sync(&[]);
    assert_eq!(done.code, 1, "{}", done.text());
    assert!(done.text().contains("another file system is mounted there on the backup host"), "{}", done.text());
    assert!(!done.text().contains("os error"), "{}", done.text());
    assert!(log_has(&pair, &format!("{} works again", inner.display())), "{}", pair.recvd.daemon.log());
    drop(mounted);
    assert_eq!(pair.sync(&[]).code, 0);
    assert_equal(&pair.source, &inner);
}
