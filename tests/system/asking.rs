//! What a person or a script asks a running pushd, and what the exit says: `status` and `wait`.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::rig::eventually;
use crate::rig::pair::{Pair, Setup};
use crate::rig::process::{Done, pushd_program, run};

/// Far longer than a test may take: who comes back from it did not wait for its end.
const FOR_EVER: &str = "10h";

fn wait(pair: &Pair, words: &[&str]) -> Done {
    pair.pushd.command(&[&["wait", "--timeout"], words].concat())
}

#[test]
fn deletions_that_are_held_end_a_wait_at_once_and_say_what_to_type() {
    let pair = Pair::live("halted", Setup { source: "max_delete = 3".into(), ..Setup::default() });
    for n in 0..10 {
        fs::write(pair.backup.join(format!("stranger {n}")), b"x").unwrap();
    }
    assert_eq!(pair.pushd.command(&["resync"]).code, 0);
    eventually("they are held", || pair.pushd.target("t")["held"]["entries"] == 10);
    let waited = wait(&pair, &[FOR_EVER]);
    assert_eq!(waited.code, 75, "{}", waited.text());
    let shown = pair.pushd.command(&["status"]);
    assert_eq!(shown.code, 75, "{}", shown.text());
    for done in [&waited, &shown] {
        assert!(done.text().contains("`pushctl release s`"), "{}", done.text());
    }
    assert_eq!(pair.pushd.command(&["status", "--exit-zero"]).code, 0);
    assert_eq!(pair.pushd.command(&["release", "s"]).code, 0);
    let waited = wait(&pair, &[FOR_EVER]);
    assert_eq!(waited.code, 0, "{}", waited.text());
}

#[test]
fn what_is_not_mirrored_is_one_and_what_is_behind_goes_before_it() {
    let mut pair = Pair::live("exits", Setup { module: "max_file_size = \"1KiB\"".into(), ..Setup::default() });
    assert_eq!(pair.pushd.command(&["status"]).code, 0);
    // It sends nothing: the session goes on.
    let checked = pair.pushd.command(&["check"]);
    assert!(checked.code == 0 && checked.out.contains("it takes files of at most 1 KiB"), "{}", checked.text());
    assert_eq!(wait(&pair, &[FOR_EVER]).code, 0);
    fs::create_dir_all(pair.source.join("folder/deep")).unwrap();
    fs::write(pair.source.join("folder/large"), vec![b'x'; 5000]).unwrap();
    let waited = wait(&pair, &[FOR_EVER]);
    assert_eq!(waited.code, 1, "{}", waited.text());
    assert!(waited.err.contains("s to t: folder/large: "), "{}", waited.text());
    eventually("the status says so, too", || pair.pushd.command(&["status"]).code == 1);
    let at = |path: &str| wait(&pair, &[FOR_EVER, &pair.source.join(path).display().to_string()]).code;
    assert_eq!([at("folder"), at("folder/large"), at("folder/deep"), at("anchor")], [1, 1, 0, 0]);
    pair.recvd.daemon.kill();
    fs::write(pair.source.join("behind"), b"x").unwrap();
    let mut why = String::new();
    eventually("it is found that nobody listens", || {
        why = pair.pushd.target("t")["last_error"].as_str().unwrap_or_default().to_owned();
        why.contains("refused")
    });
    let late = wait(&pair, &["500ms"]);
    assert_eq!((late.code, pair.pushd.command(&["status"]).code), (75, 75), "{}", late.text());
    assert!(late.err.contains("s to t: ") && late.err.contains(&why), "{}", late.text());
}

