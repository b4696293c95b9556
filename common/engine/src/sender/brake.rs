//! What stops a deletion: a root that is not what it was, a source that is suddenly empty, more deletions than allowed.

use std::sync::Arc;

use sys::{RootId, Tree};

use super::Options;
use super::pass::Pass;
use crate::mirror::Halt;

/// A pass that deletes so many entries because they are not here is worth a look.
const MANY: u64 = 100;

/// How much one pass may delete.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxDelete {
    /// So many entries.
    Entries(u64),
    /// So many percent of the entries of the backup.
    Percent(f64),
}

impl MaxDelete {
    /// Whether deleting `deletes` of `total` entries is too much.
    pub(super) fn is_passed(self, deletes: u64, total: u64) -> bool {
        match self {
            MaxDelete::Entries(most) => deletes > most,
            MaxDelete::Percent(most) => deletes as f64 * 100.0 > most * total as f64,
        }
    }
}

impl Options {
    /// Why this pass must not delete, if it must not.
    pub(super) fn brake(&self, pass: &Pass) -> Option<Halt> {
        let (deletes, total) = (pass.deletes, pass.backup());
        if pass.told && deletes <= 1 {
            return None;
        }
        if pass.empty {
            return Some(Halt::Empty { entries: deletes });
        }
        self.max_delete.is_passed(deletes, total).then_some(Halt::Deletes { deletes, total })
    }
}

impl Pass {
    /// Says in the log that the brake lets it delete, which nobody has seen happen at the source: one line for a pass.
    pub(super) fn say_deletes(&self) {
        let Some(one) = self.extras.first().map(|extra| &extra.path) else { return };
        let count = self.deletes;
        let what = if self.is_full() {
            format!("a full comparison deletes {count} of {} entries of the backup", self.backup())
        } else {
            format!("a comparison of {} deletes {count} of the backup's entries", self.root)
        };
        match (count >= MANY, self.is_full()) {
            (true, _) => tracing::warn!("{what}, which the source does not have: {one} is one"),
            (false, true) => tracing::info!("{what}, which the source does not have: {one} is one"),
            // Mostly what its own events would tell a moment later.
            (false, false) => tracing::debug!("{what}, which the source does not have: {one} is one"),
        }
    }
}

/// The root of a source, as it was when it was opened.
#[derive(Clone)]
pub struct Root {
    /// The held folder.
    pub tree: Arc<Tree>,
    id: RootId,
}

impl Root {
    /// Holds a tree and notes which folder it is.
    pub fn new(tree: Arc<Tree>) -> std::io::Result<Root> {
        let id = tree.identity()?;
        Ok(Root { tree, id })
    }

    /// Which folder it is.
    pub fn id(&self) -> RootId {
        self.id
    }

    /// Whether both hold the same open folder.
    pub fn is_same(&self, other: &Root) -> bool {
        Arc::ptr_eq(&self.tree, &other.tree)
    }

    /// Whether the source is empty. An error when the path does not name the held folder any more, or it cannot be
    /// read. To be asked before anything is deleted.
    pub fn check(&self) -> Result<bool, Halt> {
        let path = self.tree.path().display();
        match sys::identity_at(self.tree.path()) {
            Ok(id) if id == self.id => {}
            Ok(_) => {
                return Err(Halt::Root(format!(
                    "{path} is another folder than it was: replaced, mounted over or unmounted"
                )));
            }
            Err(error) => return Err(Halt::Root(format!("{path} is gone: {error}"))),
        }
        let empty = self.tree.root().and_then(|root| root.is_empty());
        empty.map_err(|error| Halt::Root(format!("{path} cannot be read: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_the_backup_and_a_count_is_a_count() {
        assert!(!MaxDelete::Percent(50.0).is_passed(5, 10));
        assert!(MaxDelete::Percent(50.0).is_passed(6, 10));
        assert!(!MaxDelete::Percent(100.0).is_passed(10, 10));
        assert!(MaxDelete::Percent(0.0).is_passed(1, 1_000_000));
        assert!(!MaxDelete::Entries(3).is_passed(3, 3));
        assert!(MaxDelete::Entries(3).is_passed(4, 1_000_000));
    }
}
