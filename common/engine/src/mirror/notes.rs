//! What is to be said of single entries: by path, from each side at most one thing, in whose words and since when. The first
//! ones are kept with their paths, all are counted, and they go where their entries go.

mod beyond;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::SystemTime;

use proto::{Name, RelPath};

use crate::beneath::range_beneath;
use crate::clock::Clock;
use beyond::Beyond;

/// Paths that are kept with what is said of them.
const KEPT: usize = 1000;
/// Bytes of those paths.
const BYTES: usize = 1024 * 1024;
/// Bytes of what is said of one: the target's words, and ours before them. A path that is named in them may be longer.
const REASON: usize = proto::limits::REASON + 512;

/// Who says it. Each speaks for itself, and is done by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The source: it cannot be read here.
    Here,
    /// The target: it could not store it, or not all of it.
    There,
}

/// How many sides there are.
const SIDES: usize = 2;

/// What is said of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// In words for people: what is wrong, or what leaves it out.
    pub reason: String,
    /// When it was first said.
    pub since: SystemTime,
    round: Round,
}

/// Orders what is noted: what a comparison has met was noted in its round or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Round(NonZeroU32);

impl Default for Round {
    fn default() -> Round {
        Round(NonZeroU32::MIN)
    }
}

type Notices = [Option<Note>; SIDES];

/// What is said of entries, at most one thing from each side of each.
pub struct Notes {
    clock: Clock,
    kept: BTreeMap<RelPath, Notices>,
    bytes: usize,
    beyond: Beyond,
    /// Notes by side, kept or not.
    count: [u64; SIDES],
    round: Round,
    /// What the last rename took the place of: it comes back if that was the first half of an exchange.
    displaced: Option<Branch>,
}

/// All notes at and beneath one path, taken out.
#[derive(Default)]
struct Branch {
    kept: Vec<(RelPath, Notices)>,
    beyond: beyond::Branch,
}

impl Default for Notes {
    fn default() -> Notes {
        Notes::new(Clock::system())
    }
}

