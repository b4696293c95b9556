//! The whole comparison of two trees: names, kinds, content, modes, owners, times in ns, link texts, devices, extended
//! attributes with ACLs, hard-link groups and holes. Ignores nothing but recvd's own leases, the roots' own metadata
//! included.
//!
//! Walks both trees side by side by descriptors, so that no path is too long for it. Trouble while looking is a
//! difference too: trees may still move while a test waits for them to become equal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

/// Bytes that a copy may occupy more than its source: small contents may be stored without their holes.
const SLACK: u64 = 384 * 1024;

/// Where recvd keeps in a module who writes to it.
const LEASES: &[u8] = b".recvd-leases";

/// One thing that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Relative path; empty for the root.
    pub path: Vec<u8>,
    /// Which property: `content`, `mode`, …
    pub what: &'static str,
    /// Both values.
    pub detail: String,
}

impl Difference {
    /// Whether it is the receiver's stage, which goes a moment after the last change, and the only name that may stand
    /// there meanwhile.
    pub fn is_stage(&self) -> bool {
        self.path.starts_with(b".recvd-") && self.what == "extra"
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = super::fs::show(&self.path);
        write!(f, "{}: {}: {}", if path.is_empty() { "." } else { &path }, self.what, self.detail)
    }
}

/// All differences between the tree at `source` and its copy, in order of paths.
pub fn trees(source: &Path, copy: &Path) -> Vec<Difference> {
    let mut walk = Walk::default();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match (rustix::fs::open(source, flags, Mode::empty()), rustix::fs::open(copy, flags, Mode::empty())) {
        (Ok(a), Ok(b)) => {
            match (rustix::fs::fstat(&a), rustix::fs::fstat(&b)) {
                (Ok(stat_a), Ok(stat_b)) => {
                    walk.metadata(b"", &stat_a, &stat_b);
                    walk.xattrs(b"", &a, &b, b".");
                }
                other => walk.found(b"", "stat", format!("{other:?}")),
            }
            walk.folder(b"", a, b);
        }
        (a, b) => walk.found(b"", "open", format!("{:?} / {:?}", a.err(), b.err())),
    }
    walk.link_groups();
    walk.differences.sort();
    walk.differences
}

/// The differences as lines, at most `most` of them.
pub fn listing(differences: &[Difference], most: usize) -> String {
    let mut out: String = differences.iter().take(most).map(|d| format!("  {d}\n")).collect();
    if differences.len() > most {
        out.push_str(&format!("  … and {} more\n", differences.len() - most));
    }
    out
}

/// Paths by the file that they name.
type Groups = BTreeMap<(u64, u64), BTreeSet<Vec<u8>>>;

#[derive(Default)]
struct Walk {
    differences: Vec<Difference>,
    links: (Groups, Groups),
}

impl Walk {
    fn found(&mut self, path: &[u8], what: &'static str, detail: impl Into<String>) {
        self.differences.push(Difference { path: path.to_vec(), what, detail: detail.into() });
    }

    fn folder(&mut self, path: &[u8], a: OwnedFd, b: OwnedFd) {
        let (names_a, names_b) = match (names(&a), names(&b)) {
            // Whose folder it is stands in the root of a module.
            (Ok(a), Ok(mut b)) => {
                if path.is_empty() {
                    b.remove(LEASES);
                }
                (a, b)
            }
            (a, b) => return self.found(path, "listing", format!("{:?} / {:?}", a.err(), b.err())),
        };
        for name in names_a.union(&names_b) {
            let mut below = path.to_vec();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend_from_slice(name);
            match (names_a.contains(name), names_b.contains(name)) {
                (true, false) => self.found(&below, "missing", "not in the copy"),
                (false, true) => self.found(&below, "extra", "only in the copy"),
                _ => self.entry(&below, name, &a, &b),
            }
        }
    }

