//! A disk in memory, and a kernel that tells of its watched folders as inotify does.

use std::collections::{BTreeMap, VecDeque};

use super::super::*;

/// A number of a folder or file, as of an inode.
pub type Node = u64;

pub const TOP: Node = 0;
pub const OUTSIDE: Node = 1;

#[derive(Debug, Default)]
pub struct Disk {
    /// Of each folder its entries; files have none.
    pub folders: BTreeMap<Node, BTreeMap<Name, Node>>,
    next: Node,
    pub watches: BTreeMap<Node, Watch>,
    placed: Watch,
    /// How many watches there may be.
    limit: usize,
    pub events: VecDeque<Paired>,
}

/// A name in a folder.
pub type Corner = (Node, Name);

impl Disk {
    pub fn new(limit: usize) -> Disk {
        let folders = [(TOP, BTreeMap::new()), (OUTSIDE, BTreeMap::new())].into();
        Disk { folders, next: 2, limit, ..Disk::default() }
    }

    pub fn at(&self, spot: &Corner) -> Option<Node> {
        self.folders[&spot.0].get(&spot.1).copied()
    }

    pub fn is_folder(&self, node: Node) -> bool {
        self.folders.contains_key(&node)
    }

    pub fn watch(&mut self, folder: Node) -> Met {
        if let Some(watch) = self.watches.get(&folder) {
            return Met::Folder(*watch);
        }
        if self.watches.len() >= self.limit {
            return Met::Limit;
        }
        self.placed += 1;
        self.watches.insert(folder, self.placed);
        Met::Folder(self.placed)
    }

    pub fn give_back(&mut self, watch: Watch) {
        if let Some((folder, _)) = self.watches.iter().find(|(_, of)| **of == watch) {
            let folder = *folder;
            self.of_itself(folder, Change::Ignored);
            self.watches.remove(&folder);
        }
    }

    fn of_entry(&mut self, spot: &Corner, object: Object, change: Change) {
        if let Some(watch) = self.watches.get(&spot.0) {
            let name = Some(spot.1.clone());
            self.events.push_back(Paired::Event(Event { watch: *watch, name, change, object }));
        }
    }

    fn of_itself(&mut self, folder: Node, change: Change) {
        if let Some(watch) = self.watches.get(&folder) {
            let object = Object::Folder;
            self.events.push_back(Paired::Event(Event { watch: *watch, name: None, change, object }));
        }
    }

    fn object(&self, node: Node) -> Object {
        if self.is_folder(node) { Object::Folder } else { Object::Other }
    }

    pub fn make(&mut self, spot: &Corner, object: Object) {
        if self.at(spot).is_some() {
            return;
        }
        self.next += 1;
        if object == Object::Folder {
            self.folders.insert(self.next, BTreeMap::new());
        }
        self.folders.get_mut(&spot.0).unwrap().insert(spot.1.clone(), self.next);
        self.of_entry(spot, object, Change::Created);
    }

    /// One entry; a folder only when it is empty.
    pub fn remove(&mut self, spot: &Corner) {
        let Some(node) = self.at(spot) else { return };
        if self.folders.get(&node).is_some_and(|entries| !entries.is_empty()) {
            return;
        }
        let object = self.object(node);
        self.folders.get_mut(&spot.0).unwrap().remove(&spot.1);
        self.of_entry(spot, object, Change::Deleted);
        self.end(node);
    }

    fn end(&mut self, node: Node) {
        self.of_itself(node, Change::SelfDeleted);
        self.of_itself(node, Change::Ignored);
        self.watches.remove(&node);
        self.folders.remove(&node);
    }

    fn is_within(&self, node: Node, above: Node) -> bool {
        node == above || self.folders.get(&above).is_some_and(|e| e.values().any(|child| self.is_within(node, *child)))
    }

    fn tell_rename(&mut self, from: &Corner, to: &Corner, node: Node) {
        let (object, since) = (self.object(node), Instant::now());
        let place = |spot: &Corner| Some(Spot { parent: *self.watches.get(&spot.0)?, name: spot.1.clone() });
        match (place(from), place(to)) {
            (Some(from), Some(to)) => self.events.push_back(Paired::Renamed { from, to, object, since }),
            _ => {
                self.of_entry(from, object, Change::MovedFrom { cookie: 1, since });
                self.of_entry(to, object, Change::MovedTo { cookie: 1 });
            }
        }
        self.of_itself(node, Change::SelfMoved);
    }

    pub fn rename(&mut self, from: &Corner, to: &Corner) {
        let Some(node) = self.at(from).filter(|node| from != to && !self.is_within(to.0, *node)) else { return };
        let replaced = self.at(to);
        if let Some(replaced) = replaced {
            let fits = self.object(replaced) == self.object(node) && replaced != node;
            if !fits || self.folders.get(&replaced).is_some_and(|entries| !entries.is_empty()) {
                return;
            }
        }
        self.folders.get_mut(&from.0).unwrap().remove(&from.1);
        self.folders.get_mut(&to.0).unwrap().insert(to.1.clone(), node);
        self.tell_rename(from, to, node);
        if let Some(replaced) = replaced {
            self.end(replaced);
        }
    }

    pub fn exchange(&mut self, one: &Corner, two: &Corner) {
        let (Some(a), Some(b)) = (self.at(one), self.at(two)) else { return };
        if a == b || self.is_within(two.0, a) || self.is_within(one.0, b) {
            return;
        }
        self.folders.get_mut(&one.0).unwrap().insert(one.1.clone(), b);
        self.folders.get_mut(&two.0).unwrap().insert(two.1.clone(), a);
        self.tell_rename(one, two, a);
        self.tell_rename(two, one, b);
    }

    /// Each path at and beneath this one with its node.
    pub fn beneath(&self, path: &RelPath) -> BTreeMap<RelPath, Node> {
        let mut found = BTreeMap::new();
        let mut open: Vec<_> = self.find(path).map(|node| (path.clone(), node)).into_iter().collect();
        while let Some((path, node)) = open.pop() {
            for (name, child) in self.folders.get(&node).into_iter().flatten() {
                open.push((path.join(name).unwrap(), *child));
            }
            found.insert(path, node);
        }
        found
    }

    pub fn find(&self, path: &RelPath) -> Option<Node> {
        path.names().try_fold(TOP, |node, name| self.folders.get(&node)?.get(&name).copied())
    }
}
