//! The way to one target: dial, log in, let the engine's sender work until the connection ends, wait, dial again. Every
//! target has its own lane, so that a dead or slow one delays nobody else.

mod drive;
mod ending;
mod reach;
mod trouble;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::hint::Hint;
use engine::mirror::{Halt, Mirror};
use engine::sender::{Ended, Root, Sender, Until};
use kit::units::Moment;
use kit::{Stop, apart};
use proto::RelPath;
use proto::dialogue::Agreed;
use proto::login::Refusal;
use tokio::sync::{Notify, watch};

use crate::backoff::{Backoff, Pause};
use crate::config::{Source, Target};
use crate::held::Deletions;
use crate::identity::Identity;
use crate::status::{SourceState, TargetState};
use crate::tries::Tries;
use ending::Ending;
use reach::{Last, Reached};
use trouble::Troubles;

pub use drive::{SILENCE, drive};
pub use ending::{Unreached, exit_of, sentence};
pub use reach::{Dialled, dial, greet, take_up};
pub use trouble::Trouble;

/// How often a halted target looks whether it may go on.
const HALTED: Duration = Duration::from_millis(500);

/// What halts it for so long is said. Mostly the source looks for its root meanwhile and says what has become of that.
const LASTING: Duration = Duration::from_secs(2);

/// What a lane hears of its source: the root, or in which state it has none.
pub type Footing = Result<Root, SourceState>;

/// One target of one source, from the start of the program to its end.
pub struct Lane {
    pub target: Arc<Target>,
    /// What it is owed.
    pub mirror: Arc<Mirror>,
    /// The name of its source, for what a person is told to type.
    source: String,
    /// Tells the receiver that it is us again.
    identity: Arc<Identity>,
    /// What a session was given could not be written down, which was said.
    unwritten: AtomicBool,
    state: Mutex<(TargetState, Moment)>,
    troubles: Troubles,
    tries: Tries,
    /// Somebody wants the next try now.
    hurry: Notify,
}

impl Lane {
    /// To a target that is owed nothing yet.
    pub fn new(target: Arc<Target>, source: &Source, identity: Arc<Identity>) -> Lane {
        let state = Mutex::new((TargetState::Connecting, Moment::now()));
        let mirror = Arc::new(Mirror::selecting(source.selection(), source.rules(), engine::clock::Clock::system()));
        let (troubles, tries, hurry) = (Troubles::default(), Tries::default(), Notify::new());
        let (unwritten, source) = (AtomicBool::new(false), source.name.clone());
        Lane { target, mirror, source, identity, unwritten, state, troubles, tries, hurry }
    }

    /// What went wrong so far.
    pub fn trouble(&self) -> Trouble {
        self.troubles.now()
    }

    /// Ends the pause before the next try, if there is one.
    pub fn hurry(&self) {
        self.hurry.notify_waiters();
    }

    /// What a person has to look at before all at or beneath `place` can be sent, with the command that lets it go on. A root
    /// that is lost is the business of its source.
    pub fn held(&self, place: &RelPath) -> Option<String> {
        let deletions = || self.deletions().filter(|_| self.mirror.waits_for_word(place));
        let sentence = match self.troubles.nested() {
            Some(nesting) => nesting.to_string(),
            None => deletions()?.why,
        };
        Some(format!("{}: {sentence}", self.target.name))
    }

    /// Deletions that wait, for who asks.
    pub fn deletions(&self) -> Option<Deletions> {
        self.mirror.deletions_held().map(|held| Deletions::of(&held, &self.source))
    }

    /// How many paths the target is owed, what the lane is doing, and why they do not arrive, in a sentence.
    pub fn behind(&self) -> String {
        let (word, owed) = (self.state().0.word(), self.mirror.pending().len() as u64);
        if let (0, Some(held)) = (owed, self.deletions()) {
            return format!("{}: {}", self.target.name, held.sentence());
        }
        let owed = kit::units::count(owed);
        let error = self.mirror.target.last_error().map_or(String::new(), |error| format!(": {error}"));
        format!("{}: {word}, paths that are owed: {owed}{error}", self.target.name)
    }

