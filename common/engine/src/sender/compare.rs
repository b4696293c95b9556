//! Carries out what passes say is to be done: folders to the walker, digests to the target, what differs to the looks; and
//! tells them what came of it.

use std::cell::OnceCell;
use std::io;

use proto::{Digest, Entry, Kept, Kind, Name, RelPath, ToReceiver};

use super::brake::{Leave, Reason};
use super::flight::{End, Sent};
use super::looks::{Asks, Coming, Look, Why};
use super::pass::{Action, Difference, Pass, Reach, Window};
use super::passes::{About, DOUBT, Question, unasked};
use super::withheld::{excess, say_deletes};
use super::{Ended, Session};
use crate::hint::{Cause, Hint};
use crate::pending::{Awaited, Ticket};

impl Session<'_> {
    /// Begins to compare `path`, which must be a folder here; anything else is looked at.
    pub(super) fn start_pass(&mut self, ticket: Ticket, path: RelPath, reach: Reach) -> Result<(), Ended> {
        self.start_pass_for(ticket, path, reach, Reason::Unknown)
    }

    /// The same for this reason.
    pub(super) fn start_pass_for(
        &mut self,
        ticket: Ticket,
        path: RelPath,
        reach: Reach,
        reason: Reason,
    ) -> Result<(), Ended> {
        if self.is_unheld(&path) {
            return Ok(());
        }
        if self.mirror.absent.covers(&path) {
            return self.count_absent(ticket, path);
        }
        tracing::trace!(%path, ?reach, "compare");
        if path.is_root() {
            self.root.check().map_err(Ended::Halted)?;
        }
        let found = match self.find(&path) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.note_unseen(&path, &error);
                return Ok(());
            }
            found => found.ok().flatten(),
        };
        match found {
            _ if path.is_root() => {}
            Some((_, _, stat)) if stat.kind == Kind::Dir => {
                let mates = self.groups.seen(&path, &stat);
                self.look_at_mates(ticket, mates);
            }
            // A file is looked at whatever its size and time: what led here may have put one in the place of another that is
            // alike. Mostly it is what the target has.
            Some(_) => {
                self.mirror.pending().narrowed(ticket);
                let look = Look::new(ticket, path, Why::Event(Cause::WRITTEN));
                return self.look_or_queue(Look { asks: Asks::First, ..look });
            }
            None => {
                self.not_there(ticket, path, reason);
                return Ok(());
            }
        }
        // What is noted of the folder itself is met by this comparison too.
        let round = self.mirror.entries.begin_round();
        self.make_folder(ticket, &path)?;
        let pass = Pass::new(path, reach, reason, round, &self.options, self.names());
        if pass.is_full() {
            self.mirror.progress.set_scanning(true);
            self.mirror.progress.begin();
            self.mirror.account.begin_count();
            self.retries.begin_pass();
        }
        if pass.is_deep() {
            self.mirror.pending().widened(ticket);
        }
        self.flight.hold(ticket);
        self.passes.begin(ticket, pass);
        self.advance(ticket)
    }

    /// Takes in listed folders and asks for more.
    pub(super) fn step_passes(&mut self) -> Result<bool, Ended> {
        let mut worked = self.advance_held_up()?;
        while self.may_look()
            && self.passes.take_more()
            && let Some(listed) = self.walker.listed()
        {
            self.passes.listed();
            self.listed(listed)?;
            worked = true;
        }
        while let Some((ticket, path, detail)) = self.passes.next_folder() {
            let asked = self.walker.list(&self.view, (ticket, path, detail));
            asked.map_err(|error| Ended::Fault(format!("cannot start a thread: {error}")))?;
        }
        Ok(self.walker.step() || worked)
    }

    /// Passes that waited until operations may be sent.
    fn advance_held_up(&mut self) -> Result<bool, Ended> {
        if self.window() == Window::Full {
            return Ok(false);
        }
        let held_up = self.passes.held_up();
        for ticket in &held_up {
            self.advance(*ticket)?;
        }
        Ok(!held_up.is_empty())
    }

    /// All comparisons up to this operation that got no listing were of equal folders.
    pub(super) fn compared_alike(&mut self, upto: u64) -> Result<(), Ended> {
        while let Some(Question { ticket, folder, about }) = self.passes.next_answered(upto) {
            if about == About::Rest {
                return Err(Ended::Violation("a receipt for a question about a folder that was not answered".into()));
            }
            self.passes.tell(ticket, |pass| pass.is_alike(&folder));
            self.advance(ticket)?;
        }
        Ok(())
    }

    /// A part of the target's listing: the only one for its operation.
    pub(super) fn listing(&mut self, number: u64, entries: &[Entry], last: bool) -> Result<(), Ended> {
        let Question { ticket, folder, .. } = self.passes.answered(number).ok_or_else(|| unasked(number))?;
        let now = OnceCell::new();
        let stands = |name: &Name| {
            let now = now.get_or_init(|| self.view.folder(&folder));
            // What cannot be looked at is not gone.
            now.as_ref().map_or(true, |now| !matches!(now.look(name), Ok(None)))
        };
        let room = self.passes.room();
        let Some(told) = self.passes.tell(ticket, |pass| pass.differs(&folder, entries, last, room, stands)) else {
            return Ok(());
        };
        told.map_err(|wrong| Ended::Violation(wrong.to_string()))?;
        self.advance(ticket)
    }

    /// The target has no such folder.
    pub(super) fn no_folder(&mut self, number: u64) -> Result<(), Ended> {
        let Question { ticket, folder, .. } = self.passes.answered(number).ok_or_else(|| unasked(number))?;
        self.passes.tell(ticket, |pass| pass.is_missing(&folder));
        self.advance(ticket)
    }

    /// The operation failed. If it was a question of a pass, nothing is concluded from it.
    pub(super) fn forget_question(&mut self, number: u64) -> Result<(), Ended> {
        let Some((ticket, sent)) = self.flight.get(number) else { return Ok(()) };
        match sent {
            Sent::Compare(path) | Sent::List(path) => {
                self.passes.answered(number);
                self.passes.tell(ticket, |pass| pass.uncompared(path));
            }
            Sent::Count(path) if !self.passes.has(ticket) => {
                let path = self.by_now(number, path);
                let waits = self.mirror.pending().awaits(&path) == Awaited::Itself;
                if !waits && !self.mirror.absent.covers(&path) {
                    self.owe_entry(ticket, path, Cause::GONE);
                }
                return Ok(());
            }
            Sent::Count(path) => {
                self.passes.tell(ticket, |pass| pass.uncounted(path));
            }
            Sent::Vacant(..) => {
                self.is_taken_there(number);
                return Ok(());
            }
            _ => return Ok(()),
        }
        self.advance(ticket)
    }

    /// Does all that the pass of this work says is to be done by now.
    pub(super) fn advance(&mut self, ticket: Ticket) -> Result<(), Ended> {
        loop {
            let window = self.window();
            let Some(action) = self.passes.tell(ticket, |pass| pass.next(window)).flatten() else { return Ok(()) };
            self.carry_out(ticket, action)?;
        }
    }

    /// Whether a pass may ask what leads to more looks.
    fn window(&self) -> Window {
        if self.may_look() { Window::Open } else { Window::Full }
    }

    fn carry_out(&mut self, ticket: Ticket, action: Action) -> Result<(), Ended> {
        match action {
            Action::List(folder) => self.passes.list(ticket, folder),
            Action::ListWithin(folder, names) => self.passes.list_within(ticket, folder, names),
            Action::Compare(path, digest) => self.compare(ticket, path, digest)?,
            Action::AskOn(path, after) => self.ask_on(ticket, path, after)?,
            Action::Look(folder, differing) => {
                self.queue_looks(ticket, folder, differing.into_iter().map(Coming::from))
            }
            Action::LookAtAll(folder, children) => {
                let all = children.sized();
                let missing = Why::Differs(Difference::Missing);
                self.queue_looks(
                    ticket,
                    folder,
                    all.map(|(name, kind, size)| Coming {
                        kind: Some(kind),
                        size,
                        ..Coming::new(name.clone(), missing)
                    }),
                );
            }
            Action::Send(folder, names) => {
                let why = Why::Differs(Difference::Content);
                self.queue_looks(
                    ticket,
                    folder,
                    names.into_iter().map(|name| Coming { asks: Asks::First, ..Coming::new(name, why) }),
                );
            }
            Action::SendApart(folder, names) => {
                let why = Why::Event(Cause::WRITTEN | Cause::APART | Cause::CROWDED);
                self.queue_looks(ticket, folder, names.into_iter().map(|name| Coming::new(name, why)));
            }
            Action::LookAtNew(folder, names) => {
                let why = Why::Event(Cause::WRITTEN);
                self.queue_looks(ticket, folder, names.into_iter().map(|name| Coming::new(name, why)));
            }
            Action::Make(path) => self.queue_look(Look::new(ticket, path, Why::Differs(Difference::Missing))),
            Action::CompareLater(path) => self.owe(ticket, Hint::Subtree { path }),
            // What has gone since it was listed lacks nothing there.
            Action::SayInTheWay(path) if self.kind_here(&path).is_none_or(|kind| kind == Kind::Dir) => {}
            Action::SayInTheWay(path) => {
                let reason = "not stored: a folder stands there at the target, and delete is off";
                self.mirror.entries.problem_there(&path, reason.into());
            }
            Action::Sift => self.sift(ticket)?,
            Action::Count(path) => {
                self.send(ticket, &ToReceiver::Count { path: path.clone() }, Sent::Count(path))?;
            }
            Action::Judge => self.judge_deletions(ticket)?,
            Action::LookOnceMore(weight, why) => {
                let text = format!("looking once more, as {}", excess(&weight, why));
                match self.mirror.pending().is_coming_back(self.mirror.now()) {
                    true => tracing::debug!("{text}"),
                    false => tracing::warn!("{text}"),
                }
                if let Some(root) = self.passes.get(ticket).map(|pass| pass.root().clone()) {
                    self.passes.doubt(root, self.mirror.now());
                }
                self.flight.end_with(ticket, End::Again(DOUBT));
            }
            Action::CompareAgain => self.flight.end_with(ticket, End::Again(DOUBT)),
            Action::Hold(found, weight, why) => self.hold(ticket, found, &weight, why),
            Action::HoldNothing => {
                if let Some(pass) = self.passes.get(ticket) {
                    self.mirror.pending().holds_nothing(pass.scope());
                }
            }
            Action::Delete(paths, weight) => {
                if let Some(pass) = self.passes.get(ticket) {
                    if let Some(one) = paths.first()
                        && self.retries.is_news(pass.root(), weight.deletes, one, self.mirror.now())
                    {
                        say_deletes(pass, &weight, one);
                    }
                    let root = pass.root().clone();
                    self.passes.trust(&root);
                }
                paths.into_iter().for_each(|path| self.queue_look(Look::new(ticket, path, Why::Extra)));
            }
            Action::Choose(node) => self.choose(ticket, node),
            Action::BeginAgain => self.begin_pass_again(ticket),
            Action::Name(inode, names, good) => self.name_in_pass(ticket, inode, names, good)?,
            Action::End => self.end_pass(ticket)?,
        }
        Ok(())
    }

    fn compare(&mut self, ticket: Ticket, path: RelPath, digest: Digest) -> Result<(), Ended> {
        let message = ToReceiver::Compare { path: path.clone(), digest };
        let number = self.send(ticket, &message, Sent::Compare(path.clone()))?;
        self.passes.asked(number, Question { ticket, folder: path, about: About::All });
        Ok(())
    }

    fn ask_on(&mut self, ticket: Ticket, path: RelPath, after: Name) -> Result<(), Ended> {
        let message = ToReceiver::List { path: path.clone(), after: Some(after) };
        let number = self.send(ticket, &message, Sent::List(path.clone()))?;
        self.passes.asked(number, Question { ticket, folder: path, about: About::Rest });
        Ok(())
    }

    fn judge_deletions(&mut self, ticket: Ticket) -> Result<(), Ended> {
        self.root.check().map_err(Ended::Halted)?;
        let now = self.mirror.now();
        let pass = self.passes.get(ticket);
        let doubted = pass.is_some_and(|pass| self.passes.is_doubted(pass.root(), now));
        let held = pass.map_or(0, |pass| {
            let pending = self.mirror.pending();
            // What is still missing of it may come, too: with all else it waits until nothing has come for a while.
            if pending.is_coming_back(now) { u64::MAX } else { pending.held_outside(pass.scope()) }
        });
        let leave = Leave { released: self.mirror.is_released(), doubted, held };
        self.passes.tell(ticket, |pass| pass.may_delete(leave));
        Ok(())
    }

    /// A pass lists all once more: what it counts begins anew.
    fn begin_pass_again(&mut self, ticket: Ticket) {
        if self.passes.is_full(ticket) {
            self.mirror.account.begin_count();
        }
    }

    fn end_pass(&mut self, ticket: Ticket) -> Result<(), Ended> {
        let Some(pass) = self.passes.end(ticket) else { return Ok(()) };
        if pass.is_deep() && pass.links().are_whole() && self.view.keeps(Kept::Hardlinks) {
            let path = pass.root().clone();
            self.send(ticket, &ToReceiver::Settle { path: path.clone() }, Sent::Settle(path))?;
        }
        if pass.is_full() {
            self.mirror.rearm();
            let entries = self.mirror.account.end_count();
            self.mirror.pending().source_has(entries);
            self.mirror.progress.set_scanning(false);
            self.passed = true;
        }
        self.flight.let_go(ticket);
        Ok(())
    }
}
