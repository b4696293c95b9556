//! The progress line of a long command: files, bytes, rate and time left, on a terminal only.
//!
//! It is told numbers and draws; it neither counts nor knows what is being done.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::units;

/// Draws at most this often.
const PAUSE: Duration = Duration::from_millis(200);

/// Whether a line may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Where stderr is a terminal.
    OnTerminal,
    /// Never: `--no-progress`.
    Never,
}

/// How far the work is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Files that are done.
    pub files: u64,
    /// Bytes that are done.
    pub bytes: u64,
    /// All bytes that there are to do, once that is known.
    pub total: Option<u64>,
}

impl Done {
    /// Both together.
    pub fn and(self, other: Done) -> Done {
        let total = self.total.zip(other.total).map(|(one, other)| one + other);
        Done { files: self.files + other.files, bytes: self.bytes + other.bytes, total }
    }
}

/// One line on stderr, drawn over and over. Dropped: wiped.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    start: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// Begins to count the time; draws nothing yet.
    pub fn new(show: Show) -> Progress {
        let shown = show == Show::OnTerminal && std::io::stderr().is_terminal();
        Progress { shown, start: Instant::now(), drawn: None }
    }

    /// Draws, unless the last time is too short ago. Cheap enough to be called for every item.
    pub fn update(&mut self, done: Done) {
        if !self.shown {
            return;
        }
        let now = Instant::now();
        if self.drawn.is_some_and(|drawn| now - drawn < PAUSE) {
            return;
        }
        self.drawn = Some(now);
        draw(&line(done, now - self.start));
    }

    /// Wipes the line, so that something else can be printed; the next update draws it again.
    pub fn clear(&mut self) {
        if self.drawn.take().is_some() {
            draw("");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The erase sequence clears what a longer line left behind.
fn draw(line: &str) {
    let _ = std::io::stderr().lock().write_all(format!("\r\x1b[K{line}").as_bytes());
}

fn line(done: Done, during: Duration) -> String {
    let files = units::count(done.files);
    let bytes = units::bytes(done.bytes);
    let rate = units::rate(done.bytes, during);
    match done.total {
        Some(total) if total > 0 => {
            let share = done.bytes.min(total) as f64 / total as f64;
            let left = if share > 0.0 && share < 1.0 { during.mul_f64(1.0 / share - 1.0) } else { Duration::ZERO };
            let left = units::duration(Duration::from_secs(left.as_secs()));
            let percent = (share * 100.0).floor();
            format!("{files} files  {bytes} of {} ({percent}%)  {rate}  {left} left", units::bytes(total))
        }
        _ => format!("{files} files  {bytes}  {rate}  {}", units::duration(Duration::from_secs(during.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let during = Duration::from_secs(10);
        let known = Done { files: 1204, bytes: 50 << 20, total: Some(200 << 20) };
        assert_eq!(line(known, during), "1 204 files  50 MiB of 200 MiB (25%)  5 MiB/s  30s left");
        let unknown = Done { files: 3, bytes: 0, total: None };
        assert_eq!(line(unknown, during), "3 files  0 B  0 B/s  10s");
        let over = Done { files: 3, bytes: 20, total: Some(10) };
        assert_eq!(line(over, during), "3 files  20 B of 10 B (100%)  2 B/s  0s left");
    }

    #[test]
    fn a_pipe_shows_nothing() {
        let mut progress = Progress::new(Show::Never);
        progress.update(Done::default());
        assert!(progress.drawn.is_none());
    }
}
