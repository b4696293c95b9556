//! Listing folders of the source on threads of their own: names, metadata and the folder's digest. Asked by a pass, which
//! hears of each folder when it is listed; decides nothing.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proto::{Digest, Entry, Keep, Kind, Name, RelPath, Time, digest};
use sys::{Child, Dir, Stat, Tree};

use crate::mirror::{Mirror, Rule};
use crate::parts::in_parts;
use crate::pending::Ticket;
use crate::workers::{self, Workers};

/// Listed folders for which the session is woken, fewer after some time and when there is nothing to list: each time costs
/// several switches between threads, and a frame of its own.
const TELL: usize = 64;
const TELL_AFTER: Duration = Duration::from_millis(3);

/// A thread that has had nothing to list for so long ends: of passes that follow each other none starts threads anew, and a
/// thousand targets at rest have none.
const IDLE: Duration = Duration::from_secs(1);

/// One folder as it stands at the source.
#[derive(Default)]
pub(super) struct Folder {
    /// What the target should have, in order of names.
    pub entries: Vec<Entry>,
    /// Which file each of `entries` is.
    pub ids: Vec<Id>,
    /// Digest of `entries`.
    pub digest: Digest,
    /// What has more than one name; folders never do.
    pub linked: Vec<(Name, Inode)>,
    /// What the target gets without setuid and setgid.
    pub setid: Vec<Name>,
    /// What is not mirrored, and why: not deleted at the target either, and named to the operator.
    pub skipped: Vec<(Name, Skipped)>,
}

/// Device and inode number.
pub(super) type Id = (u64, u64);

impl Folder {
    /// An entry, by name, and which file it is.
    pub fn find(&self, name: &Name) -> Option<(&Entry, Id)> {
        let at = self.entries.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        Some((&self.entries[at], self.ids[at]))
    }

    /// Adds what was seen of names that come after these.
    fn append(&mut self, mut part: Folder) {
        self.entries.append(&mut part.entries);
        self.ids.append(&mut part.ids);
        self.linked.append(&mut part.linked);
        self.setid.append(&mut part.setid);
        self.skipped.append(&mut part.skipped);
    }
}

/// A file's identity at the source, and what tells whether anything about it has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Inode {
    pub dev: u64,
    pub ino: u64,
    pub nlink: u64,
    /// It changes with the content, the metadata and the names.
    pub ctime: Time,
}

impl Inode {
    /// Which file it is.
    pub fn id(&self) -> Id {
        (self.dev, self.ino)
    }

    pub fn of(stat: &Stat) -> Inode {
        Inode { dev: stat.dev, ino: stat.ino, nlink: stat.nlink, ctime: stat.ctime }
    }
}

/// The same without metadata, where there is nothing to compare it with.
pub(super) struct Names {
    /// In order.
    pub entries: Vec<(Name, Kind)>,
    pub skipped: Vec<(Name, Skipped)>,
}

/// Why an entry is not mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Skipped {
    /// A rule leaves it out.
    Rule(Rule),
    /// In words.
    Trouble(String),
}

/// How much is asked about the entries of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// All that the target is compared with.
    Metadata,
    /// What they are called, and of what kind they are.
    Names,
}

/// What was asked for.
pub(super) enum Listing {
    Folder(Folder),
    Names(Names),
}

impl Listing {
    /// Names and kinds, in order of names.
    pub fn kinds(&self) -> impl DoubleEndedIterator<Item = (&Name, Kind)> {
        let (entries, names) = match self {
            Listing::Folder(folder) => (&folder.entries[..], &[][..]),
            Listing::Names(names) => (&[][..], &names.entries[..]),
        };
        let names = names.iter().map(|(name, kind)| (name, *kind));
        entries.iter().map(|entry| (&entry.name, entry.kind)).chain(names)
    }

    /// The same with sizes, where they were looked at anyway.
    pub fn sized(&self) -> impl Iterator<Item = (&Name, Kind, Option<u64>)> {
        let (entries, names) = match self {
            Listing::Folder(folder) => (&folder.entries[..], &[][..]),
            Listing::Names(names) => (&[][..], &names.entries[..]),
        };
        let names = names.iter().map(|(name, kind)| (name, *kind, None));
        entries.iter().map(|entry| (&entry.name, entry.kind, Some(entry.size))).chain(names)
    }

    pub fn len(&self) -> usize {
        match self {
            Listing::Folder(folder) => folder.entries.len(),
            Listing::Names(names) => names.entries.len(),
        }
    }

