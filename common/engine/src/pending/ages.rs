//! How old what is owed is, and the oldest of it at any time.

use std::collections::BTreeMap;
use std::time::Instant;

/// When a change was noticed. INVARIANT: it is made where a hint comes in from outside, and nowhere else: what is owed again
/// because of other work is as old as that, whatever happens to its name in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Since(Instant);

impl Since {
    /// Of a change that is heard of at this moment.
    pub(super) fn noticed(now: Instant) -> Since {
        Since(now)
    }

    /// When it was noticed, on the clock that never goes back.
    pub fn at(self) -> Instant {
        self.0
    }
}

/// The ages of some things that are owed, each as often as it occurs. Each change costs as much as finding a key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ages(BTreeMap<Since, usize>);

impl Ages {
    pub(super) fn add(&mut self, since: Since) {
        *self.0.entry(since).or_default() += 1;
    }

    pub(super) fn remove(&mut self, since: Since) {
        if let Some(times) = self.0.get_mut(&since) {
            *times -= 1;
            if *times == 0 {
                self.0.remove(&since);
            }
        }
    }

    pub(super) fn oldest(&self) -> Option<Since> {
        self.0.first_key_value().map(|(since, _)| *since)
    }
}

#[cfg(test)]
impl Ages {
    /// Of just these.
    pub(super) fn of(ages: impl Iterator<Item = Since>) -> Ages {
        let mut all = Ages::default();
        ages.for_each(|since| all.add(since));
        all
    }
}
