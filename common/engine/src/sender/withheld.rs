//! Deletions that wait: what a pass may not delete is held, and goes when it has become few, or by a person's word.

use std::time::Duration;

use proto::{Kind, RelPath, ToReceiver};

use super::brake::Weight;
use super::flight::{Answer, Sent};
use super::looks::Why;
use super::pass::Pass;
use super::passes::unasked;
use super::walk::Children;
use super::{Ended, Session, Until};
use crate::hint::{Cause, Hint};
use crate::pending::{self, Awaited, Found, Ticket};

/// A pass that deletes so many entries because they are not here is worth a look.
const MANY: u64 = 100;

/// What is said of what takes the name of a mount that is away.
const NEWCOMER: &str = "it stands where something was mounted, of which the backup keeps what it has: it is not mirrored \
                        before that is released";

/// What was held is gone this long after its time has come.
const SETTLED: Duration = Duration::from_secs(2);

impl Session<'_> {
    /// Holds what a pass has found and may not delete.
    pub(super) fn hold(&mut self, ticket: Ticket, found: Found, weight: &Weight, why: pending::Why) {
        let Some(pass) = self.passes.get(ticket) else { return };
        let largest = found.places.iter().max_by_key(|(_, entries)| *entries);
        let largest = largest.map_or(String::new(), |(path, entries)| format!(" (of {path}: {entries})"));
        let excess = excess(weight, why);
        let text = format!("{excess}{largest}: held until they are released, or no longer true; all else goes on");
        // Of what comes back by and by, and is held with what is held already, only the status tells.
        match self.mirror.pending().is_coming_back(self.mirror.now()) {
            true => tracing::debug!("{text}"),
            false => tracing::error!("{text}"),
        }
        let (root, since) = (pass.root().clone(), self.since(ticket));
        self.mirror.pending().hold(pass.scope(), found, why, since);
        self.passes.trust(&root);
    }

    /// What a pass has found only at the target and that waits, as it was seen to go lately, is not judged by it.
    pub(super) fn sift(&mut self, ticket: Ticket) -> Result<(), Ended> {
        if let Some(pass) = self.passes.get(ticket) {
            self.mirror.look_at_mounts(pass.root());
        }
        let (mut missing, mut pending) = (Vec::new(), self.mirror.pending());
        let awaits = |path: &RelPath| {
            let away = self.mirror.absent.concerns(path);
            let awaited = if away { Awaited::Itself } else { pending.awaits(path) };
            if awaited != Awaited::No {
                missing.push(path.clone());
            }
            awaited
        };
        let within = self.passes.tell(ticket, |pass| pass.sift(awaits)).unwrap_or_default();
        if let Some(pass) = self.passes.get(ticket).filter(|pass| pass.is_deep() && !pass.is_partial()) {
            pending.compared(pass.root(), &missing);
        }
        drop(pending);
        // What is left of these when the rest has gone is found by one more comparison.
        for folder in within.iter().filter_map(RelPath::parent) {
            self.owe(ticket, Hint::Folder { path: folder.clone() });
            let mut pending = self.mirror.pending();
            if let Some(due) = pending.seen_due() {
                pending.postpone(&folder, due + SETTLED);
            }
        }
        missing.into_iter().try_for_each(|path| self.count_absent(ticket, path))
    }

    /// Whether it is beneath a mount that is away by now: what shows there is something else.
    pub(super) fn is_away(&self, path: &RelPath) -> bool {
        self.mirror.look_at_mounts(path);
        self.mirror.absent.covers(path)
    }

    /// Whether something that is no folder stands here: if this is the name of a mount that is away, or of a folder with one in
    /// it, the target cannot have it before what it has of the mount may go.
    pub(super) fn is_newcomer(&self, path: &RelPath) -> bool {
        !matches!(self.kind_here(path), None | Some(Kind::Dir))
    }

    pub(super) fn note_newcomer(&self, path: &RelPath) {
        self.mirror.entries.problem(path, NEWCOMER.to_owned());
    }

    /// The same where one may stand, or not any more, at the name of a mount that is away.
    pub(super) fn look_for_newcomer(&self, path: &RelPath) {
        if self.is_newcomer(path) {
            self.note_newcomer(path);
        } else if self.mirror.absent.is_one(path) {
            self.mirror.entries.resolved_here(path);
        }
    }

    /// Of a mount that is away nothing is looked at. It is asked how much the target has of it, so that it can be told.
    pub(super) fn count_absent(&mut self, ticket: Ticket, path: RelPath) -> Result<(), Ended> {
        if self.mirror.absent.is_uncounted(&path) {
            self.send(ticket, &ToReceiver::Count { path: path.clone() }, Sent::Count(path))?;
        }
        Ok(())
    }

    /// Something stands at a path: if it was held as gone, that is over, and so is what was said of what was beneath a file.
    pub(super) fn is_taken(&self, path: &RelPath, kind: Kind) {
        if kind != Kind::Dir {
            self.mirror.entries.nothing_beneath(path);
        }
        let mut pending = self.mirror.pending();
        if pending.holds() {
            pending.stands(path, kind == Kind::Dir, self.mirror.now());
        }
    }

    /// The same of all that a listing shows, where nobody may have told of it.
    pub(super) fn are_taken(&self, folder: &RelPath, children: &Children) {
        let away = self.mirror.absent.within(folder);
        away.iter().for_each(|path| self.look_for_newcomer(path));
        let mut pending = self.mirror.pending();
        if !pending.holds() {
            return;
        }
        for path in pending.held_in(folder) {
            if let Some((_, name)) = path.split()
                && children.names().any(|there| *there == name)
            {
                pending.stands(&path, children.kind(&name) == Some(Kind::Dir), self.mirror.now());
            }
        }
    }

    /// Whether a deletion that is at hand waits: what was seen to go lately, or all of it, as the source is empty.
    pub(super) fn is_held(&mut self, ticket: Ticket, path: &RelPath, why: Why) -> Result<bool, Ended> {
        // What a mount that is away would take along is no deletion, whoever told of it.
        self.mirror.look_at_mounts(path);
        if self.mirror.absent.concerns(path) {
            return Ok(true);
        }
        let may_be = why.is_released() || self.mirror.is_released();
        if may_be {
            return Ok(false);
        }
        if why == Why::Extra && self.mirror.pending().awaits(path) != Awaited::No {
            return Ok(true);
        }
        if self.passes.has(ticket) || self.options.max_delete.is_all() || !self.root_is_empty()? {
            return Ok(false);
        }
        let (since, now) = (self.since(ticket), self.mirror.now());
        self.mirror.pending().hold_emptied(path.clone(), since, now);
        // Of a folder only one entry is known to go until the target has told how many do.
        self.send(ticket, &ToReceiver::Count { path: path.clone() }, Sent::Count(path.clone()))?;
        Ok(true)
    }

    /// Whether it is to be asked how much goes with a folder: where that is a mass it waits.
    pub(super) fn is_to_be_weighed(&self, why: Why) -> bool {
        let all = |cause: Cause| cause.has(Cause::WITH_ALL) && !cause.has(Cause::RELEASED);
        matches!(why, Why::Event(cause) if all(cause)) && self.mirror.pending().holds_masses()
    }

    /// How much a folder holds.
    pub(super) fn counted(&mut self, number: u64, entries: u64) -> Result<(), Ended> {
        let (ticket, path) = match self.flight.get(number) {
            Some((ticket, Sent::Count(path))) => (ticket, Some(path)),
            Some((ticket, Sent::Vacant(..))) => (ticket, None),
            _ => return Err(unasked(number)),
        };
        if self.flight.answer(number) != Answer::None {
            return Err(Ended::Violation(format!("operation {number} is counted twice")));
        }
        let Some(path) = path.cloned() else {
            self.flight.answered(number, Answer::Told, &[]);
            return self.is_vacant(number, entries);
        };
        let at = self.by_now(number, &path);
        self.flight.answered(number, Answer::Told, &[]);
        if self.mirror.absent.counted(&at, entries) {
            return Ok(());
        }
        if !self.passes.has(ticket) {
            return self.weighed(ticket, at, entries);
        }
        self.passes.tell(ticket, |pass| pass.counted(&path, entries));
        self.advance(ticket)
    }

    /// So much goes with a folder that went as a whole.
    pub(super) fn weighed(&mut self, ticket: Ticket, path: RelPath, entries: u64) -> Result<(), Ended> {
        let (since, now) = (self.since(ticket), self.mirror.now());
        if self.mirror.pending().weigh(&path, entries) {
            return Ok(());
        }
        // It may wait with the folder that it was in.
        if self.mirror.pending().awaits(&path) == Awaited::Itself {
            return Ok(());
        }
        // What stands there by now is told by its own events, and may be sent already.
        if self.kind_here(&path).is_some() || self.mirror.pending().holds_with_all(&path, entries, since, now) {
            return Ok(());
        }
        self.send_removal(ticket, path)
    }

    /// Whether deletions that were held may go by now.
    pub(super) fn step_held(&mut self) -> Result<bool, Ended> {
        if self.mirror.pending().holds_seen() {
            let empty = self.root_is_empty()? && !self.options.max_delete.is_all();
            let (mut pending, now) = (self.mirror.pending(), self.mirror.now());
            pending.source_is(empty, now);
            pending.have_weighed(now);
        }
        Ok(self.let_few_go())
    }

    fn let_few_go(&mut self) -> bool {
        let (mut pending, now) = (self.mirror.pending(), self.mirror.now());
        let Some((entries, total)) = pending.held_as_many(now) else { return false };
        if self.options.max_delete.is_passed(entries, total) {
            return false;
        }
        tracing::info!("{entries} deletions that were held are few enough now: they go on");
        pending.let_inferred_go(now);
        true
    }

    /// Why a run that is to end does so, if all that is left to do waits for a person.
    pub(super) fn gives_up_held(&self) -> Option<Ended> {
        let waits = self.until == Until::InSync && self.flight.is_empty() && self.groups.is_idle();
        // What a comparison had held may be few when nothing more of it comes back.
        let comes = {
            let pending = self.mirror.pending();
            pending.is_coming_back(self.mirror.now()) && pending.held_why() == Some(pending::Why::Many)
        };
        let waits = waits && !comes;
        let held = self.mirror.held_alone().filter(|_| waits)?;
        Some(Ended::Held(held))
    }
}

/// What would go and may not, in words.
pub(super) fn excess(Weight { deletes, total, .. }: &Weight, why: pending::Why) -> String {
    match why {
        pending::Why::Many | pending::Why::Mass | pending::Why::Unmounted => {
            format!("{deletes} of {total} entries of the backup would be deleted, more than max_delete allows")
        }
        pending::Why::Emptied => {
            format!("the source is empty, and the backup is not ({deletes} entries would be deleted)")
        }
    }
}

/// Says in the log that the brake lets a pass delete what nobody has seen go at the source: one line for a pass.
pub(super) fn say_deletes(pass: &Pass, Weight { deletes, total, .. }: &Weight, one: &RelPath) {
    let what = if pass.is_full() {
        format!("a full comparison deletes {deletes} of {total} entries of the backup")
    } else {
        format!("a comparison of {} deletes {deletes} of the backup's entries", pass.root())
    };
    match (*deletes >= MANY, pass.is_full()) {
        (true, _) => tracing::warn!("{what}, which the source does not have: {one} is one"),
        (false, true) => tracing::info!("{what}, which the source does not have: {one} is one"),
        // Mostly what its own events would tell a moment later.
        (false, false) => tracing::debug!("{what}, which the source does not have: {one} is one"),
    }
}
