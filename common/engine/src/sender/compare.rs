//! Moves passes on: folders to the walker, digests to the target, what differs to the looks, and at the end the
//! deletions, past the brake, and the hard-link groups.

use std::collections::HashSet;
use std::time::Duration;

use proto::{Entry, Kept, Kind, Name, RelPath, ToReceiver};

use super::blank;
use super::flight::{End, Sent};
use super::look::{Look, Why};
use super::pass::{self, Certainty, Compared, Difference, Extra, Pass, Reach, Stage};
use super::walk::{Content, Detail, Listed};
use super::{Ended, FLIGHT, LOOKS, MaxDelete, Session};
use crate::hint::{Cause, Hint};
use crate::mirror::Halt;
use crate::pending::Ticket;
use crate::view::{Listing, Rule, Skipped};

/// Folders being listed, or listed and not compared.
const AHEAD: usize = 128;
/// Entries of folders that are compared and not answered: bounds memory to about 12 MB, and is what two threads list in a
/// fifth of a second.
const ENTRIES: usize = 65_536;

/// What would delete too much is compared again after this time.
const DOUBT: Duration = Duration::from_secs(2);

/// What all passes of a session share.
#[derive(Default)]
pub(super) struct Passes {
    /// Folders still to be listed; the last is next, so that memory is bounded by depth times width.
    to_list: Vec<(Ticket, RelPath)>,
    at_walker: usize,
    /// Comparisons not answered, in order of their numbers.
    asked: std::collections::BTreeMap<u64, Ticket>,
    /// Entries of the folders in them.
    entries: usize,
    /// Where a comparison would have deleted too much, and is made once more before anybody is halted.
    doubted: HashSet<RelPath>,
}

