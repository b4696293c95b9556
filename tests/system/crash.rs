//! Kill -9 of either program and cut links, at any moment: no stray name, no human, equal in the end.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::rig::pair::{DURABILITIES, Pair, Setup};
use crate::rig::proxy::Switch;
use crate::rig::rng::Rng;
use crate::rig::zoo::Zoo;

fn with(durability: &str) -> Setup {
    Setup { durability: durability.into(), proxy: true, ..Setup::default() }
}

/// No name stands in the backup that the source does not have. (The zoo only has one name with `recvd` in it: none.)
fn no_stray_name(pair: &Pair) {
    let source = crate::rig::compare::fingerprint(&pair.source);
    for path in crate::rig::compare::fingerprint(&pair.backup).keys() {
        let hidden = path.starts_with(b".recvd-");
        assert!(hidden || source.contains_key(path), "a stray name: {}", crate::rig::fs::show(path));
    }
}

#[test]
fn recvd_killed_in_a_first_pass() {
    for durability in DURABILITIES {
        let mut pair = Pair::new("killrecvd", with(durability));
        Zoo::PLAIN.build(&pair.source).unwrap();
        pair.start();
        for round in 0..8 {
            thread::sleep(Duration::from_millis(40 + 60 * round));
            pair.recvd.daemon.kill();
            no_stray_name(&pair);
            pair.recvd.start();
        }
        pair.settle();
    }
}

#[test]
fn pushd_killed_in_a_first_pass() {
    for durability in DURABILITIES {
        let mut pair = Pair::new("killpushd", with(durability));
        Zoo::PLAIN.build(&pair.source).unwrap();
        pair.start();
        for round in 0..8 {
            thread::sleep(Duration::from_millis(40 + 60 * round));
            pair.pushd.daemon.kill();
            no_stray_name(&pair);
            pair.pushd.daemon.start();
        }
        pair.settle();
    }
}

#[test]
fn what_changed_while_pushd_was_dead_is_found() {
    let mut pair = Pair::new("offline", Setup::default());
    Zoo::PLAIN.build(&pair.source).unwrap();
    pair.start();
    pair.settle();
    pair.pushd.daemon.kill();
    let dir = &pair.source;
    fs::write(dir.join("sizes/4096"), vec![b'n'; 4096]).unwrap();
    fs::remove_dir_all(dir.join("names")).unwrap();
    fs::rename(dir.join("deep"), dir.join("moved deep")).unwrap();
    fs::write(dir.join("new"), b"new").unwrap();
    fs::remove_file(dir.join("links/left/group 1")).unwrap();
    fs::write(dir.join("links/right/group 2 as 1"), b"written through a link").unwrap();
    fs::remove_file(dir.join("links/dangling")).unwrap();
    fs::create_dir(dir.join("links/dangling")).unwrap();
    crate::rig::fs::chmod(&dir.join("sizes/1"), 0o600).unwrap();
    crate::rig::fs::set_mtime(&dir.join("sizes/4095"), 77, 77).unwrap();
    pair.pushd.daemon.start();
    pair.settle();
}

#[test]
fn links_cut_after_random_bytes() {
    for durability in DURABILITIES {
        let mut pair = Pair::new("cuts", with(durability));
        let mut rng = Rng::new(11);
        Zoo::PLAIN.build(&pair.source).unwrap();
        pair.start();
        for round in 0..25 {
            let bytes = match round % 3 {
                0 => rng.between(0, 5_000),
                1 => rng.between(0, 200_000),
                _ => rng.between(0, 3_000_000),
            };
            pair.proxy.as_ref().unwrap().cut_after(bytes);
            fs::write(pair.source.join(format!("round {round}")), rng.bytes(10_000)).unwrap();
            thread::sleep(Duration::from_millis(rng.between(10, 250)));
            no_stray_name(&pair);
        }
        let proxy = pair.proxy.as_ref().unwrap();
        proxy.heal();
        assert!(proxy.cuts() > 0, "no link was cut");
        pair.settle();
    }
}

#[test]
fn a_slow_link_of_single_bytes_is_only_slow() {
    let mut pair = Pair::new("trickle", Setup { proxy: true, ..Setup::default() });
    fs::create_dir(pair.source.join("folder")).unwrap();
    for n in 0..20 {
        fs::write(pair.source.join(format!("folder/{n}")), vec![b'b'; n * 50]).unwrap();
    }
    let proxy = pair.proxy.as_ref().unwrap();
    proxy.one_by_one(Switch::On);
    proxy.delay(Duration::from_millis(1));
    pair.start();
    pair.settle();
    fs::write(pair.source.join("folder/later"), b"later").unwrap();
    pair.settle();
}

#[test]
fn a_link_that_hangs_is_replaced() {
    let pair = Pair::live("hang", Setup { proxy: true, ..Setup::default() });
    let proxy = pair.proxy.as_ref().unwrap();
    proxy.black_hole(Switch::On);
    fs::write(pair.source.join("meanwhile"), b"into the hole").unwrap();
    thread::sleep(Duration::from_secs(4));
    proxy.cut();
    proxy.heal();
    pair.settle();
}

#[test]
fn an_orderly_end_answers_the_signal_at_once() {
    let mut pair = Pair::live("term", Setup::default());
    fs::write(pair.source.join("last"), b"last").unwrap();
    let code = pair.pushd.daemon.end(Duration::from_secs(10));
    assert_eq!(code, Some(0), "pushd at SIGTERM");
    let code = pair.recvd.daemon.end(Duration::from_secs(10));
    assert_eq!(code, Some(0), "recvd at SIGTERM");
    pair.start();
    pair.settle();
}
