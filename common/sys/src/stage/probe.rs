//! Finds out by trial what the file system of a module can hold: what it says of itself is too little, and a network or a
//! user's program may stand behind it. Called when recvd starts, when another disk is mounted at a module's root, and
//! again where the disk took nothing then.
//!
//! All of it happens in a stage of its own, which is gone afterwards; what a kill leaves is swept like any other.
//!
//! LIMIT: what differs from folder to folder, as that case is ignored in some, is that of the module's root. Kernels before
//! 5.4 cut times only when an inode leaves memory: they seem to hold all.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use proto::{Capabilities, Time, limits};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, XattrFlags};
use rustix::io::Errno;

use super::{Seat, Stage};
use crate::faults::{self, Verb};
use crate::metadata::{self, On};
use crate::stat::Stat;
use crate::tree::Tree;
use crate::{listing, process};

/// A second that every file system holds: in 2023, and even, for those that count in two.
const HELD: i64 = 1_700_000_000;
/// Granularities of times that there are, finest first: in between stand those of NTFS, UDF and exFAT.
const STEPS: [u32; 10] =
    [1, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 2_000_000_000];
/// Bytes of a file of which all but the last one is a hole.
const HOLE: u64 = 1 << 20;
const XATTR: &str = "user.recvd.probe";
const ACL: &str = "system.posix_acl_access";

/// What the file system at the root of `tree` can hold.
///
/// # Errors
/// Of the operating system, where it cannot be known now: the disk is full, read-only or failing, or the root is not ours to
/// write.
pub fn probe(tree: Arc<Tree>) -> io::Result<Capabilities> {
    faults::ask(Verb::Stage)?;
    let stage = Stage::new(tree)?;
    let seat = Seat::take(&stage);
    let found = seat.and_then(|seat| Trial { folder: seat.folder.fd() }.run());
    // What an error leaves there gets another try, when the stage is dropped.
    let _ = stage.rest();
    found
}

/// Entries with names of their own in a folder that nobody else uses.
struct Trial<'a> {
    folder: BorrowedFd<'a>,
}

impl Trial<'_> {
    fn run(&self) -> io::Result<Capabilities> {
        let (file, file_name) = (self.make(b"file")?, "file");
        let (granularity, first, last) = times(file.as_fd())?;
        let (folder, flags) = (self.folder, XattrFlags::empty());
        Ok(Capabilities {
            granularity,
            first,
            last,
            xattrs: works(rustix::fs::fsetxattr(&file, XATTR, b"1", flags))?,
            acls: works(rustix::fs::fsetxattr(&file, ACL, &acl(), flags))?,
            hardlinks: works(rustix::fs::linkat(folder, file_name, folder, "link", AtFlags::empty()))?,
            symlinks: works(rustix::fs::symlinkat(file_name, folder, "symlink"))?,
            exchange: self.exchanges(file_name)?,
            holes: self.leaves_holes()?,
            any_bytes: self.holds_any_bytes()?,
            case: self.holds_both(b"case", b"CASE")?,
            name: self.longest_name()?,
        })
    }

    /// A file that was not there.
    fn make(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(self.folder, name, flags, Mode::RUSR | Mode::WUSR)
    }

    fn exchanges(&self, name: &str) -> io::Result<bool> {
        self.make(b"other")?;
        works(rustix::fs::renameat_with(self.folder, name, self.folder, "other", RenameFlags::EXCHANGE))
    }

    fn leaves_holes(&self) -> io::Result<bool> {
        let file = self.make(b"hole")?;
        works(rustix::io::pwrite(&file, b"1", HOLE - 1).map(drop))?;
        Ok(Stat::of(&file)?.is_hollow())
    }

    /// Bytes that are no text, characters that some file systems keep for themselves, and one letter in two spellings.
    fn holds_any_bytes(&self) -> io::Result<bool> {
        for name in [&b"\x01\x7f\xfe\xff"[..], b"a:*?\"<>|\\b", b"end. ", b"com1"] {
            if !works(self.make(name).map(drop))? || !self.lists(name)? {
                return Ok(false);
            }
        }
        let (composed, decomposed) = ("\u{e9}".as_bytes(), "e\u{301}".as_bytes());
        Ok(self.holds_both(composed, decomposed)? && self.lists(composed)? && self.lists(decomposed)?)
    }

    fn holds_both(&self, one: &[u8], other: &[u8]) -> io::Result<bool> {
        Ok(works(self.make(one).map(drop))? && works(self.make(other).map(drop))?)
    }

    /// Whether the folder says the name as it was given.
    fn lists(&self, name: &[u8]) -> io::Result<bool> {
        let mut found = false;
        listing::anew(self.folder, |line| {
            found |= line.name == name;
            Ok(())
        })?;
        Ok(found)
    }

    fn longest_name(&self) -> io::Result<u16> {
        let fits = |length: u16| works(self.make(&b"n".repeat(length.into())).map(drop));
        let longest = limits::NAME as u16;
        if fits(longest)? {
            return Ok(longest);
        }
        let (mut fitting, mut long) = (1, longest);
        while long - fitting > 1 {
            let middle = fitting + (long - fitting) / 2;
            if fits(middle)? { fitting = middle } else { long = middle }
        }
        Ok(fitting)
    }
}

