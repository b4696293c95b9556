//! What a search of the source has found: the names of the files that it was made for, up to a bound. A file of which not all
//! names have room has none, as half of them would be taken for all.

use std::collections::{HashMap, HashSet};

use proto::RelPath;

use crate::view::Node;

/// LIMIT: bytes of the paths found. Files beyond it are met by a comparison of everything.
const MOST: usize = 16 * 1024 * 1024;
/// What a name takes beside its path.
const NAME: usize = 48;

/// All that one search has found so far.
#[derive(Debug, Default)]
pub(super) struct Matches {
    files: HashMap<Node, File>,
    bytes: usize,
    /// Files that had too many names.
    beyond: HashSet<Node>,
}

#[derive(Debug, Default)]
struct File {
    paths: Vec<RelPath>,
    bytes: usize,
}

impl Matches {
    /// This is a name of the file.
    pub fn add(&mut self, node: Node, path: RelPath) {
        self.add_up_to(MOST, node, path);
    }

    fn add_up_to(&mut self, most: usize, node: Node, path: RelPath) {
        if self.beyond.contains(&node) {
            return;
        }
        let bytes = path.as_bytes().len() + NAME;
        let file = self.files.entry(node).or_default();
        file.paths.push(path);
        file.bytes += bytes;
        self.bytes += bytes;
        while self.bytes > most {
            // That with most names makes room for all others.
            let Some((node, bytes)) =
                self.files.iter().map(|(node, file)| (*node, file.bytes)).max_by_key(|(node, bytes)| (*bytes, *node))
            else {
                return;
            };
            self.files.remove(&node);
            self.beyond.insert(node);
            self.bytes -= bytes;
        }
    }

    /// Takes the names of this file out, if any were found.
    pub fn take(&mut self, node: Node) -> Option<Vec<RelPath>> {
        self.files.remove(&node).map(|file| file.paths)
    }

    /// Whether it has more than there was room for.
    pub fn is_beyond(&self, node: Node) -> bool {
        self.beyond.contains(&node)
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file_all_names_are_found_or_none() {
        let path = |n: usize| RelPath::parse(format!("{}{n}", "folder/".repeat(100)).as_bytes()).unwrap();
        let mut found = Matches::default();
        for n in 0..1000 {
            found.add_up_to(20_000, (1, 7), path(n));
            if n % 200 == 0 {
                found.add_up_to(20_000, (1, n as u64), path(n));
            }
        }
        assert!(found.is_beyond((1, 7)) && found.take((1, 7)).is_none());
        for n in [0, 200, 400, 600, 800] {
            assert_eq!((found.is_beyond((1, n)), found.take((1, n))), (false, Some(vec![path(n as usize)])));
        }
        assert!(found.is_empty());
    }
}
