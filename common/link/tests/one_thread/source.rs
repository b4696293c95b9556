//! The tree that is mirrored, its changes with the hints that a watcher gives for them, and how a tree is shown.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::clock::Clock;
use engine::hint::{Cause, Hint};
use fastrand::Rng;
use proto::RelPath;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// Bytes of the large file.
pub const LARGE: usize = 600_000;

const FOLDERS: [&str; 6] = ["a", "a/b", "a/b/c", "d", "e", "e/f"];
const SMALL: usize = 22;

/// What is done to the source, each once.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    Write,
    Edit,
    Create,
    Mode,
    Remove,
    Rename,
    Folder,
    Link,
}

/// Kind and mode, mtime, names, content or link text.
type Shown = (u32, i64, i64, u64, Vec<u8>);

/// A source of 30 entries.
pub struct Source {
    root: PathBuf,
    rng: Rng,
    /// Small files, from the root.
    files: Vec<String>,
}

impl Source {
    pub fn new(root: &Path, rng: Rng) -> Source {
        let mut source = Source { root: root.to_owned(), rng, files: Vec::new() };
        fs::create_dir(root).unwrap();
        FOLDERS.iter().for_each(|folder| fs::create_dir(root.join(folder)).unwrap());
        for n in 0..SMALL {
            // `e` moves as a whole, and nothing else happens in it.
            let folder = FOLDERS[if n < 18 { source.rng.usize(..4) } else { 4 + source.rng.usize(..2) }];
            let (at, length) = (format!("{folder}/{n}"), source.rng.usize(..3000));
            source.put(&at, length);
            if n < 18 {
                source.files.push(at);
            }
        }
        source.put("d/large", LARGE);
        symlink("large", root.join("d/link")).unwrap();
        for at in tree(root).keys() {
            let age = Duration::from_nanos(source.rng.u64(..1_000_000_000_000_000));
            stamp(&root.join(at), UNIX_EPOCH + Duration::from_secs(1_500_000_000) + age);
        }
        source.rng.shuffle(&mut source.files);
        source
    }

    fn put(&mut self, at: &str, length: usize) {
        let content: Vec<u8> = (0..length).map(|_| self.rng.u8(..)).collect();
        fs::write(self.root.join(at), content).unwrap();
        let mode = *self.rng.choice(&[0o600, 0o640, 0o644, 0o755]).unwrap();
        fs::set_permissions(self.root.join(at), Permissions::from_mode(mode)).unwrap();
    }

    /// All changes, in an order of the seed.
    pub fn changes(&mut self) -> Vec<Change> {
        use Change::{Create, Edit, Folder, Link, Mode, Remove, Rename, Write};
        let mut changes = vec![Write, Write, Edit, Create, Create, Mode, Remove, Remove, Rename, Folder, Link];
        self.rng.shuffle(&mut changes);
        changes
    }

    /// Makes one, now by this clock, and says what a watcher would.
    pub fn change(&mut self, change: Change, clock: &Clock) -> Vec<Hint> {
        let hints = match change {
            Change::Write => {
                let (at, length) = (self.files.pop().unwrap(), self.rng.usize(..3000));
                self.put(&at, length);
                vec![hint(&at, Cause::WRITTEN), hint(&at, Cause::ATTRIBUTES)]
            }
            Change::Edit => {
                let (at, place) = (self.root.join("d/large"), self.rng.usize(..LARGE));
                let mut content = fs::read(&at).unwrap();
                content[place] ^= 1;
                fs::write(&at, content).unwrap();
                vec![hint("d/large", Cause::WRITTEN)]
            }
            Change::Create => {
                let (at, length) = (format!("a/b/new {}", self.files.len()), self.rng.usize(..3000));
                self.put(&at, length);
                vec![hint(&at, Cause::CREATED), hint("a/b", Cause::ENTRIES), hint(&at, Cause::WRITTEN)]
            }
            Change::Mode => {
                let at = self.files.pop().unwrap();
                fs::set_permissions(self.root.join(&at), Permissions::from_mode(0o400)).unwrap();
                vec![hint(&at, Cause::ATTRIBUTES)]
            }
            Change::Remove => {
                let at = self.files.pop().unwrap();
                fs::remove_file(self.root.join(&at)).unwrap();
                vec![hint(&at, Cause::GONE), hint(at.rsplit_once('/').unwrap().0, Cause::ENTRIES)]
            }
            Change::Rename => {
                fs::rename(self.root.join("e"), self.root.join("d/moved")).unwrap();
                let (from, to) = (path("e"), path("d/moved"));
                let renamed = Hint::Renamed { from, to, folder: true, since: clock.now() };
                vec![renamed, hint("", Cause::ENTRIES), hint("d", Cause::ENTRIES)]
            }
            Change::Folder => {
                fs::create_dir(self.root.join("g")).unwrap();
                self.put("g/first", 100);
                stamp(&self.root.join("g/first"), clock.wall());
                stamp(&self.root.join("g"), clock.wall());
                vec![Hint::Subtree { path: path("g") }, hint("", Cause::ENTRIES)]
            }
            Change::Link => {
                fs::remove_file(self.root.join("d/link")).unwrap();
                symlink("nowhere", self.root.join("d/link")).unwrap();
                let (gone, made) = (hint("d/link", Cause::GONE), hint("d/link", Cause::CREATED));
                vec![gone, made, hint("d", Cause::ENTRIES)]
            }
        };
        for hint in &hints {
            if let Hint::Entry { path, cause } = hint
                && cause.has(Cause::WRITTEN | Cause::CREATED | Cause::ENTRIES)
            {
                stamp(&self.root.join(path.to_string()), clock.wall());
            }
        }
        hints
    }
}

fn path(at: &str) -> RelPath {
    if at.is_empty() { RelPath::root() } else { RelPath::parse(at.as_bytes()).unwrap() }
}

fn hint(at: &str, cause: Cause) -> Hint {
    Hint::Entry { path: path(at), cause }
}

/// Gives it this mtime.
fn stamp(at: &Path, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap();
    let time = Timespec { tv_sec: since.as_secs() as i64, tv_nsec: since.subsec_nanos().into() };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, at, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Every entry beneath a folder and itself, by its path from there.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, Shown> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(at) = waiting.pop() {
        let meta = fs::symlink_metadata(&at).unwrap();
        let (mut names, mut content) = (meta.nlink(), Vec::new());
        if meta.is_dir() {
            names = 0;
            waiting.extend(fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()));
        } else if meta.is_symlink() {
            content = fs::read_link(&at).unwrap().into_os_string().into_encoded_bytes();
        } else {
            content = fs::read(&at).unwrap();
        }
        let shown = (meta.mode(), meta.mtime(), meta.mtime_nsec(), names, content);
        found.insert(at.strip_prefix(root).unwrap().to_owned(), shown);
    }
    found
}

/// Where there is memory for it: what a disk is slow at is not what is tested here.
pub fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}
