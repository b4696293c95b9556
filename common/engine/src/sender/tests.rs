//! A sender against a receiver in one process, over their channels: no socket, no watcher, real folders.

mod absent;
mod ages;
mod asked_again;
mod bounds;
mod brake;
mod busy;
mod delta;
mod each_outcome;
mod fake;
mod gaps;
mod inexact;
mod kept;
mod liars;
mod lies;
mod links;
mod names;
mod once;
mod owed;
mod policy;
mod progress;
mod renames;
mod room;
mod scripted;
mod storm;
mod tell;
mod trouble;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use proto::login::Durability;
use proto::policy::Policy;
use proto::{Keep, RelPath, ToSender};
use sys::{Mounts, Tree};
use tokio::sync::{mpsc, watch};

use super::{BusyFiles, Connection, Ended, MaxDelete, Options, Root, Sender, Until};
use crate::channel::{OUTBOX, frame};
use crate::clock::Clock;
use crate::hint::{Cause, Hint};
use crate::mirror::{Mirror, Totals};
use crate::pack::Compress;
use crate::pending::{Holds, Rules};
use crate::receiver::{Grant, Limits, Receiver, Signatures};
use crate::view::Replica;
use crate::workers::Workers;

/// Shorter than in earnest.
const HOLDS: Holds = Holds {
    deleted: Duration::from_millis(30),
    mass: Duration::from_secs(4),
    many: 100,
    lost: Duration::from_millis(50),
};

struct Pair {
    _scratch: tempfile::TempDir,
    here: PathBuf,
    there: PathBuf,
    options: Options,
    durability: Durability,
    compress: Compress,
    limits: Limits,
    keep: Keep,
    /// What the target says of itself.
    policy: Policy,
    signatures: Arc<Signatures>,
    mirror: Arc<Mirror>,
    sender: Option<Sender>,
    runtime: tokio::runtime::Runtime,
}

impl Pair {
    fn new() -> Pair {
        let scratch = storm::closed_in(&std::env::temp_dir());
        let (here, there) = (scratch.path().join("here"), scratch.path().join("there"));
        fs::create_dir(&here).unwrap();
        fs::create_dir(&there).unwrap();
        let rules = Rules {
            settle: Duration::ZERO,
            open_settle: Duration::from_millis(50),
            open_max_delay: Duration::from_millis(200),
            holds: HOLDS,
        };
        let options = Options {
            delete: true,
            attributes: true,
            max_delete: MaxDelete::Percent(50.0),
            busy_files: BusyFiles::Copy,
            workers: Workers::Threads(2),
            software: "test",
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mirror = Arc::new(Mirror::new(rules, Clock::system()));
        Pair {
            _scratch: scratch,
            here,
            there,
            options,
            durability: Durability::None,
            compress: Compress::default(),
            limits: Limits { max_file_size: None },
            keep: Keep::DEFAULT,
            policy: Policy::default(),
            signatures: Arc::default(),
            mirror,
            sender: None,
            runtime,
        }
    }

    fn hint(&self, hint: Hint) {
        self.mirror.hint([hint]);
    }

    fn entry(&self, at: &str, cause: Cause) {
        self.hint(Hint::Entry { path: path(at), cause });
    }

    fn renamed(&self, from: &str, to: &str) {
        fs::rename(self.here.join(from), self.here.join(to)).unwrap();
        let folder = self.here.join(to).is_dir();
        self.hint(Hint::Renamed { from: path(from), to: path(to), folder, since: std::time::Instant::now() });
    }

    /// Sends what is owed until nothing is; returns what that took.
    fn sync(&mut self) -> (Ended, Totals) {
        let before = self.mirror.sent.totals();
        let ended = self.run(Until::InSync);
        let now = self.mirror.sent.totals();
        let took = Totals {
            files: now.files - before.files,
            bytes: now.bytes - before.bytes,
            wire_bytes: now.wire_bytes - before.wire_bytes,
            removed: now.removed - before.removed,
            compared: now.compared - before.compared,
        };
        (ended, took)
    }

    fn pass(&mut self) -> (Ended, Totals) {
        self.hint(Hint::Subtree { path: RelPath::root() });
        self.sync()
    }

    fn run(&mut self, until: Until) -> Ended {
        let (options, mirror, here) = (self.options, self.mirror.clone(), self.here.clone());
        let mut sender = self.sender.take().unwrap_or_else(|| {
            Sender::new(Root::new(Arc::new(Tree::open(&here, Mounts::Stay).unwrap())).unwrap(), options, mirror)
        });
        let tree = Arc::new(Tree::open(&self.there, Mounts::Stay).unwrap());
        let replica = Arc::new(Replica::new(tree, self.keep).unwrap());
        let (durability, limits) = (self.durability, self.limits);
        let signatures = self.signatures.clone();
        let grant = Grant { limits, signatures, ..Grant::alone(replica, durability) };
        let receiver = Receiver::new(grant, Clock::system(), Workers::Threads(2));
        let (outbox, inbox) = mpsc::channel(OUTBOX);
        let (answers, receipts) = answers(OUTBOX, &self.policy);
        let (_stop, stop) = watch::channel(None);
        let receiving = std::thread::spawn(move || receiver.run(inbox, answers, stop));
        let connection = Connection {
            outbox,
            receipts,
            keep: self.keep,
            durability,
            compress: self.compress,
            version: proto::Version::HIGHEST,
        };
        let sending = self.runtime.spawn_blocking(move || {
            let ended = sender.run(connection, until, &AtomicBool::new(false));
            (sender, ended)
        });
        let (sender, ended) = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(60), sending).await })
            .unwrap()
            .unwrap();
        self.sender = Some(sender);
        receiving.join().unwrap();
        ended
    }

    fn assert_equal(&self) {
        assert_eq!(tree(&self.here), tree(&self.there));
        assert!(self.mirror.entries.problems().is_empty(), "{:?}", self.mirror.entries.problems());
    }
}

