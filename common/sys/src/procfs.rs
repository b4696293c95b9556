//! Paths of the form `/proc/self/fd/N/name`: what stands under a name of a held folder, for the calls of the kernel that
//! take no descriptor (extended attributes, inotify, chmod of what cannot be opened).
//!
//! Built on the stack. The last component is followed or not as the call does.

use std::ffi::CStr;
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `/proc/self/fd/`, ten digits, a slash, a name, NUL: at most 281 bytes.
const LENGTH: usize = 288;

pub(crate) struct ProcPath([u8; LENGTH]);

impl ProcPath {
    /// What the descriptor itself stands for (a link that the kernel follows without a walk).
    pub(crate) fn of(fd: BorrowedFd<'_>) -> ProcPath {
        let mut path = [0; LENGTH];
        // Cannot fail: the buffer is longer than any of these paths.
        let _ = write!(&mut path[..], "/proc/self/fd/{}", fd.as_raw_fd());
        ProcPath(path)
    }

    /// The entry `name` of a folder. A name longer than 255 bytes is cut to nothing, which the kernel refuses.
    pub(crate) fn entry(folder: BorrowedFd<'_>, name: &[u8]) -> ProcPath {
        let mut path = [0; LENGTH];
        if name.len() <= 255 {
            let mut rest = &mut path[..];
            let _ = write!(rest, "/proc/self/fd/{}/", folder.as_raw_fd());
            let _ = rest.write_all(name);
        }
        ProcPath(path)
    }

    /// The entry `name` of a folder for a person: its path on this host, or the name alone where the kernel does not tell.
    pub(crate) fn shown(folder: BorrowedFd<'_>, name: &[u8]) -> String {
        let at = rustix::fs::readlink(ProcPath::of(folder).as_c_str(), Vec::new()).map(|path| path.into_bytes());
        let at = at.map(|path| [&path[..], b"/", name].concat()).unwrap_or_else(|_| name.into());
        proto::shown::Shown(&at).to_string()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.as_c_str().to_bytes()
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}
