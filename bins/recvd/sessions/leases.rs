//! Who may write where in one module: decisions, without a disk and without a connection.
//!
//! INVARIANT: no two records overlap. Who begins takes the place of all that overlap with it, so a record that stands says
//! that nobody else has written there since.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kit::units::Moment;
use proto::RelPath;
use proto::login::Token;
use tokio::time::Instant;

use super::Claim;
use super::holder::Holder;
use super::record::{self, Record, Shown};

/// Records of one module that are kept.
pub(super) const MOST: usize = 1024;
/// How long those who were released stay away, so that another one gets in: longer than the longest pause of one that waits.
pub const AWAY: Duration = Duration::from_secs(120);
/// How many of those are remembered.
const MOST_AWAY: usize = 1024;

/// What is known of the folders of one module.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// The highest that was given.
    pub epoch: u64,
    pub held: Vec<Held>,
    away: Vec<Away>,
}

/// A folder, and who wrote there last.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub record: Record,
    /// The last sign of life that this recvd has seen, or its own start: nobody can be silent to one that does not listen.
    pub heard: Instant,
    /// The session that writes there now.
    pub holder: Option<Arc<Holder>>,
    /// It is free once that has ended.
    pub returned: bool,
}

/// Somebody who was released, and is to let others in.
#[derive(Debug)]
struct Away {
    tokens: [Option<Token>; 2],
    until: Instant,
}

/// What is in the way of a claim.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// A session that writes; with whether the newcomer has its place when it does not answer.
    Writing { held: Held, entitled: bool },
    /// Somebody who wrote there not long ago.
    Absent(Held),
    /// The newcomer is to stay away for so long.
    Released(Duration),
}

impl Held {
    /// Its session is not driven any more, and its peer was heard last so long ago.
    pub(super) fn silent_for(&mut self, silence: Duration) {
        let now = Instant::now();
        self.heard = now.checked_sub(silence).unwrap_or(now);
        self.record.heard = ago(silence);
    }

    /// When its last sign of life was, about.
    pub(super) fn heard_at(&self) -> Moment {
        self.holder.as_ref().map_or(self.record.heard, |holder| ago(holder.silence()))
    }

    fn silent(&self) -> Duration {
        match &self.holder {
            Some(holder) => holder.silence(),
            None => self.heard.elapsed(),
        }
    }

    pub(super) fn overlaps(&self, folder: &RelPath) -> bool {
        self.record.overlaps(folder)
    }

    fn is(&self, holder: &Arc<Holder>) -> bool {
        self.holder.as_ref().is_some_and(|own| Arc::ptr_eq(own, holder))
    }
}

impl Leases {
    /// What was written down, by an earlier recvd.
    pub(super) fn found(epoch: u64, records: Vec<Record>) -> Leases {
        let held = |record| Held { record, heard: Instant::now(), holder: None, returned: false };
        Leases { epoch, held: records.into_iter().map(held).collect(), away: Vec::new() }
    }

    /// Whether nobody but the one who shows this token has written in the folder since its last session, it is the same folder,
    /// and what was acknowledged then still stands there. A token from before the last session proves less: somebody had the
    /// last one.
    pub(super) fn continued(&self, claim: &Claim) -> bool {
        let Some(Held { record, .. }) = self.own(claim) else { return false };
        let lasts = record.boot.as_ref().is_none_or(|boot| *boot == claim.boot && !boot.is_empty());
        record.shown_by(claim) == Shown::Current
            && record.folder_id.is_some()
            && record.folder_id == claim.standing
            && lasts
    }

    /// The epoch that the claim will have.
    pub(super) fn epoch_of(&self, claim: &Claim) -> u64 {
        match self.own(claim) {
            Some(held) if held.record.shown_by(claim) != Shown::Nothing => held.record.epoch,
            _ => self.epoch + 1,
        }
    }

    /// Whether another one has begun there since this epoch was given to the claim.
    pub(super) fn is_late(&self, claim: &Claim, epoch: u64) -> bool {
        let mut rivals = self.held.iter().filter(|held| held.overlaps(&claim.folder));
        rivals.any(|held| held.record.shown_by(claim) == Shown::Nothing && held.record.epoch >= epoch)
    }

    /// Of all that overlap with the claim, one that is in its way, those that write first.
    pub(super) fn obstacle(&mut self, claim: &Claim, silence: Duration) -> Option<Obstacle> {
        self.away.retain(|away| away.until > Instant::now());
        let is_away = |away: &&Away| claim.token.is_some() && away.tokens.contains(&claim.token);
        if let Some(away) = self.away.iter().find(is_away) {
            return Some(Obstacle::Released(away.until - Instant::now()));
        }
        let entitled =
            |held: &Held| held.returned || held.record.shown_by(claim) != Shown::Nothing || held.silent() >= silence;
        let mut rivals = self.held.iter().filter(|held| held.overlaps(&claim.folder));
        let writes = rivals.clone().find(|held| held.holder.is_some());
        if let Some(held) = writes {
            return Some(Obstacle::Writing { held: held.clone(), entitled: entitled(held) });
        }
        rivals.find(|held| !entitled(held)).map(|held| Obstacle::Absent(held.clone()))
    }

