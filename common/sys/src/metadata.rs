//! Setting an entry's metadata, in the one order that gives the source's: owner, attributes of users, mode, ACLs and file
//! capabilities, and the mtime last.
//!
//! Changing the owner clears setuid, setgid and file capabilities, so it comes first; without the powers of root an attribute
//! `user.*` needs the right to write, which the mode may take away; an ACL holds the group bits of the mode, so it comes after
//! it. What the receiver's rights or its file system refuse is told in words, and the entry is taken all the same; a disk that
//! fails, is full or has become read-only is an error.

use std::fmt::Write;
use std::io;
use std::os::fd::BorrowedFd;

use proto::{Keep, Kept, Kind, Meta, Time};
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;

use crate::procfs::ProcPath;
use crate::xattr::{self, Of};

/// A file system with fewer bytes free has no block for an attribute.
const FULL: u64 = 1 << 20;

/// The entry that is set.
#[derive(Clone, Copy)]
pub(crate) enum On<'a> {
    /// An open file or folder.
    Fd(BorrowedFd<'a>),
    /// A name in the stage, where nobody else can change what it stands for: links and specials, which cannot be opened.
    Staged(BorrowedFd<'a>, &'a str),
}

/// How the entry is before.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    pub(crate) origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Made a moment ago in the stage: no extended attributes, nobody has seen it.
    Fresh,
    /// Stands under its name: what it has and `Meta` has not is removed.
    Existing,
}

/// Attributes, by what they need.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// `user.*`, which `Kept::Xattrs` keeps.
    User,
    Other,
}

/// What became of the owner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Right,
    Changed,
    /// Could not be set, or is not kept: setuid and setgid were granted to another, and are not set.
    Foreign,
}

/// Whether an error tells of a disk that fails, is full or has become read-only, and not of the entry or of our rights.
pub fn is_passing(error: &io::Error) -> bool {
    let passing = [Errno::IO, Errno::ROFS, Errno::STALE, Errno::NOSPC, Errno::DQUOT];
    error.raw_os_error().is_some_and(|code| passing.iter().any(|errno| errno.raw_os_error() == code))
}

/// Sets what `keep` has. Returns what could not be set, each as "owner 33:33: Operation not permitted (os error 1)".
pub(crate) fn apply(on: On<'_>, now: Now, meta: &Meta, keep: Keep) -> io::Result<Vec<String>> {
    let mut work = Work { on, now, meta, keep, problems: Vec::new() };
    let owner = work.owner()?;
    work.xattrs(Class::User)?;
    work.mode(owner)?;
    work.xattrs(Class::Other)?;
    if keep.has(Kept::Mtime)
        && let Err(error) = set_mtime(on, meta.mtime)
    {
        work.note(format_args!("mtime {}.{:09}", meta.mtime.secs, meta.mtime.nanos), error)?;
    }
    Ok(work.problems)
}

/// The mode that a new entry is to get.
pub(crate) fn mode_of_new(meta: &Meta, keep: Keep) -> u32 {
    match (meta.kind, keep.has(Kept::Mode)) {
        (_, true) if keep.has(Kept::Setid) => meta.mode & 0o7777,
        (_, true) => meta.mode & 0o1777,
        (Kind::Dir, false) => 0o755,
        (_, false) => 0o644,
    }
}

/// Sets the mtime and leaves the atime. Refuses nanoseconds that the kernel would take for a command.
pub(crate) fn set_mtime(on: On<'_>, mtime: Time) -> Result<(), Errno> {
    if mtime.nanos > 999_999_999 {
        return Err(Errno::INVAL);
    }
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.secs, tv_nsec: mtime.nanos.into() },
    };
    match on {
        On::Fd(fd) => rustix::fs::futimens(fd, &times),
        On::Staged(folder, name) => rustix::fs::utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW),
    }
}

struct Work<'a> {
    on: On<'a>,
    now: Now,
    meta: &'a Meta,
    keep: Keep,
    problems: Vec<String>,
}

