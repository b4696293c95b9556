//! Placing watches: on one folder, on all beneath it, on everything.
//!
//! The rule is watch first, then list: what is made after the watch has its event, what was made before it is found by
//! the listing. Sub-folders are opened through the folder that was listed, never by path, so that a rename further up
//! cannot hide them.

use std::io;
use std::vec;

use proto::{Kind, Name};
use sys::dir::Dir;
use sys::inotify::Watch;

use super::event::Place;
use super::inotify::InotifyWatcher;
use super::queue::{LARGE, Queue};
use super::settle::Seen;
use super::tree::{Standing, WatchTree};

/// So many folders are held open in the depth of one walk; those further down are opened again later.
const HELD: usize = 64;

/// After so many folders the kernel's queue is read.
const PUMP: u32 = 128;

/// A folder in the middle of being walked.
struct Frame {
    watch: Watch,
    dir: Dir,
    names: vec::IntoIter<Name>,
}

impl InotifyWatcher {
    /// Forgets the picture and places everything anew. Watches that stand already keep their numbers.
    pub(super) fn renew(&mut self) -> io::Result<()> {
        self.pairing.clear();
        self.overflowed = false;
        self.pump()?;
        // Not those read just now: the walk comes after them. A new overflow among them is covered too.
        self.pairing.clear();
        self.overflowed = false;
        self.behind = self.drained;
        self.lost = true;
        let old = self.tree.watches();
        self.expected.clear();
        self.adrift.clear();
        self.doubts.clear();
        self.unwatched.clear();
        self.untold.clear();
        self.freed = false;

        let dir = self.source.root()?;
        let root = self.queue.add(&dir)?;
        self.tree.restart(root);
        self.walk(root, dir);
        if self.outgrows() {
            self.move_out();
            return self.renew();
        }
        self.lost = false;
        for watch in old {
            if !self.tree.contains(watch) {
                // Gone already where the folder is gone.
                let _ = self.queue.remove(watch);
                self.freed = true;
            }
        }
        Ok(())
    }

    /// Whether it is too large for an instance that others share, and is to have one of its own. Found out while watches are
    /// placed: what grows later has its own after the first overflow, which it may well be the cause of.
    fn outgrows(&self) -> bool {
        self.lost && !self.crowded && matches!(self.queue, Queue::Shared(_)) && self.tree.len() > LARGE
    }

    /// To an instance of its own, if there is one left. All is to be placed anew.
    fn move_out(&mut self) {
        match Queue::own() {
            Ok(queue) => {
                // The numbers of the other instance mean nothing here.
                self.tree = WatchTree::default();
                self.pairing.clear();
                self.queue = queue;
            }
            Err(error) => {
                self.crowded = true;
                let path = self.source.path().display();
                tracing::warn!("{path}: has more than {LARGE} folders and shares its inotify with others: {error}");
            }
        }
    }

    /// Watches all beneath a folder that is watched already.
    pub(super) fn walk(&mut self, watch: Watch, dir: Dir) {
        let mut stack = Vec::new();
        let mut later = Vec::new();
        let mut count = 0;
        stack.extend(self.frame(watch, dir));
        loop {
            let Some(top) = stack.last_mut() else {
                let Some(watch) = later.pop() else { break };
                match self.open(watch) {
                    Some(dir) => stack.extend(self.frame(watch, dir)),
                    None => self.doubt_listing(watch, 0),
                }
                continue;
            };
            let Some(name) = top.names.next() else {
                stack.pop();
                continue;
            };
            let place = Place { parent: top.watch, name };
            let child = match top.dir.open_dir(&place.name) {
                Ok(dir) => dir,
                Err(error) => {
                    self.closed(&place, &error, 0);
                    continue;
                }
            };
            if let Some(watch) = self.adopt(&place, &child, 0).1 {
                if stack.len() < HELD {
                    stack.extend(self.frame(watch, child));
                } else {
                    later.push(watch);
                }
            }
            if self.outgrows() {
                return;
            }
            count += 1;
            if count % PUMP == 0 && self.pump().is_err() {
                // The next read of the watcher meets the same error and reports it.
                count = 0;
            }
        }
    }

    /// Lists a watched folder for its sub-folders.
    fn frame(&mut self, watch: Watch, dir: Dir) -> Option<Frame> {
        let found = match dir.list() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                if let Some(path) = self.tree.path(watch) {
                    tracing::warn!(
                        "{path}: cannot be listed ({error}): folders in it may not be watched; trying again"
                    );
                }
                self.doubt_listing(watch, 0);
                return None;
            }
        };
        let folders = found.into_iter().filter(|found| matches!(found.kind, None | Some(Kind::Dir)));
        let mut names: Vec<Name> = folders.map(|found| found.name).collect();
        names.sort_unstable();
        Some(Frame { watch, dir, names: names.into_iter() })
    }

    /// Watches the folder `dir`, which was found at `place`. Gives the watch when it is new: its listing is still due.
    pub(super) fn adopt(&mut self, place: &Place, dir: &Dir, tries: u8) -> (Seen, Option<Watch>) {
        if self.tree.path_of(place).is_none() && self.tree.path(place.parent).is_some() {
            // Beyond the limits of a path nothing can be sent: the pass over the tree names it to the operator.
            return (Seen::Unwatched, None);
        }
        let watch = match self.queue.add(dir) {
            Ok(watch) => watch,
            Err(error) => {
                self.closed(place, &error, tries);
                return (Seen::Unwatched, None);
            }
        };
        self.unwatched.remove(place);
        match self.tree.standing(watch) {
            Standing::At(there) if there == *place => return (Seen::Known, None),
            // A mount of the root within itself.
            Standing::Root => return (Seen::Unwatched, None),
            Standing::At(there) => {
                // It has moved here and its event is still to come, or came and was taken for another's.
                self.vacate(place);
                if self.tree.attach(watch, place).is_err() {
                    self.doubt(there, tries + 1);
                    self.doubt(place.clone(), tries + 1);
                    return (Seen::Changed, None);
                }
                self.doubt(there, tries + 1);
            }
            Standing::Adrift => {
                self.vacate(place);
                if self.tree.attach(watch, place).is_err() {
                    self.doubt(place.clone(), tries + 1);
                    return (Seen::Changed, None);
                }
                self.adrift.remove(&watch);
            }
            Standing::Unknown => {
                self.vacate(place);
                // A new watch cannot be above anything.
                let _ = self.tree.attach(watch, place);
                return (Seen::Changed, Some(watch));
            }
        }
        (Seen::Changed, None)
    }
}
