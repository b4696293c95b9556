//! The kernel's limits on watching: reached, named with the sysctl that raises them, and repaired by looking again.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;

use crate::rig::eventually;
use crate::rig::pair::{Pair, Setup};

#[test]
fn an_overflow_of_the_event_queue_is_reported_and_repaired() {
    let pair = Pair::live("overflow", Setup::default());
    let queue: u64 = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    if queue > 100_000 {
        eprintln!("LEFT OUT: the queue holds {queue} events, too many to fill");
        return;
    }
    for folder in 0..20 {
        fs::create_dir(pair.source.join(format!("folder {folder}"))).unwrap();
    }
    pair.settle();
    pair.pushd.daemon.stop();
    // The signal is delivered to one thread after the other: until then the watcher still empties the queue.
    eventually("every thread is stopped", || is_stopped(pair.pushd.daemon.pid()));
    // Two files in turn, for the kernel merges equal events that follow one another.
    let mut files = [0, 1].map(|n| File::create(pair.source.join(format!("busy {n}"))).unwrap());
    for n in 0..queue + 4_000 {
        files[n as usize % 2].write_all(b"x").unwrap();
    }
    // None of this is in the queue any more.
    for folder in 0..20 {
        let folder = pair.source.join(format!("folder {folder}"));
        fs::create_dir(folder.join("new")).unwrap();
        fs::write(folder.join("new/file"), b"made after the overflow").unwrap();
    }
    fs::rename(pair.source.join("folder 7"), pair.source.join("folder 77")).unwrap();
    fs::remove_dir_all(pair.source.join("folder 8")).unwrap();
    drop(files);
    let pid = pair.pushd.daemon.pid();
    pair.pushd.daemon.go_on();
    pair.settle();
    assert_eq!(pair.pushd.daemon.pid(), pid, "it was restarted");
    assert!(pair.pushd.daemon.log().contains("max_queued_events"), "the sysctl is not named");
    // And the folders made meanwhile are watched.
    fs::write(pair.source.join("folder 77/new/later"), b"later").unwrap();
    fs::write(pair.source.join("folder 9/new/later"), b"later").unwrap();
    pair.settle();
}

/// Whether every thread of the process is stopped.
fn is_stopped(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.into_iter().all(|task| {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        status.contains("State:\tT")
    })
}

/// A shell in a new user namespace that lowers the limit of watches and becomes pushd.
const FEW_WATCHES: &str = "echo 20 > /proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\"";

#[test]
fn the_limit_of_watches_is_named_and_what_is_not_watched_arrives_all_the_same() {
    let works = Command::new("unshare").args(["-Ur", "true"]).status().is_ok_and(|s| s.success());
    if !works {
        eprintln!("LEFT OUT: no user namespaces here");
        return;
    }
    // pushd is root in its namespace, so that it may read its files.
    let prefix = vec!["unshare", "-Ur", "sh", "-c", FEW_WATCHES];
    let setup = Setup { pushd_prefix: prefix, ..Setup::default() };
    let mut pair = Pair::new("watches", setup);
    for n in 0..60 {
        let folder = pair.source.join(format!("folder {n:02}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("file"), n.to_string()).unwrap();
    }
    pair.start();
    let log = || pair.pushd.daemon.log();
    eventually("the limit is named", || log().contains("max_user_watches") || log().contains("max_inotify_watches"));
    let equal = || crate::rig::compare::trees(&pair.source, &pair.backup).is_empty();
    eventually("the first pass is done", equal);
    for n in 0..60 {
        fs::write(pair.source.join(format!("folder {n:02}/later")), b"later").unwrap();
    }
    eventually("what is not watched arrives too", equal);
    let status = pair.pushd.status().unwrap();
    assert!(status["watches"].as_u64().is_some_and(|n| n <= 20), "{status:#}");
}
