//! Keeps the picture of the tree true where events alone do not: a walk sees the disk as it is now while events that
//! happened before it are still to be read, so a folder may be known at its new place before its rename is.
//!
//! A rename of a watched folder is followed by an event of the folder itself. When that names another folder than the
//! one moved here, or does not come, both places are looked at on the disk; a folder found elsewhere than believed makes
//! its believed place doubtful too. On a tree at rest this ends with the picture equal to the disk. What was found to
//! stand elsewhere is hinted as a subtree, because hints may have been given under its wrong path.

use std::time::{Duration, Instant};

use engine::hint::{Cause, Hint};
use sys::dir::Dir;
use sys::inotify::Watch;

use super::event::Place;
use super::inotify::InotifyWatcher;
use super::pairing::PATIENCE;
use super::tree::Standing;
use super::unwatched::Why;
use super::watcher::Notice;

/// A place that cannot be settled is given up after so many tries, the last some five seconds after the first.
pub(super) const TRIES: u8 = 8;

/// A folder without a place is kept so long; its place, if it has one, is found within milliseconds.
const ADRIFT: Duration = Duration::from_secs(1);

/// The rename of a folder, done in the picture, not yet confirmed by the folder's own event.
#[derive(Debug)]
pub struct Expected {
    moved: Watch,
    from: Place,
    to: Place,
    /// The number of the rename, see [`InotifyWatcher::renames`].
    number: u64,
    until: Instant,
    behind: Instant,
}

/// A folder without a place.
#[derive(Debug)]
pub struct Lost {
    /// The rename (from, to) that took its place `to`.
    by: Option<(Place, Place)>,
    since: Instant,
    behind: Instant,
    /// Something happened in it meanwhile that could not be hinted.
    pub missed: bool,
}

/// When to look again.
#[derive(Debug, Clone, Copy)]
pub struct Doubt {
    tries: u8,
    due: Instant,
    behind: Instant,
}

/// What to look at again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Where {
    /// Which folder stands there.
    Place(Place),
    /// Which folders stand in this one.
    Listing(Watch),
}

/// What a look at a place found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The folder that was believed to be there.
    Known,
    /// Another folder, which is watched now with all beneath it.
    Changed,
    /// No folder.
    Gone,
    /// A folder that is not watched.
    Unwatched,
}

impl InotifyWatcher {
    /// Opens a watched folder where it is believed to be; `None` when it is not there.
    pub(super) fn open(&mut self, watch: Watch) -> Option<Dir> {
        if watch == self.tree.root() {
            return self.source.root().ok();
        }
        let path = self.tree.path(watch)?;
        let dir = self.source.dir(&path).ok()?;
        // A folder that is watched already answers with its number: the cheapest proof of identity.
        match self.queue.add(&dir) {
            Ok(found) if found == watch => Some(dir),
            Ok(found) => {
                if !self.tree.contains(found) {
                    // Its own event, or the doubt about this place, will watch it and list it.
                    let _ = self.queue.remove(found);
                }
                None
            }
            Err(_) => None,
        }
    }

    /// Finds out which folder stands at `place`, and watches it with all beneath it if it is new.
    pub(super) fn look(&mut self, place: &Place, tries: u8) -> Seen {
        let Some(parent) = self.open(place.parent) else {
            if let Standing::At(above) = self.tree.standing(place.parent) {
                self.doubt(above, tries);
            }
            self.doubt(place.clone(), tries + 1);
            return Seen::Unwatched;
        };
        match parent.open_dir(&place.name) {
            Ok(dir) => {
                let (seen, new) = self.adopt(place, &dir, tries);
                if let Some(watch) = new {
                    self.walk(watch, dir);
                }
                seen
            }
            Err(error) => self.closed(place, &error, tries),
        }
    }

    /// Sets adrift what is believed to stand at `place`.
    pub(super) fn vacate(&mut self, place: &Place) {
        if let Some(watch) = self.tree.child(place) {
            self.set_adrift(watch, None);
        }
    }

