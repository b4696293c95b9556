//! Trees of a few names.

use std::collections::BTreeMap;

use fastrand::Rng;
use proto::{Entry, Kind, RelPath};

use crate::sender::pass::tests::{entry, name};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node {
    pub kind: Kind,
    pub size: u64,
    /// Which file it is: several names may be one.
    pub file: u64,
}

pub const FOLDER: Node = Node { kind: Kind::Dir, size: 0, file: 0 };

#[derive(Debug, Clone, Default)]
pub struct Tree(pub BTreeMap<RelPath, Node>);

impl Tree {
    pub fn grow(&mut self, rng: &mut Rng, nodes: usize) {
        for _ in 0..nodes {
            let folders = self.0.iter().filter(|(path, node)| node.kind == Kind::Dir && path.depth() < 3);
            let folders: Vec<_> = folders.map(|(path, _)| path.clone()).chain([RelPath::root()]).collect();
            let at = rng.choice(&folders).unwrap().join(&name(rng.choice(["a", "b", "c", "d"]).unwrap())).unwrap();
            let file = rng.u64(1..12);
            let node = if rng.bool() { FOLDER } else { Node { kind: Kind::File, size: file % 3, file } };
            self.0.entry(at).or_insert(node);
        }
    }

    pub fn kind(&self, path: &RelPath) -> Option<Kind> {
        if path.is_root() { Some(Kind::Dir) } else { self.0.get(path).map(|node| node.kind) }
    }

    pub fn within(&self, folder: &RelPath) -> impl Iterator<Item = &RelPath> {
        self.0.keys().filter(move |path| path.is_within(folder) || *path == folder)
    }

    pub fn remove(&mut self, folder: &RelPath) {
        self.0.retain(|path, _| !(path.is_within(folder) || path == folder));
    }

    pub fn put(&mut self, path: &RelPath, node: Node) {
        if self.kind(path) != Some(node.kind) {
            self.remove(path);
        }
        self.0.insert(path.clone(), node);
    }

    pub fn list(&self, folder: &RelPath) -> Vec<Entry> {
        let inside = self.0.iter().filter(|(path, _)| path.parent().as_ref() == Some(folder));
        let mut list: Vec<_> =
            inside.map(|(path, node)| entry(&path.split().unwrap().1.to_string(), node.kind, node.size)).collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list
    }
}