impl Work<'_> {
    fn owner(&mut self) -> io::Result<Owner> {
        let Meta { uid, gid, .. } = *self.meta;
        if !self.keep.has(Kept::Owner) {
            return Ok(Owner::Foreign);
        }
        if (uid, gid) == (self.now.uid, self.now.gid) {
            return Ok(Owner::Right);
        }
        if uid == u32::MAX || gid == u32::MAX {
            // The kernel takes -1 for "leave it".
            self.problems.push(format!("owner {uid}:{gid}: no such id is possible"));
            return Ok(Owner::Foreign);
        }
        self.tighten()?;
        let user = (uid != self.now.uid).then(|| Uid::from_raw(uid));
        let group = (gid != self.now.gid).then(|| Gid::from_raw(gid));
        match self.chown(user, group) {
            Ok(()) => Ok(Owner::Changed),
            Err(error) => {
                // Without privileges the group may still be one of ours.
                if user.is_some() && group.is_some() {
                    let _ = self.chown(None, group);
                }
                self.note(format_args!("owner {uid}:{gid}"), error)?;
                Ok(Owner::Foreign)
            }
        }
    }

    /// A new owner of an entry that others can see never gets more rights to it than the new mode grants.
    fn tighten(&mut self) -> io::Result<()> {
        let Some(wanted) = self.wanted_mode() else { return Ok(()) };
        let common = self.now.mode & wanted & 0o777;
        if self.now.origin == Origin::Existing && common != self.now.mode {
            match self.chmod(common) {
                Ok(()) => self.now.mode = common,
                Err(error) => self.note(format_args!("mode {common:04o}"), error)?,
            }
        }
        Ok(())
    }

    fn mode(&mut self, owner: Owner) -> io::Result<()> {
        let Some(mut wanted) = self.wanted_mode() else { return Ok(()) };
        if owner == Owner::Foreign && wanted & 0o6000 != 0 {
            self.problems.push(format!("mode {wanted:04o}: setuid and setgid are not set without the owner"));
            wanted &= !0o6000;
        }
        if wanted == self.now.mode && (owner != Owner::Changed || wanted & 0o6000 == 0) {
            return Ok(());
        }
        match self.chmod(wanted) {
            Ok(()) => self.see_setid(wanted),
            Err(error) => self.note(format_args!("mode {wanted:04o}"), error),
        }
    }

    /// The kernel leaves out setgid without a word where the group is not one of ours.
    fn see_setid(&mut self, wanted: u32) -> io::Result<()> {
        if wanted & 0o6000 == 0 {
            return Ok(());
        }
        let mode = match self.on {
            On::Fd(fd) => rustix::fs::fstat(fd)?,
            On::Staged(folder, name) => rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?,
        }
        .st_mode
            & 0o7777;
        if mode != wanted {
            self.problems.push(format!("mode {wanted:04o}: is {mode:04o}, as the kernel lets us set no more"));
        }
        Ok(())
    }

    /// `None` when it is left as it is.
    fn wanted_mode(&self) -> Option<u32> {
        let left = !self.keep.has(Kept::Mode) && self.now.origin == Origin::Existing;
        (self.meta.kind != Kind::Symlink && !left).then(|| mode_of_new(self.meta, self.keep))
    }

    fn xattrs(&mut self, class: Class) -> io::Result<()> {
        let fresh = self.now.origin == Origin::Fresh;
        let keep: Keep = self.keep.iter().filter(|kept| (*kept == Kept::Xattrs) == (class == Class::User)).collect();
        if !keep.has_xattrs() || (fresh && self.meta.xattrs.is_empty()) {
            return Ok(());
        }
        let path;
        let of = match self.on {
            On::Fd(fd) => Of::Fd(fd),
            On::Staged(folder, name) => {
                path = ProcPath::entry(folder, name.as_bytes());
                Of::Path(path.as_bytes())
            }
        };
        // An entry whose attributes pass the limits is set on top of what it has.
        let have = if fresh { Ok(Default::default()) } else { xattr::read(of, keep).map(|found| found.kept) }.or_else(
            |error| {
                self.problems.push(format!("extended attributes: {error}"));
                Ok::<_, io::Error>(Default::default())
            },
        )?;
        for (name, _) in have.iter().filter(|(name, _)| self.meta.xattrs.get(name).is_none()) {
            if let Err(error) = of.remove(name) {
                self.note(format_args!("xattr {}", name.escape_ascii()), error)?;
            }
        }
        let meta = self.meta;
        for (name, value) in meta.xattrs.iter().filter(|(name, _)| keep.keeps_xattr(name)) {
            if have.get(name) == Some(value) {
                continue;
            }
            let what = format!("xattr {}", name.escape_ascii());
            match of.set(name, value) {
                Ok(()) => {}
                // ext4 has one block for the attributes of a file, whatever else is free.
                Err(Errno::NOSPC) if !self.is_full() => self.problems.push(format!("{what}: too large for this disk")),
                Err(error) => self.note(format_args!("{what}"), error)?,
            }
        }
        Ok(())
    }

    fn chown(&self, user: Option<Uid>, group: Option<Gid>) -> Result<(), Errno> {
        match self.on {
            On::Fd(fd) => rustix::fs::fchown(fd, user, group),
            On::Staged(folder, name) => rustix::fs::chownat(folder, name, user, group, AtFlags::SYMLINK_NOFOLLOW),
        }
    }

    fn chmod(&self, mode: u32) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(mode);
        match self.on {
            On::Fd(fd) => rustix::fs::fchmod(fd, mode),
            On::Staged(folder, name) => rustix::fs::chmodat(folder, name, mode, AtFlags::empty()),
        }
    }

    /// Whether the file system has hardly a block left.
    fn is_full(&self) -> bool {
        let (On::Fd(fd) | On::Staged(fd, _)) = self.on;
        rustix::fs::fstatvfs(fd).is_ok_and(|space| space.f_bfree.saturating_mul(space.f_frsize) < FULL)
    }

    /// Notes what could not be set. A disk that fails, is full or has become read-only is an error instead: another try
    /// may find it well.
    fn note(&mut self, what: std::fmt::Arguments<'_>, error: Errno) -> io::Result<()> {
        let error = io::Error::from(error);
        if is_passing(&error) {
            return Err(error);
        }
        let mut text = String::new();
        let _ = write!(text, "{what}: {error}");
        self.problems.push(text);
        Ok(())
    }
}
