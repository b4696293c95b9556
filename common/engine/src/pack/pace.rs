//! How much to compress: found out from how fast the link takes what is sent. Each change of level begins a new stream, in
//! which what came before does not help any more: a level is not left for a moment's sake.

use std::time::{Duration, Instant};

/// Levels of zstd that are used, one after the other while the link has still more to do than we.
const LEVELS: [i32; 5] = [1, 3, 6, 9, 12];
/// How long the link is watched before the level changes.
const WATCHED: Duration = Duration::from_millis(20);
/// Bytes a second that a link has to take less of for compression to pay: a third of what level 1 reads of text on one
/// core, for what it leaves has to be worth the other two.
const SLOW: f64 = 150e6;
/// Bytes that a link has to take before it may count as fast: its buffers take the first of them at once.
const PROVEN: u64 = 4 * 1024 * 1024;
/// Times in a row that the link was watched and had hardly anything to do, because most of the time was spent on compressing,
/// after which the level is too high: before that the buffers of the system have some for it, or are being filled again.
const STARVED: u32 = 3;
/// How long a level that was too high is not tried again; twice as long after each time, up to the second.
const HELD: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The level, and what is known of the link.
pub(super) struct Pace {
    /// Place in [`LEVELS`], if anything is compressed now.
    at: Option<usize>,
    link: Gauge,
    /// Bytes that have left, up to [`PROVEN`].
    proven: u64,
    /// Times in a row that the link was starved at this level.
    starved: u32,
    /// Place of the level that was too high last, and when it may be tried again.
    high: Option<(usize, Instant)>,
    /// How long the next one is held back.
    hold: Duration,
}

/// How the link has done lately.
struct Gauge {
    since: Instant,
    bytes: u64,
    /// How much of that time we waited for it, and how much we compressed.
    waited: Duration,
    compressed: Duration,
    /// Buffers that left, and those that found it with hardly anything to do.
    buffers: u32,
    starved: u32,
}

impl Gauge {
    fn new(now: Instant) -> Gauge {
        Gauge { since: now, bytes: 0, waited: Duration::ZERO, compressed: Duration::ZERO, buffers: 0, starved: 0 }
    }
}

impl Pace {
    /// A link counts as slow until it is seen: what is before it by then would travel as it is.
    pub fn new(now: Instant) -> Pace {
        let (link, hold) = (Gauge::new(now), HELD.0);
        Pace { at: Some(0), link, proven: 0, starved: 0, high: None, hold }
    }

    /// The level of zstd; `None` to send what there is as it is.
    pub fn level(&self) -> Option<i32> {
        self.at.map(|at| LEVELS[at])
    }

    /// So long it took to compress what leaves next.
    pub fn compressed(&mut self, took: Duration) {
        self.link.compressed += took;
    }

    /// A buffer of `bytes` has left by `now`, with so many before it, and after so long a wait for room.
    pub fn left(&mut self, bytes: usize, before: usize, wait: Duration, now: Instant) {
        let link = &mut self.link;
        (link.bytes, link.waited, link.buffers) = (link.bytes + bytes as u64, link.waited + wait, link.buffers + 1);
        link.starved += u32::from(before <= 1);
        self.proven = (self.proven + bytes as u64).min(PROVEN);
        let elapsed = now.saturating_duration_since(link.since);
        if elapsed < WATCHED || (self.proven < PROVEN && link.waited < elapsed / 2) {
            return;
        }
        let slow = link.waited > elapsed / 2 && (link.bytes as f64) < SLOW * elapsed.as_secs_f64();
        let starved = link.starved * 2 > link.buffers && link.compressed > elapsed / 2;
        self.link = Gauge::new(now);
        self.watched(slow, starved, now);
    }

    /// The link was watched for a while, and was slower than we, or had hardly anything to do.
    fn watched(&mut self, slow: bool, starved: bool, now: Instant) {
        let Some(at) = self.at else {
            if slow {
                self.change(Some(0));
            }
            return;
        };
        self.starved = if starved && !slow { self.starved + 1 } else { 0 };
        if slow {
            // Its buffers are full.
            self.proven = PROVEN;
            let held = self.high.is_some_and(|(high, until)| at + 1 >= high && now < until);
            if at + 1 < LEVELS.len() && !held {
                self.change(Some(at + 1));
            }
        } else if at == 0 {
            self.change(None);
        } else if self.starved >= STARVED {
            self.high = Some((at, now + self.hold));
            self.hold = (self.hold * 2).min(HELD.1);
            self.change(Some(at - 1));
        }
    }

