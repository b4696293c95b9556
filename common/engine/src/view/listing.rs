//! What is in a folder of a view, in order of names, with the digest by which two sides compare it.

use proto::{Digest, Entry, Kind, Name, Time};
use sys::Stat;

use super::Rule;

/// One folder as a target should have it.
#[derive(Debug, Default)]
pub struct Listing {
    /// In order of names, without what is left out or could not be read.
    pub entries: Vec<Entry>,
    /// Which file each of `entries` is.
    pub nodes: Vec<Node>,
    /// Of all `entries`: equal folders have equal ones.
    pub digest: Digest,
    /// What has more than one name; folders never do.
    pub linked: Vec<(Name, Inode)>,
    /// What the target gets without setuid and setgid.
    pub setid: Vec<Name>,
    /// What is not mirrored, and why: not deleted at the target either, and named to the operator.
    pub skipped: Vec<(Name, Skipped)>,
}

/// The same without metadata, where there is nothing to compare it with.
#[derive(Debug)]
pub struct Names {
    /// In order of names.
    pub entries: Vec<(Name, Kind)>,
    /// The same as [`Listing::skipped`].
    pub skipped: Vec<(Name, Skipped)>,
}

/// Device and inode number: which file it is.
pub type Node = (u64, u64);

/// Which file it is, and what tells whether anything about it has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inode {
    /// Device of its file system.
    pub dev: u64,
    /// Inode number, which another file may have when this one is gone.
    pub ino: u64,
    /// How many names it has.
    pub nlink: u64,
    /// It changes with the content, the metadata and the names.
    pub ctime: Time,
}

/// Why an entry is not mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skipped {
    /// A rule leaves it out.
    Rule(Rule),
    /// It could not be read, in words.
    Trouble(String),
    /// The disk of the target cannot hold its name, or has another one for it; in words.
    Unheld(String),
}

impl Inode {
    /// The part of it that stays the same while the file exists.
    pub fn node(&self) -> Node {
        (self.dev, self.ino)
    }

    /// Of the file of which this was read.
    pub fn of(stat: &Stat) -> Inode {
        Inode { dev: stat.dev, ino: stat.ino, nlink: stat.nlink, ctime: stat.ctime }
    }
}

impl Listing {
    /// An entry, by name, and which file it is.
    pub fn find(&self, name: &Name) -> Option<(&Entry, Node)> {
        let at = self.entries.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        Some((&self.entries[at], self.nodes[at]))
    }

    /// Adds what was seen of names that come after these.
    pub(super) fn append(&mut self, mut part: Listing) {
        self.entries.append(&mut part.entries);
        self.nodes.append(&mut part.nodes);
        self.linked.append(&mut part.linked);
        self.setid.append(&mut part.setid);
        self.skipped.append(&mut part.skipped);
    }
}
