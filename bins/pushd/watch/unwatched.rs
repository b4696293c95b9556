//! Folders that cannot be watched: the limit of watches, or no right to open them. Never silent, never given up.
//!
//! They are told once, remembered with their place, and tried again when watches were given back and from time to time.

use std::io;
use std::time::{Duration, Instant};

use engine::hint::Cause;
use proto::RelPath;
use sys::inotify::watch_limit;

use super::event::Place;
use super::inotify::InotifyWatcher;
use super::settle::{Seen, TRIES};
use super::watcher::Notice;

/// They are tried again after so long.
const RETRY: Duration = Duration::from_secs(60);

/// "Too many levels of symbolic links" (ELOOP): a link stands where a folder stood. The same on all Linux save MIPS.
const LOOP: i32 = 40;

/// Why a folder is not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The limit of watches.
    Limit,
    /// It cannot be opened.
    Closed,
}

impl InotifyWatcher {
    /// A folder at `place` could not be opened or watched.
    pub(super) fn closed(&mut self, place: &Place, error: &io::Error, tries: u8) -> Seen {
        match error.kind() {
            // It went, or something else took its name, between event and look: its own events tell the rest.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => self.gone(place),
            _ if error.raw_os_error() == Some(LOOP) => self.gone(place),
            io::ErrorKind::CrossesDevices => {
                if let Some(path) = self.say_once(place) {
                    tracing::debug!("{path}: another file system is mounted there: not watched");
                }
                Seen::Unwatched
            }
            io::ErrorKind::StorageFull => self.unwatch(place, Why::Limit),
            io::ErrorKind::PermissionDenied => {
                if let Some(path) = self.say_once(place) {
                    tracing::warn!("{path}: cannot be opened ({error}): changes in it are not noticed at once");
                }
                self.unwatch(place, Why::Closed)
            }
            _ if tries < TRIES => {
                self.doubt(place.clone(), tries + 1);
                Seen::Unwatched
            }
            _ => {
                if let Some(path) = self.say_once(place) {
                    tracing::warn!("{path}: cannot be watched ({error}): changes in it are not noticed at once");
                }
                self.unwatch(place, Why::Closed)
            }
        }
    }

    fn gone(&mut self, place: &Place) -> Seen {
        self.unwatched.remove(place);
        self.vacate(place);
        Seen::Gone
    }

    fn unwatch(&mut self, place: &Place, why: Why) -> Seen {
        // It may have been watched before its permissions changed; that watch goes on.
        if self.tree.child(place).is_none() {
            self.leave_unwatched(place, why);
        }
        Seen::Unwatched
    }

    /// Remembers a place as not watched, to be told and tried again.
    pub(super) fn leave_unwatched(&mut self, place: &Place, why: Why) {
        if self.unwatched.insert(place.clone(), why).is_none() {
            self.untold.push((place.clone(), why));
        }
    }

    /// The path, unless it was said before.
    pub(super) fn say_once(&mut self, place: &Place) -> Option<RelPath> {
        let path = self.tree.path_of(place)?;
        self.said.insert(path.clone()).then_some(path)
    }

    /// Tries those that could not be watched: when watches were given back, and from time to time.
    pub(super) fn retry_unwatched(&mut self, notices: &mut Vec<Notice>) {
        let now = Instant::now();
        let freed = std::mem::take(&mut self.freed);
        if self.unwatched.is_empty() {
            self.retry = now + RETRY;
            return;
        }
        let all = self.retry <= now;
        if !all && !freed {
            return;
        }
        self.retry = now + RETRY;
        let tree = &self.tree;
        self.unwatched.retain(|place, _| tree.contains(place.parent));
        let places: Vec<(Place, Why)> = self.unwatched.iter().map(|(place, why)| (place.clone(), *why)).collect();
        let mut full = false;
        for (place, why) in places {
            if (why == Why::Closed && !all) || (why == Why::Limit && full) {
                continue;
            }
            match self.look(&place, 0) {
                Seen::Changed => self.tell_subtree(&place, notices),
                Seen::Gone => self.tell(&place, Cause::GONE, notices),
                Seen::Known => {}
                Seen::Unwatched => full |= why == Why::Limit,
            }
        }
    }

    /// Tells what has come to be unwatched.
    pub(super) fn tell_unwatched(&mut self, notices: &mut Vec<Notice>) {
        if self.untold.is_empty() {
            return;
        }
        // The limit may be unknown; then what is placed is what was allowed.
        let limit = watch_limit().unwrap_or(self.tree.len() as u64);
        let untold = std::mem::take(&mut self.untold);
        for (why, limit) in [(Why::Limit, Some(limit)), (Why::Closed, None)] {
            let of_it = untold.iter().filter(|(place, w)| *w == why && self.unwatched.contains_key(place));
            let mut folders: Vec<RelPath> = of_it.filter_map(|(place, _)| self.tree.path_of(place)).collect();
            if !folders.is_empty() {
                folders.sort_unstable();
                notices.push(Notice::Unwatched { folders, limit });
            }
        }
    }

    /// When they are tried next.
    pub(super) fn retry_due(&self) -> Option<Instant> {
        match () {
            () if self.unwatched.is_empty() => None,
            () if self.freed => Some(Instant::now()),
            () => Some(self.retry),
        }
    }
}
