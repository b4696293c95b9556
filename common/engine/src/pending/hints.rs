//! What becomes of hints that meet: those at one path merge, the comparison of a folder takes in what waits beneath it, and
//! later hints there are left to it.

use std::time::{Duration, Instant};

use proto::RelPath;

use super::ages::Since;
use super::parked::Claim;
use super::rules::Rules;
use super::store::Store;
use super::waiting::{Depth, Waiting};
use crate::hint::Cause;

/// Comparisons that wait beneath one folder are kept apart up to this number when it is renamed: an exchange doubles them.
const COMPARISONS: usize = 64;

/// A hint is not put off by less than this each time that something comes to it.
const WORTH: Duration = Duration::from_millis(100);

/// What has to be looked at when there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The entry alone, for this reason.
    Entry(Cause),
    /// The listing of a folder.
    Folder,
    /// All at and beneath.
    Subtree,
    /// All at and beneath, where it is not known what stands at the target.
    Doubt,
}

/// What is known of the contents of a folder that waits to be compared with all beneath it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Above {
    /// The folder may be new: the target may have nothing of it.
    Differs,
    /// A rename has left it, or it was looked at while one happened: what is in it stands there as far as is known.
    InDoubt,
}

#[derive(Debug)]
pub(super) struct Hints {
    rules: Rules,
    store: Store,
}

impl Hints {
    pub fn new(rules: Rules) -> Hints {
        Hints { rules, store: Store::default() }
    }

    /// What waits, to be asked.
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Takes in a hint of which a change of this age is the reason.
    pub fn add(&mut self, path: RelPath, depth: Depth, cause: Cause, since: Since, now: Instant) {
        let old = self.store.remove(&path);
        self.store.put(path, Waiting::merged(old, (depth, cause, since), &self.rules, now));
    }

    /// Takes in what has waited under another name. It is due no earlier for that.
    pub fn add_moved(&mut self, path: RelPath, moved: Waiting, now: Instant) {
        let old = self.store.remove(&path);
        let mut merged = Waiting::merged(old, (moved.depth, moved.cause, moved.since), &self.rules, now);
        merged.writing = merged.writing.or(moved.writing);
        merged.due = merged.due.max(moved.due);
        self.store.put(path, merged);
    }

    /// Has everything at and beneath compared.
    pub fn subtree(&mut self, path: RelPath, since: Since, now: Instant) {
        self.whole(path, Cause::default(), since, now);
    }

    /// Has everything at and beneath compared, of which what is not there any more was seen to go.
    pub fn clear(&mut self, path: RelPath, since: Since, now: Instant) {
        self.whole(path, Cause::CLEARED, since, now);
    }

    /// Has everything at and beneath compared, where it is not known what a rename has left at the target. If a file stands
    /// there it is sent: two may be alike in size and time.
    pub fn doubt(&mut self, path: RelPath, since: Since, now: Instant) {
        self.whole(path, Cause::WRITTEN, since, now);
    }

    /// Hints beneath that only say "differs" go into the comparison. Those that saw a write stay, as a comparison cannot see
    /// a write that kept size and time; but in a folder other than the root what is new is sent with it.
    fn whole(&mut self, path: RelPath, cause: Cause, since: Since, now: Instant) {
        let mut since = since;
        for beneath in self.store.beneath(&path) {
            let cause = self.store.get(&beneath).map_or(Cause::default(), |waiting| waiting.cause);
            let written = cause.has(Cause::WRITTEN | Cause::WRITING);
            if !written || (cause.has(Cause::CREATED) && !path.is_root()) {
                since = self.store.remove(&beneath).map_or(since, |waiting| waiting.since.min(since));
            }
        }
        self.add(path, Depth::Subtree, cause, since, now);
    }

    /// The paths of entries that are seen to be gone, of which nothing else waits.
    pub fn gone(&self) -> Vec<RelPath> {
        let stands = Cause::CREATED | Cause::WRITTEN | Cause::WRITING | Cause::RELEASED;
        let gone = |waiting: &Waiting| {
            waiting.depth == Depth::Entry && waiting.cause.has(Cause::GONE) && !waiting.cause.has(stands)
        };
        let all = self.store.iter().filter(|(_, waiting)| gone(waiting));
        all.map(|(path, _)| path.clone()).collect()
    }

    /// This neighbour has something to do that is no hint.
    pub fn call(&mut self, neighbour: RelPath) {
        self.store.call(neighbour);
    }

    /// The neighbour whose turn it is.
    pub fn turn(&mut self, now: Instant) -> Option<RelPath> {
        self.store.turn(now)
    }

    /// Takes out what waits here.
    pub fn remove(&mut self, path: &RelPath) -> Option<Waiting> {
        self.store.remove(path)
    }

    /// Drops what waits strictly beneath a folder that has vanished. Returns the oldest age among `since` and theirs.
    pub fn drop_beneath(&mut self, folder: &RelPath, since: Since) -> Since {
        let ages = self.store.beneath(folder).into_iter().filter_map(|path| Some(self.store.remove(&path)?.since));
        ages.fold(since, Since::min)
    }

    /// The hint at this path, if one waits, is not due before `due`.
    pub fn postpone(&mut self, path: &RelPath, due: Instant) {
        self.store.reschedule(path, |before| before.max(due));
    }

    /// The hint at this path was postponed to `later`. It is due as it was before, unless something else has postponed it.
    pub fn take_back(&mut self, path: &RelPath, later: Instant, due: Instant) {
        self.store.reschedule(path, |now| if now == later { due } else { now });
    }

