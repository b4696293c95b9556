//! A target within its source, or a source within its target, on one host: refused before anything is written or deleted,
//! whatever paths lead there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, mount_bind, unmount};

use crate::rig::compare::mirrored;
use crate::rig::mounted::Mounted;
use crate::rig::pair::{Pushd, Recvd, Setup, assert_equal};
use crate::rig::scratch::Scratch;
use crate::rig::{eventually, is_root};

/// A source with files in two folders.
fn fill(source: &Path) {
    for folder in ["a", "a/b"] {
        fs::create_dir_all(source.join(folder)).unwrap();
        for n in 0..10 {
            fs::write(source.join(folder).join(n.to_string()), format!("{folder} {n}")).unwrap();
        }
    }
}

/// A recvd whose module's folder is `at`.
fn recvd_at(scratch: &Scratch, name: &str, at: &Path) -> Recvd {
    let mut recvd = Recvd::prepare(scratch, name, &Setup::default());
    let text = fs::read_to_string(&recvd.config).unwrap();
    let (old, new) = (recvd.backup.display().to_string(), at.display().to_string());
    fs::write(&recvd.config, text.replace(&format!("path = {old:?}"), &format!("path = {new:?}"))).unwrap();
    recvd.backup = at.to_owned();
    recvd
}

/// `check` and `sync` refuse it with these words, and `run` serves the other target alone; nothing is written or deleted.
fn is_refused(scratch: &Scratch, source: &Path, module: &Path, words: &str, extra: &str) {
    let mut recvd = recvd_at(scratch, "recvd", module);
    let mut other = Recvd::prepare(scratch, "other", &Setup::default());
    let tables = format!(
        "{}{}[source.s]\npath = {:?}\ntargets = [\"t\", \"other\"]\n{extra}\n",
        recvd.target("t", recvd.port, ""),
        other.target("other", other.port, ""),
        source.display().to_string()
    );
    let mut pushd = Pushd::prepare(scratch, "pushd", &tables, &[]);
    // What it tries out in the folder is gone by then.
    recvd.start_whole();
    other.start();
    let before = (mirrored(source), mirrored(module));
    let checked = pushd.command(&["check"]);
    assert_eq!((checked.code, checked.out.contains(words)), (78, true), "{}", checked.text());
    let synced = pushd.command(&["sync", "--target", "t"]);
    assert_eq!((synced.code, synced.err.contains(words)), (78, true), "{}", synced.text());
    pushd.daemon.start();
    pushd.wait_in_sync(&["other"]).unwrap();
    eventually("it says why", || pushd.target("t")["last_error"].as_str().is_some_and(|e| e.contains(words)));
    assert_eq!(pushd.target("t")["sent"]["wire_bytes"], 0);
    let waited = pushd.command(&["wait", "--timeout", "10h"]);
    assert_eq!((waited.code, waited.err.contains(words)), (75, true), "{}", waited.text());
    // The daemon makes this one.
    let synced = pushd.command(&["sync", "--target", "t"]);
    assert_eq!((synced.code, synced.err.contains(words)), (78, true), "{}", synced.text());
    assert_eq!((mirrored(source), mirrored(module)), before);
    pushd.daemon.kill();
}

const TARGET_WITHIN: &str = "the folder of the target stands within the source";
const SOURCE_WITHIN: &str = "the source stands within the folder of the target";

fn folders(test: &str) -> (Scratch, PathBuf) {
    let scratch = Scratch::new(test);
    let outer = scratch.folder("outer");
    fill(&outer);
    fill(&outer.join("inner"));
    (scratch, outer)
}

#[test]
fn a_target_within_its_source() {
    let (scratch, outer) = folders("targetwithin");
    is_refused(&scratch, &outer, &outer.join("inner"), TARGET_WITHIN, "");
}

#[test]
fn a_source_within_its_target() {
    let (scratch, outer) = folders("sourcewithin");
    is_refused(&scratch, &outer.join("inner"), &outer, SOURCE_WITHIN, "");
}

#[test]
fn a_source_that_is_its_target() {
    let (scratch, outer) = folders("same");
    is_refused(&scratch, &outer, &outer, "the folder of the target is the source itself", "");
}

#[test]
fn links_do_not_hide_it() {
    let (scratch, outer) = folders("nestedlink");
    let link = scratch.path().join("link");
    symlink(outer.join("inner"), &link).unwrap();
    is_refused(&scratch, &outer, &link, TARGET_WITHIN, "");
}

#[test]
fn bind_mounts_do_not_hide_it() {
    if !is_root("bind_mounts_do_not_hide_it") {
        return;
    }
    for (name, source_is_bound) in [("boundtarget", false), ("boundsource", true)] {
        let (scratch, outer) = folders(name);
        let bound = scratch.folder("bound");
        mount_bind(outer.join("inner"), &bound).unwrap();
        let unmounted = scopeguard(&bound);
        match source_is_bound {
            false => is_refused(&scratch, &outer, &bound, TARGET_WITHIN, ""),
            true => is_refused(&scratch, &bound, &outer, SOURCE_WITHIN, ""),
        }
        drop(unmounted);
    }
}

/// Unmounts at the end, whatever happens.
fn scopeguard(at: &Path) -> impl Drop + '_ {
    struct Bound<'a>(&'a Path);
    impl Drop for Bound<'_> {
        fn drop(&mut self) {
            let _ = unmount(self.0, UnmountFlags::DETACH);
        }
    }
    Bound(at)
}

#[test]
fn another_disk_within_the_source_is_a_target_where_mounts_are_not_entered() {
    let test = "another_disk_within_the_source_is_a_target_where_mounts_are_not_entered";
    if !is_root(test) {
        return;
    }
    let (scratch, outer) = folders("otherdisk");
    let disk = outer.join("disk");
    fs::create_dir(&disk).unwrap();
    let _mounted = Mounted::tmpfs(&disk);
    let module = disk.join("module");
    fs::create_dir(&module).unwrap();
    is_refused(&scratch, &outer, &module, TARGET_WITHIN, "one_file_system = false");
    let mut recvd = recvd_at(&scratch, "second-recvd", &module);
    let table = format!("[source.s]\npath = {:?}\ntargets = [\"t\"]\n", outer.display().to_string());
    let pushd = Pushd::prepare(&scratch, "second", &(recvd.target("t", recvd.port, "") + &table), &[]);
    recvd.start();
    assert_eq!(pushd.command(&["check"]).code, 0);
    // What is mounted there is left out by rule.
    assert_eq!(pushd.command(&["sync"]).code, 0);
    assert_equal(&outer.join("inner"), &module.join("inner"));
}
