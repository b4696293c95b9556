//! A recvd that is an ordinary user: what it cannot set is named, and all else arrives whole.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rig::fs::{chmod, give_away, set_xattr};
use crate::rig::pair::{DURABILITIES, Pair, Setup};
use crate::rig::process::{Done, pushd_program, run};
use crate::rig::{compare, eventually, is_root};

/// Who runs recvd and owns its folder, and who runs pushd and owns the source.
const BACKUP: u32 = 65_533;
const SOURCE: u32 = 65_534;
const AS_BACKUP: [&str; 6] = ["setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups"];
const AS_SOURCE: [&str; 6] = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];

/// Not started; recvd will run without the rights of root.
fn pair(test: &str, setup: Setup) -> Pair {
    let pair = Pair::new(test, Setup { recvd_prefix: AS_BACKUP.to_vec(), ..setup });
    give_away(&pair.recvd.dir, BACKUP).unwrap();
    pair
}

/// `pushd sync --json` by a pushd without the rights of root either.
fn sync_as_source(pair: &Pair) -> Done {
    give_away(&pair.pushd.dir, SOURCE).unwrap();
    give_away(&pair.source, SOURCE).unwrap();
    let mut command = Command::new(AS_SOURCE[0]);
    command.args(&AS_SOURCE[1..]).arg(pushd_program()).args(["sync", "--json", "--config"]).arg(&pair.pushd.config);
    run(&mut command, None)
}

/// The reasons that a report gives for a path.
fn reasons(done: &Done, path: &str) -> Vec<String> {
    let report = done.report();
    let of_path = |problem: &&serde_json::Value| problem["path"] == path;
    let problems = report["problems"].as_array().into_iter().flatten().filter(of_path);
    problems.map(|problem| problem["reason"].to_string()).collect()
}

#[test]
fn trouble_of_both_sides_with_one_folder_is_named() {
    if !is_root("trouble_of_both_sides_with_one_folder_is_named") {
        return;
    }
    let mut pair = pair("bothsides", Setup::default());
    fs::create_dir(pair.source.join("shut")).unwrap();
    chmod(&pair.source.join("shut"), 0o300).unwrap();
    pair.recvd.start();
    let done = sync_as_source(&pair);
    let reasons = reasons(&done, "shut");
    assert_eq!(done.code, 1, "{}", done.text());
    assert!(reasons.iter().any(|reason| reason.contains("cannot be listed")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("owner")), "{reasons:?}");
}

#[test]
fn a_folder_of_another_user_is_named_with_what_to_do() {
    if !is_root("a_folder_of_another_user_is_named_with_what_to_do") {
        return;
    }
    let setup = Setup { module: "keep = [\"mode\", \"mtime\"]".into(), ..Setup::default() };
    let mut pair = pair("foreign", setup);
    // One that recvd may not write to, and one where nobody may replace what is another's.
    for (folder, mode) in [("given", 0o755), ("sticky", 0o1777)] {
        let there = pair.backup.join(folder);
        fs::create_dir(&there).unwrap();
        fs::write(there.join("old"), "").unwrap();
        fs::write(there.join("gone"), "").unwrap();
        chmod(&there, mode).unwrap();
        fs::create_dir(pair.source.join(folder)).unwrap();
        for file in ["one", "two", "old"] {
            fs::write(pair.source.join(folder).join(file), "content").unwrap();
        }
    }
    pair.recvd.start();
    let done = sync_as_source(&pair);
    assert_eq!(done.code, 1, "{}", done.text());
    let named = |path: &str, words: &str| {
        let reasons = reasons(&done, path);
        let todo = format!("give it to recvd (uid {BACKUP}), or remove it there");
        assert!(reasons.iter().any(|why| why.contains(words) && why.contains(&todo)), "{path}: {}", done.text());
    };
    for file in ["one", "two", "old", "gone"] {
        named(&format!("given/{file}"), "the folder 'given' belongs to uid 0 on the backup host");
    }
    named("sticky/old", "cannot put it in place: it belongs to uid 0 on the backup host");
    named("sticky/gone", "cannot remove it: it belongs to uid 0 on the backup host");
}

/// Folders that their owner may not write, list or enter, one in the other, with files, which all are recvd's own.
fn build_shut(source: &Path) {
    for folder in ["ro", "ro/in", "ro/in/blind", "blind", "blind/ro", "list", "list/ro", "empty"] {
        fs::create_dir(source.join(folder)).unwrap();
        for file in ["plain", "readonly", "nothing"] {
            fs::write(source.join(folder).join(file), format!("{folder}/{file}")).unwrap();
        }
        chmod(&source.join(folder).join("readonly"), 0o444).unwrap();
        chmod(&source.join(folder).join("nothing"), 0o000).unwrap();
        set_xattr(&source.join(folder), "user.of", folder.as_bytes()).unwrap();
    }
    give_away(source, BACKUP).unwrap();
    let modes = [("ro", 0o555), ("ro/in", 0o500), ("ro/in/blind", 0o000), ("blind", 0o300), ("blind/ro", 0o555)];
    for (folder, mode) in modes.into_iter().chain([("list", 0o444), ("list/ro", 0o1555), ("empty", 0o000)]) {
        chmod(&source.join(folder), mode).unwrap();
    }
}

