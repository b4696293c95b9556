//! Several targets and sources in one process: each has its own connection, and none waits for another.

use std::fs;
use std::time::Duration;

use crate::rig::pair::{Pushd, Recvd, Setup, assert_equal};
use crate::rig::scratch::{Scratch, free_port};
use crate::rig::{compare, eventually, stays};

/// A source with files, for `targets`.
fn source(scratch: &Scratch, name: &str, targets: &str) -> (std::path::PathBuf, String) {
    let path = scratch.folder(name);
    for n in 0..100 {
        fs::write(path.join(n.to_string()), format!("{name} {n}")).unwrap();
    }
    let table = format!("[source.{name}]\npath = {:?}\ntargets = [{targets}]\n", path.display().to_string());
    (path, table)
}

#[test]
fn a_dead_target_does_not_delay_another() {
    let scratch = Scratch::new("deadtarget");
    let mut good = Recvd::prepare(&scratch, "good", &Setup::default());
    let mut dead = Recvd::prepare(&scratch, "dead", &Setup::default());
    let (path, table) = source(&scratch, "s", "\"good\", \"dead\"");
    let tables = format!("{}{}{table}", good.target("good", good.port, ""), dead.target("dead", dead.port, ""));
    let mut pushd = Pushd::prepare(&scratch, "pushd", &tables, &[]);
    good.start();
    pushd.daemon.start();
    pushd.wait_in_sync(&["good"]).unwrap();
    fs::write(path.join("later"), b"later").unwrap();
    eventually("the change is on the good one", || good.backup.join("later").exists());
    pushd.wait_in_sync(&["good"]).unwrap();
    assert_equal(&path, &good.backup);
    let other = pushd.target("dead");
    assert!(["offline", "connecting"].iter().any(|s| other["state"] == *s), "{other:#}");
    assert!(other["last_error"].as_str().is_some_and(|e| !e.is_empty()), "no word why: {other:#}");
    assert_eq!(pushd.command(&["wait", "--timeout", "1s"]).code, 75, "one target is still owed everything");
    // When it comes up it gets all that it is owed.
    dead.start();
    pushd.wait_in_sync(&[]).unwrap();
    assert_equal(&path, &dead.backup);
}

#[test]
fn a_stopped_target_does_not_delay_another() {
    let scratch = Scratch::new("stopped");
    let mut good = Recvd::prepare(&scratch, "good", &Setup::default());
    let mut slow = Recvd::prepare(&scratch, "slow", &Setup::default());
    let (path, table) = source(&scratch, "s", "\"slow\", \"good\"");
    let tables = format!("{}{}{table}", good.target("good", good.port, ""), slow.target("slow", slow.port, ""));
    let mut pushd = Pushd::prepare(&scratch, "pushd", &tables, &[]);
    good.start();
    slow.start();
    pushd.daemon.start();
    pushd.wait_in_sync(&[]).unwrap();
    slow.daemon.stop();
    for n in 0..200 {
        fs::write(path.join(format!("more {n}")), vec![b'm'; 100_000]).unwrap();
    }
    pushd.wait_in_sync(&["good"]).unwrap();
    assert_equal(&path, &good.backup);
    slow.daemon.go_on();
    pushd.wait_in_sync(&[]).unwrap();
    assert_equal(&path, &slow.backup);
}

#[test]
fn a_full_server_is_busy_and_is_tried_again() {
    let scratch = Scratch::new("busy");
    let setup = Setup { server: "max_connections = 1".into(), ..Setup::default() };
    let mut recvd = Recvd::prepare(&scratch, "recvd", &setup);
    let second = scratch.folder("second-backup");
    let text = fs::read_to_string(&recvd.config).unwrap();
    let module = format!("[module.m2]\npath = \"{}\"\nusers = {{ web = \"push\" }}\n", second.display());
    fs::write(&recvd.config, text + &module).unwrap();
    let (_, table) = source(&scratch, "one", "\"t\"");
    let mut first_pushd = Pushd::prepare(&scratch, "pushd1", &(recvd.target("t", recvd.port, "") + &table), &[]);
    let (path, table) = source(&scratch, "two", "\"t\"");
    let target = recvd.target("t", recvd.port, "").replace("module = \"m\"", "module = \"m2\"");
    let mut other_pushd = Pushd::prepare(&scratch, "pushd2", &(target + &table), &[]);
    recvd.start();
    first_pushd.daemon.start();
    first_pushd.wait_in_sync(&[]).unwrap();
    assert_eq!(other_pushd.command(&["sync"]).code, 75, "busy has its own exit code");
    other_pushd.daemon.start();
    eventually("it says why it waits", || {
        other_pushd.target("t")["last_error"].as_str().is_some_and(|e| !e.is_empty())
    });
    assert!(stays(Duration::from_secs(1), || compare::fingerprint(&second).is_empty()), "it got in");
    first_pushd.daemon.kill();
    other_pushd.wait_in_sync(&[]).unwrap();
    assert_equal(&path, &second);
}

