//! One source while pushd runs: its root and its watcher on a thread of their own, and a lane for each target. Carries
//! what the watcher notices to what each target is owed.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use engine::hint::Hint;
use engine::mirror::{Deletes, Halt};
use engine::sender::Root;
use kit::Stop;
use proto::RelPath;
use sys::inotify::Exhausted;
use sys::{RootId, Tree};
use tokio::sync::watch;

use crate::board::Board;
use crate::config::{InitialSync, Source};
use crate::lane::{Footing, Lane};
use crate::status::SourceState;
use crate::unwatched::Unwatched;
use crate::watch::{Notice, PATIENCE, Supply, Waker, Watcher, root_trouble};
use crate::watching::Watching;

/// How often a root that is missing, or another than it was, is looked for.
const ABSENT: Duration = Duration::from_secs(1);
/// How often a barrier is looked at: a little longer than a rename waits for its second half, so that at rest the first
/// look suffices.
const LOOK: Duration = PATIENCE.saturating_add(Duration::from_millis(5));

/// See the module.
pub struct Live {
    /// What the configuration says.
    pub source: Arc<Source>,
    /// One for each target.
    pub lanes: Vec<Arc<Lane>>,
    roots: watch::Sender<Footing>,
    board: Mutex<Board>,
    supply: Supply,
    /// Ends the wait of whatever watches; made when something is watched for the first time.
    waker: OnceLock<Waker>,
    /// A person accepts the folder that stands at the path now.
    accept: AtomicBool,
    /// Barriers asked for, and reached.
    barriers: (AtomicU64, AtomicU64),
}

/// The barrier that is looked for: it is reached when all that happened up to a moment has become hints.
struct Asked {
    number: u64,
    until: Instant,
}

/// Why watching a root ended.
enum Over {
    Stopped,
    Lost(String),
    /// The root stands, but the kernel does not let it be watched; that is said.
    Unwatched,
}

impl Live {
    /// Of a source that is not watched yet, and how it is to be.
    pub fn new(source: Arc<Source>, supply: Supply) -> Live {
        let lanes = source.targets.iter().map(|target| Arc::new(Lane::new(target.clone(), &source))).collect();
        Live {
            source,
            lanes,
            roots: watch::Sender::new(Err(SourceState::Starting)),
            board: Mutex::new(Board::new()),
            supply,
            waker: OnceLock::new(),
            accept: AtomicBool::new(false),
            barriers: (AtomicU64::new(0), AtomicU64::new(0)),
        }
    }

    /// Where lanes hear of the root.
    pub fn roots(&self) -> watch::Receiver<Footing> {
        self.roots.subscribe()
    }

    /// What the status shows.
    pub fn board(&self) -> Board {
        self.lock_board().clone()
    }

    /// Watches the source until `stop`; to be called on a thread of its own.
    pub fn run(&self, stop: &Stop) {
        let mut before: Option<RootId> = None;
        while let Some(root) = self.wait_for_root(before, stop) {
            let earlier = before.replace(root.id());
            match self.watch(&root, earlier, stop) {
                Over::Stopped => break,
                Over::Lost(reason) => self.lose(&reason),
                Over::Unwatched => self.lock_board().watched(0, 0),
            }
        }
        self.roots.send_modify(|footing| *footing = Err(SourceState::Absent));
    }

    /// Ends the watcher's wait, so that it looks at what it was asked.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// Lets what is halted go on: a root that was replaced is accepted, a mass deletion is let through once. Returns
    /// whether anything was halted.
    pub fn release(&self) -> bool {
        let mut halted = self.accept_root();
        for lane in &self.lanes {
            if matches!(lane.mirror.halted(), Some(Halt::Empty { .. } | Halt::Deletes { .. })) {
                lane.mirror.release(Deletes::Once);
                self.resync_one(lane);
                halted = true;
            }
        }
        halted
    }

    /// The next full pass to this target may delete whatever it finds, and a root that was replaced is accepted.
    pub fn release_once(&self, lane: &Lane) {
        self.accept_root();
        if !matches!(lane.mirror.halted(), Some(Halt::Root(_))) {
            lane.mirror.release(Deletes::Once);
        }
    }

