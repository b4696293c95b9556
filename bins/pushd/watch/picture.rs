//! The picture that the watcher has of its folders: which watch stands where, what about that is in doubt, what has no watch.
//! Pure: it takes what happened (an event, what a look met) and says what is to be done (a [`Task`]) and told (a [`Notice`]).
//! The hands that ask the kernel are `inotify`'s.
//!
//! A look sees the disk as it is now while events that happened before it are still to come, so a folder may be known at its
//! new place before its rename is. Where events and looks contradict each other the place is in doubt and is looked at
//! again. On a tree at rest this ends with the picture equal to the disk. What was found to stand elsewhere is hinted as a
//! subtree, because hints may have been given under its wrong path.

mod adrift;
mod doubts;
mod events;
mod looks;
mod renames;
mod task;
mod tree;
mod unwatched;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Instant;

use engine::hint::{Cause, Hint};
use engine::view::Selection;
use proto::RelPath;
use sys::inotify::Watch;

use super::ahead::Ahead;
use super::event::Spot;
use super::watcher::Notice;
use adrift::Adrift;
use doubts::{Doubts, Where};
use renames::Renames;
use task::Purpose;
use tree::WatchTree;
use unwatched::{Unwatched, Why};

pub use task::{Look, Met, Seen, Task};

/// So many notices are given at a time, and so many bytes of their paths, so that hints flow while more is read.
const BATCH: usize = 4096;
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// LIMIT: bytes of the paths of folders that are not watched, when they are told. Of more the whole source is.
const UNWATCHED: usize = 2 * 1024 * 1024;

/// Used in this order: [`restart`](Self::restart), walk, [`placed`](Self::placed); then for each step
/// [`happened`](Self::happened) and all [`task`](Self::task)s, and after some steps [`review`](Self::review) and all tasks.
/// Notices may be handed on only when no task is left: what they are about is watched by then.
#[derive(Debug)]
pub struct Picture {
    selection: Selection,
    tree: WatchTree,
    renames: Renames,
    adrift: Adrift,
    doubts: Doubts,
    unwatched: Unwatched,
    todo: VecDeque<Todo>,
    /// Watches that are of no use any more.
    spare: Vec<Watch>,
    notices: Vec<Notice>,
    /// How many of them are counted, and bytes of their paths.
    untold: (usize, usize),
    at: At,
    /// No hints until it is started (again).
    lost: bool,
    /// Something cannot be found out by looking at single places.
    stale: bool,
    /// Events of watches that are not known: left over from what was removed.
    strays: u64,
}

/// When what is being told is told, and how far back it may reach.
#[derive(Debug, Clone, Copy)]
struct At {
    now: Instant,
    /// All that happened before this moment is known, but for what is remembered with a moment of its own.
    behind: Instant,
}

/// What is due, in the order in which it is to be done.
#[derive(Debug)]
enum Todo {
    Look(Look),
    Doubt(Where),
    /// Folders that were not found in time are forgotten.
    ForgetAdrift,
    /// Folders that are not watched are tried, as far as it is time. `behind`: as in [`At`].
    TryUnwatched {
        behind: Instant,
    },
}

impl Picture {
    /// Without a root: lost, until it is started.
    pub fn new(selection: Selection, now: Instant) -> Picture {
        let (tree, renames, adrift, doubts) = Default::default();
        let (todo, spare, notices, at) = (VecDeque::new(), Vec::new(), Vec::new(), At { now, behind: now });
        let unwatched = Unwatched::new(now);
        let (lost, stale, strays) = (true, false, 0);
        let untold = (0, 0);
        Picture {
            selection,
            tree,
            renames,
            adrift,
            doubts,
            unwatched,
            todo,
            spare,
            notices,
            untold,
            at,
            lost,
            stale,
            strays,
        }
    }

    /// Forgets all but the root, which has this watch and is to be walked. Gives what was watched before, to be told to
    /// [`placed`](Self::placed) once it is walked. `behind`: all that happened before is covered by the walk.
    pub fn restart(&mut self, root: Watch, behind: Instant, now: Instant) -> Vec<Watch> {
        let before = self.tree.watches();
        self.renames.clear();
        self.adrift.clear();
        self.doubts.clear();
        self.unwatched.clear();
        self.todo.clear();
        self.notices.clear();
        self.untold = (0, 0);
        self.tree.restart(root);
        self.at = At { now, behind };
        (self.lost, self.stale) = (false, false);
        before
    }

    /// The numbers of all watches mean nothing any more: they are of another instance.
    pub fn disown(&mut self) {
        self.tree = WatchTree::default();
    }

