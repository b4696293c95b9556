//! Two that want to write to one folder of a backup: who lives keeps it, and the other one is told.

use std::fs;

use crate::rig::eventually;
use crate::rig::pair::{Pair, Pushd, Setup};
use crate::rig::proxy::Switch;

/// Another pushd with the same user and module, which knows nothing of the first.
fn other(pair: &Pair) -> Pushd {
    let source = pair.source.display().to_string();
    let target = pair.recvd.target("t", pair.recvd.port, "");
    let tables = format!("{target}\n[source.s]\npath = {source:?}\ntargets = [\"t\"]\n");
    Pushd::prepare(&pair.scratch, "other", &tables, &[])
}

#[test]
fn a_sync_of_another_pushd_is_told_that_the_folder_is_in_use() {
    let mut pair = Pair::live("inuse", Setup::default());
    let other = other(&pair);
    let done = other.command(&["sync"]);
    assert_eq!(done.code, 75, "{}", done.text());
    assert!(done.err.contains("the folder is in use") && done.err.contains("127.0.0.1"), "{}", done.text());
    fs::write(pair.source.join("later"), b"x").unwrap();
    pair.settle();
    let log = pair.pushd.daemon.log();
    assert!(!log.contains("disconnected"), "the live one was sent away: {log}");
    // Once it is gone it may come back: the folder is free when a person says so.
    pair.pushd.daemon.kill();
    fs::write(pair.source.join("latest"), b"x").unwrap();
    let done = other.command(&["sync"]);
    assert_eq!(done.code, 75, "{}", done.text());
    assert!(done.err.contains("wrote to it last") && done.err.contains("recvctl release m"), "{}", done.text());
    pair.recvd.release();
    let done = other.command(&["sync"]);
    assert_eq!(done.code, 0, "{}", done.text());
    pair.assert_equal();
}

#[test]
fn two_daemons_do_not_send_each_other_away() {
    let pair = Pair::live("twins", Setup::default());
    let mut other = other(&pair);
    other.daemon.start();
    // The second has nothing to send but its first comparison, and that waits.
    eventually("the second says why it waits", || {
        other.target("t")["last_error"].as_str().is_some_and(|error| error.contains("the folder is in use"))
    });
    fs::write(pair.source.join("later"), b"x").unwrap();
    pair.settle();
    let log = pair.pushd.daemon.log();
    assert!(!log.contains("disconnected"), "the first was sent away: {log}");
}

#[test]
fn a_daemon_whose_folder_is_in_use_says_so_once_and_when_it_has_it() {
    let mut pair = Pair::live("patient", Setup::default());
    let mut other = other(&pair);
    other.daemon.start();
    let log = || fs::read_to_string(pair.scratch.path().join("other.log")).unwrap();
    let words = "the folder is in use: another pushd of user";
    eventually("the second says why it waits", || log().contains(words));
    // It is dialling at each try.
    let tries = || other.target("t")["since"].as_str().unwrap_or_default().to_owned();
    let mut seen = std::collections::BTreeSet::new();
    eventually("it tries again", || {
        seen.insert(tries());
        seen.len() > 5
    });
    let (here, there) = (log(), pair.recvd.daemon.log());
    let warnings = |log: &str| log.lines().filter(|line| line.contains(" WARN ") && line.contains(words)).count();
    assert_eq!((warnings(&here), here.matches(" connected").count()), (1, 0), "{here}");
    assert_eq!((warnings(&there), there.matches(" begins").count()), (1, 1), "{there}");
    pair.pushd.daemon.kill();
    pair.recvd.release();
    eventually("the second says that it is over", || log().matches(" connected").count() == 1);
    assert_eq!(pair.recvd.daemon.log().matches(" begins").count(), 2);
}

#[test]
fn a_host_that_vanished_without_a_word_keeps_its_folder_for_a_while_and_gets_it_back_at_once() {
    let mut pair = Pair::live("vanished", Setup { proxy: true, ..Setup::default() });
    let other = other(&pair);
    pair.proxy.as_ref().unwrap().black_hole(Switch::On);
    let done = other.command(&["sync"]);
    assert_eq!(done.code, 75, "{}", done.text());
    assert!(done.err.contains("may come back"), "{}", done.text());
    // Its power came back: recvd still holds the connection from before.
    pair.pushd.daemon.kill();
    pair.proxy.as_ref().unwrap().strand();
    fs::write(pair.source.join("later"), b"x").unwrap();
    pair.pushd.daemon.start();
    pair.settle();
    pair.proxy.as_ref().unwrap().black_hole(Switch::On);
    pair.recvd.release();
    let done = other.command(&["sync"]);
    assert_eq!(done.code, 0, "{}", done.text());
}
