//! The watched folders: which watch stands where. Pure data; the watcher keeps it in step with the kernel.
//!
//! A node knows its parent and its name, never its path, so a folder of any size is moved in one step. A watch number is
//! never given out twice by the kernel (until 2^31 have been used), so it is the node's name here. Some 100 bytes each.

use proto::{Name, RelPath};
use sys::inotify::Watch;

use crate::watch::event::Spot;
use crate::watch::table::Table;

/// Marks the root and what stands nowhere; the kernel counts watches from 1.
const NOWHERE: Watch = 0;

/// All watched folders of one root.
#[derive(Debug, Default)]
pub struct WatchTree {
    nodes: Table<Node>,
    root: Watch,
}

#[derive(Debug)]
struct Node {
    parent: Watch,
    /// `None` for the root and for what is adrift.
    name: Option<Name>,
    /// In the order of their names.
    children: Vec<Watch>,
}

/// Where a watch stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is the root.
    Root,
    /// Under this name in a folder that lives, but may be adrift itself.
    At(Spot),
    /// It lives, but where is not known.
    Adrift,
    /// There is no such watch.
    Unknown,
}

/// A folder cannot stand within itself: the picture of the tree is out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cycle;

impl WatchTree {
    /// Forgets everything and starts with a root.
    pub fn restart(&mut self, root: Watch) {
        self.nodes.clear();
        self.nodes.insert(root, Node { parent: NOWHERE, name: None, children: Vec::new() });
        self.root = root;
    }

    /// The watch of the root.
    pub fn root(&self) -> Watch {
        self.root
    }

    /// The number of watches.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// All watches, in the order of their numbers.
    pub fn watches(&self) -> Vec<Watch> {
        self.nodes.watches().collect()
    }

    /// Whether there is such a watch.
    pub fn contains(&self, watch: Watch) -> bool {
        self.nodes.get(watch).is_some()
    }

    /// Where the folder with this watch stands.
    pub fn standing(&self, watch: Watch) -> Standing {
        match self.nodes.get(watch) {
            None => Standing::Unknown,
            Some(_) if watch == self.root => Standing::Root,
            Some(Node { parent, name: Some(name), .. }) => Standing::At(Spot { parent: *parent, name: name.clone() }),
            Some(Node { name: None, .. }) => Standing::Adrift,
        }
    }

    /// The folder that stands at `place`.
    pub fn child(&self, place: &Spot) -> Option<Watch> {
        let children = &self.nodes.get(place.parent)?.children;
        let at = self.search(children, &place.name).ok()?;
        children.get(at).copied()
    }

    fn search(&self, children: &[Watch], name: &Name) -> Result<usize, usize> {
        let of = |watch: &Watch| self.nodes.get(*watch).and_then(|node| node.name.as_ref());
        // Walks add names in order.
        match children.last() {
            Some(last) if of(last) < Some(name) => Err(children.len()),
            _ => children.binary_search_by(|child| of(child).cmp(&Some(name))),
        }
    }

    /// The path of a watch; `None` when it is unknown or adrift or its path passes the limits of [`RelPath`].
    pub fn path(&self, watch: Watch) -> Option<RelPath> {
        let mut names = Vec::new();
        let mut at = watch;
        while at != self.root {
            let node = self.nodes.get(at)?;
            names.push(node.name.as_ref()?.as_bytes());
            at = node.parent;
        }
        self.nodes.get(at)?;
        names.reverse();
        RelPath::parse(&names.join(&b'/')).ok()
    }

    /// The path of a place, see [`path`](Self::path).
    pub fn path_of(&self, place: &Spot) -> Option<RelPath> {
        self.path(place.parent)?.join(&place.name).ok()
    }

    /// The topmost folder above it: the root, or one that is adrift.
    pub fn top(&self, watch: Watch) -> Watch {
        let mut at = watch;
        while let Some(Node { parent, name: Some(_), .. }) = self.nodes.get(at) {
            at = *parent;
        }
        at
    }

    /// Adds a watch, or moves it there with all beneath it. Who stood at `place` must have left.
    pub fn attach(&mut self, watch: Watch, place: &Spot) -> Result<(), Cycle> {
        let mut above = place.parent;
        while let Some(node) = self.nodes.get(above) {
            if above == watch {
                return Err(Cycle);
            }
            above = node.parent;
        }
        self.detach(watch);
        let Some(parent) = self.nodes.get(place.parent) else { return Ok(()) };
        let at = self.search(&parent.children, &place.name).unwrap_or_else(|at| at);
        if let Some(parent) = self.nodes.get_mut(place.parent) {
            parent.children.insert(at, watch);
        }
        let (parent, name) = (place.parent, Some(place.name.clone()));
        match self.nodes.get_mut(watch) {
            Some(node) => (node.parent, node.name) = (parent, name),
            None => self.nodes.insert(watch, Node { parent, name, children: Vec::new() }),
        }
        Ok(())
    }

