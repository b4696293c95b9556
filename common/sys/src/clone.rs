//! A second file with the content of a first: by sharing blocks where the file system can, else by copying what is not a
//! hole.
//!
//! Used by [`Stage::copy`](crate::Stage::copy); both files are on the backup.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use crate::file::File;

/// Bytes of one copy through memory.
const PIECE: usize = 256 * 1024;

/// Fills the empty file `to` with the first `size` bytes of `from`.
pub(crate) fn content(from: &File, size: u64, to: BorrowedFd<'_>) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(to, from.fd()).is_ok() {
        return Ok(());
    }
    let mut at = 0;
    while let Some(data) = from.next_data(at, size)? {
        at = data.end;
        extent(from, data, to)?;
    }
    Ok(rustix::fs::ftruncate(to, size)?)
}

fn extent(from: &File, data: std::ops::Range<u64>, to: BorrowedFd<'_>) -> io::Result<()> {
    let (mut read, mut written) = (data.start, data.start);
    while read < data.end {
        let length = usize::try_from(data.end - read).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(from.fd(), Some(&mut read), to, Some(&mut written), length) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                return through_memory(from, read..data.end, to);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn through_memory(from: &File, data: std::ops::Range<u64>, to: BorrowedFd<'_>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut at = data.start;
    while at < data.end {
        let length = usize::try_from(data.end - at).unwrap_or(usize::MAX).min(PIECE);
        let length = from.read_at(at, &mut piece[..length])?;
        if length == 0 {
            return Ok(());
        }
        write_at(to, &piece[..length], at)?;
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
