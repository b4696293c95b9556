//! The threads beside the main path: they write small contents into temporaries, list folders to compare, and read and
//! copy what large files are built from. They never wait for anything but work, and for room in the outbox.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use bytes::Bytes;
use proto::{Meta, Outcome};
use sys::Staged;

use super::answer::{Answer, Ask, Looking};
use super::basis::{Copying, Signing};
use super::equal::{Read, Reading};
use super::line::Line;
use super::memory::{Charge, Retained};
use super::operation::{Bundle, Item, Operation};
use super::outcome;
use super::rests::Rests;
use super::shift::Shift;
use crate::view::{Bounds, Replica};
use crate::workers::Workers;

/// Most copies that wait. Their bytes are bounded too, but each takes memory however few it has.
const COPIES: usize = 1024;

#[derive(Debug)]
pub(super) struct Pool {
    jobs: Mutex<Jobs>,
    ready: Condvar,
    /// The intake waits here for room among the copies.
    room: Condvar,
    replica: Arc<Replica>,
    workers: Workers,
    bounds: Bounds,
    rests: Rests,
}

#[derive(Debug, Default)]
struct Jobs {
    /// Bounded by the line: bundles that were admitted, and one run of Compares.
    queue: VecDeque<Job>,
    /// Taken up when there is nothing in `queue`, a step at a time. Bounded by the open blobs.
    signing: Shift<Signing>,
    /// What files are read into for their signatures, while there is such work.
    buffer: Vec<u8>,
    /// Taken up before `signing`, a step at a time. At most [`COPIES`].
    copying: Shift<Copying>,
    /// Taken up last, a step at a time. Bounded by whoever asks.
    reading: Shift<Box<Reading>>,
    closed: bool,
}

/// With what is charged for it.
pub(super) type Charged<T> = (T, Charge);

#[derive(Debug)]
pub(super) enum Job {
    /// Stage what has content, and put the bundle into this place of the line.
    Stage(u64, Bundle),
    /// Look at the folders of these questions, and send all answers at once.
    Compare(Vec<Charged<Ask>>, Sender<Vec<Charged<Answer>>>),
    /// One step, with what it reads into.
    Sign(Signing, Vec<u8>),
    /// One step of it, so that other work is not held up.
    Copy(Copying),
    /// One step of reading a file that is compared: 8 MiB at most.
    Read(Box<Reading>),
}

impl Jobs {
    /// A step of the work on large files: copies first, for they are what the sender waits for.
    fn take_large(&mut self) -> Option<Job> {
        if let Some(copying) = self.copying.take() {
            return Some(Job::Copy(copying));
        }
        if let Some(signing) = self.signing.take() {
            return Some(Job::Sign(signing, std::mem::take(&mut self.buffer)));
        }
        self.reading.take().map(Job::Read)
    }
}

impl Answer {
    /// Bytes that it holds in memory while it waits for its turn.
    fn weight(&self) -> usize {
        let frame = self.frame.as_ref().map_or(0, Bytes::len);
        size_of::<Answer>() + self.path.as_bytes().len() + self.linked.weight() + frame
    }
}

impl Pool {
    pub(super) fn new(replica: Arc<Replica>, workers: Workers, retained: Retained) -> Pool {
        let (jobs, ready, room) = Default::default();
        Pool { jobs, ready, room, replica, workers, bounds: Bounds::default(), rests: Rests::new(retained) }
    }

