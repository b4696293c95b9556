//! What is sent while the target's disk is full or read-only. Full: content waits, held by `pending`, and what frees room goes
//! on. What waits is tried again, the smallest first, after pauses that grow: its room is asked for before any content travels,
//! and what does not fit bounds what else is asked. Read-only: nothing is sent but a question, after the same pauses.
//!
//! INVARIANT: while there is a lack no content leaves whose room was not promised just before. So neither edits, nor passes,
//! nor tries send again what did not fit.

mod tries;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use proto::{Content, Kind, Meta, RelPath, ToReceiver, limits};
use sys::{File, Lack, Stat};

use super::flight::Sent;
use super::looks::{Look, Why};
use super::pass::Difference;
use super::{Ended, Session};
use crate::blocked::Blocked;
use crate::hint::{Cause, Hint};
use crate::mirror::Mirror;
use crate::pending::{Claim, Owner, Ticket, Wait};

/// First and longest pause before it is tried whether a lack is over.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Tries under way at a time, at first and at most: as many more as have come through.
const TRIES: (usize, usize) = (4, 256);
/// What needs no content of its own and was refused all the same is taken to need so much.
const LEAST: u64 = 4096;
/// Those for which no quota is: what neither brings content nor makes anything, and is refused all the same.
const OTHERS: Claim = Claim { owner: (u32::MAX, 0), bytes: 0 };
/// Folders in which more waits than is held.
const LATER: Claim = Claim { owner: (u32::MAX, 1), bytes: 0 };
/// Paths that are held; beyond that their folders are, and looked at again when half of these are through.
const HELD: usize = 100_000;
/// What a file may have grown by since its room was asked for, beside a quarter: it is not asked about again.
const GROWTH: u64 = 64 * 1024;
/// The work of the question whether a read-only target can be written again: no other has this number.
const QUESTION: Ticket = Ticket::MAX;

/// What is known of the room at the target. Outlives connections.
#[derive(Default)]
pub(super) struct Room {
    short: Option<Short>,
    /// When the last lack was over, and the pause that it had come to: one that comes and goes is not tried more often.
    before: Option<(Instant, Duration)>,
}

struct Short {
    lack: Lack,
    /// What the last `Full` said.
    full: String,
    /// Bytes that did not fit, the least of each owner, since it was tried anew.
    limits: HashMap<Owner, u64>,
    /// Work under way that was taken from what is held, and has not been refused.
    tries: HashMap<Ticket, Claim>,
    /// Bytes that were asked for by work under way.
    promised: HashMap<Ticket, u64>,
    /// Tries at a time.
    window: usize,
    round: Round,
    pause: Duration,
    /// The last refusal.
    refused: Instant,
    /// Tried anew in vain, in this session.
    vain: u64,
}

/// Whether all that is held may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// What did not fit is not tried before this moment.
    Rests(Instant),
    /// It is.
    Open,
}

/// What becomes of content.
enum Gate {
    /// It is sent.
    Open,
    /// Its room is asked for.
    Ask,
    /// It is held.
    Wait,
}

impl Short {
    fn new(lack: Lack, reason: &str, pause: Duration, now: Instant) -> Short {
        Short {
            lack,
            full: reason.to_owned(),
            limits: HashMap::new(),
            tries: HashMap::new(),
            promised: HashMap::new(),
            window: TRIES.0,
            round: Round::Rests(now + pause),
            pause,
            refused: now,
            vain: 0,
        }
    }

    /// Whether what needs so much may be tried.
    fn fits(&self, claim: Claim) -> bool {
        self.limits.get(&claim.owner).is_none_or(|limit| claim.bytes < *limit)
    }
}

impl Room {
    /// A connection begins. What the mirror says of the target holds until it is found to be over.
    pub fn meet(&mut self, mirror: &Mirror) {
        let now = mirror.now();
        let Some(blocked) = mirror.blocked() else { return };
        let short = self.short.get_or_insert_with(|| Short::new(blocked.lack, &blocked.reason, PAUSE.0, now));
        (short.round, short.vain) = (Round::Rests(now), 0);
        // It is the last error still.
        mirror.set_blocked(Some(blocked));
    }

    /// A connection has ended, and with it all that was tried.
    pub fn forget_work(&mut self) {
        if let Some(short) = &mut self.short {
            short.tries.clear();
            short.promised.clear();
        }
    }

    fn lacks(&self, lack: Lack) -> bool {
        self.short.as_ref().is_some_and(|short| short.lack == lack)
    }

    /// Whether nothing at all is sent.
    pub fn is_closed(&self) -> bool {
        self.lacks(Lack::Writing)
    }

