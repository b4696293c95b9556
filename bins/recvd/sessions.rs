//! The sessions after their login: how many there may be, whose folder is whose, and that no two write to one.
//!
//! A session is *opened* when it is granted and *begins* when its peer sends the first frame; one that only looks (as
//! `pushd check`) disturbs nobody. Whoever begins finds, in his folder and in those above and beneath it, one that writes or
//! one that wrote last. The first is asked for a sign of life and keeps the folder if it gives one. If it does not, or there
//! is no such session, the folder goes to him who shows the token of its last session: he is the same pushd, by a new
//! connection. Everybody else waits until nothing was heard of that one for ten minutes, or a person releases the folder.
//!
//! RACE: when a link breaks, recvd may learn of it long after pushd has dialled again. The old session could then still
//! publish what it has in hand over what the new one brings; so it has ended before the new one begins.

mod book;
mod holder;
mod leases;
mod newcomer;
mod record;
mod release;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::login::{Refusal, SenderId, Token};
use proto::{Capabilities, RelPath};
use sys::FolderId;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::modules::{Root, learnt};
use book::{Book, Changed, Unwritten};
use holder::Holder;
pub use holder::Watched;
pub use leases::AWAY;
use leases::{Held, Leases};
pub use newcomer::spelled;
pub use release::Kept;

/// After what time a refused pushd may try again.
const RETRY: Duration = Duration::from_secs(5);
/// How long a newcomer waits for the end of an old session.
const HANDOVER: Duration = Duration::from_secs(5);
/// After so long without a sign of life the folder of a pushd is free.
pub const SILENCE: Duration = Duration::from_secs(600);
/// How long the disk of a module may take to show its leases.
const LOOK: Duration = Duration::from_secs(10);

/// All sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sessions {
    state: Arc<Mutex<State>>,
    most: usize,
    handover: Duration,
    silence: Duration,
    state_dir: Arc<PathBuf>,
    boot: Arc<str>,
    ended: Arc<watch::Sender<u64>>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    modules: HashMap<String, Module>,
}

#[derive(Debug, Default)]
struct Module {
    running: usize,
    leases: Leases,
    /// How often they have changed.
    changes: u64,
    /// Whether what a session is given could not be written down: the next are given nothing, until that is over.
    forgets: bool,
    book: Arc<tokio::sync::Mutex<Book>>,
}

/// What a session wants to write to.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Claim {
    pub module: String,
    pub root: Arc<Root>,
    pub folder: RelPath,
    pub user: String,
    pub sender: SenderId,
    /// What its last session was given.
    pub token: Option<Token>,
    /// Where it comes from.
    pub from: IpAddr,
    /// Sessions that the module may have.
    pub most: usize,
    /// The folder as it stands on the disk now, if it does.
    pub standing: Option<FolderId>,
    /// Which start of this host it is.
    pub boot: String,
    /// What its peer was told that the disk can hold.
    pub disk: Capabilities,
    /// Whether what is acknowledged does not survive the next one.
    pub is_fleeting: bool,
}

/// The right to one session, and to its folder once it writes. Dropped, the session has ended, and others may have both.
#[derive(Debug)]
pub struct Lease {
    sessions: Sessions,
    claim: Claim,
    holder: Arc<Holder>,
    continued: bool,
    token: Token,
    /// Whether its sender is told the token.
    is_given: bool,
    epoch: u64,
    began: AtomicBool,
}

impl Sessions {
    /// At most so many at a time. Whoever was silent for so long has lost his folder to the next one that comes. In the folder
    /// `state_dir` stands how far the leases of each module were.
    pub fn new(most: usize, silence: Duration, state_dir: PathBuf) -> Sessions {
        let (state, ended) = (Arc::default(), Arc::new(watch::Sender::new(0)));
        let (state_dir, boot) = (Arc::new(state_dir), sys::process::boot_id().into());
        Sessions { state, most, handover: HANDOVER, silence, state_dir, boot, ended }
    }

    /// How many there are, and in how many modules.
    pub fn count(&self) -> (usize, usize) {
        let state = self.state();
        (state.running, state.modules.values().filter(|module| module.running > 0).count())
    }

    /// Which start of this host it is.
    pub fn boot(&self) -> String {
        self.boot.to_string()
    }

