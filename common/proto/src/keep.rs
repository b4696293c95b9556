//! Which attributes a module keeps. Both sides look at entries through the same `Keep`, so that what one of them cannot
//! hold never looks like a difference.
//!
//! Whoever receives tells it: a server in `Opened`, a client in `Open`. Sender and receiver project every [`Meta`] before
//! they compare, digest or apply.

use std::fmt;
use std::str::FromStr;

use crate::meta::{Entry, Kind, Meta, Time};

/// The extended attribute by which a receiver marks a file whose content is not of one moment. It is the receiver's own, and
/// mirrored by nobody.
pub const INEXACT: &[u8] = b"user.recvd.inexact";

/// One word of a module's `keep` list. The numbers are the bits of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kept {
    /// Permission bits and sticky.
    Mode = 0,
    /// Numeric user and group.
    Owner = 1,
    /// Time of the last change of content, in nanoseconds.
    Mtime = 2,
    /// Symbolic links; without it they are not made.
    Symlinks = 3,
    /// That several names are one file.
    Hardlinks = 4,
    /// Extended attributes of the namespace `user`.
    Xattrs = 5,
    /// POSIX access control lists.
    Acls = 6,
    /// Setuid, setgid and file capabilities.
    Setid = 7,
    /// Devices, FIFOs and sockets; without it they are not made.
    Specials = 8,
}

impl Kept {
    /// All words, in order of their bits.
    pub const ALL: [Kept; 9] = [
        Kept::Mode,
        Kept::Owner,
        Kept::Mtime,
        Kept::Symlinks,
        Kept::Hardlinks,
        Kept::Xattrs,
        Kept::Acls,
        Kept::Setid,
        Kept::Specials,
    ];

    /// The word as configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            Kept::Mode => "mode",
            Kept::Owner => "owner",
            Kept::Mtime => "mtime",
            Kept::Symlinks => "symlinks",
            Kept::Hardlinks => "hardlinks",
            Kept::Xattrs => "xattrs",
            Kept::Acls => "acls",
            Kept::Setid => "setid",
            Kept::Specials => "specials",
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that `keep` does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an attribute to keep; use mode, owner, mtime, symlinks, hardlinks, xattrs, acls, setid or specials"
)]
pub struct UnknownKept(pub String);

impl FromStr for Kept {
    type Err = UnknownKept;

    fn from_str(word: &str) -> Result<Kept, UnknownKept> {
        Kept::ALL.into_iter().find(|kept| kept.name() == word).ok_or_else(|| UnknownKept(word.to_owned()))
    }
}

/// A set of [`Kept`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep(u16);

impl Keep {
    /// What a module keeps unless its configuration says otherwise: all but `setid` and `specials`.
    pub const DEFAULT: Keep = Keep(0b0_0111_1111);
    /// Every word there is.
    pub const EVERYTHING: Keep = Keep(0b1_1111_1111);

    /// Nothing but names, kinds, sizes and content.
    pub const fn empty() -> Keep {
        Keep(0)
    }

    /// This set with one more word.
    #[must_use]
    pub const fn with(self, kept: Kept) -> Keep {
        Keep(self.0 | 1 << kept as u8)
    }

    /// Whether the word is in the set.
    pub const fn has(self, kept: Kept) -> bool {
        self.0 & (1 << kept as u8) != 0
    }

    /// The set as it travels; `None` when a bit is set that has no word.
    pub const fn from_bits(bits: u16) -> Option<Keep> {
        if bits & !Keep::EVERYTHING.0 == 0 { Some(Keep(bits)) } else { None }
    }

    /// The set as it travels.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The words of the set, in order of their bits.
    pub fn iter(self) -> impl Iterator<Item = Kept> {
        Kept::ALL.into_iter().filter(move |kept| self.has(*kept))
    }

    /// Whether entries of this kind are made at all.
    pub const fn admits(self, kind: Kind) -> bool {
        match kind {
            Kind::File | Kind::Dir => true,
            Kind::Symlink => self.has(Kept::Symlinks),
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => self.has(Kept::Specials),
        }
    }

    /// Whether an entry of this mode loses its setuid or setgid bit.
    pub const fn drops_setid(self, kind: Kind, mode: u32) -> bool {
        !matches!(kind, Kind::Symlink) && self.has(Kept::Mode) && !self.has(Kept::Setid) && mode & 0o6000 != 0
    }

    /// Whether an extended attribute of this full name (`user.comment`) is kept. What is not named here never is:
    /// `trusted.*`, and all of `security.*` but file capabilities, speak of the host and not of the file.
    pub fn keeps_xattr(self, name: &[u8]) -> bool {
        match name {
            b"system.posix_acl_access" | b"system.posix_acl_default" => self.has(Kept::Acls),
            b"security.capability" => self.has(Kept::Setid),
            INEXACT => false,
            _ => name.starts_with(b"user.") && self.has(Kept::Xattrs),
        }
    }

    /// Whether any extended attribute is kept: else nobody looks at them.
    pub const fn has_xattrs(self) -> bool {
        self.has(Kept::Xattrs) || self.has(Kept::Acls) || self.has(Kept::Setid)
    }

    /// Takes from `meta` what is not kept.
    pub fn project_meta(&self, meta: &mut Meta) {
        meta.mode = self.mode(meta.kind, meta.mode);
        (meta.uid, meta.gid) = self.owner(meta.uid, meta.gid);
        meta.mtime = self.mtime(meta.mtime);
        meta.xattrs.retain(|name| self.keeps_xattr(name));
    }

