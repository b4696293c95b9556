//! The bound on peers that are not logged in. A peer that has said nothing is only known; one that has said something waits
//! for a place; one with a place is read from, and its time for the login begins. So silent strangers take no place from
//! anybody, and peers who come all at once, as many hosts behind one address do, have their turn one after the other.
//!
//! Places go round over networks: the next one is for the network that has fewest. While somebody waits, whoever stays in
//! one phase for too long makes room.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep_until;

use crate::network::Network;

/// Places of one [`Network`].
const PER_NETWORK: usize = 8;
/// Peers without a place: of one network, and in all. Each costs an open file and a kilobyte.
const WAITING_OF_NETWORK: usize = 64;
const WAITING: usize = 1024;
/// Strangers who wait get at most one in so many of the files that may be open: sessions need files too.
const SHARE_OF_FILES: u64 = 4;
/// Those that wait look at least this often whether somebody has to give a place up.
const LOOK: Duration = Duration::from_secs(1);
/// How long a peer may be silent before it makes room for a newcomer where no more may wait: an honest greeting follows
/// upon the connection at once, however long the way is.
const SILENCE: Duration = Duration::from_millis(50);

/// How far a peer has come before it is logged in, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Connected, and has said nothing.
    Silent,
    /// Has said something, and waits for a place.
    Waiting,
    /// Has a place; its TLS greeting is awaited.
    Called,
    /// Has sent a TLS greeting.
    Greeted,
    /// Has finished the TLS handshake.
    Secure,
    /// Has sent a user and a password.
    Named,
}

/// Who waits for a place that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rival {
    /// Another peer of the same network, whose own limit is reached. Its host may be slow because so many try there.
    SameNetwork,
    /// Anybody, as all places are taken.
    Anybody,
}

impl Phase {
    fn has_place(self) -> bool {
        self > Phase::Waiting
    }

    /// How long a peer with a place is left in peace although another waits for it: time for an honest one to go on.
    fn grace(self, rival: Rival) -> Option<Duration> {
        let (same_network, anybody) = match self {
            Phase::Silent | Phase::Waiting | Phase::Named => return None,
            // Something was there already; the rest of a greeting follows at once.
            Phase::Called => (1000, 250),
            Phase::Greeted => (5000, 1000),
            Phase::Secure => (5000, 2000),
        };
        Some(Duration::from_millis(if rival == Rival::SameNetwork { same_network } else { anybody }))
    }
}

/// All peers before the end of their login. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handshakes {
    table: Arc<Mutex<Table>>,
    most: usize,
    waiting: usize,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By number, so by age.
    callers: BTreeMap<u64, Known>,
}

#[derive(Debug)]
struct Known {
    network: Network,
    phase: Phase,
    since: Instant,
    bell: Arc<Bell>,
}

#[derive(Debug, Default)]
struct Bell {
    turn: Notify,
    away: Notify,
}

/// One peer from its connection to the end of its login; dropped, it is forgotten and its place is free.
#[derive(Debug)]
pub struct Caller {
    handshakes: Handshakes,
    number: u64,
    bell: Arc<Bell>,
}

impl Handshakes {
    /// With so many places, in a process that may have so many files open.
    pub fn new(most: usize, files: u64) -> Handshakes {
        let waiting = usize::try_from(files / SHARE_OF_FILES).unwrap_or(usize::MAX).min(WAITING);
        Handshakes { table: Arc::default(), most, waiting }
    }