    /// If a person was to look at the root, it is accepted as it is now; whether that was so.
    fn accept_root(&self) -> bool {
        let lost = self.lanes.iter().any(|lane| matches!(lane.mirror.halted(), Some(Halt::Root(_))));
        let halted = lost || self.board().state == SourceState::Halted;
        if halted {
            self.accept.store(true, Ordering::Release);
            self.wake();
        }
        halted
    }

    /// Why nothing of the source is sent, if that is so: it is absent, or halted and not let go.
    pub fn standstill(&self) -> Option<(SourceState, String)> {
        let board = self.lock_board();
        let stands = match board.state {
            SourceState::Absent => true,
            SourceState::Halted => !self.accept.load(Ordering::Acquire),
            SourceState::Starting | SourceState::Live => false,
        };
        stands.then(|| (board.state, board.reason.clone().unwrap_or_default()))
    }

    /// What a person has to look at before all that is owed can be sent, with the command that lets it go on. Nothing, once
    /// that was typed.
    pub fn held(&self) -> Option<String> {
        match self.standstill() {
            Some((SourceState::Halted, reason)) => Some(reason),
            _ if self.accept.load(Ordering::Acquire) => None,
            _ => self.lanes.iter().find_map(|lane| lane.held()),
        }
    }

    /// Where an absolute path is in this source, if it is.
    pub fn place(&self, path: &Path) -> Option<RelPath> {
        let within = path.strip_prefix(&self.source.path).ok()?;
        RelPath::parse(within.as_os_str().as_bytes()).ok()
    }

    /// All targets are compared with the source from the root down.
    pub fn resync(&self) {
        self.hint_all(vec![Hint::Subtree { path: RelPath::root() }]);
    }

    /// One target is compared with the source from the root down; if it is not connected, it is dialled at once.
    pub fn resync_one(&self, lane: &Lane) {
        lane.mirror.hint([Hint::Subtree { path: RelPath::root() }]);
        lane.hurry();
    }

    /// Asks for a moment at which all that happened before has become hints; returns its number.
    pub fn ask_barrier(&self) -> u64 {
        let number = self.barriers.0.fetch_add(1, Ordering::AcqRel) + 1;
        self.wake();
        number
    }

    /// Whether that moment has come.
    pub fn has_passed(&self, barrier: u64) -> bool {
        self.barriers.1.load(Ordering::Acquire) >= barrier
    }

    fn lock_board(&self) -> std::sync::MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the state; in all but one there is no root for the lanes.
    fn show(&self, state: SourceState, reason: Option<String>) {
        if state != SourceState::Live {
            self.roots.send_if_modified(|footing| {
                let before = std::mem::replace(footing, Err(state));
                before.err() != Some(state)
            });
        }
        let mut board = self.lock_board();
        if board.reason != reason
            && let Some(reason) = &reason
        {
            tracing::error!(source_name = %self.source.name, "{reason}");
        }
        (board.state, board.reason) = (state, reason);
        kit::readiness::changed();
    }

    /// The root, once it is there and is the one that it was. `None` when the program stops.
    fn wait_for_root(&self, before: Option<RootId>, stop: &Stop) -> Option<Root> {
        let path = &self.source.path;
        while !stop.is_requested() {
            let root = Tree::open(path, self.source.mounts).and_then(|tree| Root::new(Arc::new(tree)));
            match root {
                Ok(root)
                    if before.is_none_or(|before| before == root.id()) || self.accept.swap(false, Ordering::AcqRel) =>
                {
                    return Some(root);
                }
                Ok(_) => {
                    let reason = format!(
                        "{} is another folder than it was (replaced, or a file system is missing): nothing is sent or \
                         deleted; if it is right, run `pushctl release {}`",
                        path.display(),
                        self.source.name
                    );
                    self.show(SourceState::Halted, Some(reason));
                }
                Err(error) => {
                    self.show(SourceState::Absent, Some(not_opened(path, &error)));
                }
            }
            stop.wait(ABSENT);
        }
        None
    }