    /// Sets it adrift with all beneath it.
    pub fn detach(&mut self, watch: Watch) {
        let Some(node) = self.nodes.get(watch) else { return };
        let Some(name) = &node.name else { return };
        let parent = node.parent;
        let at = self.nodes.get(parent).and_then(|parent| self.search(&parent.children, name).ok());
        if let (Some(at), Some(parent)) = (at, self.nodes.get_mut(parent)) {
            parent.children.remove(at);
        }
        if let Some(node) = self.nodes.get_mut(watch) {
            node.parent = NOWHERE;
            node.name = None;
        }
    }

    /// Forgets it and all beneath it; gives the watches that are gone.
    pub fn remove(&mut self, watch: Watch) -> Vec<Watch> {
        self.detach(watch);
        let mut gone = Vec::new();
        let mut open = vec![watch];
        while let Some(watch) = open.pop() {
            if let Some(node) = self.nodes.remove(watch) {
                open.extend(node.children);
                gone.push(watch);
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(parent: Watch, name: &str) -> Spot {
        Spot { parent, name: Name::parse(name.as_bytes()).unwrap() }
    }

    /// `.` 1, `a` 2, `a/b` 3, `a/b/c` 4, `d` 5.
    fn tree() -> WatchTree {
        let mut tree = WatchTree::default();
        tree.restart(1);
        for (watch, parent, name) in [(2, 1, "a"), (3, 2, "b"), (4, 3, "c"), (5, 1, "d")] {
            tree.attach(watch, &place(parent, name)).unwrap();
        }
        tree
    }

    fn shown(tree: &WatchTree, watch: Watch) -> Option<String> {
        tree.path(watch).map(|path| path.to_string())
    }

    #[test]
    fn a_move_takes_all_beneath_along() {
        let mut tree = tree();
        assert_eq!(shown(&tree, 4).as_deref(), Some("a/b/c"));
        tree.attach(3, &place(5, "z")).unwrap();
        assert_eq!(shown(&tree, 4).as_deref(), Some("d/z/c"));
        assert_eq!(tree.child(&place(2, "b")), None);
        assert_eq!(tree.child(&place(5, "z")), Some(3));
        assert_eq!(shown(&tree, 1).as_deref(), Some("."));
        assert_eq!(tree.path_of(&place(4, "f")).unwrap().to_string(), "d/z/c/f");
    }

    #[test]
    fn what_is_adrift_has_no_path_until_it_lands() {
        let mut tree = tree();
        tree.detach(2);
        assert_eq!((shown(&tree, 2), shown(&tree, 4)), (None, None));
        assert_eq!((tree.standing(2), tree.top(4)), (Standing::Adrift, 2));
        tree.attach(2, &place(1, "e")).unwrap();
        assert_eq!((shown(&tree, 4).as_deref(), tree.top(4)), (Some("e/b/c"), 1));
    }

    #[test]
    fn nothing_stands_within_itself() {
        let mut tree = tree();
        assert_eq!(tree.attach(2, &place(4, "x")), Err(Cycle));
        assert_eq!(tree.attach(1, &place(4, "x")), Err(Cycle));
        assert_eq!(shown(&tree, 4).as_deref(), Some("a/b/c"));
    }

    #[test]
    fn a_removed_folder_takes_all_beneath_along() {
        let mut tree = tree();
        let mut gone = tree.remove(2);
        gone.sort_unstable();
        assert_eq!(gone, [2, 3, 4]);
        assert_eq!((tree.len(), tree.standing(4)), (2, Standing::Unknown));
        assert_eq!(tree.remove(2), [0; 0]);
    }

    #[test]
    fn children_are_found_in_any_order_of_coming() {
        let mut tree = WatchTree::default();
        tree.restart(1);
        for watch in (2..500).map(|n| (n * 7919) % 499 + 2) {
            tree.attach(watch, &place(1, &format!("n{watch}"))).unwrap();
        }
        assert!((2..500).map(|n| (n * 7919) % 499 + 2).all(|w| tree.child(&place(1, &format!("n{w}"))) == Some(w)));
        assert_eq!(tree.child(&place(1, "n")), None);
    }
}