    /// Opens one, or says why not now.
    pub async fn open(&self, claim: Claim) -> Result<Lease, Refusal> {
        self.know(&claim.module, &claim.root).await?;
        // A token that somebody else could know would be none.
        let token =
            sys::process::random().map_err(|_| busy("the kernel of the server gives no random numbers", RETRY))?;
        let mut state = self.state();
        let module = state.modules.entry(claim.module.clone()).or_default();
        if module.running >= claim.most {
            return Err(busy("the module has all the sessions that it may have", RETRY));
        }
        let (continued, epoch) = (module.leases.continued(&claim), module.leases.epoch_of(&claim));
        let is_given = !module.forgets;
        module.running += 1;
        if state.running >= self.most {
            state.leave(&claim.module);
            return Err(busy("the server has all the sessions that it may have", RETRY));
        }
        state.running += 1;
        kit::readiness::changed();
        let (holder, token) = (Arc::new(Holder::new(claim.from)), Token(token));
        let (sessions, began) = (self.clone(), AtomicBool::new(false));
        Ok(Lease { sessions, claim, holder, continued, token, is_given, epoch, began })
    }

    /// Reads the leases of the module, where that was not done, or its root is another one since.
    async fn know(&self, module: &str, root: &Arc<Root>) -> Result<(), Refusal> {
        let known = timeout(LOOK, async {
            let mut book = self.book(module).lock_owned().await;
            if book.is_of(root.id()) {
                return Ok(());
            }
            let (root, name, reminder) = (root.clone(), module.to_owned(), book::reminder(&self.state_dir, module));
            let read = tokio::task::spawn_blocking(move || {
                let tree = root.open()?;
                let leases = book.read(&tree, root.id(), &name, &reminder);
                Ok((book, leases))
            });
            let (_book, found) =
                read.await.unwrap_or_else(|_| Err(busy("recvd has made a mistake; see its log", RETRY)))?;
            self.state().modules.entry(module.to_owned()).or_default().learn(found);
            Ok(())
        });
        known.await.unwrap_or_else(|_| Err(busy("the disk of the module does not answer", RETRY)))
    }

    /// Has the leases of a module written down as they are now; on return they survive a power cut.
    async fn write_down(&self, module: &str, root: &Arc<Root>, changed: Changed) -> Result<(), Unwritten> {
        let wanted = self.state().modules.get(module).map_or(0, |module| module.changes);
        let mut book = self.book(module).lock_owned().await;
        // Whoever had it before may have written ours, too.
        if book.saved >= wanted {
            return Ok(());
        }
        let (bytes, records, saved) = {
            let state = self.state();
            let Some(module) = state.modules.get(module) else { return Ok(()) };
            (module.leases.bytes(), module.leases.records(), module.changes)
        };
        let (root, name, reminder) = (root.clone(), module.to_owned(), book::reminder(&self.state_dir, module));
        let writing = tokio::task::spawn_blocking(move || {
            let written = book.write(&|| root.open().ok(), (&bytes, records), &changed, (&name, &reminder));
            written.inspect(|()| book.saved = saved)
        });
        let written = writing.await.unwrap_or(Err(Unwritten { stale: true, forgets: false }));
        if written.is_ok() {
            self.forgets(module, false);
        }
        written
    }

    fn forgets(&self, module: &str, forgets: bool) {
        self.state().modules.entry(module.to_owned()).or_default().forgets = forgets;
    }

