//! The watcher against the kernel: real folders, real events; made-up ones only where the kernel cannot be made to.

mod files;
mod folders;
mod renames;
mod shared;
mod storm;
mod trouble;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::hint::{Cause, Hint};
use engine::view::Selection;
use proto::{Name, RelPath};
use sys::inotify::Watch;
use sys::tree::{Mounts, Tree};
use tempfile::TempDir;

use super::InotifyWatcher;
use crate::watch::event::Spot;
use crate::watch::queue::Supply;
use crate::watch::wake::Waker;
use crate::watch::watcher::{Notice, Watcher};

/// Who has said nothing for so long is at rest.
const SILENCE: Duration = Duration::from_millis(80);

/// A watched folder; beside it, on the same file system, an `outside` that is not watched.
struct Rig {
    _base: Option<TempDir>,
    root: PathBuf,
    outside: PathBuf,
    watcher: InotifyWatcher,
}

/// Watches what `prepare` makes.
fn rig(prepare: impl FnOnce(&Path)) -> Rig {
    rig_with(&Supply::Own, prepare)
}

/// The same, with its events coming in this way.
fn rig_with(supply: &Supply, prepare: impl FnOnce(&Path)) -> Rig {
    let base = tempfile::tempdir().unwrap();
    let (root, outside) = (base.path().join("root"), base.path().join("outside"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&outside).unwrap();
    prepare(&root);
    let tree = Arc::new(Tree::open(&root, Mounts::Stay).unwrap());
    let mut watcher = InotifyWatcher::new(tree, Selection::default(), supply, Waker::new().unwrap()).unwrap();
    let mut notices = Vec::new();
    watcher.place(&mut notices).unwrap();
    assert_eq!(notices, []);
    Rig { _base: Some(base), root, outside, watcher }
}

/// Watches a folder that is there.
fn rig_at(supply: &Supply, root: &Path) -> Rig {
    let tree = Arc::new(Tree::open(root, Mounts::Stay).unwrap());
    let mut watcher = InotifyWatcher::new(tree, Selection::default(), supply, Waker::new().unwrap()).unwrap();
    watcher.place(&mut Vec::new()).unwrap();
    Rig { _base: None, root: root.to_owned(), outside: root.to_owned(), watcher }
}

impl Rig {
    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// All notices until it has been silent for a while and nothing is left to look at again.
    fn rest(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut heard = Instant::now();
        loop {
            let before = notices.len();
            // A shared queue rings: it returns before its time, and what was rung for is read by the next call.
            self.watcher.next(Some(SILENCE), &mut notices).unwrap();
            let idle = !self.watcher.picture.is_in_doubt() && self.watcher.hands.backlog.is_empty();
            if notices.len() > before {
                heard = Instant::now();
            } else if idle && heard.elapsed() >= SILENCE {
                return notices;
            }
        }
    }

    fn watch(&self, path: &str) -> Option<Watch> {
        let tree = self.watcher.picture.tree();
        rel(path).names().try_fold(tree.root(), |parent, name| tree.child(&Spot { parent, name }))
    }

    /// The picture holds exactly the folders on the disk, each with the watch that the kernel has on it.
    fn assert_true_picture(&self) {
        let mut open = vec![(self.root.clone(), self.watcher.picture.tree().root())];
        let mut seen = 0;
        while let Some((path, watch)) = open.pop() {
            seen += 1;
            let rel = rel_of(&self.root, &path);
            let dir = self.watcher.hands.source.dir(&rel).unwrap();
            assert_eq!(self.watcher.hands.backlog.queue().add(&dir).unwrap(), watch, "watch of {rel}");
            for entry in fs::read_dir(&path).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    let place = Spot { parent: watch, name: Name::parse(entry.file_name().as_bytes()).unwrap() };
                    let child = self.watcher.picture.tree().child(&place);
                    let child = child.unwrap_or_else(|| {
                        panic!("{} is not watched: {:?}", entry.path().display(), self.watcher.picture)
                    });
                    open.push((entry.path(), child));
                }
            }
        }
        let placed = self
            .watcher
            .picture
            .tree()
            .watches()
            .into_iter()
            .filter(|watch| self.watcher.picture.tree().path(*watch).is_some());
        assert_eq!(placed.count(), seen);
    }
}

fn rel(path: &str) -> RelPath {
    RelPath::parse(path.as_bytes()).unwrap()
}

fn rel_of(root: &Path, path: &Path) -> RelPath {
    RelPath::parse(path.strip_prefix(root).unwrap().as_os_str().as_bytes()).unwrap()
}

fn entry(path: &str, cause: Cause) -> Notice {
    Notice::Hint(Hint::Entry { path: rel(path), cause })
}

fn subtree(path: &str) -> Notice {
    Notice::Hint(Hint::Subtree { path: rel(path) })
}

/// The renames among the notices.
fn renames(notices: &[Notice]) -> Vec<(String, String)> {
    let pair = |notice: &Notice| match notice {
        Notice::Hint(Hint::Renamed { from, to, .. }) => Some((from.to_string(), to.to_string())),
        _ => None,
    };
    notices.iter().filter_map(pair).collect()
}

fn pair(from: &str, to: &str) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

/// Every path that is beneath `path` now, and itself.
fn beneath(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        // Vanishing meanwhile is the consumer's daily bread.
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            } else {
                found.insert(entry.path());
            }
        }
        found.insert(path);
    }
    found
}
