//! The watcher on inotify: one watch for each folder. This file reads and waits; `apply` turns events into hints,
//! `walk` places watches, `settle` repairs the picture of the tree where it may be out of date.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::hint::{Cause, Hint};
use proto::RelPath;
use sys::inotify::Watch;
use sys::tree::Tree;

use super::event::{Change, Place};
use super::pairing::Pairing;
use super::queue::{Queue, Supply};
use super::read::{AHEAD, READS, Rest, read};
use super::root::{self, root_trouble};
use super::settle::{Doubt, Expected, Lost, Where};
use super::tree::WatchTree;
use super::unwatched::Why;
use super::wake::Waker;
use super::watcher::{Notice, Watcher};

/// So many notices are given at a time, so that hints flow while more is read.
const BATCH: usize = 4096;

/// So many steps are applied before the kernel's queue is read again.
const STEPS: usize = 64;

/// The watcher on inotify.
#[derive(Debug)]
pub struct InotifyWatcher {
    pub(super) source: Arc<Tree>,
    pub(super) queue: Queue,
    /// There was no instance of its own for it, large as it is.
    pub(super) crowded: bool,
    pub(super) waker: Waker,
    pub(super) tree: WatchTree,
    pub(super) pairing: Pairing,
    /// The latest moment at which the kernel's queue was seen empty.
    pub(super) drained: Instant,
    /// All that happened before this moment is known, but for what is remembered with a moment of its own: so old may
    /// be what is being found out now.
    pub(super) behind: Instant,
    /// Events were lost: renew.
    pub(super) overflowed: bool,
    /// No hints until placed (again).
    pub(super) lost: bool,
    /// How many times a folder was told to be renamed, to come or to leave.
    pub(super) renames: u64,
    /// Renames of folders that their own watch has not confirmed yet.
    pub(super) expected: Vec<Expected>,
    /// Folders that have lost their place.
    pub(super) adrift: HashMap<Watch, Lost>,
    /// Places to look at again.
    pub(super) doubts: HashMap<Where, Doubt>,
    /// Folders that are not watched.
    pub(super) unwatched: HashMap<Place, Why>,
    /// Those of them that have not been told yet.
    pub(super) untold: Vec<(Place, Why)>,
    /// What has been said in the log already.
    pub(super) said: HashSet<RelPath>,
    /// Watches were given back since the unwatched were last tried.
    pub(super) freed: bool,
    /// When the unwatched are tried in any case.
    pub(super) retry: Instant,
    /// When the root was last asked for at its path.
    pub(super) looked: Instant,
    /// Events of watches that are not known: left over from what was removed.
    pub(super) strays: u64,
}

impl InotifyWatcher {
    /// A watcher of the folder that `source` holds open. Nothing is watched before [`place`](Self::place).
    pub fn new(source: Arc<Tree>, supply: &Supply, waker: Waker) -> io::Result<InotifyWatcher> {
        let now = Instant::now();
        Ok(InotifyWatcher {
            source,
            queue: Queue::new(supply, &waker)?,
            crowded: false,
            waker,
            tree: WatchTree::default(),
            pairing: Pairing::default(),
            drained: now,
            behind: now,
            overflowed: false,
            lost: true,
            renames: 0,
            expected: Vec::new(),
            adrift: HashMap::new(),
            doubts: HashMap::new(),
            unwatched: HashMap::new(),
            untold: Vec::new(),
            said: HashSet::new(),
            freed: false,
            retry: now,
            looked: now,
            strays: 0,
        })
    }

    /// Places all watches, or places them anew. Fails when the root cannot be watched at all.
    pub fn place(&mut self, notices: &mut Vec<Notice>) -> io::Result<()> {
        self.renew()?;
        self.tell_unwatched(notices);
        Ok(())
    }

