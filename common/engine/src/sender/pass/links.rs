//! Files with several names, as a pass meets them. The target is to have the content of each once, under one name, to which the
//! others are linked: what is known of their names at the target says which that is, and whether the content is to be sent
//! under it before.
//!
//! What is known of them has a bound. A file is known with all its names or with none: where there are too many, those files
//! whose numbers, mixed, come later are left, to be met again when the others are told. Of one that has too many names itself
//! no more are joined than there is room for: under each of the rest it is a file of its own.

mod group;
mod paths;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use group::{Group, mixed};
use paths::{Paths, Place};
use proto::RelPath;

use super::Difference;
use crate::view::{Inode, Node};

/// LIMIT: bytes that all passes together take for what they know of names of files with several: some hundred thousand files of
/// two names. With more all is listed again for the next ones.
pub(in crate::sender) const MOST: usize = 48 * 1024 * 1024;
/// LIMIT: files that are counted once. Those beyond are counted under each name.
const COUNTED: usize = 200_000;
/// The place in which no number is.
const END: u128 = 1 << 64;

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

/// What becomes of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    Kept,
    /// Its file is left for later.
    Later,
    /// Its file has too many of them.
    Crowded,
}

/// A file whose names are to be told.
pub(in crate::sender) struct Told {
    pub inode: Inode,
    pub names: Vec<RelPath>,
    /// A name under which the target has it, as far as is known.
    pub good: Option<RelPath>,
}

/// All of them that a pass has met.
pub(in crate::sender) struct Links {
    groups: HashMap<Node, Group>,
    /// The folders of their names.
    paths: Paths,
    /// Bytes that the groups take, and that all of it may take.
    bytes: usize,
    most: usize,
    /// Of those whose numbers come before they are told, and those after are left for later.
    from: u128,
    upto: u128,
    /// Whether any are left.
    any_left: bool,
    /// Whether any were told.
    any_taken: bool,
    /// Turns in a row in which none were.
    vain: u32,
    /// Whether some names are not told together with all the others of this pass.
    apart: bool,
    /// Those that are counted: all of them stand in `groups`, or will.
    counted: HashSet<Node>,
    /// Whether the target has any of their names otherwise.
    any_differ: bool,
    /// Whether those were told that the target lacks, and which they were.
    has_told: bool,
    chosen: Vec<Node>,
}

impl Links {
    pub fn new() -> Links {
        let (groups, paths, bytes, any_left, any_taken, apart, counted) = Default::default();
        let (vain, any_differ, has_told, chosen) = Default::default();
        let (most, from, upto) = (MOST, 0, END);
        Links {
            groups,
            paths,
            bytes,
            most,
            from,
            upto,
            any_left,
            any_taken,
            vain,
            apart,
            counted,
            any_differ,
            has_told,
            chosen,
        }
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        self.bytes + self.paths.bytes()
    }

    /// It may take so many.
    pub fn may_take(&mut self, most: usize) {
        self.most = most;
    }

    /// Whether files were met that are left for later.
    pub fn are_left(&self) -> bool {
        self.any_left
    }

    /// Whether all names that were met are told together.
    pub fn are_whole(&self) -> bool {
        !self.any_left && !self.apart
    }

    /// Those that were left come next: all names are met once more. False where other passes have taken all the room again and
    /// again: what is left is halved with each turn in which nothing was told.
    pub fn go_on(&mut self) -> bool {
        let (from, most, vain) = (self.upto, self.most, if self.any_taken { 0 } else { self.vain + 1 });
        let any = from > self.from && vain <= u64::BITS;
        *self = Links { from, most, vain, apart: true, ..Links::new() };
        any
    }

    /// Whether the target may have any of their names otherwise.
    pub fn any_differ(&self) -> bool {
        self.any_differ
    }

    fn note(&mut self, inode: Inode, path: &RelPath, standing: Standing) -> Noted {
        let node = inode.node();
        if !(self.from..self.upto).contains(&mixed(node)) {
            self.any_left |= mixed(node) >= self.upto;
            return Noted::Later;
        }
        let known = self.groups.get(&node).map_or(0, |group| group.bytes);
        let group = self.groups.entry(node).or_insert_with(|| Group::new(inode));
        if group.crowded {
            self.apart = true;
            return Noted::Crowded;
        }
        let Some(place) = self.paths.place(path) else { return Noted::Later };
        group.path_bytes += path.as_bytes().len();
        group.note(place, standing);
        group.may_be_crowded(&self.paths);
        self.bytes = self.bytes + group.bytes - known;
        self.make_room();
        if self.groups.contains_key(&node) { Noted::Kept } else { Noted::Later }
    }

