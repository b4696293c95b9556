//! Extended attributes, POSIX ACLs among them (`system.posix_acl_*`, as the kernel's bytes).
//!
//! Read and set through a descriptor, or through the path of an entry in a held folder without following it. A file
//! system that has none counts as one where none are set.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use proto::{INEXACT, Keep, Xattrs};
use rustix::buffer::Buffer;
use rustix::fs::{self, XattrFlags};
use rustix::io::Errno;

/// Enough for all but a few entries; more is asked for with the kernel's own limit.
const USUAL: usize = 256;
/// `XATTR_LIST_MAX` and `XATTR_SIZE_MAX`: no list and no value is longer, however it grows between two calls.
const LONGEST: usize = 65_536;

#[derive(Clone, Copy)]
pub(crate) enum Of<'a> {
    /// Of an open file or folder.
    Fd(BorrowedFd<'a>),
    /// Of what stands at this path, which is not followed.
    Path(&'a [u8]),
}

impl Of<'_> {
    fn list<B: Buffer<u8>>(self, into: B) -> Result<B::Output, Errno> {
        match self {
            Of::Fd(fd) => fs::flistxattr(fd, into),
            Of::Path(path) => fs::llistxattr(path, into),
        }
    }

    fn get<B: Buffer<u8>>(self, name: &[u8], into: B) -> Result<B::Output, Errno> {
        match self {
            Of::Fd(fd) => fs::fgetxattr(fd, name, into),
            Of::Path(path) => fs::lgetxattr(path, name, into),
        }
    }

    pub(crate) fn set(self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        match self {
            Of::Fd(fd) => fs::fsetxattr(fd, name, value, XattrFlags::empty()),
            Of::Path(path) => fs::lsetxattr(path, name, value, XattrFlags::empty()),
        }
    }

    /// Not there is removed.
    pub(crate) fn remove(self, name: &[u8]) -> Result<(), Errno> {
        let removed = match self {
            Of::Fd(fd) => fs::fremovexattr(fd, name),
            Of::Path(path) => fs::lremovexattr(path, name),
        };
        match removed {
            Err(Errno::NODATA) => Ok(()),
            removed => removed,
        }
    }
}

/// What stands in the extended attributes of an entry.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    /// Those that are kept.
    pub kept: Xattrs,
    /// Whether the receiver's mark for a content that is not of one moment is among the others.
    pub inexact: bool,
}

/// Those that are kept, and the mark. Where none is kept nothing is looked at, and there is no mark.
///
/// # Errors
/// Of the operating system; `InvalidData` when they pass the limits of the wire.
pub(crate) fn read(of: Of<'_>, keep: Keep) -> io::Result<Attributes> {
    if !keep.has_xattrs() {
        return Ok(Attributes::default());
    }
    let (mut found, mut inexact) = (Vec::new(), false);
    each_name(of, |name| {
        inexact |= name == INEXACT;
        if keep.keeps_xattr(name)
            && let Some(value) = value(of, name)?
        {
            found.push((name.into(), value));
        }
        Ok(())
    })?;
    let kept = Xattrs::new(found).map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))?;
    Ok(Attributes { kept, inexact })
}

/// Whether the mark is set, whatever is kept.
pub(crate) fn is_inexact(of: Of<'_>) -> io::Result<bool> {
    let mut inexact = false;
    each_name(of, |name| {
        inexact |= name == INEXACT;
        Ok(())
    })?;
    Ok(inexact)
}

fn each_name(of: Of<'_>, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut usual = [MaybeUninit::uninit(); USUAL];
    let mut long = Vec::new();
    let names = match of.list(&mut usual) {
        Ok(([], _)) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
        Ok((names, _)) => &*names,
        Err(Errno::RANGE) => {
            long.resize(LONGEST, 0);
            let length = of.list(&mut long[..])?;
            &long[..length]
        }
        Err(error) => return Err(error.into()),
    };
    names.split(|b| *b == 0).filter(|name| !name.is_empty()).try_for_each(&mut each)
}

/// `None` when it was removed since it was listed.
fn value(of: Of<'_>, name: &[u8]) -> io::Result<Option<Box<[u8]>>> {
    let mut usual = [MaybeUninit::uninit(); USUAL];
    match of.get(name, &mut usual) {
        Ok((value, _)) => Ok(Some((&*value).into())),
        Err(Errno::NODATA) => Ok(None),
        Err(Errno::RANGE) => {
            let mut long = vec![0; LONGEST];
            match of.get(name, &mut long[..]) {
                Ok(length) => Ok(Some(long[..length].into())),
                Err(Errno::NODATA) => Ok(None),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}
