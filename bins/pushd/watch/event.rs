//! One event of the kernel in our own words, so that what follows can be tested without a kernel.

use std::time::Instant;

use proto::Name;
use sys::inotify::{Raw, Watch};

/// A name in a watched folder. It stays right when a folder above it is renamed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The watch of the folder.
    pub parent: Watch,
    /// The name in it.
    pub name: Name,
}

/// What the kernel said of the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    Folder,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The name appeared: made or linked.
    Created,
    Deleted,
    /// First half of a rename.
    MovedFrom {
        /// The same in both halves.
        cookie: u32,
        /// All that happened before this moment had been read before this event.
        since: Instant,
    },
    /// Second half of a rename.
    MovedTo {
        /// The same in both halves.
        cookie: u32,
    },
    /// A file was closed that was open for writing.
    Written,
    /// A file was written or cut, and may still be open.
    Writing,
    /// Mode, owner, times, extended attributes or the number of links changed.
    Attributes,
    /// The watched folder itself is gone.
    SelfDeleted,
    /// The watched folder itself was renamed; follows the two halves of that rename.
    SelfMoved,
    /// The watch is gone.
    Ignored,
    /// The file system of the watched folder was unmounted; the watch is gone.
    Unmounted,
    /// The kernel's queue was full: events were lost.
    Overflow,
}

/// One event of a watched folder, or of an entry in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The watched folder; -1 for an overflow.
    pub watch: Watch,
    /// The name in it; `None`: the folder itself.
    pub name: Option<Name>,
    pub change: Change,
    pub object: Object,
}

impl Event {
    /// Translates; `None` for what says nothing to us. `since`: when the queue was last seen empty.
    pub fn from_raw(raw: &Raw<'_>, since: Instant) -> Option<Event> {
        let what = raw.what;
        let change = if what.overflow() {
            Change::Overflow
        } else if what.moved_from() {
            Change::MovedFrom { cookie: raw.cookie, since }
        } else if what.moved_to() {
            Change::MovedTo { cookie: raw.cookie }
        } else if what.created() {
            Change::Created
        } else if what.deleted() {
            Change::Deleted
        } else if what.closed_write() {
            Change::Written
        } else if what.modified() && !what.is_dir() {
            Change::Writing
        } else if what.attributes() || what.modified() {
            // Nobody writes to a folder: so the kernel tells of an mtime that was set without the atime.
            Change::Attributes
        } else if what.self_deleted() {
            Change::SelfDeleted
        } else if what.self_moved() {
            Change::SelfMoved
        } else if what.unmounted() {
            Change::Unmounted
        } else if what.ignored() {
            Change::Ignored
        } else {
            return None;
        };
        let name = match raw.name {
            None | Some(b"") => None,
            Some(bytes) => Some(Name::parse(bytes).ok()?),
        };
        let object = if what.is_dir() { Object::Folder } else { Object::Other };
        Some(Event { watch: raw.watch, name, change, object })
    }

    /// The name it is about; `None` when it is about the watched folder itself.
    pub fn place(&self) -> Option<Spot> {
        Some(Spot { parent: self.watch, name: self.name.clone()? })
    }
}
