//! inotify, thin: watches on held folders, events as the kernel gives them.
//!
//! Used by pushd's watcher, which knows what they mean. Nothing is paired, merged or looked up here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use inotify::{EventMask, WatchMask, Watches};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::dir::Dir;
use crate::mounts::Changes;
use crate::procfs::ProcPath;

/// Bytes read at a time: about 8,000 events.
const BUFFER: usize = 256 * 1024;

/// The kernel's number of a watch: one for each folder, given again only after `ignored`.
pub type Watch = i32;

/// A queue of events. Never blocks.
#[derive(Debug)]
pub struct Inotify {
    queue: inotify::Inotify,
    watches: Mutex<Watches>,
    buffer: Vec<u8>,
    signal: Arc<Signal>,
}

/// Tells that there is something to read, also to somebody who does not hold the queue.
#[derive(Debug)]
pub struct Signal {
    queue: OwnedFd,
    /// What is mounted; `None` where the kernel does not tell.
    mounts: Option<Changes>,
    mounted: AtomicBool,
}

/// An event as the kernel gives it; its bytes live as long as the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a> {
    /// The watched folder; -1 with [`What::overflow`].
    pub watch: Watch,
    /// The bits of inotify(7), of which several may be set.
    pub what: What,
    /// Equal on both halves of a rename; else 0.
    pub cookie: u32,
    /// The entry in the folder; `None` when it is the folder itself.
    pub name: Option<&'a [u8]>,
}

/// What an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct What(EventMask);

impl What {
    /// An entry was made, linked, or is a new folder.
    pub fn created(self) -> bool {
        self.0.contains(EventMask::CREATE)
    }

    /// An entry was removed.
    pub fn deleted(self) -> bool {
        self.0.contains(EventMask::DELETE)
    }

    /// A file was written or cut.
    pub fn modified(self) -> bool {
        self.0.contains(EventMask::MODIFY)
    }

    /// A file that was open for writing was closed.
    pub fn closed_write(self) -> bool {
        self.0.contains(EventMask::CLOSE_WRITE)
    }

    /// Metadata changed: mode, owner, times, extended attributes, number of links.
    pub fn attributes(self) -> bool {
        self.0.contains(EventMask::ATTRIB)
    }

    /// The first half of a rename.
    pub fn moved_from(self) -> bool {
        self.0.contains(EventMask::MOVED_FROM)
    }

    /// The second half.
    pub fn moved_to(self) -> bool {
        self.0.contains(EventMask::MOVED_TO)
    }

    /// The watched folder itself was removed.
    pub fn self_deleted(self) -> bool {
        self.0.contains(EventMask::DELETE_SELF)
    }

    /// The watched folder itself was renamed.
    pub fn self_moved(self) -> bool {
        self.0.contains(EventMask::MOVE_SELF)
    }

    /// The event is about a folder.
    pub fn is_dir(self) -> bool {
        self.0.contains(EventMask::ISDIR)
    }

    /// The queue was full: events are lost, of any watch.
    pub fn overflow(self) -> bool {
        self.0.contains(EventMask::Q_OVERFLOW)
    }

    /// The watch is gone; its number may be given again.
    pub fn ignored(self) -> bool {
        self.0.contains(EventMask::IGNORED)
    }

    /// The file system of the watched folder was unmounted.
    pub fn unmounted(self) -> bool {
        self.0.contains(EventMask::UNMOUNT)
    }
}

impl Inotify {
    /// A new queue.
    ///
    /// # Errors
    /// When the user has too many, or too much is open: see [`Exhausted`].
    pub fn new() -> io::Result<Inotify> {
        let queue = inotify::Inotify::init()?;
        let watches = Mutex::new(queue.watches());
        let mounts = Changes::open().ok();
        let signal = Signal { queue: queue.as_fd().try_clone_to_owned()?, mounts, mounted: AtomicBool::new(false) };
        Ok(Inotify { queue, watches, buffer: vec![0; BUFFER], signal: Arc::new(signal) })
    }

