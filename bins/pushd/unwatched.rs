//! What the log says of the folders of a source that are not watched: when that begins, while they become more, and when it is
//! over. However fast folders come and go, that is a line a minute at most.

use std::time::{Duration, Instant};

use kit::units;
use proto::RelPath;

use crate::watching::UNWATCHED;

/// From one line to the next, at least.
const EVERY: Duration = Duration::from_secs(60);

/// What was said of one root since it is watched.
#[derive(Debug, Default)]
pub struct Unwatched {
    /// The number in the last line; 0 when that said that it is over, or there was none.
    said: usize,
    at: Option<Instant>,
    first: RelPath,
    /// The number of watches at which the kernel said no, if it did.
    limit: Option<u64>,
}

impl Unwatched {
    /// Notes folders that have come to be unwatched; `limit` as that of the notice.
    pub fn note(&mut self, folders: &[RelPath], limit: Option<u64>) {
        if let (0, Some(first)) = (self.said, folders.first()) {
            self.first = first.clone();
        }
        self.limit = limit.or(self.limit);
    }

    /// The line that is to be said now that so many folders are not watched. To be asked from time to time: a line may wait.
    pub fn line(&mut self, count: usize, now: Instant) -> Option<String> {
        let is_due = self.at.is_none_or(|at| now.saturating_duration_since(at) >= EVERY);
        let line = match (self.said, count) {
            _ if !is_due => return None,
            (0, 0) => return None,
            (_, 0) => "all folders are watched again".to_owned(),
            (0, _) => self.sentence(count, &format!(" (the first: {})", self.first)),
            (said, count) if count > said => self.sentence(count, " by now"),
            _ => return None,
        };
        (self.said, self.at) = (count, Some(now));
        if count == 0 {
            self.limit = None;
        }
        Some(line)
    }

    fn sentence(&self, count: usize, remark: &str) -> String {
        let every = UNWATCHED.as_secs();
        let count = count as u64;
        match self.limit {
            Some(limit) => format!(
                "the limit of {} is reached: {} not watched{remark}, but compared every {every} s; to watch them: sysctl -w \
                 fs.inotify.max_user_watches={}",
                units::counted(limit, "watch", "watches"),
                units::counted(count, "folder and all beneath it are", "folders and all beneath them are"),
                limit.saturating_mul(4)
            ),
            None => format!(
                "{} be watched{remark}: compared every {every} s instead",
                units::counted(count, "folder cannot", "folders cannot")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_when_it_begins_while_it_grows_and_when_it_is_over_and_no_oftener_than_that() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut unwatched = Unwatched::default();
        assert_eq!(unwatched.line(0, start), None);
        unwatched.note(&[RelPath::parse(b"a/b").unwrap()], Some(50));
        let begins = unwatched.line(1, start).unwrap();
        assert!(begins.contains("the limit of 50 watches is reached: 1 folder and all beneath it are"), "{begins}");
        assert!(begins.contains("the first: a/b") && begins.contains("max_user_watches=200"), "{begins}");
        let soon: Vec<_> = (2..=251).filter_map(|count| unwatched.line(count, after(5))).collect();
        assert!(soon.is_empty(), "{soon:?}");
        let grows = unwatched.line(251, after(60)).unwrap();
        assert!(grows.contains("251 folders and all beneath them are not watched by now"), "{grows}");
        assert_eq!(unwatched.line(251, after(200)), None, "it does not grow");
        assert_eq!(unwatched.line(90, after(300)), None, "it shrinks");
        assert_eq!(unwatched.line(0, after(400)).as_deref(), Some("all folders are watched again"));
        // What comes and goes again and again.
        let flaps: Vec<_> = (401..=520).filter_map(|at| unwatched.line((at % 2) as usize, after(at))).collect();
        assert!(flaps.len() <= 2, "{flaps:?}");
    }

    #[test]
    fn folders_that_are_closed_name_no_limit() {
        let mut unwatched = Unwatched::default();
        unwatched.note(&[RelPath::root()], None);
        let line = unwatched.line(2, Instant::now()).unwrap();
        assert!(line.starts_with("2 folders cannot be watched") && !line.contains("sysctl"), "{line}");
    }
}