    /// A newcomer; `None` when no more may wait and nobody makes room.
    pub fn arrive(&self, network: Network, now: Instant) -> Option<Caller> {
        let mut table = self.table();
        if !table.has_room(self.waiting, network, now) {
            return None;
        }
        let bell = Arc::new(Bell::default());
        let number = table.next;
        table.next += 1;
        table.callers.insert(number, Known { network, phase: Phase::Silent, since: now, bell: bell.clone() });
        Some(Caller { handshakes: self.clone(), number, bell })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller {
    /// Waits for a place. To be called when the peer has said something.
    pub async fn turn(&self) {
        self.reached(Phase::Waiting);
        while let Some(look_again) = self.waits(Instant::now()) {
            tokio::select! {
                () = self.bell.turn.notified() => {}
                () = sleep_until(look_again.into()) => {}
            }
        }
    }

    /// Whether it has no place yet, and when to look again for one that has to give its place up.
    fn waits(&self, now: Instant) -> Option<Instant> {
        let mut table = self.handshakes.table();
        table.age(self.handshakes.most, now);
        let own = table.callers.get(&self.number)?;
        (!own.phase.has_place()).then(|| table.next_outstay(now).map_or(now + LOOK, |next| next.min(now + LOOK)))
    }

    /// The peer has come this far.
    pub fn reached(&self, phase: Phase) {
        if let Some(known) = self.handshakes.table().callers.get_mut(&self.number) {
            known.phase = phase;
            known.since = Instant::now();
        }
    }

    /// Returns when it has to make room for another.
    pub async fn sent_away(&self) {
        self.bell.away.notified().await;
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let mut table = self.handshakes.table();
        table.callers.remove(&self.number);
        table.age(self.handshakes.most, Instant::now());
    }
}

impl Table {
    /// Gives places to those that wait, as long as there are any.
    fn age(&mut self, most: usize, now: Instant) {
        while let Some(number) = self.next_in_turn(most, now) {
            if let Some(known) = self.callers.get_mut(&number) {
                (known.phase, known.since) = (Phase::Called, now);
                known.bell.turn.notify_one();
            }
        }
    }

    /// Who gets a place now: one of the network that has fewest, the one that waits longest.
    fn next_in_turn(&mut self, most: usize, now: Instant) -> Option<u64> {
        let waiting = self.callers.iter().filter(|(_, known)| known.phase == Phase::Waiting);
        let waiting: Vec<(u64, Network)> = waiting.map(|(number, known)| (*number, known.network)).collect();
        if waiting.is_empty() {
            return None;
        }
        let inside = self.count(|known| known.phase.has_place());
        let of = |network: Network| inside.get(&network).copied().unwrap_or(0);
        let fair = waiting.iter().filter(|(_, network)| of(*network) < PER_NETWORK);
        if let Some((number, _)) = fair.min_by_key(|(number, network)| (of(*network), *number))
            && (inside.values().sum::<usize>() < most || self.make_room(now, Rival::Anybody, |_| true))
        {
            return Some(*number);
        }
        // All others wait for a place that their own network has already.
        let mut asked = Vec::new();
        for (number, network) in waiting.into_iter().filter(|(_, network)| of(*network) >= PER_NETWORK) {
            if !asked.contains(&network) {
                if self.make_room(now, Rival::SameNetwork, |known| known.network == network) {
                    return Some(number);
                }
                asked.push(network);
            }
        }
        None
    }

    /// Takes a place from the one that has come least far, the oldest of these, if its grace is over.
    fn make_room(&mut self, now: Instant, rival: Rival, among: impl Fn(&Known) -> bool) -> bool {
        let is_over = |known: &Known| known.phase.grace(rival).is_some_and(|grace| known.since + grace <= now);
        let outstayed = self.callers.iter().filter(|(_, known)| among(known) && is_over(known));
        let first = outstayed.min_by_key(|(number, known)| (known.phase, **number)).map(|(number, _)| *number);
        self.send_away(first)
    }

    /// When the next grace ends.
    fn next_outstay(&self, now: Instant) -> Option<Instant> {
        let ends = self.callers.values().flat_map(|known| {
            let graces = [Rival::Anybody, Rival::SameNetwork].into_iter().filter_map(|rival| known.phase.grace(rival));
            graces.map(|grace| known.since + grace)
        });
        ends.filter(|end| *end > now).min()
    }

    /// Whether a newcomer may wait, if need be instead of another: of a silent one, or of one whose network has more of them.
    fn has_room(&mut self, most: usize, network: Network, now: Instant) -> bool {
        let outside = self.count(|known| !known.phase.has_place());
        let own = outside.get(&network).copied().unwrap_or(0);
        let is_silent = |known: &Known| known.phase == Phase::Silent && known.since + SILENCE <= now;
        if own >= WAITING_OF_NETWORK {
            let silent = self.callers.iter().find(|(_, known)| known.network == network && is_silent(known));
            return self.send_away(silent.map(|(number, _)| *number));
        }
        if outside.values().sum::<usize>() < most {
            return true;
        }
        let silent = self.callers.iter().find(|(_, known)| is_silent(known)).map(|(number, _)| *number);
        let crowd = outside.into_iter().max_by_key(|(_, count)| *count).filter(|(_, count)| *count > own + 1);
        let last = crowd.and_then(|(crowd, _)| {
            let of_crowd = |known: &Known| known.network == crowd && !known.phase.has_place();
            self.callers.iter().rfind(|(_, known)| of_crowd(known)).map(|(number, _)| *number)
        });
        self.send_away(silent.or(last))
    }

    fn send_away(&mut self, number: Option<u64>) -> bool {
        let known = number.and_then(|number| self.callers.remove(&number));
        known.is_some_and(|known| {
            known.bell.away.notify_one();
            true
        })
    }

    fn count(&self, which: impl Fn(&Known) -> bool) -> HashMap<Network, usize> {
        let mut counts = HashMap::new();
        for known in self.callers.values().filter(|known| which(known)) {
            *counts.entry(known.network).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests;
