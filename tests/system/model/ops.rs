//! The operations of the model, each a few system calls on the source. What an operation works on is found by walking
//! down the real tree, so that nothing has to be kept in step with it.
//!
//! No two contents of the same size get the same mtime but where [`Twins`] are made.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Twins;
use crate::rig::fs::{Open, at, count, open, show};
use crate::rig::rng::Rng;
use crate::rig::zoo::odd_names;

mod entries;
mod masses;
mod names;

/// Entries above which something is removed.
const MOST_ENTRIES: usize = 1_500;
/// Lines of the log that are remembered.
const LOG: usize = 20_000;

/// The source, what stands outside it, and what was done.
pub struct World {
    root: PathBuf,
    /// A folder on the same file system, from which things move in and to which they move out.
    outside: PathBuf,
    twins: Twins,
    rng: Rng,
    /// Files held open for appending, with the names they had.
    held: Vec<(PathBuf, File)>,
    /// Inodes that got one more name in this round. They are renamed and deleted, but not changed until all is at rest:
    /// what is written through a name that is made and removed before anyone looked, the kernel tells of under that
    /// name only.
    linked: HashSet<u64>,
    /// Copies of what was taken away, and where that stood.
    kept: Vec<(PathBuf, PathBuf)>,
    odd: Vec<Vec<u8>>,
    only: Option<String>,
    active: Vec<Operation>,
    serial: u64,
    log: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
}

