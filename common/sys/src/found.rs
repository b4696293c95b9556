//! A regular file that is to get other metadata in place: held first and looked at then, so that what was found is what is
//! changed, whatever takes its name in between.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proto::{Keep, Kind, Meta};
use rustix::fs::{Mode, OFlags};

use crate::faults::{self, Verb};
use crate::metadata::{self, Now, On, Origin};
use crate::moves;
use crate::procfs::ProcPath;
use crate::resolve::unnoticed;
use crate::stat::{Birth, Stat};

pub(crate) const NOT_REGULAR: &str = "is not a regular file";

/// A regular file that is held, and how it was found: see [`Dir::find`](crate::Dir::find).
#[derive(Debug)]
pub struct Found {
    handle: OwnedFd,
    stat: Stat,
    birth: Option<Birth>,
}

impl Found {
    /// What a handle stands for.
    pub(crate) fn of(handle: OwnedFd) -> io::Result<Found> {
        let (stat, birth) = Stat::with_birth(&handle)?;
        if stat.kind != Kind::File {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, NOT_REGULAR));
        }
        Ok(Found { handle, stat, birth })
    }

    /// How it was when it was found.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// What tells it from all others, where the file system says it.
    pub fn birth(&self) -> Option<&Birth> {
        self.birth.as_ref()
    }

    /// Sets its metadata as [`Dir::set_meta`](crate::Dir::set_meta) does a folder's. Every other name of the file changes too.
    ///
    /// # Errors
    /// As [`Dir::set_meta`](crate::Dir::set_meta).
    pub fn set_file_meta(&self, meta: &Meta, keep: Keep) -> io::Result<Vec<String>> {
        faults::ask(Verb::Change)?;
        let mut now = existing(&self.stat);
        let fd = match reopen(self.handle.as_fd(), OFlags::RDONLY) {
            // Ours, but without the right to read, and not [unlocked](crate::Stage::unlock): add it, the wanted mode follows.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                now.mode |= 0o400;
                moves::chmod(self.handle.as_fd(), now.mode)?;
                reopen(self.handle.as_fd(), OFlags::RDONLY)?
            }
            opened => opened?,
        };
        metadata::apply(On::Fd(fd.as_fd()), now, meta, keep)
    }
}

/// The regular file of a handle, to be read or written.
pub(crate) fn reopen(handle: BorrowedFd<'_>, access: OFlags) -> io::Result<OwnedFd> {
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = ProcPath::of(handle);
    unnoticed(flags, |flags| Ok(rustix::fs::open(path.as_c_str(), flags, Mode::empty())?))
}

pub(crate) fn existing(stat: &Stat) -> Now {
    Now { uid: stat.uid, gid: stat.gid, mode: stat.mode, origin: Origin::Existing }
}
