//! Folders of which each has its time: one more call for what is due costs nothing, however many wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use proto::RelPath;

/// INVARIANT: both have the same.
#[derive(Debug, Default)]
pub(super) struct Still {
    by_path: BTreeMap<RelPath, Instant>,
    by_time: BTreeSet<(Instant, RelPath)>,
}

impl Still {
    /// This folder's time is then, whatever it was.
    pub fn insert(&mut self, path: RelPath, at: Instant) {
        self.remove(&path);
        self.by_time.insert((at, path.clone()));
        self.by_path.insert(path, at);
    }

    /// It has none any more.
    pub fn remove(&mut self, path: &RelPath) {
        if let Some((path, at)) = self.by_path.remove_entry(path) {
            self.by_time.remove(&(at, path));
        }
    }

    /// When the first is due.
    pub fn first(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out the first, if it is due.
    pub fn take(&mut self, now: Instant) -> Option<RelPath> {
        let (at, path) = self.by_time.first().filter(|(at, _)| *at <= now).cloned()?;
        self.by_time.remove(&(at, path.clone()));
        self.by_path.remove(&path);
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_due_comes_once_and_by_the_time_it_was_given_last() {
        let path = |text: &str| RelPath::parse(text.as_bytes()).unwrap();
        let (mut still, now, second) = (Still::default(), Instant::now(), Duration::from_secs(1));
        still.insert(path("a"), now);
        still.insert(path("b"), now + second);
        still.insert(path("c"), now);
        still.insert(path("a"), now + 2 * second);
        still.remove(&path("c"));
        still.remove(&path("none"));
        assert_eq!((still.first(), still.take(now)), (Some(now + second), None));
        assert_eq!(still.take(now + 3 * second), Some(path("b")));
        assert_eq!(still.take(now + 3 * second), Some(path("a")));
        assert_eq!((still.first(), still.take(now + 3 * second)), (None, None));
        assert!(still.by_path.is_empty());
    }
}