    /// A target that stands within its source, or around it, is asked anew where it stands: a person was told to move one of
    /// them.
    pub fn ask_again(&self) {
        if self.troubles.forget_nested() {
            self.hurry();
        }
    }

    /// What it is doing, and since when.
    pub fn state(&self) -> (TargetState, Moment) {
        let (state, since) = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state == TargetState::Live
            && let Some(blocked) = self.mirror.target.blocked()
        {
            (TargetState::Blocked, Moment(blocked.since))
        } else if state == TargetState::Live
            && let Some(since) = self.mirror.keeps_asking()
        {
            (TargetState::Blocked, Moment(since))
        } else if state == TargetState::Live && self.mirror.progress.is_scanning() {
            (TargetState::Scanning, since)
        } else {
            (state, since)
        }
    }

    fn enter(&self, state: TargetState) {
        let mut now = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 != state {
            *now = (state, Moment::now());
            kit::readiness::changed();
        }
    }

    /// Mirrors the source for as long as it has a root, until `stop`.
    pub async fn run(self: Arc<Lane>, source: Arc<Source>, mut roots: watch::Receiver<Footing>, stop: Stop) {
        let mut sender: Option<(Root, Sender)> = None;
        let mut retry = Backoff::new(self.target.retry);
        let (mut sessions, mut last, mut said) = (0u64, Last::default(), None);
        while !stop.is_requested() {
            let Some(root) = self.root(&mut roots, &stop).await else { continue };
            if self.wait_while_halted(&root, &mut said, &stop).await {
                continue;
            }
            self.enter(TargetState::Connecting);
            let reached = tokio::select! {
                reached = self.reach(&root, source.mounts, &mut last) => reached,
                () = stop.requested() => break,
            };
            let Reached { agreed, connection, continued, nested, noted } = match reached {
                Ok(reached) => reached,
                Err(error) => {
                    if sessions > 0 && error.is_refusal() {
                        self.doubt();
                    }
                    self.not_reached(&error);
                    self.pause(&mut retry, error.pause(), &stop).await;
                    continue;
                }
            };
            if let Some(nesting) = nested {
                connection.close().await;
                self.not_reached(&nesting.into());
                self.pause(&mut retry, Pause::Usual, &stop).await;
                continue;
            }
            sessions += 1;
            if !continued && sessions > 1 {
                self.doubt();
            }
            let same = sender.take().filter(|(of, _)| of.is_same(&root));
            let worker =
                same.map_or_else(|| Sender::new(root.clone(), source.options(), self.mirror.clone()), |(_, s)| s);
            self.mirror.target.set_last_error(None);
            self.enter(TargetState::Live);
            let (worker, session) = self.session(worker, (agreed, connection, noted), &mut roots, &stop).await;
            sender = worker.map(|worker| (root, worker));
            if matches!(&session.ended, Ended::Bye(refusal) if *refusal != Refusal::Stopping) {
                self.doubt();
            }
            self.ended(&session);
            if session.lasted > SILENCE {
                retry = Backoff::new(self.target.retry);
            }
            self.pause(&mut retry, session.pause(), &stop).await;
        }
        self.enter(TargetState::Offline);
    }

    /// What the target has is not known any more: somebody else may have written there, or its folder may be another one. All
    /// of it is owed a comparison, so nobody is told that it is in sync.
    fn doubt(&self) {
        self.mirror.hint([Hint::Subtree { path: RelPath::root() }]);
    }

    async fn pause(&self, retry: &mut Backoff, pause: Pause, stop: &Stop) {
        tokio::select! {
            () = retry.wait(pause, stop) => {}
            () = self.hurry.notified() => {}
        }
    }

    /// The source's root, once it has one.
    async fn root(&self, roots: &mut watch::Receiver<Footing>, stop: &Stop) -> Option<Root> {
        let footing = roots.borrow_and_update().clone();
        let state = match footing {
            Ok(root) => return Some(root),
            Err(SourceState::Starting | SourceState::Live) => TargetState::Connecting,
            Err(SourceState::Absent) => TargetState::Offline,
            Err(SourceState::Halted) => TargetState::Halted,
        };
        self.enter(state);
        tokio::select! {
            _ = roots.changed() => {}
            () = stop.requested() => {}
        }
        None
    }

