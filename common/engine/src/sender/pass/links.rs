//! Files with several names, as a pass meets them. The target is to have the content of each once, under one name, to which the
//! others are linked: what is known of their names at the target says which that is, and whether the content is to be sent
//! under it before.

use std::collections::{HashMap, HashSet};

use proto::RelPath;

use super::Difference;
use crate::view::{Inode, Node};

/// What becomes of the names of a file at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sender) enum Mates {
    /// They are joined there.
    Joined,
    /// Each is a file of its own there.
    Separate,
}

/// What is known of a name at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sender) enum Standing {
    /// No comparison has found that it is another.
    Alike,
    Metadata,
    Content,
    Missing,
    /// Nothing, or that it cannot have the file.
    Unknown,
    /// A folder stands there in the way, and stays for all that is known.
    Barred,
}

impl From<Difference> for Standing {
    fn from(difference: Difference) -> Standing {
        match difference {
            Difference::Missing => Standing::Missing,
            Difference::Content | Difference::Inexact => Standing::Content,
            Difference::Metadata => Standing::Metadata,
        }
    }
}

/// A file of which the pass has met names: it is gone when they are told.
struct Group {
    /// As it was when its content was sent, or when it was met first.
    inode: Inode,
    /// In the order in which something was found out of them: the last of a name counts.
    names: Vec<(RelPath, Standing)>,
    /// Whether any of them is known to be other than alike.
    differs: bool,
    /// The name under which it was sent.
    sent: Option<RelPath>,
    /// The name that is tried now, and how many were.
    tried: Option<RelPath>,
    tries: u32,
    /// It is sent later, by other work, which joins the names.
    left: bool,
}

/// A file whose names are to be told.
pub(in crate::sender) struct Told {
    pub inode: Inode,
    pub names: Vec<RelPath>,
    /// A name under which the target has it, as far as is known.
    pub good: Option<RelPath>,
}

/// All of them that a pass has met.
#[derive(Default)]
pub(in crate::sender) struct Links {
    groups: HashMap<Node, Group>,
    /// Those that are counted: all of them stand in `groups`, or will.
    counted: HashSet<Node>,
    /// Whether the target has any of their names otherwise.
    any_differ: bool,
    /// Whether those were told that the target lacks, and which they were.
    has_told: bool,
    chosen: Vec<Node>,
}

impl Group {
    fn new(inode: Inode) -> Group {
        Group { inode, names: Vec::new(), differs: false, sent: None, tried: None, tries: 0, left: false }
    }

    fn note(&mut self, path: RelPath, standing: Standing) {
        self.differs |= standing != Standing::Alike;
        self.names.push((path, standing));
    }

    /// Each name once, in order, with what is known of it now.
    fn tidy(&mut self) {
        if !self.names.is_sorted_by(|(a, _), (b, _)| a < b) {
            // Of equal ones the later come first, and the first stays.
            self.names.reverse();
            self.names.sort_by(|(a, _), (b, _)| a.cmp(b));
            self.names.dedup_by(|(later, _), (first, _)| later == first);
        }
    }

    /// Whether the target is to get it under one of the names first. To be asked when it is tidy.
    fn lacks(&self) -> bool {
        let has = |alike: Standing| self.names.iter().any(|(_, standing)| *standing == alike);
        let may = [Standing::Metadata, Standing::Content, Standing::Missing].into_iter().any(has);
        !self.left && self.sent.is_none() && may && !has(Standing::Alike)
    }
}

impl Links {
    /// Whether the target may have any of their names otherwise.
    pub fn any_differ(&self) -> bool {
        self.any_differ
    }

    fn group(&mut self, inode: Inode) -> &mut Group {
        self.groups.entry(inode.node()).or_insert_with(|| Group::new(inode))
    }

    /// A name was listed, and is to be compared.
    pub fn met(&mut self, inode: Inode, path: RelPath) {
        self.group(inode).note(path, Standing::Alike);
    }

    /// The target has something else under this name, or nothing, or it is not known what.
    pub fn differs(&mut self, inode: Inode, path: RelPath, standing: Standing) {
        self.any_differ = true;
        self.group(inode).note(path, standing);
    }

    /// It was sent under this name.
    pub fn sent(&mut self, inode: Inode, path: RelPath) {
        let group = self.group(inode);
        if group.sent.as_ref() == Some(&path) {
            return;
        }
        (group.inode, group.sent) = (inode, Some(path.clone()));
        group.note(path, Standing::Alike);
    }

