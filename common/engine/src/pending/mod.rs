//! What one target is still owed. Hints go in, merge by path and come out as work; work is owed until it is
//! acknowledged. Nothing is dropped: a full store becomes bigger hints, a lost link brings all work back.
//!
//! The watcher's thread puts hints in, the sender takes work out; both under one lock, so nothing here blocks.
//! Time comes in as an argument.

mod ages;
mod agreed;
mod concerns;
mod held;
mod met;
mod renamed;
mod store;
#[cfg(test)]
mod tests;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::time::{Duration, Instant};

use proto::RelPath;

pub use ages::Since;
pub(crate) use held::Wait;
pub use held::{Claim, Owner};

use crate::hint::{Cause, Hint};
use crate::view::Selection;
use ages::Ages;
use agreed::Agreed;
use held::Held;
use met::Deferred;
pub(crate) use renamed::Turn;

/// Entries that wait before they are merged into bigger hints: about 40 MB of paths of usual length.
const WAITING: usize = 200_000;
/// Renames that wait before they are merged into bigger hints.
const MOVES: usize = 10_000;
/// Acknowledged places that are remembered for renames whose event is still on its way.
const RECENT: usize = 4096;
/// When a hint is worth a look.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// After a closed file's last event.
    pub settle: Duration,
    /// After the last write to a file still open.
    pub open_settle: Duration,
    /// After the first write to a file still open, however many follow.
    pub open_max_delay: Duration,
    /// For what is not there.
    pub holds: Holds,
}

/// How long what is not there may have an explanation that is on its way.
#[derive(Debug, Clone, Copy)]
pub struct Holds {
    /// A deletion waits this long, so that a source that vanishes as a whole is seen as such before the first is sent.
    pub deleted: Duration,
    /// What was not there without an event that says why is asked about again after this time, by its folder's listing.
    pub lost: Duration,
}

impl Default for Holds {
    fn default() -> Holds {
        Holds { deleted: Duration::from_millis(100), lost: Duration::from_secs(1) }
    }
}

/// Names one piece of work until it is acknowledged.
pub type Ticket = u64;

/// Something to do for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Look at this entry.
    Entry {
        /// Where.
        path: RelPath,
        /// Why.
        cause: Cause,
    },
    /// Compare this folder's listing.
    Folder {
        /// Where.
        path: RelPath,
    },
    /// Compare all that is at and beneath.
    Subtree {
        /// Where.
        path: RelPath,
    },
    /// Carry out a rename; `parents` are folders above `to` that may not have been sent yet, outermost first.
    Rename {
        /// The old place.
        from: RelPath,
        /// The new place.
        to: RelPath,
        /// Folders above `to` with hints still waiting.
        parents: Vec<RelPath>,
        /// A moment before it happened at the source.
        before: Instant,
    },
    /// Two entries may have swapped places.
    Exchange {
        /// One place.
        a: RelPath,
        /// The other.
        b: RelPath,
    },
}

impl Task {
    /// Whether it looks at what is beneath its places, too. A rename looks at what it moves, for the metadata.
    fn is_whole(&self) -> bool {
        !matches!(self, Task::Entry { .. } | Task::Rename { .. })
    }
}

/// A task with its ticket.
#[derive(Debug, Clone)]
pub struct Work {
    /// Its name.
    pub ticket: Ticket,
    /// What to do.
    pub task: Task,
    /// When the oldest change in it was noticed.
    pub since: Since,
    /// Where its places are by now, after all renames that were hinted: in the order of the task's paths, and after an
    /// exchange more, as either place may be meant.
    pub stands: Vec<RelPath>,
    /// Its places became too many to follow: when it is over, the folder above them all is compared.
    scattered: bool,
    /// When it was handed out.
    begun: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    Entry,
    Folder,
    Subtree,
}

#[derive(Debug, Clone)]
struct Waiting {
    depth: Depth,
    cause: Cause,
    since: Since,
    /// When the first write to a file still open was noticed.
    writing: Option<Instant>,
    due: Instant,
    /// It is not due at all before there is so much room at the target.
    held: Option<Claim>,
}

/// Where work was acknowledged lately.
#[derive(Debug, Clone)]
struct Recent {
    at: Instant,
    path: RelPath,
    /// Whether it concerned what is beneath, too.
    whole: bool,
}

#[derive(Debug, Clone)]
enum Move {
    Rename { from: RelPath, to: RelPath, since: Since, before: Instant },
    Exchange { a: RelPath, b: RelPath, since: Since },
}