    /// The folder is the claim's from now on. Returns what it takes the place of.
    pub(super) fn take(&mut self, claim: &Claim, (token, epoch): (Token, u64), holder: Arc<Holder>) -> Vec<Held> {
        let (gone, kept) = std::mem::take(&mut self.held).into_iter().partition(|held| held.overlaps(&claim.folder));
        self.held = kept;
        let record = Record {
            folder: claim.folder.clone(),
            user: claim.user.clone(),
            sender: claim.sender,
            current: token,
            // Until it has said that the new one is written down: either may have been killed before.
            noted: claim.token,
            epoch,
            folder_id: claim.standing,
            boot: claim.is_fleeting.then(|| claim.boot.clone()),
            from: claim.from,
            since: holder.since(),
            heard: holder.since(),
        };
        self.epoch = self.epoch.max(epoch);
        self.held.push(Held { record, heard: Instant::now(), holder: Some(holder), returned: false });
        self.forget();
        gone
    }

    /// The session that has taken this was given no token: what was good before stays so. It has nothing that a copy of its
    /// host has not, so the next one does not continue.
    pub(super) fn keep_tokens(&mut self, claim: &Claim, holder: &Arc<Holder>, before: &[Held]) {
        let own = before.iter().find(|held| held.record.shown_by(claim) != Shown::Nothing);
        let Some(held) = self.of(holder) else { return };
        held.record.folder_id = None;
        if let Some(Held { record, .. }) = own {
            (held.record.current, held.record.noted) = (record.current, record.noted);
        }
    }

    /// What was taken stands again as before, as nothing came of it.
    pub(super) fn give_back(&mut self, holder: &Arc<Holder>, before: Vec<Held>) {
        self.held.retain(|held| !held.is(holder));
        self.held.extend(before);
    }

    /// The lease of a session that writes.
    pub(super) fn of(&mut self, holder: &Arc<Holder>) -> Option<&mut Held> {
        self.held.iter_mut().find(|held| held.is(holder))
    }

    /// The session has ended.
    pub(super) fn ended(&mut self, holder: &Arc<Holder>) {
        let Some(held) = self.of(holder) else { return };
        held.holder = None;
        if held.returned {
            let folder = held.record.folder.clone();
            self.held.retain(|held| held.record.folder != folder);
        }
    }

    /// Sessions that write go on, whatever was found in another root.
    pub(super) fn go_on(&mut self, before: Leases) {
        self.epoch = self.epoch.max(before.epoch);
        for held in before.held.into_iter().filter(|held| held.holder.is_some()) {
            self.held.retain(|found| !found.overlaps(&held.record.folder));
            self.held.push(held);
        }
        self.away = before.away;
    }

    /// As they are written down: those that were heard last come first.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut held: Vec<&Held> = self.held.iter().collect();
        held.sort_by_key(|held| Reverse((held.holder.is_some(), held.heard)));
        record::write(self.epoch, held.into_iter().map(|held| &held.record))
    }

    /// A record for each, in no order.
    pub(super) fn records(&self) -> Vec<Record> {
        self.held.iter().map(|held| held.record.clone()).collect()
    }

    /// The lease of a folder above this one.
    pub(super) fn above(&self, folder: &RelPath) -> Option<&Held> {
        let is_above = |held: &&Held| held.record.folder != *folder && folder.is_within(&held.record.folder);
        self.held.iter().find(is_above)
    }

    /// Frees all that overlaps with the folder: the sessions that are to end, and what is to be told of each lease.
    pub(super) fn release(&mut self, folder: &RelPath) -> Vec<Held> {
        let mut released = Vec::new();
        for held in self.held.iter_mut().filter(|held| held.overlaps(folder)) {
            (held.returned, held.record.heard) = (true, held.heard_at());
            released.push(held.clone());
            let Record { current, noted, .. } = &held.record;
            self.away.push(Away { tokens: [Some(*current), *noted], until: Instant::now() + AWAY });
        }
        let surplus = self.away.len().saturating_sub(MOST_AWAY);
        self.away.drain(..surplus);
        self.held.retain(|held| !(held.returned && held.holder.is_none()));
        released
    }

    fn own(&self, claim: &Claim) -> Option<&Held> {
        self.held.iter().find(|held| held.record.folder == claim.folder)
    }

    /// Peers name folders, so not all are remembered: who has the most loses the one that was silent for the longest.
    fn forget(&mut self) {
        while self.held.len() > MOST {
            let absent = || self.held.iter().enumerate().filter(|(_, held)| held.holder.is_none());
            let mut counts: HashMap<&str, usize> = HashMap::new();
            absent().for_each(|(_, held)| *counts.entry(&held.record.user).or_default() += 1);
            let weight = |held: &Held| (counts.get(held.record.user.as_str()).copied(), Reverse(held.heard));
            let Some((_, at)) = absent().map(|(at, held)| (weight(held), at)).max() else { return };
            self.held.swap_remove(at);
        }
    }
}

fn ago(length: Duration) -> Moment {
    let now = std::time::SystemTime::now();
    Moment(now.checked_sub(length).unwrap_or(now))
}
