//! Reading a folder's entries by `getdents64`.
//!
//! Used by [`Dir::list`](crate::Dir::list) and by removal, which must also see names that `proto` refuses.

use std::io;
use std::os::fd::BorrowedFd;

use proto::Kind;
use rustix::fs::{RawDir, SeekFrom};
use rustix::io::Errno;

use crate::stat::kind_of;

/// Bytes asked of the kernel at a time.
const BUFFER: usize = 64 * 1024;

/// One entry as the folder holds it.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) ino: u64,
    pub(crate) kind: Option<Kind>,
}

/// Calls `each` for every entry but `.` and `..` that stands there now.
///
/// Some file systems, as btrfs, show only what was there when the folder was opened, or the descriptor set back: a folder that
/// is held must be set back also for its first listing.
pub(crate) fn anew(folder: BorrowedFd<'_>, each: impl FnMut(Line<'_>) -> io::Result<()>) -> io::Result<()> {
    rustix::fs::seek(folder, SeekFrom::Start(0))?;
    self::each(folder, each)
}

/// The same for a folder that was opened a moment ago and not yet listed.
pub(crate) fn each(folder: BorrowedFd<'_>, mut each: impl FnMut(Line<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER);
    let mut entries = RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Err(Errno::INTR) => continue,
            entry => entry?,
        };
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            each(Line { name, ino: entry.ino(), kind: kind_of(entry.file_type()) })?;
        }
    }
    Ok(())
}