impl Move {
    fn since(self) -> Since {
        let (Move::Rename { since, .. } | Move::Exchange { since, .. }) = self;
        since
    }
}

/// See the module.
pub struct Pending {
    rules: Rules,
    selection: Selection,
    waiting: BTreeMap<RelPath, Waiting>,
    due: BTreeSet<(Instant, RelPath)>,
    /// Those that wait with [`Depth::Subtree`].
    subtrees: BTreeSet<RelPath>,
    moves: VecDeque<Move>,
    /// The last rename that was hinted: the first half of an exchange, perhaps.
    renamed_last: Option<(RelPath, RelPath, Instant)>,
    /// What it turned out to be.
    turn: Turn,
    taken: HashMap<Ticket, Work>,
    taken_at: BTreeSet<(RelPath, Ticket)>,
    /// Hints that wait for a comparison.
    deferred: HashMap<Ticket, Vec<Deferred>>,
    recent: VecDeque<Recent>,
    next: Ticket,
    /// Of all that waits, moves and is under way, but for what is held.
    ages: Ages,
    held: Held,
    /// When a comparison of more than one entry was last acknowledged.
    compared: Option<Instant>,
    agreed: Agreed,
}

impl Pending {
    /// Owes nothing yet.
    pub fn new(rules: Rules) -> Pending {
        Pending {
            rules,
            selection: Selection::default(),
            waiting: BTreeMap::new(),
            due: BTreeSet::new(),
            subtrees: BTreeSet::new(),
            moves: VecDeque::new(),
            renamed_last: None,
            turn: Turn::Renamed,
            taken: HashMap::new(),
            taken_at: BTreeSet::new(),
            deferred: HashMap::new(),
            recent: VecDeque::new(),
            next: 1,
            ages: Ages::default(),
            held: Held::default(),
            compared: None,
            agreed: Agreed::default(),
        }
    }

    /// Only what this selects is owed.
    #[must_use]
    pub(crate) fn of(mut self, selection: Selection) -> Pending {
        self.selection = selection;
        self
    }

    /// Takes in a hint at something that was not known before. Of what is not selected nothing is owed.
    pub fn hint(&mut self, hint: Hint, now: Instant) {
        self.owe(hint, Since::noticed(now), now);
    }

    fn leaves_out(&self, path: &RelPath) -> bool {
        self.selection.leaves_out(path).is_some()
    }

    /// Takes in a hint that comes of a change noticed before.
    pub(crate) fn owe(&mut self, hint: Hint, since: Since, now: Instant) {
        self.still_agreed(now);
        match hint {
            Hint::Entry { path, .. } | Hint::Folder { path } | Hint::Subtree { path } if self.leaves_out(&path) => {}
            Hint::Renamed { from, to, .. } if self.leaves_out(&from) => {
                if !self.leaves_out(&to) {
                    self.doubt(to, since, now);
                }
            }
            Hint::Renamed { from, to, .. } if self.leaves_out(&to) => self.entry(from, Cause::GONE, since, now),
            Hint::Entry { path, cause } => self.entry(path, cause, since, now),
            Hint::Folder { path } => self.insert(path, Depth::Folder, Cause::default(), since, now),
            Hint::Subtree { path } => self.subtree(path, since, now),
            Hint::Renamed { from, to, folder, since: before } => {
                self.turn = self.renamed((from, to), folder, before, since, now);
            }
        }
        if self.waiting.len() > WAITING || self.moves.len() > MOVES {
            self.collapse(now);
        }
    }

    /// The next piece of work whose time has come.
    pub fn take(&mut self, now: Instant) -> Option<Work> {
        if let Some(step) = self.moves.pop_front() {
            let (task, since) = match step {
                Move::Rename { from, to, since, before } => {
                    let parents = self.unsent_parents(&to);
                    (Task::Rename { from, to, parents, before }, since)
                }
                Move::Exchange { a, b, since } => (Task::Exchange { a, b }, since),
            };
            self.ages.remove(since);
            return Some(self.hand_out(task, since, now));
        }
        let path = loop {
            let (due, path) = self.due.first()?;
            if *due > now {
                return None;
            }
            let path = path.clone();
            match self.comparison_above(&path, now) {
                None => break path,
                Some(ticket) => self.defer(path, ticket),
            }
        };
        let waiting = self.forget(&path)?;
        Some(self.hand_out_waiting(path, waiting, now))
    }

