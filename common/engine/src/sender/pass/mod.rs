//! One comparison of a folder or a whole subtree with the target: list here, compare digests, look at what differs, then
//! delete what is not here.
//!
//! A pass hears what was listed, answered and looked at, and says what is to be done next: it does nothing itself and
//! knows no number of an operation, no clock and no disk. `compare` carries out what it says.

mod action;
mod blank;
mod compared;
mod deletions;
mod differences;
mod folders;
mod links;
#[cfg(test)]
mod model;
mod naming;
mod phase;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet, VecDeque};

use proto::{Name, RelPath};

use super::brake::{Certainty, Judgement, Leave, Reason, Weight};
use super::walk::{Children, Detail};
use super::{MaxDelete, Options};
use crate::mirror::Round;
use crate::pending::{Awaited, Found, Scope};
use crate::view::Node;
pub(super) use action::{Action, Window};
use blank::Blank;
use compared::Compared;
use deletions::{Deletions, Whole};
pub(super) use differences::{Difference, Differing};
use links::{Links, Told};
pub(super) use links::{MOST as MOST_LINKED, Mates};
use phase::Phase;

/// How far down a pass goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The folder's own listing.
    Folder,
    /// All that is beneath it, too.
    Subtree,
}

/// A comparison under way.
pub(super) struct Pass {
    root: RelPath,
    reach: Reach,
    reason: Reason,
    round: Round,
    delete: bool,
    max_delete: MaxDelete,
    phase: Phase,
    /// To be done before anything else.
    todo: VecDeque<Action>,
    /// Folders to be listed or being listed.
    listing: usize,
    /// Folders compared and not answered, or not to their end.
    comparing: BTreeMap<RelPath, Compared>,
    /// Those of which the target has more to tell than it has told, and the last name that it told.
    to_ask: VecDeque<(RelPath, Name)>,
    /// Those that the target does not have, by the folder that they are in, where it has not told so far of that: by then they
    /// are sent.
    missing: BTreeMap<RelPath, Vec<Name>>,
    /// How many entries those have.
    entries: usize,
    blank: Blank,
    /// Looks queued and uploads under way.
    looking: usize,
    deletions: Deletions,
    /// Folders at the target that were let go of: they do not stand in the way any more, or make way for what is sent.
    cleared: HashSet<RelPath>,
    /// Bytes of what is to be deleted, in folders that are compared and in those that are through. They are held until the
    /// pass is over: the looks at them are.
    held: usize,
    /// Entries of the target that have a place here.
    matched: u64,
    /// Whether a change of metadata alone is mirrored.
    attributes: bool,
    /// What becomes of files with more than one name, and those that were met.
    names: Mates,
    links: Links,
    /// Those of them that are still to be sent under one name, and those that are still to be named, the first of them last.
    to_choose: Vec<Node>,
    to_name: Vec<Node>,
    /// Whether all is listed once more for those that there was no room for.
    again: bool,
    /// Whether the root of the source has no entries.
    empty: bool,
    /// Whether some folder could not be listed or compared, or some size not told: more may be gone than was found.
    partial: bool,
}

impl Pass {
    /// Of the folder at `root`. What is noted of entries since it began is of `round`, or later.
    pub fn new(root: RelPath, reach: Reach, reason: Reason, round: Round, options: &Options, names: Mates) -> Pass {
        Pass {
            todo: VecDeque::from([Action::List(root.clone())]),
            root,
            reach,
            reason,
            round,
            delete: options.delete,
            max_delete: options.max_delete,
            phase: Phase::Comparing,
            listing: 1,
            comparing: BTreeMap::new(),
            to_ask: VecDeque::new(),
            missing: BTreeMap::new(),
            entries: 0,
            blank: Blank::default(),
            looking: 0,
            deletions: Deletions::new(),
            cleared: HashSet::new(),
            held: 0,
            matched: 0,
            attributes: options.attributes,
            names,
            links: Links::new(),
            to_choose: Vec::new(),
            to_name: Vec::new(),
            again: false,
            empty: false,
            partial: false,
        }
    }

