//! The delete brake: nothing is deleted because the source looks gone, and a mass delete waits for a person.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use crate::rig::compare::{Tree, mirrored};
use crate::rig::mounted::Mounted;
use crate::rig::pair::{Pair, Setup};
use crate::rig::{eventually, is_root, patience, stays};

/// A live pair with 200 files in 10 folders.
fn full(test: &str, setup: Setup) -> Pair {
    let mut pair = Pair::new(test, setup);
    fill(&pair.source);
    pair.start();
    pair.settle();
    pair
}

fn fill(root: &Path) {
    for folder in 0..10 {
        let folder = root.join(format!("folder {folder}"));
        fs::create_dir(&folder).unwrap();
        for n in 0..20 {
            fs::write(folder.join(n.to_string()), format!("{n}")).unwrap();
        }
    }
}

/// Whether a person has to let something go on.
fn waits(pair: &Pair) -> bool {
    let status = pair.pushd.status().unwrap_or_default();
    let target = pair.pushd.target("t");
    let held = !target["held"].is_null() && target["held"]["until"].is_null();
    held || status["sources"][0]["state"] == "halted" || target["state"] == "halted"
}

/// A root that is missing is waited for: that needs no release.
fn is_absent(pair: &Pair) -> bool {
    pair.pushd.status().unwrap_or_default()["sources"][0]["state"] == "absent"
}

/// Waits until it waits for a person or the root, and that nothing at all happens to the backup meanwhile and after.
fn waits_without_a_delete(pair: &Pair, before: &Tree) {
    eventually("somebody is waited for", || {
        assert_eq!(paths(&pair.backup), before.keys().cloned().collect::<Vec<_>>(), "names vanished or appeared");
        waits(pair) || is_absent(pair)
    });
    assert!(stays(Duration::from_millis(1500), || paths(&pair.backup).len() == before.len()), "deleted after that");
    assert_eq!(&mirrored(&pair.backup), before);
}

fn paths(root: &Path) -> Vec<Vec<u8>> {
    mirrored(root).into_keys().collect()
}

/// `pushd release` if it waits for a person; then all is equal in the end.
fn recovers(pair: &Pair) {
    if waits(pair) {
        let done = pair.pushd.command(&["release"]);
        assert_eq!(done.code, 0, "release: {}", done.text());
    }
    pair.settle();
}

#[test]
fn a_root_moved_away_halts_and_comes_back() {
    let pair = full("moved", Setup::default());
    let before = mirrored(&pair.backup);
    let aside = pair.scratch.path().join("aside");
    fs::rename(&pair.source, &aside).unwrap();
    waits_without_a_delete(&pair, &before);
    fs::rename(&aside, &pair.source).unwrap();
    recovers(&pair);
}

#[test]
fn a_root_deleted_while_pushd_sleeps_halts() {
    let pair = full("missing", Setup::default());
    let before = mirrored(&pair.backup);
    pair.pushd.daemon.stop();
    fs::remove_dir_all(&pair.source).unwrap();
    pair.pushd.daemon.go_on();
    waits_without_a_delete(&pair, &before);
}

#[test]
fn a_root_that_is_missing_at_the_start_deletes_nothing() {
    let mut pair = full("absent", Setup::default());
    let before = mirrored(&pair.backup);
    pair.pushd.daemon.kill();
    let aside = pair.scratch.path().join("aside");
    fs::rename(&pair.source, &aside).unwrap();
    pair.pushd.daemon.start();
    assert!(stays(Duration::from_secs(2), || mirrored(&pair.backup) == before));
    fs::rename(&aside, &pair.source).unwrap();
    if !pair.pushd.daemon.is_running() {
        pair.pushd.daemon.start();
    }
    eventually("pushd answers", || pair.pushd.status().is_some());
    recovers(&pair);
}

#[test]
fn an_emptied_root_waits_and_a_release_lets_it_through() {
    let mut pair = full("emptied", Setup::default());
    let before = mirrored(&pair.backup);
    pair.pushd.daemon.kill();
    for entry in fs::read_dir(&pair.source).unwrap() {
        crate::rig::fs::remove(&entry.unwrap().path()).unwrap();
    }
    pair.pushd.daemon.start();
    waits_without_a_delete(&pair, &before);
    let done = pair.pushd.command(&["release"]);
    assert_eq!(done.code, 0, "{}", done.text());
    pair.settle();
    assert_eq!(paths(&pair.backup), Vec::<Vec<u8>>::new());
}

#[test]
fn a_root_that_another_tree_has_replaced_is_taken_over_and_what_only_the_other_had_waits() {
    let pair = full("replaced", Setup::default());
    let before = paths(&pair.backup);
    pair.pushd.daemon.stop();
    fs::rename(&pair.source, pair.scratch.path().join("aside")).unwrap();
    fs::create_dir(&pair.source).unwrap();
    fs::write(pair.source.join("stranger"), b"another tree").unwrap();
    pair.pushd.daemon.go_on();
    eventually("what is new is there", || pair.backup.join("stranger").exists());
    eventually("the rest waits", || waits(&pair));
    let now = paths(&pair.backup);
    assert!(before.iter().all(|path| now.contains(path)), "something was deleted");
    recovers(&pair);
}

