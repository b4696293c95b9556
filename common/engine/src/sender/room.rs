//! What is known of the room at a target whose disk is full or read-only, and what may be sent meanwhile. Full: content
//! waits, parked by `pending`, and what frees room goes on. What waits is tried again, the smallest first, after pauses that
//! grow: its room is asked for before any content travels, and what does not fit bounds what else is asked. Read-only: nothing
//! is sent but a question, after the same pauses. Decides only; `room/lack.rs` and `room/tries.rs` carry it out.
//!
//! INVARIANT: while there is a lack no content leaves whose room was not promised just before. So neither edits, nor passes,
//! nor tries send again what did not fit.

mod lack;
#[cfg(test)]
mod tests;
mod tries;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use proto::limits;
use sys::Lack;

use super::need::Pace;
use crate::blocked::Blocked;
use crate::pending::{Claim, Owner, Ticket};

/// First and longest pause before it is tried whether a lack is over.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Tries under way at a time, at first and at most: as many more as have come through.
const TRIES: (usize, usize) = (4, 256);
/// What needs no content of its own and was refused all the same is taken to need so much.
const LEAST: u64 = 4096;
/// Those for which no quota is: what neither brings content nor makes anything, and is refused all the same.
const OTHERS: Claim = Claim { owner: (u32::MAX, 0), bytes: 0 };
/// What a file may have grown by since its room was asked for, beside a quarter: it is not asked about again.
const GROWTH: u64 = 64 * 1024;

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
    /// Work under way that was taken from what is parked, and has not been refused.
    tries: HashMap<Ticket, Claim>,
    /// Bytes that were asked for by work under way.
    promised: HashMap<Ticket, u64>,
    /// Tries at a time.
    window: usize,
    trial: Trial,
    pause: Duration,
    /// When something was refused last.
    refused: Instant,
    /// How often it was tried anew in vain, in this session.
    vain: u64,
}

/// Whether all that is parked may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    /// What did not fit is not tried before this moment.
    Rests(Instant),
    /// Whatever is parked may be.
    Open,
}

/// Whether somebody wants to know now if the lack is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interest {
    Asked,
    None,
}

/// What becomes of something that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// Its room is asked for before its content is sent.
    Ask,
    /// It is parked until there is room.
    Wait,
    /// It is parked if the folder that it is in is.
    WithFolder,
}

/// Content that is to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub ticket: Ticket,
    pub pace: Pace,
    /// What it takes at the target.
    pub bytes: u64,
    /// Bytes for which the target has promised room.
    pub promised: Option<u64>,
}

/// What a refusal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It was known that the target lacks this.
    Known,
    /// It lacks something that it did not lack before.
    Begun,
}

/// How a round stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It goes on, or rests.
    Open,
    /// All was tried, and something waits still.
    InVain,
    /// Nothing waits any more.
    Over,
}

impl Short {
    fn new(lack: Lack, reason: &str, pause: Duration, now: Instant) -> Short {
        let (limits, tries, promised) = Default::default();
        let trial = Trial::Rests(now + pause);
        let full = reason.to_owned();
        Short { lack, full, limits, tries, promised, window: TRIES.0, trial, pause, refused: now, vain: 0 }
    }

    /// Whether what needs so much may be tried.
    fn fits(&self, claim: Claim) -> bool {
        self.limits.get(&claim.owner).is_none_or(|limit| claim.bytes < *limit)
    }

    /// Whether this is a look that was taken from what is parked. What a pass finds is tried by itself.
    fn tries(&self, ticket: Ticket, pace: Pace) -> bool {
        pace == Pace::Entry && self.tries.contains_key(&ticket)
    }
}

impl Room {
    /// A connection begins to a target that is known to lack something: that holds until it is found to be over.
    pub fn meet(&mut self, blocked: &Blocked, now: Instant) {
        let short = self.short.get_or_insert_with(|| Short::new(blocked.lack, &blocked.reason, PAUSE.0, now));
        (short.trial, short.vain) = (Trial::Rests(now), 0);
    }

    /// A connection has ended, and with it all that was tried.
    pub fn forget_work(&mut self) {
        if let Some(short) = &mut self.short {
            short.tries.clear();
            short.promised.clear();
        }
    }

    fn lacking(&self, lack: Lack) -> Option<&Short> {
        self.short.as_ref().filter(|short| short.lack == lack)
    }

    /// Whether the target lacks something.
    pub fn is_short(&self) -> bool {
        self.short.is_some()
    }

    /// Whether nothing at all is sent.
    pub fn is_closed(&self) -> bool {
        self.lacking(Lack::Writing).is_some()
    }

    /// Whether what does not fit is parked.
    pub fn is_full(&self) -> bool {
        self.lacking(Lack::Room).is_some()
    }

    /// When something is to be tried, if nothing else happens.
    pub fn next_try(&self, interest: Interest) -> Option<Instant> {
        let short = self.short.as_ref()?;
        match (short.trial, interest) {
            (Trial::Rests(until), Interest::Asked) => Some(until.min(short.refused + PAUSE.0)),
            (Trial::Rests(until), Interest::None) => Some(until),
            (Trial::Open, _) => None,
        }
    }

    /// Something was removed at the target: there may be room before the pause is over.
    pub fn freed(&mut self, now: Instant) {
        if let Some(Short { trial: Trial::Rests(until), pause, .. }) = &mut self.short {
            *until = (*until).min(now + PAUSE.0.max(*pause / 8));
        }
    }

    /// What is parked may be tried again: a round begins.
    pub fn open(&mut self, now: Instant) {
        let Some(short) = &mut self.short else { return };
        if matches!(short.trial, Trial::Rests(until) if until <= now) {
            short.pause = (short.pause * 2).min(PAUSE.1);
        }
        (short.trial, short.window) = (Trial::Open, TRIES.0);
        short.limits.clear();
    }

