//! The bound on peers that are not logged in. A place is taken before the first byte is read; when all are taken, the
//! newcomer gets the place of the one that has come least far for longest, so that silent strangers cannot hold out a peer
//! that talks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::source::Source;

/// Places of one [`Source`].
const PER_SOURCE: usize = 8;
/// How long the door may be held up.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// How far a peer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Connected.
    Silent,
    /// Has sent a TLS greeting.
    Greeted,
    /// TLS is done.
    Secure,
    /// Has sent a user and a password.
    Named,
}

impl Stage {
    /// How long a peer is left in peace at this stage even when places are short: time for an honest one to go on.
    fn grace(self) -> Option<Duration> {
        match self {
            // An honest greeting follows upon the connection at once, however long the way is.
            Stage::Silent => Some(Duration::from_millis(50)),
            Stage::Greeted => Some(Duration::from_secs(1)),
            Stage::Secure => Some(Duration::from_secs(2)),
            Stage::Named => None,
        }
    }
}

/// All places. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handshakes {
    table: Arc<Mutex<Table>>,
    most: usize,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By number, so by age.
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    source: Source,
    stage: Stage,
    since: Instant,
    evicted: Arc<Notify>,
}

/// No place now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// But soon, after this time: it is worth holding up the door, behind which others wait in order.
    For(Duration),
    /// And not soon.
    ForLong,
}

/// One place; dropped, it is free.
#[derive(Debug)]
pub struct Place {
    table: Arc<Mutex<Table>>,
    number: u64,
    evicted: Arc<Notify>,
}

impl Handshakes {
    /// With so many places in all.
    pub fn new(most: usize) -> Handshakes {
        Handshakes { table: Arc::default(), most }
    }

    /// A place for a newcomer, if need be that of another who has outstayed.
    pub fn take(&self, source: Source, now: Instant) -> Result<Place, Full> {
        let mut table = locked(&self.table);
        let of_source = table.taken.values().filter(|taken| taken.source == source).count();
        if of_source >= PER_SOURCE {
            // Nobody else is to wait for this source's own doing.
            table.evict(now, |taken| taken.source == source).map_err(|_| Full::ForLong)?;
        } else if table.taken.len() >= self.most {
            table.evict(now, |_| true)?;
        }
        let evicted = Arc::new(Notify::new());
        let number = table.next;
        table.next += 1;
        table.taken.insert(number, Taken { source, stage: Stage::Silent, since: now, evicted: evicted.clone() });
        Ok(Place { table: self.table.clone(), number, evicted })
    }
}

impl Table {
    /// Frees the place of the one that has come least far, the oldest of these, if its grace is over.
    fn evict(&mut self, now: Instant, among: impl Fn(&Taken) -> bool) -> Result<(), Full> {
        let left = |taken: &Taken| Some(taken.stage.grace()?.saturating_sub(now.duration_since(taken.since)));
        let outstayed = self.taken.iter().filter(|(_, taken)| among(taken) && left(taken) == Some(Duration::ZERO));
        let Some((number, _)) = outstayed.min_by_key(|(number, taken)| (taken.stage, **number)) else {
            let soonest = self.taken.values().filter(|taken| among(taken)).filter_map(left).min();
            return Err(soonest.filter(|wait| *wait <= LONGEST_WAIT).map_or(Full::ForLong, Full::For));
        };
        let number = *number;
        if let Some(taken) = self.taken.remove(&number) {
            taken.evicted.notify_one();
        }
        Ok(())
    }
}

impl Place {
    /// The peer has come this far.
    pub fn reached(&self, stage: Stage) {
        if let Some(taken) = locked(&self.table).taken.get_mut(&self.number) {
            taken.stage = stage;
            taken.since = Instant::now();
        }
    }

    /// Returns when the place was given to another.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.table).taken.remove(&self.number);
    }
}

fn locked(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn from(n: u8) -> Source {
        Source::from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, n)))
    }

    fn taken(handshakes: &Handshakes) -> usize {
        locked(&handshakes.table).taken.len()
    }

    async fn is_evicted(place: &Place) -> bool {
        tokio::time::timeout(Duration::from_millis(20), place.evicted()).await.is_ok()
    }

    #[tokio::test]
    async fn the_oldest_silent_one_makes_room() {
        let handshakes = Handshakes::new(3);
        let start = Instant::now();
        let talks = handshakes.take(from(1), start).unwrap();
        talks.reached(Stage::Greeted);
        let oldest = handshakes.take(from(2), start).unwrap();
        let other = handshakes.take(from(3), start).unwrap();
        let soon = start + Duration::from_millis(30);
        assert_eq!(handshakes.take(from(4), soon).err(), Some(Full::For(Duration::from_millis(20))));
        let late = start + Duration::from_millis(50);
        let newcomer = handshakes.take(from(4), late).unwrap();
        assert_eq!(taken(&handshakes), 3);
        assert!(is_evicted(&oldest).await && !is_evicted(&other).await && !is_evicted(&talks).await);
        drop(oldest);
        assert_eq!(taken(&handshakes), 3, "a place that was given away is not freed again");
        drop((newcomer, other, talks));
        assert_eq!(taken(&handshakes), 0);
    }

    #[tokio::test]
    async fn who_is_being_checked_is_left_in_peace() {
        let handshakes = Handshakes::new(1);
        let place = handshakes.take(from(1), Instant::now()).unwrap();
        place.reached(Stage::Named);
        let late = Instant::now() + Duration::from_secs(60);
        assert_eq!(handshakes.take(from(2), late).err(), Some(Full::ForLong));
        assert!(!is_evicted(&place).await);
    }

    #[test]
    fn one_source_has_eight_places_and_evicts_its_own() {
        let handshakes = Handshakes::new(64);
        let start = Instant::now();
        let mut held: Vec<Place> = (0..8).map(|_| handshakes.take(from(1), start).unwrap()).collect();
        assert_eq!(handshakes.take(from(1), start).err(), Some(Full::ForLong));
        held.push(handshakes.take(from(2), start).unwrap());
        held.push(handshakes.take(from(1), start + Duration::from_secs(1)).unwrap());
        assert_eq!(taken(&handshakes), 9);
    }
}