#[test]
fn a_deploy_that_moves_another_root_in_place_is_no_error() {
    let pair = full("deployed", Setup::default());
    for round in ["first", "second"] {
        let (new, old) = (pair.scratch.path().join("new"), pair.scratch.path().join(round));
        let copied = Command::new("cp").arg("-a").args([&pair.source, &new]).status().unwrap();
        assert!(copied.success());
        fs::write(new.join("page"), round).unwrap();
        fs::rename(&pair.source, &old).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        fs::rename(&new, &pair.source).unwrap();
        let page = pair.backup.join("page");
        eventually("it is another root", || fs::read(&page).is_ok_and(|is| is == round.as_bytes()));
        pair.settle();
    }
    let log = pair.pushd.daemon.log();
    let said = log.matches("another folder of the same file system stands at").count();
    assert!(said == 2 && !log.contains("ERROR"), "{log}");
}

#[test]
fn what_is_moved_back_in_place_of_an_emptied_root_is_soon_in_sync() {
    for seen in [true, false] {
        // Longer than anything here waits: nothing goes as its time has come.
        let source = "delete_hold = \"1h\"".into();
        let pair = full("moved back", Setup { source, ..Setup::default() });
        let before = mirrored(&pair.backup);
        let saved = pair.scratch.path().join("saved");
        if seen {
            let copied = Command::new("cp").arg("-a").args([&pair.source, &saved]).status().unwrap();
            assert!(copied.success());
            for entry in fs::read_dir(&pair.source).unwrap() {
                crate::rig::fs::remove(&entry.unwrap().path()).unwrap();
            }
        } else {
            fs::rename(&pair.source, &saved).unwrap();
            fs::create_dir(&pair.source).unwrap();
        }
        eventually("the source is empty", || {
            pair.pushd.target("t")["held"]["why"].as_str().is_some_and(|why| why.contains("the source is empty"))
        });
        let sent = pair.pushd.sent_bytes("t");
        fs::remove_dir(&pair.source).unwrap();
        fs::rename(&saved, &pair.source).unwrap();
        fs::write(pair.source.join("new"), b"new").unwrap();
        eventually("it is another root", || pair.backup.join("new").exists());
        eventually("nothing is held", || pair.pushd.target("t")["held"].is_null());
        pair.settle();
        assert_eq!(before.len() + 1, paths(&pair.backup).len());
        assert_eq!(pair.pushd.sent_bytes("t"), sent + 3, "all that is back was there");
    }
}

#[test]
fn a_root_on_another_file_system_halts() {
    if !is_root("a_root_on_another_file_system_halts") {
        return;
    }
    let pair = full("otherdisk", Setup::default());
    let before = mirrored(&pair.backup);
    let mounted = Mounted::tmpfs(&pair.source);
    fs::write(pair.source.join("stranger"), b"another tree").unwrap();
    waits_without_a_delete(&pair, &before);
    drop(mounted);
    recovers(&pair);
}

#[test]
fn an_unmounted_root_halts_and_comes_back() {
    if !is_root("an_unmounted_root_halts_and_comes_back") {
        return;
    }
    let mut pair = Pair::new("unmounted", Setup::default());
    let image = pair.scratch.folder("image");
    let mounted = Mounted::tmpfs(&image);
    fill(&image);
    mounted.bind(&pair.source);
    pair.start();
    pair.settle();
    let before = mirrored(&pair.backup);
    unmount(&pair.source, UnmountFlags::DETACH).unwrap();
    waits_without_a_delete(&pair, &before);
    mounted.bind(&pair.source);
    recovers(&pair);
    // The pair's folder can only go when nothing is mounted in it.
    unmount(&pair.source, UnmountFlags::DETACH).unwrap();
    drop(mounted);
}

#[test]
fn a_watched_source_is_busy_until_pushd_ends() {
    if !is_root("a_watched_source_is_busy_until_pushd_ends") {
        return;
    }
    let mut pair = Pair::new("busy", Setup::default());
    let source = pair.source.clone();
    let _mounted = Mounted::tmpfs(&source);
    fill(&source);
    pair.start();
    pair.settle();
    assert_eq!(unmount(&source, UnmountFlags::empty()), Err(Errno::BUSY));
    pair.settle();
    assert_eq!(pair.pushd.daemon.end(patience()), Some(0));
    assert_eq!(unmount(&source, UnmountFlags::empty()), Ok(()));
}

