//! An open folder: every operation takes single names, follows no link and opens nothing that could block.
//!
//! Made by [`Tree::dir`](crate::Tree::dir). The engine reads, compares and renames through it; what it puts in place
//! comes from a [`Stage`](crate::Stage).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use proto::{Digest, Invalid, Keep, Kind, Meta, Name, Time, digest};
use rustix::fs::{AtFlags, OFlags};

use crate::calls::{self, What};
use crate::cwd::Visit;
use crate::far;
use crate::faults::{self, Verb};
use crate::file::File;
use crate::found::{Found, NOT_REGULAR, existing, reopen};
use crate::listing::{self, Line};
use crate::metadata::{self, On};
use crate::moves::{self, At};
use crate::procfs::ProcPath;
use crate::resolve::Reach;
use crate::stat::{Birth, Stat};
use crate::xattr::{self, Attributes, Of};

/// A folder by its descriptor: it stays the same one whatever becomes of its name.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    pub(crate) reach: Reach,
    /// Whoever lists it: all read from one position.
    listing: Mutex<()>,
}

/// What stands in a folder, as [`Dir::list`] tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Never `.` or `..`.
    pub name: Name,
    /// Inode number; of the folder beneath where something is mounted.
    pub ino: u64,
    /// `None` where the file system does not say: look it up.
    pub kind: Option<Kind>,
}

/// What stands in a listing for the link text and the extended attributes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extra {
    /// Of those that are kept.
    pub digest: Digest,
    /// Whether it is [marked](crate::StagedFile::mark_inexact) as one whose content is not of one moment.
    pub inexact: bool,
}

/// A folder that the calling thread may be in.
#[derive(Debug)]
pub struct Inside<'a> {
    dir: &'a Dir,
    visit: Visit,
}

impl Inside<'_> {
    /// What stands in a listing for the link text and the extended attributes of `name`, of which
    /// [`lookup`](Dir::lookup) gave `stat`.
    ///
    /// RACE: they are of a later moment than `stat`.
    ///
    /// # Errors
    /// Of the operating system; `InvalidData` when the extended attributes pass the limits of the wire.
    pub fn extra(&self, name: &Name, stat: &Stat, keep: Keep) -> io::Result<Extra> {
        faults::ask(Verb::Read)?;
        let (link, Attributes { kept, inexact }) = self.dir.extra(self.visit.has_entered(), name, stat, keep)?;
        Ok(Extra { digest: digest::extra(&link, &kept), inexact })
    }
}