#[test]
fn slots_come_back_when_peers_are_killed() {
    let scratch = Scratch::new("slots");
    let setup = Setup { module: "max_connections = 2".into(), ..Setup::default() };
    let mut recvd = Recvd::prepare(&scratch, "recvd", &setup);
    let (path, table) = source(&scratch, "s", "\"t\"");
    let mut pushd = Pushd::prepare(&scratch, "pushd", &(recvd.target("t", recvd.port, "") + &table), &[]);
    recvd.start();
    for _ in 0..8 {
        pushd.daemon.start();
        pushd.wait_in_sync(&[]).unwrap();
        pushd.daemon.kill();
    }
    pushd.daemon.start();
    pushd.wait_in_sync(&[]).unwrap();
    assert_equal(&path, &recvd.backup);
}

#[test]
fn several_sources_in_one_process() {
    let scratch = Scratch::new("sources");
    let mut recvds: Vec<_> =
        ["r1", "r2"].iter().map(|name| Recvd::prepare(&scratch, name, &Setup::default())).collect();
    let (one, table_one) = source(&scratch, "one", "\"t1\"");
    let (two, table_two) = source(&scratch, "two", "\"t2\"");
    let tables = format!(
        "{}{}{table_one}{table_two}",
        recvds[0].target("t1", recvds[0].port, ""),
        recvds[1].target("t2", recvds[1].port, "")
    );
    let mut pushd = Pushd::prepare(&scratch, "pushd", &tables, &[]);
    recvds.iter_mut().for_each(Recvd::start);
    pushd.daemon.start();
    pushd.wait_in_sync(&[]).unwrap();
    fs::rename(one.join("5"), two.join("moved between sources")).unwrap();
    pushd.wait_in_sync(&[]).unwrap();
    assert_equal(&one, &recvds[0].backup);
    assert_equal(&two, &recvds[1].backup);
}

#[test]
fn a_module_folder_takes_a_source_of_its_own() {
    let scratch = Scratch::new("folders");
    let mut recvd = Recvd::prepare(&scratch, "recvd", &Setup::default());
    let (one, table_one) = source(&scratch, "one", "\"t1\"");
    let (two, table_two) = source(&scratch, "two", "\"t2\"");
    let target = |name: &str, folder: &str| {
        recvd.target(name, recvd.port, "").replace("module = \"m\"", &format!("module = \"m/{folder}\""))
    };
    let tables = format!("{}{}{table_one}{table_two}", target("t1", "host/one"), target("t2", "host/two"));
    let mut pushd = Pushd::prepare(&scratch, "pushd", &tables, &[]);
    recvd.start();
    pushd.daemon.start();
    pushd.wait_in_sync(&[]).unwrap();
    assert_equal(&one, &recvd.backup.join("host/one"));
    assert_equal(&two, &recvd.backup.join("host/two"));
}

#[test]
fn a_target_of_an_absent_source_is_offline_and_not_halted() {
    let scratch = Scratch::new("absentsource");
    let mut recvd = Recvd::prepare(&scratch, "recvd", &Setup::default());
    let (path, table) = source(&scratch, "s", "\"t\"");
    let mut pushd = Pushd::prepare(&scratch, "pushd", &(recvd.target("t", recvd.port, "") + &table), &[]);
    recvd.start();
    pushd.daemon.start();
    pushd.wait_in_sync(&[]).unwrap();
    let aside = scratch.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    let mut shown = Default::default();
    eventually("the source is absent and its target offline", || {
        let status = pushd.status().unwrap_or_default();
        let source = &status["sources"][0];
        shown = source["watches"].clone();
        source["state"] == "absent" && source["targets"][0]["state"] == "offline"
    });
    assert_eq!(shown, 0, "nothing is watched");
    fs::rename(&aside, &path).unwrap();
    pushd.wait_in_sync(&[]).unwrap();
}

#[test]
fn pushd_may_start_first() {
    let scratch = Scratch::new("first");
    let mut recvd = Recvd::prepare(&scratch, "recvd", &Setup::default());
    let (path, table) = source(&scratch, "s", "\"t\"");
    let mut pushd = Pushd::prepare(&scratch, "pushd", &(recvd.target("t", recvd.port, "") + &table), &[]);
    pushd.daemon.start();
    eventually("it says that nobody is there", || {
        pushd.target("t")["last_error"].as_str().is_some_and(|e| !e.is_empty())
    });
    fs::write(path.join("meanwhile"), b"made while nobody listened").unwrap();
    recvd.start();
    pushd.wait_in_sync(&[]).unwrap();
    assert_equal(&path, &recvd.backup);
    assert_ne!(free_port(), recvd.port);
}
