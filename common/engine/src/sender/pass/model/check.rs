//! What must be so when a pass is over.

use std::collections::{BTreeMap, BTreeSet};

use proto::{Kind, RelPath};

use super::World;
use crate::sender::pass::Reach;
use crate::sender::pass::links::Mates;

impl World {
    pub(super) fn check(&self) {
        let deleted = self.deleted.is_some() && self.delete && !self.uncounted;
        let all: BTreeSet<&RelPath> = self.here.0.keys().chain(self.before.0.keys()).collect();
        for path in all {
            let (here, before) = (self.here.0.get(path), self.before.kind(path));
            let there = self.there.0.get(path);
            match here {
                _ if !self.sees(path) => {
                    let above = std::iter::successors(path.parent(), RelPath::parent).find(|at| self.sees(at));
                    let hidden = above.is_none_or(|at| self.here.kind(&at) == Some(Kind::Dir));
                    if hidden && self.failed.is_empty() {
                        assert_eq!(there.map(|node| node.kind), before, "{path} is left alone");
                    }
                }
                Some(node) if node.kind == Kind::Dir && self.later.contains(path) => {
                    assert!(self.reach == Reach::Folder && before != Some(Kind::Dir), "{path} is compared later");
                }
                // In the way of what is here.
                Some(node) if node.kind != Kind::Dir && before == Some(Kind::Dir) && !deleted => {
                    assert_eq!(there.map(|node| node.kind), before);
                    assert!(self.delete || self.in_the_way.contains(path));
                }
                Some(node) => {
                    let there = there.map(|there| (there.kind, there.size));
                    assert_eq!(there, Some((node.kind, node.size)), "{path} is sent");
                }
                None => assert_eq!(there.is_none(), deleted || before.is_none(), "{path} is not here"),
            }
        }
        if self.failed.is_empty() {
            let mut groups: BTreeMap<u64, BTreeSet<&RelPath>> = BTreeMap::new();
            let barred =
                |path: &RelPath| self.names == Mates::Joined && !deleted && self.before.kind(path) == Some(Kind::Dir);
            let files = self.here.0.iter().filter(|(path, node)| node.kind == Kind::File && self.sees(path));
            for (path, node) in files.filter(|(path, _)| !barred(path)) {
                groups.entry(node.file).or_default().insert(path);
            }
            let named = self.named.iter().map(|(file, names)| (*file, names.iter().collect())).collect();
            assert_eq!(groups, named, "all names of a file are told");
            let once = self.names == Mates::Separate || self.sent.values().all(|times| *times == 1);
            assert!(once, "{:?}", self.sent);
        }
    }

    /// Whether the pass hears of what stands at a place.
    pub(super) fn sees(&self, path: &RelPath) -> bool {
        let mut above = std::iter::successors(path.parent(), RelPath::parent);
        let open = |at: &RelPath| {
            let hidden = self.closed.contains(at) || self.skipped.contains(at);
            self.here.kind(at) == Some(Kind::Dir) && !hidden
        };
        let known = path.parent().is_some_and(|folder| !self.failed.contains(&folder));
        known
            && above.all(|at| open(&at))
            && !self.skipped.contains(path)
            && (self.reach == Reach::Subtree || path.depth() == 1)
    }
}