impl Session<'_> {
    /// Begins to compare `path`, which must be a folder here; anything else is looked at.
    pub(super) fn start_pass(&mut self, ticket: Ticket, path: RelPath, reach: Reach) -> Result<(), Ended> {
        tracing::trace!(%path, ?reach, "compare");
        if path.is_root() {
            self.root.check().map_err(Ended::Halted)?;
        }
        match self.find(&path).ok().flatten() {
            _ if path.is_root() => {}
            Some((_, _, stat)) if stat.kind == Kind::Dir => {
                let mates = self.groups.seen(&path, &stat);
                self.look_at_mates(ticket, mates);
            }
            // What a file holds is not told by its size and time alone; what led here may have moved one over another.
            Some(_) => return self.look_or_queue(Look::new(ticket, path, Why::Event(Cause::WRITTEN))),
            None => {
                self.flight.end_with(ticket, End::LostSight);
                return Ok(());
            }
        }
        // What is noted of the folder itself is met by this comparison too.
        let round = self.mirror.begin_round();
        self.make_folder(ticket, &path)?;
        let mut pass = Pass::new(path.clone(), reach, round);
        pass.listing = 1;
        if pass.is_full() {
            self.mirror.set_scanning(true);
            self.mirror.progress.begin();
            // What stood in the way may be gone.
            self.refused.clear();
            self.absences.clear();
        }
        if reach == Reach::Subtree {
            self.mirror.pending().widened(ticket);
        }
        self.flight.hold(ticket);
        self.passes.insert(ticket, pass);
        self.common.to_list.push((ticket, path));
        Ok(())
    }

    /// An event said that the root's last entry is gone: whether to believe it depends on how much the backup has.
    pub(super) fn start_told_empty(&mut self, ticket: Ticket) -> Result<(), Ended> {
        self.start_pass(ticket, RelPath::root(), Reach::Folder)?;
        if let Some(pass) = self.passes.get_mut(&ticket) {
            pass.told = true;
        }
        Ok(())
    }

    /// Takes in listed folders and asks for more.
    pub(super) fn step_passes(&mut self) -> Result<bool, Ended> {
        let mut worked = self.advance_waiting()?;
        while self.flight.len() < FLIGHT
            && self.looks.len() < LOOKS
            && self.common.entries < ENTRIES
            && let Some(listed) = self.walker.listed()
        {
            self.common.at_walker -= 1;
            self.listed(listed)?;
            worked = true;
        }
        while self.common.at_walker < AHEAD
            && let Some((ticket, path)) = self.common.to_list.pop()
        {
            self.common.at_walker += 1;
            let blank = self.passes.get(&ticket).is_some_and(|pass| pass.is_blank(&path));
            let detail = if blank { Detail::Names } else { Detail::Metadata };
            let asked = self.walker.list(ticket, path, detail);
            asked.map_err(|error| Ended::Fault(format!("cannot start a thread: {error}")))?;
        }
        Ok(self.walker.step() || worked)
    }

    fn listed(&mut self, Listed { pass: ticket, path, content }: Listed) -> Result<(), Ended> {
        let Some(pass) = self.passes.get_mut(&ticket) else { return Ok(()) };
        pass.listing -= 1;
        let content = match content {
            Ok(content) => content,
            Err(error) => {
                self.unlisted(ticket, &path, &error)?;
                return self.advance(ticket);
            }
        };
        // It could not be listed before, perhaps.
        self.mirror.resolved_here(&path);
        self.mirror.take_in(&path);
        let mates = self.groups.listed(&path, &content);
        self.look_at_mates(ticket, mates);
        let Some(pass) = self.passes.get_mut(&ticket) else { return Ok(()) };
        self.mirror.listed(&path, content.names(), pass.round);
        for (name, why) in content.skipped() {
            let Ok(path) = path.join(name) else { continue };
            match why {
                Skipped::Rule(rule) => self.mirror.leave_out(&path, *rule),
                Skipped::Trouble(reason) => self.mirror.problem(&path, reason.clone()),
            }
        }
        if let Content::Listing(listing) = &content {
            let setid = listing.setid.iter().filter_map(|name| path.join(name).ok());
            setid.for_each(|path| self.mirror.leave_out(&path, Rule::Setid));
        }
        pass.empty |= path.is_root() && content.len() == 0 && content.skipped().is_empty();
        if pass.reach == Reach::Subtree {
            pass.listing += self.common.queue_folders(ticket, &path, &content);
        }
        self.mirror.sent.compared.fetch_add(content.len() as u64, std::sync::atomic::Ordering::Relaxed);
        self.mirror.progress.compare(content.len() as u64);
        match content {
            Content::Listing(listing) if !pass.is_blank(&path) => self.compare(ticket, path, listing),
            content => {
                self.look_at_all(ticket, &path, content.sized());
                self.advance(ticket)
            }
        }
    }

    fn compare(&mut self, ticket: Ticket, path: RelPath, here: Listing) -> Result<(), Ended> {
        self.common.entries += here.entries.len();
        let message = ToReceiver::Compare { path: path.clone(), digest: here.digest };
        let number = self.send(ticket, &message, Sent::Compare(path.clone()))?;
        self.common.asked.insert(number, ticket);
        let others = self.origins.others(&path, &here);
        let Some(pass) = self.passes.get_mut(&ticket) else { return Ok(()) };
        for (name, inode) in &here.linked {
            if let Ok(path) = path.join(name) {
                pass.meet(*inode, path);
            }
        }
        pass.asked_at.insert(path.clone(), number);
        pass.comparing.insert(number, Compared { path, here, others, there: Vec::new() });
        Ok(())
    }

    /// A folder that cannot be listed keeps all it has at the target. One that vanished has its own event.
    fn unlisted(&mut self, ticket: Ticket, path: &RelPath, error: &std::io::Error) -> Result<(), Ended> {
        if path.is_root() {
            return Err(Ended::Halted(Halt::Root(format!("the source cannot be read: {error}"))));
        }
        if sys::is_absence(error) {
            if let Some(parent) = path.parent() {
                self.owe(ticket, Hint::Folder { path: parent });
            }
        } else if error.kind() == std::io::ErrorKind::CrossesDevices {
            self.mirror.leave_out(path, Rule::Mounted);
            self.mirror.resolved_here(path);
        } else {
            self.mirror.problem(path, format!("the folder cannot be listed, the backup keeps what it has: {error}"));
        }
        Ok(())
    }

    /// All comparisons up to this operation that got no listing were of equal folders.
    pub(super) fn compared_alike(&mut self, upto: u64) -> Result<(), Ended> {
        while let Some(first) = self.common.asked.first_entry()
            && *first.key() <= upto
        {
            let (number, ticket) = first.remove_entry();
            if let Some(Compared { path, here, others, .. }) = self.take_compared(number, ticket) {
                if let Some(pass) = self.passes.get_mut(&ticket) {
                    pass.matched += here.entries.len() as u64;
                }
                self.look_at_others(ticket, &path, &others);
            }
            self.advance(ticket)?;
        }
        Ok(())
    }

    /// A part of the target's listing.
    pub(super) fn listing(&mut self, number: u64, entries: Vec<Entry>, last: bool) -> Result<(), Ended> {
        let ticket = *self.common.asked.get(&number).ok_or_else(|| unasked(number))?;
        let Some(compared) = self.passes.get_mut(&ticket).and_then(|pass| pass.comparing.get_mut(&number)) else {
            return Ok(());
        };
        if let (Some(before), Some(first)) = (compared.there.last(), entries.first())
            && before.name >= first.name
        {
            return Err(Ended::Violation("a listing that is not in order of names".into()));
        }
        compared.there.extend(entries);
        if last { self.differs(number, ticket) } else { Ok(()) }
    }

    /// The target has no such folder.
    pub(super) fn no_folder(&mut self, number: u64) -> Result<(), Ended> {
        let ticket = *self.common.asked.get(&number).ok_or_else(|| unasked(number))?;
        let asked = self.passes.get(&ticket).and_then(|pass| pass.comparing.get(&number));
        if let Some(path) = asked.filter(|asked| asked.here.entries.is_empty()).map(|asked| asked.path.clone()) {
            // It may have been there when the folder above was compared; nothing that is in it will say so.
            self.queue_look(Look::new(ticket, path, Why::Differs(Difference::Metadata)));
        }
        self.differs(number, ticket)
    }

    /// The comparison failed: nothing is concluded from it.
    pub(super) fn forget_compare(&mut self, number: u64) -> Result<(), Ended> {
        let Some((ticket, _)) = self.flight.get(number) else { return Ok(()) };
        self.common.asked.remove(&number);
        self.take_compared(number, ticket);
        if let Some(pass) = self.passes.get_mut(&ticket)
            && (pass.counting.remove(&number) || pass.total.0 == Some(number))
        {
            pass.total.0 = None;
            pass.to_count.clear();
            pass.extras.clear();
        }
        self.advance(ticket)
    }

    pub(super) fn take_compared(&mut self, number: u64, ticket: Ticket) -> Option<Compared> {
        let pass = self.passes.get_mut(&ticket)?;
        let compared = pass.comparing.remove(&number)?;
        if pass.asked_at.get(&compared.path) == Some(&number) {
            pass.asked_at.remove(&compared.path);
        }
        self.common.entries -= compared.here.entries.len();
        Some(compared)
    }

    fn differs(&mut self, number: u64, ticket: Ticket) -> Result<(), Ended> {
        self.common.asked.remove(&number);
        let Some(Compared { path, here, mut others, there }) = self.take_compared(number, ticket) else {
            return Ok(());
        };
        let found = pass::compare(&here, &there);
        // What is sent by the comparison is not to be sent twice, and where a folder is in the way it goes first.
        others.retain(|name| {
            let look = found.looks.binary_search_by(|(look, ..)| look.cmp(name));
            !look.is_ok_and(|at| found.looks[at].2 != Difference::Metadata)
                && found.extras.binary_search_by(|(extra, _)| extra.cmp(name)).is_err()
        });
        self.look_at_others(ticket, &path, &others);
        let Some(pass) = self.passes.get_mut(&ticket) else { return Ok(()) };
        pass.matched += found.matched;
        let shallow = pass.reach == Reach::Folder;
        let blank = if shallow { Vec::new() } else { blank::found(&path, &there, &found) };
        for (name, kind) in found.extras {
            match path.join(&name) {
                Ok(path) if self.options.delete => pass.extras.push(Extra { path, kind }),
                Ok(path) if here.entries.binary_search_by(|entry| entry.name.cmp(&name)).is_ok() => {
                    self.mirror.problem_there(
                        &path,
                        "not stored: a folder stands there at the target, and delete is off".into(),
                    );
                }
                _ => {}
            }
        }
        for (name, kind, difference) in found.looks {
            let size = here.find(&name).map(|(entry, _)| entry.size);
            self.look_in_pass(ticket, &path, &name, (kind, size, difference), shallow);
        }
        self.are_blank(ticket, blank);
        self.advance(ticket)
    }

    /// Files that are sent although a comparison cannot tell them from what the target has.
    fn look_at_others(&mut self, ticket: Ticket, folder: &RelPath, others: &[Name]) {
        for path in others.iter().filter_map(|name| folder.join(name).ok()) {
            self.queue_look(Look::new(ticket, path, Why::Differs(Difference::Content)));
        }
    }

    pub(super) fn look_in_pass(
        &mut self,
        ticket: Ticket,
        folder: &RelPath,
        name: &Name,
        (kind, size, difference): (Kind, Option<u64>, Difference),
        shallow: bool,
    ) {
        let Ok(path) = folder.join(name) else {
            let reason = "not mirrored: its path is longer than 65535 bytes or deeper than 1024 folders";
            return self.mirror.problem(folder, format!("{name} in it is {reason}"));
        };
        if shallow && kind == Kind::Dir && difference != Difference::Metadata {
            self.owe(ticket, Hint::Subtree { path });
        } else {
            let kind = (difference != Difference::Metadata).then_some(kind);
            self.queue_look(Look { kind, size, ..Look::new(ticket, path, Why::Differs(difference)) });
        }
    }

    /// How much a folder holds.
    pub(super) fn counted(&mut self, number: u64, entries: u64) -> Result<(), Ended> {
        let Some((ticket, _)) = self.flight.get(number) else { return Err(unasked(number)) };
        let Some(pass) = self.passes.get_mut(&ticket) else { return Ok(()) };
        if pass.total.0 == Some(number) {
            // The root itself is no entry.
            pass.total = (None, entries.saturating_sub(1));
        } else if pass.counting.remove(&number) {
            pass.deletes += entries;
        }
        self.advance(ticket)
    }

    /// One thing that the pass waited for is there: on to the next stage, if that was the last.
    pub(super) fn advance(&mut self, ticket: Ticket) -> Result<(), Ended> {
        loop {
            let room = self.flight.len() < FLIGHT;
            let Some(pass) = self.passes.get_mut(&ticket) else { return Ok(()) };
            match pass.stage {
                Stage::Comparing if pass.is_compared() => self.count(ticket)?,
                Stage::Counting if room && let Some(path) = pass.to_count.pop() => {
                    let number = self.ask_count(ticket, &path)?;
                    if let Some(pass) = self.passes.get_mut(&ticket) {
                        pass.counting.insert(number);
                    }
                }
                Stage::Counting if pass.is_counted() => self.delete(ticket)?,
                Stage::Deleting if pass.looking == 0 => self.name_groups(ticket)?,
                Stage::Linking if room && let Some((inode, paths)) = pass.to_name.pop() => {
                    let Some(fresh) = paths.first().cloned() else { continue };
                    self.groups.met(inode, paths, self.since(ticket));
                    self.send_group(ticket, inode, fresh)?;
                }
                Stage::Linking if pass.to_name.is_empty() => return self.finish_pass(ticket),
                _ => return Ok(()),
            }
        }
    }

    /// Passes that waited for room among the operations in flight.
    fn advance_waiting(&mut self) -> Result<bool, Ended> {
        if self.flight.len() >= FLIGHT {
            return Ok(false);
        }
        let waiting = self.passes.iter().filter(|(_, pass)| !(pass.to_count.is_empty() && pass.to_name.is_empty()));
        let waiting: Vec<Ticket> = waiting.map(|(ticket, _)| *ticket).collect();
        for ticket in &waiting {
            self.advance(*ticket)?;
        }
        Ok(!waiting.is_empty())
    }

    /// Asks how much the deletions would take.
    fn count(&mut self, ticket: Ticket) -> Result<(), Ended> {
        let Some(pass) = self.passes.get_mut(&ticket) else { return Ok(()) };
        pass.stage = Stage::Counting;
        let folders = pass.extras.iter().filter(|extra| extra.kind == Kind::Dir);
        pass.to_count = folders.map(|extra| extra.path.clone()).collect();
        pass.deletes = (pass.extras.len() - pass.to_count.len()) as u64;
        let needs_total = !pass.is_full() && matches!(self.options.max_delete, MaxDelete::Percent(_));
        if needs_total && !pass.extras.is_empty() { self.ask_total(ticket) } else { Ok(()) }
    }

    fn ask_total(&mut self, ticket: Ticket) -> Result<(), Ended> {
        let number = self.ask_count(ticket, &RelPath::root())?;
        if let Some(pass) = self.passes.get_mut(&ticket) {
            pass.total.0 = Some(number);
        }
        Ok(())
    }

    fn ask_count(&mut self, ticket: Ticket, path: &RelPath) -> Result<u64, Ended> {
        self.send(ticket, &ToReceiver::Count { path: path.clone() }, Sent::Count(path.clone()))
    }

    /// INVARIANT: here is the only way from a listing to a deletion.
    fn delete(&mut self, ticket: Ticket) -> Result<(), Ended> {
        let Some(pass) = self.passes.get_mut(&ticket) else { return Ok(()) };
        if pass.deletes > 0 {
            self.root.check().map_err(Ended::Halted)?;
            if !self.mirror.is_released()
                && let Some(halt) = self.options.brake(pass)
            {
                return match pass.certainty {
                    Certainty::Counted if self.common.doubted.insert(pass.root.clone()) => {
                        self.look_once_more(ticket, &halt)
                    }
                    Certainty::Counted => Err(Ended::Halted(halt)),
                    Certainty::Estimated => self.recount(ticket),
                };
            }
        }
        self.common.doubted.remove(&pass.root);
        pass.say_deletes();
        pass.stage = Stage::Deleting;
        for Extra { path, .. } in std::mem::take(&mut pass.extras) {
            self.queue_look(Look::new(ticket, path, Why::Extra));
        }
        Ok(())
    }

    /// What seems to be missing may only have been moved: the events that say so can be late on a busy host, and then the
    /// listing of a moment ago is no evidence. The comparison ends without a deletion, and is made again.
    fn look_once_more(&mut self, ticket: Ticket, halt: &Halt) -> Result<(), Ended> {
        let Some(pass) = self.passes.get_mut(&ticket) else { return Ok(()) };
        tracing::warn!("looking once more, as {halt}");
        pass.extras.clear();
        pass.stage = Stage::Deleting;
        self.flight.end_with(ticket, End::Again(DOUBT));
        Ok(())
    }

    /// Asks for the size of every deletion and of the whole, before anybody is halted by an estimate.
    fn recount(&mut self, ticket: Ticket) -> Result<(), Ended> {
        let Some(pass) = self.passes.get_mut(&ticket) else { return Ok(()) };
        (pass.certainty, pass.deletes) = (Certainty::Counted, 0);
        pass.to_count = pass.extras.iter().map(|extra| extra.path.clone()).collect();
        self.ask_total(ticket)
    }

    fn name_groups(&mut self, ticket: Ticket) -> Result<(), Ended> {
        let Some(pass) = self.passes.get_mut(&ticket) else { return Ok(()) };
        pass.stage = Stage::Linking;
        let groups = std::mem::take(&mut pass.groups);
        if self.view.keeps(Kept::Hardlinks) {
            pass.to_name = groups.into_values().collect();
            return Ok(());
        }
        let since = self.since(ticket);
        groups.into_values().for_each(|(inode, names)| self.groups.met(inode, names, since));
        Ok(())
    }

    fn finish_pass(&mut self, ticket: Ticket) -> Result<(), Ended> {
        let Some(pass) = self.passes.remove(&ticket) else { return Ok(()) };
        if pass.reach == Reach::Subtree && self.view.keeps(Kept::Hardlinks) {
            self.send(ticket, &ToReceiver::Settle { path: pass.root.clone() }, Sent::Settle(pass.root.clone()))?;
        }
        if pass.reach == Reach::Subtree {
            self.outdated.insert(ticket, (pass.root.clone(), pass.round));
        }
        if pass.is_full() {
            self.mirror.rearm();
            self.mirror.set_scanning(false);
            self.passed = true;
        }
        self.flight.let_go(ticket);
        Ok(())
    }
}

impl Passes {
    /// The sub-folders of a listed folder are next; returns how many.
    fn queue_folders(&mut self, ticket: Ticket, path: &RelPath, content: &Content) -> usize {
        let before = self.to_list.len();
        let dirs = content.kinds().filter(|(_, kind)| *kind == Kind::Dir);
        // The last is listed next: names in reverse, so that folders are listed in order.
        self.to_list.extend(dirs.rev().filter_map(|(name, _)| Some((ticket, path.join(name).ok()?))));
        self.to_list.len() - before
    }
}

fn unasked(number: u64) -> Ended {
    Ended::Violation(format!("an answer to operation {number}, which asked nothing"))
}
