//! What a file system lacks as a whole: room, or the right to be written. Such an error is not about the entry at hand: all
//! others meet it too.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{FallocateFlags, StatVfsMountFlags};
use rustix::io::Errno;

/// The magic number of a tmpfs. To reserve room there would cost memory filled with zeros, so it is only asked how much it has.
const TMPFS: i64 = 0x0102_1994;

/// What there is none of, for all entries of a file system alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Bytes, inodes or a quota.
    Room,
    /// It is, or has become, read-only.
    Writing,
}

impl Lack {
    /// Whether an error tells of such a thing.
    pub fn of(error: &io::Error) -> Option<Lack> {
        let code = error.raw_os_error()?;
        match Errno::from_raw_os_error(code) {
            Errno::NOSPC | Errno::DQUOT => Some(Lack::Room),
            Errno::ROFS => Some(Lack::Writing),
            _ => None,
        }
    }
}

/// Whether a file system can be written and has so many bytes and an inode left, as far as it says. It says nothing of quotas.
pub(crate) fn is_left(folder: BorrowedFd<'_>, bytes: u64) -> io::Result<bool> {
    let space = rustix::fs::fstatvfs(folder)?;
    let bytes_left = space.f_blocks == 0 || space.f_bfree.saturating_mul(space.f_frsize) > bytes;
    let inodes_left = space.f_files == 0 || space.f_ffree > 0;
    Ok(bytes_left && inodes_left && !space.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Reserves so many bytes for a file, without making it longer.
///
/// # Errors
/// `StorageFull`, `QuotaExceeded` and others of the operating system.
pub(crate) fn reserve(file: BorrowedFd<'_>, bytes: u64) -> io::Result<()> {
    let space = rustix::fs::fstatfs(file)?;
    let (blocks, free) = (space.f_blocks as u64, space.f_bfree as u64);
    // A file system without blocks says nothing of its size.
    if blocks > 0 && free.saturating_mul(space.f_bsize as u64) < bytes {
        return Err(Errno::NOSPC.into());
    }
    if bytes == 0 || space.f_type as i64 == TMPFS {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes) {
        // Not every file system can: then its word has to do.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        reserved => Ok(reserved?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_entry_lacks_is_no_lack_of_the_file_system() {
        let lack = |errno: Errno| Lack::of(&errno.into());
        assert_eq!([Errno::NOSPC, Errno::DQUOT].map(lack), [Some(Lack::Room); 2]);
        assert_eq!(lack(Errno::ROFS), Some(Lack::Writing));
        assert_eq!([Errno::IO, Errno::FBIG, Errno::NAMETOOLONG, Errno::ACCESS, Errno::NOMEM].map(lack), [None; 5]);
        assert_eq!(Lack::of(&io::ErrorKind::StorageFull.into()), None, "nobody but the kernel says so");
    }
}
