//! How many entries stand at a name and beneath it.

use std::io;
use std::os::fd::AsFd;

use proto::{Kind, Name};
use rustix::io::Errno;

use crate::dir::Dir;
use crate::listing;
use crate::stat::Stat;

impl Dir {
    /// How many entries stand at the name and beneath it; 0 when there is nothing. Mounts count as one with
    /// [`Mounts::Stay`](crate::Mounts::Stay). A folder that may not be opened is given to `open`, and counts as one if
    /// that does not help.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn count(&self, name: &Name, mut open: impl FnMut(&[u8])) -> io::Result<u64> {
        match self.lookup(name) {
            Ok(None) => return Ok(0),
            Ok(Some(stat)) if stat.kind != Kind::Dir => return Ok(1),
            Ok(Some(_)) => {}
            Err(error) if errno(&error) == Some(Errno::XDEV) => return Ok(1),
            Err(error) => return Err(error),
        }
        let mut count = 1;
        let mut left: Vec<Vec<u8>> = vec![name.as_bytes().into()];
        while let Some(path) = left.pop() {
            let try_open = || self.reach.folder(self.fd(), &path);
            let opened = match try_open() {
                Err(error) if errno(&error) == Some(Errno::ACCESS) => {
                    open(&path);
                    try_open()
                }
                opened => opened,
            };
            let folder = match opened {
                Ok(folder) => folder,
                // Gone or replaced since, another mount, or closed to us.
                Err(error)
                    if matches!(
                        errno(&error),
                        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::ACCESS)
                    ) =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            listing::each(folder.as_fd(), |line| {
                count += 1;
                let kind = match line.kind {
                    None => Stat::at(&folder, line.name)?.map(|stat| stat.kind),
                    kind => kind,
                };
                if kind == Some(Kind::Dir) {
                    left.push([&path, &b"/"[..], line.name].concat());
                }
                Ok(())
            })?;
        }
        Ok(count)
    }
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}
