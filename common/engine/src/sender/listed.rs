//! What the walker has listed for passes: told to them, and to all that knows of entries of the source.

use std::io;
use std::iter::successors;
use std::sync::atomic::Ordering;

use proto::RelPath;

use super::brake::Reason;
use super::flight::End;
use super::pass::Pass;
use super::walk::{Children, Listed};
use super::{Ended, Session};
use crate::hint::Cause;
use crate::mirror::Halt;
use crate::pending::Ticket;
use crate::view::{Rule, Skipped};

impl Session<'_> {
    /// A folder that a pass asked for is listed, or cannot be.
    pub(super) fn listed(&mut self, Listed { pass: ticket, path, children }: Listed) -> Result<(), Ended> {
        if !self.passes.has(ticket) {
            return Ok(());
        }
        match children {
            // What shows beneath a mount that is away is another folder.
            Ok(_) if self.is_away(&path) => {
                self.count_absent(ticket, path)?;
                self.passes.tell(ticket, Pass::unlisted);
            }
            Ok(children) => self.list_is_there(ticket, path, children),
            Err(error) => {
                self.passes.tell(ticket, Pass::unlisted);
                self.unlisted(ticket, &path, &error)?;
            }
        }
        self.advance(ticket)
    }

    fn list_is_there(&mut self, ticket: Ticket, path: RelPath, children: Children) {
        // It could not be listed before, perhaps.
        self.mirror.entries.resolved_here(&path);
        self.mirror.entries.take_in(&path);
        self.are_taken(&path, &children);
        let mates = self.groups.listed(&path, &children);
        self.look_at_mates(ticket, mates);
        let Some(round) = self.passes.get(ticket).map(Pass::round) else { return };
        self.mirror.entries.listed(&path, children.names(), round);
        for (name, why) in children.skipped() {
            let Ok(path) = path.join(name) else { continue };
            match why {
                Skipped::Rule(rule) => self.mirror.entries.leave_out(&path, *rule),
                Skipped::Trouble(reason) => self.mirror.entries.problem(&path, reason.clone()),
                Skipped::Unheld(reason) => self.mirror.entries.problem_there(&path, reason.clone()),
            }
        }
        let mut others = Vec::new();
        if let Children::Listing(listing) = &children {
            let setid = listing.setid.iter().filter_map(|name| path.join(name).ok());
            setid.for_each(|path| self.mirror.entries.leave_out(&path, Rule::Setid));
            others = self.origins.others(&path, listing);
        }
        self.mirror.sent.compared.fetch_add(children.len() as u64, Ordering::Relaxed);
        self.mirror.progress.compare(children.len() as u64);
        self.account_listed(ticket, &children);
        self.passes.tell(ticket, |pass| pass.listed(path, children, others));
    }

    /// Nothing stands where a pass was to begin. What was let go goes with the folders above that have gone, too: they were
    /// held for it.
    pub(super) fn not_there(&mut self, ticket: Ticket, path: RelPath, reason: Reason) {
        match reason {
            Reason::Cleared => {
                let folder = self.folder_above(&path);
                let gone = successors(Some(path), RelPath::parent).take_while(|at| *at != folder).last();
                gone.into_iter().for_each(|path| self.owe_entry(ticket, path, Cause::GONE | Cause::RELEASED));
            }
            Reason::Unknown => self.flight.end_with(ticket, End::LostSight),
        }
    }

    /// A folder that cannot be listed keeps all it has at the target. One that vanished has its own event.
    fn unlisted(&mut self, ticket: Ticket, path: &RelPath, error: &io::Error) -> Result<(), Ended> {
        if path.is_root() {
            return Err(Ended::Halted(Halt(format!("the source cannot be read: {error}"))));
        }
        if sys::is_absence(error) {
            let cleared = |pass: &Pass| pass.was_cleared() && pass.root() == path;
            if self.passes.get(ticket).is_some_and(cleared) {
                self.not_there(ticket, path.clone(), Reason::Cleared);
            } else if let Some(parent) = path.parent() {
                self.list_again(ticket, parent);
            }
        } else if error.kind() == io::ErrorKind::CrossesDevices {
            self.note_unseen(path, error);
        } else {
            self.mirror
                .entries
                .problem(path, format!("the folder cannot be listed, the backup keeps what it has: {error}"));
        }
        Ok(())
    }
}