fn unnamable(name: &[u8], bad: Invalid) -> io::Error {
    let text = format!("holds a name that cannot be mirrored: '{}' {bad}", name.escape_ascii());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Dir {
    pub(crate) fn new(fd: OwnedFd, reach: Reach) -> Dir {
        Dir { fd, reach, listing: Mutex::default() }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What stands at a path beneath, which is not opened.
    pub(crate) fn handle(&self, path: &[u8]) -> io::Result<OwnedFd> {
        self.reach.handle(self.fd(), path)
    }

    pub(crate) fn at<'a>(&'a self, name: &'a Name) -> At<'a> {
        At { folder: self.fd.as_fd(), name: name.as_bytes() }
    }

    /// Of the folder itself.
    pub fn stat(&self) -> io::Result<Stat> {
        Stat::of(&self.fd)
    }

    /// What stands under the name; `None` when there is nothing.
    ///
    /// # Errors
    /// Of the operating system; `CrossesDevices` with [`Mounts::Stay`](crate::Mounts::Stay) where something is mounted that
    /// may never answer.
    pub fn lookup(&self, name: &Name) -> io::Result<Option<Stat>> {
        faults::ask(Verb::Look)?;
        let _call = calls::begin(What::Look, self.fd(), name.as_bytes());
        self.reach.look(self.fd(), name.as_bytes())
    }

    /// All entries but `.` and `..`, in the kernel's order.
    ///
    /// # Errors
    /// Of the operating system; `InvalidData` when the file system has a name that cannot travel (longer than 255
    /// bytes).
    pub fn list(&self) -> io::Result<Vec<Child>> {
        let mut children = Vec::new();
        self.each_line(|line| {
            let name = Name::parse(line.name).map_err(|bad| unnamable(line.name, bad))?;
            children.push(Child { name, ino: line.ino, kind: line.kind });
            Ok(())
        })?;
        Ok(children)
    }

    /// The names of its folders, and of what may be one, in the kernel's order. Nothing is held of the rest, which may be very
    /// much.
    ///
    /// # Errors
    /// As [`list`](Dir::list).
    pub fn folders(&self) -> io::Result<Vec<Name>> {
        let mut folders = Vec::new();
        self.each_line(|line| {
            if matches!(line.kind, None | Some(Kind::Dir)) {
                folders.push(Name::parse(line.name).map_err(|bad| unnamable(line.name, bad))?);
            }
            Ok(())
        })?;
        Ok(folders)
    }

    fn each_line(&self, each: impl FnMut(Line<'_>) -> io::Result<()>) -> io::Result<()> {
        faults::ask(Verb::List)?;
        if self.reach.stays() {
            far::learn_far();
        }
        let _call = calls::begin(What::List, self.fd(), b"");
        let _turn = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        listing::anew(self.fd.as_fd(), each)
    }

    /// The names of all that stands in it, one by one in the kernel's order: nothing of them is held.
    ///
    /// # Errors
    /// As [`list`](Dir::list).
    pub fn each_name(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        self.each_line(|line| {
            if line.name.len() > proto::limits::NAME {
                return Err(unnamable(line.name, Invalid::LongName));
            }
            each(line.name);
            Ok(())
        })
    }

    /// Whether it has no entries; reads no further than to the first.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn is_empty(&self) -> io::Result<bool> {
        let _turn = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut empty = true;
        // Any error ends the listing; this one says that there is an entry.
        let ended = listing::anew(self.fd.as_fd(), |_| {
            empty = false;
            Err(io::ErrorKind::Interrupted.into())
        });
        if empty { ended.map(|()| true) } else { Ok(false) }
    }

    /// A folder in it, under the rules of its tree.
    ///
    /// # Errors
    /// As [`Tree::dir`](crate::Tree::dir).
    pub fn open_dir(&self, name: &Name) -> io::Result<Dir> {
        let _call = calls::begin(What::Open, self.fd(), name.as_bytes());
        Ok(Dir::new(self.reach.folder(self.fd(), name.as_bytes())?, self.reach))
    }

    /// A regular file in it, for reading. Nothing else is ever opened: what stands there is held and looked at first.
    ///
    /// # Errors
    /// `InvalidInput` when it is not a regular file; else of the operating system.
    pub fn open_file(&self, name: &Name) -> io::Result<(File, Stat)> {
        faults::ask(Verb::Open)?;
        self.open_regular(name, OFlags::RDONLY)
    }

    /// The same, with one step less, for what [`lookup`](Dir::lookup) has just found to be a regular file.
    ///
    /// RACE: something else that takes its name in between is opened, without waiting for anybody, looked at and closed.
    ///
    /// # Errors
    /// As [`open_file`](Dir::open_file); `FilesystemLoop` for a link that has taken its name.
    pub fn open_found(&self, name: &Name) -> io::Result<(File, Stat)> {
        faults::ask(Verb::Open)?;
        let _call = calls::begin(What::Open, self.fd(), name.as_bytes());
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = self.reach.open(self.fd.as_fd(), name.as_bytes(), flags)?;
        let stat = Stat::of(&fd)?;
        if stat.kind != Kind::File {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, NOT_REGULAR));
        }
        Ok((File::new(fd), stat))
    }

    fn open_regular(&self, name: &Name, access: OFlags) -> io::Result<(File, Stat)> {
        let handle = self.reach.handle(self.fd.as_fd(), name.as_bytes())?;
        let stat = Stat::of(&handle)?;
        if stat.kind != Kind::File {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, NOT_REGULAR));
        }
        Ok((File::new(reopen(handle.as_fd(), access)?), stat))
    }

    /// For many entries, on a thread with a [current folder of its own](crate::cwd).
    pub fn inside(&self) -> Inside<'_> {
        Inside { dir: self, visit: Visit::to(self.fd.as_fd()) }
    }

    /// All metadata of `name`, of which [`lookup`](Dir::lookup) gave `stat`, as `keep` sees it.
    ///
    /// RACE: link text and extended attributes are of a later moment than `stat`.
    ///
    /// # Errors
    /// As [`Inside::extra`].
    pub fn meta(&self, name: &Name, stat: &Stat, keep: Keep) -> io::Result<Meta> {
        self.marked_meta(name, stat, keep).map(|(meta, _)| meta)
    }

    /// The same, and whether the content is [marked](crate::StagedFile::mark_inexact) as not being of one moment.
    ///
    /// # Errors
    /// As [`Inside::extra`].
    pub fn marked_meta(&self, name: &Name, stat: &Stat, keep: Keep) -> io::Result<(Meta, bool)> {
        faults::ask(Verb::Read)?;
        let (link, Attributes { kept, inexact }) = self.extra(false, name, stat, keep)?;
        let mut meta = stat.meta(link, kept);
        keep.project_meta(&mut meta);
        Ok((meta, inexact))
    }

    /// `here` says that this is the thread's current folder.
    fn extra(&self, here: bool, name: &Name, stat: &Stat, keep: Keep) -> io::Result<(Box<[u8]>, Attributes)> {
        let _call = calls::begin(What::Attributes, self.fd(), name.as_bytes());
        let link = match stat.kind {
            Kind::Symlink => rustix::fs::readlinkat(&self.fd, name.as_bytes(), Vec::new())?.into_bytes().into(),
            _ => Box::default(),
        };
        let found = match here {
            true => xattr::read(Of::Path(name.as_bytes()), keep)?,
            false => xattr::read(Of::Path(ProcPath::entry(self.fd.as_fd(), name.as_bytes()).as_bytes()), keep)?,
        };
        Ok((link, found))
    }

    /// Of the folder itself, as `keep` sees it.
    pub fn own_meta(&self, keep: Keep) -> io::Result<Meta> {
        let _call = calls::begin(What::Attributes, self.fd(), b"");
        let mut meta = self.stat()?.meta(Box::default(), xattr::read(Of::Fd(self.fd.as_fd()), keep)?.kept);
        keep.project_meta(&mut meta);
        Ok(meta)
    }

    /// Sets the folder's own mtime.
    pub fn set_mtime(&self, mtime: Time) -> io::Result<()> {
        faults::ask(Verb::Change)?;
        Ok(metadata::set_mtime(On::Fd(self.fd.as_fd()), mtime)?)
    }

    /// Sets the folder's own metadata, and removes the extended attributes of kept kinds that `meta` does not have.
    /// Returns what could not be set ("owner 33:33: Operation not permitted (os error 1)").
    ///
    /// # Errors
    /// Only of a failing disk or a read-only file system.
    pub fn set_meta(&self, meta: &Meta, keep: Keep) -> io::Result<Vec<String>> {
        faults::ask(Verb::Change)?;
        metadata::apply(On::Fd(self.fd.as_fd()), existing(&self.stat()?), meta, keep)
    }

    /// A regular file in it whose metadata may be set in place: held and looked at, so that nobody can put another one under
    /// the name between the look and what is set.
    ///
    /// # Errors
    /// `InvalidInput` when it is not a regular file; `NotFound`; else of the operating system.
    pub fn find(&self, name: &Name) -> io::Result<Found> {
        Found::of(self.handle(name.as_bytes())?)
    }

    /// The folder above it, whatever its name, with what tells that from all others.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn above(&self) -> io::Result<(Stat, Option<Birth>)> {
        Birth::above(&self.fd)
    }

    /// What tells the folder from all others, where the file system says it.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn birth(&self) -> io::Result<Option<Birth>> {
        Birth::of(&self.fd)
    }

    /// What stands at `name` stands at `to_name`, and no longer at `name`, also when both were names of one file.
    ///
    /// # Errors
    /// Of `rename(2)`: a folder in the way that is not empty, or of another kind, is not replaced
    /// ([`Stage::replace`](crate::Stage::replace) does that).
    pub fn rename(&self, name: &Name, to: &Dir, to_name: &Name) -> io::Result<()> {
        faults::ask(Verb::Change)?;
        moves::rename(self.at(name), to.at(to_name))?;
        self.part_from(name, to, to_name)
    }

    /// Between two names of one file the kernel renames nothing: the old one has to go by itself.
    fn part_from(&self, name: &Name, to: &Dir, to_name: &Name) -> io::Result<()> {
        let (Some(old), Some(new)) = (self.lookup(name)?, to.lookup(to_name)?) else { return Ok(()) };
        if !old.same_inode(&new) || old.kind == Kind::Dir || old.nlink < 2 {
            return Ok(());
        }
        if name == to_name && self.stat()?.same_inode(&to.stat()?) {
            return Ok(());
        }
        Ok(rustix::fs::unlinkat(&self.fd, name.as_bytes(), AtFlags::empty())?)
    }

    /// The two names swap what they stand for.
    pub fn exchange(&self, name: &Name, to: &Dir, to_name: &Name) -> io::Result<()> {
        faults::ask(Verb::Change)?;
        Ok(moves::exchange(self.at(name), to.at(to_name))?)
    }

    /// Waits until the folder's names survive a power cut.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// Waits until a regular file in it survives a power cut, after its metadata was set in place.
    pub fn sync_file(&self, name: &Name) -> io::Result<()> {
        let file = match self.open_regular(name, OFlags::RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => self.open_regular(name, OFlags::WRONLY),
            opened => opened,
        };
        Ok(rustix::fs::fsync(file?.0.fd())?)
    }
}
