//! How work is handed out: in turns over the `neighbours`, of each the renames before the hints; and what becomes of hints in
//! a folder of which so much is told that it is compared as a whole (see `storms`).

use std::time::Instant;

use proto::RelPath;

use super::ages::Since;
use super::renamed::Turn;
use super::task::Work;
use super::under_way::Deferred;
use super::{Move, Pending};
use crate::hint::{Cause, Hint};

/// What is left of a hint.
pub(super) enum Outside {
    /// This is to be owed.
    Owed(Hint),
    /// Nothing: a comparison that waits meets it. Of a rename what it turned out to be.
    Swallowed(Option<Turn>),
}

impl Pending {
    pub(super) fn take_in_turn(&mut self, now: Instant) -> Option<Work> {
        while let Some(neighbour) = self.hints.turn(now) {
            // What concerns the root itself concerns all that is moved, and goes after all renames.
            if let Some(step) = self.moves.pop(&neighbour) {
                self.call_again(&step, &neighbour);
                return Some(self.begin_move(step, now));
            }
            let Some((due, path)) = self.hints.store().due_in(&neighbour, now) else { continue };
            let path = path.clone();
            if let Some((ticket, later)) = self.under_way.comparison_above(&path, now) {
                self.hints.postpone(&path, later);
                self.under_way.defer(ticket, Deferred { path, due, later });
                continue;
            }
            if let Some(waiting) = self.hints.remove(&path) {
                if waiting.is_whole() {
                    self.storms.compared(&path, now);
                }
                return Some(self.begin(path, waiting, now));
            }
        }
        None
    }

    /// A neighbour that has more renames has another turn.
    fn call_again(&mut self, step: &Move, neighbour: &RelPath) {
        for neighbour in step.places().map(RelPath::top).into_iter().chain([neighbour.clone()]) {
            if self.moves.has(&neighbour) {
                self.hints.call(neighbour);
            }
        }
    }

    /// Counts a hint at something that was not known before, and takes it in where there is a storm.
    pub(super) fn outside_storms(&mut self, hint: Hint, since: Since, now: Instant) -> Outside {
        if let Hint::Subtree { path } | Hint::Folder { path } = &hint
            && path.is_root()
        {
            return Outside::Owed(hint);
        }
        match hint {
            Hint::Entry { path, cause } => {
                // The mtime of a folder is no change of its own, and what only comes to a hint that waits costs next to
                // nothing.
                let counts = self.storms.storm(&path).is_some() || self.hints.store().get(&path).is_none();
                if counts && !cause.only(Cause::ENTRIES) {
                    self.storms.changed(&path, now);
                }
                match self.storms.storm(&path) {
                    Some(folder) if path != folder => self.leave_to_storm(folder, since, now),
                    _ => return Outside::Owed(Hint::Entry { path, cause }),
                }
            }
            Hint::Folder { path } | Hint::Subtree { path } if self.is_in_storm(&path) => {
                let folder = self.storms.storm(&path).unwrap_or_default();
                self.leave_to_storm(folder, since, now);
            }
            Hint::Renamed { from, to, folder, since: before } => {
                self.storms.renamed(&from, &to, now);
                let (left, came) = (self.is_in_storm(&from), self.is_in_storm(&to));
                if (!left && !came) || self.leaves_out(&from) || self.leaves_out(&to) {
                    return Outside::Owed(Hint::Renamed { from, to, folder, since: before });
                }
                self.agreed.stays(self.owed_now(), now);
                self.held_renamed(&from, &to, Turn::Renamed, now);
                for place in [&from, &to] {
                    if let Some(folder) = self.storms.storm(place).filter(|folder| place != folder) {
                        self.leave_to_storm(folder, since, now);
                    }
                }
                if !came {
                    self.hints.doubt(to, since, now);
                    self.capacity.keep(&mut self.hints, &mut self.moves, now);
                } else if !left {
                    self.owe(Hint::Entry { path: from, cause: Cause::GONE }, since, now);
                }
                return Outside::Swallowed(Some(Turn::Renamed));
            }
            hint => return Outside::Owed(hint),
        }
        Outside::Swallowed(None)
    }

    /// Whether it is beneath a folder in which there is a storm.
    fn is_in_storm(&self, path: &RelPath) -> bool {
        self.storms.storm(path).is_some_and(|folder| *path != folder)
    }

    /// The comparison of this folder waits, and is as old as this.
    fn leave_to_storm(&mut self, folder: RelPath, since: Since, now: Instant) {
        self.agreed.stays(self.owed_now(), now);
        let due = self.storms.due(&folder, now);
        if self.hints.leave_to_comparison_above(&folder, since)
            || self.hints.leave_to_comparison_at(&folder, since, due)
        {
            return;
        }
        self.hints.subtree(folder.clone(), since, now);
        self.hints.postpone(&folder, due);
    }
}
