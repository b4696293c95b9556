//! Listing folders of the source on threads of their own. Asked by a pass, which
//! hears of each folder when it is listed; decides nothing.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proto::{Entry, Kind, Name, RelPath};

use crate::mirror::Mirror;
use crate::pending::Ticket;
use crate::view::{Listing, Names, Skipped, View};
use crate::workers::{self, Workers};

/// Listed folders for which the session is woken, fewer after some time and when there is nothing to list: each time costs
/// several switches between threads, and a frame of its own.
const TELL: usize = 64;
const TELL_AFTER: Duration = Duration::from_millis(3);

/// A thread that has had nothing to list for so long ends: of passes that follow each other none starts threads anew, and a
/// thousand targets at rest have none.
const IDLE: Duration = Duration::from_secs(1);

/// How much is asked about the entries of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// All that the target is compared with.
    Metadata,
    /// What they are called, and of what kind they are.
    Names,
}

/// What was asked for.
#[derive(Debug)]
pub(super) enum Children {
    Listing(Listing),
    Names(Names),
}

impl Children {
    /// Names and kinds, in order of names.
    pub fn kinds(&self) -> impl DoubleEndedIterator<Item = (&Name, Kind)> {
        let (entries, names) = self.either();
        let names = names.iter().map(|(name, kind)| (name, *kind));
        entries.iter().map(|entry| (&entry.name, entry.kind)).chain(names)
    }

    /// The same with sizes, where they were looked at anyway.
    pub fn sized(&self) -> impl Iterator<Item = (&Name, Kind, Option<u64>)> {
        let (entries, names) = self.either();
        let names = names.iter().map(|(name, kind)| (name, *kind, None));
        entries.iter().map(|entry| (&entry.name, entry.kind, Some(entry.size))).chain(names)
    }

    /// One of the two is empty.
    fn either(&self) -> (&[Entry], &[(Name, Kind)]) {
        match self {
            Children::Listing(listing) => (&listing.entries, &[]),
            Children::Names(names) => (&[], &names.entries),
        }
    }

    pub fn len(&self) -> usize {
        let (entries, names) = self.either();
        entries.len() + names.len()
    }

    pub fn skipped(&self) -> &[(Name, Skipped)] {
        match self {
            Children::Listing(listing) => &listing.skipped,
            Children::Names(names) => &names.skipped,
        }
    }

    /// All names that there are.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.kinds().map(|(name, _)| name).chain(self.skipped().iter().map(|(name, _)| name))
    }

    /// What stands under a name, if it is known to be mirrored.
    pub fn kind(&self, name: &Name) -> Option<Kind> {
        match self {
            Children::Listing(listing) => listing.find(name).map(|(entry, _)| entry.kind),
            Children::Names(Names { entries, .. }) => {
                entries.binary_search_by(|(other, _)| other.cmp(name)).ok().map(|at| entries[at].1)
            }
        }
    }
}

/// The answer to one request.
pub(super) struct Listed {
    pub pass: Ticket,
    pub path: RelPath,
    pub children: io::Result<Children>,
}

/// Threads that list. They start when there is something to list and end when there was nothing for a while, so that a
/// target in sync holds none. Dropped: they end after the folder they are at.
pub(super) struct Walker {
    task: Arc<Task>,
    listed: mpsc::Receiver<Listed>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads share.
struct Task {
    mirror: Arc<Mirror>,
    workers: Workers,
    send: mpsc::Sender<Listed>,
    queue: Mutex<Queue>,
    some: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<(Arc<View>, Job)>,
    state: State,
    /// Threads that there are, and those of them that wait for a job.
    alive: usize,
    idle: usize,
}

/// For which pass, which folder, and how much of it.
type Job = (Ticket, RelPath, Detail);

/// Whether there may be jobs still.
#[derive(Default, PartialEq)]
enum State {
    #[default]
    Open,
    Closed,
}

impl Walker {
    /// `mirror` is woken when folders are listed.
    pub fn new(workers: Workers, mirror: &Arc<Mirror>) -> Walker {
        let (send, listed) = mpsc::channel();
        let (queue, some) = Default::default();
        let task = Task { mirror: Arc::clone(mirror), workers, send, queue, some };
        Walker { task: Arc::new(task), listed, threads: Vec::new() }
    }

