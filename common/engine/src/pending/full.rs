//! What becomes of hints and renames when too many wait: bigger hints. Nothing is dropped, and its age stays.

use std::collections::HashMap;
use std::time::Instant;

use proto::RelPath;

use super::ages::Since;
use super::hints::Hints;
use super::moves::Moves;
use super::waiting::{Depth, Waiting};
use crate::hint::Cause;

/// What may wait before it becomes bigger hints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    /// Hints, parked or not.
    pub hints: usize,
    /// Renames that were not handed out.
    pub moves: usize,
    /// Hints in one folder that are kept apart even when there is no room.
    pub folder: usize,
}

/// That of a program. The paths take about 40 MB, where they are of usual length.
pub(super) const CAPACITY: Capacity = Capacity { hints: 200_000, moves: 10_000, folder: 16 };

impl Capacity {
    /// To be called when something was added.
    pub fn keep(self, hints: &mut Hints, moves: &mut Moves, now: Instant) {
        if hints.store().len() > self.hints || moves.len() > self.moves {
            collapse(self, hints, moves, now);
        }
    }
}

/// Many hints in one folder become one at that folder, and if that is not enough all become one at the root.
pub(super) fn collapse(capacity: Capacity, hints: &mut Hints, moves: &mut Moves, now: Instant) {
    let mut sizes: HashMap<RelPath, usize> = HashMap::new();
    let paths: Vec<RelPath> = hints.store().iter().map(|(path, _)| path.clone()).collect();
    for path in &paths {
        *sizes.entry(path.parent().unwrap_or_default()).or_default() += 1;
    }
    for path in paths {
        let parent = path.parent().unwrap_or_default();
        if sizes[&parent] > capacity.folder
            && let Some(waiting) = hints.remove(&path)
        {
            widen(hints, parent, waiting, now);
        }
    }
    if hints.store().len() > capacity.hints / 2 || moves.len() > capacity.moves {
        collapse_all(hints, moves, now);
    }
}

/// This hint becomes one at the folder above. What comes of hints that are all parked is parked.
fn widen(hints: &mut Hints, parent: RelPath, waiting: Waiting, now: Instant) {
    let parked = match (hints.store().get(&parent).map(|there| there.parked), waiting.parked) {
        (None, claim) => claim,
        (Some(Some(one)), Some(other)) => Some(one.min(other)),
        _ => None,
    };
    let depth = if waiting.depth == Depth::Entry { Depth::Folder } else { Depth::Subtree };
    hints.add(parent.clone(), depth, Cause::default(), waiting.since, now);
    hints.park_at(parent, parked);
}

fn collapse_all(hints: &mut Hints, moves: &mut Moves, now: Instant) {
    let moved = moves.clear();
    let moving = hints.store().first_due().is_some() || moved.is_some();
    let oldest = hints.store().oldest().into_iter().chain(moved).min().unwrap_or(Since::noticed(now));
    let least = hints.store().iter().filter_map(|(_, waiting)| waiting.parked).min();
    let paths: Vec<RelPath> = hints.store().iter().map(|(path, _)| path.clone()).collect();
    for path in paths {
        hints.remove(&path);
    }
    hints.add(RelPath::root(), Depth::Subtree, Cause::default(), oldest, now);
    hints.park_at(RelPath::root(), least.filter(|_| !moving));
}