    fn lose(&self, reason: &str) {
        self.lock_board().watched(0, 0);
        let path = self.source.path.display();
        self.show(SourceState::Absent, Some(format!("{path} was lost ({reason}): nothing is sent or deleted")));
    }

    /// Places the watches, tells the lanes, and carries notices until the root is lost. `earlier`: the root that was
    /// watched before it; what happened in between was not seen.
    fn watch(&self, root: &Root, earlier: Option<RootId>, stop: &Stop) -> Over {
        self.show(SourceState::Starting, None);
        let mut notices = Vec::new();
        let watching = loop {
            match self.waker().and_then(|waker| Watching::begin(&root.tree, &self.supply, waker, &mut notices)) {
                Ok(watching) => break watching,
                Err(error) => self.cannot_watch(&error, stop),
            }
            notices.clear();
            if stop.is_requested() {
                return Over::Stopped;
            }
            if let Some(reason) = root_trouble(&root.tree) {
                return Over::Lost(reason.to_owned());
            }
        };
        self.count(&*watching.watcher);
        if earlier.is_some() || self.source.initial_sync != InitialSync::Skip {
            self.resync();
        }
        for lane in &self.lanes {
            if matches!(lane.mirror.halted(), Some(Halt::Root(_))) {
                lane.mirror.release(Deletes::Braked);
            }
        }
        self.roots.send_modify(|footing| *footing = Ok(root.clone()));
        self.show(SourceState::Live, watching.reason.clone());
        self.carry(watching, notices, root, stop)
    }

    fn waker(&self) -> std::io::Result<&Waker> {
        match self.waker.get() {
            Some(waker) => Ok(waker),
            None => {
                let waker = Waker::new()?;
                Ok(self.waker.get_or_init(|| waker))
            }
        }
    }

    /// The status is to know how much is watched before it says that the source is live.
    fn count(&self, watcher: &dyn Watcher) {
        self.lock_board().watched(watcher.watches(), watcher.unwatched_count());
    }

    fn carry(&self, mut watching: Watching, mut notices: Vec<Notice>, root: &Root, stop: &Stop) -> Over {
        let (mut asked, mut unwatched) = (None, Unwatched::default());
        loop {
            if let Some(reason) = self.tell(&mut notices, &mut unwatched) {
                return Over::Lost(reason);
            }
            self.look_for_barrier(&mut asked, &*watching.watcher);
            self.say_unwatched(&watching, &mut unwatched);
            self.count(&*watching.watcher);
            if stop.is_requested() {
                return Over::Stopped;
            }
            if self.accept.swap(false, Ordering::AcqRel) && root.check().is_err() {
                self.accept.store(true, Ordering::Release);
                return Over::Lost("another folder was accepted in its place".into());
            }
            if watching.is_to_compare() {
                self.compare_unwatched(&*watching.watcher);
            }
            if watching.try_again(&mut notices) {
                self.count(&*watching.watcher);
                tracing::info!(source_name = %self.source.name, "{} is watched now", self.source.path.display());
                self.show(SourceState::Live, None);
                // Nothing told of what happened before.
                self.resync();
                continue;
            }
            let pause = if asked.is_some() { LOOK } else { watching.pause() };
            if let Err(error) = watching.watcher.next(Some(pause), &mut notices) {
                self.cannot_watch(&error, stop);
                return if stop.is_requested() { Over::Stopped } else { Over::Unwatched };
            }
        }
    }

    /// What happens where nothing is watched is found by looking.
    fn compare_unwatched(&self, watcher: &dyn Watcher) {
        let folders = watcher.unwatched();
        if folders.is_empty() {
            return;
        }
        let began = SystemTime::now();
        let in_sync: Vec<_> = self.lanes.iter().map(|lane| lane.mirror.pending().in_sync_at(Instant::now())).collect();
        self.hint_all(folders.into_iter().map(|path| Hint::Subtree { path }).collect());
        // Not before they are owed: who reads it and then finds nothing owed knows that they are acknowledged.
        self.lock_board().compared(began, &in_sync);
    }