    /// The walk is over. What was watched before and was not found again is given back.
    pub fn placed(&mut self, before: Vec<Watch>) {
        let gone = before.into_iter().filter(|watch| !self.tree.contains(*watch));
        let spare = self.spare.len();
        self.spare.extend(gone);
        if self.spare.len() > spare {
            self.unwatched.free();
        }
    }

    /// Puts into the queue of tasks what is due without an event. `drained`: when the kernel's queue was last seen empty.
    pub fn review(&mut self, drained: Instant, now: Instant) {
        self.at = At { now, behind: drained };
        while let Some(rename) = self.renames.overdue(drained) {
            self.doubt_rename(rename);
        }
        // Only those there are now: the answer to one may be the next, and events go first.
        self.todo.extend(self.doubts.overdue(now).into_iter().map(Todo::Doubt));
        self.todo.extend([Todo::ForgetAdrift, Todo::TryUnwatched { behind: drained }]);
    }

    /// Whether there is nothing to be done.
    pub fn is_idle(&self) -> bool {
        self.spare.is_empty() && self.todo.is_empty()
    }

    /// What is to be done next. Each is to be done before the next is asked for, and all before anything else is told.
    pub fn task(&mut self, now: Instant) -> Option<Task> {
        self.at.now = now;
        loop {
            if !self.spare.is_empty() {
                return Some(Task::GiveBack(std::mem::take(&mut self.spare)));
            }
            match self.todo.pop_front()? {
                Todo::Look(look) => {
                    self.at.behind = look.behind;
                    return Some(Task::Look(look));
                }
                Todo::Doubt(subject) => {
                    if let Some(task) = self.resolve(subject) {
                        return Some(task);
                    }
                }
                Todo::ForgetAdrift => self.adrift.overdue(now).into_iter().for_each(|watch| self.forget(watch)),
                Todo::TryUnwatched { behind } => {
                    self.at.behind = behind;
                    let tree = &self.tree;
                    for (place, why) in self.unwatched.due_tries(now, |watch| tree.contains(watch)) {
                        self.look_at(place, 0, Purpose::Retry(why));
                    }
                }
            }
        }
    }