    /// When something is to be tried, if nothing else happens.
    pub fn next_try(&self, mirror: &Mirror) -> Option<Instant> {
        let short = self.short.as_ref()?;
        match short.round {
            Round::Rests(until) if mirror.is_asked() => Some(until.min(short.refused + PAUSE.0)),
            Round::Rests(until) => Some(until),
            Round::Open => None,
        }
    }

    /// Something was removed at the target: there may be room before the pause is over.
    pub fn freed(&mut self, now: Instant) {
        if let Some(Short { round: Round::Rests(until), pause, .. }) = &mut self.short {
            *until = (*until).min(now + PAUSE.0.max(*pause / 8));
        }
    }

    /// This work is through. Whether it was a try, so that another may follow.
    pub fn ended(&mut self, ticket: Ticket) -> bool {
        let Some(short) = &mut self.short else { return false };
        short.promised.remove(&ticket);
        let tried = short.tries.remove(&ticket).is_some();
        if tried {
            short.window = (short.window * 2).min(TRIES.1);
        }
        tried
    }
}

impl Session<'_> {
    /// An operation failed because the target lacks room, or cannot be written.
    pub(super) fn lacking(&mut self, op: u64, lack: Lack, reason: &str) -> Result<(), Ended> {
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
                return vec![(path.clone(), Wait::Entry(Cause::WRITTEN), self.limit(ticket, *claim))];
            }
            Sent::Entry(path, claim) => {
                return vec![(path.clone(), Wait::Entry(Cause::WRITTEN), self.limit_more(ticket, *claim))];
            }
            Sent::Folder(path, claim) if !path.is_root() => {
                return vec![(path.clone(), Wait::Subtree, self.limit_more(ticket, *claim))];
            }
            Sent::Folder(path, _) | Sent::Standing(path) | Sent::Offer(path) | Sent::LinkedOffer(path, _) => {
                vec![(path, Wait::Entry(Cause::ATTRIBUTES))]
            }
            Sent::Forerunner(path) | Sent::Link(path, _) => vec![(path, Wait::Entry(Cause::ATTRIBUTES))],
            Sent::Remove(path) => vec![(path, Wait::Entry(Cause::GONE))],
            Sent::Rename(from, to, _) => vec![(from, Wait::Entry(Cause::GONE)), (to, Wait::Doubt)],
            Sent::Exchange(a, b, _) => vec![(a, Wait::Doubt), (b, Wait::Doubt)],
            Sent::Compare(path) | Sent::Count(path) | Sent::Settle(path) => vec![(path, Wait::Subtree)],
        };
        let claim = self.limit_more(ticket, OTHERS);
        places.into_iter().map(|(path, wait)| (path.clone(), wait, claim)).collect()
    }

    /// So much did not fit: nothing that needs as much is tried before the next round.
    fn limit(&mut self, ticket: Ticket, claim: Claim) -> Claim {
        let Some(short) = &mut self.room.short else { return claim };
        let tried = short.tries.remove(&ticket).filter(|tried| tried.owner == claim.owner);
        let claim = tried.map_or(claim, |tried| tried.max(claim));
        let limit = short.limits.entry(claim.owner).or_insert(claim.bytes);
        *limit = (*limit).min(claim.bytes);
        short.window = TRIES.0;
        short.promised.remove(&ticket);
        claim
    }

    /// The same of what was tried although there was room for what it said that it needs: it needs more, and others that need
    /// less come before it. Not without end: it is not to stand behind what is much larger.
    fn limit_more(&mut self, ticket: Ticket, says: Claim) -> Claim {
        let tried = self.room.short.as_ref().is_some_and(|short| short.tries.contains_key(&ticket));
        let claim = self.limit(ticket, says);
        if !tried {
            return claim;
        }
        let most = if says.owner == OTHERS.owner { u64::MAX } else { says.bytes.max(LEAST).saturating_mul(16) };
        Claim { bytes: claim.bytes.max(LEAST / 2).saturating_mul(2).min(most), ..claim }
    }

    fn note_lack(&mut self, lack: Lack, reason: &str) -> Result<(), Ended> {
        let now = self.mirror.now();
        match &mut self.room.short {
            // What was on its way when it could not be written any more says nothing of room.
            Some(short) if short.lack == lack || short.lack == Lack::Writing => {
                short.refused = now;
                if short.lack == lack && lack == Lack::Room {
                    reason.clone_into(&mut short.full);
                }
                return Ok(());
            }
            Some(short) => (short.lack, short.round) = (lack, Round::Rests(now + short.pause)),
            None => {
                let lately = self.room.before.filter(|(at, _)| now.saturating_duration_since(*at) < PAUSE.1);
                let pause = lately.map_or(PAUSE.0, |(_, pause)| pause);
                self.room.short = Some(Short::new(lack, reason, pause, now));
            }
        }
        let since = self.mirror.clock().wall();
        self.mirror.set_blocked(Some(Blocked {
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
            self.park(upload.ticket(), upload.path().clone(), Wait::Entry(Cause::WRITTEN), claim);
            self.drop_upload(upload)?;
        }
        Ok(())
    }

    /// Has something looked at when the lack is over, as old as this work.
    pub(super) fn park(&mut self, ticket: Ticket, path: RelPath, wait: Wait, claim: Claim) {
        let (since, now) = (self.since(ticket), self.mirror.now());
        if self.room.lacks(Lack::Room) {
            let mut pending = self.mirror.pending();
            return match path.parent() {
                Some(folder) if pending.held() >= HELD => pending.hold(folder, Wait::Folder, LATER, since, now),
                _ => pending.hold(path, wait, claim, since, now),
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
    pub(super) fn claim(&self, stat: &Stat) -> Claim {
        let bytes = if stat.is_sparse() { stat.allocated().min(stat.size) } else { stat.size };
        let bytes = if stat.kind == Kind::File { bytes } else { 0 };
        Claim { owner: self.owner(stat.uid, stat.gid), bytes }
    }

    pub(super) fn owner(&self, uid: u32, gid: u32) -> Owner {
        self.view.owner(uid, gid)
    }

    /// Whether something without content that is not there yet has to wait.
    pub(super) fn has_to_wait(&mut self, ticket: Ticket, path: &RelPath, claim: Claim) -> bool {
        let Some(short) = self.room.short.as_ref().filter(|short| short.lack == Lack::Room) else { return false };
        if short.tries.contains_key(&ticket) && !self.passes.has(ticket) {
            return false;
        }
        let fits = short.fits(Claim { bytes: 0, ..claim });
        let since = self.since(ticket);
        !fits || self.mirror.pending().is_covered(path, since)
    }

    fn gate(&self, look: &Look, claim: Claim) -> Gate {
        let Some(short) = self.room.short.as_ref().filter(|short| short.lack == Lack::Room) else {
            // It may be refused again, as one that is larger than the module takes: not at the cost of its content.
            let doubtful = look.room.is_none() && claim.bytes > limits::INLINE as u64;
            return if doubtful && self.mirror.has_trouble_there(&look.path) { Gate::Ask } else { Gate::Open };
        };
        match look.room {
            Some(room) if claim.bytes <= room.saturating_add(room / 4 + GROWTH) => Gate::Open,
            // What a pass finds is tried by itself.
            _ if short.tries.contains_key(&look.ticket) && !self.passes.has(look.ticket) => Gate::Ask,
            _ => Gate::Wait,
        }
    }

    /// Holds content back, or asks for its room first. True when it may be sent now.
    pub(super) fn admit(&mut self, look: &Look, file: &File, stat: &Stat) -> Result<bool, Ended> {
        let claim = self.claim(stat);
        match self.gate(look, claim) {
            Gate::Open => return Ok(true),
            Gate::Wait => self.park(look.ticket, look.path.clone(), Wait::Entry(Cause::WRITTEN), claim),
            Gate::Ask => match self.view.meta_of(file, stat) {
                Ok(meta) => self.ask_for_room(look, meta, claim)?,
                Err(error) => self.unreadable(Look::new(look.ticket, look.path.clone(), look.why), &error)?,
            },
        }
        Ok(false)
    }

    /// The room that others were promised is counted in: it is not taken yet.
    fn ask_for_room(&mut self, look: &Look, meta: Meta, claim: Claim) -> Result<(), Ended> {
        let mut room = claim.bytes;
        if let Some(short) = &mut self.room.short {
            let known = short.tries.get(&look.ticket).map_or(0, |tried| tried.bytes);
            short.promised.insert(look.ticket, room.max(known));
            room = short.promised.values().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
        }
        let content = Content::Asked { room: room.min(limits::SIZE) };
        let message = ToReceiver::Put { path: look.path.clone(), meta, content };
        self.send(look.ticket, &message, Sent::Asked(look.path.clone(), claim))?;
        Ok(())
    }

    /// There is room for what was asked about: it is sent.
    pub(super) fn promised(&mut self, op: u64, ticket: Ticket, path: &RelPath, claim: Claim) -> Result<(), Ended> {
        let path = self.flight.forwarded(op, path);
        let look = Look { room: Some(claim.bytes), ..Look::new(ticket, path, Why::Differs(Difference::Content)) };
        self.queue_look(look);
        self.flight.conclude(op);
        Ok(())
    }
}
