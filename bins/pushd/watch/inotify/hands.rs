//! What the watcher does at the kernel for its picture: opens folders, places watches on them, walks what is new, and tells
//! the picture what it meets.
//!
//! The rule is watch first, then list: what is made after the watch has its event, what was made before it is found by
//! the listing. Sub-folders are opened through the folder that was listed, never by path, so that a rename further up
//! cannot hide them.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;
use std::vec;

use proto::Name;
use sys::dir::Dir;
use sys::inotify::Watch;
use sys::tree::Tree;

use super::backlog::Backlog;
use crate::watch::event::Spot;
use crate::watch::picture::{Look, Met, Picture, Seen, Task};
use crate::watch::queue::{LARGE, Queue};

/// So many folders are held open in the depth of one walk; those further down are opened again later.
const HELD: usize = 64;

/// After so many folders the kernel's queue is read.
const READ: u32 = 128;

/// "Too many levels of symbolic links" (ELOOP): a link stands where a folder stood. The same on all Linux save MIPS.
const LOOP: i32 = 40;

#[derive(Debug)]
pub struct Hands {
    pub(super) source: Arc<Tree>,
    pub(super) backlog: Backlog,
    /// Whether there was no instance of its own for this source, large as it is.
    crowded: bool,
}

/// A folder in the middle of being walked.
struct Frame {
    watch: Watch,
    dir: Dir,
    names: vec::IntoIter<Name>,
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    None,
    /// Until there are too many folders for an instance that others share.
    Large,
}

impl Hands {
    pub fn new(source: Arc<Tree>, queue: Queue) -> Hands {
        Hands { source, backlog: Backlog::new(queue), crowded: false }
    }

    /// Places everything anew, for a picture that forgets all. Watches that stand already keep their numbers.
    ///
    /// A source that turns out to be too large for an instance that others share gets one of its own. What grows later has
    /// its own after the first overflow, which it may well be the cause of.
    pub fn place_all(&mut self, picture: &mut Picture) -> io::Result<()> {
        let mut before = Vec::new();
        loop {
            // What is told by now comes before the walk.
            self.backlog.skip()?;
            let dir = self.source.root()?;
            let root = self.backlog.queue().add(&dir)?;
            before.extend(picture.restart(root, self.backlog.drained(), Instant::now()));
            let shares = matches!(self.backlog.queue(), Queue::Shared(_)) && !self.crowded;
            let bound = if shares { Bound::Large } else { Bound::None };
            self.walk(picture, root, dir, bound);
            if bound == Bound::None || picture.watches() <= LARGE {
                picture.placed(before);
                self.do_all(picture);
                return Ok(());
            }
            match Queue::own() {
                Ok(queue) => {
                    self.backlog.replace(queue);
                    // The numbers of the other instance mean nothing here.
                    picture.disown();
                    before.clear();
                }
                Err(error) => {
                    self.crowded = true;
                    let path = self.source.path().display();
                    tracing::warn!("{path}: has more than {LARGE} folders and shares its inotify with others: {error}");
                }
            }
        }
    }

    /// Does all that the picture wants done; whether that was anything.
    pub fn do_all(&mut self, picture: &mut Picture) -> bool {
        if picture.is_idle() {
            return false;
        }
        while let Some(task) = picture.task(Instant::now()) {
            match task {
                Task::GiveBack(watches) => {
                    for watch in watches {
                        // Fails where the folder is gone, and the watch with it.
                        let _ = self.backlog.queue().remove(watch);
                    }
                }
                Task::Look(look) => {
                    let seen = self.look(picture, &look);
                    picture.looked(look, seen, Instant::now());
                }
                Task::List(listing) => {
                    let dir = self.open(picture, listing.watch);
                    let found = dir.is_some();
                    if let Some(dir) = dir {
                        self.walk(picture, listing.watch, dir, Bound::None);
                    }
                    picture.listed(listing, found, Instant::now());
                }
            }
        }
        true
    }