/// All folders beneath, with their modes; but recvd's own, which come and go.
fn folders(root: &Path) -> BTreeMap<PathBuf, u32> {
    let is_recvds = |path: &Path| path.file_name().is_some_and(|name| name.as_bytes().starts_with(b".recvd-"));
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        found.insert(folder.strip_prefix(root).unwrap().to_owned(), fs::metadata(&folder).unwrap().mode() & 0o7777);
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        left.extend(entries.filter(|path| !is_recvds(path) && crate::rig::fs::is_folder(path)));
    }
    found
}

#[test]
fn folders_that_are_shut_are_filled_changed_moved_and_removed_and_stay_shut() {
    if !is_root("folders_that_are_shut_are_filled_changed_moved_and_removed_and_stay_shut") {
        return;
    }
    for durability in DURABILITIES {
        let setup = Setup { durability: durability.into(), source: "max_delete = \"100%\"".into(), ..Setup::default() };
        let mut pair = pair("shut", setup);
        build_shut(&pair.source);
        pair.start();
        let settle = |what: &str| {
            let settled = pair.try_settle();
            assert!(settled.is_ok(), "{what}: {settled:?}");
            assert_eq!(pair.pushd.target("t")["problems_total"], 0, "{what}: {:#}", pair.pushd.target("t"));
        };
        settle("the first pass");
        let at = |path: &str| pair.source.join(path);
        let ours = |path: &str| std::os::unix::fs::lchown(at(path), Some(BACKUP), Some(BACKUP)).unwrap();
        fs::write(at("ro/plain"), "changed").unwrap();
        fs::write(at("ro/in/blind/new"), "new").unwrap();
        ours("ro/in/blind/new");
        fs::remove_file(at("list/ro/readonly")).unwrap();
        chmod(&at("blind/ro/nothing"), 0o040).unwrap();
        settle("changes in them");
        fs::rename(at("ro/in"), at("blind/ro/in")).unwrap();
        crate::rig::fs::exchange(&at("list/ro"), &at("blind/ro")).unwrap();
        fs::rename(at("empty"), at("ro/empty")).unwrap();
        settle("renames");
        chmod(&at("ro"), 0o511).unwrap();
        set_xattr(&at("ro"), "user.of", b"another").unwrap();
        fs::write(at("ro/plain"), "and its content").unwrap();
        settle("a mode and a content");
        fs::remove_dir_all(at("list")).unwrap();
        fs::write(at("list"), "a file").unwrap();
        ours("list");
        settle("a file in place of a tree");
        assert_eq!(pair.pushd.command(&["resync"]).code, 0);
        settle("a full pass");
        for path in ["ro", "blind", "list"] {
            let _ = crate::rig::fs::remove(&at(path));
        }
        settle("removal");
    }
}

#[test]
fn a_full_pass_removes_trees_that_are_shut() {
    if !is_root("a_full_pass_removes_trees_that_are_shut") {
        return;
    }
    let mut pair = pair("shutextras", Setup { source: "max_delete = 30".into(), ..Setup::default() });
    build_shut(&pair.backup);
    fs::write(pair.backup.join("anchor"), "").unwrap();
    give_away(&pair.backup.join("anchor"), BACKUP).unwrap();
    give_away(&pair.source, BACKUP).unwrap();
    pair.recvd.start();
    // 8 folders and 3 files in each.
    let halted = pair.sync(&["--json"]);
    assert_eq!(halted.code, 75, "{}", halted.text());
    assert!(halted.text().contains("32 of 33 entries"), "not all were counted: {}", halted.text());
    let done = pair.sync(&["--release", "--json"]);
    assert_eq!(done.code, 0, "{}", done.text());
    pair.assert_equal();
}

#[test]
fn after_a_kill_no_folder_stays_open() {
    if !is_root("after_a_kill_no_folder_stays_open") || Command::new("strace").arg("-V").output().is_err() {
        return;
    }
    for (call, counts) in [("renameat2", 1..9), ("symlinkat", 2..9), ("unlinkat", 1..9), ("fchmodat", 1..12)] {
        for count in counts {
            let mut pair = pair("killedopen", Setup { source: "max_delete = \"100%\"".into(), ..Setup::default() });
            build_shut(&pair.backup);
            let before = folders(&pair.backup);
            build_shut(&pair.source);
            for path in ["ro/plain", "ro/in/plain", "blind/ro/plain", "list/ro/plain"] {
                fs::write(pair.source.join(path), "another").unwrap();
            }
            fs::remove_dir_all(pair.source.join("ro/in/blind")).unwrap();
            let inject = format!("inject={call}:signal=KILL:when={count}");
            let trace = format!("trace={call}");
            pair.recvd.start_whole();
            let tracer = pair.recvd.daemon.follow(&["-o", "/dev/null", "-e", &trace, "-e", &inject]);
            pair.pushd.daemon.start();
            eventually("killed, or done without it", || {
                !pair.recvd.daemon.is_running() || pair.pushd.command(&["wait", "--timeout", "50ms"]).code == 0
            });
            drop(tracer);
            // Without the help of the source.
            pair.pushd.daemon.kill();
            pair.recvd.daemon.kill();
            pair.recvd.start();
            crate::rig::pair::wait_without_stage(&pair.backup);
            let wanted = folders(&pair.source);
            for (folder, mode) in folders(&pair.backup) {
                let fits = before.get(&folder) == Some(&mode) || wanted.get(&folder) == Some(&mode);
                let root = folder.as_os_str().is_empty();
                assert!(fits || root, "{call} {count}: {} has mode {mode:04o}", folder.display());
            }
            pair.pushd.daemon.start();
            pair.settle();
        }
    }
}

