//! The few system calls that `std::fs` does not have, on plain paths; links are never followed.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FallocateFlags, FileType, Mode, RenameFlags, Timespec, Timestamps, XattrFlags};

/// `folder/name` for a name of any bytes.
pub fn at(folder: &Path, name: &[u8]) -> PathBuf {
    folder.join(OsStr::from_bytes(name))
}

/// Sets the modification time, of a link itself too; the access time stays.
pub fn set_mtime(path: &Path, secs: i64, nanos: u32) -> io::Result<()> {
    let keep = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT as _ };
    let times =
        Timestamps { last_access: keep, last_modification: Timespec { tv_sec: secs, tv_nsec: i64::from(nanos) as _ } };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Gives what stands at `path`, and all beneath it, to this user and its group.
pub fn give_away(path: &Path, uid: u32) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(uid), Some(uid))?;
    if is_folder(path) {
        for entry in std::fs::read_dir(path)? {
            give_away(&entry?.path(), uid)?;
        }
    }
    Ok(())
}

/// Sets the access time, of a link itself too; the modification time stays.
pub fn set_atime(path: &Path, secs: i64) -> io::Result<()> {
    let keep = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT as _ };
    let times = Timestamps { last_access: Timespec { tv_sec: secs, tv_nsec: 0 }, last_modification: keep };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Sets permission bits, all twelve of them.
pub fn chmod(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

pub fn set_xattr(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())?)
}

pub fn remove_xattr(path: &Path, name: &str) -> io::Result<()> {
    Ok(rustix::fs::lremovexattr(path, name)?)
}

/// Two names swap places.
pub fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

pub fn mknod(path: &Path, kind: FileType, mode: u32, major: u32, minor: u32) -> io::Result<()> {
    let device = rustix::fs::makedev(major, minor);
    Ok(rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(mode), device)?)
}

/// Makes a hole in a file that keeps its size.
pub fn punch(path: &Path, offset: u64, len: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    Ok(rustix::fs::fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, len)?)
}

/// A POSIX ACL in the kernel's bytes: `rw` for the owner, `extra` for user 1000, `r` for group and others.
pub fn acl(extra: u16) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries = [
        (0x01u16, 7u16, NOBODY), // owner
        (0x02, extra, 1000),     // a named user
        (0x04, 5, NOBODY),       // owning group
        (0x10, 7, NOBODY),       // mask
        (0x20, 4, NOBODY),       // others
    ];
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&permissions.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}

/// Opens a regular file for writing and makes it where there is none; never through a link, never waiting at a FIFO.
pub fn open(path: &Path, how: Open) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32;
    let mut options = File::options();
    match how {
        Open::Truncated => options.write(true).truncate(true),
        Open::Appending => options.append(true),
    };
    options.create(true).custom_flags(flags).open(path)
}

/// What becomes of the content that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Open {
    Truncated,
    Appending,
}

/// As `std::fs::write`, but never through a link and never into a FIFO.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write;
    open(path, Open::Truncated)?.write_all(content)
}

/// Whether a folder stands there, not a link to one.
pub fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// Removes whatever stands at `path`.
pub fn remove(path: &Path) -> io::Result<()> {
    if std::fs::symlink_metadata(path)?.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

/// Number of entries beneath `root`; entries that vanish meanwhile are not counted.
pub fn count(root: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(root) else { return 0 };
    entries
        .flatten()
        .map(|entry| 1 + if entry.file_type().is_ok_and(|t| t.is_dir()) { count(&entry.path()) } else { 0 })
        .sum()
}

/// Writes `name` for people: control characters and bytes that are not UTF-8 as escapes.
pub fn show(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.extend(chunk.valid().chars().flat_map(|c| {
            let plain = !c.is_control() && c != '\\';
            (if plain { c.to_string() } else { c.escape_default().to_string() }).chars().collect::<Vec<_>>()
        }));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}
