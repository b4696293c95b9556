//! What each look means: what stands under a name, and what that says about the event or the doubt because of which it was
//! looked at.

use std::time::Instant;

use engine::hint::{Cause, Hint};
use proto::RelPath;
use sys::inotify::Watch;

use super::doubts::{TRIES, Where};
use super::task::{Listing, Look, Met, Purpose, Seen, Task};
use super::tree::Standing;
use super::unwatched::Why;
use super::{Picture, Todo};
use crate::watch::event::Spot;
use crate::watch::watcher::Notice;

impl Picture {
    /// Whether what stands there is to be told of. What is not selected is not watched, nor is what is beyond the limits of a
    /// path, of which nothing can be sent. (The pass over the tree names both to the operator.)
    pub fn is_to_tell(&self, place: &Spot) -> bool {
        match self.tree.path_of(place) {
            Some(path) => self.selection.leaves_out(&path).is_none(),
            None => self.tree.path(place.parent).is_none(),
        }
    }

    /// Something was met at a place, by a look or on a walk. `tries`: how many looks at it were of no use.
    pub fn met(&mut self, place: &Spot, met: Met, tries: u8, now: Instant) -> Seen {
        self.at.now = now;
        match met {
            Met::Folder(watch) => self.met_folder(watch, place, tries),
            // It went, or something else took its name, between event and look: its own events tell the rest.
            Met::Nothing => {
                self.unwatched.remove(place);
                self.vacate(place);
                Seen::Gone
            }
            Met::Mount => {
                if let Some(path) = self.say_once(place) {
                    tracing::debug!("{path}: another file system is mounted there: not watched");
                }
                self.unwatched.remove(place);
                // What it covers was watched until now, and shows again after an unmount, of which the table of mounts tells.
                if let Some(covered) = self.tree.child(place) {
                    self.forget(covered);
                    self.hint_subtree(place);
                }
                Seen::Unwatched
            }
            Met::Limit => {
                // A folder that is watched is watched again at the limit too: another one is there than was believed.
                self.vacate(place);
                self.unwatch(place, Why::Limit)
            }
            Met::Denied(error) => {
                if let Some(path) = self.say_once(place) {
                    tracing::warn!("{path}: cannot be opened ({error}): changes in it are not noticed at once");
                }
                self.unwatch(place, Why::Closed)
            }
            Met::Trouble(_) if tries < TRIES => {
                self.doubt(place.clone(), tries + 1);
                Seen::Unwatched
            }
            Met::Trouble(error) => {
                if let Some(path) = self.say_once(place) {
                    tracing::warn!("{path}: cannot be watched ({error}): changes in it are not noticed at once");
                }
                self.unwatch(place, Why::Closed)
            }
        }
    }

    fn met_folder(&mut self, watch: Watch, place: &Spot, tries: u8) -> Seen {
        self.unwatched.remove(place);
        let standing = self.tree.standing(watch);
        match &standing {
            Standing::At(there) if there == place => return Seen::Known,
            // A mount of the root within itself.
            Standing::Root => return Seen::Unwatched,
            Standing::At(_) | Standing::Adrift | Standing::Unknown => self.vacate(place),
        }
        let attached = self.tree.attach(watch, place);
        match standing {
            // One without a watch cannot be above anything.
            Standing::Unknown => return Seen::New,
            // It has moved here and its event is still to come, or came and was taken for another's.
            Standing::At(there) => self.doubt(there, tries + 1),
            Standing::Adrift if attached.is_ok() => {
                self.adrift.remove(watch);
            }
            Standing::Adrift | Standing::Root => {}
        }
        if attached.is_err() {
            self.doubt(place.clone(), tries + 1);
        }
        Seen::Moved
    }

    /// Sets adrift what is believed to stand at `place`.
    fn vacate(&mut self, place: &Spot) {
        if let Some(watch) = self.tree.child(place) {
            self.set_adrift(watch, None);
        }
    }

    fn unwatch(&mut self, place: &Spot, why: Why) -> Seen {
        // It may have been watched before its permissions changed; that watch goes on.
        if self.tree.child(place).is_none() {
            self.unwatched.add(place, why);
        }
        Seen::Unwatched
    }

    /// Something was mounted at this path, or unmounted. Of what is beneath a folder that is not watched nothing is known.
    pub fn remounted(&mut self, path: &RelPath, now: Instant) {
        self.at.now = now;
        let Some((folder, name)) = path.split() else { return };
        let down = |parent, name| self.tree.child(&Spot { parent, name });
        if let Some(parent) = folder.names().try_fold(self.tree.root(), down) {
            self.doubt(Spot { parent, name }, 0);
        }
    }

    /// A watched folder could not be listed, so some in it may not be watched.
    pub fn unlisted(&mut self, watch: Watch, now: Instant) {
        self.at.now = now;
        self.doubts.add(Where::Listing(watch), 0, self.at);
    }