    fn set_adrift(&mut self, watch: Watch, by: Option<(Place, Place)>) {
        self.tree.detach(watch);
        self.adrift.insert(watch, Lost { by, since: Instant::now(), behind: self.behind, missed: false });
    }

    /// Forgets a folder with all beneath it and gives its watches back.
    pub(super) fn forget(&mut self, watch: Watch) {
        for watch in self.tree.remove(watch) {
            // Fails where the folder is gone, and the watch with it.
            let _ = self.queue.remove(watch);
            self.adrift.remove(&watch);
            self.freed = true;
        }
    }

    /// A folder was renamed: its watch and all beneath it follow.
    pub(super) fn move_folder(&mut self, from: Place, to: Place, notices: &mut Vec<Notice>) {
        self.unwatched.remove(&from);
        // An exchange shows as a → b, then b → a: what the first has displaced is what the second moves.
        let back = (to.clone(), from.clone());
        let displaced = self.adrift.iter().find(|(_, lost)| lost.by.as_ref() == Some(&back)).map(|(watch, _)| *watch);
        let Some(moved) = displaced.or_else(|| self.tree.child(&from)) else {
            // Not known where it came from: not watched there, or known here already.
            if self.look(&to, 0) != Seen::Known {
                self.tell_subtree(&to, notices);
            }
            return;
        };
        if let Some(there) = self.tree.child(&to)
            && there != moved
        {
            // Replaced (then it was empty, and its own end follows) or exchanged.
            self.set_adrift(there, Some((from.clone(), to.clone())));
        }
        if self.tree.attach(moved, &to).is_err() {
            self.doubt(from, 0);
            self.doubt(to, 0);
            return;
        }
        if let Some(lost) = self.adrift.remove(&moved)
            && lost.missed
        {
            self.tell_subtree(&to, notices);
        }
        let (number, until, behind) = (self.renames, Instant::now() + PATIENCE, self.behind);
        self.expected.push(Expected { moved, from, to, number, until, behind });
    }

    /// The folder itself says that it was renamed.
    pub(super) fn confirm(&mut self, watch: Watch) {
        if let Some(at) = self.expected.iter().position(|expected| expected.moved == watch) {
            let expected = self.expected.remove(at);
            // With another rename in between it may speak of that one.
            if expected.number != self.renames {
                self.doubt_rename(expected);
            }
            return;
        }
        for expected in std::mem::take(&mut self.expected) {
            self.doubt_rename(expected);
        }
        if let Standing::At(place) = self.tree.standing(watch) {
            self.doubt(place, 0);
        }
    }

    fn doubt_rename(&mut self, expected: Expected) {
        self.behind = self.behind.min(expected.behind);
        self.doubt(expected.from, 0);
        self.doubt(expected.to, 0);
    }

    /// Looks at `place` again soon, the later the more often it was tried.
    pub(super) fn doubt(&mut self, place: Place, tries: u8) {
        self.add_doubt(Where::Place(place), tries);
    }

    /// Lists a watched folder again soon.
    pub(super) fn doubt_listing(&mut self, watch: Watch, tries: u8) {
        self.add_doubt(Where::Listing(watch), tries);
    }

    fn add_doubt(&mut self, at: Where, tries: u8) {
        let wait = if tries == 0 { Duration::ZERO } else { PATIENCE * 2u32.saturating_pow(u32::from(tries) - 1) };
        let due = Instant::now() + wait;
        let doubt = self.doubts.entry(at).or_insert(Doubt { tries, due, behind: self.behind });
        doubt.tries = doubt.tries.max(tries);
        doubt.due = doubt.due.min(due);
        doubt.behind = doubt.behind.min(self.behind);
    }

