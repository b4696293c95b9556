//! What each event means: which hint it gives and what it does to the picture of the tree.

use std::time::Instant;

use engine::hint::{Cause, Hint};
use proto::RelPath;
use sys::inotify::Watch;

use super::event::{Change, Event, Object, Place};
use super::inotify::{InotifyWatcher, hint};
use super::pairing::Step;
use super::settle::Seen;
use super::tree::Standing;
use super::watcher::Notice;

impl InotifyWatcher {
    /// Carries out one step.
    pub(super) fn apply(&mut self, step: Step, notices: &mut Vec<Notice>) {
        match step {
            Step::Renamed { from, to, object, since } => self.renamed(from, to, object, since, notices),
            Step::Event(event) if !self.tree.contains(event.watch) => {
                self.strays += 1;
                tracing::trace!(watch = event.watch, change = ?event.change, "event of a watch that is gone");
            }
            Step::Event(event) => match event.place() {
                Some(place) => self.of_entry(place, &event, notices),
                None => self.of_folder(&event, notices),
            },
        }
    }

    /// Something happened to an entry of a watched folder.
    fn of_entry(&mut self, place: Place, event: &Event, notices: &mut Vec<Notice>) {
        let moved = matches!(event.change, Change::MovedFrom { .. } | Change::MovedTo { .. });
        self.renames += u64::from(moved && event.object == Object::Folder);
        match (event.change, event.object) {
            (Change::Written, _) => self.tell(&place, Cause::WRITTEN, notices),
            (Change::Writing, _) => self.tell(&place, Cause::WRITING, notices),
            (Change::Attributes, _) => {
                self.tell(&place, Cause::ATTRIBUTES, notices);
                // It may have become readable.
                if self.unwatched.contains_key(&place) {
                    self.doubt(place, 0);
                }
            }
            (Change::Created, Object::Other) => {
                self.tell(&place, Cause::CREATED, notices);
                self.tell_parent(&place, notices);
            }
            (Change::MovedTo { .. }, Object::Other) => {
                // Not CREATED: it may have replaced an entry that the target has.
                self.tell(&place, Cause::WRITTEN | Cause::ATTRIBUTES, notices);
                self.tell_parent(&place, notices);
            }
            (Change::Created | Change::MovedTo { .. }, Object::Folder) => self.appeared(&place, event.change, notices),
            (Change::Deleted, object) => {
                if object == Object::Folder {
                    self.folder_deleted(&place);
                }
                self.tell(&place, Cause::GONE, notices);
                self.tell_parent(&place, notices);
            }
            (Change::MovedFrom { .. }, object) => {
                self.tell(&place, Cause::GONE, notices);
                self.tell_parent(&place, notices);
                if object == Object::Folder {
                    self.folder_left(&place, notices);
                }
            }
            // These never carry a name.
            (Change::SelfDeleted | Change::SelfMoved | Change::Ignored, _) => {}
            (Change::Unmounted | Change::Overflow, _) => {}
        }
    }