    /// Whether the target is halted; then it has waited a moment.
    async fn wait_while_halted(&self, root: &Root, said: &mut Option<Halt>, stop: &Stop) -> bool {
        let Some(halt) = self.mirror.halted() else {
            *said = None;
            return false;
        };
        self.enter(TargetState::Halted);
        if self.state().1.age() >= LASTING && said.as_ref() != Some(&halt) {
            tracing::error!(target_name = %self.target.name, "halted: {halt}");
            *said = Some(halt);
        }
        if is_back(root, stop).await {
            tracing::info!(target_name = %self.target.name, "the source's root is back");
            self.mirror.go_on();
            self.mirror.hint([Hint::Subtree { path: RelPath::root() }]);
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep(HALTED) => {}
            () = stop.requested() => {}
        }
        true
    }

    /// One connection, until it ends, the source loses its root or the program stops.
    async fn session(
        &self,
        mut worker: Sender,
        (agreed, connection, noted): (Agreed, link::Connection, bool),
        roots: &mut watch::Receiver<Footing>,
        stop: &Stop,
    ) -> (Option<Sender>, Ending) {
        let began = Instant::now();
        let (frames, driving) = drive(&self.target, agreed.terms, connection);
        greet(noted, &frames);
        let halt = Arc::new(AtomicBool::new(false));
        let flag = halt.clone();
        let name = &self.target.name;
        let thread = format!("send-{name}");
        // What the engine logs does not say of which target it speaks.
        let span = tracing::error_span!("send", target_name = %name);
        let mut working = std::pin::pin!(apart(&thread, move || {
            let _context = span.enter();
            let ended = worker.run(frames, Until::Stopped, &flag);
            (worker, ended)
        }));
        let over = tokio::select! {
            biased;
            never = self.tries.connected(name, &self.target.address) => match never {},
            over = &mut working => over,
            () = async { tokio::select! { _ = roots.changed() => {}, () = stop.requested() => {} } } => {
                halt.store(true, Ordering::Release);
                self.mirror.wake.notify_one();
                working.await
            }
        };
        let driven = driving.await.unwrap_or(link::Disconnect::ByUs);
        let lasted = began.elapsed();
        match over {
            Ok((worker, ended)) => (Some(worker), Ending { ended, driven, lasted }),
            Err(failed) => (None, Ending { ended: Ended::Fault(failed.to_string()), driven, lasted }),
        }
    }

    fn not_reached(&self, error: &Unreached) {
        let text = error.to_string();
        if self.mirror.target.last_error().as_ref() != Some(&text) {
            match error {
                // It will not pass by itself.
                Unreached::Nested(_) => tracing::error!(target_name = %self.target.name, "{text}"),
                _ => tracing::warn!(target_name = %self.target.name, "{text}"),
            }
        }
        self.troubles.refused(error.exit(), &text);
        self.mirror.target.set_last_error(Some(text));
        self.enter(TargetState::Offline);
    }

    fn ended(&self, session: &Ending) {
        let name = &self.target.name;
        match &session.ended {
            Ended::Stopped | Ended::InSync => return,
            Ended::Halted(halt) => {
                // The source looks for its root, too, and says what has become of it. Should it not, that is said here.
                self.mirror.target.set_last_error(Some(format!("halted: {halt}")));
                return self.enter(TargetState::Halted);
            }
            _ => {}
        }
        let reason = session.reason();
        self.tries.ended(name, session.lasted, &reason);
        match &session.ended {
            Ended::Lost => self.troubles.lost(&reason),
            ended => self.troubles.refused(exit_of(ended), &reason),
        }
        self.mirror.target.set_last_error(Some(reason));
        self.enter(TargetState::Offline);
    }
}

/// Whether the root is at its path again. It may lie on a file system that does not answer, so it is not asked on a
/// thread that others need.
async fn is_back(root: &Root, stop: &Stop) -> bool {
    let root = root.clone();
    tokio::select! {
        back = apart("root", move || root.check().is_ok()) => back.unwrap_or(false),
        () = stop.requested() => false,
    }
}
