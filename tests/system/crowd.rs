//! Many who log in at one recvd at the same time: targets of one pushd, processes behind one address, and strangers among
//! them. All have their turn.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::hostile::connect_from;
use crate::rig::pair::{Pair, Pushd, Recvd, Setup, assert_equal};
use crate::rig::scratch::Scratch;

/// A target with a folder of the module for itself.
fn target(recvd: &Recvd, name: &str) -> String {
    recvd.target(name, recvd.port, "").replace("module = \"m\"", &format!("module = \"m/{name}\""))
}

#[test]
fn twelve_targets_on_one_server_log_in() {
    let scratch = Scratch::new("twelve");
    let mut recvd = Recvd::prepare(&scratch, "recvd", &Setup::default());
    let path = scratch.folder("source");
    (0..20).for_each(|n| fs::write(path.join(n.to_string()), n.to_string()).unwrap());
    let names: Vec<String> = (0..12).map(|n| format!("t{n}")).collect();
    let mut tables: String = names.iter().map(|name| target(&recvd, name)).collect();
    tables.push_str(&format!("[source.s]\npath = {:?}\ntargets = {names:?}\n", path.display().to_string()));
    let mut pushd = Pushd::prepare(&scratch, "pushd", &tables, &[]);
    recvd.start();
    for words in [&["check"][..], &["sync"], &["sync"]] {
        let done = pushd.command(words);
        assert_eq!(done.code, 0, "{words:?}: {}", done.text());
    }
    pushd.daemon.start();
    fs::write(path.join("later"), b"later").unwrap();
    pushd.wait_in_sync(&[]).unwrap();
    for name in &names {
        assert_equal(&path, &recvd.backup.join(name));
        assert_eq!(pushd.target(name)["last_error"], serde_json::Value::Null, "{name} was turned away");
    }
    let log = recvd.daemon.log() + &pushd.daemon.log();
    assert!(!log.contains("to make room") && !log.contains("too many"), "{log}");
}

#[test]
fn forty_processes_behind_one_address_all_get_in() {
    let scratch = Scratch::new("forty");
    let mut recvd = Recvd::prepare(&scratch, "recvd", &Setup::default());
    let path = scratch.folder("source");
    fs::write(path.join("file"), b"of all").unwrap();
    let hosts: Vec<Pushd> = (0..40)
        .map(|n| {
            let name = format!("host{n}");
            let source = format!("[source.s]\npath = {:?}\ntargets = [{name:?}]\n", path.display().to_string());
            Pushd::prepare(&scratch, &name, &(target(&recvd, &name) + &source), &[])
        })
        .collect();
    recvd.start();
    std::thread::scope(|scope| {
        for host in &hosts {
            scope.spawn(|| {
                let done = host.command(&["sync"]);
                assert_eq!(done.code, 0, "{}", done.text());
            });
        }
    });
    for n in 0..hosts.len() {
        assert_equal(&path, &recvd.backup.join(format!("host{n}")));
    }
    assert!(!recvd.daemon.log().contains("to make room"), "{}", recvd.daemon.log());
}

#[test]
fn a_flood_from_one_address_keeps_nobody_else_out() {
    let mut pair = Pair::new("flood", Setup::default());
    pair.recvd.start();
    let (address, over) = (pair.recvd.address(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        // Silent ones, and ones that begin a greeting and go no further; again and again.
        for words in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let mut crowd: Vec<TcpStream> = (0..100).map(|_| connect_from(5, address).into()).collect();
                    for stranger in &mut crowd {
                        let _ = stranger.write_all(words);
                    }
                    std::thread::sleep(std::time::Duration::from_millis(300));
                }
            });
        }
        let codes: Vec<i32> = (0..5).map(|_| pair.sync(&[]).code).collect();
        over.store(true, Ordering::Relaxed);
        assert_eq!(codes, [0; 5]);
    });
    pair.assert_equal();
    let log = pair.recvd.daemon.log();
    assert!(log.contains("too many wait for their login"), "the flood was none: {log}");
}