    pub fn root(&self) -> &RelPath {
        &self.root
    }

    /// Whether all that is not there any more was seen to go, or a person says so.
    pub fn was_cleared(&self) -> bool {
        self.reason == Reason::Cleared
    }

    /// How far it reaches, for what is held.
    pub fn scope(&self) -> Scope<'_> {
        Scope { top: &self.root, deep: self.is_deep() }
    }

    pub fn round(&self) -> Round {
        self.round
    }

    /// Whether something of it could not be listed, compared or counted.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Whether it sees all that is beneath its root.
    pub fn is_deep(&self) -> bool {
        self.reach == Reach::Subtree
    }

    /// Whether it sees the whole source.
    pub fn is_full(&self) -> bool {
        self.root.is_root() && self.is_deep()
    }

    /// Whether all folders are listed, compared and answered.
    pub fn is_compared(&self) -> bool {
        self.listing == 0 && self.comparing.is_empty()
    }

    /// Whether all that is to be sent is found: that, and under which names files with several are.
    pub fn has_found_all(&self) -> bool {
        let chosen = self.phase == Phase::Choosing && self.to_choose.is_empty();
        self.is_compared() && (chosen || !self.is_before_naming() || !self.links.any_differ())
    }

    /// Whether there is something that it says only when operations may be sent.
    pub fn is_held_up(&self) -> bool {
        let named = self.to_choose.is_empty() && self.to_name.is_empty();
        !self.to_ask.is_empty() || self.deletions.has_questions() || !named
    }

    /// Entries of the folders that are compared and not answered.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Bytes of what is to be deleted that it holds, about, or its looks.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Places at the target that are to be deleted, as far as is known.
    pub fn extras(&self) -> usize {
        self.deletions.len()
    }

    /// How much has to be known of a folder that is to be listed.
    pub fn detail(&self, folder: &RelPath) -> Detail {
        if self.blank.contains(folder) { Detail::Names } else { Detail::Metadata }
    }

    /// So many looks were queued for this pass: it does not end before they are through.
    pub fn waits_for_looks(&mut self, looks: usize) {
        self.looking += looks;
    }

    /// A look that was queued, or the upload that it led to, is through.
    pub fn looked(&mut self) {
        self.looking = self.looking.saturating_sub(1);
    }

    /// So many entries stand at and beneath this place of the target.
    pub fn counted(&mut self, path: &RelPath, entries: u64) {
        self.deletions.counted(path, entries);
    }

    /// A question of size got no answer: nothing is deleted.
    pub fn uncounted(&mut self, path: &RelPath) {
        self.partial = true;
        self.deletions.uncounted(path);
    }

    /// The root is the folder that it was.
    pub fn may_delete(&mut self, leave: Leave) {
        if self.phase != Phase::Judging {
            return;
        }
        match self.weight().judge(self.max_delete, leave) {
            Judgement::Delete => self.delete(),
            Judgement::Count => {
                self.deletions.weigh_again();
                self.phase = Phase::Counting;
            }
            Judgement::LookOnceMore(why) => {
                let weight = self.weight();
                self.deletions.drop_all();
                self.phase = Phase::Looking;
                self.todo.push_back(Action::LookOnceMore(weight, why));
            }
            Judgement::Hold(why) => {
                let weight = self.weight();
                let found = Found { total: weight.total, ..self.deletions.take_found() };
                self.phase = Phase::Looking;
                self.todo.push_back(Action::Hold(found, weight, why));
            }
        }
    }

    /// What is to be deleted and waits is left out. Returns the places in which something waits.
    pub fn sift(&mut self, mut awaits: impl FnMut(&RelPath) -> Awaited) -> Vec<RelPath> {
        if self.phase != Phase::Sifting {
            return Vec::new();
        }
        let mut within = Vec::new();
        self.deletions.retain(|path| match awaits(path) {
            Awaited::No => true,
            Awaited::Itself => false,
            Awaited::Within => {
                within.push(path.clone());
                false
            }
        });
        self.weigh();
        within
    }

    fn weigh(&mut self) {
        let share = matches!(self.max_delete, MaxDelete::Percent(_));
        if self.deletions.has_beyond() {
            self.deletions.weigh_all_but(&self.root, self.matched);
        } else {
            self.deletions.weigh(if share && !self.is_full() { Whole::Asked } else { Whole::Known });
        }
        self.phase = Phase::Counting;
    }

    fn weight(&self) -> Weight {
        let (deletes, certainty) = (self.deletions.entries(), self.deletions.certainty());
        let estimated = self.is_full() && certainty == Certainty::Estimated;
        let total = if estimated { self.matched.saturating_add(deletes) } else { self.deletions.whole() };
        Weight { deletes, total, certainty, empty: self.empty, reason: self.reason }
    }

    /// INVARIANT: here is the only way from a listing to a deletion.
    fn delete(&mut self) {
        let weight = self.weight();
        self.phase = Phase::Looking;
        if !self.partial {
            self.todo.push_back(Action::HoldNothing);
        }
        if self.names == Mates::Joined {
            self.cleared = self.deletions.folders().cloned().collect();
        }
        self.todo.push_back(Action::Delete(self.deletions.take(), weight));
        if self.deletions.has_beyond() {
            self.todo.push_back(Action::CompareAgain);
        }
    }

    /// What is to be done next, if something is. To be asked until there is nothing, after all that it hears.
    pub fn next(&mut self, window: Window) -> Option<Action> {
        loop {
            if let Some(action) = self.todo.pop_front() {
                return Some(action);
            }
            if window == Window::Open
                && let Some((folder, after)) = self.to_ask.pop_front()
            {
                if self.comparing.contains_key(&folder) {
                    return Some(Action::AskOn(folder, after));
                }
                continue;
            }
            match self.phase {
                Phase::Comparing if self.again && self.is_compared() => self.phase = Phase::Looking,
                Phase::Comparing if self.is_compared() && self.deletions.is_empty() && self.deletions.has_beyond() => {
                    // Other passes have taken all the room. Nothing is judged, and no doubt is over.
                    self.phase = Phase::Looking;
                    self.todo.push_back(Action::CompareAgain);
                }
                Phase::Comparing if self.is_compared() => {
                    self.phase = Phase::Sifting;
                    return Some(Action::Sift);
                }
                Phase::Counting if window == Window::Open && self.deletions.has_questions() => {
                    return self.deletions.ask().map(Action::Count);
                }
                Phase::Counting if self.deletions.are_counted() && self.deletions.entries() > 0 => {
                    self.phase = Phase::Judging;
                    return Some(Action::Judge);
                }
                Phase::Counting if self.deletions.are_counted() => self.delete(),
                Phase::Looking if self.looking == 0 => self.begin_choosing(),
                Phase::Choosing if window == Window::Open && !self.to_choose.is_empty() => {
                    return self.to_choose.pop().map(Action::Choose);
                }
                // What was tried in vain is tried under the next name.
                Phase::Choosing if self.looking == 0 && self.to_choose.is_empty() => self.begin_choosing(),
                Phase::Naming if self.to_name.is_empty() && self.names == Mates::Joined && self.links.are_left() => {
                    self.begin_again();
                }
                Phase::Naming if self.to_name.is_empty() => {
                    self.phase = Phase::Over;
                    return Some(Action::End);
                }
                Phase::Naming if window == Window::Open => {
                    let told = self.to_name.pop().and_then(|node| self.links.take(node));
                    if let Some(Told { inode, names, good }) = told {
                        return Some(Action::Name(inode, names, good));
                    }
                }
                _ => return None,
            }
        }
    }
}
