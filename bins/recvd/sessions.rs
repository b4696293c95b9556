//! The sessions after their login: how many there may be, who wrote where last, and that no two write to one folder.
//!
//! A session is *opened* when it is granted and *begins* when its peer sends the first frame; one that only looks (as
//! `pushd check`) disturbs nobody.
//!
//! RACE: when a link breaks, recvd may learn of it long after pushd has dialled again. The old session could then still
//! publish what it has in hand over what the new one brings; so a newcomer of the same user ends it first. One that lives
//! keeps its folder: it is another pushd, and the newcomer is told.

mod holder;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::RelPath;
use proto::login::{Refusal, SenderId};
use sys::RootId;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

pub use holder::Watched;
use holder::{Holder, Life};

/// After what time a refused pushd may try again.
const RETRY: Duration = Duration::from_secs(5);
/// How long a newcomer waits for the end of its user's old session.
const HANDOVER: Duration = Duration::from_secs(5);
/// How long a newcomer waits for news of a session that seems to live: that its host was started anew, or its pushd.
const NEWS: Duration = Duration::from_secs(2);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);
/// Ended sessions that are remembered of one module.
const TRACES: usize = 1024;

/// All sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sessions {
    state: Arc<Mutex<State>>,
    most: usize,
    handover: Duration,
    news: Duration,
    ended: Arc<watch::Sender<u64>>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts beginnings and endings: the time of this file.
    moment: u64,
    running: usize,
    modules: HashMap<String, Module>,
}

#[derive(Debug, Default)]
struct Module {
    running: usize,
    traces: Vec<Trace>,
    /// Up to this moment traces were forgotten.
    forgotten: u64,
}

/// One sender's latest writing in one folder.
#[derive(Debug)]
struct Trace {
    folder: RelPath,
    sender: SenderId,
    user: String,
    began: u64,
    /// `None`: it goes on.
    ended: Option<u64>,
    holder: Arc<Holder>,
    /// The folder on the disk; `None` before it was opened.
    wrote_to: Option<RootId>,
}

/// What a session wants to write to.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Claim {
    pub module: String,
    pub folder: RelPath,
    pub user: String,
    pub sender: SenderId,
    /// Where it comes from.
    pub from: IpAddr,
    /// Sessions that the module may have.
    pub most: usize,
    /// The folder as it stands on the disk now, if it does.
    pub standing: Option<RootId>,
}

/// The right to one session, and to its folder once it writes. Dropped, the session has ended, and others may have both.
#[derive(Debug)]
pub struct Lease {
    sessions: Sessions,
    claim: Claim,
    holder: Arc<Holder>,
    continued: bool,
}

impl Sessions {
    /// At most so many at a time.
    pub fn new(most: usize) -> Sessions {
        Sessions { state: Arc::default(), most, handover: HANDOVER, news: NEWS, ended: Arc::new(watch::Sender::new(0)) }
    }

    /// How many there are, and in how many modules.
    pub fn count(&self) -> (usize, usize) {
        let state = self.state();
        (state.running, state.modules.values().filter(|module| module.running > 0).count())
    }

    /// Opens one, or says why not now. Where the same sender's last session has not ended yet (its link is dead, or it
    /// would not have dialled again), that is ended first.
    pub async fn open(&self, claim: Claim) -> Result<Lease, Refusal> {
        self.end_own(&claim).await?;
        let mut state = self.state();
        let module = state.modules.entry(claim.module.clone()).or_default();
        if module.running >= claim.most {
            return Err(busy("the module has all the sessions that it may have", RETRY));
        }
        let continued = module.continued(&claim);
        module.running += 1;
        if state.running >= self.most {
            state.leave(&claim.module);
            return Err(busy("the server has all the sessions that it may have", RETRY));
        }
        state.running += 1;
        kit::readiness::changed();
        let holder = Arc::new(Holder::new(claim.from));
        Ok(Lease { sessions: self.clone(), claim, holder, continued })
    }

    /// Ends what this sender has left behind, and waits for that.
    async fn end_own(&self, claim: &Claim) -> Result<(), Refusal> {
        let mut ended = self.ended.subscribe();
        let gone = async {
            loop {
                ended.mark_unchanged();
                let own = self.rivals(claim, |trace| trace.sender == claim.sender)?;
                if own.is_empty() {
                    return Ok(());
                }
                own.iter().for_each(|own| own.ask_to_leave());
                // The other end of this channel is in `self`.
                let _ = ended.changed().await;
            }
        };
        timeout(self.handover, gone).await.unwrap_or_else(|_| Err(not_ended()))
    }

    /// Waits until nobody writes to the claimed folder. Sessions whose peer is gone are asked to leave; one that lives is not:
    /// it gets a sign of life, which breaks its connection if its host does not know of it any more.
    async fn make_way(&self, claim: &Claim) -> Result<(), Refusal> {
        let (mut ended, began) = (self.ended.subscribe(), Instant::now());
        let mut greeted = false;
        loop {
            ended.mark_unchanged();
            let rivals = self.rivals(claim, |_| true)?;
            let living = rivals.iter().find(|rival| rival.life() == Life::Lives);
            match living {
                None if rivals.is_empty() => return Ok(()),
                None if began.elapsed() >= self.handover => return Err(not_ended()),
                None => rivals.iter().for_each(|rival| rival.ask_to_leave()),
                Some(rival) if began.elapsed() >= self.news => return Err(in_use(claim, rival)),
                Some(rival) if !std::mem::replace(&mut greeted, true) => rival.greet(),
                Some(_) => {}
            }
            // Either way it looks again.
            let _ = timeout(LOOK, ended.changed()).await;
        }
    }

