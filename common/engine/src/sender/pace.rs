//! How many operations may be in flight, so that what a user changes does not wait for long behind what another one has
//! changed: as many as the target acknowledges in half a second, when that is known, and on a long way as many as are on it.

use std::time::{Duration, Instant};

use super::FLIGHT;

/// So long what is sent may wait behind what was sent before.
const WAIT: Duration = Duration::from_millis(500);
/// A time over which acknowledgements are counted.
const SPAN: Duration = Duration::from_millis(500);
/// So many may always be in flight: a batch at the target is worth it.
const LEAST: u64 = 512;

/// What the target has acknowledged lately. Without a rate as many may be in flight as the protocol allows.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    acknowledged: u64,
    /// In a second, while there was something to be acknowledged.
    rate: Option<u64>,
    /// An operation in flight, and when it was sent.
    probe: Option<(u64, Instant)>,
    /// The least time in which one was acknowledged: what nobody waits for is shorter on no way.
    way: Option<Duration>,
}

impl Pace {
    pub fn new(now: Instant) -> Pace {
        Pace { began: now, acknowledged: 0, rate: None, probe: None, way: None }
    }

    /// This operation is being sent.
    pub fn sent(&mut self, op: u64, now: impl FnOnce() -> Instant) {
        if self.probe.is_none() {
            self.probe = Some((op, now()));
        }
    }

    /// So many operations were acknowledged, up to this one, and so many are in flight still.
    pub fn acknowledged(&mut self, upto: u64, many: u64, in_flight: u64, now: Instant) {
        if let Some((_, sent)) = self.probe.take_if(|(op, _)| *op <= upto) {
            let took = now.saturating_duration_since(sent);
            self.way = Some(self.way.map_or(took, |way| way.min(took)));
        }
        self.acknowledged += many;
        let span = now.saturating_duration_since(self.began);
        if span >= SPAN {
            let rate = self.acknowledged.saturating_mul(1000) / millis(span).max(1);
            self.rate = Some(self.rate.map_or(rate, |before| before.midpoint(rate)));
            (self.began, self.acknowledged) = (now, 0);
        }
        if in_flight == 0 {
            // What follows is counted from when it is sent, and nobody waited here.
            (self.began, self.acknowledged, self.rate) = (now, 0, None);
        }
    }

    /// So many may be in flight.
    pub fn window(&self) -> u64 {
        let waits = millis(WAIT + self.way.unwrap_or_default());
        self.rate.map_or(FLIGHT, |rate| (rate.saturating_mul(waits) / 1000).clamp(LEAST, FLIGHT))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_in_flight_as_half_a_second_takes() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        assert_eq!(pace.window(), FLIGHT);
        for n in 1..=20 {
            pace.acknowledged(0, 300, 5_000, now + n * SPAN / 5);
        }
        assert_eq!(pace.window(), 1_500, "3,000 in a second");
        for n in 21..=80 {
            pace.acknowledged(0, 3, 5_000, now + n * SPAN / 5);
        }
        assert_eq!(pace.window(), LEAST, "but never fewer than that");
        for n in 81..=200 {
            pace.acknowledged(0, 30_000, 5_000, now + n * SPAN / 5);
        }
        assert_eq!(pace.window(), FLIGHT);
        pace.acknowledged(0, 1, 5_000, now + SPAN * 1000);
        pace.acknowledged(0, 1, 0, now + SPAN * 1000);
        assert_eq!(pace.window(), FLIGHT, "a target that is through is not slow");
    }

    #[test]
    fn a_long_way_is_filled() {
        // Each second what was sent in the one before is acknowledged.
        let second = Duration::from_secs(1);
        let (mut now, mut pace, mut first) = (Instant::now(), Pace::new(Instant::now()), 1);
        let mut sent = 600;
        for _ in 0..20 {
            pace.sent(first, || now);
            now += second;
            pace.acknowledged(first + sent - 1, sent, 1, now);
            (first, sent) = (first + sent, pace.window());
        }
        assert!(sent > 8_000, "{sent}");
        assert_eq!(pace.way, Some(second));
        pace.sent(first, || now);
        pace.sent(first + 1, || panic!("one is under way"));
        pace.acknowledged(first, 1, 1, now + second / 10);
        assert_eq!(pace.way, Some(second / 10), "the least counts");
    }
}
