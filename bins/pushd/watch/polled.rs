//! Stands in for a watcher where the kernel has no instance or no watch left: it sees nothing of what happens in the source,
//! only whether the root is still there and whether something is mounted or unmounted. All of it is unwatched, and compared as
//! other unwatched folders are.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::RelPath;
use sys::inotify::{Exhausted, wait_readable, wait_remounted};
use sys::{Changes, Tree};

use super::root::{LOOK_UNTOLD, root_trouble};
use super::wake::Waker;
use super::watcher::{Notice, Watcher};

#[derive(Debug)]
pub struct Polled {
    source: Arc<Tree>,
    waker: Waker,
    exhausted: Exhausted,
    looked: Instant,
    /// `None` where the kernel does not tell.
    mounts: Option<Changes>,
}

impl Polled {
    /// For the folder that `source` holds open, which cannot be watched for want of this.
    pub fn new(source: Arc<Tree>, waker: Waker, exhausted: Exhausted) -> Polled {
        Polled { source, waker, exhausted, looked: Instant::now(), mounts: Changes::open().ok() }
    }
}

impl Watcher for Polled {
    fn next(&mut self, timeout: Option<Duration>, notices: &mut Vec<Notice>) -> io::Result<()> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let now = Instant::now();
            if self.looked + LOOK_UNTOLD <= now {
                self.looked = now;
                notices.extend(root_trouble(&self.source).map(|reason| Notice::RootLost { reason: reason.to_owned() }));
            }
            if self.waker.take() || !notices.is_empty() || until.is_some_and(|until| until <= now) {
                return Ok(());
            }
            let due = until.into_iter().chain([self.looked + LOOK_UNTOLD]).min();
            let pause = due.map(|due| due.saturating_duration_since(now));
            match &self.mounts {
                Some(mounts) => {
                    let remounted = wait_remounted(self.waker.descriptor(), mounts, pause)?;
                    notices.extend(remounted.then_some(Notice::Remounted));
                }
                None => _ = wait_readable(self.waker.descriptor(), pause)?,
            }
        }
    }

    /// It never knows of anything, so there is nothing that it has still to tell.
    fn caught_up(&self) -> Option<Instant> {
        Some(Instant::now())
    }

    fn watches(&self) -> usize {
        0
    }

    fn unwatched_count(&self) -> usize {
        1
    }

    fn unwatched(&self) -> Vec<RelPath> {
        vec![RelPath::root()]
    }

    fn lacks(&self) -> Option<&Exhausted> {
        Some(&self.exhausted)
    }
}

#[cfg(test)]
mod tests {
    use sys::Mounts;

    use super::*;

    #[test]
    fn it_says_that_all_is_unwatched_and_that_the_root_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let waker = Waker::new().unwrap();
        let tree = Arc::new(Tree::open(&root, Mounts::Stay).unwrap());
        let mut polled = Polled::new(tree, waker.clone(), Exhausted::Watches { limit: 0 });
        let mut notices = Vec::new();
        polled.next(Some(Duration::ZERO), &mut notices).unwrap();
        assert_eq!((&notices[..], polled.unwatched()), (&[][..], vec![RelPath::root()]));
        waker.wake();
        polled.next(None, &mut notices).unwrap();
        assert_eq!(notices, []);
        std::fs::rename(&root, folder.path().join("away")).unwrap();
        polled.next(None, &mut notices).unwrap();
        assert!(matches!(&notices[..], [Notice::RootLost { .. }]));
    }
}
