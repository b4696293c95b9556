//! The way of a change to the backup's disk, and what recvd tries there at its start, broken at each system call: killed there,
//! or told there of an error. What is published stays whole, and the next run ends equal.
//!
//! By default at the 1st, 2nd, 3rd, 5th, 8th … call of each kind; with `COMMIT_ALL` set at every one. Needs strace, which
//! counts the calls of each thread for itself.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::FileType;

use crate::rig::fs::{chmod, mknod, set_mtime, set_xattr};
use crate::rig::pair::{Pair, Setup};
use crate::rig::process::Tracer;
use crate::rig::states::{Tree, tree};
use crate::rig::{eventually, is_root, patience};

/// The calls by which a backup changes.
const CALLS: [&str; 18] = [
    "openat2",
    "pwrite64",
    "ftruncate",
    "fsetxattr",
    "fremovexattr",
    "fchown",
    "fchownat",
    "fchmod",
    "fchmodat",
    "utimensat",
    "mkdirat",
    "symlinkat",
    "mknodat",
    "linkat",
    "renameat2",
    "unlinkat",
    "fsync",
    "syncfs",
];

/// No more calls of one kind than a run can have.
const MOST: u64 = 100;

/// A backup that differs from its source in every way.
struct Work {
    pair: Pair,
    old: Tree,
    new: Tree,
    tracer: Option<Tracer>,
}

impl Work {
    fn new(test: &str) -> Work {
        let setup =
            Setup { durability: "batch".into(), source: "max_delete = \"100%\"".into(), ..Setup::keeping_all() };
        let pair = Pair::new(test, setup);
        build_new(&pair.source);
        let mut work = Work { pair, old: Tree::new(), new: Tree::new(), tracer: None };
        work.build_old();
        (work.old, work.new) = (tree(&work.pair.backup), tree(&work.pair.source));
        work
    }

    /// The backup as it is before each run.
    fn build_old(&self) {
        let at = |name: &str| self.pair.backup.join(name);
        fs::remove_dir_all(&self.pair.backup).unwrap();
        for folder in ["", "kept", "gone", "gone/deep", "becomes a file"] {
            fs::create_dir(at(folder)).unwrap();
        }
        let names =
            ["replaced", "kept/same", "kept/mode", "gone/1", "gone/deep/2", "removed", "becomes a folder", "apart"];
        for name in names {
            fs::write(at(name), format!("the old {name}")).unwrap();
            set_mtime(&at(name), 1_000_000_000, 1).unwrap();
        }
        fs::write(at("kept/same"), "the same").unwrap();
        fs::write(at("kept/mode"), "the same").unwrap();
        fs::write(at("large"), vec![b'o'; 400_000]).unwrap();
        for name in ["kept/same", "kept/mode", "large"] {
            set_mtime(&at(name), 1_000_000_001, 1).unwrap();
        }
        chmod(&at("kept/mode"), 0o600).unwrap();
    }

    /// Whether every name shows what stood there before or what is to stand there, and none is missing that has both.
    fn assert_whole(&self, when: &str) {
        let backup = tree(&self.pair.backup);
        for (path, state) in &backup {
            // A new name of a file may come before the new content of its other name.
            let first = if path == Path::new("fresh/joined") { Path::new("apart") } else { path };
            let fits = self.old.get(first) == Some(state) || self.new.get(path) == Some(state);
            assert!(fits, "{when}: {} shows neither the old nor the new: {state}\n{}", path.display(), self.log());
        }
        for (path, old) in &self.old {
            let Some(new) = self.new.get(path) else { continue };
            let of_one_kind = std::mem::discriminant(old) == std::mem::discriminant(new);
            let there = backup.contains_key(path) || !of_one_kind;
            assert!(there, "{when}: {} is gone\n{}", path.display(), self.log());
        }
    }

    /// Starts both, recvd so that from then on one call of each of its threads is broken.
    fn start_breaking(&mut self, call: &str, what: &str, count: u64) {
        self.build_old();
        let _ = fs::remove_file(self.told());
        let told = self.told().display().to_string();
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:{what}:when={count}");
        self.pair.recvd.start_whole();
        self.tracer = Some(self.pair.recvd.daemon.follow(&["-o", &told, "-e", &trace, "-e", &inject]));
        self.pair.pushd.daemon.start();
    }

    /// Waits until the call was broken, or all is done without it: then false.
    fn was_broken(&mut self) -> bool {
        let deadline = Instant::now() + patience();
        loop {
            let in_sync = self.pair.pushd.command(&["wait", "--timeout", "50ms"]).code == 0;
            if !self.pair.recvd.daemon.is_running() {
                return true;
            }
            if fs::read_to_string(self.told()).unwrap_or_default().contains("(INJECTED)") {
                // No further call is broken.
                self.tracer = None;
                return true;
            }
            if in_sync {
                return false;
            }
            assert!(Instant::now() < deadline, "neither broken nor done: {}", self.log());
        }
    }