    /// Leaves files for later while all take more than they may. None of which the names are chosen; and one that has no room
    /// even alone never will: no more of its names are told with the others.
    fn make_room(&mut self) {
        while self.bytes() > self.most && self.upto > self.from && !self.has_told {
            if self.groups.len() == 1 && self.most >= MOST {
                self.groups.values_mut().for_each(|group| group.crowded = true);
                return;
            }
            self.upto = self.from + (self.upto - self.from) / 2;
            let upto = self.upto;
            self.groups.retain(|node, _| mixed(*node) < upto);
            self.groups.shrink_to_fit();
            self.any_left = true;
            self.bytes = self.groups.values().map(|group| group.bytes).sum();
            let groups = self.groups.values_mut();
            let places = groups.flat_map(|group| {
                let names = group.names.iter_mut().map(|(place, _)| place);
                names.chain(&mut group.sent).chain(&mut group.tried)
            });
            self.paths.keep(places);
        }
    }

    /// A name was listed, and is to be compared.
    pub fn met(&mut self, inode: Inode, path: &RelPath) {
        self.note(inode, path, Standing::Alike);
    }

    /// The target has something else under this name, or nothing, or it is not known what. Whether it is to be sent as a file
    /// of its own.
    pub fn differs(&mut self, inode: Inode, path: &RelPath, standing: Standing) -> bool {
        self.any_differ = true;
        let lacks = matches!(standing, Standing::Metadata | Standing::Content | Standing::Missing);
        self.note(inode, path, standing) == Noted::Crowded && lacks
    }

    /// It was sent under this name. Whether this pass tells of it.
    pub fn sent(&mut self, inode: Inode, path: &RelPath) -> bool {
        let (node, place) = (inode.node(), self.paths.find(path));
        if place.is_some() && self.groups.get(&node).is_some_and(|group| group.sent == place) {
            return true;
        }
        let noted = self.note(inode, path, Standing::Alike);
        let Some(group) = self.groups.get_mut(&node) else { return false };
        group.inode = inode;
        if noted == Noted::Kept || group.sent.is_none() {
            group.sent = self.paths.place(path);
        }
        true
    }

    /// Whether a name that is looked at waits: another is sent, or it is not known yet under which the target may have the
    /// file. `at_once` says that the target has it under none.
    pub fn defers(&mut self, inode: Inode, path: &RelPath, at_once: bool) -> bool {
        self.any_differ = true;
        let (node, place) = (inode.node(), self.paths.find(path));
        if mixed(node) < self.from {
            // It was told, and has changed since.
            return false;
        }
        let group = self.groups.get(&node);
        let is = |name: &Option<Place>| name.is_some() && *name == place;
        if group.is_some_and(|group| is(&group.sent) || is(&group.tried)) {
            return false;
        }
        let first = at_once && group.is_none_or(|group| group.sent.is_none() && group.tried.is_none());
        match self.note(inode, path, if first { Standing::Unknown } else { Standing::Missing }) {
            Noted::Later => return true,
            Noted::Kept => {}
            Noted::Crowded => return !self.is_apart(node, path),
        }
        if first {
            let place = self.paths.place(path);
            self.groups.entry(node).and_modify(|group| group.tried = place);
        }
        !first
    }

    /// Whether this is a name beyond those of its file that are told together.
    pub fn is_apart(&self, node: Node, path: &RelPath) -> bool {
        let crowded = self.groups.get(&node).filter(|group| group.crowded);
        crowded.is_some_and(|group| {
            let place = self.paths.find(path);
            place.is_none_or(|place| group.names.iter().all(|(name, _)| *name != place))
        })
    }

