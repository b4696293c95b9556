//! One source while pushd runs: its root and its watcher on a thread of their own, and a lane for each target. That thread
//! waits for the root, has it watched and carries what is noticed to what each target is owed; others ask and release.

mod barriers;
mod carry;
mod footing;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use engine::hint::Hint;
use engine::sender::Root;
use kit::Stop;
use proto::RelPath;
use sys::RootId;
use sys::inotify::Exhausted;
use tokio::sync::watch;

use crate::answers::Answers;
use crate::board::Board;
use crate::config::{InitialSync, Source, Target};
use crate::identity::Identity;
use crate::lane::{Footing, Lane};
use crate::mounts::KnownMounts;
use crate::status::SourceState;
use crate::watch::{Supply, Waker, Watcher, root_trouble};
use crate::watching::Watching;
use barriers::Barriers;
use carry::Carrier;
use footing::ABSENT;

/// Shared by its thread, its lanes and whoever asks.
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
    barriers: Barriers,
    mounts: Arc<KnownMounts>,
    /// Where what is mounted below is entered.
    answers: Option<Arc<Answers>>,
}

/// Why watching a root ended.
enum Over {
    Stopped,
    Lost(String),
    /// The root stands, and the kernel does not let it be watched. The log says so already.
    Unwatched,
}