    /// A look is over, and what is new there has been walked.
    pub fn looked(&mut self, look: Look, seen: Seen, now: Instant) {
        self.at.now = now;
        let Look { place, tries, purpose, .. } = look;
        if seen == Seen::Astray {
            if let Standing::At(above) = self.tree.standing(place.parent) {
                self.doubt(above, tries);
            }
            self.doubt(place.clone(), tries + 1);
        }
        match (purpose, seen) {
            // A walk was faster than this event. All that happened in it since has its own events.
            (Purpose::Made, Seen::Known) => {
                self.hint(&place, Cause::ATTRIBUTES);
                self.hint_parent(&place);
            }
            // What was moved in may have been outside for a while, whatever was found there meanwhile.
            (Purpose::Made | Purpose::MovedIn, _) => {
                self.hint_subtree(&place);
                self.hint_parent(&place);
            }
            (Purpose::MovedOut(believed), _) => self.moved_out(&place, believed, seen),
            (Purpose::Renamed, Seen::Known) => {}
            (Purpose::Renamed, _) => self.hint_subtree(&place),
            (Purpose::Retry(Why::Limit), Seen::Unwatched | Seen::Astray) => {
                // There is none for the others either.
                self.todo.retain(|todo| !matches!(todo, Todo::Look(Look { purpose: Purpose::Retry(Why::Limit), .. })));
            }
            (Purpose::Doubt | Purpose::Retry(_), Seen::Moved | Seen::New) => self.hint_subtree(&place),
            (Purpose::Doubt | Purpose::Retry(_), Seen::Gone) => self.hint(&place, Cause::GONE),
            (Purpose::Doubt | Purpose::Retry(_), _) => {}
        }
    }

    /// A folder went to where nothing is watched. What stands there now is kept: in an exchange with the outside the
    /// newcomer is told before this, and what left may be back already. But it is told whole: whoever looked in between
    /// found nothing.
    fn moved_out(&mut self, place: &Spot, believed: Option<Watch>, seen: Seen) {
        if seen != Seen::Gone {
            self.hint_subtree(place);
        }
        if let Some(watch) = believed
            && seen != Seen::Known
            && !matches!(self.tree.standing(watch), Standing::At(there) if there != *place)
        {
            self.forget(watch);
            if seen == Seen::Unwatched {
                // It was taken for the one that is forgotten, which had a watch.
                self.doubt(place.clone(), 0);
            }
        }
    }

    /// What a doubt makes us do now, if anything.
    pub(super) fn resolve(&mut self, subject: Where) -> Option<Task> {
        let doubt = self.doubts.remove(&subject)?;
        self.at.behind = doubt.behind;
        let folder = match &subject {
            Where::Spot(place) => place.parent,
            Where::Listing(watch) => *watch,
        };
        if !self.tree.contains(folder) {
            return None;
        }
        if !self.is_root(self.tree.top(folder)) {
            // It waits with its folder, which is found or forgotten soon.
            self.doubts.add(subject, doubt.tries.max(2), self.at);
            return None;
        }
        if doubt.tries > TRIES {
            self.give_up(subject);
            return None;
        }
        let (tries, behind) = (doubt.tries, doubt.behind);
        Some(match subject {
            Where::Spot(place) => Task::Look(Look { place, tries, purpose: Purpose::Doubt, behind }),
            Where::Listing(watch) => Task::List(Listing { watch, tries }),
        })
    }

    /// A listing is over, and what is new there has been walked; `found`: whether the folder was where it is believed to be.
    pub fn listed(&mut self, listing: Listing, found: bool, now: Instant) {
        self.at.now = now;
        let Listing { watch, tries } = listing;
        if found {
            if let Some(path) = self.tree.path(watch) {
                self.notices.push(Notice::Hint(Hint::Subtree { path }));
            }
            return;
        }
        if let Standing::At(place) = self.tree.standing(watch) {
            self.doubt(place, tries);
        }
        self.doubts.add(Where::Listing(watch), tries + 1, self.at);
    }

    /// The tree has not come to rest, or the same folder shows at two places (bind mounts). It is not passed over in
    /// silence: told as not watched where it has a path, looked at with everything else where it has none.
    fn give_up(&mut self, subject: Where) {
        let place = match subject {
            Where::Spot(place) => Some(place),
            Where::Listing(watch) => match self.tree.standing(watch) {
                Standing::At(place) => Some(place),
                _ => None,
            },
        };
        let Some(place) = place.filter(|place| self.tree.path_of(place).is_some()) else {
            self.stale = true;
            return;
        };
        if let Some(path) = self.say_once(&place) {
            tracing::warn!("{path}: keeps changing its place or shows at two: changes in it are not noticed at once");
        }
        self.hint_subtree(&place);
        self.unwatched.add(&place, Why::Closed);
    }
}
