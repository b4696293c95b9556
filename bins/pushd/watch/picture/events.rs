//! What each event means: which hint it gives, what it does to the picture, and where it makes us look.

use std::time::{Duration, Instant};

use engine::hint::{Cause, Hint};
use proto::RelPath;
use sys::inotify::Watch;

use super::adrift::Landed;
use super::renames::{Confirmed, Unconfirmed};
use super::task::Purpose;
use super::tree::Standing;
use super::{At, Picture};
use crate::watch::event::{Change, Event, Object, Spot};
use crate::watch::pairing::Paired;
use crate::watch::watcher::Notice;

/// Events that are told later than this say less than others: what looks at places remembers them a little longer.
const LATE: Duration = Duration::from_secs(2);

impl Picture {
    /// Something happened. `behind`: all that happened before that moment has been told.
    pub fn happened(&mut self, step: Paired, behind: Instant, now: Instant) {
        self.at = At { now, behind };
        match step {
            Paired::Renamed { from, to, object, since } => self.renamed(from, to, object, since),
            Paired::Event(event) if !self.tree.contains(event.watch) => {
                self.strays += 1;
                tracing::trace!(watch = event.watch, change = ?event.change, "event of a watch that is gone");
            }
            Paired::Event(event) => match event.place() {
                Some(place) => self.of_entry(place, event.change, event.object),
                None => self.of_folder(&event),
            },
        }
    }

    /// Something happened to an entry of a watched folder.
    fn of_entry(&mut self, place: Spot, change: Change, object: Object) {
        if object == Object::Folder && matches!(change, Change::MovedFrom { .. } | Change::MovedTo { .. }) {
            self.renames.count();
        }
        match (change, object) {
            (Change::Written, _) => self.hint(&place, Cause::WRITTEN),
            (Change::Writing, _) => self.hint(&place, Cause::WRITING),
            (Change::Attributes, _) => {
                self.hint(&place, Cause::ATTRIBUTES);
                // It may have become readable.
                if self.unwatched.contains(&place) {
                    self.doubt(place, 0);
                }
            }
            (Change::Created, Object::Other) => {
                // What is told as late as that may have been met before, as by what was told ahead: that it is new is no news.
                let late = self.at.now.saturating_duration_since(self.at.behind) > LATE;
                self.hint(&place, if late { Cause::WRITTEN } else { Cause::CREATED });
                self.hint_parent(&place);
            }
            (Change::MovedTo { .. }, Object::Other) => {
                // Not CREATED: it may have replaced an entry that the target has.
                self.hint(&place, Cause::WRITTEN | Cause::ATTRIBUTES);
                self.hint_parent(&place);
            }
            // Watched with all beneath it first, and told then.
            (Change::Created, Object::Folder) => self.look_at(place, 0, Purpose::Made),
            (Change::MovedTo { .. }, Object::Folder) => self.look_at(place, 0, Purpose::MovedIn),
            (Change::Deleted, object) => {
                if object == Object::Folder {
                    self.folder_deleted(&place);
                }
                self.hint(&place, Cause::GONE);
                self.hint_parent(&place);
            }
            (Change::MovedFrom { .. }, object) => {
                self.hint(&place, if object == Object::Folder { Cause::GONE | Cause::WITH_ALL } else { Cause::GONE });
                self.hint_parent(&place);
                if object == Object::Folder {
                    let believed = self.tree.child(&place);
                    self.look_at(place, 0, Purpose::MovedOut(believed));
                }
            }
            // These never carry a name.
            (Change::SelfDeleted | Change::SelfMoved | Change::Ignored, _) => {}
            (Change::Unmounted | Change::Overflow, _) => {}
        }
    }

    /// Something happened to a watched folder itself. Its parent reports the same under its name, save for the root.
    fn of_folder(&mut self, event: &Event) {
        let root = self.is_root(event.watch);
        match event.change {
            Change::Attributes if root => self.push(RelPath::root(), Cause::ATTRIBUTES),
            Change::SelfDeleted | Change::SelfMoved | Change::Ignored if root => {
                self.lose_root("the folder was moved or deleted");
            }
            Change::Unmounted if root => self.lose_root("the file system was unmounted"),
            Change::SelfMoved => self.confirm(event.watch),
            Change::SelfDeleted | Change::Ignored | Change::Unmounted => {
                // After an unmount what was covered shows; after a deletion nothing is found there.
                if let Standing::At(place) = self.tree.standing(event.watch) {
                    self.doubt(place, 0);
                }
                self.forget(event.watch);
            }
            _ => {}
        }
    }

    fn folder_deleted(&mut self, place: &Spot) {
        self.unwatched.remove(place);
        // Should a later folder of that name stand there already: its own event follows and watches it again.
        if let Some(watch) = self.tree.child(place) {
            self.forget(watch);
        }
    }

    /// Both halves are known.
    fn renamed(&mut self, from: Spot, to: Spot, object: Object, since: Instant) {
        match (self.tree.contains(from.parent), self.tree.contains(to.parent)) {
            (true, true) => {}
            (true, false) => return self.of_entry(from, Change::MovedFrom { cookie: 0, since }, object),
            (false, true) => return self.of_entry(to, Change::MovedTo { cookie: 0 }, object),
            (false, false) => {
                self.strays += 1;
                return;
            }
        }
        match (self.tree.path_of(&from), self.tree.path_of(&to)) {
            (Some(from), Some(to)) => {
                let folder = object == Object::Folder;
                self.notices.push(Notice::Hint(Hint::Renamed { from, to, folder, since }));
            }
            (Some(_), None) => {
                self.miss(to.parent);
                self.hint(&from, Cause::GONE);
            }
            (None, _) => {
                self.miss(from.parent);
                self.hint_subtree(&to);
            }
        }
        self.hint_parent(&from);
        self.hint_parent(&to);
        if object == Object::Folder {
            self.renames.count();
            self.move_folder(from, to);
        }
    }

    /// A folder was renamed: its watch and all beneath it follow.
    fn move_folder(&mut self, from: Spot, to: Spot) {
        if self.unwatched.remove(&from) {
            // In an exchange of two that are not watched the other one stands there now.
            self.doubt(from.clone(), 0);
        }
        // An exchange shows as a → b, then b → a: what the first has displaced is what the second moves.
        let Some(moved) = self.adrift.displaced_by(&to, &from).or_else(|| self.tree.child(&from)) else {
            // Not known where it came from: not watched there, or known here already.
            return self.look_at(to, 0, Purpose::Renamed);
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
        self.unwatched.remove(&to);
        if self.adrift.remove(moved) == Landed::Missed {
            self.hint_subtree(&to);
        }
        self.renames.expect(moved, from, to, self.at);
    }

    /// The folder itself says that it was renamed.
    fn confirm(&mut self, watch: Watch) {
        match self.renames.confirm(watch) {
            Confirmed::Sure => {}
            Confirmed::Unsure(rename) => self.doubt_rename(rename),
            Confirmed::Another(renames) => {
                renames.into_iter().for_each(|rename| self.doubt_rename(rename));
                if let Standing::At(place) = self.tree.standing(watch) {
                    self.doubt(place, 0);
                }
            }
        }
    }

    pub(super) fn doubt_rename(&mut self, rename: Unconfirmed) {
        self.at.behind = self.at.behind.min(rename.behind);
        self.doubt(rename.from, 0);
        self.doubt(rename.to, 0);
    }
}