impl Live {
    /// Of a source that is not watched yet, and how it is to be.
    pub fn new(source: Arc<Source>, identity: &Arc<Identity>, supply: Supply) -> Live {
        let lane = |target: &Arc<Target>| Arc::new(Lane::new(target.clone(), &source, identity.clone()));
        let lanes: Vec<Arc<Lane>> = source.targets.iter().map(lane).collect();
        let mounts = Arc::new(KnownMounts::of(&source, identity));
        lanes.iter().for_each(|lane| mounts.be_asked_by(&lane.mirror));
        let answers = Answers::of(&source.path, source.mounts);
        Live {
            source,
            lanes,
            roots: watch::Sender::new(Err(SourceState::Starting)),
            board: Mutex::new(Board::new()),
            supply,
            waker: OnceLock::new(),
            accept: AtomicBool::new(false),
            barriers: Barriers::default(),
            mounts,
            answers,
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
                Over::Lost(reason) => self.lose(root.id(), &reason, stop),
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

    /// Lets what waits for a person go on: a root that was replaced is accepted, deletions that are held are made. Returns
    /// whether anything waited.
    pub fn release(&self) -> bool {
        let mut waited = self.accept_root();
        waited |= self.forget_absent();
        for lane in &self.lanes {
            let held = lane.mirror.release();
            held.then(|| lane.hurry());
            waited |= held;
        }
        if waited {
            tracing::info!(source_name = %self.source.name, "a person lets go on what was held or halted");
        }
        waited
    }

    /// The next full pass to this target may delete whatever it finds, and a root that was replaced is accepted.
    pub fn release_once(&self, lane: &Lane) {
        self.accept_root();
        self.forget_absent();
        lane.mirror.release();
        lane.mirror.release_pass();
    }

    /// What is not mounted any more has gone for good. Returns whether there was such.
    fn forget_absent(&self) -> bool {
        let lanes = || self.lanes.iter();
        self.mounts
            .forget_absent(|gone, absent| lanes().for_each(|lane| lane.mirror.forget_absent(gone, absent.clone())))
    }

    /// Has the targets know what is not mounted any more, before anything is concluded from what shows there.
    fn look_at_mounts(&self) {
        self.mounts.tell(|absent| self.set_absent(&absent));
    }

    fn set_absent(&self, absent: &[RelPath]) {
        self.lanes.iter().for_each(|lane| lane.mirror.set_absent(absent.to_vec()));
    }

    /// What is mounted below and has gone silent is left alone from now on, and what answers again is taken up.
    pub fn look_whether_mounts_answer(&self) {
        if let Some(answers) = &self.answers {
            self.heard(answers.look());
        }
    }

    fn heard(&self, changed: Vec<RelPath>) {
        self.hint_all(changed.into_iter().map(|path| Hint::Subtree { path }).collect());
    }

    /// Tells the targets what to look at. Folders were renamed among that: mount points have gone along.
    fn hint_renames(&self, hints: Vec<Hint>, renames: &[(RelPath, RelPath)]) {
        let Some(lane) = self.lanes.first().filter(|_| !renames.is_empty()) else { return self.hint_all(hints) };
        let tell = || {
            self.hint_all(hints);
            lane.mirror.absent()
        };
        self.mounts.renamed(renames, tell, |absent| self.set_absent(&absent));
    }

    /// Accepts the root as it is now, where a person was told to look at it. Returns whether that was so.
    fn accept_root(&self) -> bool {
        let lost = self.lanes.iter().any(|lane| lane.mirror.halted().is_some());
        let halted = lost || self.board().state == SourceState::Halted;
        if halted {
            self.accept.store(true, Ordering::Release);
            self.wake();
        }
        halted
    }

    /// Why nothing of the source is sent: it is absent, or halted and not released. `None` where it is sent.
    pub fn standstill(&self) -> Option<(SourceState, String)> {
        let board = self.lock_board();
        let stands = match board.state {
            SourceState::Absent => true,
            SourceState::Halted => !self.accept.load(Ordering::Acquire),
            SourceState::Starting | SourceState::Live => false,
        };
        stands.then(|| (board.state, board.reason.clone().unwrap_or_default()))
    }

    /// What a person has to look at before all that is owed at or beneath `place` can be sent, with the command that lets it go
    /// on. `None` once that command was given.
    pub fn held(&self, place: &RelPath) -> Option<String> {
        match self.standstill() {
            Some((SourceState::Halted, reason)) => Some(reason),
            _ if self.accept.load(Ordering::Acquire) => None,
            _ => self.lanes.iter().find_map(|lane| lane.held(place)),
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

    /// The same because a person says so: what the targets were sent before does not count against them.
    pub fn resync_anew(&self) {
        self.lanes.iter().for_each(|lane| lane.mirror.begin_anew());
        self.resync();
    }

    /// One target is compared with the source from the root down, because a person says so; if it is not connected, it is
    /// dialled at once.
    pub fn resync_one(&self, lane: &Lane) {
        lane.mirror.begin_anew();
        lane.mirror.hint([Hint::Subtree { path: RelPath::root() }]);
        lane.hurry();
    }

    /// Asks for a moment at which all that happened before has become hints; returns its number.
    pub fn ask_barrier(&self) -> u64 {
        let number = self.barriers.ask();
        self.wake();
        number
    }

    /// Whether that moment has come.
    pub fn has_passed(&self, barrier: u64) -> bool {
        self.barriers.is_reached(barrier)
    }

    fn lock_board(&self) -> std::sync::MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the state. In all states but [`SourceState::Live`] the lanes have no root.
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

    /// Places the watches, tells the lanes, and carries notices until the root is lost. `earlier`: the root that was
    /// watched before it; what happened in between was not seen.
    fn watch(&self, root: &Root, earlier: Option<RootId>, stop: &Stop) -> Over {
        self.show(SourceState::Starting, None);
        self.look_at_mounts();
        if let Some(answers) = &self.answers {
            self.heard(answers.wait());
        }
        let mut notices = Vec::new();
        let watching = loop {
            match self.waker().and_then(|waker| {
                Watching::begin(&root.tree, self.source.selection(), &self.supply, waker, &mut notices)
            }) {
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
        if earlier.is_some_and(|earlier| earlier != root.id()) {
            self.lanes.iter().for_each(|lane| lane.mirror.source_is_another());
        } else if earlier.is_some() || self.source.initial_sync != InitialSync::Skip {
            self.resync();
        }
        for lane in &self.lanes {
            if lane.mirror.halted().is_some() {
                lane.mirror.go_on();
            }
        }
        self.roots.send_modify(|footing| *footing = Ok(root.clone()));
        self.show(SourceState::Live, watching.reason.clone());
        Carrier::new(self, watching).carry(notices, root, stop)
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
        let unwatched = watcher.unwatched_count();
        self.lanes.iter().for_each(|lane| lane.mirror.target.set_watched(unwatched == 0));
        self.lock_board().watched(watcher.watches(), unwatched);
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

    /// Says why, and waits before another try.
    fn cannot_watch(&self, error: &std::io::Error, stop: &Stop) {
        let path = self.source.path.display();
        let why = Exhausted::of(error).map_or_else(|| error.to_string(), |exhausted| exhausted.to_string());
        self.show(SourceState::Absent, Some(format!("{path} cannot be watched: {why}; trying again")));
        stop.wait(ABSENT);
    }
}
