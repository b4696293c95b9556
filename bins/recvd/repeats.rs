//! Why peers are sent away. Their pushd comes again every few seconds, so a reason is logged when it is new, and then once
//! an hour for as long as it stays the same.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After what time the same is news again.
const NEWS: Duration = Duration::from_secs(3600);
/// Peers that are remembered. What comes from more is always news.
const PEERS: usize = 1024;

/// What was said of each peer last, of 1024 at most.
#[derive(Debug, Default)]
pub struct Repeats(Mutex<HashMap<Peer, Said>>);

/// Who was sent away from where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Peer {
    pub from: IpAddr,
    pub user: String,
    /// Module and folder, or nothing.
    pub place: String,
}

#[derive(Debug)]
struct Said {
    reason: String,
    at: Instant,
    held_back: u64,
}

impl Repeats {
    /// Whether this reason is to be logged: `Some` with how often the one before was left out since it was logged.
    pub fn is_news(&self, peer: &Peer, reason: &str, now: Instant) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held_back = 0;
        if let Some(said) = all.get_mut(peer) {
            if said.reason == reason && now.saturating_duration_since(said.at) < NEWS {
                said.held_back += 1;
                return None;
            }
            held_back = said.held_back;
        }
        if all.len() >= PEERS {
            all.retain(|_, said| now.saturating_duration_since(said.at) < NEWS);
        }
        if all.len() < PEERS || all.contains_key(peer) {
            all.insert(peer.clone(), Said { reason: reason.to_owned(), at: now, held_back: 0 });
        }
        Some(held_back)
    }

    /// The peer was let in: what comes after that is news.
    pub fn are_over(&self, peer: &Peer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_news_once_for_each_peer_until_it_is_over() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        let peer = |n: u8| Peer { from: [127, 0, 0, n].into(), user: "web".into(), place: "m".into() };
        let after = |peer: &Peer, reason, seconds| repeats.is_news(peer, reason, start + Duration::from_secs(seconds));
        let (one, two) = (peer(1), peer(2));
        assert_eq!((after(&one, "a", 0), after(&one, "a", 6), after(&one, "a", 12)), (Some(0), None, None));
        assert_eq!((after(&two, "a", 13), after(&two, "b", 14), after(&two, "a", 15)), (Some(0), Some(0), Some(0)));
        assert_eq!((after(&one, "a", 3599), after(&one, "a", 3600)), (None, Some(3)));
        repeats.are_over(&one);
        assert_eq!(after(&one, "a", 3601), Some(0));
    }

    #[test]
    fn what_more_peers_come_with_than_are_remembered_is_always_news() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        let peer = |n: u32| Peer { from: n.to_be_bytes().into(), user: String::new(), place: String::new() };
        for n in 0..2 * PEERS as u32 {
            assert_eq!(repeats.is_news(&peer(n), "a", start), Some(0));
        }
        assert_eq!(repeats.is_news(&peer(0), "a", start), None);
        assert_eq!(repeats.is_news(&peer(PEERS as u32), "a", start), Some(0));
        assert_eq!(repeats.0.lock().unwrap().len(), PEERS);
    }
}
