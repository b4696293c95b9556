//! What is known of one entry of a folder.

use crate::limits;
use crate::name::Name;

/// The kinds of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Kind {
    File = 1,
    Dir = 2,
    Symlink = 3,
    Fifo = 4,
    Socket = 5,
    CharDevice = 6,
    BlockDevice = 7,
}

impl Kind {
    /// Those with a device number.
    pub fn is_device(self) -> bool {
        matches!(self, Kind::CharDevice | Kind::BlockDevice)
    }
}

/// A moment as file systems keep it: seconds since 1970 (negative before) and nanoseconds below 10⁹.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Whole seconds.
    pub secs: i64,
    /// 0..=999_999_999.
    pub nanos: u32,
}

/// The number of a device, as stat(2) splits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub struct Device {
    pub major: u32,
    pub minor: u32,
}

/// Full name, with its namespace (`user.comment`), and value.
pub type Xattr = (Box<[u8]>, Box<[u8]>);

/// Extended attributes in order of their names, each name once; POSIX ACLs are among them as `system.posix_acl_*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Xattrs(Vec<Xattr>);

/// Why extended attributes are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadXattrs {
    /// A name is empty, longer than 255 bytes or holds a NUL.
    #[error("has an extended attribute whose name is empty, longer than 255 bytes or holds a NUL byte")]
    Name,
    /// A name comes twice.
    #[error("has the extended attribute '{}' twice", .0.escape_ascii())]
    Twice(Box<[u8]>),
    /// There are more than [`XATTRS`](limits::XATTRS), namely so many.
    #[error("has {0} extended attributes; at most 256 can be mirrored")]
    Many(usize),
    /// All names and values together pass [`XATTR_BYTES`](limits::XATTR_BYTES).
    #[error("has {0} bytes of extended attributes; at most 262144 can be mirrored")]
    Large(usize),
}

impl Xattrs {
    /// Sorts them by name; refuses what passes a limit, bad names, and names that come twice.
    pub fn new(mut list: Vec<Xattr>) -> Result<Xattrs, BadXattrs> {
        if list.len() > limits::XATTRS {
            return Err(BadXattrs::Many(list.len()));
        }
        let bytes: usize = list.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > limits::XATTR_BYTES {
            return Err(BadXattrs::Large(bytes));
        }
        if list.iter().any(|(name, _)| !(1..=limits::NAME).contains(&name.len()) || name.contains(&0)) {
            return Err(BadXattrs::Name);
        }
        list.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        match list.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(BadXattrs::Twice(pair[0].0.clone())),
            None => Ok(Xattrs(list)),
        }
    }

    /// Names (with their namespace, as `user.comment`) and values, in order of names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + '_ {
        self.0.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// The value under this name.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let at = self.0.binary_search_by(|(other, _)| other[..].cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops those whose name does not satisfy `keeps`.
    pub fn retain(&mut self, mut keeps: impl FnMut(&[u8]) -> bool) {
        self.0.retain(|(name, _)| keeps(name));
    }
}

/// Everything that is mirrored of one entry besides its name and a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Whether it is a file, a folder, a link or a special.
    pub kind: Kind,
    /// Bytes of a regular file; 0 for all else.
    pub size: u64,
    /// Permission bits with setuid, setgid and sticky: `0..=0o7777`; 0 for symbolic links, which have none.
    pub mode: u32,
    /// The owner by number: names may mean others on the other host.
    pub uid: u32,
    /// The group, by number likewise.
    pub gid: u32,
    /// Time of the last change of content.
    pub mtime: Time,
    /// Of devices; zero for all else.
    pub device: Device,
    /// Text of a symbolic link, 1..=4095 bytes without NUL; empty for all else.
    pub link: Box<[u8]>,
    /// At most [`XATTRS`](limits::XATTRS), POSIX ACLs among them.
    pub xattrs: Xattrs,
}

impl Meta {
    /// Whether the content of a file with the metadata `there` is taken for the content of this one: kind, size and
    /// mtime are equal.
    pub fn content_fits(&self, there: &Meta) -> bool {
        (self.kind, self.size, self.mtime) == (there.kind, there.size, there.mtime)
    }

    /// Whether all that is set besides a file's content is equal: mode, owner, mtime and xattrs of two entries of one
    /// kind, with link text and device, which the kind implies.
    pub fn same_metadata(&self, there: &Meta) -> bool {
        self.kind == there.kind
            && (self.mode, self.uid, self.gid) == (there.mode, there.uid, there.gid)
            && (self.mtime, self.device) == (there.mtime, there.device)
            && self.link == there.link
            && self.xattrs == there.xattrs
    }
}

/// One line of a folder's listing: as [`Meta`], with link text and xattrs reduced to a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Entry {
    pub name: Name,
    pub kind: Kind,
    pub size: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Time,
    pub device: Device,
    /// [`digest::extra`](crate::digest::extra) of link text and xattrs; zero where there are neither.
    pub extra: [u8; 16],
    /// A file whose content is not of one moment, so that it is like no other.
    pub inexact: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<Xattr> {
        names.iter().map(|name| (Box::from(name.as_bytes()), Box::from(&b"v"[..]))).collect()
    }

    #[test]
    fn xattrs_are_sorted_and_found_by_name() {
        let mut xattrs = Xattrs::new(list(&["user.b", "user.a", "trusted.c"])).unwrap();
        let names: Vec<&[u8]> = xattrs.iter().map(|(name, _)| name).collect();
        assert_eq!(names, [&b"trusted.c"[..], b"user.a", b"user.b"]);
        assert_eq!((xattrs.get(b"user.b"), xattrs.get(b"user")), (Some(&b"v"[..]), None));
        xattrs.retain(|name| name.starts_with(b"user."));
        assert_eq!(xattrs.len(), 2);
    }

    #[test]
    fn xattrs_that_cannot_travel_are_refused() {
        assert_eq!(Xattrs::new(list(&["a", "b", "a"])), Err(BadXattrs::Twice(Box::from(&b"a"[..]))));
        for name in ["", "a\0", &"n".repeat(256)] {
            assert_eq!(Xattrs::new(list(&[name])), Err(BadXattrs::Name));
        }
        assert_eq!(Xattrs::new(list(&["a"; 257])), Err(BadXattrs::Many(257)));
        let large = vec![(Box::from(&b"a"[..]), vec![0; limits::XATTR_BYTES].into())];
        assert_eq!(Xattrs::new(large), Err(BadXattrs::Large(limits::XATTR_BYTES + 1)));
    }

    #[test]
    fn content_and_metadata_are_compared_apart() {
        let (mtime, device, link, xattrs) =
            (Time { secs: 9, nanos: 1 }, Device::default(), Box::default(), Xattrs::default());
        let one = Meta { kind: Kind::File, size: 1, mode: 0o644, uid: 0, gid: 0, mtime, device, link, xattrs };
        let mode = Meta { mode: 0o600, ..one.clone() };
        assert!(one.content_fits(&mode) && !one.same_metadata(&mode));
        let size = Meta { size: 2, ..one.clone() };
        assert!(!one.content_fits(&size) && one.same_metadata(&size));
        let later = Meta { mtime: Time { secs: 9, nanos: 2 }, ..one.clone() };
        assert!(!one.content_fits(&later) && !one.same_metadata(&later));
    }
}
