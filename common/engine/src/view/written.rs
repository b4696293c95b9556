//! What receivers have written themselves in a module since the program began, and under which names: of that it is known that
//! nobody else has put it there, and it may get other metadata in place where others could put things.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use proto::Name;
use sys::Birth;

/// Names in one generation: 2 MiB. What is older than two of them is forgotten, and sent again when its metadata changes.
const GENERATION: usize = 65_536;

/// One for all sessions of a module. Nothing is written down: after a new start it knows nothing.
#[derive(Debug, Default)]
pub struct Written {
    hasher: RandomState,
    known: Mutex<Known>,
    told: AtomicBool,
}

/// Which entry stands under which name. Both are keyed hashes: nobody who does not know the key finds two that are alike.
#[derive(Debug, Default)]
struct Known {
    young: HashMap<u64, u64>,
    old: HashMap<u64, u64>,
}

/// A name in a folder, whatever path leads to that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot(u64);

impl Written {
    /// The slot of a name in this folder.
    pub(super) fn slot(&self, folder: &Birth, name: &Name) -> Slot {
        Slot(self.hasher.hash_one((folder, name.as_bytes())))
    }

    /// A receiver has put this there.
    pub(super) fn put(&self, slot: Slot, entry: &Birth) {
        let entry = self.hasher.hash_one(entry);
        self.known().put(slot, entry);
    }

    /// Whether that is what a receiver has put there.
    pub(super) fn is(&self, slot: Slot, entry: &Birth) -> bool {
        self.known().get(slot) == Some(self.hasher.hash_one(entry))
    }

    /// What stood at one has come to the other.
    pub(super) fn moved(&self, from: Slot, to: Slot) {
        let mut known = self.known();
        match known.take(from) {
            Some(entry) => known.put(to, entry),
            None => drop(known.take(to)),
        }
    }

    /// The two have swapped.
    pub(super) fn exchanged(&self, one: Slot, other: Slot) {
        let mut known = self.known();
        let (first, second) = (known.take(one), known.take(other));
        second.into_iter().for_each(|entry| known.put(one, entry));
        first.into_iter().for_each(|entry| known.put(other, entry));
    }

    pub(super) fn is_empty(&self) -> bool {
        let known = self.known();
        known.young.is_empty() && known.old.is_empty()
    }

    /// True the first time.
    pub(super) fn is_first_time(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn put(&mut self, Slot(slot): Slot, entry: u64) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&slot) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(slot, entry);
    }

    fn get(&self, Slot(slot): Slot) -> Option<u64> {
        self.young.get(&slot).or_else(|| self.old.get(&slot)).copied()
    }

    fn take(&mut self, Slot(slot): Slot) -> Option<u64> {
        let old = self.old.remove(&slot);
        self.young.remove(&slot).or(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_what_was_put_there_last_and_takes_it_along() {
        let (written, mut known) = (Written::default(), Known::default());
        let [a, b, c] = [1, 2, 3].map(Slot);
        known.put(a, 10);
        known.put(a, 11);
        assert_eq!((known.get(a), known.get(b)), (Some(11), None));
        *written.known() = known;
        let at = |slot| written.known().get(slot);
        written.moved(a, b);
        assert_eq!([at(a), at(b)], [None, Some(11)]);
        written.exchanged(b, c);
        assert_eq!([at(b), at(c)], [None, Some(11)]);
        // What came there from elsewhere was written by nobody here.
        written.moved(a, c);
        assert!(written.is_empty());
    }

    #[test]
    fn what_is_older_than_two_generations_is_forgotten() {
        let mut known = Known::default();
        let most = 2 * GENERATION as u64;
        for slot in 0..most {
            known.put(Slot(slot), slot);
        }
        assert_eq!((known.get(Slot(0)), known.get(Slot(most - 1))), (Some(0), Some(most - 1)));
        // One that is put again in the same generation takes no place.
        known.put(Slot(most - 1), 7);
        assert_eq!((known.get(Slot(0)), known.get(Slot(most - 1))), (Some(0), Some(7)));
        known.put(Slot(most), 1);
        assert_eq!((known.get(Slot(0)), known.get(Slot(most)), known.young.len()), (None, Some(1), 1));
        assert!(known.old.len() <= GENERATION);
    }
}
