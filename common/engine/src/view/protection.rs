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

    /// Of these and what is beneath them.
    #[cfg(test)]
    pub(crate) fn of(paths: &[&str]) -> Protection {
        Protection { paths: paths.iter().map(|path| RelPath::parse(path.as_bytes()).unwrap()).collect() }
    }
}