    fn change(&mut self, at: Option<usize>) {
        (self.at, self.starved) = (at, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link that is watched once for each `left`, at a time of its own.
    struct Link {
        pace: Pace,
        now: Instant,
    }

    impl Link {
        /// A buffer leaves after `pause`, with so many before it; the pause was a wait for room, or was not.
        fn left(&mut self, bytes: usize, before: usize, (pause, waited): (Duration, bool)) -> Option<i32> {
            self.now += pause;
            let wait = if waited { pause } else { Duration::ZERO };
            self.pace.left(bytes, before, wait, self.now);
            self.pace.level()
        }

        fn slow(&mut self) -> Option<i32> {
            self.left(100_000, 8, (WATCHED, true))
        }

        fn starved(&mut self, times: u32) -> Option<i32> {
            let once = |_| {
                self.pace.compressed(WATCHED);
                // However little became of it.
                self.left(1000, 0, (WATCHED, false))
            };
            (0..times).map(once).last().flatten()
        }
    }

    fn link() -> Link {
        let pace = Pace::new(Instant::now());
        Link { now: pace.link.since, pace }
    }

    /// One that has been raised to the highest level.
    fn raised() -> Link {
        let mut link = link();
        let levels: Vec<_> = (0..5).map(|_| link.slow()).collect();
        assert_eq!(levels, [Some(3), Some(6), Some(9), Some(12), Some(12)]);
        link
    }

    #[test]
    fn a_fast_link_needs_no_level_and_a_slow_one_gets_the_lowest_first() {
        let mut link = link();
        assert_eq!(link.left(100_000, 8, (WATCHED, false)), Some(1), "not known yet");
        assert_eq!(link.left(PROVEN as usize, 8, (WATCHED, false)), None, "fast");
        assert_eq!(link.left(1 << 30, 8, (WATCHED, true)), None, "as fast as we are");
        assert_eq!(link.slow(), Some(1));
    }

    #[test]
    fn a_slow_link_raises_the_level_until_it_has_hardly_anything_to_do() {
        let mut link = raised();
        let busy = |link: &mut Link| link.left(100_000, 5, (WATCHED, false));
        assert_eq!(busy(&mut link), Some(12), "it has enough to do");
        assert_eq!([link.starved(STARVED - 1), link.slow(), link.starved(STARVED - 1)], [Some(12); 3]);
        assert_eq!(link.starved(1), Some(9));
        assert_eq!([link.starved(STARVED - 1), busy(&mut link), link.starved(STARVED - 1)], [Some(9); 3]);
        assert_eq!([link.starved(1), link.starved(STARVED)], [Some(6), Some(3)]);
    }

    #[test]
    fn a_level_that_was_too_high_is_not_tried_again_at_once() {
        let mut link = raised();
        for hold in [1, 2, 4, 8, 16, 32, 60, 60] {
            let hold = Duration::from_secs(hold);
            assert_eq!(link.starved(STARVED), Some(9));
            let fell = link.now;
            assert_eq!(link.slow(), Some(9));
            link.now = fell + hold - 2 * WATCHED;
            assert_eq!([link.slow(), link.slow()], [Some(9), Some(12)], "{hold:?}");
        }
    }

    #[test]
    fn a_link_for_which_there_is_little_is_not_starved_by_a_level() {
        let mut link = raised();
        let levels: Vec<_> = (0..10 * STARVED).map(|_| link.left(100_000, 0, (WATCHED, false))).collect();
        assert_eq!(levels, vec![Some(12); levels.len()]);
    }

    #[test]
    fn what_is_known_to_be_too_high_holds_back_what_is_above_it_too() {
        let mut link = raised();
        assert_eq!(link.starved(3 * STARVED), Some(3));
        let hold = HELD.0 * 4;
        link.now += hold - 2 * WATCHED;
        let levels: Vec<_> = (0..4).map(|_| link.slow()).collect();
        assert_eq!(levels, [Some(3), Some(6), Some(9), Some(12)]);
    }
}
