//! What watches a source now. Where the kernel has no instance or no watch left, nothing does: then the source is compared in
//! full from time to time, and pushd tries to watch it again, after ever longer pauses.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::view::Selection;
use sys::Tree;

use crate::watch::{self, Notice, Supply, Waker, Watcher};

/// How often folders that are not watched are compared instead.
pub const UNWATCHED: Duration = Duration::from_secs(30);
/// The first and the longest pause before the next try to watch it.
const AGAIN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));

/// One for each root that is held, from when it stands until it is lost.
pub struct Watching {
    /// The one of the kernel, or one that watches nothing.
    pub watcher: Box<dyn Watcher>,
    /// Why nobody does, as a sentence.
    pub reason: Option<String>,
    root: Arc<Tree>,
    selection: Selection,
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
    pub fn begin(
        root: &Arc<Tree>,
        selection: Selection,
        supply: &Supply,
        waker: &Waker,
        notices: &mut Vec<Notice>,
    ) -> io::Result<Watching> {
        let compare = Instant::now() + UNWATCHED;
        let watcher = watch::open(root, selection, supply, waker, notices)?;
        let (path, every) = (root.path().display(), UNWATCHED.as_secs());
        let reason =
            watcher.lacks().map(|lack| format!("{path} is not watched, but compared in full every {every} s: {lack}"));
        let again = reason.is_some().then(|| (Instant::now() + AGAIN.0, AGAIN.0));
        let (root, supply, waker) = (root.clone(), supply.clone(), waker.clone());
        Ok(Watching { watcher, reason, root, selection, supply, waker, again, compare })
    }

    /// Whether it is time to compare what is not watched. It is then, once every [`UNWATCHED`].
    pub fn is_to_compare(&mut self) -> bool {
        let now = Instant::now();
        let due = self.compare <= now;
        if due {
            self.compare = now + UNWATCHED;
        }
        due
    }

    /// Tries to watch a source that is not watched, if it is time for that. Returns whether it is watched from now on; then
    /// what happened before is still to be looked at.
    pub fn try_again(&mut self, notices: &mut Vec<Notice>) -> bool {
        let Some((_, pause)) = self.again.filter(|(due, _)| *due <= Instant::now()) else { return false };
        let error = match watch::open(&self.root, self.selection, &self.supply, &self.waker, notices) {
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