    /// Whether one more of what is parked may be tried.
    pub fn may_try(&self) -> bool {
        self.short.as_ref().is_some_and(|short| short.tries.len() < short.window)
    }

    /// Whether what needs so much may fit, by what did not.
    pub fn fits(&self, claim: Claim) -> bool {
        self.short.as_ref().is_none_or(|short| short.fits(claim))
    }

    /// This work is tried.
    pub fn tries(&mut self, ticket: Ticket, claim: Claim) {
        if let Some(short) = &mut self.short {
            short.tries.insert(ticket, claim);
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

    /// How the round stands while so much is parked and the oldest of what is not was noticed then.
    pub fn standing(&self, parked: usize, moving: Option<Instant>) -> Standing {
        let Some(short) = self.short.as_ref().filter(|short| short.tries.is_empty()) else { return Standing::Open };
        // What was heard of meanwhile was parked before, perhaps, and is as old as that.
        if parked == 0 && moving.is_none_or(|at| at > short.refused) {
            return Standing::Over;
        }
        if short.trial == Trial::Open && parked > 0 { Standing::InVain } else { Standing::Open }
    }

    /// It was tried anew, and is as it was.
    pub fn rest(&mut self, now: Instant) {
        if let Some(short) = &mut self.short {
            short.vain += 1;
            short.trial = Trial::Rests(now + short.pause);
        }
    }

    /// Whether it was tried in this session, in vain, and is not tried now.
    pub fn gives_up(&self) -> bool {
        self.short.as_ref().is_some_and(|short| short.vain > 0 && matches!(short.trial, Trial::Rests(_)))
    }

    /// Whether it was tried in this session, in vain.
    pub fn was_in_vain(&self) -> bool {
        self.short.as_ref().is_some_and(|short| short.vain > 0)
    }

    /// The lack is over.
    pub fn is_over(&mut self, now: Instant) {
        if let Some(short) = self.short.take() {
            self.before = Some((now, short.pause));
        }
    }

    /// The target can be written again, but what was parked before waits for room still: in the words of its last refusal.
    pub fn is_writable_and_full(&mut self, now: Instant) -> Option<String> {
        let short = self.short.take()?;
        self.short = Some(Short::new(Lack::Room, &short.full, PAUSE.0, now));
        Some(short.full)
    }

    /// Something was refused for lack of this.
    pub fn refused(&mut self, lack: Lack, reason: &str, now: Instant) -> News {
        match &mut self.short {
            // What was on its way when it could not be written any more says nothing of room.
            Some(short) if short.lack == lack || short.lack == Lack::Writing => {
                short.refused = now;
                if short.lack == lack && lack == Lack::Room {
                    reason.clone_into(&mut short.full);
                }
                return News::Known;
            }
            Some(short) => (short.lack, short.trial) = (lack, Trial::Rests(now + short.pause)),
            None => {
                let lately = self.before.filter(|(at, _)| now.saturating_duration_since(*at) < PAUSE.1);
                let pause = lately.map_or(PAUSE.0, |(_, pause)| pause);
                self.short = Some(Short::new(lack, reason, pause, now));
            }
        }
        News::Begun
    }

    /// So much did not fit: nothing that needs as much is tried before the next round. Gives what is known to be needed.
    pub fn limit(&mut self, ticket: Ticket, claim: Claim) -> Claim {
        let Some(short) = &mut self.short else { return claim };
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
    pub fn limit_more(&mut self, ticket: Ticket, says: Claim) -> Claim {
        let tried = self.short.as_ref().is_some_and(|short| short.tries.contains_key(&ticket));
        let claim = self.limit(ticket, says);
        if !tried {
            return claim;
        }
        let most = if says.owner == OTHERS.owner { u64::MAX } else { says.bytes.max(LEAST).saturating_mul(16) };
        Claim { bytes: claim.bytes.max(LEAST / 2).saturating_mul(2).min(most), ..claim }
    }

    /// What becomes of content. `is_doubtful` tells whether the target has refused what stands there before.
    pub fn of_content(&self, wish: Wish, is_doubtful: impl FnOnce() -> bool) -> Gate {
        let Wish { ticket, pace, bytes, promised } = wish;
        let Some(short) = self.lacking(Lack::Room) else {
            // It may be refused again, as one that is larger than the module takes: not at the cost of its content.
            let large = promised.is_none() && bytes > limits::INLINE as u64;
            return if large && is_doubtful() { Gate::Ask } else { Gate::Open };
        };
        match promised {
            Some(room) if bytes <= room.saturating_add(room / 4 + GROWTH) => Gate::Open,
            _ if short.tries(ticket, pace) => Gate::Ask,
            _ => Gate::Wait,
        }
    }

    /// What becomes of something without content of which there is nothing yet.
    pub fn of_entry(&self, ticket: Ticket, pace: Pace, owner: Owner) -> Gate {
        match self.lacking(Lack::Room) {
            None => Gate::Open,
            Some(short) if short.tries(ticket, pace) => Gate::Open,
            Some(short) if short.fits(Claim { owner, bytes: 0 }) => Gate::WithFolder,
            Some(_) => Gate::Wait,
        }
    }

    /// The room to ask for, for content of so many bytes: that which others were promised is counted in, as it is not taken
    /// yet.
    pub fn ask(&mut self, ticket: Ticket, bytes: u64) -> u64 {
        let Some(short) = &mut self.short else { return bytes };
        let known = short.tries.get(&ticket).map_or(0, |tried| tried.bytes);
        short.promised.insert(ticket, bytes.max(known));
        short.promised.values().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes))
    }
}
