//! The passes of a session, by the work that they belong to, and what they share: folders that wait to be listed,
//! comparisons that are not answered, deletions that were doubted.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use proto::{Name, RelPath};

use super::Ended;
use super::pass::{MOST_LINKED, Pass};
use super::walk::Detail;
use crate::mirror::Round;
use crate::pending::Ticket;
use crate::view::{Inode, Node};

/// Folders being listed, or listed and not compared.
const AHEAD: usize = 128;
/// Entries of folders that are compared and not answered: bounds memory to about 12 MB, and is what two threads list in a
/// fifth of a second.
const ENTRIES: usize = 65_536;
/// Bytes of what is to be deleted that all passes hold, about: a hundred thousand names. Where a pass finds more, all of it
/// is counted and judged, what is held is deleted, and the rest by the next pass.
const HELD: usize = 24 * 1024 * 1024;
/// LIMIT: passes under way, and bytes of the paths of the folders that they compare: more wait as hints.
const MOST: usize = 1024;
const ROOTS: usize = 1024 * 1024;
/// LIMIT: folders that are remembered to be compared once more, and bytes of their paths. Of one that is forgotten it is
/// doubted once more.
const DOUBTED: (usize, usize) = (1024, 1024 * 1024);

/// What would delete too much is compared again after this time.
pub(super) const DOUBT: Duration = Duration::from_secs(2);

/// What the target was asked about a folder.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub ticket: Ticket,
    pub folder: RelPath,
    pub about: About,
}

/// What of a folder is asked, by which it is known what a receipt without an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Whether it has this digest. A receipt without an answer says that it has.
    All,
    /// What is in it behind some name.
    Rest,
}

/// Folders to be listed for a pass. Those of one folder have no paths of their own before it is their turn.
enum ToList {
    One(Ticket, RelPath),
    Within(Ticket, RelPath, Vec<Name>),
}

/// All passes that are under way, by their work.
pub(super) struct Passes {
    passes: BTreeMap<Ticket, Pass>,
    /// Bytes of the paths of their roots.
    root_bytes: usize,
    /// Folders still to be listed; the last is next, so that memory is bounded by depth times width.
    to_list: Vec<ToList>,
    at_walker: usize,
    /// Questions not answered, by their numbers.
    asked: BTreeMap<u64, Question>,
    /// Entries of the folders in them.
    entries: usize,
    /// Bytes of what is to be deleted in all of them, and how many there may be.
    held: usize,
    pub most: usize,
    /// Bytes of what all of them know of files with several names, and how many there may be.
    linked: usize,
    pub most_linked: usize,
    /// Where a comparison would have deleted too much, and is made once more before anybody is halted; since when.
    doubted: HashMap<RelPath, Instant>,
    /// What passes that are over, but not acknowledged, will have met: where, and since when.
    met: BTreeMap<Ticket, (RelPath, Round)>,
}

impl Default for Passes {
    fn default() -> Passes {
        let (passes, root_bytes, to_list, at_walker, asked, entries, held, linked, doubted, met) = Default::default();
        let (most, most_linked) = (HELD, MOST_LINKED);
        Passes { passes, root_bytes, to_list, at_walker, asked, entries, held, most, linked, most_linked, doubted, met }
    }
}

impl Passes {
    pub fn begin(&mut self, ticket: Ticket, pass: Pass) {
        self.root_bytes += pass.root().as_bytes().len();
        self.passes.insert(ticket, pass);
    }

    /// The pass of this work, if it has one.
    pub fn get(&self, ticket: Ticket) -> Option<&Pass> {
        self.passes.get(&ticket)
    }

    /// Whether this work has a pass under way.
    pub fn has(&self, ticket: Ticket) -> bool {
        self.passes.contains_key(&ticket)
    }

    /// Whether this work is a comparison of the whole source.
    pub fn is_full(&self, ticket: Ticket) -> bool {
        self.get(ticket).is_some_and(Pass::is_full)
    }

