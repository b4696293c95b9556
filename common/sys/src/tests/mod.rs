//! Tests of the whole crate on a real file system. Those that need privileges say so and pass without.

mod confinement;
mod disk;
mod inotify;
mod metadata;
mod nobody;
mod probe;
mod publish;
mod races;
mod reading;
mod removal;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proto::{Device, Keep, Kept, Kind, Meta, Name, RelPath, Time, Xattrs};
use tempfile::TempDir;

use crate::{Dir, Mounts, Resolve, Stage, Tree};

pub(super) const BOTH: [Resolve; 2] = [Resolve::Openat2, Resolve::Walk];

/// A module with its stage, and a folder beside it that nothing may touch.
pub(super) struct House {
    pub(super) temp: TempDir,
    pub(super) tree: Arc<Tree>,
    pub(super) root: Dir,
    pub(super) stage: Arc<Stage>,
}

impl House {
    pub(super) fn new(how: Resolve) -> House {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("module")).unwrap();
        let tree = Arc::new(Tree::open_with(&temp.path().join("module"), Mounts::Stay, how).unwrap());
        let (root, stage) = (tree.root().unwrap(), Arc::new(Stage::new(tree.clone()).unwrap()));
        House { temp, tree, root, stage }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.temp.path().join("module").join(path)
    }

    /// Puts a file under a name of the root.
    pub(super) fn put(&self, at: &str, content: &[u8]) {
        let file = self.stage.file(content.len() as u64).unwrap();
        file.write_at(content, 0).unwrap();
        let staged = file.finish(&plain(Kind::File, content.len() as u64), Keep::DEFAULT).unwrap();
        staged.publish(&self.root, &name(at), &self.stage).unwrap();
    }

    /// What stands in the stage folder now.
    pub(super) fn staged(&self) -> usize {
        let stages = fs::read_dir(self.path("")).unwrap().map(|entry| entry.unwrap());
        stages
            .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(crate::stage::PREFIX))
            .map(|stage| fs::read_dir(stage.path()).unwrap().count())
            .sum()
    }
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

pub(super) fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(super) fn plain(kind: Kind, size: u64) -> Meta {
    Meta {
        kind,
        size,
        mode: if kind == Kind::Dir { 0o755 } else { 0o644 },
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime: Time { secs: 1_700_000_000, nanos: 123_456_789 },
        device: Device::default(),
        link: Box::default(),
        xattrs: Xattrs::default(),
    }
}

pub(super) fn xattrs(list: &[(&str, &[u8])]) -> Xattrs {
    Xattrs::new(list.iter().map(|(name, value)| (name.as_bytes().into(), (*value).into())).collect()).unwrap()
}

/// An ACL in the kernel's bytes, with one named user: `u::rw-,u:UID:rwx,g::r--,m::MASK,o::r--`.
pub(super) fn acl(uid: u32, mask: u16) -> Vec<u8> {
    let nobody = u32::MAX;
    let entries = [(1_u16, 6_u16, nobody), (2, 7, uid), (4, 4, nobody), (16, mask, nobody), (32, 4, nobody)];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

pub(super) const WITHOUT_SPECIALS: Keep = Keep::DEFAULT.with(Kept::Setid);

/// Path; inode, mode, owner, mtime and ctime; content.
pub(super) type Seen = (PathBuf, [i64; 7], Vec<u8>);

/// Everything that can be seen of a folder and what stands in it; equal when nothing was touched.
pub(super) fn snapshot(folder: &Path) -> Vec<Seen> {
    let mut all = vec![folder.to_owned()];
    let mut seen = Vec::new();
    while let Some(path) = all.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        let content = if about.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if about.is_dir() {
            all.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let facts = [about.ino() as i64, about.mode().into(), about.uid().into(), about.mtime(), about.mtime_nsec()];
        let [ino, mode, uid, mtime, nanos] = facts;
        seen.push((path, [ino, mode, uid, mtime, nanos, about.ctime(), about.ctime_nsec()], content));
    }
    seen.sort();
    seen
}