    fn entry(&mut self, path: &[u8], name: &[u8], a: &OwnedFd, b: &OwnedFd) {
        let stat = |folder: &OwnedFd| rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
        let (stat_a, stat_b) = match (stat(a), stat(b)) {
            (Ok(a), Ok(b)) => (a, b),
            (a, b) => return self.found(path, "stat", format!("{:?} / {:?}", a.err(), b.err())),
        };
        let (kind_a, kind_b) = (kind(&stat_a), kind(&stat_b));
        if kind_a != kind_b {
            return self.found(path, "kind", format!("{kind_a:?} / {kind_b:?}"));
        }
        self.metadata(path, &stat_a, &stat_b);
        self.xattrs(path, a, b, name);
        if kind_a != FileType::Directory {
            self.links.0.entry((stat_a.st_dev, stat_a.st_ino)).or_default().insert(path.to_vec());
            self.links.1.entry((stat_b.st_dev, stat_b.st_ino)).or_default().insert(path.to_vec());
        }
        let open = |folder: &OwnedFd, flags| {
            rustix::fs::openat(folder, name, flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        };
        match kind_a {
            FileType::Directory => match (open(a, OFlags::DIRECTORY), open(b, OFlags::DIRECTORY)) {
                (Ok(a), Ok(b)) => self.folder(path, a, b),
                (a, b) => self.found(path, "open", format!("{:?} / {:?}", a.err(), b.err())),
            },
            FileType::RegularFile => match (open(a, OFlags::NONBLOCK), open(b, OFlags::NONBLOCK)) {
                (Ok(a), Ok(b)) => self.content(path, a.into(), b.into(), (&stat_a, &stat_b)),
                (a, b) => self.found(path, "open", format!("{:?} / {:?}", a.err(), b.err())),
            },
            FileType::Symlink => {
                let text = |folder: &OwnedFd| rustix::fs::readlinkat(folder, name, Vec::new()).map(|t| t.into_bytes());
                let (text_a, text_b) = (text(a), text(b));
                if text_a != text_b {
                    self.found(path, "link text", format!("{text_a:?} / {text_b:?}"));
                }
            }
            FileType::CharacterDevice | FileType::BlockDevice if stat_a.st_rdev != stat_b.st_rdev => {
                self.found(path, "device", format!("{:#x} / {:#x}", stat_a.st_rdev, stat_b.st_rdev));
            }
            _ => {}
        }
    }

    fn metadata(&mut self, path: &[u8], a: &Stat, b: &Stat) {
        if a.st_mode & 0o7777 != b.st_mode & 0o7777 {
            self.found(path, "mode", format!("{:04o} / {:04o}", a.st_mode & 0o7777, b.st_mode & 0o7777));
        }
        if (a.st_uid, a.st_gid) != (b.st_uid, b.st_gid) {
            self.found(path, "owner", format!("{}:{} / {}:{}", a.st_uid, a.st_gid, b.st_uid, b.st_gid));
        }
        if (a.st_mtime, a.st_mtime_nsec) != (b.st_mtime, b.st_mtime_nsec) {
            let detail = format!("{}.{:09} / {}.{:09}", a.st_mtime, a.st_mtime_nsec, b.st_mtime, b.st_mtime_nsec);
            self.found(path, "mtime", detail);
        }
    }

    fn xattrs(&mut self, path: &[u8], a: &OwnedFd, b: &OwnedFd, name: &[u8]) {
        let (set_a, set_b) = (xattrs(a, name), xattrs(b, name));
        if set_a != set_b {
            self.found(path, "xattrs", format!("{set_a:?} / {set_b:?}"));
        }
    }

    fn content(&mut self, path: &[u8], a: File, b: File, (stat_a, stat_b): (&Stat, &Stat)) {
        if stat_a.st_size != stat_b.st_size {
            return self.found(path, "size", format!("{} / {}", stat_a.st_size, stat_b.st_size));
        }
        let occupied = (stat_a.st_blocks as u64 * 512, stat_b.st_blocks as u64 * 512);
        if occupied.1 > occupied.0 + SLACK {
            self.found(path, "holes", format!("occupies {} / {} bytes", occupied.0, occupied.1));
        }
        match first_difference(&a, &b, stat_a.st_size as u64) {
            Ok(None) => {}
            Ok(Some(at)) => self.found(path, "content", format!("differs from byte {at} of {}", stat_a.st_size)),
            Err(e) => self.found(path, "read", e.to_string()),
        }
    }

    /// Names that share a file on one side must share one on the other. Paths that only one side has are reported
    /// already.
    fn link_groups(&mut self) {
        let by_path = |groups: &Groups| -> BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> {
            groups.values().flat_map(|set| set.iter().map(|path| (path.clone(), set.clone()))).collect()
        };
        let (a, b) = (by_path(&self.links.0), by_path(&self.links.1));
        for (path, group) in &a {
            let other = b.get(path);
            if other.is_some_and(|other| other != group) {
                let show = |set: Option<&BTreeSet<Vec<u8>>>| -> Vec<String> {
                    set.into_iter().flatten().map(|p| super::fs::show(p)).collect()
                };
                self.found(path, "hard links", format!("{:?} / {:?}", show(Some(group)), show(other)));
            }
        }
    }
}

fn names(folder: &OwnedFd) -> rustix::io::Result<BTreeSet<Vec<u8>>> {
    let mut out = BTreeSet::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            out.insert(name);
        }
    }
    Ok(out)
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// All extended attributes with their values; a file system without any has none.
fn xattrs(folder: &OwnedFd, name: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut path = format!("/proc/self/fd/{}/", folder.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    let mut list = vec![0u8; 65_536];
    let len = match rustix::fs::llistxattr(path.as_slice(), &mut list[..]) {
        Ok(len) => len,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(e) => return Err(e.to_string()),
    };
    let mut out = BTreeMap::new();
    for name in list[..len].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0u8; 65_536];
        let len = rustix::fs::lgetxattr(path.as_slice(), name, &mut value[..]).map_err(|e| e.to_string())?;
        value.truncate(len);
        out.insert(super::fs::show(name), value);
    }
    Ok(out)
}