    /// Those that write to the claimed folder. Only the same user's sessions make way.
    fn rivals(&self, claim: &Claim, whom: impl Fn(&Trace) -> bool) -> Result<Vec<Arc<Holder>>, Refusal> {
        let mut state = self.state();
        let module = state.modules.entry(claim.module.clone()).or_default();
        let mut rivals = Vec::new();
        for trace in module.traces.iter().filter(|trace| trace.ended.is_none() && trace.overlaps(claim) && whom(trace))
        {
            if trace.user != claim.user {
                return Err(busy("another user's session writes to that folder", RETRY));
            }
            rivals.push(trace.holder.clone());
        }
        Ok(rivals)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Whether nobody else has written here since this sender's last session.
    pub fn continued(&self) -> bool {
        self.continued
    }

    /// From here on it writes, and nobody else does in its folder. To be called before anything is written.
    ///
    /// # Errors
    /// Busy where another lives there.
    pub async fn begin(&self) -> Result<(), Refusal> {
        self.sessions.make_way(&self.claim).await?;
        let mut state = self.sessions.state();
        state.moment += 1;
        let moment = state.moment;
        let module = state.modules.entry(self.claim.module.clone()).or_default();
        // What was cleared away is gone, but another may have come before this task ran again.
        let taken = module.traces.iter().any(|trace| trace.ended.is_none() && trace.overlaps(&self.claim));
        if taken || self.continued && !module.continued(&self.claim) {
            return Err(busy("another session wrote to that folder meanwhile", Duration::from_millis(500)));
        }
        module.remember(&self.claim, moment, self.holder.clone());
        Ok(())
    }

    /// It has opened this folder. One that continues where another folder stands now must begin anew.
    pub fn writes_to(&self, folder: Option<RootId>) -> Result<(), Refusal> {
        if self.continued && folder != self.claim.standing {
            return Err(busy("the folder was replaced meanwhile", Duration::from_millis(500)));
        }
        let mut state = self.sessions.state();
        let module = state.modules.entry(self.claim.module.clone()).or_default();
        if let Some(trace) = module.traces.iter_mut().find(|trace| Arc::ptr_eq(&trace.holder, &self.holder)) {
            trace.wrote_to = folder;
        }
        Ok(())
    }

    /// Its connection is driven from now on: newcomers may look whether anybody is there.
    pub fn watched(&self, line: impl Watched) {
        self.holder.watched(Box::new(line));
    }

    /// Its connection is not driven any more: it has ended but for what is in hand.
    pub fn unwatched(&self) {
        self.holder.ended();
    }

    /// Returns when a newcomer wants its folder.
    pub async fn asked_to_leave(&self) {
        self.holder.asked_to_leave().await;
    }

    /// Returns when a newcomer wants its peer to get a sign of life.
    pub async fn greeted(&self) {
        self.holder.greeted().await;
    }
}

impl State {
    fn leave(&mut self, module: &str) -> Option<&mut Module> {
        let module = self.modules.get_mut(module)?;
        module.running = module.running.saturating_sub(1);
        Some(module)
    }
}

impl Module {
    /// Whether the last writing in any folder that overlaps the claimed one was by this sender in this folder, and it is still
    /// the same folder on the disk.
    fn continued(&self, claim: &Claim) -> bool {
        let is_own = |trace: &&Trace| trace.sender == claim.sender && trace.folder == claim.folder;
        let Some(own) = self.traces.iter().find(is_own).filter(|own| own.began > self.forgotten) else { return false };
        if own.wrote_to.is_none() || own.wrote_to != claim.standing {
            return false;
        }
        let mut others = self.traces.iter().filter(|trace| trace.overlaps(claim) && !is_own(trace));
        others.all(|other| other.ended.is_some_and(|ended| ended < own.began))
    }

    fn remember(&mut self, claim: &Claim, moment: u64, holder: Arc<Holder>) {
        self.traces.retain(|trace| trace.sender != claim.sender || trace.folder != claim.folder);
        if self.traces.len() >= TRACES {
            let ended = self.traces.iter().enumerate().filter_map(|(at, trace)| Some((trace.ended?, at)));
            if let Some((oldest, at)) = ended.min() {
                self.traces.swap_remove(at);
                self.forgotten = self.forgotten.max(oldest);
            }
        }
        let (folder, user) = (claim.folder.clone(), claim.user.clone());
        let (sender, wrote_to) = (claim.sender, None);
        self.traces.push(Trace { folder, sender, user, began: moment, ended: None, holder, wrote_to });
    }
}

impl Trace {
    fn overlaps(&self, claim: &Claim) -> bool {
        self.folder.is_within(&claim.folder) || claim.folder.is_within(&self.folder)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.holder.ended();
        let mut state = self.sessions.state();
        state.moment += 1;
        state.running -= 1;
        kit::readiness::changed();
        let moment = state.moment;
        if let Some(module) = state.leave(&self.claim.module)
            && let Some(trace) = module.traces.iter_mut().find(|trace| Arc::ptr_eq(&trace.holder, &self.holder))
        {
            trace.ended = Some(moment);
        }
        self.sessions.ended.send_modify(|count| *count += 1);
    }
}

fn busy(reason: &str, retry: Duration) -> Refusal {
    Refusal::Busy { reason: reason.into(), retry }
}

fn not_ended() -> Refusal {
    busy("this user's last session in that folder has not ended yet", RETRY)
}

fn in_use(claim: &Claim, holder: &Holder) -> Refusal {
    // The same words as long as it is the same session, so that they need be logged only once.
    let (user, from, since) = (&claim.user, holder.from(), holder.since());
    busy(&format!("the folder is in use: another pushd of user {user}, at {from}, writes to it, since {since}"), RETRY)
}

#[cfg(test)]
mod tests;
