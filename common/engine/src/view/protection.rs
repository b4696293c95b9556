//! What may not be replaced or removed, whatever the peer says. [`Replica::displace`](super::Replica::displace) asks it of each
//! entry that is about to leave its name, and of all that stands beneath a folder that is taken as a whole.
//!
//! No module protects anything yet: then nothing is looked at, and asking costs nothing.

use std::collections::BTreeSet;

use proto::RelPath;

/// Entries that stay as they are, each with all that is beneath it.
#[derive(Debug, Clone, Default)]
pub struct Protection {
    paths: BTreeSet<RelPath>,
}

impl Protection {
    /// Whether it covers nothing at all, so that nobody needs to look at what stands beneath a folder.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether what stands at the path may not be replaced or removed.
    pub(super) fn covers(&self, path: &RelPath) -> bool {
        self.paths.iter().any(|protected| path.is_within(protected))
    }

    /// Of what stands at these paths, from the root of the replica.
    pub fn of(paths: impl IntoIterator<Item = RelPath>) -> Protection {
        Protection { paths: paths.into_iter().collect() }
    }

    /// The same for the replica of a folder beneath, from its root.
    pub(super) fn beneath(&self, folder: &RelPath) -> Protection {
        if self.covers(folder) {
            return Protection::of([RelPath::root()]);
        }
        let root = RelPath::root();
        Protection::of(self.paths.iter().filter_map(|path| path.rebase(folder, &root)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_protected_stays_so_for_the_replica_of_a_folder_beneath() {
        let path = |text: &str| RelPath::parse(text.as_bytes()).unwrap();
        let protection = Protection::of(["a/b/c", "d"].map(path));
        let covered = |of: &Protection, paths: [&str; 3]| paths.map(|at| of.covers(&path(at)));
        assert_eq!(covered(&protection.beneath(&path("a")), ["b", "b/c/x", "d"]), [false, true, false]);
        assert_eq!(covered(&protection.beneath(&path("d/e")), ["", "x", "y/z"]), [true; 3]);
        assert_eq!(covered(&protection.beneath(&path("")), ["a/b/c", "d/x", "a"]), [true, true, false]);
        assert!(protection.beneath(&path("a/x")).is_empty());
    }
}
