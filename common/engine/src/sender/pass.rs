//! One comparison of a folder or a whole subtree with the target: list here, compare digests, look at what differs, then
//! delete what is not here. Holds the state of it; the session moves it on.

use std::collections::{BTreeMap, HashMap, HashSet};

use proto::{Entry, Kind, Name, RelPath};

use crate::mirror::Round;
use crate::view::{Inode, Listing};

/// How far down a pass goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The folder's own listing.
    Folder,
    /// All beneath.
    Subtree,
}

/// Where a pass is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Listing and comparing.
    Comparing,
    /// Asking how much a deletion would take.
    Counting,
    /// Deleting.
    Deleting,
    /// Naming hard-link groups.
    Linking,
}

/// How well it is known how much would be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    /// By the listings; folders that moved meanwhile may have been met twice.
    Estimated,
    /// By asking for every entry and for the whole, at one moment.
    Counted,
}

/// What is at the target and not here, or stands there in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extra {
    pub path: RelPath,
    pub kind: Kind,
}

/// What to do about one entry that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Difference {
    /// The target has none.
    Missing,
    /// The target has another content or kind.
    Content,
    /// The target has it with other metadata.
    Metadata,
}

/// The outcome of comparing one folder; all in order of names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Differences {
    pub looks: Vec<(Name, Kind, Difference)>,
    pub extras: Vec<(Name, Kind)>,
    /// Entries of the target that have a place here.
    pub matched: u64,
}

/// See the module.
pub(super) struct Pass {
    pub root: RelPath,
    pub reach: Reach,
    pub stage: Stage,
    /// What is noted of entries since it began is of this round, or later.
    pub round: Round,
    /// Folders queued for listing or being listed.
    pub listing: usize,
    /// Folders compared and not answered, by the number of the operation.
    pub comparing: HashMap<u64, Compared>,
    /// The same by path.
    pub asked_at: BTreeMap<RelPath, u64>,
    /// Folders in which, and beneath which, the target has nothing.
    pub blank: HashSet<RelPath>,
    /// Looks queued and uploads under way.
    pub looking: usize,
    pub extras: Vec<Extra>,
    /// Folders whose size is still to be asked for.
    pub to_count: Vec<RelPath>,
    /// Questions of size not answered, by the number of the operation.
    pub counting: HashSet<u64>,
    /// Number of the question for the size of the whole backup, and its answer.
    pub total: (Option<u64>, u64),
    pub deletes: u64,
    pub certainty: Certainty,
    pub matched: u64,
    /// Files with more than one name, by device and inode number, and the names met.
    pub groups: HashMap<(u64, u64), (Inode, Vec<RelPath>)>,
    /// Those of them that are still to be told to the target.
    pub to_name: Vec<(Inode, Vec<RelPath>)>,
    /// Whether the root of the source has no entries.
    pub empty: bool,
    /// Whether an event said that the last entry of the root is gone.
    pub told: bool,
}

/// A folder whose digest was sent.
pub(super) struct Compared {
    pub path: RelPath,
    pub here: Listing,
    /// Files in it under whose names the target has others, whatever their size and time.
    pub others: Vec<Name>,
    /// The parts of the target's listing so far.
    pub there: Vec<Entry>,
}

impl Pass {
    pub fn new(root: RelPath, reach: Reach, round: Round) -> Pass {
        Pass {
            root,
            reach,
            stage: Stage::Comparing,
            round,
            listing: 0,
            comparing: HashMap::new(),
            asked_at: BTreeMap::new(),
            blank: HashSet::new(),
            looking: 0,
            extras: Vec::new(),
            to_count: Vec::new(),
            counting: HashSet::new(),
            total: (None, 0),
            deletes: 0,
            certainty: Certainty::Estimated,
            matched: 0,
            groups: HashMap::new(),
            to_name: Vec::new(),
            empty: false,
            told: false,
        }
    }

    /// A name of a file that has more than one.
    pub fn meet(&mut self, inode: Inode, path: RelPath) {
        let (_, names) = self.groups.entry((inode.dev, inode.ino)).or_insert_with(|| (inode, Vec::new()));
        if names.last() != Some(&path) {
            names.push(path);
        }
    }

    /// Whether it sees the whole source.
    pub fn is_full(&self) -> bool {
        self.root.is_root() && self.reach == Reach::Subtree
    }

    /// Whether all folders are listed, compared and answered.
    pub fn is_compared(&self) -> bool {
        self.listing == 0 && self.comparing.is_empty()
    }

    /// Whether the size of all deletions is known.
    pub fn is_counted(&self) -> bool {
        self.to_count.is_empty() && self.counting.is_empty() && self.total.0.is_none()
    }

    /// Entries of the whole backup before the pass deletes any.
    pub fn backup(&self) -> u64 {
        if self.is_full() && self.certainty == Certainty::Estimated {
            self.matched + self.deletes
        } else {
            self.total.1
        }
    }
}

/// Compares a folder here with the target's listing, both in order of names. An entry that is skipped here keeps its
/// copy there.
pub(super) fn compare(here: &Listing, there: &[Entry]) -> Differences {
    let mut found = Differences::default();
    let mut theirs = there.iter().peekable();
    for ours in &here.entries {
        while let Some(extra) = theirs.next_if(|theirs| theirs.name < ours.name) {
            found.extra(here, extra);
        }
        let Some(same) = theirs.next_if(|theirs| theirs.name == ours.name) else {
            found.looks.push((ours.name.clone(), ours.kind, Difference::Missing));
            continue;
        };
        if same.kind == Kind::Dir && ours.kind != Kind::Dir {
            // A folder in the way goes with all that is in it: a deletion first.
            found.extras.push((same.name.clone(), same.kind));
            continue;
        }
        found.matched += 1;
        if same == ours {
            continue;
        }
        let fits = same.kind == ours.kind && same.size == ours.size && same.mtime == ours.mtime;
        let difference = if fits || ours.kind != Kind::File { Difference::Metadata } else { Difference::Content };
        found.looks.push((ours.name.clone(), ours.kind, difference));
    }
    for extra in theirs {
        found.extra(here, extra);
    }
    found
}

impl Differences {
    fn extra(&mut self, here: &Listing, extra: &Entry) {
        if here.skipped.binary_search_by(|(name, _)| name.cmp(&extra.name)).is_ok() {
            self.matched += 1;
        } else {
            self.extras.push((extra.name.clone(), extra.kind));
        }
    }
}