impl Notes {
    /// Nothing is noted yet.
    pub(super) fn new(clock: Clock) -> Notes {
        Notes {
            clock,
            kept: BTreeMap::new(),
            bytes: 0,
            beyond: Beyond::default(),
            count: [0; SIDES],
            round: Round::default(),
            displaced: None,
        }
    }
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} notes: ", self.len())?;
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Notes {
    /// Those that are kept, in order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&RelPath, &Note)> {
        self.kept.iter().flat_map(|(path, notices)| notices.iter().flatten().map(move |note| (path, note)))
    }

    /// How many there are: each path once for each side that says something of it.
    pub fn len(&self) -> u64 {
        self.count.iter().sum()
    }

    /// How many there are of what is at and beneath a place, and of the folders above it.
    pub fn len_at(&self, place: &RelPath) -> u64 {
        let above = std::iter::successors(place.parent(), RelPath::parent);
        let sides = above.flat_map(|folder| [Side::Here, Side::There].map(|side| self.has(&folder, side)));
        let kept = self.kept_within(place).into_iter().flat_map(|path| self.kept[&path].iter().flatten());
        let beyond: u64 = self.beyond.count_within(place).iter().sum();
        (sides.filter(|has| *has).count() + kept.count()) as u64 + beyond
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notes something; the time of the first notice stays. Whether this is the first.
    pub(super) fn add(&mut self, path: &RelPath, side: Side, mut reason: String) -> bool {
        let (at, round) = (side as usize, self.round);
        if reason.len() > REASON {
            let cut = (0..=REASON).rev().find(|at| reason.is_char_boundary(*at));
            reason.truncate(cut.unwrap_or_default());
            reason.shrink_to_fit();
        }
        let since = self.clock.wall();
        let fresh = |reason| Note { reason, since, round };
        let first = match self.kept.get_mut(path) {
            Some(notices) => match &mut notices[at] {
                Some(known) => {
                    (known.reason, known.round) = (reason, round);
                    false
                }
                none => none.replace(fresh(reason)).is_none(),
            },
            None => {
                let mut mark = self.beyond.get(path);
                let first = mark[at].replace(round).is_none();
                if mark.iter().flatten().count() == 1 && self.has_room(path) {
                    self.beyond.set(path, beyond::Mark::default());
                    self.bytes += path.as_bytes().len();
                    self.kept.entry(path.clone()).or_default()[at] = Some(fresh(reason));
                } else if !self.beyond.set(path, mark) {
                    return false;
                }
                first
            }
        };
        self.count[at] += u64::from(first);
        first
    }

    /// What this side said of it is over. Whether it had said something.
    pub(super) fn clear(&mut self, path: &RelPath, side: Side) -> bool {
        let at = side as usize;
        if self.count[at] == 0 {
            return false;
        }
        let was = match self.kept.get_mut(path) {
            Some(notices) => {
                let was = notices[at].take().is_some();
                if notices.iter().all(Option::is_none) {
                    self.kept.remove(path);
                    self.bytes -= path.as_bytes().len();
                }
                was
            }
            None => {
                let mut mark = self.beyond.get(path);
                let was = mark[at].take().is_some();
                if was {
                    self.beyond.set(path, mark);
                }
                was
            }
        };
        self.count[at] -= u64::from(was);
        was
    }

    /// Whether this side says something of it.
    pub(super) fn has(&self, path: &RelPath, side: Side) -> bool {
        let at = side as usize;
        self.count[at] > 0
            && match self.kept.get(path) {
                Some(notices) => notices[at].is_some(),
                None => self.beyond.get(path)[at].is_some(),
            }
    }

    /// Whether this side says something at all.
    pub(super) fn has_any(&self, side: Side) -> bool {
        self.count[side as usize] > 0
    }

    /// Whether anything may be said of what is beneath this folder.
    pub(super) fn is_any_beneath(&self, folder: &RelPath) -> bool {
        let kept = range_beneath(folder, |bounds| self.kept.range(bounds).next().is_some());
        kept || self.beyond.is_any_beneath(folder)
    }

    /// The entry is gone, and what was beneath it.
    pub(super) fn gone(&mut self, path: &RelPath) {
        if !self.is_empty() {
            self.take(path);
        }
    }

    /// `from` is now `to`, and took the place of what was there.
    pub(super) fn renamed(&mut self, from: &RelPath, to: &RelPath) {
        self.displaced = None;
        if from.is_within(to) || to.is_within(from) {
            return;
        }
        self.displaced = Some(self.take(to));
        let moved = self.take(from);
        self.put(moved, from, to);
    }

    /// The two have changed places: told as a rename of `a` to `b`, and then one of `b` to `a`.
    pub(super) fn renamed_back(&mut self, b: &RelPath, a: &RelPath) {
        if let Some(displaced) = self.displaced.take() {
            self.take(a);
            self.put(displaced, b, a);
        }
    }

    /// Since this round began the folder was found to hold just these names, which are in order.
    pub(super) fn listed(&mut self, folder: &RelPath, names: &[&Name], round: Round) {
        let gone = |path: &&RelPath| child(folder, path).is_some_and(|name| names.binary_search(&&name).is_err());
        let kept = range_beneath(folder, |bounds| {
            let beneath = self.kept.range(bounds).map(|(path, _)| path);
            beneath.filter(gone).cloned().collect::<Vec<RelPath>>()
        });
        kept.iter().for_each(|path| self.clear_before(path, round));
        let over = self.beyond.listed(folder, names, round);
        self.less(over);
    }

    /// What stands there is no folder.
    pub(super) fn nothing_beneath(&mut self, path: &RelPath) {
        if !self.is_empty() && self.is_any_beneath(path) {
            self.listed(path, &[], Round(self.round.0.saturating_add(1)));
        }
    }

    /// What is noted from now on is of a new round.
    pub(super) fn begin_round(&mut self) -> Round {
        self.round = Round(self.round.0.saturating_add(1));
        self.round
    }

    /// A comparison that began with this round has met all that there still is to be said at and beneath `top`.
    pub(super) fn forget_before(&mut self, top: &RelPath, round: Round) {
        self.kept_within(top).iter().for_each(|path| self.clear_before(path, round));
        let over = self.beyond.forget_before(top, round);
        self.less(over);
    }

    fn clear_before(&mut self, path: &RelPath, round: Round) {
        for side in [Side::Here, Side::There] {
            let note = self.kept.get(path).and_then(|notices| notices[side as usize].as_ref());
            if note.is_some_and(|note| note.round < round) {
                self.clear(path, side);
            }
        }
    }

    fn has_room(&self, path: &RelPath) -> bool {
        self.kept.len() < KEPT && self.bytes + path.as_bytes().len() <= BYTES
    }

    fn kept_within(&self, top: &RelPath) -> Vec<RelPath> {
        let at = self.kept.contains_key(top).then(|| top.clone());
        let beneath = range_beneath(top, |bounds| self.kept.range(bounds).map(|(path, _)| path.clone()).collect());
        at.into_iter().chain::<Vec<RelPath>>(beneath).collect()
    }

    fn remove(&mut self, path: &RelPath) -> Option<Notices> {
        let notices = self.kept.remove(path)?;
        self.bytes -= path.as_bytes().len();
        self.less([0, 1].map(|at| u64::from(notices[at].is_some())));
        Some(notices)
    }

    fn take(&mut self, top: &RelPath) -> Branch {
        let within = self.kept_within(top);
        let kept = within.into_iter().filter_map(|path| self.remove(&path).map(|notices| (path, notices))).collect();
        let beyond = self.beyond.take(top);
        self.less(beyond.count());
        Branch { kept, beyond }
    }

    /// They count as said just now: a comparison under way may have been at both places too late and too early.
    fn put(&mut self, branch: Branch, from: &RelPath, to: &RelPath) {
        for (path, mut notices) in branch.kept {
            let Some(path) = path.rebase(from, to) else { continue };
            for (at, note) in notices.iter_mut().enumerate() {
                let Some(note) = note else { continue };
                note.round = self.round;
                self.count[at] += 1;
            }
            self.bytes += path.as_bytes().len();
            self.kept.insert(path, notices);
        }
        let moved = branch.beyond.count();
        let lost = self.beyond.put(branch.beyond, (from, to), self.round);
        (0..SIDES).for_each(|side| self.count[side] += moved[side] - lost[side]);
    }

    fn less(&mut self, over: [u64; SIDES]) {
        self.count.iter_mut().zip(over).for_each(|(count, over)| *count -= over);
    }
}

/// The name, in `folder`, of what is beneath it or holds what is.
fn child(folder: &RelPath, beneath: &RelPath) -> Option<Name> {
    beneath.names().nth(folder.depth()).filter(|_| beneath.is_within(folder))
}