#[test]
fn a_wait_for_a_path_waits_for_that_alone() {
    // A file that was written is owed for long, a folder that was made is not.
    let pair = Pair::live("place", Setup { source: "settle = \"1h\"".into(), ..Setup::default() });
    for folder in ["a", "b", "b/c"] {
        fs::create_dir(pair.source.join(folder)).unwrap();
        assert_eq!(wait(&pair, &[FOR_EVER]).code, 0);
    }
    fs::write(pair.source.join("a/file"), b"x").unwrap();
    let at = |timeout, path: &str| wait(&pair, &[timeout, &pair.source.join(path).display().to_string()]);
    for new in ["b/new", "b/c/new"] {
        fs::create_dir(pair.source.join(new)).unwrap();
        let done = at(FOR_EVER, new);
        assert_eq!((done.code, pair.backup.join(new).is_dir()), (0, true), "{}", done.text());
    }
    fs::remove_dir(pair.source.join("b/new")).unwrap();
    let done = at(FOR_EVER, "b/new");
    assert_eq!((done.code, pair.backup.join("b/new").exists()), (0, false), "{}", done.text());
    fs::rename(pair.source.join("b/c"), pair.source.join("c")).unwrap();
    let done = at(FOR_EVER, "b");
    assert_eq!((done.code, pair.backup.join("c/new").exists()), (0, true), "{}", done.text());
    for owed in ["a", "a/file", ""] {
        assert_eq!(at("500ms", owed).code, 75, "{owed}");
    }
    assert_eq!(wait(&pair, &["500ms"]).code, 75);
    let mut relative = Command::new(pushd_program());
    relative.current_dir(pair.source.join("b")).args(["wait", "--timeout", FOR_EVER, "../c", "--config"]);
    let done = run(relative.arg(&pair.pushd.config), None);
    assert_eq!(done.code, 0, "{}", done.text());
    let nowhere = wait(&pair, &[FOR_EVER, &pair.backup.display().to_string()]);
    assert_eq!(nowhere.code, 64, "{}", nowhere.text());
    assert!(nowhere.err.contains("is in no source"), "{}", nowhere.text());
}

#[test]
fn the_moment_in_sync_never_goes_back() {
    let mut pair = Pair::live("moment", Setup::default());
    let last = |pair: &Pair| pair.pushd.target("t")["last_in_sync"].as_str().unwrap_or_default().to_owned();
    std::thread::sleep(Duration::from_secs(1));
    let at_rest = last(&pair);
    assert!(!at_rest.is_empty());
    pair.recvd.daemon.kill();
    eventually("it is offline", || pair.pushd.target("t")["state"] == "offline");
    let offline = last(&pair);
    assert!(offline >= at_rest, "{offline} came after {at_rest}");
    fs::write(pair.source.join("owed"), b"x").unwrap();
    eventually("it is owed", || pair.pushd.target("t")["owed"]["paths"] != 0);
    let owed = last(&pair);
    assert!(owed >= offline, "{owed} came after {offline}");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(last(&pair), owed, "while it is behind the moment stands");
}

#[test]
fn one_large_file_moves_while_it_is_sent() {
    let setup = Setup { proxy: true, target: "compress = \"off\"".into(), ..Setup::default() };
    let pair = Pair::live("moves", setup);
    let size = 40_000_000;
    let before = pair.pushd.target("t")["sent"]["files"].clone();
    let proxy = pair.proxy.as_ref().unwrap();
    proxy.delay(Duration::from_millis(20));
    fs::write(pair.source.join("large"), vec![b'x'; size]).unwrap();
    let mut seen = Vec::new();
    eventually("it was seen to move, and how fast", || {
        let target = pair.pushd.target("t");
        let progress = &target["progress"];
        let bytes = progress["bytes"].as_u64().unwrap_or_default();
        let under_way = bytes > 0 && bytes < size as u64;
        if under_way && target["rate"].as_u64() > Some(0) && seen.last().is_none_or(|last| *last < bytes) {
            assert_eq!((&target["sent"]["files"], &progress["files"]), (&before, &0.into()), "{target:#}");
            assert_eq!(progress["all"], serde_json::json!({"files": 1, "bytes": size, "search": "over"}), "{target:#}");
            seen.push(bytes);
        }
        assert!(progress["files"] != 1, "it was never seen under way: {seen:?}");
        seen.len() >= 3
    });
    let shown = pair.pushd.command(&["status", "--exit-zero"]).out;
    assert!(shown.contains("t: 0 of 1 file  ") && shown.contains("%)"), "{shown}");
    proxy.heal();
    pair.settle();
}