#[test]
fn another_users_folder_is_a_named_problem() {
    if !is_root("another_users_folder_is_a_named_problem") {
        return;
    }
    let mut pair = pair("foreign", Setup::default());
    for folder in ["both", "both/in"] {
        fs::create_dir(pair.source.join(folder)).unwrap();
        fs::write(pair.source.join(folder).join("file"), folder).unwrap();
    }
    give_away(&pair.source, BACKUP).unwrap();
    for folder in ["both", "theirs"] {
        fs::create_dir(pair.backup.join(folder)).unwrap();
        fs::write(pair.backup.join(folder).join("precious"), folder).unwrap();
        chmod(&pair.backup.join(folder), 0o700).unwrap();
    }
    fs::write(pair.backup.join("anchor"), "").unwrap();
    fs::write(pair.backup.join("anchor2"), "").unwrap();
    pair.start();
    eventually("pushd answers", || pair.pushd.status().is_some());
    let waited = pair.pushd.command(&["wait", "--timeout", "60s"]);
    assert_eq!(waited.code, 1, "{}", waited.text());
    let target = pair.pushd.target("t");
    let named = |path: &str| {
        let problems = target["problems"].as_array().unwrap();
        problems.iter().find(|problem| problem["path"] == path).map(|problem| problem["reason"].to_string())
    };
    for path in ["both", "theirs"] {
        let reason = named(path).unwrap_or_else(|| panic!("{path} is not named: {target:#}"));
        assert!(reason.contains("uid 0") && reason.contains("give it to recvd (uid 65533)"), "{path}: {reason}");
    }
    assert!(named("both/in").is_some() || named("both/file").is_some(), "{target:#}");
    assert_eq!(fs::read(pair.backup.join("both/precious")).unwrap(), b"both");
    // The rest goes on, and once it is recvd's it is mirrored.
    fs::write(pair.source.join("new"), "new").unwrap();
    give_away(&pair.source.join("new"), BACKUP).unwrap();
    eventually("others go on", || pair.backup.join("new").exists());
    give_away(&pair.backup, BACKUP).unwrap();
    assert_eq!(pair.pushd.command(&["resync"]).code, 0);
    pair.settle();
    assert_eq!(pair.pushd.target("t")["problems_total"], 0);
}

#[test]
fn the_modules_own_folder_stays_open_and_that_is_named() {
    if !is_root("the_modules_own_folder_stays_open_and_that_is_named") {
        return;
    }
    let mut pair = pair("shutroot", Setup::default());
    fs::write(pair.source.join("file"), "x").unwrap();
    give_away(&pair.source, BACKUP).unwrap();
    chmod(&pair.source, 0o555).unwrap();
    pair.recvd.start();
    for _ in 0..2 {
        let done = pair.sync(&["--json"]);
        assert_eq!(done.code, 1, "{}", done.text());
        assert!(done.text().contains("mode 0555: recvd is not root"), "{}", done.text());
        let differences = compare::trees(&pair.source, &pair.backup);
        assert!(
            differences.iter().all(|difference| difference.path.is_empty()),
            "{}",
            compare::listing(&differences, 9)
        );
        fs::write(pair.source.join("file"), "another").unwrap();
    }
}

#[test]
fn a_source_of_its_own_folder_may_be_shut() {
    if !is_root("a_source_of_its_own_folder_may_be_shut") {
        return;
    }
    let mut pair = pair("shutinner", Setup::default());
    let config = fs::read_to_string(&pair.pushd.config).unwrap();
    fs::write(&pair.pushd.config, config.replace("module = \"m\"", "module = \"m/of/web1\"")).unwrap();
    build_shut(&pair.source);
    chmod(&pair.source, 0o000).unwrap();
    pair.recvd.start();
    for content in ["one", "another"] {
        fs::write(pair.source.join("ro/plain"), content).unwrap();
        let done = pair.sync(&["--json"]);
        assert_eq!(done.code, 0, "{}", done.text());
        crate::rig::pair::assert_equal(&pair.source, &pair.backup.join("of/web1"));
    }
}