/// What a file system says to what it can never do.
const NEVER: [Errno; 10] = [
    Errno::OPNOTSUPP,
    Errno::NOSYS,
    Errno::PERM,
    Errno::INVAL,
    Errno::MLINK,
    Errno::EXIST,
    Errno::NAMETOOLONG,
    Errno::ILSEQ,
    Errno::OVERFLOW,
    Errno::RANGE,
];

/// Whether the file system can do it. INVARIANT: it cannot only where it says so itself. Any other trouble may be over the next
/// time, and what is not held would be removed from the backup.
fn works(done: Result<(), Errno>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if NEVER.contains(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Read and write for us, and more than a mode could say: read for us once more, by our number.
fn acl() -> Vec<u8> {
    const NO_ID: u32 = u32::MAX;
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    let entries = [(0x01, 6, NO_ID), (0x02, 4, process::effective_uid()), (0x04, 0, NO_ID), (0x10, 4, NO_ID)];
    for (tag, rights, id) in entries.into_iter().chain([(0x20_u16, 0_u16, NO_ID)]) {
        bytes.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// Granularity, first and last second of the times that a file can have.
fn times(file: BorrowedFd<'_>) -> io::Result<(u32, i64, i64)> {
    let full = Capabilities::full();
    let clock = Clock { file };
    if !clock.holds(Time { secs: HELD, nanos: 0 })? {
        // It is given none: to send others would help nobody.
        return Ok((full.granularity, full.first, full.last));
    }
    Ok((clock.granularity()?, clock.end(i64::MIN)?, clock.end(i64::MAX)?))
}

/// A file whose mtime is set.
struct Clock<'a> {
    file: BorrowedFd<'a>,
}

impl Clock<'_> {
    /// Which time it has after it was given this one; `None` where that is refused.
    fn set(&self, time: Time) -> io::Result<Option<Time>> {
        let set = works(metadata::set_mtime(On::Fd(self.file), time))?;
        Ok(if set { Some(Stat::of(self.file)?.mtime) } else { None })
    }

    fn holds(&self, time: Time) -> io::Result<bool> {
        Ok(self.set(time)? == Some(time))
    }

    fn granularity(&self) -> io::Result<u32> {
        for granularity in STEPS {
            let floor =
                |nanos| Capabilities { granularity, ..Capabilities::full() }.time(Time { secs: HELD + 1, nanos });
            if self.holds(floor(999_999_999))? && self.holds(floor(123_456_789))? {
                return Ok(granularity);
            }
        }
        Ok(*Capabilities::GRANULARITY.end())
    }

    /// The last second on the way to `extreme`.
    fn end(&self, extreme: i64) -> io::Result<i64> {
        let holds = |secs| self.holds(Time { secs, nanos: 0 });
        // Two seconds on, as some count in two.
        let beyond = |secs: i64| if extreme > 0 { secs.checked_add(2) } else { secs.checked_sub(2) };
        // The kernel gives a time beyond the end that one, where it knows it.
        if let Some(Time { secs, .. }) = self.set(Time { secs: extreme, nanos: 0 })?
            && (secs > HELD) == (extreme > HELD)
            && holds(secs)?
            && !beyond(secs).map_or(Ok(false), holds)?
        {
            return Ok(secs);
        }
        let (mut held, mut not) = (i128::from(HELD), i128::from(extreme) & !1);
        while held.abs_diff(not) > 2 {
            let middle = ((held + not) / 2) & !1;
            // Both ends are an i64, and so is what is between them.
            if holds(middle as i64)? { held = middle } else { not = middle }
        }
        // The end itself may be odd.
        let odd = (held + not) / 2;
        Ok(if holds(odd as i64)? { odd as i64 } else { held as i64 })
    }
}
