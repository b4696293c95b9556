//! What sessions hold in memory for their peers: operations until they are carried out, answers until they are sent. A
//! [`Memory`] is for all sessions of a service; each has an account of its own there, [`Retained`].
//!
//! What is retained is charged, not what has travelled: a peer may send little that costs much here. There are two kinds of
//! charge. For *operations*, and the contents that they keep alive, a session has [`SURE`] that nobody else can take, and an
//! intake waits until there is room. *Extras* are all else, what is on its way to the session and to the peer too: whoever is
//! given none for them goes without, or, where it cannot, takes it anyway.
//!
//! Nothing waits in a circle. Only intakes wait for memory, each with nothing charged in its hands. What its session has
//! charged for operations is with pool threads and publisher, who wait for no memory: it gets less until the next bundle
//! fits into what is sure, whatever extras there are and whatever other sessions hold. So each session waits for its own
//! disk and its own peer alone; what another gives back only lets it go on sooner.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use proto::limits::RETAINED;

use super::over::Over;

/// What each session has for sure: its largest bundle of operations.
pub const SURE: usize = 2 * 1024 * 1024;

/// What grows is charged by so much at a time.
const STEP: usize = 16 * 1024;

/// What all sessions of a service may hold together.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// What may be lent beside what is sure. Less than nothing where somebody took what it could not go without.
    free: i64,
    accounts: HashMap<u64, Account>,
    /// The number of the next account.
    next: u64,
    /// Accounts whose intake waits, in the order in which they came.
    waiting: VecDeque<u64>,
}

#[derive(Debug, Default)]
struct Account {
    operations: usize,
    extras: usize,
    over: bool,
    /// Its intake waits here.
    room: Arc<Condvar>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Operations,
    Extra,
}

/// The account of one session.
#[derive(Debug, Clone)]
pub(super) struct Retained(Arc<Number>);

/// Closes the account when nobody needs it any more.
#[derive(Debug)]
struct Number {
    memory: Memory,
    number: u64,
}

/// Some of what a session holds, until it is dropped. By default nothing.
#[derive(Debug, Default)]
pub(super) struct Charge {
    of: Option<Retained>,
    kind: Kind,
    bytes: usize,
}

/// 1 GiB for 256 sessions.
impl Default for Memory {
    fn default() -> Memory {
        Memory::new(1 << 30, 256)
    }
}

impl Memory {
    /// So many bytes, for at most so many sessions, each of which has [`SURE`] of it.
    pub fn new(bytes: u64, sessions: usize) -> Memory {
        let lent = bytes.saturating_sub((sessions as u64).saturating_mul(SURE as u64));
        let free = i64::try_from(lent).unwrap_or(i64::MAX);
        let state = State { free, accounts: HashMap::new(), next: 0, waiting: VecDeque::new() };
        Memory(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An account for one session more.
    pub(super) fn account(&self) -> Retained {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.accounts.insert(number, Account::default());
        drop(state);
        Retained(Arc::new(Number { memory: self.clone(), number }))
    }
}

impl Account {
    /// What it has beyond what is sure.
    fn lent(&self) -> usize {
        self.operations.saturating_sub(SURE) + self.extras
    }

    fn of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Operations => &mut self.operations,
            Kind::Extra => &mut self.extras,
        }
    }
}

impl State {
    /// What an account has of one kind becomes more or less.
    fn change(&mut self, number: u64, kind: Kind, change: impl FnOnce(&mut usize)) {
        let Some(account) = self.accounts.get_mut(&number) else { return };
        let before = account.lent();
        change(account.of(kind));
        self.free += before as i64 - account.lent() as i64;
    }

    /// Charges so much where there is room.
    fn take(&mut self, number: u64, kind: Kind, bytes: usize) -> bool {
        let Some(account) = self.accounts.get(&number) else { return false };
        let sure = kind == Kind::Operations && (account.operations == 0 || account.operations + bytes <= SURE);
        let fits = sure || {
            let more = match kind {
                Kind::Operations => (account.operations + bytes).saturating_sub(SURE.max(account.operations)),
                Kind::Extra => bytes,
            };
            account.operations + account.extras + bytes <= RETAINED && more as i64 <= self.free
        };
        if fits {
            self.change(number, kind, |charged| *charged += bytes);
        }
        fits
    }

    /// Something was given back by an account: its own intake may go on, and whoever waits for longest.
    fn wake(&self, number: u64) {
        let Some(first) = self.waiting.front() else { return };
        let own = self.waiting.contains(&number).then_some(&number);
        for woken in own.into_iter().chain((self.free > 0 && *first != number).then_some(first)) {
            if let Some(account) = self.accounts.get(woken) {
                account.room.notify_all();
            }
        }
    }
}

