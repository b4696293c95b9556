//! Whether deletions come in masses: then what is gone may be about to come back, as with a site that is taken out and put in
//! place anew.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Deletions within this time are counted together.
const WINDOW: Duration = Duration::from_secs(1);

/// A mass is more than one in so many of the source.
const SHARE: u64 = 100;

/// What went within the last moment.
#[derive(Debug, Default)]
pub(super) struct Surge {
    /// Entries of the source, as they were counted last; 0 before that.
    source: u64,
    /// When how many went; about the same moment in one.
    gone: VecDeque<(Instant, u64)>,
    /// The sum of them.
    entries: u64,
}

impl Surge {
    /// So many entries stand in the source.
    pub fn source_has(&mut self, entries: u64) {
        self.source = entries;
    }

    /// So many more are gone. Whether that is a mass, which is more than `many`.
    pub fn gone(&mut self, entries: u64, many: u64, now: Instant) -> bool {
        while let Some((at, few)) = self.gone.front().copied()
            && now.saturating_duration_since(at) >= WINDOW
        {
            self.gone.pop_front();
            self.entries -= few;
        }
        match self.gone.back_mut() {
            Some((at, before)) if now.saturating_duration_since(*at) < WINDOW / 100 => *before += entries,
            _ => self.gone.push_back((now, entries)),
        }
        self.entries += entries;
        self.entries > many.max(self.source / SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the last of so many, each so long after the one before, is one of a mass.
    fn is_mass(source: u64, count: u64, apart: Duration) -> bool {
        let (mut surge, mut now) = (Surge::default(), Instant::now());
        surge.source_has(source);
        (0..count).fold(false, |_, _| {
            now += apart;
            surge.gone(1, 100, now)
        })
    }

    #[test]
    fn a_mass_is_more_than_a_hundred_and_a_hundredth_within_a_second() {
        let apart = Duration::from_millis(1);
        assert!(!is_mass(0, 100, apart) && is_mass(0, 101, apart));
        assert!(!is_mass(50_000, 500, apart) && is_mass(50_000, 501, apart));
        assert!(!is_mass(0, 10_000, Duration::from_millis(12)), "no hundred in a second");
        assert!(Surge::default().gone(101, 100, Instant::now()), "a folder that went with all that was in it");
    }
}