    /// When [`review`](Self::review) will have something to do.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let due = [self.renames.due(), self.doubts.due(), self.adrift.due(), self.unwatched.due(now)];
        due.into_iter().flatten().min()
    }

    /// How far back what is in doubt may reach: hints about it may still follow.
    pub fn doubtful_since(&self) -> Option<Instant> {
        [self.renames.oldest(), self.doubts.oldest(), self.adrift.oldest()].into_iter().flatten().min()
    }

    /// Says that the root is lost; nothing more follows.
    pub fn lose_root(&mut self, reason: &str) {
        self.lost = true;
        self.notices.push(Notice::RootLost { reason: reason.to_owned() });
    }

    /// Whether the root is lost, or was never there.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether all is to be placed anew and looked at, as after lost events.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Puts what has come to be unwatched among the notices. `limit`: asked only then, how many watches there may be.
    pub fn tell_unwatched(&mut self, limit: impl FnOnce() -> Option<u64>) {
        let untold = self.unwatched.untold();
        if untold.is_empty() {
            return;
        }
        // It may be unknown; then what is placed is what was allowed.
        let limit = limit().unwrap_or(self.tree.len() as u64);
        for (why, limit) in [(Why::Limit, Some(limit)), (Why::Closed, None)] {
            let places = untold.iter().filter(|(_, w)| *w == why);
            let folders = self.folders(places.map(|(place, _)| place));
            if !folders.is_empty() {
                self.notices.push(Notice::Unwatched { folders, limit });
            }
        }
    }

    /// Whether so many notices were not handed on that they are to be, before there are more.
    pub fn has_much_to_tell(&mut self) -> bool {
        let (counted, bytes) = self.untold;
        let more: usize = self.notices.get(counted..).unwrap_or_default().iter().map(Notice::path_bytes).sum();
        self.untold = (self.notices.len(), bytes + more);
        self.untold.0 >= BATCH || self.untold.1 >= BATCH_BYTES
    }

    /// Hands the notices on.
    pub fn tell(&mut self, notices: &mut Vec<Notice>) {
        notices.append(&mut self.notices);
        self.untold = (0, 0);
    }

    /// Whether this watch is of a folder of the picture.
    pub fn knows(&self, watch: Watch) -> bool {
        self.tree.contains(watch)
    }

    /// Whether this is the watch of the root.
    pub fn is_root(&self, watch: Watch) -> bool {
        watch == self.tree.root()
    }

    /// Where a watched folder is believed to be; `None` when that is not known or passes the limits of a path.
    pub fn path(&self, watch: Watch) -> Option<RelPath> {
        self.tree.path(watch)
    }

    /// The number of folders that are watched.
    pub fn watches(&self) -> usize {
        self.tree.len()
    }

    /// The number of folders that are not watched, each with all beneath it.
    pub fn unwatched_count(&self) -> usize {
        self.unwatched.len()
    }

    /// The folders that are not watched, with all beneath them, where they stand now.
    pub fn unwatched(&self) -> Vec<RelPath> {
        self.folders(self.unwatched.places())
    }

    /// The paths of folders, or of the whole source where they are too long.
    fn folders<'a>(&self, places: impl Iterator<Item = &'a Spot>) -> Vec<RelPath> {
        let (mut folders, mut bytes) = (Vec::new(), 0);
        for path in places.filter_map(|place| self.tree.path_of(place)) {
            bytes += path.as_bytes().len();
            if bytes > UNWATCHED {
                return vec![RelPath::root()];
            }
            folders.push(path);
        }
        folders.sort_unstable();
        folders
    }

    fn look_at(&mut self, place: Spot, tries: u8, purpose: Purpose) {
        self.todo.push_back(Todo::Look(Look { place, tries, purpose, behind: self.at.behind }));
    }

    /// Looks at `place` again soon, the later the more often it was tried.
    fn doubt(&mut self, place: Spot, tries: u8) {
        self.doubts.add(Where::Spot(place), tries, self.at);
    }

    /// Which folder had the watch is not known any more; it lives on, and may be found elsewhere.
    fn set_adrift(&mut self, watch: Watch, by: Option<(Spot, Spot)>) {
        self.tree.detach(watch);
        self.adrift.add(watch, by, self.at);
    }

    /// Forgets a folder with all beneath it and gives its watches back.
    fn forget(&mut self, watch: Watch) {
        for watch in self.tree.remove(watch) {
            self.adrift.remove(watch);
            self.spare.push(watch);
            self.unwatched.free();
        }
    }

    /// Tells of files that were written before their turn comes; whether there were any.
    pub fn tell_ahead(&mut self, ahead: &mut Ahead) -> bool {
        if ahead.is_empty() {
            return false;
        }
        let told = ahead.take(|place| self.tree.path_of(place));
        let any = !told.is_empty();
        let written = |path| Notice::Hint(Hint::Entry { path, cause: Cause::WRITTEN });
        self.notices.extend(told.into_iter().map(written));
        any
    }

    /// A hint for an entry.
    fn hint(&mut self, place: &Spot, cause: Cause) {
        match self.tree.path_of(place) {
            Some(path) => self.push(path, cause),
            None => self.miss(place.parent),
        }
    }

    /// A hint that a name appeared or vanished in its folder.
    fn hint_parent(&mut self, place: &Spot) {
        match self.tree.path(place.parent) {
            Some(path) => self.push(path, Cause::ENTRIES),
            None => self.miss(place.parent),
        }
    }

    /// A hint for an entry and all beneath it.
    fn hint_subtree(&mut self, place: &Spot) {
        match self.tree.path_of(place) {
            Some(path) => self.notices.push(Notice::Hint(Hint::Subtree { path })),
            None => self.miss(place.parent),
        }
    }

    /// Adds a hint, unless one of the last few says the same and nothing but such hints came after it.
    fn push(&mut self, path: RelPath, cause: Cause) {
        let notice = Notice::Hint(Hint::Entry { path, cause });
        let last = self.notices.iter().rev().take(4);
        let mut entries = last.take_while(|last| matches!(last, Notice::Hint(Hint::Entry { .. })));
        if !entries.any(|last| *last == notice) {
            self.notices.push(notice);
        }
    }

    /// A hint could not be given because the folder is adrift: it is given when the folder is found again. (Where the
    /// path passes the limits there is nothing to tell: no message could name it.)
    fn miss(&mut self, watch: Watch) {
        self.adrift.miss(self.tree.top(watch));
    }

    /// The path of a place where there is something to say in the log that was not said of it before.
    fn say_once(&mut self, place: &Spot) -> Option<RelPath> {
        self.tree.path_of(place).filter(|path| self.unwatched.say(path))
    }
}

#[cfg(test)]
impl Picture {
    pub fn tree(&self) -> &WatchTree {
        &self.tree
    }

    /// Whether something is to be looked at by and by, or to be confirmed.
    pub fn is_in_doubt(&self) -> bool {
        self.doubts.oldest().is_some() || self.renames.oldest().is_some()
    }

    /// Events of watches that are not known.
    pub fn strays(&self) -> u64 {
        self.strays
    }
}