    /// Takes from `entry` what is not kept. Of `extra` nothing can be taken, as it is a hash: it must have been made from
    /// a projected [`Meta`], as [`digest::entry`](crate::digest::entry) of one does.
    pub fn project_entry(&self, entry: &mut Entry) {
        entry.mode = self.mode(entry.kind, entry.mode);
        (entry.uid, entry.gid) = self.owner(entry.uid, entry.gid);
        entry.mtime = self.mtime(entry.mtime);
    }

    fn mode(self, kind: Kind, mode: u32) -> u32 {
        if kind == Kind::Symlink || !self.has(Kept::Mode) {
            return 0;
        }
        if self.has(Kept::Setid) { mode } else { mode & !0o6000 }
    }

    fn owner(self, uid: u32, gid: u32) -> (u32, u32) {
        if self.has(Kept::Owner) { (uid, gid) } else { (0, 0) }
    }

    fn mtime(self, mtime: Time) -> Time {
        if self.has(Kept::Mtime) { mtime } else { Time::default() }
    }
}

impl Default for Keep {
    fn default() -> Keep {
        Keep::DEFAULT
    }
}

impl FromIterator<Kept> for Keep {
    fn from_iter<I: IntoIterator<Item = Kept>>(words: I) -> Keep {
        words.into_iter().fold(Keep::empty(), Keep::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::{Device, Xattrs};

    fn meta() -> Meta {
        let names: [&[u8]; 7] = [
            b"security.capability",
            b"security.selinux",
            b"system.posix_acl_access",
            b"system.posix_acl_default",
            b"trusted.t",
            INEXACT,
            b"user.u",
        ];
        let xattrs = Xattrs::new(names.map(|name| (Box::from(name), Box::from(&b"v"[..]))).to_vec()).unwrap();
        let (mtime, device) = (Time { secs: 1, nanos: 2 }, Device::default());
        Meta { kind: Kind::File, size: 3, mode: 0o7755, uid: 4, gid: 5, mtime, device, link: Box::default(), xattrs }
    }

    fn kept(keep: Keep) -> (u32, u32, u32, Time, Vec<String>) {
        let mut meta = meta();
        let mut entry = crate::digest::entry(crate::Name::parse(b"n").unwrap(), &meta);
        keep.project_meta(&mut meta);
        keep.project_entry(&mut entry);
        assert_eq!((meta.mode, meta.uid, meta.gid, meta.mtime), (entry.mode, entry.uid, entry.gid, entry.mtime));
        let names = meta.xattrs.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
        (meta.mode, meta.uid, meta.gid, meta.mtime, names)
    }

    #[test]
    fn what_is_not_kept_is_taken_away() {
        let none = Time::default();
        let time = Time { secs: 1, nanos: 2 };
        assert_eq!(kept(Keep::empty()), (0, 0, 0, none, vec![]));
        assert_eq!(kept(Keep::empty().with(Kept::Mode)), (0o1755, 0, 0, none, vec![]));
        assert_eq!(kept(Keep::empty().with(Kept::Owner)), (0, 4, 5, none, vec![]));
        assert_eq!(kept(Keep::empty().with(Kept::Mtime)), (0, 0, 0, time, vec![]));
        assert_eq!(kept(Keep::empty().with(Kept::Xattrs)).4, ["user.u"]);
        assert_eq!(kept(Keep::empty().with(Kept::Setid)).4, ["security.capability"]);
        let acls = ["system.posix_acl_access", "system.posix_acl_default"];
        assert_eq!(kept(Keep::empty().with(Kept::Acls)).4, acls);
        assert_eq!(kept(Keep::DEFAULT).0, 0o1755);
        let (mode, uid, gid, mtime, names) = kept(Keep::EVERYTHING);
        assert_eq!((mode, uid, gid, mtime, names.len()), (0o7755, 4, 5, time, 4));
    }

    #[test]
    fn symbolic_links_have_no_mode() {
        let mut meta = Meta { kind: Kind::Symlink, mode: 0o777, ..meta() };
        Keep::EVERYTHING.project_meta(&mut meta);
        assert_eq!(meta.mode, 0);
    }

    #[test]
    fn links_and_specials_are_made_only_where_kept() {
        assert!(Keep::empty().admits(Kind::File) && Keep::empty().admits(Kind::Dir));
        assert!(Keep::DEFAULT.admits(Kind::Symlink) && !Keep::empty().admits(Kind::Symlink));
        for kind in [Kind::Fifo, Kind::Socket, Kind::CharDevice, Kind::BlockDevice] {
            assert!(!Keep::DEFAULT.admits(kind) && Keep::EVERYTHING.admits(kind));
        }
    }

    #[test]
    fn words_and_bits_name_the_same_sets() {
        for kept in Kept::ALL {
            assert_eq!(kept.name().parse(), Ok(kept));
        }
        assert!("modes".parse::<Kept>().unwrap_err().to_string().starts_with("'modes' is not"));
        let words = "mode owner mtime symlinks hardlinks xattrs acls";
        let parsed: Keep = words.split(' ').filter_map(|word| word.parse::<Kept>().ok()).collect();
        assert_eq!(parsed, Keep::DEFAULT);
        assert_eq!(Keep::from_bits(0x7f), Some(Keep::DEFAULT));
        assert_eq!(Keep::from_bits(0x200), None);
        assert_eq!(Kept::ALL.into_iter().collect::<Keep>(), Keep::EVERYTHING);
    }
}