    /// Something happened to a watched folder itself. Its parent reports the same under its name, save for the root.
    fn of_folder(&mut self, event: &Event, notices: &mut Vec<Notice>) {
        let root = event.watch == self.tree.root();
        match event.change {
            Change::Attributes if root => hint(notices, RelPath::root(), Cause::ATTRIBUTES),
            Change::SelfDeleted | Change::SelfMoved | Change::Ignored if root => {
                self.lose_root("the folder was moved or deleted", notices);
            }
            Change::Unmounted if root => self.lose_root("the file system was unmounted", notices),
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

    /// Says that the root is lost; nothing more follows.
    pub(super) fn lose_root(&mut self, reason: &str, notices: &mut Vec<Notice>) {
        self.lost = true;
        notices.push(Notice::RootLost { reason: reason.to_owned() });
    }

    /// A folder came, by making or from outside: watch it with all beneath it, then say so.
    fn appeared(&mut self, place: &Place, change: Change, notices: &mut Vec<Notice>) {
        match (self.look(place, 0), change) {
            // A walk was faster than this event. All that happened in it since has its own events.
            (Seen::Known, Change::Created) => self.tell(place, Cause::ATTRIBUTES, notices),
            // What was moved in may have been outside for a while, whatever was found there meanwhile.
            _ => self.tell_subtree(place, notices),
        }
        self.tell_parent(place, notices);
    }

    fn folder_deleted(&mut self, place: &Place) {
        self.unwatched.remove(place);
        // Should a later folder of that name stand there already: its own event follows and watches it again.
        if let Some(watch) = self.tree.child(place) {
            self.forget(watch);
        }
    }

    /// A folder went to where nothing is watched. What stands there now is kept: in an exchange with the outside the
    /// newcomer is told before this, and what left may be back already. But it is told whole: whoever looked in between
    /// found nothing.
    fn folder_left(&mut self, place: &Place, notices: &mut Vec<Notice>) {
        let believed = self.tree.child(place);
        let seen = self.look(place, 0);
        if seen != Seen::Gone {
            self.tell_subtree(place, notices);
        }
        if let Some(watch) = believed
            && seen != Seen::Known
            && !matches!(self.tree.standing(watch), Standing::At(there) if there != *place)
        {
            self.forget(watch);
        }
    }

    /// Both halves are known.
    fn renamed(&mut self, from: Place, to: Place, object: Object, since: Instant, notices: &mut Vec<Notice>) {
        let known = (self.tree.contains(from.parent), self.tree.contains(to.parent));
        let half =
            |place: &Place, change| Event { watch: place.parent, name: Some(place.name.clone()), change, object };
        match known {
            (true, true) => {}
            (true, false) => {
                let half = half(&from, Change::MovedFrom { cookie: 0, since });
                return self.of_entry(from, &half, notices);
            }
            (false, true) => {
                let half = half(&to, Change::MovedTo { cookie: 0 });
                return self.of_entry(to, &half, notices);
            }
            (false, false) => {
                self.strays += 1;
                return;
            }
        }
        match (self.tree.path_of(&from), self.tree.path_of(&to)) {
            (Some(from), Some(to)) => {
                notices.push(Notice::Hint(Hint::Renamed { from, to, folder: object == Object::Folder, since }));
            }
            (Some(_), None) => {
                self.miss(to.parent);
                self.tell(&from, Cause::GONE, notices);
            }
            (None, _) => {
                self.miss(from.parent);
                self.tell_subtree(&to, notices);
            }
        }
        self.tell_parent(&from, notices);
        self.tell_parent(&to, notices);
        if object == Object::Folder {
            self.renames += 1;
            self.move_folder(from, to, notices);
        }
    }

    /// A hint for an entry.
    pub(super) fn tell(&mut self, place: &Place, cause: Cause, notices: &mut Vec<Notice>) {
        match self.tree.path_of(place) {
            Some(path) => hint(notices, path, cause),
            None => self.miss(place.parent),
        }
    }

    /// A hint that a name appeared or vanished in its folder.
    fn tell_parent(&mut self, place: &Place, notices: &mut Vec<Notice>) {
        match self.tree.path(place.parent) {
            Some(path) => hint(notices, path, Cause::ENTRIES),
            None => self.miss(place.parent),
        }
    }

    /// A hint for an entry and all beneath it.
    pub(super) fn tell_subtree(&mut self, place: &Place, notices: &mut Vec<Notice>) {
        match self.tree.path_of(place) {
            Some(path) => notices.push(Notice::Hint(Hint::Subtree { path })),
            None => self.miss(place.parent),
        }
    }

    /// A hint could not be given because the folder is adrift: it is given when the folder is found again. (Where the
    /// path passes the limits there is nothing to tell: no message could name it.)
    fn miss(&mut self, watch: Watch) {
        let top = self.tree.top(watch);
        if let Some(lost) = self.adrift.get_mut(&top) {
            lost.missed = true;
        }
    }
}