    /// The folder above, other than the root, that waits to be compared with all beneath it. One that may be new is preferred.
    pub fn comparison_above(&self, path: &RelPath) -> Option<(RelPath, Above)> {
        let mut found = None;
        let mut above = path.parent();
        while let Some(folder) = above.filter(|folder| !folder.is_root()) {
            if let Some(waiting) = self.store.comparison(&folder) {
                if !waiting.cause.has(Cause::WRITTEN) {
                    return Some((folder, Above::Differs));
                }
                found = Some((folder.clone(), Above::InDoubt));
            }
            above = folder.parent();
        }
        found
    }

    /// Whether a folder above `path` waits to be compared with all beneath it and so will meet it. It is as old as this then.
    pub fn leave_to_comparison_above(&mut self, path: &RelPath, since: Since) -> bool {
        let above = self.comparison_above(path);
        above.inspect(|(folder, _)| self.is_as_old(folder, since)).is_some()
    }

    /// The same of a folder above, or of one at `path` that is parked.
    pub fn leave_to_comparison(&mut self, path: &RelPath, since: Since) -> bool {
        if self.store.comparison(path).is_some_and(|waiting| waiting.parked.is_some()) {
            self.is_as_old(path, since);
            return true;
        }
        self.leave_to_comparison_above(path, since)
    }

    /// Whether this folder waits to be compared with all beneath it: then it is as old as this, and due no earlier than that.
    pub fn leave_to_comparison_at(&mut self, folder: &RelPath, since: Since, due: Instant) -> bool {
        let Some(before) = self.store.comparison(folder).map(|waiting| waiting.due) else { return false };
        self.is_as_old(folder, since);
        if before + WORTH < due {
            self.postpone(folder, due);
        }
        true
    }

    /// The hint that waits here is about a change as old as this, too.
    fn is_as_old(&mut self, path: &RelPath, since: Since) {
        if self.store.get(path).is_some_and(|waiting| waiting.since > since)
            && let Some(waiting) = self.store.remove(path)
        {
            self.store.put(path.clone(), Waiting { since, ..waiting });
        }
    }

    /// What work of this age was to do at `path` waits for room. What is due there, or waits in a folder above, will meet it.
    pub fn park(&mut self, path: RelPath, wait: Wait, claim: Claim, since: Since, now: Instant) {
        if self.leave_to_comparison(&path, since) {
            return;
        }
        let due = self.store.get(&path).is_some_and(|waiting| waiting.parked.is_none());
        match wait {
            Wait::Entry(cause) => self.add(path.clone(), Depth::Entry, cause, since, now),
            Wait::Folder => self.add(path.clone(), Depth::Folder, Cause::default(), since, now),
            Wait::Subtree => self.subtree(path.clone(), since, now),
            Wait::Doubt => self.doubt(path.clone(), since, now),
        }
        self.park_at(path, Some(claim).filter(|_| !due));
    }

    /// What waits here is parked, where there is a claim.
    pub fn park_at(&mut self, path: RelPath, claim: Option<Claim>) {
        if claim.is_some()
            && let Some(waiting) = self.store.remove(&path)
        {
            self.store.put(path, Waiting { parked: claim, ..waiting });
        }
    }

    /// These hints, all beneath this folder, become a comparison of it.
    pub fn join(&mut self, folder: &RelPath, beneath: &[RelPath], now: Instant) {
        let since = beneath.iter().filter_map(|path| Some(self.store.remove(path)?.since)).min();
        if let Some(since) = since {
            self.doubt(folder.clone(), since, now);
        }
    }

    /// Many comparisons that wait beneath a folder become one.
    pub fn join_comparisons(&mut self, folder: &RelPath, now: Instant) {
        let beneath = self.store.comparisons_beneath(folder);
        if beneath.len() > COMPARISONS {
            self.join(folder, &beneath, now);
        }
    }

    /// Folders above `path` that the target may not have yet, outermost first.
    pub fn unsent_parents(&self, path: &RelPath) -> Vec<RelPath> {
        let mut found = Vec::new();
        let mut at = path.parent();
        while let Some(folder) = at.filter(|folder| !folder.is_root()) {
            if self.store.get(&folder).is_some_and(|w| w.is_whole() || w.cause.has(Cause::CREATED)) {
                found.push(folder.clone());
            }
            at = folder.parent();
        }
        found.reverse();
        found
    }

    /// The target gets something at this place by other means than a look: what waits here is not new to it from now on, and
    /// what vanishes before it was looked at has to be told. It is looked at for `cause` instead.
    pub fn is_known(&mut self, path: &RelPath, cause: Cause) {
        if self.store.get(path).is_some_and(|waiting| waiting.cause.has(Cause::CREATED))
            && let Some(waiting) = self.store.remove(path)
        {
            let cause = waiting.cause.without(Cause::CREATED) | cause;
            self.store.put(path.clone(), Waiting { cause, ..waiting });
        }
    }

    /// Whether something that was noticed at `moment` or before waits that concerns what is at or beneath `place`.
    pub fn owes(&self, place: &RelPath, moment: Instant) -> bool {
        let old = |waiting: &Waiting| waiting.since.at() <= moment;
        let above = |folder: RelPath| self.store.get(&folder).is_some_and(|it| old(it) && it.concerns_beneath());
        self.store.get(place).is_some_and(old)
            || std::iter::successors(place.parent(), RelPath::parent).any(above)
            || self.store.is_owed_beneath(place, moment)
    }

    /// The paths of what was noticed at `moment` or before and waits; `None` in place of one that is no single entry.
    pub fn singles(&self, moment: Instant) -> impl Iterator<Item = Option<&RelPath>> {
        let old = self.store.iter().filter(move |(_, waiting)| waiting.since.at() <= moment);
        old.map(|(path, waiting)| (waiting.depth == Depth::Entry).then_some(path))
    }
}
