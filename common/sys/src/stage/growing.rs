//! A file of recvd's own that gets longer after it has its name: only what was made in the stage just before, and held open
//! since, for what has that name later may be anybody's.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::Staged;
use crate::clone::write_at;
use crate::faults::{self, Verb};
use crate::stat::Stat;

/// Such a file, open for writing.
#[derive(Debug)]
pub struct Growing(OwnedFd);

impl Staged {
    /// The file, to be written to after it is published.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn growing(&self) -> io::Result<Growing> {
        faults::ask(Verb::Open)?;
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(Growing(rustix::fs::openat(self.folder(), self.name(), flags, Mode::empty())?))
    }
}

impl Growing {
    /// How it is now.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn stat(&self) -> io::Result<Stat> {
        Stat::of(&self.0)
    }

    /// Writes behind its end, which is at `end`, and waits until that survives a power cut if it is to. After an error it is as
    /// long as before, if the disk lets it.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn append(&self, bytes: &[u8], end: u64, durable: bool) -> io::Result<()> {
        let write = || {
            faults::ask(Verb::Write)?;
            write_at(self.0.as_fd(), bytes, end)?;
            if durable {
                faults::ask(Verb::Flush)?;
                rustix::fs::fdatasync(&self.0)?;
            }
            Ok(())
        };
        let written = write();
        if written.is_err() {
            // Where it stays longer, whoever reads it takes no line for whole that has no end.
            let _ = rustix::fs::ftruncate(&self.0, end);
        }
        written
    }
}
