//! What waits for room at the target: not due before it is taken out to be tried, in the order of what it needs. It is owed
//! like all else, with its age; what is heard of it meanwhile makes it due, to be looked at and held again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use proto::RelPath;

use super::ages::Ages;
use super::{Depth, Pending, Since, Work};
use crate::hint::Cause;

/// Numbers of a user and a group at the target: quotas are for them.
pub type Owner = (u32, u32);

/// What an entry takes at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// Whose room it takes.
    pub owner: Owner,
    /// Bytes of content.
    pub bytes: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Held {
    by_claim: BTreeMap<Owner, BTreeSet<(u64, RelPath)>>,
    pub(super) ages: Ages,
    len: usize,
}

/// What has to be looked at when there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// This entry, for this reason.
    Entry(Cause),
    /// The listing of this folder.
    Folder,
    /// All at and beneath.
    Subtree,
    /// The same, where it is not known what stands there.
    Doubt,
}

impl Held {
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
    fn least(&self, fits: impl Fn(Claim) -> bool) -> Option<RelPath> {
        let firsts = self.by_claim.iter().filter_map(|(owner, paths)| Some((*owner, paths.first()?)));
        let mut fitting = firsts.filter(|(owner, (bytes, _))| fits(Claim { owner: *owner, bytes: *bytes }));
        fitting.next().map(|(_, (_, path))| path.clone())
    }
}

impl Pending {
    /// What work of this age was to do at `path` waits for room. What is due there, or waits in a folder above, will meet it.
    pub(crate) fn hold(&mut self, path: RelPath, wait: Wait, claim: Claim, since: Since, now: Instant) {
        if self.is_covered(&path, since) {
            return;
        }
        let due = self.waiting.get(&path).is_some_and(|waiting| waiting.held.is_none());
        match wait {
            Wait::Entry(cause) => self.insert(path.clone(), Depth::Entry, cause, since, now),
            Wait::Folder => self.insert(path.clone(), Depth::Folder, Cause::default(), since, now),
            Wait::Subtree => self.subtree(path.clone(), since, now),
            Wait::Doubt => self.doubt(path.clone(), since, now),
        }
        self.hold_back(path, Some(claim).filter(|_| !due));
    }

    /// Whether a folder at or above `path` waits to be compared with all beneath it; then it is as old as this.
    pub(crate) fn is_covered(&mut self, path: &RelPath, since: Since) -> bool {
        let held =
            |path: &RelPath| self.waiting.get(path).is_some_and(|at| at.held.is_some() && at.depth == Depth::Subtree);
        let above = if held(path) { Some(path.clone()) } else { self.waits_above(path).map(|(folder, _)| folder) };
        above.inspect(|folder| self.is_as_old(folder, since)).is_some()
    }

    /// Takes out what waits for room and needs least, of what `fits`.
    pub(crate) fn take_held(&mut self, fits: impl Fn(Claim) -> bool, now: Instant) -> Option<(Work, Claim)> {
        let path = self.held.least(fits)?;
        let waiting = self.forget(&path)?;
        let claim = waiting.held?;
        Some((self.hand_out_waiting(path, waiting, now), claim))
    }

    /// How many paths wait for room.
    pub fn held(&self) -> usize {
        self.held.len
    }

    /// When the oldest change was noticed that is owed and does not wait for room.
    pub fn oldest_moving(&self) -> Option<Instant> {
        self.ages.oldest().map(Since::at)
    }
}