    /// All is well again, by itself: recvd is started only if it has ended.
    fn end(&mut self) {
        self.tracer = None;
        self.pair.recvd.start();
        // Of a call that it was about to break strace lets go with ENOSYS, which no kernel says of these: it is taken for good,
        // and not always told.
        let let_go = fs::read_to_string(self.told()).unwrap_or_default().contains("<detached ...>");
        if let_go || self.log().contains("another try is welcome in") {
            // Not to wait so long, or for the next start.
            self.pair.pushd.daemon.kill();
            self.pair.pushd.daemon.start();
        }
        self.pair.settle();
        self.pair.pushd.daemon.kill();
        self.pair.recvd.daemon.kill();
    }

    fn told(&self) -> PathBuf {
        self.pair.scratch.path().join("strace")
    }

    fn log(&self) -> String {
        self.pair.recvd.daemon.log().lines().rev().take(12).collect::<Vec<_>>().join("\n")
    }
}

fn build_new(source: &Path) {
    let at = |name: &str| source.join(name);
    for folder in ["kept", "becomes a folder", "fresh", "fresh/deep"] {
        fs::create_dir(at(folder)).unwrap();
    }
    for name in ["replaced", "becomes a file", "fresh/1", "fresh/deep/2", "apart", "becomes a folder/in it"] {
        fs::write(at(name), format!("the new {name}")).unwrap();
    }
    for name in ["kept/same", "kept/mode"] {
        fs::write(at(name), "the same").unwrap();
        set_mtime(&at(name), 1_000_000_001, 1).unwrap();
    }
    fs::write(at("large"), vec![b'n'; 500_000]).unwrap();
    fs::hard_link(at("apart"), at("fresh/joined")).unwrap();
    symlink("anywhere", at("fresh/link")).unwrap();
    mknod(&at("fresh/fifo"), FileType::Fifo, 0o644, 0, 0).unwrap();
    set_xattr(&at("fresh/1"), "user.note", b"kept").unwrap();
    rustix::fs::chown(at("fresh/deep"), Some(rustix::fs::Uid::from_raw(7)), None).unwrap();
}

/// The calls at which to break: all, or fewer and fewer.
fn counts() -> Vec<u64> {
    if std::env::var_os("COMMIT_ALL").is_some() {
        return (1..=MOST).collect();
    }
    let mut counts = vec![1, 2];
    while let [.., a, b] = counts[..]
        && a + b <= MOST
    {
        counts.push(a + b);
    }
    counts
}

#[test]
fn killed_at_any_call_it_leaves_whole_files_and_goes_on() {
    if !is_root("a kill at each system call") {
        return;
    }
    let mut work = Work::new("commit-kill");
    let mut kills = 0;
    for call in CALLS {
        for count in counts() {
            work.start_breaking(call, "signal=KILL", count);
            let killed = work.was_broken();
            work.pair.recvd.daemon.kill();
            work.assert_whole(&format!("killed at {call} {count}"));
            work.end();
            if !killed {
                break;
            }
            kills += 1;
        }
    }
    println!("commit: {kills} kills");
    assert!(kills > 40, "only {kills} kills: the calls are others by now");
}

#[test]
fn an_error_at_any_call_harms_nothing_and_heals() {
    if !is_root("an error at each system call") {
        return;
    }
    let mut work = Work::new("commit-error");
    let mut errors = ["ENOSPC", "EDQUOT", "EROFS", "EIO"].iter().cycle();
    let mut broken = 0;
    for call in CALLS {
        for count in counts() {
            // "No space" for an attribute where there is space means that it is too large, for good.
            let error = errors.find(|error| call != "fsetxattr" || **error != "ENOSPC").unwrap();
            work.start_breaking(call, &format!("error={error}"), count);
            let met = work.was_broken();
            work.assert_whole(&format!("{error} at {call} {count}"));
            work.end();
            if !met {
                break;
            }
            broken += 1;
        }
    }
    println!("commit: {broken} errors");
    assert!(broken > 40, "only {broken} errors: the calls are others by now");
}

/// What recvd writes before it listens: in the folder in which it finds out what the disk can hold.
#[test]
fn killed_while_it_finds_out_what_the_disk_holds_it_leaves_nothing() {
    if !is_root("a kill while the disk is tried out") {
        return;
    }
    let mut work = Work::new("commit-trial");
    let mut kills = 0;
    for call in ["mkdirat", "utimensat", "fsetxattr", "pwrite64", "linkat", "symlinkat", "renameat2", "unlinkat"] {
        for count in counts() {
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={count}"));
            let words =
                ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", "signal=none", "-e", &inject];
            let recvd = &mut work.pair.recvd;
            let lines = recvd.daemon.log().matches("listening on").count();
            recvd.daemon.start_under(&words);
            eventually("it is killed, or up", || {
                !recvd.daemon.is_running() || recvd.daemon.log().matches("listening on").count() > lines
            });
            let killed = !recvd.daemon.is_running();
            recvd.daemon.kill();
            recvd.start_whole();
            recvd.daemon.kill();
            assert_eq!(tree(&work.pair.backup), work.old, "killed at {call} {count}");
            if !killed {
                break;
            }
            kills += 1;
        }
    }
    println!("commit: {kills} kills");
    assert!(kills > 15, "only {kills} kills: the calls are others by now");
}
