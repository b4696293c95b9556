//! What becomes of hints and renames when too many wait: bigger hints. Nothing is dropped, and its age stays.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use proto::RelPath;

use super::ages::Since;
use super::hints::Hints;
use super::moves::Moves;
use super::store;
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
    /// What hints and renames take together. Paths may be long: whoever may write to a source chooses them.
    pub bytes: usize,
}

/// LIMIT: that of a program, for each target. Of hints with paths of usual length it has room for fifty thousand. What else is
/// remembered for a target: ARCHITECTURE.md, "Memory".
pub(super) const CAPACITY: Capacity = Capacity { hints: 200_000, moves: 10_000, folder: 16, bytes: 20 * 1024 * 1024 };

impl Capacity {
    /// To be called when something was added.
    pub fn keep(self, hints: &mut Hints, moves: &mut Moves, now: Instant) {
        let bytes = hints.store().bytes() + moves.bytes();
        if hints.store().len() > self.hints || moves.len() > self.moves || bytes > self.bytes {
            collapse(self, hints, moves, now);
        }
    }

    /// Whether that leaves room for more.
    fn has_room(self, hints: &Hints, moves: &Moves) -> bool {
        let bytes = hints.store().bytes() + moves.bytes();
        hints.store().len() <= self.hints / 2 && moves.len() <= self.moves / 2 && bytes <= self.bytes / 2
    }
}

/// Many hints in one folder become one at that folder. If that is not enough, all that waits of one neighbour becomes one at
/// the folder that has all of it, those first that take most; and then all become one at the root.
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
    for neighbour in neighbours(hints, moves) {
        if capacity.has_room(hints, moves) {
            return;
        }
        collapse_neighbour(&neighbour, hints, moves, now);
    }
    if !capacity.has_room(hints, moves) {
        collapse_all(hints, moves, now);
    }
}

/// The neighbours in which more than one thing waits, those first that take most.
fn neighbours(hints: &Hints, moves: &Moves) -> Vec<RelPath> {
    let mut sizes: BTreeMap<RelPath, (usize, usize)> = BTreeMap::new();
    let hinted = hints.store().iter().map(|(path, _)| (path.top(), store::size(path)));
    for (neighbour, size) in hinted.chain(moves.neighbours()).filter(|(neighbour, _)| !neighbour.is_root()) {
        let (count, bytes) = sizes.entry(neighbour).or_default();
        (*count, *bytes) = (*count + 1, *bytes + size);
    }
    let mut neighbours: Vec<_> = sizes.into_iter().filter(|(_, (count, _))| *count > 1).collect();
    neighbours.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    neighbours.into_iter().map(|(neighbour, _)| neighbour).collect()
}

/// All that waits in this neighbour becomes one comparison. So does what its renames have left or brought in another neighbour,
/// and what those of others that wait still will carry on to a third: they carry there what the target has instead.
pub(super) fn collapse_neighbour(neighbour: &RelPath, hints: &mut Hints, moves: &mut Moves, now: Instant) {
    let mut tops: BTreeMap<RelPath, (RelPath, Since)> = BTreeMap::new();
    let mut meet = |path: &RelPath, since: Since| {
        let (top, oldest) = tops.entry(path.top()).or_insert_with(|| (path.clone(), since));
        (*top, *oldest) = (common(top, path), since.min(*oldest));
    };
    let (mut parked, mut moving) = (None, false);
    for (number, step) in moves.take_neighbour(neighbour) {
        moving = true;
        for place in step.places() {
            meet(place, step.since());
            meet(&moves.forwarded_after(number, place), step.since());
        }
    }
    let mut all = hints.store().beneath(neighbour);
    all.extend(hints.store().get(neighbour).map(|_| neighbour.clone()));
    for path in all {
        let Some(waiting) = hints.remove(&path) else { continue };
        meet(&path, waiting.since);
        moving |= waiting.parked.is_none();
        parked = parked.into_iter().chain(waiting.parked).min();
    }
    for (at, (top, since)) in tops {
        let moved = at != *neighbour || moving;
        hints.add(top.clone(), Depth::Subtree, Cause::default(), since, now);
        hints.park_at(top, parked.filter(|_| !moved));
    }
}

/// The deepest folder that has both in it, or is one of them.
fn common(one: &RelPath, other: &RelPath) -> RelPath {
    let mut folder = one.clone();
    while !other.is_within(&folder) {
        folder = folder.parent().unwrap_or_default();
    }
    folder
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
