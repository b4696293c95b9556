//! Whether what is mounted in a source and is far answers at all. Each such mount is asked from time to time on a thread of its
//! own, which may hang as long as it likes: nobody enters one that is silent, and all else goes on. When it answers it is
//! taken up again.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use proto::RelPath;
use sys::{MountId, Mounts};

/// How long one may take that has answered before, and one that has not.
const LONG: Duration = Duration::from_secs(30);
const AT_FIRST: Duration = Duration::from_secs(5);
/// How long it is not asked again.
const PAUSE: Duration = Duration::from_secs(10);
/// How often those are looked at that have not answered yet.
const LOOK: Duration = Duration::from_millis(10);

/// The name of those threads.
pub const ASKS: &str = "asks mounts";

/// Those of all sources, so that each is asked once.
static ALL: Mutex<BTreeMap<PathBuf, Weak<Answers>>> = Mutex::new(BTreeMap::new());

/// Of all that is mounted beneath the root of one source, where that is entered.
#[derive(Debug)]
pub struct Answers {
    root: PathBuf,
    asked: Mutex<BTreeMap<MountId, Asked>>,
}

#[derive(Debug)]
struct Asked {
    question: Arc<Question>,
    silent: bool,
}

/// What its thread and who looks share.
#[derive(Debug)]
struct Question {
    /// When it was asked, if it has not answered since.
    open: Mutex<Option<Instant>>,
    /// Whether it has ever answered.
    answered: AtomicBool,
    over: AtomicBool,
}

impl Answers {
    /// Of what is mounted beneath this root, where that is entered. None is asked yet.
    pub fn of(root: &Path, mounts: Mounts) -> Option<Arc<Answers>> {
        if mounts == Mounts::Stay {
            return None;
        }
        let mut all = lock(&ALL);
        if let Some(answers) = all.get(root).and_then(Weak::upgrade) {
            return Some(answers);
        }
        let answers = Arc::new(Answers { root: root.to_owned(), asked: Mutex::default() });
        all.insert(root.to_owned(), Arc::downgrade(&answers));
        Some(answers)
    }

    /// Before anything is entered: waits until all have answered, or are known to be silent, which takes a few seconds at most.
    pub fn wait(&self) -> Vec<RelPath> {
        loop {
            let changed = self.look();
            if lock(&self.asked).values().all(|asked| asked.silent || asked.question.is_answered()) {
                return changed;
            }
            thread::sleep(LOOK);
        }
    }

    /// Asks those that are new. Returns which have gone silent or answer again: they are to be compared.
    pub fn look(&self) -> Vec<RelPath> {
        let Ok(there) = sys::far_beneath(&self.root) else { return Vec::new() };
        let mut asked = lock(&self.asked);
        asked.retain(|mount, asked| {
            let stays = there.values().any(|other| other == mount);
            if !stays {
                asked.end(*mount);
            }
            stays
        });
        let mut changed = Vec::new();
        for (path, mount) in there {
            let asked = asked.entry(mount).or_insert_with(|| Asked { question: ask(&self.root, &path), silent: false });
            // One that is silent stays so until it answers.
            let silent = if asked.silent { !asked.question.is_answered() } else { asked.question.is_silent() };
            if silent != asked.silent {
                asked.silent = silent;
                sys::set_silent(mount, silent);
                say(&self.root, &path, silent);
                changed.push(path);
            }
        }
        changed
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        std::mem::take(&mut *lock(&self.asked)).iter().for_each(|(mount, asked)| asked.end(*mount));
    }
}

impl Asked {
    fn end(&self, mount: MountId) {
        self.question.over.store(true, Ordering::Release);
        sys::set_silent(mount, false);
    }
}

impl Question {
    fn is_answered(&self) -> bool {
        lock(&self.open).is_none()
    }

    fn is_silent(&self) -> bool {
        let patience = if self.answered.load(Ordering::Acquire) { LONG } else { AT_FIRST };
        lock(&self.open).is_some_and(|since| since.elapsed() >= patience)
    }

    /// Asks until it is over.
    fn ask(&self, at: &Path) {
        while !self.over.load(Ordering::Acquire) {
            *lock(&self.open) = Some(Instant::now());
            sys::probe(at);
            self.answered.store(true, Ordering::Release);
            *lock(&self.open) = None;
            thread::sleep(PAUSE);
        }
    }
}

/// Begins to ask what is mounted at this path. It is asked by that for good: should a folder above be renamed, what is not
/// there is an answer too.
fn ask(root: &Path, path: &RelPath) -> Arc<Question> {
    let (answered, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let question = Arc::new(Question { open: Mutex::new(Some(Instant::now())), answered, over });
    let (shared, at) = (question.clone(), root.join(OsStr::from_bytes(path.as_bytes())));
    if let Err(error) = thread::Builder::new().name(ASKS.into()).spawn(move || shared.ask(&at)) {
        tracing::warn!("cannot start a thread to ask what is mounted at {path}: {error}");
        *lock(&question.open) = None;
    }
    question
}

fn say(root: &Path, path: &RelPath, silent: bool) {
    let root = root.display();
    match silent {
        true => tracing::error!(
            "{root}/{path}: what is mounted there does not answer: it is left alone until it does, all else goes on"
        ),
        false => tracing::info!("{root}/{path}: what is mounted there answers again"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