    /// Asks for a folder of this view.
    ///
    /// # Errors
    /// When no thread can be started to list it.
    pub fn list(&mut self, view: &Arc<View>, job: Job) -> io::Result<()> {
        let mut queue = self.task.lock();
        queue.jobs.push_back((Arc::clone(view), job));
        let Workers::Threads(most) = self.task.workers else { return Ok(()) };
        let another = queue.idle < queue.jobs.len() && queue.alive < most.max(1);
        queue.alive += usize::from(another);
        drop(queue);
        self.task.some.notify_one();
        if another { self.start_thread() } else { Ok(()) }
    }

    fn start_thread(&mut self) -> io::Result<()> {
        self.threads.retain(|thread| !thread.is_finished());
        let at_work = AtWork(Arc::clone(&self.task));
        match workers::start("walk", move || at_work.0.work()) {
            Ok(thread) => self.threads.push(thread),
            Err(error) => {
                let mut queue = self.task.lock();
                queue.alive -= 1;
                // The others do it, if there are any.
                if queue.alive == 0 {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Lists one folder here and now, where there are no threads that do. Whether there was one.
    pub fn step(&self) -> bool {
        if self.task.workers != Workers::Inline {
            return false;
        }
        let job = self.task.lock().jobs.pop_front();
        // Sent to this walker's own end.
        job.is_some_and(|job| self.task.send.send(self.task.list(job)).is_ok())
    }

    /// A folder that has been listed, if one has.
    pub fn listed(&self) -> Option<Listed> {
        self.listed.try_recv().ok()
    }
}

impl Drop for Walker {
    fn drop(&mut self) {
        let mut queue = self.task.lock();
        queue.jobs.clear();
        queue.state = State::Closed;
        drop(queue);
        self.task.some.notify_all();
        for thread in self.threads.drain(..) {
            // A panic of a walker thread was reported by the panic hook; its pass does not end, nor is it acknowledged.
            let _ = thread.join();
        }
    }
}

/// Held by a thread: one that panics is counted as gone too.
struct AtWork(Arc<Task>);

impl Drop for AtWork {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().alive -= 1;
        }
    }
}

impl Task {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        sys::cwd::own();
        let mut news = News { mirror: &self.mirror, count: 0, told: self.mirror.now() };
        while let Some(job) = self.next(&mut news) {
            if self.send.send(self.list(job)).is_err() {
                return;
            }
            news.add();
        }
    }

    fn list(&self, (view, (pass, path, detail)): (Arc<View>, Job)) -> Listed {
        let children = view.folder(&path).and_then(|folder| match detail {
            Detail::Metadata => folder.list(self.workers.at_once()).map(Children::Listing),
            Detail::Names => folder.names().map(Children::Names),
        });
        Listed { pass, path, children }
    }

    /// `None` when the thread is to end.
    fn next(&self, news: &mut News<'_>) -> Option<(Arc<View>, Job)> {
        let mut queue = self.lock();
        let mut since = None;
        loop {
            if queue.state == State::Closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            let now = self.mirror.now();
            let waited = now.saturating_duration_since(*since.get_or_insert(now));
            let Some(left) = IDLE.checked_sub(waited) else {
                // RACE: who adds a job next must see that this thread is gone; so it goes while nobody can add one.
                queue.alive -= 1;
                return None;
            };
            news.tell();
            queue.idle += 1;
            queue = self.some.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
            queue.idle -= 1;
        }
    }
}

/// Listed folders of which the session has not been told.
struct News<'a> {
    mirror: &'a Mirror,
    count: usize,
    told: Instant,
}

impl News<'_> {
    fn add(&mut self) {
        self.count += 1;
        if self.count >= TELL || self.mirror.clock().since(self.told) >= TELL_AFTER {
            self.tell();
        }
    }

    fn tell(&mut self) {
        if std::mem::take(&mut self.count) > 0 {
            self.mirror.wake.notify_one();
            self.told = self.mirror.now();
        }
    }
}
