//! An open regular file that is read: at the source, and at the backup to compare or copy it.
//!
//! Made by [`Dir::open_file`](crate::Dir::open_file). That it does not change while it is read is for the caller to see,
//! by [`Stat::same_content`] before and after.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proto::{Keep, Meta};
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::calls::{self, What};
use crate::faults::{self, Verb};
use crate::stat::{Birth, Stat};
use crate::xattr::{self, Of};

/// An open regular file.
#[derive(Debug)]
pub struct File {
    fd: OwnedFd,
}

impl File {
    pub(crate) fn new(fd: OwnedFd) -> File {
        File { fd }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// How it is now.
    pub fn stat(&self) -> io::Result<Stat> {
        Stat::of(&self.fd)
    }

    /// Which inode it is, for good; `None` where that is not known.
    pub fn born(&self) -> Option<Birth> {
        Stat::with_birth(&self.fd).ok()?.1
    }

    /// `stat` with its extended attributes, as `keep` sees it.
    ///
    /// # Errors
    /// Of the operating system; `InvalidData` when the extended attributes pass the limits of the wire.
    pub fn meta(&self, stat: &Stat, keep: Keep) -> io::Result<Meta> {
        faults::ask(Verb::Read)?;
        let mut meta = stat.meta(Box::default(), xattr::read(Of::Fd(self.fd.as_fd()), keep)?.kept);
        keep.project_meta(&mut meta);
        Ok(meta)
    }

    /// Whether it is [marked](crate::StagedFile::mark_inexact) as one whose content is not of one moment.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn is_inexact(&self) -> io::Result<bool> {
        xattr::is_inexact(Of::Fd(self.fd.as_fd()))
    }

    /// Reads from `offset` on until `buf` is full or the file ends. Returns the number of bytes read.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        faults::ask(Verb::Read)?;
        let _call = calls::begin(What::Read, self.fd(), b"");
        let mut done = 0;
        while done < buf.len() {
            match rustix::io::pread(&self.fd, &mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(length) => done += length,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    /// The next range of data at or after `offset` and below `size`; `None` when only a hole is left. The whole rest
    /// where the file system does not tell.
    ///
    /// Moves the file's own offset, which nothing here reads from.
    pub fn next_data(&self, offset: u64, size: u64) -> io::Result<Option<Range<u64>>> {
        if offset >= size {
            return Ok(None);
        }
        let start = match rustix::fs::seek(&self.fd, SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some(offset..size)),
            Err(error) => return Err(error.into()),
        };
        if start >= size {
            return Ok(None);
        }
        let end = match rustix::fs::seek(&self.fd, SeekFrom::Hole(start)) {
            Ok(end) => end.min(size),
            // Cut off since: what is left is found by reading.
            Err(Errno::NXIO) => size,
            Err(error) => return Err(error.into()),
        };
        Ok(Some(start..end.max(start + 1)))
    }
}
