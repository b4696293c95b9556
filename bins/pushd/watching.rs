//! What watches a source now: the kernel, or nothing where it has no instance or no watch left. Then the source is compared
//! from time to time, and it is tried again to watch it, the less often the longer that fails.

use std::io;
use std::time::{Duration, Instant};

use engine::sender::Root;
use sys::inotify::Exhausted;

use crate::watch::{InotifyWatcher, Notice, Polled, Supply, Watcher};

/// How often folders that are not watched are compared instead.
pub const UNWATCHED: Duration = Duration::from_secs(30);
/// The first and the longest pause before it is tried again to watch.
const AGAIN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));

/// See the module.
pub struct Watching {
    /// Whoever watches.
    pub watcher: Box<dyn Watcher>,
    /// Why nobody does, as a sentence.
    pub reason: Option<String>,
    again: Option<(Instant, Duration)>,
    compare: Instant,
}

impl Watching {
    /// Places the watches; where there are none to be had, does without.
    ///
    /// # Errors
    /// When the root cannot be watched for another reason than that.
    pub fn begin(root: &Root, supply: &Supply, notices: &mut Vec<Notice>) -> io::Result<Watching> {
        let compare = Instant::now() + UNWATCHED;
        let error = match place(root, supply, notices) {
            Ok(watcher) => return Ok(Watching { watcher: Box::new(watcher), reason: None, again: None, compare }),
            Err(error) => error,
        };
        let exhausted = match Exhausted::of(&error) {
            // Then nothing can be compared either.
            None | Some(Exhausted::Files) => return Err(error),
            Some(exhausted) => exhausted,
        };
        let reason = format!(
            "{} is not watched, but compared in full every {} s: {exhausted}",
            root.tree.path().display(),
            UNWATCHED.as_secs()
        );
        let watcher = Box::new(Polled::new(root.tree.clone())?);
        Ok(Watching { watcher, reason: Some(reason), again: Some((Instant::now() + AGAIN.0, AGAIN.0)), compare })
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
    pub fn try_again(&mut self, root: &Root, supply: &Supply, notices: &mut Vec<Notice>) -> bool {
        let Some((_, pause)) = self.again.filter(|(due, _)| *due <= Instant::now()) else { return false };
        match place(root, supply, notices) {
            Ok(watcher) => {
                (self.watcher, self.reason, self.again) = (Box::new(watcher), None, None);
                true
            }
            Err(error) => {
                tracing::debug!("{}: still not watched: {error}", root.tree.path().display());
                let pause = (pause * 2).min(AGAIN.1);
                self.again = Some((Instant::now() + pause, pause));
                false
            }
        }
    }

    /// How long there is nothing to do here.
    pub fn pause(&self) -> Duration {
        let due = self.again.map_or(self.compare, |(due, _)| due.min(self.compare));
        due.saturating_duration_since(Instant::now())
    }
}

fn place(root: &Root, supply: &Supply, notices: &mut Vec<Notice>) -> io::Result<InotifyWatcher> {
    let mut watcher = InotifyWatcher::new(root.tree.clone(), supply)?;
    watcher.place(notices)?;
    Ok(watcher)
}