/// The first byte that is not the same, looking only at data where both have a hole.
fn first_difference(a: &File, b: &File, size: u64) -> std::io::Result<Option<u64>> {
    const CHUNK: u64 = 256 * 1024;
    let (mut left, mut right) = (vec![0u8; CHUNK as usize], vec![0u8; CHUNK as usize]);
    let mut at = 0;
    while at < size {
        at = next_data(a, at, size).min(next_data(b, at, size));
        let len = CHUNK.min(size - at) as usize;
        if len == 0 {
            break;
        }
        a.read_exact_at(&mut left[..len], at)?;
        b.read_exact_at(&mut right[..len], at)?;
        if left[..len] != right[..len] {
            let offset = left.iter().zip(&right).position(|(a, b)| a != b).unwrap_or(0);
            return Ok(Some(at + offset as u64));
        }
        at += len as u64;
    }
    Ok(None)
}

fn next_data(file: &File, at: u64, size: u64) -> u64 {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(data) => data,
        Err(rustix::io::Errno::NXIO) => size,
        Err(_) => at,
    }
}

/// Paths with what `lstat` says: kind and mode, size, mtime.
pub type Tree = BTreeMap<Vec<u8>, (u32, i64, i64, i64)>;

/// All that is in a backup but what is recvd's own, which comes and goes with sessions.
pub fn mirrored(root: &Path) -> Tree {
    let mut found = fingerprint(root);
    found.retain(|path, _| !path.starts_with(b".recvd-"));
    found
}

/// Every path beneath `root`, for tests that a tree did not move.
pub fn fingerprint(root: &Path) -> Tree {
    fn walk(folder: &OwnedFd, path: &[u8], out: &mut Tree) {
        for name in names(folder).unwrap_or_default() {
            let mut below = path.to_vec();
            below.extend_from_slice(&name);
            let Ok(stat) = rustix::fs::statat(folder, &name[..], AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let seen = (stat.st_mode, stat.st_size, stat.st_mtime, stat.st_mtime_nsec as i64);
            let folder_too = kind(&stat) == FileType::Directory;
            out.insert(below.clone(), if folder_too { (seen.0, 0, seen.2, seen.3) } else { seen });
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if let (true, Ok(fd)) = (folder_too, rustix::fs::openat(folder, &name[..], flags, Mode::empty())) {
                below.push(b'/');
                walk(&fd, &below, out);
            }
        }
    }
    let mut out = BTreeMap::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(fd) = rustix::fs::openat(CWD, root, flags, Mode::empty()) {
        walk(&fd, b"", &mut out);
    }
    out
}
