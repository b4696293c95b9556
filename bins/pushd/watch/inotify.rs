//! The watcher on inotify: one watch for each folder. It waits, has the `backlog` read what the kernel tells, tells the
//! [`Picture`] what happened, and has the `hands` do what that wants.

mod backlog;
mod hands;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::hint::{Cause, Hint};
use engine::view::Selection;
use proto::RelPath;
use sys::MountId;
use sys::tree::Tree;

use super::picture::Picture;
use super::queue::{Queue, Supply};
use super::root::{self, root_trouble};
use super::wake::Waker;
use super::watcher::{Notice, Watcher};
use crate::answers::Answers;
use hands::Hands;

/// So many steps are applied before the kernel's queue is read again.
const STEPS: usize = 64;

/// Watches with an instance of inotify of its own, or at a seat of one that others share.
#[derive(Debug)]
pub struct InotifyWatcher {
    picture: Picture,
    hands: Hands,
    waker: Waker,
    /// When the root was last asked for at its path.
    looked: Instant,
    /// It had no entries then: only so can it be removed, and of that nothing tells.
    bare: bool,
    /// What is mounted beneath the root.
    mounts: BTreeMap<RelPath, Vec<MountId>>,
}

impl InotifyWatcher {
    /// A watcher of what is selected of the folder that `source` holds open. Nothing is watched before [`place`](Self::place).
    pub fn new(source: Arc<Tree>, selection: Selection, supply: &Supply, waker: Waker) -> io::Result<InotifyWatcher> {
        let now = Instant::now();
        let hands = Hands::new(source, Queue::new(supply, &waker)?);
        let (picture, mounts) = (Picture::new(selection, now), BTreeMap::new());
        Ok(InotifyWatcher { picture, hands, waker, looked: now, bare: true, mounts })
    }

    /// Places all watches, or places them anew. Fails when the root cannot be watched at all.
    pub fn place(&mut self, notices: &mut Vec<Notice>) -> io::Result<()> {
        // What is mounted from now on is either met by the walk or found by the next comparison of the tables.
        self.read_mounts();
        self.hands.place_all(&mut self.picture)?;
        self.picture.tell_unwatched(sys::inotify::watch_limit);
        self.picture.tell(notices);
        Ok(())
    }

    /// One round without waiting.
    fn turn(&mut self, notices: &mut Vec<Notice>) -> io::Result<()> {
        self.hands.backlog.read()?;
        if self.picture.is_lost() {
            self.hands.backlog.forget();
            return Ok(());
        }
        let before = notices.len();
        if self.is_to_renew() {
            self.hands.place_all(&mut self.picture)?;
            notices.push(Notice::Overflow);
        }
        let mounted = self.hands.backlog.queue().mounts_changed();
        if mounted {
            if let Some(answers) = Answers::of(self.hands.source.path(), self.hands.source.mounts()) {
                let changed = answers.wait().into_iter();
                notices.extend(changed.map(|path| Notice::Hint(Hint::Subtree { path })));
            }
            let now = Instant::now();
            let changed = self.read_mounts();
            changed.iter().for_each(|path| self.picture.remounted(path, now));
            notices.extend(changed.first().map(|_| Notice::Remounted));
        }
        self.carry_on()?;
        if !self.picture.is_lost() {
            self.picture.review(self.hands.backlog.drained(), Instant::now());
            self.hands.do_all(&mut self.picture);
            self.picture.tell_unwatched(sys::inotify::watch_limit);
        }
        self.picture.tell(notices);
        let any = notices.len() > before;
        self.bare |= notices[before..].iter().any(may_leave_none);
        if mounted || any || self.root_due() <= Instant::now() {
            self.check_root();
            self.picture.tell(notices);
        }
        Ok(())
    }

    /// Reads what is mounted beneath the root. Returns where that is not what it was.
    fn read_mounts(&mut self) -> Vec<RelPath> {
        // First: who hears of a mount by this does not ask what does not answer.
        sys::learn_far();
        // Without a table, or a root, nothing is known of it; the next look at the root, or a pass, meets the same trouble.
        let Ok(mounts) = sys::mounts_beneath(self.hands.source.path()) else { return Vec::new() };
        let before = std::mem::replace(&mut self.mounts, mounts);
        let all = before.keys().chain(self.mounts.keys().filter(|path| !before.contains_key(*path)));
        all.filter(|path| before.get(*path) != self.mounts.get(*path)).cloned().collect()
    }

    /// Tells the picture what happened, as far as a batch of notices goes.
    fn carry_on(&mut self) -> io::Result<()> {
        let mut now = Instant::now();
        let mut steps = 0;
        self.picture.tell_ahead(self.hands.backlog.ahead());
        while !self.picture.has_much_to_tell() && !self.picture.is_lost() && !self.is_to_renew() {
            let Some((step, behind)) = self.hands.backlog.pop() else { break };
            self.picture.happened(step, behind, now);
            if self.hands.do_all(&mut self.picture) {
                now = Instant::now();
            }
            steps += 1;
            if steps % STEPS == 0 {
                self.hands.backlog.read()?;
                now = Instant::now();
                if self.picture.tell_ahead(self.hands.backlog.ahead()) {
                    // They are not to wait for the rest of a batch.
                    break;
                }
            }
        }
        Ok(())
    }

    fn is_to_renew(&self) -> bool {
        self.hands.backlog.has_overflowed() || self.picture.is_stale()
    }

    fn root_due(&self) -> Instant {
        let pause = match self.hands.backlog.queue().tells_mounts() {
            _ if self.bare => root::LOOK_BARE,
            true => root::LOOK,
            false => root::LOOK_UNTOLD,
        };
        self.looked + pause
    }

    /// A folder that is held open says nothing when it is removed or when something else is mounted over it.
    fn check_root(&mut self) {
        self.looked = Instant::now();
        if self.picture.is_lost() {
            return;
        }
        if let Some(reason) = root_trouble(&self.hands.source) {
            self.picture.lose_root(reason);
        } else if self.bare {
            self.bare = self.hands.source.root().and_then(|root| root.is_empty()).unwrap_or(false);
        }
    }

    /// When there will be something to do, should no event come.
    fn due(&self) -> Option<Instant> {
        if self.picture.is_lost() {
            return None;
        }
        let now = Instant::now();
        if self.is_to_renew() {
            return Some(now);
        }
        [self.hands.backlog.due(), self.picture.due(now), Some(self.root_due())].into_iter().flatten().min()
    }
}

/// Whether an entry of the root went: perhaps the last one.
fn may_leave_none(notice: &Notice) -> bool {
    let gone = match notice {
        Notice::Hint(Hint::Entry { path, cause }) if cause.has(Cause::GONE) => path,
        Notice::Hint(Hint::Renamed { from, .. }) => from,
        _ => return false,
    };
    !gone.as_bytes().contains(&b'/')
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
            self.hands.backlog.queue().wait(wait, &self.waker)?;
        }
    }

    fn caught_up(&self) -> Option<Instant> {
        if self.picture.is_lost() || self.is_to_renew() {
            return None;
        }
        self.picture.doubtful_since().into_iter().chain([self.hands.backlog.told(), self.hands.backlog.drained()]).min()
    }

    fn watches(&self) -> usize {
        self.picture.watches()
    }

    fn unwatched_count(&self) -> usize {
        self.picture.unwatched_count()
    }

    fn unwatched(&self) -> Vec<RelPath> {
        self.picture.unwatched()
    }
}
