//! File systems that are mounted for a test.

use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// A tmpfs, unmounted at the end.
pub struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    pub fn tmpfs(path: &Path) -> Mounted<'_> {
        mount("tmpfs", path, "tmpfs", MountFlags::empty(), None).unwrap();
        Mounted(path)
    }

    /// Mounts the same file system at another place.
    pub fn bind(&self, at: &Path) {
        rustix::mount::mount_bind(self.0, at).unwrap();
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = unmount(self.0, UnmountFlags::DETACH);
    }
}
