//! Looks that wait for their turn. Those at large files wait by themselves while enough of such are on their way, and are
//! not touched again before one of those is through.

#[cfg(test)]
mod tests;
mod why;

use std::collections::VecDeque;

use proto::{Kind, Name, RelPath};

use super::pass::{Difference, Differing, Pass};
use super::upload::is_blob;
use super::{Ended, Session, TURN};
use crate::pending::Ticket;
pub(super) use why::Why;

/// One entry to look at.
pub(super) struct Look {
    pub ticket: Ticket,
    pub path: RelPath,
    pub why: Why,
    /// What a listing said that it is, where all of it is to be sent.
    pub kind: Option<Kind>,
    /// Its size in bytes, where that was seen.
    pub size: Option<u64>,
    /// Bytes for which the target has promised room.
    pub room: Option<u64>,
    /// Whether the target is asked first if it has the content.
    pub asks: Asks,
}

/// Whether it is asked, before the content of a file is sent, if the target has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// Where what led to the look says that it may.
    Perhaps,
    /// It is likely to.
    First,
    /// It has another, or the content is to be sent anyhow.
    No,
}

impl Look {
    /// At something that is still to be found out.
    pub fn new(ticket: Ticket, path: RelPath, why: Why) -> Look {
        Look { ticket, path, why, kind: None, size: None, room: None, asks: Asks::Perhaps }
    }

    /// Bytes of content that it will send, as far as that is known before it.
    pub fn expects(&self) -> Option<u64> {
        self.size.filter(|_| self.kind == Some(Kind::File))
    }

    /// Whether it will send content of which the size is not known.
    fn is_unsized(&self) -> bool {
        self.kind == Some(Kind::File) && self.size.is_none()
    }
}

/// A look at an entry of a folder, which has no path of its own before it is its turn: there may be a million of them, and
/// the path of the folder may be long.
#[derive(Debug)]
pub(super) struct Coming {
    pub name: Name,
    pub why: Why,
    /// As of a [`Look`].
    pub kind: Option<Kind>,
    pub size: Option<u64>,
    pub asks: Asks,
}

impl Coming {
    /// At something that is still to be found out.
    pub fn new(name: Name, why: Why) -> Coming {
        Coming { name, why, kind: None, size: None, asks: Asks::Perhaps }
    }
}

impl From<Differing> for Coming {
    fn from(Differing { name, kind, size, difference }: Differing) -> Coming {
        let kind = (difference != Difference::Metadata).then_some(kind);
        Coming { kind, size: Some(size), ..Coming::new(name, Why::Differs(difference)) }
    }
}

/// Looks at entries of a folder, in order.
struct Folder {
    ticket: Ticket,
    folder: RelPath,
    coming: std::vec::IntoIter<Coming>,
}

impl Folder {
    fn look(&self, coming: &Coming) -> Option<Look> {
        let path = self.folder.join(&coming.name).ok()?;
        let Coming { why, kind, size, asks, .. } = *coming;
        Some(Look { kind, size, asks, ..Look::new(self.ticket, path, why) })
    }
}

enum Queued {
    One(Look),
    Folder(Folder),
}

/// Whether one more large file may be on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Free,
    Taken,
}

/// The queue of a session, in order but for large files.
#[derive(Default)]
pub(super) struct Looks {
    next: VecDeque<Queued>,
    /// How many are in that.
    waiting: usize,
    /// What was found to be at large files, in order.
    large: VecDeque<Look>,
    /// Bytes of the paths of all but those that have none of their own yet.
    path_bytes: usize,
    /// How many of both are at files whose size was not seen.
    not_sized: usize,
    /// Bytes of the files that the others are at.
    bytes: u128,
}

impl Looks {
    /// One more, after all that wait.
    pub fn add(&mut self, look: Look) {
        self.count(&look);
        self.waiting += 1;
        self.next.push_back(Queued::One(look));
    }

    /// The same of these in a folder, each with a path that is none too long.
    fn add_folder(&mut self, folder: Folder) {
        for coming in folder.coming.as_slice() {
            self.count_content(coming.kind, coming.size);
        }
        self.waiting += folder.coming.len();
        self.next.push_back(Queued::Folder(folder));
    }

    /// One that turned out to be at a large file, while no slot is free.
    pub fn set_aside(&mut self, look: Look) {
        self.count(&look);
        self.large.push_back(look);
    }

    fn count(&mut self, look: &Look) {
        self.path_bytes += look.path.as_bytes().len();
        self.count_content(look.kind, look.size);
    }

    fn count_content(&mut self, kind: Option<Kind>, size: Option<u64>) {
        if kind == Some(Kind::File) {
            self.not_sized += usize::from(size.is_none());
            self.bytes += u128::from(size.unwrap_or_default());
        }
    }

    /// The next, those first that were set aside once there is a slot.
    pub fn take(&mut self, slot: Slot) -> Option<Look> {
        let large = if slot == Slot::Free { self.large.pop_front() } else { None };
        let large = large.inspect(|look| self.path_bytes -= look.path.as_bytes().len());
        let look = large.or_else(|| self.take_next())?;
        self.not_sized -= usize::from(look.is_unsized());
        self.bytes -= u128::from(look.expects().unwrap_or_default());
        Some(look)
    }