    /// The target has refused it under this name. Whether it was sent under that one in this pass.
    pub fn refused(&mut self, node: Node, path: &RelPath) -> bool {
        let Some(place) = self.paths.find(path) else { return false };
        let Some(group) = self.groups.get_mut(&node) else { return false };
        self.bytes -= group.bytes;
        group.note(place.clone(), Standing::Unknown);
        self.bytes += group.bytes;
        let was = group.sent.take_if(|sent| *sent == place).is_some();
        was || group.tried.as_ref() == Some(&place)
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
            self.bytes -= group.bytes;
            group.tidy(&self.paths);
            self.bytes += group.bytes;
            if group.lacks() {
                lacking.push(node);
            }
        }
        self.sort(&mut lacking);
        self.chosen = lacking;
        self.chosen.clone()
    }

    /// In order of their first names; the first is last.
    fn sort(&self, nodes: &mut [Node]) {
        let first = |node: &Node| self.groups.get(node).and_then(|group| group.names.first());
        nodes.sort_unstable_by(|a, b| match (first(a), first(b)) {
            (Some((first, _)), Some((second, _))) => self.paths.order(second, first).then_with(|| b.cmp(a)),
            (first, second) => second.is_some().cmp(&first.is_some()).then_with(|| b.cmp(a)),
        });
    }

    /// Under which names it may be sent, best first: where metadata alone may be needed, or some of the content.
    pub fn candidates(&self, node: Node) -> impl Iterator<Item = (RelPath, Difference)> {
        let order = [
            (Standing::Metadata, Difference::Metadata),
            (Standing::Content, Difference::Content),
            (Standing::Missing, Difference::Missing),
        ];
        let group = self.groups.get(&node);
        order.into_iter().flat_map(move |(like, difference)| {
            let names = group.into_iter().flat_map(|group| &group.names);
            names
                .filter(move |(_, standing)| *standing == like)
                .map(move |(name, _)| (self.paths.path(name), difference))
        })
    }

    /// What it was when it was met, and under how many names it was tried.
    pub fn inode(&self, node: Node) -> Option<(Inode, u32)> {
        self.groups.get(&node).map(|group| (group.inode, group.tries))
    }

    /// All its names that were met, some perhaps twice.
    pub fn names(&self, node: Node) -> impl Iterator<Item = RelPath> {
        self.groups.get(&node).into_iter().flat_map(|group| &group.names).map(|(name, _)| self.paths.path(name))
    }

    /// It is tried under this name.
    pub fn tries(&mut self, node: Node, path: &RelPath) {
        let Some(place) = self.paths.place(path) else { return };
        let Some(group) = self.groups.get_mut(&node) else { return };
        (group.tried, group.tries) = (Some(place.clone()), group.tries + 1);
        match group.names.binary_search_by(|(name, _)| self.paths.order(name, &place)) {
            Ok(at) => group.names[at].1 = Standing::Unknown,
            Err(_) => {
                self.bytes -= group.bytes;
                group.note(place, Standing::Unknown);
                self.bytes += group.bytes;
            }
        }
    }

    /// This file with several names is counted. Whether it was not yet, under another of them.
    pub fn count_once(&mut self, node: Node) -> bool {
        match self.counted.len() < COUNTED {
            true => self.counted.insert(node),
            false => !self.counted.contains(&node),
        }
    }

    /// All of them, in order of their names; the first is last.
    pub fn all(&mut self) -> Vec<Node> {
        for group in self.groups.values_mut() {
            group.tidy(&self.paths);
            group.keep_tellable();
        }
        self.bytes = self.groups.values().map(|group| group.bytes).sum();
        let mut all: Vec<Node> =
            self.groups.iter().filter(|(_, group)| !group.names.is_empty()).map(|(node, _)| *node).collect();
        self.sort(&mut all);
        all
    }

    /// Takes one of those out.
    pub fn take(&mut self, node: Node) -> Option<Told> {
        let group = self.groups.remove(&node)?;
        self.any_taken = true;
        self.bytes -= group.bytes;
        let path = |place: &Place| self.paths.path(place);
        let good = group.names.iter().find(|(_, standing)| *standing == Standing::Alike).map(|(name, _)| name);
        let good = group.sent.as_ref().or(good).filter(|_| !group.left).map(path);
        Some(Told { inode: group.inode, names: group.names.iter().map(|(name, _)| path(name)).collect(), good })
    }
}
