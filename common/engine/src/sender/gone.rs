//! What follows from nothing standing where a look was at: an entry of the target goes, or it is looked for elsewhere.

use proto::{RelPath, ToReceiver};

use super::flight::{End, Sent};
use super::looks::{Look, Why};
use super::need::{self, Absence};
use super::{Ended, Session};
use crate::hint::Hint;
use crate::pending::Ticket;

impl Session<'_> {
    /// Nothing has this name.
    pub(super) fn nothing_there(&mut self, Look { ticket, path, why, .. }: Look) -> Result<(), Ended> {
        let mates = self.groups.left(&path);
        self.look_at_mates(ticket, mates);
        match need::of_absence(why) {
            Absence::Gone => return self.remove(ticket, path, why),
            Absence::Explained => {
                self.mirror.entries.gone(&path);
                if self.mirror.pending().is_to_be_weighed(&path) {
                    self.send(ticket, &ToReceiver::Count { path: path.clone() }, Sent::Count(path))?;
                }
            }
            Absence::Unexplained => {
                let folder = self.folder_above(&path);
                self.list_again(ticket, folder);
            }
            Absence::LostSight => self.flight.end_with(ticket, End::LostSight),
            Absence::ListAgain => {
                let folder = path.parent().unwrap_or_default();
                self.list_again(ticket, folder);
            }
        }
        Ok(())
    }

    /// Has a folder listed from which something is missing.
    pub(super) fn list_again(&mut self, ticket: Ticket, folder: RelPath) {
        let now = self.mirror.now();
        let pause = self.retries.list_again(&folder, now);
        self.owe(ticket, Hint::Folder { path: folder.clone() });
        if let Some(pause) = pause {
            self.mirror.pending().postpone(&folder, now + pause);
        }
    }

    /// What stands here the target cannot hold under this name. What it has under it is something else.
    pub(super) fn unheld_there(&mut self, Look { ticket, path, why, .. }: Look) -> Result<(), Ended> {
        if why == Why::Extra && self.options.delete { self.send_removal(ticket, path) } else { Ok(()) }
    }

    fn remove(&mut self, ticket: Ticket, path: RelPath, why: Why) -> Result<(), Ended> {
        self.mirror.entries.gone(&path);
        self.busy.gone(&path);
        if !self.options.delete || self.never_held(&path) {
            return Ok(());
        }
        if self.is_held(ticket, &path, why)? {
            return Ok(());
        }
        if self.is_to_be_weighed(why) {
            self.send(ticket, &ToReceiver::Count { path: path.clone() }, Sent::Count(path))?;
            return Ok(());
        }
        self.send_removal(ticket, path)
    }

    pub(super) fn send_removal(&mut self, ticket: Ticket, path: RelPath) -> Result<(), Ended> {
        self.origins.removed(&path);
        self.send_other_spelling(ticket, &path);
        self.send(ticket, &ToReceiver::Remove { path: path.clone() }, Sent::Remove(path))?;
        Ok(())
    }

    /// Whether the root, which must be the folder that it was, has no entries. Asked once a turn.
    pub(super) fn root_is_empty(&mut self) -> Result<bool, Ended> {
        match self.root_empty {
            Some(empty) => Ok(empty),
            None => {
                let empty = self.root.check().map_err(Ended::Halted)?;
                self.root_empty = Some(empty);
                Ok(empty)
            }
        }
    }
}