    /// Finds out which folder stands at a place, and watches it with all beneath it if it is new.
    fn look(&mut self, picture: &mut Picture, look: &Look) -> Seen {
        let place = &look.place;
        let Some(parent) = self.open(picture, place.parent) else { return Seen::Astray };
        let (seen, dir) = self.meet(picture, place, &parent, look.tries, Instant::now());
        if let (Seen::New, Some((watch, dir))) = (seen, dir) {
            self.walk(picture, watch, dir, Bound::None);
        }
        seen
    }

    /// Opens a watched folder where it is believed to be; `None` when it is not there.
    fn open(&self, picture: &Picture, watch: Watch) -> Option<Dir> {
        if picture.is_root(watch) {
            return self.source.root().ok();
        }
        let path = picture.path(watch)?;
        let dir = self.source.dir(&path).ok()?;
        // A folder that is watched already answers with its number: the cheapest proof of identity.
        match self.backlog.queue().add(&dir) {
            Ok(found) if found == watch => Some(dir),
            Ok(found) => {
                if !picture.knows(found) {
                    // Its own event, or the doubt about this place, will watch it and list it.
                    let _ = self.backlog.queue().remove(found);
                }
                None
            }
            Err(_) => None,
        }
    }

    /// Opens and watches the folder that stands at a place, in a folder that is open.
    fn meet(
        &self,
        picture: &mut Picture,
        place: &Spot,
        parent: &Dir,
        tries: u8,
        now: Instant,
    ) -> (Seen, Option<(Watch, Dir)>) {
        let dir = match parent.open_dir(&place.name) {
            Ok(dir) => dir,
            Err(error) => return (picture.met(place, closed(&error), tries, now), None),
        };
        if !picture.is_to_tell(place) {
            return (Seen::Unwatched, None);
        }
        match self.backlog.queue().add(&dir) {
            Ok(watch) => (picture.met(place, Met::Folder(watch), tries, now), Some((watch, dir))),
            Err(error) => (picture.met(place, closed(&error), tries, now), None),
        }
    }

    /// Watches all beneath a folder that is watched already.
    fn walk(&mut self, picture: &mut Picture, watch: Watch, dir: Dir, bound: Bound) {
        let mut stack = Vec::new();
        let mut later = Vec::new();
        let (mut count, mut now) = (0, Instant::now());
        stack.extend(list(picture, watch, dir, now));
        loop {
            let Some(top) = stack.last_mut() else {
                let Some(watch) = later.pop() else { break };
                match self.open(picture, watch) {
                    Some(dir) => stack.extend(list(picture, watch, dir, now)),
                    None => picture.unlisted(watch, now),
                }
                continue;
            };
            let Some(name) = top.names.next() else {
                stack.pop();
                continue;
            };
            let place = Spot { parent: top.watch, name };
            if let (Seen::New, Some((watch, dir))) = self.meet(picture, &place, &top.dir, 0, now) {
                if stack.len() < HELD {
                    stack.extend(list(picture, watch, dir, now));
                } else {
                    later.push(watch);
                }
            }
            if bound == Bound::Large && picture.watches() > LARGE {
                return;
            }
            count += 1;
            if count % READ == 0 {
                // The next read of the watcher meets the same error and reports it.
                let _ = self.backlog.read();
                now = Instant::now();
            }
        }
    }
}

/// Lists a watched folder for its sub-folders.
fn list(picture: &mut Picture, watch: Watch, dir: Dir, now: Instant) -> Option<Frame> {
    let mut names = match dir.folders() {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => {
            if let Some(path) = picture.path(watch) {
                tracing::warn!("{path}: cannot be listed ({error}): folders in it may not be watched; trying again");
            }
            picture.unlisted(watch, now);
            return None;
        }
    };
    names.sort_unstable();
    Some(Frame { watch, dir, names: names.into_iter() })
}

/// Why a folder could not be opened or watched.
fn closed(error: &io::Error) -> Met {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Met::Nothing,
        _ if error.raw_os_error() == Some(LOOP) => Met::Nothing,
        ErrorKind::CrossesDevices => Met::Mount,
        ErrorKind::StorageFull => Met::Limit,
        ErrorKind::PermissionDenied => Met::Denied(error.to_string()),
        _ => Met::Trouble(error.to_string()),
    }
}