    #[cfg(test)]
    pub(super) fn list_by(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// What is still to be told of folders.
    pub(super) fn rests(&self) -> &Rests {
        &self.rests
    }

    /// Whether nobody works here but who takes its steps.
    pub(super) fn works_inline(&self) -> bool {
        self.workers == Workers::Inline
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a bundle staged by whoever is free.
    pub(super) fn stage(&self, place: u64, bundle: Bundle) {
        self.change(|jobs| jobs.queue.push_back(Job::Stage(place, bundle)));
    }

    /// Has questions about folders answered, before all else: the publisher waits for them.
    pub(super) fn compare(&self, asks: Vec<Charged<Ask>>, answers: Sender<Vec<Charged<Answer>>>) {
        if self.workers == Workers::Inline {
            return self.answer(asks, &answers);
        }
        self.change(|jobs| {
            // In order: an answer that comes before its turn only waits.
            let behind = jobs.queue.iter().take_while(|job| matches!(job, Job::Compare(..))).count();
            jobs.queue.insert(behind, Job::Compare(asks, answers));
        });
    }

    /// Has the sender told the signature of a basis.
    pub(super) fn sign(&self, signing: Signing) {
        self.change(|jobs| jobs.signing.queue.push_back(signing));
    }

    /// Has a file read, to be compared.
    pub(super) fn read(&self, reading: Box<Reading>) {
        self.change(|jobs| jobs.reading.queue.push_back(reading));
    }

    /// Has chunks of a basis copied. Waits while too many wait for that.
    pub(super) fn copy(&self, copying: Copying) {
        while self.workers == Workers::Inline && self.lock().copying.queue.len() >= COPIES {
            self.step();
        }
        let mut jobs = self.lock();
        while !jobs.closed && jobs.copying.queue.len() >= COPIES {
            jobs = self.room.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
        if !jobs.closed {
            jobs.copying.queue.push_back(copying);
            self.ready.notify_one();
        }
    }

    /// The blob is dropped or put: work that waits for it is thrown away, and what that held open is closed.
    pub(super) fn forget(&self, id: u32) {
        let mut jobs = self.lock();
        let signing = jobs.signing.take_out(|signing| signing.is_of(id));
        let copying = jobs.copying.take_out(|copying| copying.id == id);
        self.room.notify_one();
        drop(jobs);
        drop(signing);
        copying.into_iter().for_each(Copying::finish);
    }

    fn change(&self, change: impl FnOnce(&mut Jobs)) {
        let mut jobs = self.lock();
        if !jobs.closed {
            change(&mut jobs);
            self.ready.notify_one();
        }
    }

    /// No more work: the threads end, what is queued is dropped.
    pub(super) fn close(&self) {
        let mut jobs = self.lock();
        let dropped = std::mem::take(&mut *jobs);
        jobs.closed = true;
        self.ready.notify_all();
        self.room.notify_all();
        drop(jobs);
        drop(dropped);
    }

    /// The body of a pool thread.
    pub(super) fn work(&self, line: &Line) {
        let _alarm = Alarm { pool: self, line };
        sys::cwd::own();
        while let Some(job) = self.next() {
            match job {
                Job::Stage(place, mut bundle) => {
                    self.stage_all(&mut bundle);
                    line.arrive(place, bundle);
                }
                Job::Compare(asks, answers) => self.answer(asks, &answers),
                Job::Sign(signing, buffer) => self.sign_on(signing, buffer),
                Job::Copy(copying) => self.copy_on(copying),
                Job::Read(reading) => {
                    if self.read_on(reading) == Read::Whole {
                        line.nudge();
                    }
                }
            }
        }
    }

    /// One step of the work on large files, here and now: whether the publisher is to look what came of it. `None` when there
    /// is none.
    pub(super) fn step(&self) -> Option<bool> {
        let job = self.lock().take_large();
        match job? {
            Job::Copy(copying) => self.copy_on(copying),
            Job::Sign(signing, buffer) => self.sign_on(signing, buffer),
            Job::Read(reading) => return Some(self.read_on(reading) == Read::Whole),
            Job::Stage(..) | Job::Compare(..) => return None,
        }
        Some(false)
    }

    fn answer(&self, asks: Vec<Charged<Ask>>, answers: &Sender<Vec<Charged<Answer>>>) {
        let (bounds, held) = self.rests.room(self.bounds);
        let looking = Looking { replica: &self.replica, rests: &self.rests, workers: self.workers, bounds };
        let answer = |(ask, mut charge): Charged<Ask>| {
            let mut answer = looking.answer(ask);
            if answer.linked.weight() > 0 && !charge.try_cover(answer.weight()) {
                // The sender must be answered; that names which share a file stay joined it can bear.
                answer.linked.give_up();
            }
            charge.becomes(answer.weight());
            (answer, charge)
        };
        let all = asks.into_iter().map(answer).collect();
        // Before the publisher looks for memory to note what was seen.
        drop(held);
        // Together: each message wakes the publisher. Where that is gone, nobody needs them.
        let _ = answers.send(all);
    }

    fn sign_on(&self, mut signing: Signing, mut buffer: Vec<u8>) {
        let rest = signing.step(&mut buffer).then_some(signing);
        self.change(|jobs| {
            jobs.signing.give_back(rest);
            if !jobs.signing.queue.is_empty() {
                jobs.buffer = buffer;
            }
        });
    }

    fn copy_on(&self, mut copying: Copying) {
        if copying.step() {
            self.change(|jobs| jobs.copying.give_back(Some(copying)));
        } else {
            copying.finish();
            self.change(|jobs| jobs.copying.give_back(None));
        }
    }

    fn read_on(&self, mut reading: Box<Reading>) -> Read {
        let read = reading.step();
        self.change(|jobs| jobs.reading.give_back((read == Read::Part).then_some(reading)));
        read
    }

    fn next(&self) -> Option<Job> {
        let mut jobs = self.lock();
        loop {
            if jobs.closed {
                return None;
            }
            if let Some(job) = jobs.queue.pop_front() {
                return Some(job);
            }
            if let Some(job) = jobs.take_large() {
                self.room.notify_one();
                return Some(job);
            }
            jobs = self.ready.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Writes the content of every `Put` in the bundle into its temporary.
    pub(super) fn stage_all(&self, bundle: &mut Bundle) {
        for operation in &mut bundle.operations {
            let Operation::Put { item, inexact, .. } = operation else { continue };
            let raw = std::mem::replace(item, Item::Ready(Err(Outcome::Absent)));
            *item = Item::Ready(match raw {
                Item::Inline(mut meta, bytes) => {
                    self.replica.view().project(&mut meta);
                    self.inline(&meta, &bytes, *inexact)
                }
                Item::Blob(mut meta, file) => {
                    self.replica.view().project(&mut meta);
                    let marked = if *inexact { self.replica.mark_inexact(&file) } else { Ok(()) };
                    let finished = marked.and_then(|()| self.replica.finish(file, &meta));
                    finished.map_err(|error| outcome::staging(&error))
                }
                Item::Ready(ready) => ready,
            });
        }
        bundle.staged();
    }

    fn inline(&self, meta: &Meta, bytes: &Bytes, inexact: bool) -> Result<Staged, Outcome> {
        let write = || {
            let file = self.replica.file_like(meta, inexact)?;
            if !bytes.is_empty() {
                file.write_at(bytes, 0)?;
            }
            self.replica.finish(file, meta)
        };
        write().map_err(|error| outcome::staging(&error))
    }
}

/// A pool thread that panics would leave the publisher waiting: it ends the session instead.
struct Alarm<'a> {
    pool: &'a Pool,
    line: &'a Line,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.line.end();
            self.pool.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use proto::Keep;
    use sys::{Mounts, Tree};
    use tokio::sync::mpsc;

    use super::super::basis::{Basis, Draft};
    use super::super::memory::Memory;
    use super::super::signatures::Signatures;
    use super::*;
    use crate::channel::Outlet;

    #[test]
    fn copies_of_single_bytes_wait_for_room() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("f"), vec![7; proto::limits::BASIS as usize]).unwrap();
        let tree = Arc::new(Tree::open(scratch.path(), Mounts::Stay).unwrap());
        let replica = Arc::new(Replica::new(tree, Keep::DEFAULT).unwrap());
        let (path, charge) = (proto::RelPath::parse(b"f").unwrap(), Memory::default().account().no_extra());
        let (basis, _) = Basis::open(&replica, &path, &Signatures::default(), charge).unwrap();
        let draft = Draft::new(replica.file(1).unwrap());
        let (outbox, _frames) = mpsc::channel(1);
        let workers = Workers::Threads(1);
        let outlet = Outlet::new(outbox, workers);
        let pool = Pool::new(replica, workers, Memory::default().account());
        let copy = || {
            let (draft, basis, outlet, backlog) = (draft.clone(), basis.clone(), outlet.clone(), Arc::default());
            Copying { id: 1, draft, basis, range: 0..1, offset: 0, bytes: 1, outlet, backlog }
        };
        // No thread takes any of them.
        thread::scope(|scope| {
            let naming = scope.spawn(|| (0..2 * COPIES).for_each(|_| pool.copy(copy())));
            while pool.lock().copying.queue.len() < COPIES {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(30));
            assert_eq!(pool.lock().copying.queue.len(), COPIES);
            pool.close();
            naming.join().unwrap();
        });
    }
}