    fn take_next(&mut self) -> Option<Look> {
        let look = loop {
            match self.next.front_mut()? {
                Queued::Folder(folder) => {
                    if let Some(coming) = folder.coming.next() {
                        break folder.look(&coming)?;
                    }
                    self.next.pop_front();
                }
                Queued::One(_) => {
                    let Some(Queued::One(look)) = self.next.pop_front() else { return None };
                    self.path_bytes -= look.path.as_bytes().len();
                    break look;
                }
            }
        };
        self.waiting -= 1;
        Some(look)
    }

    /// Bytes of the paths that they have.
    pub fn path_bytes(&self) -> usize {
        self.path_bytes
    }

    /// How many wait, those that were set aside among them.
    pub fn len(&self) -> usize {
        self.waiting + self.large.len()
    }

    /// Bytes of the files that they are at, as far as their sizes were seen.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.bytes).unwrap_or(u64::MAX)
    }

    /// Whether the size of every file that will be sent is known.
    pub fn are_sized(&self) -> bool {
        self.not_sized == 0
    }
}

impl Session<'_> {
    /// Queues a look of a pass, or one that an answer asks for.
    pub(super) fn queue_look(&mut self, look: Look) {
        self.flight.hold(look.ticket);
        self.passes.tell(look.ticket, |pass| pass.waits_for_looks(1));
        self.tell_found(&look);
        self.looks.add(look);
    }

    /// The same of entries of a folder that a pass has found. What is too deep, or has too long a path, is named.
    pub(super) fn queue_looks(&mut self, ticket: Ticket, folder: RelPath, found: impl Iterator<Item = Coming>) {
        let mut coming: Vec<Coming> = found.collect();
        coming.retain(|one| {
            let fits = folder.check(&one.name).is_ok();
            if !fits {
                let reason = "not mirrored: its path is longer than 65535 bytes or deeper than 1024 folders";
                self.mirror.entries.problem(&folder, format!("{} in it is {reason}", one.name));
            }
            fits
        });
        if coming.is_empty() {
            return;
        }
        // When it is their turn the folder may be whole again.
        if self.mirror.pending().is_rebuilt(&folder) {
            let differ = coming.iter_mut().filter(|one| one.why == Why::Differs(Difference::Content));
            differ.for_each(|one| one.asks = Asks::First);
        }
        self.flight.hold_more(ticket, coming.len());
        self.passes.tell(ticket, |pass| pass.waits_for_looks(coming.len()));
        let files = coming.iter().filter(|one| one.kind == Some(Kind::File));
        files.filter_map(|one| one.size).for_each(|size| self.mirror.progress.find(size));
        self.looks.add_folder(Folder { ticket, folder, coming: coming.into_iter() });
    }

    /// Looks now, unless it is at a large file while enough of those are on their way.
    pub(super) fn look_or_queue(&mut self, mut look: Look) -> Result<(), Ended> {
        if self.uploads.slot() == Slot::Taken && self.is_large(&mut look) {
            self.flight.hold(look.ticket);
            self.passes.tell(look.ticket, |pass| pass.waits_for_looks(1));
            self.set_aside(look);
            return Ok(());
        }
        self.look(look)
    }

    /// Some of the queued looks.
    pub(super) fn step_looks(&mut self) -> Result<bool, Ended> {
        self.near.borrow_mut().begin();
        let worked = self.step_some_looks();
        self.near.borrow_mut().end();
        worked
    }

    fn step_some_looks(&mut self) -> Result<bool, Ended> {
        let mut worked = false;
        for _ in 0..TURN {
            if !self.may_send() {
                break;
            }
            let slot = self.uploads.slot();
            let Some(mut look) = self.looks.take(slot) else { break };
            worked = true;
            if let Some(size) = look.expects() {
                // It counts as found again when its file is open.
                self.mirror.progress.lose(size);
            }
            if slot == Slot::Taken && self.is_large(&mut look) {
                // The small ones behind it do not wait for a slot.
                self.set_aside(look);
                continue;
            }
            let (ticket, blob) = (look.ticket, self.uploads.last_id());
            self.look(look)?;
            if self.uploads.last_id() == blob {
                self.looked(ticket)?;
            } else {
                // The upload has a hold of its own, and the pass waits for it.
                self.flight.let_go(ticket);
            }
        }
        Ok(worked)
    }

    fn set_aside(&mut self, look: Look) {
        self.tell_found(&look);
        self.looks.set_aside(look);
    }

    fn tell_found(&self, look: &Look) {
        if let Some(size) = look.expects() {
            self.mirror.progress.find(size);
        }
    }

    /// A queued look, or the upload that it led to, is through.
    pub(super) fn looked(&mut self, ticket: Ticket) -> Result<(), Ended> {
        self.passes.tell(ticket, Pass::looked);
        self.advance(ticket)?;
        self.flight.let_go(ticket);
        Ok(())
    }

    /// Whether this is at a file that travels in pieces, of which the size is known from then on.
    fn is_large(&mut self, look: &mut Look) -> bool {
        if look.size.is_some_and(|size| size > proto::limits::INLINE as u64) {
            return true;
        }
        let stat = self.find(&look.path).ok().flatten().map(|(_, _, stat)| stat);
        let Some(stat) = stat.filter(|stat| stat.kind == Kind::File && is_blob(stat)) else { return false };
        self.account_size(look, &stat);
        look.size = Some(stat.size);
        true
    }
}