#[test]
fn a_mass_delete_waits_for_a_release() {
    let mut pair = full("mass", Setup { source: "max_delete = \"20%\"".into(), ..Setup::default() });
    pair.pushd.daemon.kill();
    let before = mirrored(&pair.backup);
    for folder in 0..5 {
        fs::remove_dir_all(pair.source.join(format!("folder {folder}"))).unwrap();
    }
    pair.pushd.daemon.start();
    eventually("they wait", || waits(&pair));
    assert!(stays(Duration::from_secs(1), || {
        let now = paths(&pair.backup);
        before.keys().all(|path| now.contains(path))
    }));
    // All else goes on.
    fs::write(pair.source.join("folder 7/new"), b"new").unwrap();
    eventually("what is new is there", || pair.backup.join("folder 7/new").exists());
    let status = pair.pushd.command(&["status"]);
    assert!(status.code == 75 && status.out.contains("pushctl release s"), "{}", status.text());
    let held = pair.pushd.target("t")["held"].clone();
    assert_eq!((&held["entries"], &held["until"]), (&105.into(), &serde_json::Value::Null), "{held:#}");
    let done = pair.pushd.command(&["release"]);
    assert_eq!(done.code, 0, "{}", done.text());
    pair.settle();
    assert!(pair.pushd.target("t")["held"].is_null());
}

#[test]
fn what_was_held_and_is_there_again_stays() {
    let mut pair = full("again", Setup { source: "max_delete = \"20%\"".into(), ..Setup::default() });
    pair.pushd.daemon.kill();
    let aside = pair.scratch.folder("aside");
    for folder in 0..5 {
        let name = format!("folder {folder}");
        fs::rename(pair.source.join(&name), aside.join(&name)).unwrap();
    }
    pair.pushd.daemon.start();
    eventually("they wait", || waits(&pair));
    let before = pair.pushd.sent_bytes("t");
    for folder in 0..4 {
        let name = format!("folder {folder}");
        fs::rename(aside.join(&name), pair.source.join(&name)).unwrap();
    }
    // The fifth is few enough.
    pair.settle();
    assert_eq!(pair.pushd.sent_bytes("t"), before, "what was there is sent again");
}

#[test]
fn a_backup_that_is_copied_back_by_and_by_loses_nothing_of_what_is_not_copied_yet() {
    let mut pair = full("copied back", Setup::default());
    pair.pushd.daemon.kill();
    for entry in fs::read_dir(&pair.source).unwrap() {
        crate::rig::fs::remove(&entry.unwrap().path()).unwrap();
    }
    fs::write(pair.source.join("first"), b"so that it is not empty").unwrap();
    pair.pushd.daemon.start();
    eventually("they wait", || waits(&pair));
    for folder in 0..10 {
        let name = format!("folder {folder}");
        fs::create_dir(pair.source.join(&name)).unwrap();
        for n in 0..20 {
            let file = format!("{name}/{n}");
            let copied = Command::new("cp").arg("-a").args([pair.backup.join(&file), pair.source.join(&file)]).status();
            assert!(copied.unwrap().success(), "{file} is not in the backup any more");
        }
    }
    eventually("nothing is held", || pair.pushd.target("t")["held"].is_null());
    pair.settle();
    fs::remove_file(pair.source.join("first")).unwrap();
    pair.settle();
    pair.assert_equal();
}

#[test]
fn a_mass_delete_in_a_sync_is_refused() {
    let mut pair = Pair::new("masssync", Setup { source: "max_delete = 10".into(), ..Setup::default() });
    fill(&pair.source);
    pair.recvd.start();
    assert_eq!(pair.sync(&[]).code, 0);
    let before = paths(&pair.backup);
    fs::remove_dir_all(pair.source.join("folder 3")).unwrap();
    let done = pair.sync(&[]);
    assert!(![0, 64, 78].contains(&done.code), "{}", done.text());
    assert_eq!(paths(&pair.backup), before, "{}", done.text());
    let five = pair.source.join("folder 4");
    fs::create_dir(pair.source.join("folder 3")).unwrap();
    for n in 0..20 {
        fs::copy(five.join(n.to_string()), pair.source.join(format!("folder 3/{n}"))).unwrap();
    }
    fs::remove_file(five.join("7")).unwrap();
    let done = pair.sync(&[]);
    assert_eq!(done.code, 0, "below the limit: {}", done.text());
    pair.assert_equal();
}

#[test]
fn ordinary_deletes_pass_live() {
    let pair = full("ordinary", Setup::default());
    for n in 0..15 {
        fs::remove_file(pair.source.join(format!("folder 1/{n}"))).unwrap();
    }
    fs::remove_dir_all(pair.source.join("folder 2")).unwrap();
    pair.settle();
}

#[test]
fn what_a_start_deletes_is_said() {
    let mut pair = full("said", Setup::default());
    pair.pushd.daemon.kill();
    for n in 0..7 {
        fs::remove_file(pair.source.join(format!("folder 3/{n}"))).unwrap();
    }
    fs::remove_dir_all(pair.source.join("folder 4")).unwrap();
    pair.pushd.daemon.start();
    pair.settle();
    // 200 files in 10 folders, and the anchor; a folder of 20 files and 7 more are gone.
    let said = "a full comparison deletes 28 of 211 entries of the backup, which the source does not have";
    let log = pair.pushd.daemon.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("deletes")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(said) && lines[0].contains("target_name=t"), "{}", lines[0]);
}
