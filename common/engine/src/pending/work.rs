//! Work under way: how it is handed out, and how it ends. What is owed again of it goes back to where it stands by now,
//! and is as old as it was.

use std::time::{Duration, Instant};

use proto::RelPath;

use super::{Depth, Pending, RECENT, Recent, Since, Task, Ticket, Waiting, Work, places};
use crate::hint::Cause;

impl Pending {
    pub(super) fn hand_out_waiting(&mut self, path: RelPath, waiting: Waiting, now: Instant) -> Work {
        let task = match waiting.depth {
            Depth::Entry => Task::Entry { path, cause: waiting.cause },
            Depth::Folder => Task::Folder { path },
            Depth::Subtree => Task::Subtree { path },
        };
        self.hand_out(task, waiting.since, now)
    }

    pub(super) fn hand_out(&mut self, task: Task, since: Since, begun: Instant) -> Work {
        let stands = places(&task).map(|place| self.forwarded(place)).collect();
        let work = Work { ticket: self.next, task, since, stands, scattered: false, begun };
        self.next += 1;
        for path in &work.stands {
            self.taken_at.insert((path.clone(), work.ticket));
        }
        self.ages.add(since);
        self.taken.insert(work.ticket, work.clone());
        work
    }

    /// This work is acknowledged.
    pub fn done(&mut self, ticket: Ticket, now: Instant) {
        let Some(work) = self.release(ticket, now) else { return };
        if matches!(work.task, Task::Folder { .. } | Task::Subtree { .. }) {
            self.compared = Some(now);
        }
        let whole = work.task.is_whole();
        for path in work.stands {
            self.remember(Recent { at: now, path, whole });
        }
        if self.is_empty() {
            self.agree(now);
        }
    }

    /// These places were looked at, too, by work that is about others.
    pub fn looked_at(&mut self, places: &[RelPath], now: Instant) {
        for path in places {
            self.remember(Recent { at: now, path: path.clone(), whole: false });
        }
    }

    fn remember(&mut self, recent: Recent) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(recent);
    }

    /// When the oldest change in this work was noticed.
    pub(crate) fn since(&self, ticket: Ticket, now: Instant) -> Since {
        self.taken.get(&ticket).map_or(Since::noticed(now), |work| work.since)
    }

    /// When this work was handed out: what changed after it looked is younger than that.
    pub(crate) fn begun(&self, ticket: Ticket, now: Instant) -> Since {
        Since::noticed(self.taken.get(&ticket).map_or(now, |work| work.begun))
    }

    /// This work does what older work was about: it is as old as that.
    pub(crate) fn takes_over(&mut self, ticket: Ticket, since: Since) {
        if let Some(work) = self.taken.get_mut(&ticket).filter(|work| work.since > since) {
            self.ages.remove(work.since);
            self.ages.add(since);
            work.since = since;
        }
    }

    /// This work has to be done again, not before `after`.
    pub fn again(&mut self, ticket: Ticket, after: Duration, now: Instant) {
        if let Some(work) = self.release(ticket, now) {
            self.put_back(work, after, now);
        }
    }

    /// This work found nothing where something was expected: an event will say why, or else the listing of the folder
    /// above.
    pub fn lost_sight(&mut self, ticket: Ticket, now: Instant) {
        let Some(work) = self.release(ticket, now) else { return };
        let cause = match &work.task {
            Task::Entry { cause, .. } => *cause,
            _ => Cause::ATTRIBUTES,
        };
        for path in &work.stands {
            self.insert(path.clone(), Depth::Entry, cause | Cause::LOST, work.since, now);
            self.postpone(path, now + self.rules.holds.lost);
        }
    }

    /// This file is new under this name and may still be written: its content is due by the rule for open files. Its other
    /// names, if it has any, are told by what writes to it.
    pub fn still_open(&mut self, ticket: Ticket, now: Instant) {
        let Some(work) = self.release(ticket, now) else { return };
        if let Task::Entry { .. } = work.task {
            for path in work.stands {
                self.insert(path, Depth::Entry, Cause::WRITING | Cause::ALONE, work.since, now);
            }
        } else {
            self.put_back(work, self.rules.open_settle, now);
        }
    }

    /// The link is lost: all work that was handed out is owed again. What a rename did is not known, so its places are
    /// compared whole, and a file that stands at one is sent: two may be alike in size and time.
    pub fn link_lost(&mut self, now: Instant) {
        self.part(now);
        let tickets: Vec<Ticket> = self.taken.keys().copied().collect();
        for ticket in tickets {
            let Some(work) = self.release(ticket, now) else { continue };
            if let Task::Entry { .. } = &work.task {
                for parent in work.stands.iter().filter_map(RelPath::parent) {
                    self.insert(parent, Depth::Entry, Cause::ENTRIES, work.since, now);
                }
            }
            self.put_back(work, Duration::ZERO, now);
        }
    }

    fn release(&mut self, ticket: Ticket, now: Instant) -> Option<Work> {
        let work = self.taken.remove(&ticket)?;
        self.ages.remove(work.since);
        for path in &work.stands {
            self.taken_at.remove(&(path.clone(), ticket));
        }
        self.undefer(ticket);
        if work.scattered {
            for path in &work.stands {
                self.doubt(path.clone(), work.since, now);
            }
        }
        Some(work)
    }

    fn put_back(&mut self, work: Work, after: Duration, now: Instant) {
        for (at, path) in work.stands.iter().enumerate() {
            let path = path.clone();
            match work.task {
                Task::Entry { cause, .. } => {
                    // The target may have it by now: should it vanish, that is a deletion.
                    let new = cause.has(Cause::CREATED);
                    let cause = if new { cause.without(Cause::CREATED) | Cause::WRITTEN } else { cause };
                    self.insert(path, Depth::Entry, cause, work.since, now);
                }
                Task::Folder { .. } => self.insert(path, Depth::Folder, Cause::default(), work.since, now),
                Task::Rename { .. } if at == 0 => self.insert(path, Depth::Entry, Cause::GONE, work.since, now),
                Task::Subtree { .. } => self.subtree(path, work.since, now),
                Task::Rename { .. } | Task::Exchange { .. } => self.doubt(path, work.since, now),
            }
        }
        if !after.is_zero() {
            for path in &work.stands {
                self.postpone(path, now + after);
            }
        }
    }
}