    /// When [`take`](Pending::take) will have something, if nothing else comes in.
    pub fn next_due(&self) -> Option<Instant> {
        if self.moves.is_empty() { self.due.first().map(|(due, _)| *due) } else { Some(Instant::now()) }
    }

    /// Pieces of work that wait, and that are handed out.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        ((self.waiting.len() + self.moves.len()) as u64, self.taken.len() as u64)
    }

    /// Pieces of work that are owed, waiting or handed out.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.moves.len() + self.taken.len()
    }

    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the oldest change still owed was noticed.
    pub fn oldest(&self) -> Option<Instant> {
        self.ages.oldest().into_iter().chain(self.held.ages.oldest()).min().map(Since::at)
    }

    /// Where what stands at a place of the target will stand after the renames that wait.
    pub(crate) fn forwarded(&self, place: &RelPath) -> RelPath {
        let mut at = place.clone();
        for step in &self.moves {
            let moved = match step {
                Move::Rename { from, to, .. } => at.rebase(from, to),
                Move::Exchange { a, b, .. } => at.rebase(a, b).or_else(|| at.rebase(b, a)),
            };
            at = moved.unwrap_or(at);
        }
        at
    }

    /// A hint at one entry, with the two rules that only events allow: a vanished entry takes its hints beneath along,
    /// and what came and went before anyone looked was never there.
    fn entry(&mut self, path: RelPath, cause: Cause, since: Since, now: Instant) {
        let mut since = since;
        if let Some((folder, _)) = self.waits_above(&path) {
            // The comparison of that folder has yet to begin, and will meet it.
            return self.is_as_old(&folder, since);
        }
        if cause.has(Cause::GONE) {
            for beneath in self.beneath(&path) {
                since = self.forget(&beneath).map_or(since, |waiting| waiting.since.min(since));
            }
            if self.came_and_went(&path, now) {
                self.forget(&path);
                return;
            }
        }
        self.insert(path, Depth::Entry, cause, since, now);
    }

    /// Everything at and beneath.
    fn subtree(&mut self, path: RelPath, since: Since, now: Instant) {
        self.whole(path, Cause::default(), since, now);
    }

    /// Everything at and beneath, where it is not known what a rename has left at the target: what stands there itself is
    /// sent if it is a file, as two may be alike in size and time.
    pub(crate) fn doubt(&mut self, path: RelPath, since: Since, now: Instant) {
        self.whole(path, Cause::WRITTEN, since, now);
    }

    /// Everything at and beneath. Hints beneath that only say "differs" go into it; those that saw a write stay when
    /// it is the root, as a comparison cannot see a write that kept size and time.
    fn whole(&mut self, path: RelPath, cause: Cause, since: Since, now: Instant) {
        let mut since = since;
        for beneath in self.beneath(&path) {
            let cause = self.waiting[&beneath].cause;
            let written = cause.has(Cause::WRITTEN | Cause::WRITING);
            if !written || (cause.has(Cause::CREATED) && !path.is_root()) {
                since = self.forget(&beneath).map_or(since, |waiting| waiting.since.min(since));
            }
        }
        self.insert(path, Depth::Subtree, cause, since, now);
    }

    /// Folders above `path` that the target may not have yet, outermost first.
    fn unsent_parents(&self, path: &RelPath) -> Vec<RelPath> {
        let mut found = Vec::new();
        let mut at = path.parent();
        while let Some(folder) = at.filter(|folder| !folder.is_root()) {
            if self.waiting.get(&folder).is_some_and(|w| w.depth == Depth::Subtree || w.cause.has(Cause::CREATED)) {
                found.push(folder.clone());
            }
            at = folder.parent();
        }
        found.reverse();
        found
    }
}

fn places(task: &Task) -> impl Iterator<Item = &RelPath> {
    let (first, second) = match task {
        Task::Entry { path, .. } | Task::Folder { path } | Task::Subtree { path } => (path, None),
        Task::Rename { from, to, .. } => (from, Some(to)),
        Task::Exchange { a, b, .. } => (a, Some(b)),
    };
    std::iter::once(first).chain(second)
}

/// The keys strictly beneath a folder stand together in byte order: from `folder/` to just before `folder0`.
pub(crate) fn range_beneath<T>(folder: &RelPath, range: impl FnOnce((Bound<RelPath>, Bound<RelPath>)) -> T) -> T {
    if folder.is_root() {
        return range((Bound::Excluded(RelPath::root()), Bound::Unbounded));
    }
    range((Bound::Excluded(folder.with_suffix(b'/')), Bound::Excluded(folder.with_suffix(b'/' + 1))))
}
