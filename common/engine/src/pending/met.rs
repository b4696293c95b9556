//! What work under way or done lately has met: whether a hint is covered by it, and whether the target can have an entry.

use std::time::{Duration, Instant};

use proto::RelPath;

use super::{Depth, Pending, RECENT, Task, Ticket};
use crate::hint::Cause;

/// Hints beneath a comparison wait for it if it began less than this ago: it meets most of what they tell of.
const YOUNG: Duration = Duration::from_secs(1);

/// Events older than this are not still on their way.
const LATE: Duration = Duration::from_secs(5);

/// A hint that waits for a comparison.
#[derive(Debug)]
pub(super) struct Deferred {
    path: RelPath,
    /// When it was due.
    due: Instant,
    /// When it is due if the comparison takes long.
    later: Instant,
}

/// Why a folder waits to be compared with all beneath it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Above {
    /// It may be new.
    Differs,
    /// A rename has left it, or it was looked at while one happened: what is in it stands there as far as is known.
    InDoubt,
}

impl Pending {
    /// The entry of this work is a folder, and is being compared with all beneath it.
    pub fn widened(&mut self, ticket: Ticket) {
        if let Some(work) = self.taken.get_mut(&ticket)
            && let Task::Entry { path, .. } = &work.task
        {
            work.task = Task::Subtree { path: path.clone() };
        }
    }

    /// A comparison of everything beneath a folder that has just begun: it will meet what is in there, and it sends
    /// folders before what they hold.
    pub(super) fn comparison_above(&self, path: &RelPath, now: Instant) -> Option<Ticket> {
        let mut above = path.parent();
        while let Some(folder) = above.filter(|folder| !folder.is_root()) {
            let mut tickets = self.taken_at.range((folder.clone(), 0)..=(folder.clone(), Ticket::MAX));
            let young = |ticket: &Ticket| {
                let work = &self.taken[ticket];
                matches!(work.task, Task::Subtree { .. }) && now.saturating_duration_since(work.begun) < YOUNG
            };
            if let Some((_, ticket)) = tickets.find(|(_, ticket)| young(ticket)) {
                return Some(*ticket);
            }
            above = folder.parent();
        }
        None
    }

    /// This hint is due when that work is through, or is not young any more.
    pub(super) fn defer(&mut self, path: RelPath, ticket: Ticket) {
        let (Some(waiting), Some(work)) = (self.waiting.get(&path), self.taken.get(&ticket)) else { return };
        let (due, later) = (waiting.due, work.begun + YOUNG);
        self.postpone(&path, later);
        self.deferred.entry(ticket).or_default().push(Deferred { path, due, later });
    }

    /// What waited for this work is due as it was before, unless something else has postponed it.
    pub(super) fn undefer(&mut self, ticket: Ticket) {
        for Deferred { path, due, later } in self.deferred.remove(&ticket).unwrap_or_default() {
            if let Some(waiting) = self.waiting.get_mut(&path)
                && waiting.due == later
                && waiting.held.is_none()
            {
                waiting.due = due;
                self.due.remove(&(later, path.clone()));
                self.due.insert((due, path));
            }
        }
    }

    /// The folder above, other than the root, that waits to be compared with all beneath it, and why.
    pub(super) fn waits_above(&self, path: &RelPath) -> Option<(RelPath, Above)> {
        let mut found = None;
        let mut above = path.parent();
        while let Some(folder) = above.filter(|folder| !folder.is_root()) {
            if self.subtrees.contains(&folder) {
                if !self.waiting[&folder].cause.has(Cause::WRITTEN) {
                    return Some((folder, Above::Differs));
                }
                found = Some((folder.clone(), Above::InDoubt));
            }
            above = folder.parent();
        }
        found
    }

    /// INVARIANT: true only when the target cannot have the entry: its name appeared by an event, and neither a look
    /// at it nor a comparison that may have met it was on its way since.
    pub(super) fn came_and_went(&self, path: &RelPath, now: Instant) -> bool {
        let Some(waiting) = self.waiting.get(path) else { return false };
        let fresh = waiting.depth == Depth::Entry
            && waiting.cause.has(Cause::CREATED)
            && !waiting.cause.has(Cause::GONE | Cause::VACATED | Cause::LOST);
        fresh && !self.is_taken(path, now) && !self.comparing(now)
    }

    /// Whether a comparison is under way or ended so lately that events of its time may still be on their way.
    fn comparing(&self, now: Instant) -> bool {
        self.compared.is_some_and(|at| now.saturating_duration_since(at) < LATE)
            || self.taken.values().any(|work| matches!(work.task, Task::Folder { .. } | Task::Subtree { .. }))
    }

    /// Whether it is being looked at, or may have been lately.
    fn is_taken(&self, path: &RelPath, now: Instant) -> bool {
        let mut lately = self.recent.iter().rev().take_while(|recent| now.saturating_duration_since(recent.at) < LATE);
        let forgotten = self.recent.len() == RECENT
            && self.recent.front().is_some_and(|oldest| now.saturating_duration_since(oldest.at) < LATE);
        self.taken_at.range((path.clone(), 0)..=(path.clone(), Ticket::MAX)).next().is_some()
            || forgotten
            || lately.any(|recent| recent.path == *path)
    }
}
