//! Which of the hints that wait need room at the target, in the order of what they need. What is parked is owed like all else,
//! with its age, but is not due: it is taken out to be tried. A new hint makes it due: it is looked at and, while there is no
//! room, parked again.

use std::collections::{BTreeMap, BTreeSet};

use proto::RelPath;

use super::ages::{Ages, Since};

/// Numbers of a user and a group at the target: quotas are for them.
pub type Owner = (u32, u32);

/// How much room an entry takes at the target, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// Whose quota it counts against.
    pub owner: Owner,
    /// Bytes of content.
    pub bytes: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parked {
    by_claim: BTreeMap<Owner, BTreeSet<(u64, RelPath)>>,
    ages: Ages,
    len: usize,
}

impl Parked {
    pub(super) fn add(&mut self, path: RelPath, claim: Claim, since: Since) {
        self.by_claim.entry(claim.owner).or_default().insert((claim.bytes, path));
        self.ages.add(since);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, path: &RelPath, claim: Claim, since: Since) {
        if let Some(paths) = self.by_claim.get_mut(&claim.owner) {
            paths.remove(&(claim.bytes, path.clone()));
            if paths.is_empty() {
                self.by_claim.remove(&claim.owner);
            }
        }
        self.ages.remove(since);
        self.len -= 1;
    }

    /// The one that needs least of the first owner for whom that fits.
    pub(super) fn least(&self, fits: impl Fn(Claim) -> bool) -> Option<&RelPath> {
        let firsts = self.by_claim.iter().filter_map(|(owner, paths)| Some((*owner, paths.first()?)));
        let mut fitting = firsts.filter(|(owner, (bytes, _))| fits(Claim { owner: *owner, bytes: *bytes }));
        fitting.next().map(|(_, (_, path))| path)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn oldest(&self) -> Option<Since> {
        self.ages.oldest()
    }
}