/// Its name, how often it comes, and what does it: the text is what it worked on.
type Operation = (&'static str, u64, fn(&mut World) -> io::Result<String>);

const OPERATIONS: [Operation; 39] = [
    ("create", 14, World::create),
    ("overwrite", 6, World::overwrite),
    ("append", 6, World::append),
    ("insert", 2, World::insert),
    ("truncate", 4, World::truncate),
    ("replace", 7, World::replace),
    ("punch", 1, World::punch),
    ("sparse", 1, World::sparse),
    ("hold", 3, World::hold),
    ("write-held", 5, World::write_held),
    ("let-go", 3, World::let_go),
    ("recreate", 2, World::recreate),
    ("burst", 1, World::burst),
    ("deep", 2, World::deep),
    ("mkdir", 4, World::mkdir),
    ("symlink", 3, World::symlink),
    ("special", 1, World::special),
    ("hard-link", 4, World::hard_link),
    ("break-link", 2, World::break_link),
    ("chmod", 4, World::chmod),
    ("chown", 2, World::chown),
    ("utime", 4, World::utime),
    ("set-xattr", 3, World::set_xattr),
    ("remove-xattr", 1, World::remove_xattr),
    ("acl", 1, World::acl),
    ("rename", 8, World::rename),
    ("rename-over", 4, World::rename_over),
    ("rename-folder", 6, World::rename_folder),
    ("exchange", 4, World::exchange),
    ("rotate", 1, World::rotate),
    ("move-out", 2, World::move_out),
    ("move-in", 3, World::move_in),
    ("delete", 6, World::delete),
    ("flip", 3, World::flip),
    ("site", 1, World::site),
    ("raze", 1, World::raze),
    ("empty", 1, World::empty),
    ("rebuild", 2, World::rebuild),
    ("deploy", 1, World::deploy),
];

impl World {
    pub fn new(root: PathBuf, outside: PathBuf, twins: Twins, seed: u64) -> World {
        World {
            root,
            outside,
            twins,
            rng: Rng::new(seed),
            held: Vec::new(),
            linked: HashSet::new(),
            kept: Vec::new(),
            odd: odd_names(),
            only: std::env::var("MODEL_ONLY").ok(),
            active: OPERATIONS.to_vec(),
            serial: 0,
            log: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Half of the rounds have all operations; the others leave a random half out, for bugs hide where everything
    /// happens.
    pub fn begin_round(&mut self) {
        let whole = self.rng.one_in(2);
        let mut active = Vec::new();
        for operation in OPERATIONS {
            let wanted = match &self.only {
                Some(only) => only.split(',').any(|word| word == operation.0),
                None => whole || operation.0 == "create" || self.rng.one_in(2),
            };
            active.extend(wanted.then_some(operation));
        }
        self.active = active;
        self.note("-- a round begins".into());
        self.linked.clear();
        while count(&self.root) > MOST_ENTRIES {
            let Some(path) = self.pick(Want::Folder) else { break };
            let _ = fs::remove_dir_all(&path);
            self.note(format!("-- thinned out {}", self.relative(&path)));
        }
    }

    /// What got a new name in the round has come to rest.
    pub fn begin_episode(&mut self) {
        self.note("-- an episode begins".into());
        self.linked.clear();
    }

    /// At rest half of the files stay open.
    pub fn end_round(&mut self) {
        while self.held.len() > 2 {
            let (path, _) = self.held.remove(0);
            self.note(format!("-- closed {}", self.relative(&path)));
        }
    }

    /// One operation; one that the kernel refuses does not count.
    pub fn step(&mut self) {
        let total: u64 = self.active.iter().map(|(_, weight, _)| weight).sum();
        let mut roll = self.rng.below(total);
        let active = std::mem::take(&mut self.active);
        for (name, weight, run) in &active {
            if roll < *weight {
                match run(self) {
                    Ok(text) => {
                        *self.counts.entry(name).or_default() += 1;
                        let serial = self.done();
                        self.note(format!("#{serial} {name} {text}"));
                    }
                    // Failed half way, perhaps.
                    Err(e) => self.note(format!("   {name} failed: {e}")),
                }
                break;
            }
            roll -= weight;
        }
        self.active = active;
    }

    /// Operations that were done.
    pub fn done(&self) -> u64 {
        self.counts.values().sum()
    }

    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    pub fn log(&self) -> &[String] {
        &self.log
    }

    pub fn note(&mut self, line: String) {
        if self.log.len() >= LOG {
            self.log.drain(..LOG / 4);
        }
        self.log.push(line);
    }

    /// More events than the kernel's queue holds, on two files.
    pub fn flood(&mut self) {
        let files = [0, 1].map(|n| open(&self.root.join(format!("flood {n}")), Open::Truncated));
        if let [Ok(mut a), Ok(mut b)] = files {
            for _ in 0..9_000 {
                use std::io::Write;
                let _ = a.write_all(b"a");
                let _ = b.write_all(b"b");
            }
        }
    }

    /// A path for the log: relative, and the number of the inode that stands there now.
    fn relative(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.root).map(|p| p.as_os_str().as_bytes().to_vec());
        let outside = || [b"OUTSIDE/", path.file_name().unwrap_or_default().as_bytes()].concat();
        let inode = fs::symlink_metadata(path).map(|meta| inode(&meta)).unwrap_or_default();
        format!("\"{}\"{inode}", show(&inside.unwrap_or_else(|_| outside())))
    }

    /// A size that few others have, mostly small.
    fn size(&mut self) -> usize {
        self.serial += 1;
        let odd = (self.serial * 37 % 8_191) as usize;
        match self.rng.below(40) {
            0 => 0,
            1..=4 => 1 + odd % 60,
            5..=34 => odd,
            35..=37 => 20_000 + odd,
            38 => 262_144 - 4_096 + odd,
            _ => 600_000 + odd,
        }
    }

    fn content(&mut self) -> Vec<u8> {
        let size = self.size();
        self.rng.bytes(size)
    }

    /// A name of a small set, so that names meet; sometimes a new one or an odd one.
    fn name(&mut self) -> Vec<u8> {
        self.serial += 1;
        match self.rng.below(20) {
            0..=11 => format!("{}", (b'a' + self.rng.below(16) as u8) as char).into_bytes(),
            12..=16 => format!("n{}", self.serial).into_bytes(),
            17 => format!("tmp{}.tmp", self.rng.below(4)).into_bytes(),
            _ => self.rng.pick(&self.odd.clone()).clone(),
        }
    }

    /// A place for a new entry, perhaps taken.
    fn place(&mut self) -> PathBuf {
        let folder = self.folder();
        let name = self.name();
        at(&folder, &name)
    }

    /// The same, for what writes to an entry that is there.
    fn place_to_write(&mut self) -> PathBuf {
        loop {
            let place = self.place();
            if !self.is_linked(&place) {
                return place;
            }
        }
    }

    /// A folder, perhaps the root.
    fn folder(&mut self) -> PathBuf {
        let root = self.root.clone();
        if self.rng.one_in(5) { root } else { self.pick(Want::Folder).unwrap_or(root) }
    }

    /// An entry of this kind, found by walking down at random; never the anchor and never the root.
    fn pick(&mut self, want: Want) -> Option<PathBuf> {
        (0..6).find_map(|_| self.walk_down(want))
    }

    fn is_linked(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|meta| self.linked.contains(&meta.ino()))
    }

    fn walk_down(&mut self, want: Want) -> Option<PathBuf> {
        let mut path = self.root.clone();
        for _ in 0..60 {
            let mut entries: Vec<_> =
                fs::read_dir(&path).ok()?.flatten().map(|e| (e.file_name(), e.file_type())).collect();
            entries.retain(|(name, _)| !(name == "anchor" && path == self.root));
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            if entries.is_empty() {
                return None;
            }
            let (name, kind) = entries.swap_remove(self.rng.below(entries.len() as u64) as usize);
            let kind = kind.ok()?;
            path.push(OsStr::from_bytes(name.as_bytes()));
            let fits = match want {
                Want::File => kind.is_file(),
                Want::Folder => kind.is_dir(),
                Want::NoFolder => !kind.is_dir(),
                Want::Any => true,
            };
            if fits && (!kind.is_dir() || self.rng.one_in(2)) {
                return Some(path);
            }
            if !kind.is_dir() {
                return None;
            }
        }
        None
    }

    fn may_write(&self, path: &Path) -> io::Result<()> {
        if self.is_linked(path) { Err(io::Error::other("it got a new name")) } else { Ok(()) }
    }

    /// One that may be written to, or given other metadata.
    fn changeable(&mut self, want: Want) -> io::Result<PathBuf> {
        let found = (0..6).find_map(|_| self.walk_down(want).filter(|path| !self.is_linked(path)));
        found.ok_or_else(|| io::Error::other("nothing of this kind"))
    }

    fn existing(&mut self, want: Want) -> io::Result<PathBuf> {
        self.pick(want).ok_or_else(|| io::Error::other("nothing of this kind"))
    }
}

/// How the log writes inode numbers.
pub fn inode(meta: &fs::Metadata) -> String {
    format!("<{}>", meta.ino())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    File,
    Folder,
    NoFolder,
    Any,
}