    fn book(&self, module: &str) -> Arc<tokio::sync::Mutex<Book>> {
        self.state().modules.entry(module.to_owned()).or_default().book.clone()
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

    /// What the sender is to show next time; `None` where it is to show what it has, as another would not be remembered.
    pub fn token(&self) -> Option<Token> {
        self.is_given.then_some(self.token)
    }

    /// How often the folder has changed hands, about.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// From here on it writes, and nobody else does in its folder, also if recvd is killed now. To be called before anything
    /// is written.
    ///
    /// # Errors
    /// Busy where another has the folder.
    pub async fn begin(&self) -> Result<(), Refusal> {
        let before = self.make_way().await?;
        self.began.store(true, Ordering::Relaxed);
        match self.write_down(Changed::Begun(Box::new(self.claim.clone()))).await {
            Err(Unwritten { stale, forgets }) if stale || forgets && self.is_given => {
                self.change(|leases| leases.give_back(&self.holder, before));
                // It was told a token already, and comes again for a session without one.
                self.sessions.forgets(&self.claim.module, forgets);
                let retry = if stale { RETRY } else { Duration::from_millis(500) };
                Err(busy("the backup host cannot write down whose folder it is", retry))
            }
            _ => Ok(()),
        }
    }

    /// It has opened this folder. One that continues where another folder stands now must begin anew.
    pub fn writes_to(&self, folder: Option<FolderId>) -> Result<(), Refusal> {
        if self.continued && folder != self.claim.standing {
            return Err(busy("the folder was replaced meanwhile", Duration::from_millis(500)));
        }
        if folder != self.claim.standing && self.is_given {
            self.set(|held| held.record.folder_id = folder);
        }
        Ok(())
    }

    /// The sender has written its token down: the one before is worth nothing from now on.
    pub fn noted(&self) {
        let is_new = |held: &mut Held| held.record.noted != Some(held.record.current);
        if self.is_given && self.change(|leases| leases.of(&self.holder).is_some_and(is_new)) {
            self.set(|held| held.record.noted = Some(held.record.current));
        }
    }

    /// The folder is free when this session has ended.
    pub fn returned(&self) {
        self.change(|leases| leases.of(&self.holder).map(|held| held.returned = true));
    }

    /// Its peer is still there: that is written down, as is that leases have changed.
    pub fn lives(&self) {
        self.set(|held| held.record.heard = held.heard_at());
    }

    /// Its connection is driven from now on: newcomers may look whether anybody is there.
    pub fn watched(&self, line: impl Watched) {
        self.holder.watched(Box::new(line));
    }

    /// Its connection is not driven any more: it has ended but for what is in hand.
    pub fn unwatched(&self) {
        let silence = self.holder.ended();
        self.change(|leases| leases.of(&self.holder).map(|held| held.silent_for(silence)));
    }

    /// Returns when it is to end, with what its peer is to hear: a newcomer wants its folder, or a person, or its disk is known
    /// to hold something else than its peer was told.
    pub async fn asked_to_leave(&self) -> Refusal {
        tokio::select! {
            why = self.holder.asked_to_leave() => why,
            () = self.claim.root.holds_else(self.claim.disk) => learnt(),
        }
    }

    /// Ends it, and has that written down.
    pub async fn end(self) {
        if !self.began.load(Ordering::Relaxed) {
            return;
        }
        let (sessions, module, root) = (self.sessions.clone(), self.claim.module.clone(), self.claim.root.clone());
        drop(self);
        // What is not written was said, and is found to be as it was before: then another one waits longer.
        let _ = sessions.write_down(&module, &root, Changed::Details).await;
    }

    async fn write_down(&self, changed: Changed) -> Result<(), Unwritten> {
        self.sessions.write_down(&self.claim.module, &self.claim.root, changed).await
    }

    /// Changes its own record, and has that written down beside.
    fn set(&self, change: impl FnOnce(&mut Held)) {
        self.change(|leases| leases.of(&self.holder).map(change));
        let (sessions, module, root) = (self.sessions.clone(), self.claim.module.clone(), self.claim.root.clone());
        tokio::spawn(async move { sessions.write_down(&module, &root, Changed::Details).await });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Leases) -> T) -> T {
        let mut state = self.sessions.state();
        let module = state.modules.entry(self.claim.module.clone()).or_default();
        module.changes += 1;
        change(&mut module.leases)
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
    /// What was found on the disk of its root; sessions that write stay.
    fn learn(&mut self, found: Leases) {
        let before = std::mem::replace(&mut self.leases, found);
        self.leases.go_on(before);
        self.changes += 1;
        self.forgets = false;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.holder.ended();
        let mut state = self.sessions.state();
        state.running -= 1;
        kit::readiness::changed();
        if let Some(module) = state.leave(&self.claim.module) {
            module.changes += 1;
            module.leases.ended(&self.holder);
        }
        self.sessions.ended.send_modify(|count| *count += 1);
    }
}

fn busy(reason: &str, retry: Duration) -> Refusal {
    Refusal::Busy { reason: reason.into(), retry }
}

#[cfg(test)]
mod tests;