/// The way back from a target, on which is what it says first.
fn answers(buffers: usize, policy: &Policy) -> (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>) {
    let (answers, receipts) = mpsc::channel(buffers);
    answers.try_send(frame(&ToSender::Policy(Box::new(policy.clone())))).unwrap();
    (answers, receipts)
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

/// Kind and mode, mtime, owner, names, content or link text.
type Shown = (u32, i64, i64, u32, u64, Vec<u8>);

/// Every entry beneath a folder, by its path from there.
fn tree(root: &Path) -> BTreeMap<PathBuf, Shown> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let meta = fs::symlink_metadata(&folder).unwrap();
        let key = folder.strip_prefix(root).unwrap().to_owned();
        found.insert(key, (meta.mode(), meta.mtime(), meta.mtime_nsec(), meta.uid(), 0, Vec::new()));
        for entry in fs::read_dir(&folder).unwrap() {
            let at = entry.unwrap().path();
            let meta = fs::symlink_metadata(&at).unwrap();
            if meta.is_dir() {
                folders.push(at);
                continue;
            }
            let content = if meta.is_symlink() {
                fs::read_link(&at).unwrap().into_os_string().into_encoded_bytes()
            } else {
                short(fs::read(&at).unwrap())
            };
            let key = at.strip_prefix(root).unwrap().to_owned();
            found.insert(key, (meta.mode(), meta.mtime(), meta.mtime_nsec(), meta.uid(), meta.nlink(), content));
        }
    }
    found
}

/// What is too long to be shown stands as its hash.
fn short(content: Vec<u8>) -> Vec<u8> {
    if content.len() > 1000 { proto::digest::chunk(&content).digest.to_vec() } else { content }
}

fn fill(root: &Path) {
    for folder in ["a/b/c", "a/empty", "z"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("a/small"), "small").unwrap();
    fs::write(root.join("a/b/none"), "").unwrap();
    fs::write(root.join("a/b/c/large"), vec![7u8; 3 * 1024 * 1024 + 17]).unwrap();
    symlink("nowhere/../x", root.join("z/link")).unwrap();
    fs::hard_link(root.join("a/small"), root.join("z/same")).unwrap();
    fs::set_permissions(root.join("a/b"), fs::Permissions::from_mode(0o711)).unwrap();
}

#[test]
fn a_first_pass_makes_an_equal_tree_and_a_second_sends_no_content() {
    for durability in [Durability::None, Durability::Batch] {
        let mut pair = Pair::new();
        pair.durability = durability;
        fill(&pair.here);
        assert_eq!(pair.pass().0, Ended::InSync);
        pair.assert_equal();
        let (ended, took) = pair.pass();
        assert_eq!((ended, took.files, took.removed), (Ended::InSync, 0, 0));
        assert_eq!(took.compared, 10);
        pair.assert_equal();
    }
}

#[test]
fn each_file_is_sent_once_where_the_target_has_nothing() {
    let mut pair = Pair::new();
    fs::create_dir(pair.here.join("old")).unwrap();
    fs::write(pair.here.join("old/f"), "old").unwrap();
    pair.pass();
    // Deep and wide: many folders are listed before the target says that it has none of them.
    let mut files = 0;
    for top in ["new", "old/new"] {
        let mut at = pair.here.join(top);
        for depth in 0..60 {
            fs::create_dir_all(at.join("empty")).unwrap();
            fs::write(at.join("f"), format!("{depth}")).unwrap();
            symlink("f", at.join("link")).unwrap();
            files += 1;
            at.push(format!("d{depth}"));
        }
    }
    let (ended, took) = pair.pass();
    assert_eq!((ended, took.files), (Ended::InSync, files));
    pair.assert_equal();
    assert_eq!(pair.pass().1.files, 0);
}

