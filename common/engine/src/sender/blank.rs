//! Folders in which the target has nothing, as in a first pass: there is nothing to compare, so only the names in them are
//! listed and all is sent, without waiting for an answer for each folder.
//!
//! What is in them at the target was brought by this session; nothing is deleted on their account.

use proto::{Entry, Kind, Name, RelPath};

use super::Session;
use super::pass::{Difference, Differences, Pass};
use super::places::at_and_beneath;
use crate::pending::Ticket;

/// Those that a comparison of `folder` with what is `there` has found: the folder itself, or folders in it.
pub(super) fn found(folder: &RelPath, there: &[Entry], found: &Differences) -> Vec<RelPath> {
    if there.is_empty() {
        return vec![folder.clone()];
    }
    let missing =
        |(_, kind, difference): &&(Name, Kind, Difference)| (*kind, *difference) == (Kind::Dir, Difference::Missing);
    found.looks.iter().filter(missing).filter_map(|(name, ..)| folder.join(name).ok()).collect()
}

impl Pass {
    /// Whether the target is known to have had nothing in this folder.
    pub fn is_blank(&self, folder: &RelPath) -> bool {
        if self.blank.is_empty() {
            return false;
        }
        let mut upwards = std::iter::successors(Some(folder.clone()), RelPath::parent);
        upwards.any(|folder| self.blank.contains(&folder))
    }
}

impl Session<'_> {
    /// What is in these folders is all sent. Answers about those beneath them, which were asked about already, are of no
    /// interest; looks at them follow in order of their paths, so that each folder is made before what is in it.
    pub(super) fn are_blank(&mut self, ticket: Ticket, folders: Vec<RelPath>) {
        for folder in folders {
            let Some(pass) = self.passes.get_mut(&ticket) else { return };
            let asked = at_and_beneath(&pass.asked_at, &folder);
            let numbers: Vec<u64> = asked.iter().filter_map(|path| pass.asked_at.get(path).copied()).collect();
            if !pass.is_blank(&folder) {
                pass.blank.insert(folder);
            }
            for number in numbers {
                let Some(compared) = self.take_compared(number, ticket) else { continue };
                let entries = compared.here.entries.iter().map(|entry| (&entry.name, entry.kind, Some(entry.size)));
                self.look_at_all(ticket, &compared.path, entries);
            }
        }
    }

    /// Queues looks at entries that the target does not have.
    pub(super) fn look_at_all<'a>(
        &mut self,
        ticket: Ticket,
        folder: &RelPath,
        entries: impl Iterator<Item = (&'a Name, Kind, Option<u64>)>,
    ) {
        for (name, kind, size) in entries {
            self.look_in_pass(ticket, folder, name, (kind, size, Difference::Missing), false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pass::{Reach, compare};
    use super::*;
    use crate::mirror::Round;
    use crate::view::Listing;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    fn entry(name: &str, kind: Kind) -> Entry {
        let (mtime, device) = Default::default();
        let name = Name::parse(name.as_bytes()).unwrap();
        Entry { name, kind, size: 0, mode: 0o644, uid: 0, gid: 0, mtime, device, extra: [0; 16] }
    }

    #[test]
    fn a_folder_is_blank_that_is_empty_there_or_missing() {
        let entries = vec![entry("a", Kind::Dir), entry("b", Kind::File), entry("c", Kind::Dir), entry("d", Kind::Dir)];
        let here = Listing { entries, ..Listing::default() };
        let of = |there: &[Entry]| found(&path("x"), there, &compare(&here, there));
        assert_eq!(of(&[]), [path("x")]);
        // A file stands where `c` is to be: what would be beneath it is not known to be missing, but is asked about.
        assert_eq!(of(&[entry("c", Kind::File), entry("d", Kind::Dir)]), [path("x/a")]);
        assert_eq!(of(&here.entries), []);
    }

    #[test]
    fn what_is_beneath_a_blank_folder_is_blank() {
        let mut pass = Pass::new(RelPath::root(), Reach::Subtree, Round::default());
        assert!(!pass.is_blank(&path("a")));
        pass.blank.insert(path("a/b"));
        let blank = ["a/b", "a/b/c/d"].map(|folder| pass.is_blank(&path(folder)));
        let other = ["", "a", "a/bc", "b"].map(|folder| pass.is_blank(&path(folder)));
        assert_eq!((blank, other), ([true; 2], [false; 4]));
        pass.blank.insert(RelPath::root());
        assert!(pass.is_blank(&path("b")));
    }
}