    /// Reads what the kernel has, without waiting. Called in the middle of long walks too: a queue that nobody reads
    /// overflows after 16,384 events.
    pub(super) fn pump(&mut self) -> io::Result<()> {
        let Self { queue, pairing, drained, overflowed, strays, .. } = self;
        match queue {
            Queue::Own(inotify) => {
                for _ in 0..READS {
                    let now = Instant::now();
                    pairing.mark(*drained);
                    let rest = read(inotify, *drained, |event| match event {
                        Some(event) if event.change == Change::Overflow => *overflowed = true,
                        Some(event) => pairing.push(event, now),
                        None => *strays += 1,
                    })?;
                    if rest == Rest::Nothing {
                        // All that happened before `now` has been read.
                        *drained = now;
                        break;
                    }
                    if pairing.len() > AHEAD {
                        break;
                    }
                }
            }
            Queue::Shared(seat) => {
                let taken = seat.take()?;
                for reading in taken.reads {
                    pairing.mark(reading.since);
                    reading.events.into_iter().for_each(|event| pairing.push(event, reading.at));
                }
                *overflowed |= taken.overflowed;
                *drained = taken.drained;
            }
        }
        self.overflowed |= self.pairing.len() > AHEAD;
        if self.overflowed {
            // What is held is covered by looking at everything.
            self.pairing.clear();
        }
        Ok(())
    }

    /// One round without waiting.
    fn turn(&mut self, notices: &mut Vec<Notice>) -> io::Result<()> {
        self.pump()?;
        if self.lost {
            self.pairing.clear();
            return Ok(());
        }
        if self.overflowed {
            self.renew()?;
            notices.push(Notice::Overflow);
        }
        let before = notices.len();
        let mut steps = 0;
        while notices.len() - before < BATCH && !self.lost && !self.overflowed {
            self.behind = self.pairing.oldest().unwrap_or(self.drained);
            let Some(step) = self.pairing.pop(self.drained) else { break };
            self.apply(step, notices);
            steps += 1;
            if steps % STEPS == 0 {
                self.pump()?;
            }
        }
        if !self.lost {
            self.settle(notices);
            self.tell_unwatched(notices);
        }
        if self.queue.mounts_changed() || notices.len() > before || self.root_due() <= Instant::now() {
            self.check_root(notices);
        }
        Ok(())
    }

    fn root_due(&self) -> Instant {
        self.looked + if self.queue.tells_mounts() { root::LOOK } else { root::LOOK_UNTOLD }
    }

    /// A folder that is held open says nothing when it is removed or when something else is mounted over it.
    fn check_root(&mut self, notices: &mut Vec<Notice>) {
        self.looked = Instant::now();
        if self.lost {
            return;
        }
        if let Some(reason) = root_trouble(&self.source) {
            self.lose_root(reason, notices);
        }
    }

    /// When there will be something to do, should no event come.
    fn due(&self) -> Option<Instant> {
        if self.lost {
            return None;
        }
        if self.overflowed {
            return Some(Instant::now());
        }
        [self.pairing.due(), self.settle_due(), Some(self.root_due())].into_iter().flatten().min()
    }
}

impl Watcher for InotifyWatcher {
    fn next(&mut self, timeout: Option<Duration>, notices: &mut Vec<Notice>) -> io::Result<()> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let before = notices.len();
        loop {
            self.turn(notices)?;
            let now = Instant::now();
            if self.waker.take() || notices.len() > before || until.is_some_and(|until| until <= now) {
                return Ok(());
            }
            let wait = [until, self.due()].into_iter().flatten().min().map(|due| due.saturating_duration_since(now));
            self.queue.wait(wait, &self.waker)?;
        }
    }

    fn caught_up(&self) -> Option<Instant> {
        if self.lost || self.overflowed {
            return None;
        }
        self.pairing.oldest().into_iter().chain(self.unsettled()).chain([self.drained]).min()
    }

    fn watches(&self) -> usize {
        self.tree.len()
    }

    fn unwatched_count(&self) -> usize {
        self.unwatched.len()
    }

    fn unwatched(&self) -> Vec<RelPath> {
        let mut folders: Vec<_> = self.unwatched.keys().filter_map(|place| self.tree.path_of(place)).collect();
        folders.sort_unstable();
        folders
    }
}

/// Adds a hint, unless one of the last few says the same and nothing but such hints came after it.
pub(super) fn hint(notices: &mut Vec<Notice>, path: RelPath, cause: Cause) {
    let notice = Notice::Hint(Hint::Entry { path, cause });
    let entries = notices.iter().rev().take(4).take_while(|last| matches!(last, Notice::Hint(Hint::Entry { .. })));
    if !entries.into_iter().any(|last| *last == notice) {
        notices.push(notice);
    }
}