    /// Tells the pass of this work something, if it has one. INVARIANT: nothing else changes a pass, so that what all
    /// of them hold is known.
    pub fn tell<T>(&mut self, ticket: Ticket, what: impl FnOnce(&mut Pass) -> T) -> Option<T> {
        let pass = self.passes.get_mut(&ticket)?;
        let (entries, held, linked) = (pass.entries(), pass.held(), pass.links().bytes());
        pass.links_mut().may_take(self.most_linked.saturating_sub(self.linked - linked));
        let said = what(pass);
        self.entries = self.entries + pass.entries() - entries;
        self.held = self.held + pass.held() - held;
        self.linked = self.linked + pass.links().bytes() - linked;
        Some(said)
    }

    /// A file with several names was sent under this one. Whether this work has a pass that is to tell of them at its end.
    pub fn meet(&mut self, ticket: Ticket, inode: Inode, path: &RelPath) -> bool {
        self.tell(ticket, |pass| pass.meet(inode, path)).unwrap_or_default()
    }

    /// Whether the content that a look of this work has found under a name of several waits, as [`Pass::defers`].
    pub fn defers(&mut self, ticket: Ticket, inode: Inode, path: &RelPath) -> bool {
        self.tell(ticket, |pass| pass.defers(inode, path)).unwrap_or_default()
    }

    /// The target has refused a file under this name of several, as [`Pass::refused`].
    pub fn refused(&mut self, ticket: Ticket, node: Node, path: &RelPath) -> bool {
        self.tell(ticket, |pass| pass.refused(node, path)).unwrap_or_default()
    }

    /// The pass of this work, if it has one, counts this file with several names. Whether it does so for the first time, and
    /// has not met another of them before.
    pub fn count_once(&mut self, ticket: Ticket, node: Node) -> bool {
        self.tell(ticket, |pass| pass.links_mut().count_once(node)).unwrap_or_default()
    }

    /// Takes a pass out that is over.
    pub fn end(&mut self, ticket: Ticket) -> Option<Pass> {
        let pass = self.passes.remove(&ticket)?;
        self.root_bytes -= pass.root().as_bytes().len();
        self.held -= pass.held();
        self.linked -= pass.links().bytes();
        if pass.is_deep() {
            self.met.insert(ticket, (pass.root().clone(), pass.round()));
        }
        Some(pass)
    }

    /// This work is acknowledged: where its pass has met all that there is, and since when.
    pub fn has_met(&mut self, ticket: Ticket) -> Option<(RelPath, Round)> {
        self.met.remove(&ticket)
    }

    /// Passes that wait until operations may be sent.
    pub fn held_up(&self) -> Vec<Ticket> {
        self.passes.iter().filter(|(_, pass)| pass.is_held_up()).map(|(ticket, _)| *ticket).collect()
    }

    /// Differences that were found and are not looked at: what is to be deleted.
    pub fn extras(&self) -> usize {
        self.passes.values().map(Pass::extras).sum()
    }

    /// Whether all that differs is found.
    pub fn are_compared(&self) -> bool {
        self.passes.values().all(Pass::has_found_all)
    }

    /// Whether one more may be begun.
    pub fn has_room(&self) -> bool {
        self.passes.len() < MOST && self.root_bytes < ROOTS
    }

    /// This folder is to be listed for a pass.
    pub fn list(&mut self, ticket: Ticket, folder: RelPath) {
        self.to_list.push(ToList::One(ticket, folder));
    }

    /// These in a folder are to be listed for a pass, the last of them first.
    pub fn list_within(&mut self, ticket: Ticket, folder: RelPath, names: Vec<Name>) {
        self.to_list.push(ToList::Within(ticket, folder, names));
    }