    pub fn skipped(&self) -> &[(Name, Skipped)] {
        match self {
            Listing::Folder(folder) => &folder.skipped,
            Listing::Names(names) => &names.skipped,
        }
    }

    /// All names that there are.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.kinds().map(|(name, _)| name).chain(self.skipped().iter().map(|(name, _)| name))
    }

    /// What stands under a name, if it is known to be mirrored.
    pub fn kind(&self, name: &Name) -> Option<Kind> {
        match self {
            Listing::Folder(folder) => folder.find(name).map(|(entry, _)| entry.kind),
            Listing::Names(Names { entries, .. }) => {
                entries.binary_search_by(|(other, _)| other.cmp(name)).ok().map(|at| entries[at].1)
            }
        }
    }
}

/// The answer to one request.
pub(super) struct Listed {
    pub pass: Ticket,
    pub path: RelPath,
    pub listing: io::Result<Listing>,
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
    tree: Arc<Tree>,
    keep: Keep,
    mirror: Arc<Mirror>,
    workers: Workers,
    send: mpsc::Sender<Listed>,
    queue: Mutex<Queue>,
    some: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    ended: Ended,
    /// Threads that there are, and those of them that wait for a job.
    alive: usize,
    idle: usize,
}

type Job = (Ticket, RelPath, Detail);

#[derive(Default, PartialEq)]
enum Ended {
    #[default]
    No,
    Yes,
}

impl Walker {
    /// `mirror` is woken when folders are listed.
    pub fn new(tree: &Arc<Tree>, keep: Keep, workers: Workers, mirror: &Arc<Mirror>) -> Walker {
        let (send, listed) = mpsc::channel();
        let (tree, mirror) = (Arc::clone(tree), Arc::clone(mirror));
        let (queue, some) = Default::default();
        let task = Task { tree, keep, mirror, workers, send, queue, some };
        Walker { task: Arc::new(task), listed, threads: Vec::new() }
    }

    /// Asks for a folder.
    ///
    /// # Errors
    /// When no thread can be started to list it.
    pub fn list(&mut self, pass: Ticket, path: RelPath, detail: Detail) -> io::Result<()> {
        let mut queue = self.task.lock();
        queue.jobs.push_back((pass, path, detail));
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
        queue.ended = Ended::Yes;
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
        let mut news = News { mirror: &self.mirror, count: 0, told: Instant::now() };
        while let Some(job) = self.next(&mut news) {
            if self.send.send(self.list(job)).is_err() {
                return;
            }
            news.add();
        }
    }

    fn list(&self, (pass, path, detail): Job) -> Listed {
        let listing = self.tree.dir(&path).and_then(|dir| match detail {
            Detail::Metadata => list(&dir, self.keep, self.workers.at_once()).map(Listing::Folder),
            Detail::Names => names(&dir, self.keep).map(Listing::Names),
        });
        Listed { pass, path, listing }
    }

