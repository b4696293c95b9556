//! Where a folder stands on this host, whatever path leads to it: links, bind mounts and the mounts of a container are
//! seen through. So two programs can find out that one's folder is within the other's, and tell nobody else their paths.
//!
//! Used by pushd for its sources and by recvd for its modules. It looks at nothing but `/proc`.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use proto::RelPath;
use proto::digest::{self, Digest};
use rustix::fs::{AtFlags, StatxFlags};

use crate::procfs::ProcPath;
use crate::tree::Tree;

/// A folder of a file system of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Tells this host since its start from all others.
    boot: String,
    /// The file system, `8:1`.
    device: String,
    /// From the root of the file system, without a slash at its end; empty for that root.
    path: Vec<u8>,
}

/// One line of mountinfo.
struct Mount {
    id: u64,
    device: String,
    /// What is mounted: a folder of the file system.
    root: Vec<u8>,
    /// Where we see it.
    at: Vec<u8>,
}

impl Place {
    /// Of a held root.
    ///
    /// # Errors
    /// Of the operating system; `Unsupported` where the folder is not seen from the root of this process.
    pub fn of(tree: &Tree) -> io::Result<Place> {
        let mounts = mounts()?;
        let id = mount_id(tree.fd())?;
        let path = rustix::fs::readlink(ProcPath::of(tree.fd()).as_c_str(), Vec::new())?.into_bytes();
        let mount = mounts.iter().find(|mount| mount.id == id);
        let found = mount.and_then(|mount| Some((mount, below(&path, &mount.at)?)));
        let (mount, path) = found.ok_or(io::ErrorKind::Unsupported)?;
        mount.place(path)
    }

    /// Of all that is mounted beneath a path of the operator, where there is anything.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn mounted_beneath(path: &Path) -> io::Result<Vec<Place>> {
        let path = crate::paths::canonical(path)?;
        let path = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
        let beneath = |mount: &Mount| below(&mount.at, path).is_some_and(|rest| !rest.is_empty());
        mounts()?.iter().filter(|mount| beneath(mount)).map(|mount| mount.place(b"")).collect()
    }

    /// The folder at `path` in it.
    #[must_use]
    pub fn beneath(mut self, path: &RelPath) -> Place {
        if !path.is_root() {
            self.path.push(b'/');
            self.path.extend_from_slice(path.as_bytes());
        }
        self
    }

    /// Tells the folder from all others of this host, and nobody its path.
    pub fn digest(&self) -> Digest {
        self.digest_of(&self.path)
    }

    /// Its digest and those of the folders above it, up to the root of the file system.
    pub fn digests(&self) -> Vec<Digest> {
        let above =
            self.path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &self.path[..at]);
        std::iter::once(&self.path[..]).chain(above).map(|path| self.digest_of(path)).collect()
    }

    fn digest_of(&self, path: &[u8]) -> Digest {
        digest::of(self.boot.as_bytes(), self.device.as_bytes(), path)
    }
}

impl Mount {
    fn place(&self, below: &[u8]) -> io::Result<Place> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let root = self.root.strip_suffix(b"/").unwrap_or(&self.root);
        Ok(Place { boot, device: self.device.clone(), path: [root, below].concat() })
    }
}

/// What is left of `path` below `top`: empty, or with a slash at its begin.
fn below<'a>(path: &'a [u8], top: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(top.strip_suffix(b"/").unwrap_or(top))?;
    let rest = rest.strip_suffix(b"/").unwrap_or(rest);
    (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
}

fn mount_id(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let stat = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID | StatxFlags::INO)?;
    match StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID) {
        true => Ok(stat.stx_mnt_id),
        false => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn mounts() -> io::Result<Vec<Mount>> {
    Ok(std::fs::read("/proc/self/mountinfo")?.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

/// `36 35 98:0 /root /at rw,noatime …`
fn parse(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').take(5).collect();
    let [id, _, device, root, at] = fields[..] else { return None };
    let text = |field: &[u8]| std::str::from_utf8(field).ok().map(str::to_owned);
    Some(Mount { id: text(id)?.parse().ok()?, device: text(device)?, root: unescape(root), at: unescape(at) })
}

/// Spaces, tabs, line feeds and backslashes stand there as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, more @ ..] = rest {
        rest = more;
        match (first, more) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', left @ ..]) => {
                out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = left;
            }
            _ => out.push(*first),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mounts;

    #[test]
    fn a_line_is_read_with_what_is_escaped_in_it() {
        let mount = parse(br"36 35 98:0 /a\040b\134 /srv/x\011y rw,noatime master:1 - ext3 /dev/root rw").unwrap();
        assert_eq!((mount.id, mount.device.as_str()), (36, "98:0"));
        assert_eq!((&mount.root[..], &mount.at[..]), (&b"/a b\\"[..], &b"/srv/x\ty"[..]));
        assert!(parse(b"").is_none());
        assert_eq!(below(b"/srv/a", b"/srv"), Some(&b"/a"[..]));
        assert_eq!(below(b"/srva", b"/srv"), None);
        assert_eq!(
            (below(b"/srv", b"/srv"), below(b"/", b"/"), below(b"/a", b"/")),
            (Some(&b""[..]), Some(&b""[..]), Some(&b"/a"[..]))
        );
    }

    #[test]
    fn a_folder_has_the_marks_of_those_above_it_by_any_path() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temp.path().join("a/b/c")).unwrap();
        std::os::unix::fs::symlink(temp.path().join("a/b"), temp.path().join("link")).unwrap();
        let place = |path: &str| Place::of(&Tree::open(&temp.path().join(path), Mounts::Stay).unwrap()).unwrap();
        let (a, b, c) = (place("a"), place("a/b"), place("a/b/c"));
        assert_eq!(place("link"), b);
        assert_eq!(a.clone().beneath(&RelPath::parse(b"b/c").unwrap()), c);
        assert_eq!(c.digests()[..3], [c.digest(), b.digest(), a.digest()]);
        assert!(!a.digests().contains(&b.digest()));
        assert_ne!(place("").digest(), a.digest());
    }
}