    fn next_to_list(&mut self) -> Option<(Ticket, RelPath)> {
        loop {
            match self.to_list.last_mut()? {
                ToList::One(ticket, folder) => {
                    let next = (*ticket, folder.clone());
                    self.to_list.pop();
                    return Some(next);
                }
                ToList::Within(ticket, folder, names) => match names.pop().map(|name| folder.join(&name)) {
                    Some(Ok(folder)) => return Some((*ticket, folder)),
                    // They are names that can be joined.
                    Some(Err(_)) => {}
                    None => _ = self.to_list.pop(),
                },
            }
        }
    }

    /// The next folder to be listed, unless enough are.
    pub fn next_folder(&mut self) -> Option<(Ticket, RelPath, Detail)> {
        if self.at_walker >= AHEAD {
            return None;
        }
        let (ticket, folder) = self.next_to_list()?;
        self.at_walker += 1;
        let detail = self.get(ticket).map_or(Detail::Metadata, |pass| pass.detail(&folder));
        Some((ticket, folder, detail))
    }

    /// Bytes of what is to be deleted that may be held yet.
    pub fn room(&self) -> usize {
        self.most.saturating_sub(self.held)
    }

    /// Whether folders that are listed may be compared: not so many of those that are wait for an answer.
    pub fn take_more(&self) -> bool {
        self.entries < ENTRIES
    }

    /// A folder that was to be listed is taken in.
    pub fn listed(&mut self) {
        self.at_walker -= 1;
    }

    /// Operation `number` asks this.
    pub fn asked(&mut self, number: u64, question: Question) {
        self.asked.insert(number, question);
    }

    /// Whether operation `number` has asked something, and is not answered.
    pub fn is_open(&self, number: u64) -> bool {
        self.asked.contains_key(&number)
    }

    /// What operation `number` asks, which is answered now; `None` when it asks nothing, or was answered before.
    pub fn answered(&mut self, number: u64) -> Option<Question> {
        self.asked.remove(&number)
    }

    /// The first question up to this operation that is not answered; it is now.
    pub fn next_answered(&mut self, upto: u64) -> Option<Question> {
        let first = self.asked.first_entry().filter(|first| *first.key() <= upto)?;
        Some(first.remove())
    }

    /// Whether a pass of this folder would have deleted too much, so long ago that another one is evidence by now.
    pub fn is_doubted(&self, root: &RelPath, now: Instant) -> bool {
        self.doubted.get(root).is_some_and(|since| now.saturating_duration_since(*since) >= DOUBT)
    }

    /// A pass of this folder would have deleted too much, and is made once more. Others may come meanwhile, which tell nothing
    /// new: the time runs from the first.
    pub fn doubt(&mut self, root: RelPath, now: Instant) {
        let bytes: usize = self.doubted.keys().map(|root| root.as_bytes().len()).sum();
        if self.doubted.len() >= DOUBTED.0 || bytes > DOUBTED.1 {
            self.doubted.clear();
        }
        self.doubted.entry(root).or_insert(now);
    }

    /// It may delete what it found.
    pub fn trust(&mut self, root: &RelPath) {
        self.doubted.remove(root);
    }
}

/// The target answers what it was not asked.
pub(super) fn unasked(number: u64) -> Ended {
    Ended::Violation(format!("an answer to operation {number}, which asked nothing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_that_comes_soon_after_one_that_was_doubted_is_no_second_look() {
        let (mut passes, root, began) = (Passes::default(), RelPath::root(), Instant::now());
        let at = |millis| began + Duration::from_millis(millis);
        assert!(!passes.is_doubted(&root, began));
        passes.doubt(root.clone(), began);
        assert!(!passes.is_doubted(&root, at(30)), "the events are as late as they were");
        passes.doubt(root.clone(), at(30));
        assert!(passes.is_doubted(&root, began + DOUBT), "the time runs from the first");
        passes.trust(&root);
        assert!(!passes.is_doubted(&root, began + DOUBT));
    }
}
