//! What the receiver says: receipts let go of operations, outcomes and listings lead to new looks.

use std::time::Duration;

use proto::login::{Durability, Refusal};
use proto::{Outcome, RelPath, ToSender};
use sys::Lack;

use super::flight::{Answer, Arrived, Sent, place};
use super::looks::{Asks, Look, Why};
use super::pass::Difference;
use super::{Ended, Session, Until};
use crate::hint::{Cause, Hint};
use crate::pending::Ticket;

/// Said of what the target does not have again and again.
const MISSING: &str = "the target says again and again that it is missing there: it is sent ever later";

impl Session<'_> {
    pub(super) fn reply(&mut self, message: ToSender) -> Result<(), Ended> {
        match message {
            ToSender::Applied { upto } if self.durability == Durability::None => self.acknowledged(upto),
            ToSender::Applied { upto } => match self.flight.applied(upto).ok_or_else(|| never_sent(upto))? {
                true => Ok(()),
                false => self.chatter(),
            },
            ToSender::Policy(policy) => self.policy(*policy),
            // A `Ping` is answered by whoever moves the bytes: this role may be busy.
            ToSender::Pong | ToSender::Ping | ToSender::Extra { .. } => self.chatter(),
            ToSender::Window { log } => {
                self.wire.allow_window(log);
                self.chatter()
            }
            ToSender::Durable { upto } => self.acknowledged(upto),
            ToSender::Outcome { op, outcome } => self.outcome(op, outcome),
            ToSender::Listing { op, entries, last } => self.listing(op, &entries, last),
            ToSender::NoFolder { op } => self.no_folder(op),
            ToSender::Counted { op, entries } => self.counted(op, entries),
            ToSender::Signature { id, size, chunks, last } => self.signature(id, size, chunks, last),
            ToSender::Copied { id, bytes } => self.copied(id, bytes),
            ToSender::Bye { refusal } => Err(Ended::Bye(refusal)),
        }
    }

    /// Something was said that answers nothing.
    pub(super) fn chatter(&mut self) -> Result<(), Ended> {
        if self.chatter.heard(self.mirror.now()) {
            return Ok(());
        }
        Err(Ended::Violation("too many messages that answer nothing".into()))
    }

    fn acknowledged(&mut self, upto: u64) -> Result<(), Ended> {
        if self.flight.is_old(upto) {
            return self.chatter();
        }
        self.compared_alike(upto)?;
        self.name_groups_of(self.flight.linked(upto))?;
        self.are_equal(upto);
        self.are_copied(upto);
        self.resolve_whole(upto);
        let before = self.flight.len();
        let Arrived { files, bytes, removed } = self.flight.acknowledged(upto).ok_or_else(|| never_sent(upto))?;
        let left = self.flight.len();
        self.pace.acknowledged(upto, before - left, left, self.mirror.now());
        self.mirror.sent.arrived(files, bytes, removed);
        if removed > 0 {
            self.room.freed(self.mirror.now());
        }
        if self.flight.is_empty() {
            self.origins.answered();
        }
        Ok(())
    }

    /// What a receipt says is stored is in no trouble at the target any more. Of a folder that the target could not list
    /// only a listing says so.
    fn resolve_whole(&mut self, upto: u64) {
        if !self.mirror.entries.is_troubled_there() {
            return;
        }
        let whole = self.retries.whole(self.flight.whole(upto), || self.flight.listed(upto));
        let pending = self.mirror.pending();
        for place in whole.iter().map(|place| pending.forwarded(place)) {
            // What was removed there was not what stands here under this name.
            if self.unheld(&place).is_none() {
                self.mirror.entries.resolved_there(&place);
            }
        }
    }

    fn outcome(&mut self, op: u64, outcome: Outcome) -> Result<(), Ended> {
        let (ticket, sent) = self.flight.get(op).ok_or_else(|| never_sent(op))?;
        if !self.may_meet(op, sent, &outcome) {
            return Err(Ended::Violation(format!("an outcome of operation {op} that it cannot have, or has had")));
        }
        let sent = sent.clone();
        if self.hear_answer(op, ticket, &outcome)? {
            return Ok(());
        }
        match (&outcome, &sent) {
            (Outcome::Want | Outcome::Partly { .. }, _) => {}
            // Each is offered by itself, and compared there.
            (Outcome::Refused { .. }, Sent::Link(_, others)) => {
                others.iter().for_each(|other| self.origins.removed(&self.flight.forwarded(op, other)));
            }
            _ => self.doubt_origins(op, &sent),
        }
        let (answer, trouble) = match &outcome {
            Outcome::Partly { .. } => (Answer::Partly, troubled(&sent)),
            Outcome::Refused { .. } => (Answer::Not, troubled(&sent)),
            _ => (Answer::Not, &[][..]),
        };
        self.flight.answered(op, answer, trouble);
        self.account_answer(op, &sent, &outcome);
        self.is_not_copied(op, &sent, &outcome);
        match outcome {
            Outcome::Want => {
                if let Sent::Asked(path, claim) = &sent {
                    return self.promised(op, ticket, path, *claim);
                }
                self.flight.wanted(op);
                self.want(op, ticket, sent);
            }
            Outcome::Absent => {
                self.absent(op, ticket, sent);
                self.forget_question(op)?;
            }
            Outcome::Differs if self.flight.is_inexact(op) => self.keeps_exact(op, &sent),
            Outcome::Differs => return Err(Ended::Violation("an answer to a question that was not asked".into())),
            Outcome::Partly { reason } => {
                self.trouble_there(op, &sent, format!("stored, but not all of it: {reason}"));
            }
            Outcome::Refused { reason } => {
                if let Sent::Folder(path, _) | Sent::Standing(path) = &sent {
                    self.retries.refuse(path.clone());
                }
                if let Sent::Compare(path) | Sent::List(path) = &sent {
                    self.retries.is_unlisted(self.flight.forwarded(op, path));
                }
                self.trouble_there(op, &sent, format!("{}: {reason}", undone(&sent)));
                self.is_refused(op, ticket, &sent);
                if let Sent::Link(first, others) = &sent {
                    self.is_not_joined(op, ticket, first, others);
                }
                self.forget_question(op)?;
            }
            Outcome::Full { reason } => self.lacking(op, Lack::Room, &reason)?,
            Outcome::ReadOnly { reason } => {
                // What was done in a folder before may have left it with another mtime.
                self.look_at_folders_of(op, ticket, &sent, self.retries.pause());
                self.lacking(op, Lack::Writing, &reason)?;
            }
            Outcome::Failed { reason } => {
                self.mirror.target.set_last_error(Some(format!("{}: {reason}", place(&sent))));
                self.mirror
                    .entries
                    .say(place(&sent), &format!("the target could not store it, trying again: {reason}"));
                self.forget_question(op)?;
                self.retries.failed();
                let pause = self.retries.pause_of(&self.by_now(op, place(&sent)), self.mirror.now());
                self.flight.failed(op, pause);
                self.look_at_folders_of(op, ticket, &sent, pause);
                let stuck = self.retries.is_stuck();
                self.mirror.target.set_stuck(stuck);
                if self.until == Until::InSync && stuck {
                    let reason = format!("{}: {reason}", place(&sent));
                    return Err(Ended::Bye(Refusal::Busy { reason, retry: self.retries.pause() }));
                }
            }
        }
        Ok(())
    }

    /// Whether an operation in flight may have this outcome: it has one, and what was carried out in part may still turn out
    /// not to be durable. Only what asks can be answered by a wish, and nothing that asks is carried out in part.
    fn may_meet(&self, op: u64, sent: &Sent, outcome: &Outcome) -> bool {
        let before = match self.flight.answer(op) {
            Answer::None => !matches!(sent, Sent::Compare(_) | Sent::List(_)) || self.passes.is_open(op),
            Answer::Partly => !matches!(outcome, Outcome::Want | Outcome::Absent | Outcome::Partly { .. }),
            Answer::Told | Answer::Not => false,
        };
        let offers = matches!(
            sent,
            Sent::Offer(_) | Sent::Rebuilt(..) | Sent::Apart(_) | Sent::LinkedOffer(..) | Sent::Forerunner(_)
        );
        let fits = match outcome {
            Outcome::Want => offers || matches!(sent, Sent::Asked(..)),
            Outcome::Partly { .. } => sent.is_change() || matches!(sent, Sent::Forerunner(_) | Sent::Settle(_)),
            _ => true,
        };
        before && fits
    }

    /// Notes what became of an operation at the place where its entry stands by now. A rename that is hinted later
    /// takes the note along.
    fn trouble_there(&self, op: u64, sent: &Sent, reason: String) {
        for place in troubled(sent) {
            // Where nothing is deleted no receipt says of what has gone meanwhile that there is no trouble with it any more.
            if !self.options.delete && self.kind_here(&self.by_now(op, place)).is_none() {
                continue;
            }
            let place = self.flight.forwarded(op, place);
            let pending = self.mirror.pending();
            self.mirror.entries.problem_there(&pending.forwarded(&place), reason.clone());
        }
    }

    /// What failed may have left the folders that hold it with another mtime.
    fn look_at_folders_of(&mut self, op: u64, ticket: Ticket, sent: &Sent, pause: Duration) {
        let others = match sent {
            Sent::Rename(from, ..) => std::slice::from_ref(from),
            Sent::Exchange(_, b, _) => std::slice::from_ref(b),
            Sent::Link(_, others) => others,
            _ => &[],
        };
        for place in std::iter::once(place(sent)).chain(others) {
            if let Some(folder) = self.by_now(op, place).parent() {
                self.owe_entry(ticket, folder.clone(), Cause::ENTRIES);
                self.mirror.pending().postpone(&folder, self.mirror.now() + pause);
            }
        }
    }

    /// The content of an offered file is not there.
    fn want(&mut self, op: u64, ticket: Ticket, sent: Sent) {
        // Of a file that was renamed meanwhile it may be wanted for its metadata alone, which nothing else would bring.
        let was_asked = matches!(sent, Sent::Rebuilt(..));
        let (path, why) = match sent {
            Sent::Offer(path) | Sent::LinkedOffer(path, _) | Sent::Forerunner(path) | Sent::Rebuilt(path, ..) => {
                (path, Why::Differs(Difference::Content))
            }
            Sent::Apart(path) => (path, Why::Event(Cause::WRITTEN | Cause::APART)),
            _ => return,
        };
        let place = self.flight.forwarded(op, &path);
        // Under another name the target may have it.
        let asks = match was_asked {
            true if place == path => Asks::No,
            true => Asks::First,
            false => Asks::Perhaps,
        };
        self.queue_look(Look { asks, ..Look::new(ticket, place, why) });
    }

    /// Something that an operation needs is missing at the target: it is sent from the missing folder on, wherever that
    /// stands after the renames that were sent or hinted since.
    fn absent(&mut self, op: u64, ticket: Ticket, sent: Sent) {
        match sent {
            // The folder itself is missing: a comparison brings it with all that is in it.
            Sent::Standing(path) => {
                let path = self.by_now(op, &path);
                self.send_all_of(ticket, path.clone(), &path);
            }
            Sent::Entry(path, _)
            | Sent::Folder(path, _)
            | Sent::Offer(path)
            | Sent::Apart(path)
            | Sent::Rebuilt(path, ..)
            | Sent::LinkedOffer(path, _) => {
                self.flight.wanted(op);
                self.send_folder_of(ticket, &self.by_now(op, &path));
            }
            Sent::Rename(from, to, _) => {
                let (from, to) = (self.by_now(op, &from), self.by_now(op, &to));
                self.owe_entry(ticket, from, Cause::GONE);
                self.doubt(ticket, to);
            }
            Sent::Exchange(a, b, _) => {
                for place in [a, b] {
                    self.doubt(ticket, self.by_now(op, &place));
                }
            }
            // Another name gets the content, and all are linked to that.
            Sent::Link(first, _) if self.retries.is_refused_name(&self.by_now(op, &first)) => {}
            // It is not said which of them is missing. The folders of all are sent where needed, and a look at the
            // first finds out whether its content is there.
            Sent::Link(first, others) => {
                let places: Vec<_> = others.iter().map(|other| self.by_now(op, other)).collect();
                let mut later = None;
                for other in &places {
                    later = later.max(self.send_folder_of(ticket, other));
                }
                let first = self.by_now(op, &first);
                self.owe_entry(ticket, first.clone(), Cause::ATTRIBUTES);
                if let Some(pause) = later {
                    // Without the folder it would be refused at once, and again.
                    self.mirror.pending().postpone(&first, self.mirror.now() + pause);
                }
            }
            Sent::Asked(path, _) => {
                self.send_folder_of(ticket, &self.by_now(op, &path));
                self.flight.conclude(op);
            }
            Sent::Forerunner(_) | Sent::Remove(_) | Sent::Settle(_) => {}
            Sent::Compare(_) | Sent::List(_) | Sent::Count(_) | Sent::Vacant(..) => {}
        }
    }

    /// The content that this operation brought or moved may not be at the target, and what it moved away may be.
    pub(super) fn doubt_origins(&mut self, op: u64, sent: &Sent) {
        let places = match sent {
            Sent::Entry(path, _) => vec![path.clone()],
            Sent::Link(_, others) => others.clone(),
            Sent::Rename(from, _, alike) => [&alike[..], &self.origins.vacated(from)].concat(),
            Sent::Exchange(a, b, alike) => [&alike[..], &self.origins.vacated(a), &self.origins.vacated(b)].concat(),
            _ => return,
        };
        for place in &places {
            self.origins.doubt(&self.flight.forwarded(op, place), self.mirror.now());
        }
    }

    /// Where what an operation knew under this path stands after all renames since.
    pub(super) fn by_now(&self, op: u64, path: &RelPath) -> RelPath {
        self.mirror.pending().forwarded(&self.flight.forwarded(op, path))
    }

    /// The folder of `path` is missing at the target: send it, with all that is in it. A target that keeps losing it is
    /// asked at growing intervals; one that refused it is not asked again. For how long it may not be sent.
    fn send_folder_of(&mut self, ticket: Ticket, path: &RelPath) -> Option<Duration> {
        let folder = path.parent()?;
        if folder.is_root() {
            // That is there in any case: something else was missing, and is not any more.
            return self.send_missing(ticket, Hint::Entry { path: path.clone(), cause: Cause::ATTRIBUTES }, path);
        }
        self.send_all_of(ticket, folder, path)
    }

    /// The same of this folder, which was missing when something was to be done at `path`.
    fn send_all_of(&mut self, ticket: Ticket, folder: RelPath, path: &RelPath) -> Option<Duration> {
        if let Some(refused) = self.retries.refused(&folder) {
            // Of the folder itself it was said why.
            if refused != *path {
                let reason = format!("not stored: the target refused the folder {refused}");
                self.mirror.entries.problem_there(path, reason);
            }
            return None;
        }
        let since = self.since(ticket);
        if self.mirror.pending().is_covered(path, since) {
            // The folder waits to be compared, or for room.
            return Some(self.retries.pause());
        }
        self.send_missing(ticket, Hint::Subtree { path: folder.clone() }, &folder)
    }

    /// Has this looked at, and sent, as the target does not have it: ever later, if it says so again and again.
    fn send_missing(&mut self, ticket: Ticket, hint: Hint, place: &RelPath) -> Option<Duration> {
        let now = self.mirror.now();
        let pause = self.retries.resend(place, now);
        self.owe(ticket, hint);
        let pause = pause?;
        self.mirror.pending().postpone(place, now + pause);
        if self.retries.is_resent_often(place) {
            self.mirror.target.set_last_error(Some(format!("{place}: {MISSING}")));
            self.mirror.entries.say(place, MISSING);
        }
        Some(pause)
    }
}

/// What has not happened when an operation is refused.
fn undone(sent: &Sent) -> &'static str {
    match sent {
        Sent::Remove(_) => "not deleted at the target",
        Sent::Rename(..) | Sent::Exchange(..) => "not renamed at the target",
        Sent::Link(..) => "not joined with all its other names at the target",
        Sent::Compare(_) | Sent::List(_) | Sent::Count(_) | Sent::Vacant(..) => "cannot be compared with the target",
        _ => "not stored",
    }
}

/// The places in trouble when an operation is refused: of several names all, as it is not said which.
fn troubled(sent: &Sent) -> &[RelPath] {
    match sent {
        Sent::Link(_, others) => others,
        sent => std::slice::from_ref(place(sent)),
    }
}

fn never_sent(op: u64) -> Ended {
    Ended::Violation(format!("an answer to operation {op}, which is not in flight"))
}