    /// Does what is due by now without an event.
    pub(super) fn settle(&mut self, notices: &mut Vec<Notice>) {
        let drained = self.drained;
        self.behind = drained;
        while let Some(at) = self.expected.iter().position(|expected| expected.until <= drained) {
            let expected = self.expected.remove(at);
            self.doubt_rename(expected);
        }
        // Only those there are now: the answer to one may be the next, and events go first.
        let now = Instant::now();
        let due = self.doubts.iter().filter(|(_, doubt)| doubt.due <= now).map(|(at, _)| at.clone());
        for at in due.collect::<Vec<Where>>() {
            if let Some(doubt) = self.doubts.remove(&at) {
                self.behind = doubt.behind;
                self.resolve(at, doubt.tries, notices);
            }
        }
        let old: Vec<Watch> =
            self.adrift.iter().filter(|(_, l)| l.since.elapsed() >= ADRIFT).map(|(w, _)| *w).collect();
        for watch in old {
            self.forget(watch);
        }
        self.behind = drained;
        self.retry_unwatched(notices);
    }

    /// How far back what is not settled may reach: hints about it may still follow.
    pub(super) fn unsettled(&self) -> Option<Instant> {
        let expected = self.expected.iter().map(|expected| expected.behind);
        let doubts = self.doubts.values().map(|doubt| doubt.behind);
        let adrift = self.adrift.values().map(|lost| lost.behind);
        expected.chain(doubts).chain(adrift).min()
    }

    /// When [`settle`](Self::settle) will have something to do.
    pub(super) fn settle_due(&self) -> Option<Instant> {
        let expected = self.expected.iter().map(|expected| expected.until);
        let doubts = self.doubts.values().map(|doubt| doubt.due);
        let adrift = self.adrift.values().map(|lost| lost.since + ADRIFT);
        expected.chain(doubts).chain(adrift).chain(self.retry_due()).min()
    }

    fn resolve(&mut self, at: Where, tries: u8, notices: &mut Vec<Notice>) {
        let folder = match &at {
            Where::Place(place) => place.parent,
            Where::Listing(watch) => *watch,
        };
        if !self.tree.contains(folder) {
            return;
        }
        if self.tree.top(folder) != self.tree.root() {
            // It waits with its folder, which is found or forgotten soon.
            return self.add_doubt(at, tries.max(2));
        }
        if tries > TRIES {
            return self.give_up(at, notices);
        }
        match at {
            Where::Place(place) => match self.look(&place, tries) {
                Seen::Changed => self.tell_subtree(&place, notices),
                Seen::Gone => self.tell(&place, Cause::GONE, notices),
                Seen::Known | Seen::Unwatched => {}
            },
            Where::Listing(watch) => match self.open(watch) {
                Some(dir) => {
                    self.walk(watch, dir);
                    if let Some(path) = self.tree.path(watch) {
                        notices.push(Notice::Hint(Hint::Subtree { path }));
                    }
                }
                None => {
                    if let Standing::At(place) = self.tree.standing(watch) {
                        self.doubt(place, tries);
                    }
                    self.doubt_listing(watch, tries + 1);
                }
            },
        }
    }

    /// The tree has not come to rest, or the same folder shows at two places (bind mounts). It is not passed over in
    /// silence: told as not watched where it has a path, looked at with everything else where it has none.
    fn give_up(&mut self, at: Where, notices: &mut Vec<Notice>) {
        let place = match at {
            Where::Place(place) => place,
            Where::Listing(watch) => match self.tree.standing(watch) {
                Standing::At(place) => place,
                _ => return self.overflowed = true,
            },
        };
        if self.tree.path_of(&place).is_none() {
            self.overflowed = true;
            return;
        }
        if let Some(path) = self.say_once(&place) {
            tracing::warn!("{path}: keeps changing its place or shows at two: changes in it are not noticed at once");
        }
        self.tell_subtree(&place, notices);
        self.leave_unwatched(&place, Why::Closed);
    }
}