impl Retained {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.memory.lock()
    }

    fn charge(&self, kind: Kind, bytes: usize) -> Charge {
        Charge { of: Some(self.clone()), kind, bytes }
    }

    /// For operations, where there is room now.
    pub fn try_operations(&self, bytes: usize) -> Option<Charge> {
        let taken = self.lock().take(self.0.number, Kind::Operations, bytes);
        taken.then(|| self.charge(Kind::Operations, bytes))
    }

    /// For operations. Waits while there is no room: whoever calls it must hold nothing that is charged for operations.
    pub fn operations(&self, bytes: usize) -> Result<Charge, Over> {
        let number = self.0.number;
        let mut state = self.lock();
        state.waiting.push_back(number);
        let taken = loop {
            let Some(account) = state.accounts.get(&number).filter(|account| !account.over) else { break false };
            let room = Arc::clone(&account.room);
            if state.take(number, Kind::Operations, bytes) {
                break true;
            }
            state = room.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        state.waiting.retain(|waiting| *waiting != number);
        // What this one has left may do for the next.
        state.wake(number);
        drop(state);
        if taken { Ok(self.charge(Kind::Operations, bytes)) } else { Err(Over) }
    }

    /// For operations, whether there is room or not.
    pub fn operations_anyway(&self, bytes: usize) -> Charge {
        self.lock().change(self.0.number, Kind::Operations, |charged| *charged += bytes);
        self.charge(Kind::Operations, bytes)
    }

    /// For something that the session can go without, where there is room now.
    pub fn try_extra(&self, bytes: usize) -> Option<Charge> {
        let taken = self.lock().take(self.0.number, Kind::Extra, bytes);
        taken.then(|| self.charge(Kind::Extra, bytes))
    }

    /// For something that the session can go without, of which there is nothing yet: see [`Charge::try_cover`].
    pub fn no_extra(&self) -> Charge {
        self.charge(Kind::Extra, 0)
    }

    /// For something that the session cannot go without, and that gets no larger by waiting.
    pub fn extra_anyway(&self, bytes: usize) -> Charge {
        self.lock().change(self.0.number, Kind::Extra, |charged| *charged += bytes);
        self.charge(Kind::Extra, bytes)
    }

    /// Bytes on their way to the peer, charged until they are sent.
    pub fn on_its_way(&self, bytes: Bytes) -> Bytes {
        self.extra_anyway(bytes.len()).until_dropped(bytes)
    }

    /// Whether somebody waits for memory.
    pub fn others_wait(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// The session is over: its intake waits no more.
    pub fn end(&self) {
        let mut state = self.lock();
        if let Some(account) = state.accounts.get_mut(&self.0.number) {
            account.over = true;
            account.room.notify_all();
        }
    }
}

impl Charge {
    /// Whether it is for so much, or could be made to be, where there is room now.
    pub fn try_cover(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        let Some(retained) = &self.of else { return false };
        let more = (bytes - self.bytes).next_multiple_of(STEP);
        let taken = retained.lock().take(retained.0.number, self.kind, more);
        self.bytes += if taken { more } else { 0 };
        taken
    }

    /// It turned out to be so much, whether there is room for that or not.
    pub fn becomes(&mut self, bytes: usize) {
        let Some(retained) = &self.of else { return };
        let before = mem::replace(&mut self.bytes, bytes);
        if before != bytes {
            let mut state = retained.lock();
            state.change(retained.0.number, self.kind, |charged| *charged = *charged + bytes - before);
            if bytes < before {
                state.wake(retained.0.number);
            }
        }
    }

    /// These bytes, for which it is from now on, until nobody holds them any more.
    pub fn until_dropped(mut self, bytes: Bytes) -> Bytes {
        self.becomes(bytes.len());
        Bytes::from_owner(Charged { bytes, _charge: self })
    }

    /// Takes another in, of the same account and kind.
    pub fn join(&mut self, mut other: Charge) {
        match self.of {
            None => mem::swap(self, &mut other),
            Some(_) => self.bytes += mem::take(&mut other.bytes),
        }
    }
}

/// Bytes that are charged as long as anybody holds them.
struct Charged {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.becomes(0);
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let mut state = self.memory.lock();
        if let Some(account) = state.accounts.remove(&self.number) {
            state.free += account.lent() as i64;
            state.wake(self.number);
        }
    }
}

#[cfg(test)]
mod tests;
