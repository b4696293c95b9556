//! Whole: every kind of entry arrives as it is, cold and live, with rsync as the oracle.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rig::compare::{self, Difference};
use crate::rig::pair::{DURABILITIES, Pair, Setup};
use crate::rig::process::run;
use crate::rig::zoo::Zoo;
use crate::rig::{eventually, is_root};

/// A copy of `source` by rsync, for comparison; `None` where there is no rsync.
fn rsync_copy(source: &Path, to: PathBuf) -> Option<PathBuf> {
    if Command::new("rsync").arg("--version").output().is_err() {
        eprintln!("LEFT OUT: no rsync to compare with");
        return None;
    }
    let mut slash = source.as_os_str().to_os_string();
    slash.push("/");
    let done = run(Command::new("rsync").args(["-aHAXS", "--numeric-ids"]).arg(slash).arg(&to), None);
    assert_eq!(done.code, 0, "rsync: {}", done.text());
    Some(to)
}

/// Ours must be as good as rsync's: what differs from the source in ours differs in rsync's too.
fn no_worse_than_rsync(pair: &Pair) {
    let ours = compare::trees(&pair.source, &pair.backup);
    let rsyncs = rsync_copy(&pair.source, pair.scratch.path().join("oracle"))
        .map(|copy| compare::trees(&pair.source, &copy))
        .unwrap_or_default();
    let same = |a: &Difference, b: &Difference| a.path == b.path && a.what == b.what;
    let worse: Vec<_> = ours.iter().filter(|d| !rsyncs.iter().any(|r| same(r, d))).cloned().collect();
    assert!(worse.is_empty(), "rsync does better at:\n{}", compare::listing(&worse, 60));
    let better = rsyncs.iter().filter(|r| !ours.iter().any(|d| same(r, d))).count();
    println!("{} differences in ours, {} in rsync's, {better} of those only in rsync's", ours.len(), rsyncs.len());
    assert!(ours.is_empty(), "differs from the source:\n{}", compare::listing(&ours, 60));
}

#[test]
fn a_cold_pass_copies_the_whole_zoo_as_rsync_does() {
    if !is_root("a_cold_pass_copies_the_whole_zoo_as_rsync_does") {
        return;
    }
    for durability in DURABILITIES {
        let mut pair = Pair::new("cold", Setup { durability: durability.into(), ..Setup::keeping_all() });
        Zoo::WHOLE.build(&pair.source).unwrap();
        pair.recvd.start();
        let done = pair.sync(&["--json"]);
        assert_eq!(done.code, 0, "{}", done.text());
        no_worse_than_rsync(&pair);
    }
}

#[test]
fn the_zoo_built_live_arrives_whole() {
    if !is_root("the_zoo_built_live_arrives_whole") {
        return;
    }
    for durability in DURABILITIES {
        let pair = Pair::live("built", Setup { durability: durability.into(), ..Setup::keeping_all() });
        Zoo::WHOLE.build(&pair.source).unwrap();
        pair.settle();
        no_worse_than_rsync(&pair);
    }
}

#[test]
fn names_that_share_a_link_or_a_fifo_share_it_on_the_backup() {
    let mut pair = Pair::new("sharedlinks", Setup::keeping_all());
    let dir = &pair.source;
    std::fs::create_dir(dir.join("folder")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.join("link")).unwrap();
    crate::rig::fs::mknod(&dir.join("fifo"), rustix::fs::FileType::Fifo, 0o600, 0, 0).unwrap();
    for name in ["link", "fifo"] {
        std::fs::hard_link(dir.join(name), dir.join(format!("folder/{name} too"))).unwrap();
    }
    pair.recvd.start();
    let done = pair.sync(&["--json"]);
    assert_eq!(done.code, 0, "{}", done.text());
    no_worse_than_rsync(&pair);
}

#[test]
fn a_plain_zoo_arrives_whole() {
    for durability in DURABILITIES {
        let mut pair = Pair::new("plain", Setup { durability: durability.into(), ..Setup::default() });
        Zoo::PLAIN.build(&pair.source).unwrap();
        pair.recvd.start();
        let done = pair.sync(&["--json"]);
        assert_eq!(done.code, 0, "{}", done.text());
        pair.assert_equal();
    }
}

#[test]
fn what_the_module_does_not_keep_is_listed_and_the_rest_is_whole() {
    let mut pair = Pair::new("skips", Setup::default());
    Zoo::WHOLE.build(&pair.source).unwrap();
    pair.recvd.start();
    let done = pair.sync(&["--json"]);
    assert_eq!(done.code, 0, "what a rule leaves out is no trouble: {}", done.text());
    let report = done.report();
    for path in Zoo::special_paths() {
        let named = report["left_out"]["paths"].as_array().is_some_and(|all| {
            all.iter().any(|p| p["path"].as_str().is_some_and(|p| p.trim_start_matches('/').ends_with(path)))
        });
        assert!(named, "{path} was skipped without a word: {report:#}");
        assert!(!pair.backup.join(path).exists(), "{path} was made");
    }
    let unexpected: Vec<_> = compare::trees(&pair.source, &pair.backup)
        .into_iter()
        .filter(|d| {
            let path = String::from_utf8_lossy(&d.path).into_owned();
            !(path.starts_with("special/") && d.what == "missing" || path.starts_with("setid/") && d.what == "mode")
        })
        .collect();
    assert!(unexpected.is_empty(), "{}", compare::listing(&unexpected, 40));
    assert_no_setid(&pair.backup);
}

fn assert_no_setid(root: &Path) {
    for (path, (mode, ..)) in compare::fingerprint(root) {
        assert_eq!(mode & 0o6000, 0, "setid bits on {}", crate::rig::fs::show(&path));
    }
}

#[test]
fn setuid_and_setgid_that_the_module_does_not_keep_are_listed_and_no_trouble() {
    let pair = Pair::live("setid", Setup::default());
    let at = |name: &str| pair.source.join(name);
    let left_out = || {
        let target = pair.pushd.target("t");
        let all = target["left_out"]["paths"].as_array().cloned().unwrap_or_default();
        let setid = all.into_iter().filter(|left| left["reason"].as_str().is_some_and(|why| why.contains("setid")));
        setid.map(|left| left["path"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    std::fs::create_dir(at("d")).unwrap();
    for (name, mode) in [("d/uid", 0o4755), ("d/gid", 0o2755), ("d/plain", 0o755)] {
        std::fs::write(at(name), name).unwrap();
        crate::rig::fs::chmod(&at(name), mode).unwrap();
    }
    crate::rig::fs::chmod(&at("d"), 0o2775).unwrap();
    eventually("all are listed", || left_out() == ["d", "d/gid", "d/uid"]);
    let waited = pair.pushd.command(&["wait", "--timeout", "60s"]);
    assert_eq!(waited.code, 0, "{}", waited.text());
    assert_no_setid(&pair.backup);
    assert_eq!(pair.pushd.command(&["resync"]).code, 0);
    pair.pushd.wait_in_sync(&[]).unwrap();
    assert_eq!(left_out(), ["d", "d/gid", "d/uid"], "after a full pass");
    crate::rig::fs::chmod(&at("d/uid"), 0o755).unwrap();
    std::fs::remove_file(at("d/gid")).unwrap();
    eventually("those that are over are not", || left_out() == ["d"]);
    crate::rig::fs::chmod(&at("d"), 0o775).unwrap();
    eventually("none is left", || left_out().is_empty());
    pair.settle();
}
