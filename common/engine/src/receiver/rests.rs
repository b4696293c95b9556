//! What is still to be told of folders of which a part was: kept, so that who asks for the next part need not wait for
//! another look at all of it. Little is kept, the latest; what is not here is listed anew.
//!
//! What was kept is of the moment of its first part. Nothing follows from that but that a listing is of one moment, as far as
//! it fits in here; of a folder that may stand elsewhere since, nothing is kept.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proto::{Name, RelPath};

use super::memory::{Charge, Retained};
use crate::view::{Bounds, Rest};

/// Folders of which something is kept, at most.
const FOLDERS: usize = 16;

/// What a session keeps of listings, charged to its account as long as it is kept.
#[derive(Debug)]
pub(super) struct Rests {
    retained: Retained,
    /// What was kept for longest goes first.
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    rest: Rest,
    weight: usize,
    _charge: Charge,
}

impl Rests {
    pub(super) fn new(retained: Retained) -> Rests {
        Rests { retained, kept: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread may hold of a folder while it looks at it: less where there is no memory for more.
    pub(super) fn room(&self, most: Bounds) -> (Bounds, Charge) {
        let least = most.least();
        let much = self.retained.try_extra(most.weight()).map(|charge| (most, charge));
        much.unwrap_or_else(|| (least, self.retained.extra_anyway(least.weight())))
    }

    /// What stands in this folder behind this name, if that is kept.
    pub(super) fn take(&self, path: &RelPath, after: Option<&Name>) -> Option<Rest> {
        let mut kept = self.lock();
        let at = kept.iter().position(|kept| kept.rest.is(path, after))?;
        kept.remove(at).map(|kept| kept.rest)
    }

    /// Keeps it, instead of what was kept for longest.
    pub(super) fn keep(&self, mut rest: Rest, bounds: Bounds) {
        rest.trim(bounds.rest);
        let weight = rest.weight();
        let mut kept = self.lock();
        let mut bytes: usize = kept.iter().map(|kept| kept.weight).sum();
        while bytes + weight > bounds.rest || kept.len() >= FOLDERS {
            let Some(oldest) = kept.pop_front() else { return };
            bytes -= oldest.weight;
        }
        kept.extend(self.retained.try_extra(weight).map(|_charge| Kept { rest, weight, _charge }));
    }

    /// Lets go of what is kept of these folders.
    pub(super) fn forget(&self, of: impl Fn(&RelPath) -> bool) {
        self.lock().retain(|kept| !of(kept.rest.path()));
    }
}
