//! The price of failed logins: a network that fails often is not listened to for a while, and longer each time. No account
//! is ever locked, and no other network feels it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::network::Network;

/// So many failures within [`WINDOW`] bring a penalty.
const FAILURES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);
/// The first penalty; each further one is twice the last.
const FIRST: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(600);
/// How long after a penalty the next one still doubles.
const MEMORY: Duration = Duration::from_secs(1200);
/// Networks that are remembered. LIMIT: while there are so many, failures of a further one are not counted.
const NETWORKS: usize = 65_536;

/// Who has failed how often.
#[derive(Debug, Default)]
pub struct Penalties(Mutex<HashMap<Network, Record>>);

#[derive(Debug)]
struct Record {
    failures: u32,
    since: Instant,
    last: Option<Penalty>,
}

#[derive(Debug, Clone, Copy)]
struct Penalty {
    until: Instant,
    length: Duration,
}

impl Penalties {
    /// Whether nobody listens to this network now.
    pub fn holds(&self, network: Network, now: Instant) -> bool {
        self.records().get(&network).and_then(|record| record.last).is_some_and(|penalty| now < penalty.until)
    }

    /// A login from there has failed. Returns the penalty when this failure brought one.
    pub fn failed(&self, network: Network, now: Instant) -> Option<Duration> {
        let mut records = self.records();
        if records.len() >= NETWORKS && !records.contains_key(&network) {
            records.retain(|_, record| !record.is_stale(now));
            if records.len() >= NETWORKS {
                return None;
            }
        }
        let record = records.entry(network).or_insert(Record { failures: 0, since: now, last: None });
        if now.duration_since(record.since) > WINDOW {
            (record.failures, record.since) = (0, now);
        }
        record.failures += 1;
        if record.failures < FAILURES {
            return None;
        }
        let length = match record.last {
            Some(last) if now < last.until + MEMORY => (last.length * 2).min(LONGEST),
            _ => FIRST,
        };
        record.failures = 0;
        record.last = Some(Penalty { until: now + length, length });
        Some(length)
    }

    fn records(&self) -> MutexGuard<'_, HashMap<Network, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn is_stale(&self, now: Instant) -> bool {
        now.duration_since(self.since) > WINDOW && self.last.is_none_or(|last| now > last.until + MEMORY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn network(n: u32) -> Network {
        Network::from(IpAddr::V4(Ipv4Addr::from(n)))
    }

    /// Twenty failures at once.
    fn storm(penalties: &Penalties, at: Instant) -> Option<Duration> {
        (0..FAILURES).filter_map(|_| penalties.failed(network(1), at)).next()
    }

    #[test]
    fn twenty_in_ten_seconds_cost_and_each_time_twice() {
        let penalties = Penalties::default();
        let mut now = Instant::now();
        let expected = [15, 30, 60, 120, 240, 480, 600, 600].into_iter().map(Duration::from_secs);
        for length in expected {
            assert_eq!(storm(&penalties, now), Some(length));
            assert!(penalties.holds(network(1), now + length - Duration::from_millis(1)));
            assert!(!penalties.holds(network(2), now), "others are unaffected");
            now += length;
            assert!(!penalties.holds(network(1), now));
        }
        assert_eq!(storm(&penalties, now + MEMORY * 2), Some(FIRST), "forgotten after a while");
    }

    #[test]
    fn who_mistypes_now_and_then_pays_nothing() {
        let penalties = Penalties::default();
        let start = Instant::now();
        assert!((0..100u32).all(|n| penalties.failed(network(1), start + Duration::from_secs(1) * n).is_none()));
    }

    #[test]
    fn the_table_is_bounded() {
        let penalties = Penalties::default();
        let start = Instant::now();
        let count = u32::try_from(NETWORKS).unwrap();
        (0..count + 10).for_each(|n| assert!(penalties.failed(network(n), start).is_none()));
        assert_eq!(penalties.records().len(), NETWORKS);
        penalties.failed(network(count + 11), start + WINDOW * 2);
        assert_eq!(penalties.records().len(), 1, "what is stale makes room");
    }
}
