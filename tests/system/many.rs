//! Many sources and targets in one process: as many are served as there are, and what the system bounds is named.
//! `RIG_TARGETS` is another number of targets than 600, which is more than the threads that tokio has for blocking work.

use std::fs;
use std::time::{Duration, Instant};

use crate::rig::pair::{Pushd, Recvd, Setup};
use crate::rig::scratch::Scratch;
use crate::rig::{eventually, patience};

fn targets() -> usize {
    std::env::var("RIG_TARGETS").ok().and_then(|count| count.parse().ok()).unwrap_or(600)
}

/// A recvd that lets so many in, also before they are logged in.
fn hall(scratch: &Scratch, most: usize) -> Recvd {
    let most = most + 100;
    let setup = Setup {
        server: format!("max_connections = {most}\nmax_handshakes = {}\n", most.min(1000)),
        module: format!("max_connections = {most}"),
        ..Setup::default()
    };
    Recvd::prepare(scratch, "recvd", &setup)
}

/// The target `t…` with a folder of its own.
fn target(recvd: &Recvd, number: usize) -> String {
    let table = recvd.target(&format!("t{number}"), recvd.port, "");
    table.replace("module = \"m\"", &format!("module = \"m/{number}\""))
}

/// The targets that are not live and in sync, with what they say.
fn behind(pushd: &Pushd) -> Vec<String> {
    let in_sync = |t: &serde_json::Value| t["state"] == "live" && t["owed"]["paths"] == 0 && t["lag_ms"] == 0;
    let told = |t: &serde_json::Value| format!("{} {} {}", t["name"], t["state"], t["last_error"]);
    let all = pushd.targets();
    if all.is_empty() {
        return vec!["no answer".into()];
    }
    all.iter().filter(|target| !in_sync(target)).map(told).collect()
}

/// Waits until all of them are in sync.
fn all_are_served(pushd: &Pushd) {
    let deadline = Instant::now() + patience() * 3;
    loop {
        let left = behind(pushd);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{} are not served: {:?}", left.len(), left.first());
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Instances of inotify that a process holds.
fn instances(pid: u32) -> usize {
    let files = fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let is_inotify =
        |file: &std::path::Path| fs::read_link(file).is_ok_and(|to| to.as_os_str() == "anon_inode:inotify");
    let links = files.map(|file| std::path::PathBuf::from(format!("/proc/{pid}/fd")).join(file.unwrap().file_name()));
    // Each is open twice: to be read, and to be waited at.
    links.filter(|link| is_inotify(link)).count() / 2
}

#[test]
fn more_sources_than_instances_of_inotify() {
    let count = targets();
    let scratch = Scratch::new("manysources");
    let mut recvd = hall(&scratch, count);
    let source = |number: usize| scratch.path().join("sources").join(number.to_string());
    let mut tables = String::new();
    for number in 0..count {
        fs::create_dir_all(source(number).join("a/b")).unwrap();
        fs::write(source(number).join("a/first"), number.to_string()).unwrap();
        let path = source(number).display().to_string();
        tables += &target(&recvd, number);
        tables += &format!("[source.s{number}]\npath = {path:?}\ntargets = [\"t{number}\"]\nworkers = 1\n");
    }
    let mut pushd = Pushd::prepare(&scratch, "pushd", &tables, &[]);
    recvd.start();
    let checked = pushd.command(&["check", "--offline"]);
    assert!(checked.out.contains("ok    inotify limit: 16 instances are needed"), "{}", checked.text());
    pushd.daemon.start();
    all_are_served(&pushd);
    let status = pushd.status().unwrap();
    assert_eq!(status["watches"], 3 * count);
    assert_eq!(instances(pushd.daemon.pid()), 16);
    for number in 0..count {
        fs::write(source(number).join("a/b/later"), number.to_string()).unwrap();
        fs::rename(source(number).join("a/first"), source(number).join("renamed")).unwrap();
    }
    let done = pushd.command(&["wait", "--timeout", "80s"]);
    assert_eq!(done.code, 0, "{}", done.text());
    let has = |number: usize, name: &str| {
        let path = recvd.backup.join(number.to_string()).join(name);
        fs::read_to_string(path).is_ok_and(|text| text == number.to_string())
    };
    let wrong = (0..count).find(|n| !has(*n, "a/b/later") || !has(*n, "renamed"));
    assert_eq!(wrong, None);
    pushd.daemon.end(patience());
}

#[test]
fn more_targets_than_threads_of_the_runtime() {
    let count = targets();
    let scratch = Scratch::new("manytargets");
    let mut recvd = hall(&scratch, count);
    let source = scratch.folder("source");
    fs::write(source.join("first"), b"first").unwrap();
    let mut tables: String = (0..count).map(|number| target(&recvd, number)).collect();
    let names: Vec<String> = (0..count).map(|number| format!("\"t{number}\"")).collect();
    let source_path = source.display().to_string();
    tables += &format!("[source.s]\npath = {source_path:?}\ntargets = [{}]\nworkers = 1\n", names.join(", "));
    let mut pushd = Pushd::prepare(&scratch, "pushd", &tables, &[]);
    recvd.start();
    pushd.daemon.start();
    all_are_served(&pushd);
    fs::write(source.join("later"), b"later").unwrap();
    let done = pushd.command(&["wait", "--timeout", "60s"]);
    assert_eq!(done.code, 0, "{}", done.text());
    let has = |number: usize, name: &str| recvd.backup.join(number.to_string()).join(name).exists();
    eventually("every target has both files", || (0..count).all(|n| has(n, "first") && has(n, "later")));
}
