//! What the kernel says of one entry, in the words of `proto`.
//!
//! Made by [`Dir`](crate::Dir) and [`File`](crate::File) from one `fstat` or `fstatat`; judges nothing.

use std::io;
use std::os::fd::AsFd;

use proto::{Device, Digest, Entry, Keep, Kind, Meta, Name, Time, Xattrs};
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp};
use rustix::io::Errno;

/// One entry at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Of the entry itself: a link is not followed.
    pub kind: Kind,
    /// Bytes of a regular file; 0 for all else.
    pub size: u64,
    /// Permission bits with setuid, setgid and sticky: `0..=0o7777`; 0 for symbolic links.
    pub mode: u32,
    /// The owner, as a number of this host.
    pub uid: u32,
    /// The group, as a number of this host.
    pub gid: u32,
    /// Last change of content.
    pub mtime: Time,
    /// Last change of content or metadata; nobody can set it.
    pub ctime: Time,
    /// Device of the file system.
    pub dev: u64,
    /// The inode, unique on its device as long as it lives.
    pub ino: u64,
    /// Names of the inode.
    pub nlink: u64,
    /// Blocks of 512 bytes that are allocated.
    pub blocks: u64,
    /// Of devices; zero for all else.
    pub device: Device,
}

/// Which inode something is, for good: one that is made later under the same number was born at another time.
///
/// LIMIT: file systems give times of the kernel's clock, which ticks every 1 to 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Birth {
    dev: u64,
    ino: u64,
    secs: i64,
    nanos: u32,
}

impl Birth {
    /// Of an open file or folder; `None` where the file system does not say when it was made.
    pub(crate) fn of(fd: impl AsFd) -> io::Result<Option<Birth>> {
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        Ok(Birth::from_statx(&rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, wanted)?))
    }

    /// Of what stands under a name, of which nothing else can take the place.
    pub(crate) fn under(folder: impl AsFd, name: &str) -> io::Result<Option<Birth>> {
        let (flags, wanted) = (AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO | StatxFlags::BTIME);
        Ok(Birth::from_statx(&rustix::fs::statx(folder, name, flags, wanted)?))
    }

    /// Of the folder above an open one, with how that is.
    pub(crate) fn above(fd: impl AsFd) -> io::Result<(Stat, Option<Birth>)> {
        let found = rustix::fs::statx(fd, c"..", AtFlags::empty(), StatxFlags::BASIC_STATS | StatxFlags::BTIME)?;
        Ok((Stat::from_statx(&found)?, Birth::from_statx(&found)))
    }

    fn from_statx(found: &Statx) -> Option<Birth> {
        let StatxTimestamp { tv_sec: secs, tv_nsec: nanos, .. } = found.stx_btime;
        let told = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME) && (secs, nanos) != (0, 0);
        let dev = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
        told.then_some(Birth { dev, ino: found.stx_ino, secs, nanos })
    }
}

impl Stat {
    /// Whether nothing was written between the two looks, as far as the kernel's clock can tell: inode, size, mtime and
    /// ctime are equal.
    pub fn same_content(&self, other: &Stat) -> bool {
        self.same_inode(other) && self.size == other.size && self.mtime == other.mtime && self.ctime == other.ctime
    }

    /// Whether both are one inode.
    pub fn same_inode(&self, other: &Stat) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }

    /// Whether more of it is holes than is not.
    pub fn is_hollow(&self) -> bool {
        self.blocks.saturating_mul(2 * 512) < self.size
    }

    /// Bytes that are allocated.
    pub fn allocated(&self) -> u64 {
        self.blocks.saturating_mul(512)
    }

    /// Whether fewer blocks are allocated than the size needs, so that it pays to ask for holes.
    pub fn is_sparse(&self) -> bool {
        self.allocated() < self.size
    }

    /// The metadata that a `Stat` holds, with this link text and these extended attributes.
    pub(crate) fn meta(&self, link: Box<[u8]>, xattrs: Xattrs) -> Meta {
        let Stat { kind, size, mode, uid, gid, mtime, device, .. } = *self;
        Meta { kind, size, mode, uid, gid, mtime, device, link, xattrs }
    }

    /// The line of a folder's listing, as `keep` sees it. `extra` is of [`Inside::extra`](crate::dir::Inside::extra).
    pub fn entry(&self, name: Name, extra: Digest, keep: Keep) -> Entry {
        let Stat { kind, size, mode, uid, gid, mtime, device, .. } = *self;
        let mut entry = Entry { name, kind, size, mode, uid, gid, mtime, device, extra, inexact: false };
        keep.project_entry(&mut entry);
        entry
    }

    pub(crate) fn of(fd: impl AsFd) -> io::Result<Stat> {
        Stat::from_kernel(&rustix::fs::fstat(fd)?)
    }

    /// The same with what tells the inode from all later ones.
    pub(crate) fn with_birth(fd: impl AsFd) -> io::Result<(Stat, Option<Birth>)> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let found = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, wanted)?;
        Ok((Stat::from_statx(&found)?, Birth::from_statx(&found)))
    }

    fn from_statx(found: &Statx) -> io::Result<Stat> {
        let time = |time: &StatxTimestamp| Time { secs: time.tv_sec, nanos: time.tv_nsec };
        let (kind, mode) = kind_and_mode(found.stx_mode.into())?;
        Ok(Stat {
            kind,
            size: if kind == Kind::File { found.stx_size } else { 0 },
            mode,
            uid: found.stx_uid,
            gid: found.stx_gid,
            mtime: time(&found.stx_mtime),
            ctime: time(&found.stx_ctime),
            dev: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
            ino: found.stx_ino,
            nlink: found.stx_nlink.into(),
            blocks: found.stx_blocks,
            device: match kind {
                Kind::CharDevice | Kind::BlockDevice => {
                    Device { major: found.stx_rdev_major, minor: found.stx_rdev_minor }
                }
                _ => Device::default(),
            },
        })
    }

    /// `None` when there is no entry of this name.
    pub(crate) fn at(folder: impl AsFd, name: &[u8]) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT) {
            Ok(stat) => Stat::from_kernel(&stat).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    #[allow(clippy::unnecessary_cast, reason = "the fields differ in type between architectures")]
    fn from_kernel(stat: &rustix::fs::Stat) -> io::Result<Stat> {
        let (kind, mode) = kind_and_mode(stat.st_mode as u32)?;
        let rdev = stat.st_rdev as u64;
        Ok(Stat {
            kind,
            size: if kind == Kind::File { stat.st_size as u64 } else { 0 },
            mode,
            uid: stat.st_uid as u32,
            gid: stat.st_gid as u32,
            mtime: Time { secs: stat.st_mtime as i64, nanos: stat.st_mtime_nsec as u32 },
            ctime: Time { secs: stat.st_ctime as i64, nanos: stat.st_ctime_nsec as u32 },
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            nlink: stat.st_nlink as u64,
            blocks: stat.st_blocks as u64,
            device: match kind {
                Kind::CharDevice | Kind::BlockDevice => {
                    Device { major: rustix::fs::major(rdev), minor: rustix::fs::minor(rdev) }
                }
                _ => Device::default(),
            },
        })
    }
}

fn kind_and_mode(mode: u32) -> io::Result<(Kind, u32)> {
    let kind = kind_of(FileType::from_raw_mode(mode))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "is of a kind that Linux does not define"))?;
    Ok((kind, if kind == Kind::Symlink { 0 } else { mode & 0o7777 }))
}

/// `None` where the file system does not say.
pub(crate) fn kind_of(kind: FileType) -> Option<Kind> {
    Some(match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Unknown => return None,
    })
}
