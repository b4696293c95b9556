//! What stops a deletion: a root that is not what it was, a source that is suddenly empty, more deletions than allowed.

use std::sync::Arc;

use sys::{RootId, Tree};

use crate::mirror::Halt;
use crate::pending::Why;

/// How much one pass may delete.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxDelete {
    /// So many entries, folders and what is in them counted one by one.
    Entries(u64),
    /// So many percent of the entries of the backup.
    Percent(f64),
}

impl MaxDelete {
    /// Whether nothing is ever too much.
    pub(super) fn is_all(self) -> bool {
        matches!(self, MaxDelete::Percent(most) if most >= 100.0)
    }

    /// Whether deleting `deletes` of `total` entries is too much.
    pub(super) fn is_passed(self, deletes: u64, total: u64) -> bool {
        match self {
            MaxDelete::Entries(most) => deletes > most,
            MaxDelete::Percent(most) => deletes as f64 * 100.0 > most * total as f64,
        }
    }
}

/// How well it is known how much would be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    /// By the listings; folders that moved meanwhile may have been met twice.
    Estimated,
    /// By asking for every entry and for the whole, at one moment.
    Counted,
}

/// What led to a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// What is there is to be found out.
    Unknown,
    /// All that is not there any more was seen to go.
    Cleared,
}

/// What a pass is about to delete, and of what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Weight {
    /// Entries that would go, which nobody has seen go at the source.
    pub deletes: u64,
    /// Entries of the whole backup before.
    pub total: u64,
    pub certainty: Certainty,
    /// Whether the root of the source has no entries.
    pub empty: bool,
    /// Why the pass was made.
    pub reason: Reason,
}

/// What else is known when deletions are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leave {
    /// A person has let them through.
    pub released: bool,
    /// They were too many before, and were looked at once more.
    pub doubted: bool,
    /// Entries that are held already, and that the pass does not meet.
    pub held: u64,
}

/// What becomes of the deletions of a pass.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Judgement {
    /// The pass may make them.
    Delete,
    /// They are too many by an estimate: they are counted before any are held.
    Count,
    /// What seems to be missing may only have been moved: the events that say so can be late on a busy host, and then the
    /// listing of a moment ago is no evidence. It is compared again; then this would be the reason to hold them.
    LookOnceMore(Why),
    /// They are held until a person has looked.
    Hold(Why),
}

impl Weight {
    /// Whether a pass may delete so much.
    pub fn judge(&self, most: MaxDelete, leave: Leave) -> Judgement {
        match self.brake(most, leave.held).filter(|_| !leave.released) {
            None => Judgement::Delete,
            Some(_) if self.certainty == Certainty::Estimated => Judgement::Count,
            Some(why) if !leave.doubted => Judgement::LookOnceMore(why),
            Some(why) => Judgement::Hold(why),
        }
    }

    fn brake(&self, most: MaxDelete, held: u64) -> Option<Why> {
        let (deletes, total) = (self.deletes.saturating_add(held), self.total);
        if most.is_all() || (self.reason == Reason::Cleared && !self.empty) {
            return None;
        }
        if self.empty {
            return Some(Why::Emptied);
        }
        most.is_passed(deletes, total).then_some(Why::Many)
    }
}

/// The root of a source, as it was when it was opened.
#[derive(Clone)]
pub struct Root {
    /// Open while it is watched and sent, so that it is the same folder whatever its path names by then.
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
                return Err(Halt(format!("{path} is another folder than it was: replaced, mounted over or unmounted")));
            }
            Err(error) => return Err(Halt(format!("{path} is gone: {error}"))),
        }
        let empty = self.tree.root().and_then(|root| root.is_empty());
        empty.map_err(|error| Halt(format!("{path} cannot be read: {error}")))
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

    #[test]
    fn what_is_too_much_by_an_estimate_is_counted_then_doubted_then_held() {
        let weight =
            Weight { deletes: 6, total: 10, certainty: Certainty::Estimated, empty: false, reason: Reason::Unknown };
        let judge_with = |weight: Weight, released, doubted, held| {
            weight.judge(MaxDelete::Percent(50.0), Leave { released, doubted, held })
        };
        let judge = |weight, released, doubted| judge_with(weight, released, doubted, 0);
        assert_eq!(judge(weight, false, true), Judgement::Count);
        let counted = Weight { certainty: Certainty::Counted, ..weight };
        assert_eq!(judge(counted, false, false), Judgement::LookOnceMore(Why::Many));
        assert_eq!(judge(counted, false, true), Judgement::Hold(Why::Many));
        for weight in [weight, counted] {
            assert_eq!(judge(weight, true, false), Judgement::Delete, "a person has let it through");
        }
        let few = Weight { deletes: 5, ..counted };
        assert_eq!(judge(few, false, false), Judgement::Delete);
        assert_eq!(judge_with(few, false, true, 1), Judgement::Hold(Why::Many), "with what is held it is too much");
    }

    #[test]
    fn an_empty_source_is_never_alike_a_few_deletions() {
        let certainty = Certainty::Counted;
        let weight = Weight { deletes: 1, total: 1000, certainty, empty: true, reason: Reason::Unknown };
        let leave = Leave { released: false, doubted: true, held: 0 };
        let judge = |weight: Weight| weight.judge(MaxDelete::Percent(99.0), leave);
        assert_eq!(judge(weight), Judgement::Hold(Why::Emptied));
        assert_eq!(weight.judge(MaxDelete::Percent(100.0), leave), Judgement::Delete, "where all may go");
        let cleared = Weight { reason: Reason::Cleared, deletes: 1000, ..weight };
        assert_eq!(judge(cleared), Judgement::Hold(Why::Emptied));
        assert_eq!(judge(Weight { empty: false, ..cleared }), Judgement::Delete, "all of it was seen to go");
    }
}