#[test]
fn a_pass_mends_every_kind_of_difference() {
    let mut pair = Pair::new();
    fill(&pair.here);
    pair.pass();
    let (here, there) = (pair.here.clone(), pair.there.clone());
    fs::write(there.join("extra"), "x").unwrap();
    fs::remove_file(there.join("a/b/none")).unwrap();
    fs::create_dir(there.join("a/b/none")).unwrap();
    fs::remove_dir(there.join("a/empty")).unwrap();
    fs::write(there.join("a/empty"), "a file where a folder was").unwrap();
    fs::set_permissions(there.join("a/b/c"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::remove_file(there.join("z/same")).unwrap();
    fs::write(there.join("z/same"), "parted").unwrap();
    fs::remove_file(here.join("z/link")).unwrap();
    symlink("elsewhere", here.join("z/link")).unwrap();
    fs::write(here.join("a/small"), "changed here").unwrap();
    assert_eq!(pair.pass().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn a_pass_tells_files_of_one_size_and_one_time_apart_that_changed_places() {
    let mut pair = Pair::new();
    for folder in ["", "d"] {
        fs::create_dir_all(pair.here.join(folder)).unwrap();
        for name in ["one", "two"] {
            let at = pair.here.join(folder).join(name);
            fs::write(&at, format!("{folder:1}{name}")).unwrap();
            fs::File::options().write(true).open(&at).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        }
    }
    pair.pass();
    for folder in ["", "d"] {
        let at = |name: &str| pair.here.join(folder).join(name);
        for (from, to) in [("one", "swap"), ("two", "one"), ("swap", "two")] {
            fs::rename(at(from), at(to)).unwrap();
        }
    }
    assert_eq!(pair.pass().1.files, 4);
    pair.assert_equal();
    assert_eq!(pair.pass().1.files, 0);
}

#[test]
fn live_changes_are_followed_by_hints_alone() {
    let mut pair = Pair::new();
    fill(&pair.here);
    pair.pass();
    let here = pair.here.clone();
    fs::write(here.join("a/new"), "new").unwrap();
    pair.entry("a/new", Cause::CREATED | Cause::WRITTEN);
    pair.entry("a", Cause::ENTRIES);
    fs::remove_file(here.join("a/b/none")).unwrap();
    pair.entry("a/b/none", Cause::GONE);
    pair.entry("a/b", Cause::ENTRIES);
    fs::set_permissions(here.join("a/b/c/large"), fs::Permissions::from_mode(0o600)).unwrap();
    pair.entry("a/b/c/large", Cause::ATTRIBUTES);
    let (ended, took) = pair.sync();
    assert_eq!((ended, took.files, took.bytes), (Ended::InSync, 1, 3), "a chmod sends no content");
    pair.assert_equal();
}

#[test]
fn a_renamed_folder_sends_no_content_and_carries_what_is_written_in_it() {
    let mut pair = Pair::new();
    fill(&pair.here);
    pair.pass();
    pair.renamed("a", "moved");
    fs::write(pair.here.join("moved/b/c/late"), "late").unwrap();
    pair.entry("moved/b/c/late", Cause::CREATED | Cause::WRITTEN);
    pair.entry("moved/b/c", Cause::ENTRIES);
    pair.entry("", Cause::ENTRIES);
    let (ended, took) = pair.sync();
    assert_eq!((ended, took.files, took.bytes), (Ended::InSync, 1, 4));
    pair.assert_equal();
}

#[test]
fn exchanged_entries_change_places() {
    let mut pair = Pair::new();
    fill(&pair.here);
    pair.pass();
    // What was looked at right before a rename is looked at again.
    std::thread::sleep(Duration::from_millis(50));
    for (from, to) in [("a", "swap"), ("z", "a"), ("swap", "z")] {
        fs::rename(pair.here.join(from), pair.here.join(to)).unwrap();
    }
    let since = std::time::Instant::now();
    pair.mirror.hint([
        Hint::Renamed { from: path("a"), to: path("z"), folder: true, since },
        Hint::Renamed { from: path("z"), to: path("a"), folder: true, since },
        Hint::Entry { path: path(""), cause: Cause::ENTRIES },
    ]);
    let (ended, took) = pair.sync();
    assert_eq!((ended, took.files), (Ended::InSync, 0));
    pair.assert_equal();
}
