//! The progress line of a long command: files, bytes, rate and time left, on a terminal only.
//!
//! It is told numbers and draws; it neither counts nor knows what is being done.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::units;

/// Draws at most this often.
const PAUSE: Duration = Duration::from_millis(200);

/// A rate is that of about this time.
const LATELY: Duration = Duration::from_secs(5);

/// Whether a line may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Where stderr is a terminal.
    OnTerminal,
    /// Nowhere, as `--no-progress` asks for.
    Never,
}

/// How far the work is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Files that are done.
    pub files: u64,
    /// Bytes that are done, of files that are and of those under way.
    pub bytes: u64,
    /// Entries that were looked at on the search for what there is to do.
    pub compared: u64,
    /// What there is to do.
    pub all: All,
}

/// How much there is to do, done or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct All {
    /// Files that were found.
    pub files: u64,
    /// Their bytes, as far as they are known.
    pub bytes: u64,
    /// Whether more may be found.
    pub search: Search,
}

/// Whether all that there is to do is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Search {
    /// More may be found.
    #[default]
    On,
    /// All that there is to do was found.
    Over,
}

impl Done {
    /// The sum of two; its search is over when both are.
    pub fn and(self, other: Done) -> Done {
        let over = self.all.search == Search::Over && other.all.search == Search::Over;
        let search = if over { Search::Over } else { Search::On };
        let all = All { files: self.all.files + other.all.files, bytes: self.all.bytes + other.all.bytes, search };
        let compared = self.compared + other.compared;
        Done { files: self.files + other.files, bytes: self.bytes + other.bytes, compared, all }
    }

    /// In words, where it moves by so many bytes a second: percent and time left once all is known, and what was found before
    /// that.
    pub fn sentence(self, rate: u64) -> String {
        let Done { files, bytes, compared, all } = self;
        let found = units::counted(all.files, "file", "files");
        let (files, bytes_done) = (units::count(files), units::bytes(bytes));
        let of = units::bytes(all.bytes);
        let compared = units::counted(compared, "entry", "entries");
        if all.files == 0 {
            return format!("{compared} compared, nothing to send so far");
        }
        if all.search == Search::On || all.bytes == 0 {
            return format!("{files} of {found}  {bytes_done} of {of} found so far in {compared}");
        }
        let percent = (bytes.min(all.bytes) as f64 / all.bytes as f64 * 100.0).floor();
        let left = match all.bytes.saturating_sub(bytes).checked_div(rate) {
            Some(seconds) => format!("  {} left", units::duration(Duration::from_secs(seconds))),
            None => String::new(),
        };
        format!("{files} of {found}  {bytes_done} of {of} ({percent}%){left}")
    }
}

/// How fast something moves: by what was done at moments of the last seconds.
#[derive(Debug, Default)]
struct Pace(VecDeque<(Instant, u64)>);

impl Pace {
    /// Bytes a second, with what is done by now.
    fn at(&mut self, bytes: u64, now: Instant) -> u64 {
        self.0.push_back((now, bytes));
        while self.0.len() > 2 && now - self.0[1].0 >= LATELY {
            self.0.pop_front();
        }
        let (since, before) = self.0[0];
        let during = (now - since).as_secs_f64();
        if during > 0.0 { (bytes.saturating_sub(before) as f64 / during) as u64 } else { 0 }
    }
}

/// One line on stderr, drawn over and over. Dropped: wiped.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    pace: Pace,
    drawn: Option<Instant>,
}

impl Progress {
    /// One that has drawn nothing yet, so that it wipes nothing either.
    pub fn new(show: Show) -> Progress {
        let shown = show == Show::OnTerminal && std::io::stderr().is_terminal();
        Progress { shown, pace: Pace::default(), drawn: None }
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
        let rate = self.pace.at(done.bytes, now);
        draw(&line(done, rate));
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

fn line(done: Done, rate: u64) -> String {
    format!("{}  {}", done.sentence(rate), units::rate(rate, Duration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(bytes: u64, of: u64, search: Search) -> Done {
        Done { files: 1204, bytes, compared: 5000, all: All { files: 2000, bytes: of, search } }
    }

    #[test]
    fn lines() {
        let known = done(50 << 20, 200 << 20, Search::Over);
        assert_eq!(line(known, 5 << 20), "1 204 of 2 000 files  50 MiB of 200 MiB (25%)  30s left  5 MiB/s");
        assert_eq!(line(known, 0), "1 204 of 2 000 files  50 MiB of 200 MiB (25%)  0 B/s");
        let unknown = done(50 << 20, 200 << 20, Search::On);
        assert_eq!(line(unknown, 2), "1 204 of 2 000 files  50 MiB of 200 MiB found so far in 5 000 entries  2 B/s");
        assert!(line(done(20, 10, Search::Over), 2).contains("20 B of 10 B (100%)  0s left"));
        assert!(line(Done::default(), 0).starts_with("0 entries compared, nothing to send so far"));
    }

    #[test]
    fn two_are_whole_when_both_are() {
        let (one, other) = (done(1, 2, Search::Over), done(3, 4, Search::On));
        assert_eq!(
            one.and(one),
            Done { files: 2408, bytes: 2, compared: 10_000, all: All { files: 4000, bytes: 4, search: Search::Over } }
        );
        assert_eq!(one.and(other).all, All { files: 4000, bytes: 6, search: Search::On });
    }

    #[test]
    fn a_pace_is_that_of_the_last_seconds() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(pace.at(0, start), 0);
        assert_eq!(pace.at(100, after(1)), 100);
        assert_eq!(pace.at(200, after(2)), 100);
        for second in 3..20 {
            pace.at(200, after(second));
        }
        assert_eq!(pace.at(200, after(20)), 0, "it stands");
    }

    #[test]
    fn a_pipe_shows_nothing() {
        let mut progress = Progress::new(Show::Never);
        progress.update(Done::default());
        assert!(progress.drawn.is_none());
    }
}