    /// Whether a name that is looked at waits: another is sent, or it is not known yet under which the target may have the
    /// file. `at_once` says that the target has it under none.
    pub fn defers(&mut self, inode: Inode, path: &RelPath, at_once: bool) -> bool {
        self.any_differ = true;
        let group = self.group(inode);
        if [&group.sent, &group.tried].into_iter().flatten().any(|name| name == path) {
            return false;
        }
        let first = at_once && group.sent.is_none() && group.tried.is_none();
        if first {
            group.tried = Some(path.clone());
        }
        group.note(path.clone(), if first { Standing::Unknown } else { Standing::Missing });
        !first
    }

    /// The target has refused it under this name. Whether it was sent under that one in this pass.
    pub fn refused(&mut self, node: Node, path: &RelPath) -> bool {
        let Some(group) = self.groups.get_mut(&node) else { return false };
        group.note(path.clone(), Standing::Unknown);
        let was = group.sent.take_if(|sent| sent == path).is_some();
        was || group.tried.as_ref() == Some(path)
    }

    /// Other work sends it, and joins its names.
    pub fn leave(&mut self, node: Node) {
        if let Some(group) = self.groups.get_mut(&node) {
            group.left = true;
        }
    }

    /// Files that the target has under none of their names, as far as is known, in order; the first is last. Of those that it
    /// has told before.
    pub fn lacking(&mut self) -> Vec<Node> {
        let chosen = std::mem::take(&mut self.chosen);
        let nodes = match self.has_told {
            true => chosen,
            false => self.groups.iter().filter(|(_, group)| group.differs).map(|(node, _)| *node).collect(),
        };
        self.has_told = true;
        let mut lacking = Vec::new();
        for node in nodes {
            let Some(group) = self.groups.get_mut(&node).filter(|group| group.sent.is_none()) else { continue };
            group.tidy();
            if group.lacks() {
                lacking.push((group.names.first().map(|(name, _)| name.clone()), node));
            }
        }
        lacking.sort_unstable_by(|a, b| b.cmp(a));
        self.chosen = lacking.iter().map(|(_, node)| *node).collect();
        self.chosen.clone()
    }

    /// Under which names it may be sent, best first: where metadata alone may be needed, or some of the content.
    pub fn candidates(&self, node: Node) -> impl Iterator<Item = (&RelPath, Difference)> {
        let order = [
            (Standing::Metadata, Difference::Metadata),
            (Standing::Content, Difference::Content),
            (Standing::Missing, Difference::Missing),
        ];
        let group = self.groups.get(&node);
        order.into_iter().flat_map(move |(like, difference)| {
            let names = group.into_iter().flat_map(|group| &group.names);
            names.filter(move |(_, standing)| *standing == like).map(move |(name, _)| (name, difference))
        })
    }

    /// What it was when it was met, and under how many names it was tried.
    pub fn inode(&self, node: Node) -> Option<(Inode, u32)> {
        self.groups.get(&node).map(|group| (group.inode, group.tries))
    }

    /// All its names that were met, some perhaps twice.
    pub fn names(&self, node: Node) -> impl Iterator<Item = &RelPath> {
        self.groups.get(&node).into_iter().flat_map(|group| &group.names).map(|(name, _)| name)
    }

    /// It is tried under this name.
    pub fn tries(&mut self, node: Node, path: &RelPath) {
        let Some(group) = self.groups.get_mut(&node) else { return };
        (group.tried, group.tries) = (Some(path.clone()), group.tries + 1);
        match group.names.binary_search_by(|(name, _)| name.cmp(path)) {
            Ok(at) => group.names[at].1 = Standing::Unknown,
            Err(_) => group.note(path.clone(), Standing::Unknown),
        }
    }

    /// This file with several names is counted. Whether it was not yet, under another of them.
    pub fn count_once(&mut self, node: Node) -> bool {
        self.counted.insert(node)
    }

    /// Takes all of them out, in order of their names; the first is last.
    pub fn take(&mut self) -> Vec<Told> {
        let told = |mut group: Group| {
            group.tidy();
            group.names.retain(|(_, standing)| *standing != Standing::Barred);
            let good =
                group.names.iter().find(|(_, standing)| *standing == Standing::Alike).map(|(name, _)| name.clone());
            let good = group.sent.or(good).filter(|_| !group.left);
            Told { inode: group.inode, names: group.names.into_iter().map(|(name, _)| name).collect(), good }
        };
        let mut all: Vec<_> = std::mem::take(&mut self.groups).into_values().map(told).collect();
        all.retain(|told| !told.names.is_empty());
        all.sort_unstable_by(|a, b| b.names.cmp(&a.names));
        all
    }
}
