//! Folders in which the target has nothing, as in a first pass: there is nothing to compare, so only the names in them are
//! listed and all is sent, without waiting for an answer for each folder.
//!
//! What is in them at the target was brought by this session; nothing is deleted on their account.

use std::collections::{HashMap, HashSet};

use proto::{Kind, Name, RelPath};

use super::differences::{Difference, Differences, Differing};

/// The topmost of such folders; all that is beneath is blank too. By the folders that they are in, which may have many of them.
#[derive(Default)]
pub(super) struct Blank {
    root: bool,
    tops: HashMap<Box<[u8]>, HashSet<Box<[u8]>>>,
}

impl Blank {
    /// The target has nothing in this folder, nor beneath it.
    pub fn insert(&mut self, folder: RelPath) {
        if self.contains(&folder) {
            return;
        }
        match folder.split() {
            None => self.root = true,
            Some((above, name)) => {
                let names = self.tops.entry(above.as_bytes().into()).or_default();
                names.insert(name.as_bytes().into());
            }
        }
    }

    /// Whether the target is known to have had nothing in this folder.
    pub fn contains(&self, folder: &RelPath) -> bool {
        if self.root || self.tops.is_empty() {
            return self.root;
        }
        let mut upwards = std::iter::successors(split(folder.as_bytes()), |(above, _)| split(above));
        upwards.any(|(above, name)| self.tops.get(above).is_some_and(|names| names.contains(name)))
    }
}

/// A path other than the root's: the folder that it is in, and its name. It is asked of each folder above each one that is
/// listed, so nothing is copied.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    match slash {
        Some(at) => Some((&path[..at], &path[at + 1..])),
        None if path.is_empty() => None,
        None => Some((b"", path)),
    }
}

/// Those that a comparison of a folder has found in it.
pub(super) fn found(found: &Differences) -> Vec<Name> {
    let missing = |differing: &&Differing| (differing.kind, differing.difference) == (Kind::Dir, Difference::Missing);
    found.here.iter().filter(missing).map(|differing| differing.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::differences::compare;
    use proto::Entry;

    use super::super::tests::{entry, name, path};
    use super::*;

    #[test]
    fn a_folder_is_blank_that_is_missing() {
        let entry = |name, kind| entry(name, kind, 0);
        let here = vec![entry("a", Kind::Dir), entry("b", Kind::File), entry("c", Kind::Dir), entry("d", Kind::Dir)];
        let of = |there: &[Entry]| found(&compare(&here, &[], there));
        assert_eq!(of(&[]), ["a", "c", "d"].map(name));
        // A file stands where `c` is to be: what would be beneath it is not known to be missing, but is asked about.
        assert_eq!(of(&[entry("c", Kind::File), entry("d", Kind::Dir)]), [name("a")]);
        assert_eq!(of(&here), []);
    }

    #[test]
    fn what_is_beneath_a_blank_folder_is_blank() {
        let mut folders = Blank::default();
        assert!(!folders.contains(&path("a")));
        folders.insert(path("a/b"));
        let blank = ["a/b", "a/b/c/d"].map(|folder| folders.contains(&path(folder)));
        let other = ["", "a", "a/bc", "b"].map(|folder| folders.contains(&path(folder)));
        assert_eq!((blank, other), ([true; 2], [false; 4]));
        folders.insert(RelPath::root());
        assert!(folders.contains(&path("b")));
    }
}