    /// What to wait at.
    pub fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// Watches a folder for all that changes in it and to it. The same folder again gives the same number.
    ///
    /// # Errors
    /// `ENOSPC` (`StorageFull`) when the user has too many watches (see [`watch_limit`]); `NotFound` when the folder was
    /// removed.
    pub fn add(&self, dir: &Dir) -> io::Result<Watch> {
        let mask = WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MODIFY
            | WatchMask::CLOSE_WRITE
            | WatchMask::ATTRIB
            | WatchMask::MOVE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        let path = ProcPath::of(dir.fd());
        let path = Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()));
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(watches.add(path, mask)?.get_watch_descriptor_id())
    }

    /// Drops a watch; one that is gone already is dropped. `ignored` follows.
    pub fn remove(&self, watch: Watch) -> io::Result<()> {
        // By its number: a descriptor of the crate for each watch would be as much memory as all else that is kept of it.
        match rustix::fs::inotify::remove_watch(&self.queue, watch) {
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Hands over the events of one read, without waiting. Returns how many; 0 when there are none.
    pub fn read(&mut self, mut each: impl FnMut(Raw<'_>)) -> io::Result<usize> {
        let events = loop {
            match self.queue.read_events(&mut self.buffer) {
                Ok(events) => break events,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let mut count = 0;
        for event in events {
            count += 1;
            let watch = event.wd.get_watch_descriptor_id();
            let what = What(event.mask);
            each(Raw { watch, what, cookie: event.cookie, name: event.name.map(OsStrExt::as_bytes) });
        }
        Ok(count)
    }
}

impl Signal {
    /// Whether a wait ends when something is mounted or unmounted anywhere.
    pub fn tells_mounts(&self) -> bool {
        self.mounts.is_some()
    }

    /// Whether it did, since the last call.
    pub fn mounts_changed(&self) -> bool {
        self.mounted.swap(false, Ordering::Relaxed)
    }

    /// Waits for an event, for `also` to become readable, or for a change of what is mounted. `false` when the time is over or
    /// a signal came.
    pub fn wait(&self, timeout: Option<Duration>, also: Option<BorrowedFd<'_>>) -> io::Result<bool> {
        let mut fds = vec![PollFd::from_borrowed_fd(self.queue.as_fd(), PollFlags::IN)];
        fds.extend(self.mounts.as_ref().map(Changes::polled));
        fds.extend(also.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        match rustix::event::poll(&mut fds, timespec(timeout).as_ref()) {
            Ok(ready) => {
                // The kernel says so once for each change.
                if self.mounts.is_some() && fds[1].revents().intersects(PollFlags::PRI) {
                    self.mounted.store(true, Ordering::Relaxed);
                }
                Ok(ready > 0)
            }
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Waits until it can be read. `false` when the time is over or a signal came.
pub fn wait_readable(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    wait_any(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], timeout)
}

/// The same, or until something is mounted or unmounted. Returns whether it was.
///
/// # Errors
/// Of the operating system.
pub fn wait_remounted(fd: BorrowedFd<'_>, mounts: &Changes, timeout: Option<Duration>) -> io::Result<bool> {
    let mut fds = [mounts.polled(), PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    wait_any(&mut fds, timeout)?;
    Ok(fds[0].revents().intersects(PollFlags::PRI))
}

fn wait_any(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<bool> {
    match rustix::event::poll(fds, timespec(timeout).as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn timespec(timeout: Option<Duration>) -> Option<Timespec> {
    timeout.map(|time| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    })
}

/// What the kernel has none left of, when nothing can be watched. It shows as half a sentence, with the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// Queues: the user has as many as there may be.
    #[error(
        "the instances of inotify that this user may have ({limit}) are all taken; to allow more: \
         sysctl -w fs.inotify.max_user_instances={}", .limit.saturating_mul(4).max(1024)
    )]
    Instances {
        /// How many there may be.
        limit: u64,
    },
    /// Watches: the same.
    #[error(
        "the watches that this user may have ({limit}) are all taken; to allow more: \
         sysctl -w fs.inotify.max_user_watches={}", .limit.saturating_mul(4)
    )]
    Watches {
        /// How many there may be.
        limit: u64,
    },
    /// Open files of this process.
    #[error("too many files are open; to allow more: LimitNOFILE= of the unit, or ulimit -n")]
    Files,
}

impl Exhausted {
    /// What is used up, if that is why a queue could not be made or a folder not be watched.
    pub fn of(error: &io::Error) -> Option<Exhausted> {
        match error.raw_os_error().map(Errno::from_raw_os_error)? {
            Errno::NOSPC => Some(Exhausted::Watches { limit: watch_limit().unwrap_or_default() }),
            // The kernel gives the same error for instances and for open files, and a queue of ours opens more files than its
            // instance. Where there is a pipe to be had, which takes two files, and no instance, it is instances that lack.
            Errno::MFILE if inotify::Inotify::init().is_err() && io::pipe().is_ok() => {
                Some(Exhausted::Instances { limit: instance_limit().unwrap_or_default() })
            }
            Errno::MFILE | Errno::NFILE => Some(Exhausted::Files),
            _ => None,
        }
    }
}

/// How many queues a user may have: the smaller of `fs.inotify.max_user_instances` and `user.max_inotify_instances`.
/// `None` where the kernel does not say.
pub fn instance_limit() -> Option<u64> {
    let limits = ["/proc/sys/fs/inotify/max_user_instances", "/proc/sys/user/max_inotify_instances"];
    limits.into_iter().filter_map(number).min()
}

/// How many folders a user may watch: the smaller of `fs.inotify.max_user_watches` and `user.max_inotify_watches`.
/// `None` where the kernel does not say.
pub fn watch_limit() -> Option<u64> {
    let limits = ["/proc/sys/fs/inotify/max_user_watches", "/proc/sys/user/max_inotify_watches"];
    limits.into_iter().filter_map(number).min()
}

/// How many events a queue holds: `fs.inotify.max_queued_events`.
pub fn queue_limit() -> Option<u64> {
    number("/proc/sys/fs/inotify/max_queued_events")
}

fn number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
