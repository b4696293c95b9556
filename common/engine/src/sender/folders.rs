//! Folders themselves on their way to the target, with their metadata and without what is in them.

use std::io;

use proto::{Kind, Meta, RelPath};
use sys::is_absence;

use super::flight::Sent;
use super::{Ended, Session};
use crate::pending::{Claim, Ticket};
use crate::view::Folder;

impl Session<'_> {
    /// Sends a folder with its metadata, without what is in it.
    pub(super) fn make_folder(&mut self, ticket: Ticket, path: &RelPath) -> Result<(), Ended> {
        self.send_folder(ticket, path, Sent::Folder)
    }

    /// The same of a folder that the target has, as far as is known: it takes no room.
    pub(super) fn mend_folder(&mut self, ticket: Ticket, path: &RelPath) -> Result<(), Ended> {
        self.send_folder(ticket, path, |path, _| Sent::Standing(path))
    }

    fn send_folder(&mut self, ticket: Ticket, path: &RelPath, sent: fn(RelPath, Claim) -> Sent) -> Result<(), Ended> {
        let look = |folder: Folder| {
            self.note_setid(path, &folder.stat()?);
            folder.own_meta()
        };
        match self.view.folder(path).and_then(look) {
            Ok(meta) => self.make_as(ticket, path, meta, sent),
            Err(error) if is_absence(&error) => Ok(()),
            Err(error) => self.make_unopened(ticket, path, sent, &error),
        }
    }

    /// A folder that may not be opened still has metadata.
    fn make_unopened(
        &mut self,
        ticket: Ticket,
        path: &RelPath,
        sent: fn(RelPath, Claim) -> Sent,
        error: &io::Error,
    ) -> Result<(), Ended> {
        let meta = self.find(path).and_then(|found| match found {
            Some((dir, name, stat)) => {
                self.note_setid(path, &stat);
                dir.meta(&name, &stat).map(Some)
            }
            None => Ok(None),
        });
        match meta {
            Ok(Some(meta)) if meta.kind == Kind::Dir => self.make_as(ticket, path, meta, sent),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => self.unseen(path, &error),
            _ => {
                self.mirror
                    .entries
                    .problem(path, format!("the folder cannot be opened, the backup keeps what it has: {error}"));
                Ok(())
            }
        }
    }

    fn make_as(
        &mut self,
        ticket: Ticket,
        path: &RelPath,
        meta: Meta,
        sent: fn(RelPath, Claim) -> Sent,
    ) -> Result<(), Ended> {
        let claim = Claim { owner: self.owner(meta.uid, meta.gid), bytes: 0 };
        self.make(ticket, path, meta, sent(path.clone(), claim))
    }
}