    /// Notes that a barrier is asked for; says that it is reached once the watcher has caught up. To be called when all
    /// notices have been told. It goes by time and not by silence, for a busy source is never silent.
    fn look_for_barrier(&self, asked: &mut Option<Asked>, watcher: &dyn Watcher) {
        if let Some(Asked { number, until }) = asked
            && watcher.caught_up().is_some_and(|moment| moment >= *until)
        {
            // What happened where nothing is watched belongs to it too.
            self.compare_unwatched(watcher);
            self.barriers.1.store(*number, Ordering::Release);
            *asked = None;
        }
        let number = self.barriers.0.load(Ordering::Acquire);
        if asked.is_none() && number > self.barriers.1.load(Ordering::Acquire) {
            *asked = Some(Asked { number, until: Instant::now() + PATIENCE });
        }
    }

    /// Carries notices to the lanes; the reason when the root is lost.
    fn tell(&self, notices: &mut Vec<Notice>, unwatched: &mut Unwatched) -> Option<String> {
        let mut hints = Vec::with_capacity(notices.len());
        let mut lost = None;
        for notice in notices.drain(..) {
            match notice {
                Notice::Hint(hint) => hints.push(hint),
                Notice::Overflow => {
                    self.lock_board().overflows += 1;
                    self.say_overflow();
                    hints.push(Hint::Subtree { path: RelPath::root() });
                }
                Notice::Unwatched { folders, limit } => {
                    unwatched.note(&folders, limit);
                    // What happened in them since they appeared was not seen.
                    hints.extend(folders.into_iter().map(|path| Hint::Subtree { path }));
                }
                Notice::RootLost { reason } => lost = Some(reason),
            }
        }
        self.hint_all(hints);
        lost
    }

    fn hint_all(&self, hints: Vec<Hint>) {
        if hints.is_empty() {
            return;
        }
        for lane in &self.lanes {
            lane.mirror.hint(hints.iter().cloned());
        }
        kit::readiness::changed();
    }

    /// Where nothing at all is watched, that was said with its reason.
    fn say_unwatched(&self, watching: &Watching, unwatched: &mut Unwatched) {
        if watching.reason.is_some() {
            return;
        }
        if let Some(line) = unwatched.line(watching.watcher.unwatched_count(), Instant::now()) {
            tracing::error!(source_name = %self.source.name, "{line}");
        }
    }

    fn say_overflow(&self) {
        let limit = sys::inotify::queue_limit().unwrap_or(16_384);
        tracing::warn!(
            source_name = %self.source.name,
            "the kernel's queue of {limit} events overflowed: comparing the whole source, nothing is missed; to give bursts \
             more room: sysctl -w fs.inotify.max_queued_events={}",
            limit.saturating_mul(4)
        );
    }

    /// Says why, and waits before another try.
    fn cannot_watch(&self, error: &std::io::Error, stop: &Stop) {
        let path = self.source.path.display();
        let why = Exhausted::of(error).map_or_else(|| error.to_string(), |exhausted| exhausted.to_string());
        self.show(SourceState::Absent, Some(format!("{path} cannot be watched: {why}; trying again")));
        stop.wait(ABSENT);
    }
}

/// Why a root could not be opened. Where files are short it stands there all the same.
fn not_opened(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match Exhausted::of(error) {
        Some(exhausted) => format!("{path} cannot be opened: {exhausted}; trying again, nothing is sent or deleted"),
        None => format!("{path} is not there ({error}): waiting for it, nothing is deleted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_stands_there_is_not_said_to_be_missing_where_files_are_short() {
        let said = |number| not_opened(Path::new("/srv/www"), &std::io::Error::from_raw_os_error(number));
        // EMFILE, ENFILE, ENOENT
        for text in [said(24), said(23)] {
            assert!(text.starts_with("/srv/www cannot be opened: ") && !text.contains("is not there"), "{text}");
        }
        assert!(said(23).contains("LimitNOFILE="), "{}", said(23));
        assert!(said(2).starts_with("/srv/www is not there (No such file"), "{}", said(2));
    }
}
