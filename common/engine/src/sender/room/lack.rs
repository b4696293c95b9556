//! What is done while the target's disk is full or read-only: what it refuses is parked, or waits with the rest, and the room
//! for content is asked for before it is sent.

use proto::{Content, Kind, Meta, RelPath, ToReceiver, limits};
use sys::{File, Lack, Stat};

use super::{Gate, News, OTHERS, Wish};
use crate::blocked::Blocked;
use crate::hint::{Cause, Hint};
use crate::pending::{Claim, Owner, Ticket, Wait};
use crate::sender::flight::Sent;
use crate::sender::looks::{Look, Why};
use crate::sender::pass::Difference;
use crate::sender::{Ended, Session};

/// Content that waits: the other names of its file, if it has any, were told when it was looked at. Were they told again each
/// time, two that wait would call each other without end.
const TOLD: Cause = Cause::WRITTEN.and(Cause::ALONE);

/// Folders in which more waits than is parked.
pub(super) const LATER: Claim = Claim { owner: (u32::MAX, 1), bytes: 0 };
/// Paths that are parked; beyond that their folders are, and looked at again when half of these are through.
pub(super) const PARKED: usize = 100_000;

impl Session<'_> {
    /// An operation failed because the target lacks room, or cannot be written.
    pub(in crate::sender) fn lacking(&mut self, op: u64, lack: Lack, reason: &str) -> Result<(), Ended> {
        let Some((ticket, sent)) = self.flight.get(op) else { return Ok(()) };
        let sent = sent.clone();
        self.note_lack(lack, reason)?;
        for (place, wait, claim) in self.waits(ticket, &sent) {
            let place = self.by_now(op, &place);
            self.park(ticket, place, wait, claim);
        }
        self.forget_question(op)?;
        self.flight.conclude(op);
        Ok(())
    }

    /// What of an operation that was refused has to be looked at when there is room.
    fn waits(&mut self, ticket: Ticket, sent: &Sent) -> Vec<(RelPath, Wait, Claim)> {
        let places = match sent {
            Sent::Asked(path, claim) => {
                return vec![(path.clone(), Wait::Entry(TOLD), self.room.limit(ticket, *claim))];
            }
            Sent::Entry(path, claim) => {
                return vec![(path.clone(), Wait::Entry(TOLD), self.room.limit_more(ticket, *claim))];
            }
            Sent::Folder(path, claim) if !path.is_root() => {
                return vec![(path.clone(), Wait::Subtree, self.room.limit_more(ticket, *claim))];
            }
            Sent::Folder(path, _) | Sent::Standing(path) | Sent::Offer(path) | Sent::LinkedOffer(path, _) => {
                vec![(path, Wait::Entry(Cause::ATTRIBUTES))]
            }
            Sent::Apart(path) => vec![(path, Wait::Entry(Cause::ATTRIBUTES.and(Cause::APART)))],
            Sent::Rebuilt(path, ..) => vec![(path, Wait::Entry(Cause::WRITTEN))],
            Sent::Forerunner(path) | Sent::Link(path, _) => vec![(path, Wait::Entry(Cause::ATTRIBUTES))],
            Sent::Remove(path) => vec![(path, Wait::Entry(Cause::GONE))],
            Sent::Rename(from, to, _) => vec![(from, Wait::Entry(Cause::GONE)), (to, Wait::Doubt)],
            Sent::Exchange(a, b, _) => vec![(a, Wait::Doubt), (b, Wait::Doubt)],
            // See `forget_question`.
            Sent::Vacant(..) => Vec::new(),
            Sent::Compare(path) | Sent::List(path) | Sent::Count(path) | Sent::Settle(path) => {
                vec![(path, Wait::Subtree)]
            }
        };
        let claim = self.room.limit_more(ticket, OTHERS);
        places.into_iter().map(|(path, wait)| (path.clone(), wait, claim)).collect()
    }

    fn note_lack(&mut self, lack: Lack, reason: &str) -> Result<(), Ended> {
        if self.room.refused(lack, reason, self.mirror.now()) == News::Known {
            return Ok(());
        }
        let since = self.mirror.clock().wall();
        self.mirror.target.set_blocked(Some(Blocked {
            lack,
            reason: reason.to_owned(),
            since,
            paths: 0,
            tries: 0,
            told: false,
        }));
        self.stop_uploads()
    }

    /// What is on its way in pieces would not fit, and takes the room of what does.
    fn stop_uploads(&mut self) -> Result<(), Ended> {
        for upload in self.uploads.take_all() {
            let claim = self.claim(upload.stat());
            self.park(upload.ticket(), upload.path().clone(), Wait::Entry(TOLD), claim);
            self.drop_upload(upload)?;
        }
        Ok(())
    }

    /// Has something looked at when the lack is over, as old as this work.
    pub(in crate::sender) fn park(&mut self, ticket: Ticket, path: RelPath, wait: Wait, claim: Claim) {
        let (since, now) = (self.since(ticket), self.mirror.now());
        if self.room.is_full() {
            let mut pending = self.mirror.pending();
            return match path.parent() {
                Some(folder) if pending.parked() >= PARKED => pending.park(folder, Wait::Folder, LATER, since, now),
                _ => pending.park(path, wait, claim, since, now),
            };
        }
        match wait {
            Wait::Folder => self.owe_since(since, Hint::Folder { path }),
            Wait::Entry(cause) => self.owe_since(since, Hint::Entry { path, cause }),
            Wait::Subtree => self.owe_since(since, Hint::Subtree { path }),
            Wait::Doubt => self.doubt(ticket, path),
        }
    }

    /// What a file takes at the target. LIMIT: what it shares with an older version there is not known before it is sent, so a
    /// large file waits for room for all of it.
    pub(in crate::sender) fn claim(&self, stat: &Stat) -> Claim {
        let bytes = if stat.is_sparse() { stat.allocated().min(stat.size) } else { stat.size };
        let bytes = if stat.kind == Kind::File { bytes } else { 0 };
        Claim { owner: self.owner(stat.uid, stat.gid), bytes }
    }

    pub(in crate::sender) fn owner(&self, uid: u32, gid: u32) -> Owner {
        self.view.owner(uid, gid)
    }

    /// Whether something without content that is not there yet has to wait.
    pub(in crate::sender) fn has_to_wait(&mut self, ticket: Ticket, path: &RelPath, claim: Claim) -> bool {
        match self.room.of_entry(ticket, self.pace(ticket), claim.owner) {
            Gate::Open | Gate::Ask => false,
            Gate::Wait => true,
            Gate::WithFolder => {
                let since = self.since(ticket);
                self.mirror.pending().is_covered(path, since)
            }
        }
    }

    /// Holds content back, or asks for its room first. True when it may be sent now.
    pub(in crate::sender) fn admit(&mut self, look: &Look, file: &File, stat: &Stat) -> Result<bool, Ended> {
        let claim = self.claim(stat);
        let wish = Wish { ticket: look.ticket, pace: self.pace(look.ticket), bytes: claim.bytes, promised: look.room };
        match self.room.of_content(wish, || self.mirror.entries.has_trouble_there(&look.path)) {
            Gate::Open => return Ok(true),
            Gate::Wait | Gate::WithFolder => self.park(look.ticket, look.path.clone(), Wait::Entry(TOLD), claim),
            Gate::Ask => match self.view.meta_of(file, stat) {
                Ok(meta) => self.ask_for_room(look, meta, claim)?,
                Err(error) => self.unreadable(Look::new(look.ticket, look.path.clone(), look.why), &error)?,
            },
        }
        Ok(false)
    }

    fn ask_for_room(&mut self, look: &Look, meta: Meta, claim: Claim) -> Result<(), Ended> {
        let room = self.room.ask(look.ticket, claim.bytes);
        let content = Content::Asked { room: room.min(limits::SIZE) };
        let message = ToReceiver::Put { path: look.path.clone(), meta, content, inexact: false };
        self.send(look.ticket, &message, Sent::Asked(look.path.clone(), claim))?;
        Ok(())
    }

    /// There is room for what was asked about: it is sent.
    pub(in crate::sender) fn promised(
        &mut self,
        op: u64,
        ticket: Ticket,
        path: &RelPath,
        claim: Claim,
    ) -> Result<(), Ended> {
        let path = self.flight.forwarded(op, path);
        let look = Look { room: Some(claim.bytes), ..Look::new(ticket, path, Why::Differs(Difference::Content)) };
        self.queue_look(look);
        self.flight.conclude(op);
        Ok(())
    }
}
