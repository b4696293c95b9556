//! What watches a source now: the kernel, or nothing where it has no instance or no watch left. Then the source is compared
//! from time to time, and it is tried again to watch it, the less often the longer that fails.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sys::Tree;

use crate::watch::{self, Notice, Supply, Waker, Watcher};

/// How often folders that are not watched are compared instead.
pub const UNWATCHED: Duration = Duration::from_secs(30);
/// The first and the longest pause before it is tried again to watch.
const AGAIN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));

/// One for each root that is held, from when it stands until it is lost.
pub struct Watching {
    /// The one of the kernel, or one that watches nothing.
    pub watcher: Box<dyn Watcher>,
    /// Why nobody does, as a sentence.
    pub reason: Option<String>,
    root: Arc<Tree>,
    supply: Supply,
    waker: Waker,
    again: Option<(Instant, Duration)>,
    compare: Instant,
}

impl Watching {
    /// Places the watches; where there are none to be had, does without.
    ///
    /// # Errors
    /// When the root cannot be watched for another reason than that.
    pub fn begin(root: &Arc<Tree>, supply: &Supply, waker: &Waker, notices: &mut Vec<Notice>) -> io::Result<Watching> {
        let compare = Instant::now() + UNWATCHED;
        let watcher = watch::open(root, supply, waker, notices)?;
        let (path, every) = (root.path().display(), UNWATCHED.as_secs());
        let reason =
            watcher.lacks().map(|lack| format!("{path} is not watched, but compared in full every {every} s: {lack}"));
        let again = reason.is_some().then(|| (Instant::now() + AGAIN.0, AGAIN.0));
        let (root, supply, waker) = (root.clone(), supply.clone(), waker.clone());
        Ok(Watching { watcher, reason, root, supply, waker, again, compare })
    }

    /// Whether what is not watched is to be compared now; asked again, not before its time.
    pub fn is_to_compare(&mut self) -> bool {
        let now = Instant::now();
        let due = self.compare <= now;
        if due {
            self.compare = now + UNWATCHED;
        }
        due
    }

    /// Tries to watch what is not, when it is time for that. Whether it is watched from now on: what happened before is
    /// still to be looked at.
    pub fn try_again(&mut self, notices: &mut Vec<Notice>) -> bool {
        let Some((_, pause)) = self.again.filter(|(due, _)| *due <= Instant::now()) else { return false };
        let error = match watch::open(&self.root, &self.supply, &self.waker, notices) {
            Ok(watcher) => match watcher.lacks() {
                None => {
                    (self.watcher, self.reason, self.again) = (watcher, None, None);
                    return true;
                }
                Some(lack) => lack.to_string(),
            },
            Err(error) => error.to_string(),
        };
        tracing::debug!("{}: still not watched: {error}", self.root.path().display());
        let pause = (pause * 2).min(AGAIN.1);
        self.again = Some((Instant::now() + pause, pause));
        false
    }

    /// How long there is nothing to do here.
    pub fn pause(&self) -> Duration {
        let due = self.again.map_or(self.compare, |(due, _)| due.min(self.compare));
        due.saturating_duration_since(Instant::now())
    }
}
