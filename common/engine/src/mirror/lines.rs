//! How many lines about single entries the log gets: the first of each minute, and how many more there were.

use std::time::{Duration, Instant};

/// Lines in one [`WHILE`].
const LINES: u32 = 20;
const WHILE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Lines {
    since: Option<Instant>,
    written: u32,
    held_back: u64,
}

impl Lines {
    /// Whether a line may be written now, and how many were held back before it. What is not written is counted.
    pub fn permit(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= WHILE) {
            (self.since, self.written) = (Some(now), 0);
        }
        if self.written == LINES {
            self.held_back += 1;
            return None;
        }
        self.written += 1;
        Some(self.take_held_back())
    }

    /// How many lines were held back and not told of.
    pub fn take_held_back(&mut self) -> u64 {
        std::mem::take(&mut self.held_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_minute_are_written_and_the_others_counted() {
        let (mut lines, start) = (Lines::default(), Instant::now());
        let written = (0..30_000).filter(|_| lines.permit(start).is_some()).count();
        assert_eq!(written, LINES as usize);
        assert_eq!(lines.permit(start + WHILE), Some(30_000 - u64::from(LINES)));
        assert_eq!(lines.permit(start + WHILE), Some(0));
        assert_eq!(lines.take_held_back(), 0);
    }
}
