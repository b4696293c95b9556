//! Standard error as a descriptor, for the one thread that writes the log. The lock of
//! `std::io::stderr` is not taken: it would be held for as long as nobody reads.

use std::io::{self, stderr};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Writes all of it, however long the reader lets it wait.
pub fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(stderr(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // Another process that has the same descriptor has set it so.
            Err(Errno::AGAIN) => wait_for_room()?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Device and inode of what it is.
pub fn identity() -> Option<(u64, u64)> {
    rustix::fs::fstat(stderr()).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

fn wait_for_room() -> io::Result<()> {
    match poll(&mut [PollFd::new(&stderr(), PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
