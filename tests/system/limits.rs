//! The kernel's limits on watching: reached, named with the sysctl that raises them, and repaired by looking again.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::time::Instant;

use crate::rig::pair::{Pair, Setup};
use crate::rig::process::{pushd_program, run};
use crate::rig::{eventually, is_root};

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

/// Whether a user may have a user namespace; says which test is left out where not.
pub fn has_namespaces(test: &str) -> bool {
    let works = Command::new("unshare").args(["-Ur", "true"]).status().is_ok_and(|s| s.success());
    if !works {
        eprintln!("LEFT OUT: {test} needs user namespaces");
    }
    works
}

#[test]
fn the_limit_of_watches_is_named_and_what_is_not_watched_arrives_all_the_same() {
    if !has_namespaces("the_limit_of_watches_is_named_and_what_is_not_watched_arrives_all_the_same") {
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
    // It is said at once that not all is watched, and not that all is in sync now.
    let source = &status["sources"][0];
    assert!(source["unwatched"].as_u64().is_some_and(|n| n >= 40), "{source:#}");
    let (compared, in_sync) = (&source["compared_at"], &source["targets"][0]["last_in_sync"]);
    assert!(compared.is_string() && in_sync.as_str() <= compared.as_str(), "{source:#}");
    let mut text = String::new();
    eventually("the text says so", || {
        let done = pair.pushd.command(&["status"]);
        text = done.text();
        done.code == 1 && text.contains("● s  watching in part") && text.contains("in sync ")
    });
    assert!(!text.contains(" now "), "{text}");
    // A wait compares what is not watched.
    for n in 0..60 {
        fs::write(pair.source.join(format!("folder {n:02}/last")), b"last").unwrap();
    }
    assert_eq!(pair.pushd.command(&["wait", "--timeout", "60s"]).code, 0);
    pair.assert_equal();
}

#[test]
fn folders_that_come_while_there_is_no_watch_left_are_not_a_line_each() {
    if !has_namespaces("folders_that_come_while_there_is_no_watch_left_are_not_a_line_each") {
        return;
    }
    let prefix = vec!["unshare", "-Ur", "sh", "-c", FEW_WATCHES];
    let pair = Pair::live("manyunwatched", Setup { pushd_prefix: prefix, ..Setup::default() });
    let began = Instant::now();
    let unwatched = || pair.pushd.status().unwrap_or_default()["sources"][0]["unwatched"].as_u64();
    for n in 0..60 {
        fs::create_dir(pair.source.join(format!("folder {n:02}"))).unwrap();
        // Each is seen alone.
        eventually("it is looked at", || n < 25 || unwatched() >= Some(n - 24));
    }
    eventually("most are not watched", || unwatched() >= Some(40));
    let log = pair.pushd.daemon.log();
    let said = log.lines().filter(|line| line.contains("max_user_watches=")).count() as u64;
    assert!((1..=1 + began.elapsed().as_secs() / 60).contains(&said), "{said}: {log}");
}

/// The same for the limit of instances.
pub const NO_INSTANCE: &str = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" \"$@\"";

#[test]
fn without_an_instance_of_inotify_a_source_is_compared_and_watched_when_there_is_one() {
    if !has_namespaces("without_an_instance_of_inotify_a_source_is_compared_and_watched_when_there_is_one") {
        return;
    }
    let prefix = vec!["unshare", "-Ur", "sh", "-c", NO_INSTANCE];
    let setup = Setup { pushd_prefix: prefix, ..Setup::default() };
    let mut pair = Pair::new("instances", setup);
    fs::create_dir(pair.source.join("folder")).unwrap();
    pair.start();
    let source = || pair.pushd.status().unwrap_or_default()["sources"][0].clone();
    eventually("it says that nothing is watched", || source()["state"] == "live" && source()["unwatched"] == 1);
    let names_sysctl = |text: &str| text.contains("sysctl -w fs.inotify.max_user_instances=");
    assert!(source()["reason"].as_str().is_some_and(names_sysctl), "{:#}", source());
    let text = pair.pushd.command(&["status"]).text();
    assert!(text.contains("0 folders watched: compared in full every 30 s"), "{text}");
    fs::write(pair.source.join("folder/one"), b"one").unwrap();
    assert_eq!(pair.pushd.command(&["wait", "--timeout", "60s"]).code, 0);
    pair.assert_equal();
    let log = pair.pushd.daemon.log();
    assert_eq!(log.lines().filter(|line| names_sysctl(line)).count(), 1, "said once: {log}");
    // It is in a namespace of its own, where there may be some now.
    let pid = pair.pushd.daemon.pid().to_string();
    let raise = "echo 8 > /proc/sys/user/max_inotify_instances";
    let mut command = Command::new("nsenter");
    let raised = command.args(["-U", "--preserve-credentials", "-t", &pid, "sh", "-c", raise]).status().unwrap();
    assert!(raised.success());
    fs::write(pair.source.join("folder/two"), b"two").unwrap();
    eventually("it arrives without a wait", || pair.backup.join("folder/two").exists());
    eventually("it is watched", || source()["unwatched"] == 0 && source()["watches"] == 2);
    assert!(source()["reason"].is_null());
    fs::write(pair.source.join("folder/three"), b"three").unwrap();
    pair.settle();
}

#[test]
fn check_names_a_limit_that_does_not_suffice() {
    if !has_namespaces("check_names_a_limit_that_does_not_suffice") {
        return;
    }
    let pair = Pair::new("checklimits", Setup::default());
    let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" check --offline --config \"$1\"";
    let mut command = Command::new("unshare");
    command.args(["-Ur", "sh", "-c", script]).arg(pushd_program()).arg(&pair.pushd.config);
    let done = run(&mut command, None);
    assert_eq!(done.code, 78, "{}", done.text());
    assert!(done.out.contains("FAIL  inotify limit: 1 instance is needed, 0 are allowed"), "{}", done.text());
    assert!(done.out.contains("sysctl -w fs.inotify.max_user_instances=1024"), "{}", done.text());
    assert!(done.out.contains("ok    watch limit") && done.out.contains("ok    open files"), "{}", done.text());
}

#[test]
fn too_few_open_files_are_named_before_they_are_missed() {
    let prefix = vec!["prlimit", "--nofile=70:70"];
    let pair = Pair::live("openfiles", Setup { pushd_prefix: prefix, ..Setup::default() });
    let log = pair.pushd.daemon.log();
    assert!(log.contains("open files: up to 80 at a time, 70 are allowed here: raise LimitNOFILE="), "{log}");
    let mut command = Command::new("prlimit");
    command.arg("--nofile=70:70").arg(pushd_program()).args(["check", "--offline", "--config"]).arg(&pair.pushd.config);
    let done = run(&mut command, None);
    assert!(done.code == 78 && done.out.contains("FAIL  open files: up to 80"), "{}", done.text());
}

#[test]
fn what_cannot_be_watched_for_another_reason_is_said_once_and_tried_again() {
    if !is_root("what_cannot_be_watched_for_another_reason_is_said_once_and_tried_again") {
        return;
    }
    let mut pair = Pair::new("nowatch", Setup::default());
    pair.recvd.start();
    // Some five seconds of tries.
    let inject = "inject=inotify_init1:error=ENOSYS:when=1..5";
    pair.pushd.daemon.start_under(&["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", inject]);
    pair.settle();
    let said = pair.pushd.daemon.log().lines().filter(|line| line.contains("cannot be watched")).count();
    assert_eq!(said, 1, "{}", pair.pushd.daemon.log());
    assert!(pair.pushd.status().unwrap()["sources"][0]["reason"].is_null());
}
