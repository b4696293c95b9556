//! `pushd sync` beside the daemon that serves the same source: the daemon makes the pass, and the command is what it would be
//! without one.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::rig::pair::{Pair, Setup};
use crate::rig::process::pushd_program;
use crate::rig::proxy::Switch;
use crate::rig::{compare, eventually, stays};

/// Changes in the backup of which no event tells: only a full pass finds them.
fn spoil(pair: &Pair) {
    fs::write(pair.backup.join("anchor"), b"spoilt").unwrap();
    fs::write(pair.backup.join("stranger"), b"x").unwrap();
}

fn assert_undisturbed(pair: &Pair) {
    let log = pair.pushd.daemon.log();
    assert!(!log.contains("disconnected"), "the daemon was sent away: {log}");
    assert_eq!(log.matches("connected").count(), 1, "{log}");
}

#[test]
fn a_sync_beside_the_daemon_is_made_by_it() {
    let pair = Pair::live("beside", Setup { source: "max_delete = 1".into(), ..Setup::default() });
    for n in 0..20 {
        fs::write(pair.source.join(n.to_string()), vec![b'x'; 1000]).unwrap();
    }
    pair.settle();
    spoil(&pair);
    let done = pair.sync(&["--json"]);
    assert_eq!(done.code, 0, "{}", done.text());
    let report = done.report();
    assert_eq!((&report["source"], &report["target"]), (&"s".into(), &"t".into()), "{report:#}");
    assert_eq!(
        (&report["files"], &report["bytes"], &report["deleted"]),
        (&1.into(), &12.into(), &1.into()),
        "{report:#}"
    );
    assert!(report["compared"].as_u64().is_some_and(|compared| (21..40).contains(&compared)), "{report:#}");
    assert_eq!((&report["in_sync"], &report["error"]), (&true.into(), &serde_json::Value::Null), "{report:#}");
    pair.assert_equal();
    // Nothing differs: what counts is this pass alone.
    let done = pair.sync(&["--stats"]);
    assert_eq!(done.code, 0, "{}", done.text());
    assert!(done.out.contains("s to t: 0 files, 0 B sent") && done.out.contains("0 deleted"), "{}", done.text());
    assert_eq!(pair.sync(&["--target", "other"]).code, 64);
    assert_undisturbed(&pair);
}

#[test]
fn a_brake_and_its_release_are_those_of_a_sync() {
    let pair = Pair::live("braked", Setup { source: "max_delete = 1".into(), ..Setup::default() });
    for n in 0..5 {
        fs::write(pair.backup.join(format!("stranger {n}")), b"x").unwrap();
    }
    for _ in 0..2 {
        let done = pair.sync(&[]);
        assert_eq!(done.code, 75, "{}", done.text());
        assert!(done.err.contains("held") && done.err.contains("--release"), "{}", done.text());
        assert!(pair.backup.join("stranger 4").exists());
    }
    let done = pair.sync(&["--release", "--json"]);
    assert_eq!((done.code, &done.report()["deleted"]), (0, &5.into()), "{}", done.text());
    pair.settle();
    fs::write(pair.backup.join("stranger 6"), b"x").unwrap();
    fs::write(pair.backup.join("stranger 7"), b"x").unwrap();
    assert_eq!(pair.sync(&[]).code, 75, "it was released this once");
}

#[test]
fn what_keeps_a_sync_from_its_target_has_its_own_exit() {
    let mut pair = Pair::new("away", Setup::default());
    let text = fs::read_to_string(&pair.pushd.config).unwrap();
    let patient =
        text.replace("retry = { first = \"100ms\", max = \"1s\" }", "retry = { first = \"1h\", max = \"1h\" }");
    assert_ne!(patient, text);
    fs::write(&pair.pushd.config, patient).unwrap();
    pair.start();
    pair.settle();
    pair.recvd.daemon.kill();
    eventually("the daemon knows", || pair.pushd.target("t")["state"] == "offline");
    let done = pair.sync(&[]);
    assert_eq!(done.code, 69, "{}", done.text());
    assert!(done.err.contains("cannot be reached"), "{}", done.text());
    // The daemon would wait for an hour.
    pair.recvd.start();
    spoil(&pair);
    let done = pair.sync(&[]);
    assert_eq!(done.code, 0, "{}", done.text());
    pair.assert_equal();
    let aside = pair.scratch.path().join("aside");
    fs::rename(&pair.source, &aside).unwrap();
    eventually("the source is absent", || pair.pushd.status().unwrap_or_default()["sources"][0]["state"] == "absent");
    let done = pair.sync(&[]);
    assert_eq!(done.code, 66, "{}", done.text());
    fs::rename(&aside, &pair.source).unwrap();
}

/// A `sync` whose pass cannot get on: nothing comes through.
fn stuck(pair: &Pair) -> Child {
    pair.proxy.as_ref().unwrap().black_hole(Switch::On);
    spoil(pair);
    let mut command = Command::new(pushd_program());
    command.args(["sync", "--config"]).arg(&pair.pushd.config).stdout(Stdio::null()).stderr(Stdio::null());
    let mut sync = command.spawn().unwrap();
    eventually("the daemon compares", || pair.pushd.target("t")["state"] == "scanning");
    assert!(stays(Duration::from_millis(300), || matches!(sync.try_wait(), Ok(None))), "it did not wait for the pass");
    sync
}

#[test]
fn a_sync_that_is_killed_ends_nothing_but_itself() {
    let pair = Pair::live("killed", Setup { proxy: true, ..Setup::default() });
    let mut sync = stuck(&pair);
    sync.kill().unwrap();
    sync.wait().unwrap();
    pair.proxy.as_ref().unwrap().heal();
    eventually("the daemon ends the pass", || compare::trees(&pair.source, &pair.backup).is_empty());
    assert_undisturbed(&pair);
}

#[test]
fn a_link_that_is_lost_is_dialled_again_and_the_pass_made() {
    let pair = Pair::live("relinked", Setup { proxy: true, ..Setup::default() });
    let mut sync = stuck(&pair);
    let proxy = pair.proxy.as_ref().unwrap();
    proxy.heal();
    proxy.cut();
    assert_eq!(sync.wait().unwrap().code(), Some(0));
    pair.assert_equal();
}

#[test]
fn another_configuration_of_the_same_folder_is_not_handed_over() {
    let pair = Pair::live("edited", Setup::default());
    let text = fs::read_to_string(&pair.pushd.config).unwrap();
    fs::write(&pair.pushd.config, text + "delete = false\n").unwrap();
    let done = pair.sync(&[]);
    assert_eq!(done.code, 75, "{}", done.text());
    assert!(done.err.contains("the folder is in use"), "{}", done.text());
    assert_undisturbed(&pair);
}
