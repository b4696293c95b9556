//! What a file system has left, and how it is mounted; for checks, warnings and status.

use std::io;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;

/// What an unprivileged user can still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes.
    pub free_bytes: u64,
    /// Inodes; `u64::MAX` where the file system makes them as it needs them.
    pub free_inodes: u64,
}

/// Of the file system that the path is on.
pub fn space(path: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Space {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        free_inodes: if stat.f_files == 0 { u64::MAX } else { stat.f_favail },
    })
}

/// How a file system is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountFlags {
    /// Setuid, setgid and file capabilities have no effect.
    pub nosuid: bool,
    /// Devices have no effect.
    pub nodev: bool,
    /// Nothing can be written.
    pub read_only: bool,
}

/// Of the file system that the path is on.
pub fn mount_flags(path: &Path) -> io::Result<MountFlags> {
    let flags = rustix::fs::statvfs(path)?.f_flag;
    Ok(MountFlags {
        nosuid: flags.contains(StatVfsMountFlags::NOSUID),
        nodev: flags.contains(StatVfsMountFlags::NODEV),
        read_only: flags.contains(StatVfsMountFlags::RDONLY),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_mounted_without_devices_and_the_temporary_folder_has_room() {
        let temp = std::env::temp_dir();
        assert!(space(&temp).unwrap().free_bytes > 0);
        assert!(!mount_flags(&temp).unwrap().read_only);
        assert!(space(Path::new("/nowhere/at/all")).is_err());
    }
}
