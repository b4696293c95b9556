//! The content of one file in another, whole or in part: by sharing blocks where the file system can, else by copying what
//! is not a hole.
//!
//! Used by [`Stage::copy`](crate::Stage::copy) and [`StagedFile::copy`](crate::StagedFile::copy); both files are on the
//! backup.

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use crate::file::File;

/// Bytes of one copy through memory.
const PIECE: usize = 256 * 1024;
/// The smallest block that file systems share, in bytes. Where a file system has larger ones, only what fits them by chance
/// is shared.
const BLOCK: u64 = 4096;

/// Fills the empty file `to` with the first `size` bytes of `from`.
pub(crate) fn content(from: &File, size: u64, to: BorrowedFd<'_>) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(to, from.fd()).is_ok() {
        return Ok(());
    }
    range(from, 0..size, to, 0)?;
    Ok(rustix::fs::ftruncate(to, size)?)
}

/// Writes what is not a hole in this range of `from` to `to`, from `offset` on.
pub(crate) fn range(from: &File, range: Range<u64>, to: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    if !from.stat()?.is_sparse() {
        return blocks(from, range, to, offset);
    }
    let mut at = range.start;
    while let Some(data) = from.next_data(at, range.end)? {
        at = data.end;
        blocks(from, data.clone(), to, offset + (data.start - range.start))?;
    }
    Ok(())
}

/// Parts a range into whole blocks, which can be shared, and the rest, which has to be copied: asked for both at once, the
/// kernel would copy both.
fn blocks(from: &File, data: Range<u64>, to: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    let aligned = data.start.next_multiple_of(BLOCK)..data.end / BLOCK * BLOCK;
    if data.start % BLOCK != offset % BLOCK || aligned.is_empty() {
        return extent(from, data, to, offset);
    }
    for part in [data.start..aligned.start, aligned.clone(), aligned.end..data.end] {
        let target = offset + (part.start - data.start);
        extent(from, part, to, target)?;
    }
    Ok(())
}

fn extent(from: &File, data: Range<u64>, to: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    let (mut read, mut written) = (data.start, offset);
    while read < data.end {
        let length = usize::try_from(data.end - read).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(from.fd(), Some(&mut read), to, Some(&mut written), length) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                return through_memory(from, read..data.end, to, written);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn through_memory(from: &File, data: Range<u64>, to: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut at = data.start;
    while at < data.end {
        let length = usize::try_from(data.end - at).unwrap_or(usize::MAX).min(PIECE);
        let length = from.read_at(at, &mut piece[..length])?;
        if length == 0 {
            return Ok(());
        }
        write_at(to, &piece[..length], offset + (at - data.start))?;
        at += length as u64;
    }
    Ok(())
}

/// Writes all of `bytes`.
pub(crate) fn write_at(to: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(to, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => {
                bytes = &bytes[length..];
                offset += length as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