    /// `None` when the thread is to end.
    fn next(&self, news: &mut News<'_>) -> Option<Job> {
        let mut queue = self.lock();
        let mut since = None;
        loop {
            if queue.ended == Ended::Yes {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            let waited = since.get_or_insert_with(Instant::now).elapsed();
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
        if self.count >= TELL || self.told.elapsed() >= TELL_AFTER {
            self.tell();
        }
    }

    fn tell(&mut self) {
        if std::mem::take(&mut self.count) > 0 {
            self.mirror.wake.notify_one();
            self.told = Instant::now();
        }
    }
}

/// What is in a folder, in order of names.
fn sorted(dir: &Dir) -> io::Result<Vec<Child>> {
    let mut found = dir.list()?;
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// What stands under the name; `None` when it has vanished. What cannot be looked at is noted.
fn look(dir: &Dir, name: &Name, skipped: &mut Vec<(Name, Skipped)>) -> Option<Stat> {
    dir.lookup(name).unwrap_or_else(|error| {
        skipped.push((name.clone(), Skipped::Trouble(format!("cannot be looked at: {error}"))));
        None
    })
}

/// The same as [`list`] without metadata: nothing is looked at whose kind the file system tells.
fn names(dir: &Dir, keep: Keep) -> io::Result<Names> {
    let found = sorted(dir)?;
    let mut names = Names { entries: Vec::with_capacity(found.len()), skipped: Vec::new() };
    for Child { name, kind, .. } in found {
        let kind = kind.or_else(|| look(dir, &name, &mut names.skipped).map(|stat| stat.kind));
        let Some(kind) = kind else { continue };
        match left_out(&name, kind, keep) {
            Some(rule) => names.skipped.push((name, Skipped::Rule(rule))),
            None => names.entries.push((name, kind)),
        }
    }
    Ok(names)
}

/// Lists one folder, by that many threads if it is large. An entry that vanishes meanwhile is left out; its event will
/// come.
fn list(dir: &Dir, keep: Keep, threads: usize) -> io::Result<Folder> {
    let names = sorted(dir)?.into_iter().map(|found| found.name).collect();
    let mut parts = in_parts(names, threads, |part| look_at(dir, keep, part)).into_iter();
    let mut folder = parts.next().unwrap_or_default();
    for part in parts {
        folder.append(part);
    }
    folder.digest = digest::folder(&folder.entries);
    Ok(folder)
}

/// Those entries of a folder.
fn look_at(dir: &Dir, keep: Keep, names: Vec<Name>) -> Folder {
    let mut folder = Folder { entries: Vec::with_capacity(names.len()), ..Folder::default() };
    let inside = dir.inside();
    for name in names {
        let Some(stat) = look(dir, &name, &mut folder.skipped) else { continue };
        if let Some(rule) = left_out(&name, stat.kind, keep) {
            folder.skipped.push((name, Skipped::Rule(rule)));
            continue;
        }
        match inside.extra(&name, &stat, keep) {
            Ok(extra) => {
                if stat.kind != Kind::Dir && stat.nlink > 1 {
                    folder.linked.push((name.clone(), Inode::of(&stat)));
                }
                if keep.drops_setid(stat.kind, stat.mode) {
                    folder.setid.push(name.clone());
                }
                folder.entries.push(stat.entry(name, extra, keep));
                folder.ids.push((stat.dev, stat.ino));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let reason = format!("its metadata cannot be read: {error}");
                folder.skipped.push((name, Skipped::Trouble(reason)));
            }
        }
    }
    folder
}

/// What leaves an entry out, if something does.
pub(super) fn left_out(name: &Name, kind: Kind, keep: Keep) -> Option<Rule> {
    if sys::stage::is_reserved(name) {
        return Some(Rule::Reserved);
    }
    (!keep.admits(kind)).then_some(Rule::Kind(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pending::{Holds, Pending, Rules};

    const RULES: Rules = Rules {
        settle: Duration::ZERO,
        open_settle: Duration::ZERO,
        open_max_delay: Duration::ZERO,
        holds: Holds { deleted: Duration::ZERO, lost: Duration::ZERO },
    };

    fn a_ticket() -> Ticket {
        let mut pending = Pending::new(RULES);
        pending.hint(crate::hint::Hint::Subtree { path: RelPath::root() }, Instant::now());
        pending.take(Instant::now()).unwrap().ticket
    }

    #[test]
    fn threads_come_with_work_and_go_without() {
        let scratch = tempfile::tempdir().unwrap();
        let tree = Arc::new(Tree::open(scratch.path(), sys::Mounts::Stay).unwrap());
        let mut walker = Walker::new(&tree, Keep::DEFAULT, Workers::Threads(2), &Arc::new(Mirror::new(RULES)));
        let ticket = a_ticket();
        let alive = |walker: &Walker| walker.task.lock().alive;
        for _ in 0..2 {
            assert_eq!(alive(&walker), 0, "nothing to list");
            for _ in 0..100 {
                walker.list(ticket, RelPath::root(), Detail::Names).unwrap();
            }
            assert!((1..=2).contains(&alive(&walker)));
            for _ in 0..100 {
                assert!(walker.listed.recv().unwrap().listing.is_ok());
            }
            let began = Instant::now();
            while alive(&walker) > 0 {
                assert!(began.elapsed() < IDLE * 20, "they stay");
                std::thread::sleep(IDLE / 20);
            }
        }
    }

    #[test]
    fn without_threads_a_folder_is_listed_by_the_caller_at_each_step() {
        let scratch = tempfile::tempdir().unwrap();
        let tree = Arc::new(Tree::open(scratch.path(), sys::Mounts::Stay).unwrap());
        let mut walker = Walker::new(&tree, Keep::DEFAULT, Workers::Inline, &Arc::new(Mirror::new(RULES)));
        walker.list(a_ticket(), RelPath::root(), Detail::Names).unwrap();
        assert!(walker.listed().is_none() && walker.threads.is_empty());
        assert!(walker.step() && walker.listed().is_some());
        assert!(!walker.step() && walker.listed().is_none());
    }
}
