//! Where to look, never what happened: the truth is found by looking at the disk.

use std::ops::BitOr;
use std::time::Instant;

use proto::RelPath;

/// A reason to look somewhere at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// At this one entry.
    Entry {
        /// From the source's root.
        path: RelPath,
        /// What was noticed of it; more is added while it waits.
        cause: Cause,
    },
    /// At the listing of this folder, not deeper.
    Folder {
        /// From the source's root; folders in it are not looked into.
        path: RelPath,
    },
    /// At this entry and all that is beneath it.
    Subtree {
        /// From the source's root, which stands for all that there is.
        path: RelPath,
    },
    /// What stood at `from` has moved to `to`.
    Renamed {
        /// Where it stood before.
        from: RelPath,
        /// Where it went; what stood there before is replaced.
        to: RelPath,
        /// Whether it is a folder.
        folder: bool,
        /// A moment before the rename happened, as late as the watcher can tell: everything that happened before it
        /// has been hinted already. What was looked at after it may have been looked at under the wrong name.
        since: Instant,
    },
}

/// Why to look at an entry: a set of reasons, as hints at one path merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cause(u16);

impl Cause {
    /// The name appeared, and nothing had it before: what vanishes again before it was looked at was never there.
    pub const CREATED: Cause = Cause(1);
    /// A program that wrote to it has closed it.
    pub const WRITTEN: Cause = Cause(2);
    /// Its content was written, and the file is still open.
    pub const WRITING: Cause = Cause(4);
    /// Mode, owner, times, xattrs or the link count changed.
    pub const ATTRIBUTES: Cause = Cause(8);
    /// The name was seen to vanish: only then is a look that finds nothing a deletion.
    pub const GONE: Cause = Cause(16);
    /// A folder in which a name appeared or vanished: its own mtime changed.
    pub const ENTRIES: Cause = Cause(32);
    /// With `GONE`: it was a folder, and went with all that was in it, of which nothing else tells.
    pub const WITH_ALL: Cause = Cause(8192);

    /// What stood here has moved away: finding nothing needs no other explanation.
    pub(crate) const VACATED: Cause = Cause(64);
    /// A look found nothing here, and no event has told of a deletion or a rename.
    pub(crate) const LOST: Cause = Cause(128);
    /// Other names of the file are looked at by themselves, or need not be. It is no reason to look, and is dropped where a
    /// reason without it is added.
    pub(crate) const ALONE: Cause = Cause(256);
    /// The target does not join this name with the others of its file, as it has been tried: it gets a file of its own. Like
    /// `ALONE` it is no reason to look, and is dropped where a reason without it is added.
    pub(crate) const APART: Cause = Cause(512);
    /// With `APART`: its file has more names than can be told together, which is no doing of the target. What is sent of this
    /// one counts by itself.
    pub(crate) const CROWDED: Cause = Cause(16384);
    /// That it is gone was weighed already, or a person has let it go.
    pub(crate) const RELEASED: Cause = Cause(1024);
    /// Something stood here that was seen to go, and the target has it as it was last: that it went was never told.
    pub(crate) const REBUILT: Cause = Cause(2048);
    /// What is not in this folder any more was seen to go.
    pub(crate) const CLEARED: Cause = Cause(4096);

    /// Whether any of `other` is in it.
    pub fn has(self, other: Cause) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing but (some of) `other` is in it.
    pub fn only(self, other: Cause) -> bool {
        self.without(other | Cause::ALONE | Cause::APART | Cause::CROWDED) == Cause::default()
    }
}

impl Cause {
    /// Both, where `|` cannot be: in a constant.
    pub(crate) const fn and(self, other: Cause) -> Cause {
        Cause(self.0 | other.0)
    }

    /// Those of these reasons that are among `other`.
    pub(crate) const fn among(self, other: Cause) -> Cause {
        Cause(self.0 & other.0)
    }

    /// These reasons but for `other`.
    pub(crate) fn without(self, other: Cause) -> Cause {
        Cause(self.0 & !other.0)
    }
}

impl BitOr for Cause {
    type Output = Cause;

    fn bitor(self, other: Cause) -> Cause {
        Cause(self.0 | other.0)
    }
}
