//! Folders in which the target has nothing, as in a first pass: there is nothing to compare, so only the names in them are
//! listed and all is sent, without waiting for an answer for each folder.
//!
//! What is in them at the target was brought by this session; nothing is deleted on their account.

use std::collections::HashSet;

use proto::{Kind, RelPath};

use super::differences::{Difference, Differences, Differing};

/// The topmost of such folders; all that is beneath is blank too.
#[derive(Default)]
pub(super) struct Blank {
    tops: HashSet<RelPath>,
}

impl Blank {
    /// The target has nothing in this folder, nor beneath it.
    pub fn insert(&mut self, folder: RelPath) {
        if !self.contains(&folder) {
            self.tops.insert(folder);
        }
    }

    /// Whether the target is known to have had nothing in this folder.
    pub fn contains(&self, folder: &RelPath) -> bool {
        if self.tops.is_empty() {
            return false;
        }
        let mut upwards = std::iter::successors(Some(folder.clone()), RelPath::parent);
        upwards.any(|folder| self.tops.contains(&folder))
    }
}

/// Those in `folder` that a comparison of it has found.
pub(super) fn found(folder: &RelPath, found: &Differences) -> Vec<RelPath> {
    let missing = |differing: &&Differing| (differing.kind, differing.difference) == (Kind::Dir, Difference::Missing);
    found.here.iter().filter(missing).filter_map(|differing| folder.join(&differing.name).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::differences::compare;
    use proto::Entry;

    use super::super::tests::{entry, path};
    use super::*;

    #[test]
    fn a_folder_is_blank_that_is_missing() {
        let entry = |name, kind| entry(name, kind, 0);
        let here = vec![entry("a", Kind::Dir), entry("b", Kind::File), entry("c", Kind::Dir), entry("d", Kind::Dir)];
        let of = |there: &[Entry]| found(&path("x"), &compare(&here, &[], there));
        assert_eq!(of(&[]), ["x/a", "x/c", "x/d"].map(path));
        // A file stands where `c` is to be: what would be beneath it is not known to be missing, but is asked about.
        assert_eq!(of(&[entry("c", Kind::File), entry("d", Kind::Dir)]), [path("x/a")]);
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
