//! Folders themselves on their way to the target, with their metadata and without what is in them.

use std::io;

use proto::{Kind, Meta, RelPath, ToReceiver};
use sys::is_absence;

use super::flight::Sent;
use super::{Ended, Session};
use crate::pending::{Claim, Ticket};
use crate::view::Folder;

impl Session<'_> {
    /// Sends a folder with its metadata, without what is in it.
    pub(super) fn make_folder(&mut self, ticket: Ticket, path: &RelPath) -> Result<(), Ended> {
        let Some(meta) = self.meta_of_folder(path) else { return Ok(()) };
        let claim = Claim { owner: self.owner(meta.uid, meta.gid), bytes: 0 };
        self.make(ticket, path, meta, Sent::Folder(path.clone(), claim))
    }

    /// Sends the metadata of a folder that the target has, as far as is known: it takes no room, and where it is missing
    /// there all of it is owed, which a folder that was made would hide.
    pub(super) fn mend_folder(&mut self, ticket: Ticket, path: &RelPath) -> Result<(), Ended> {
        let Some(meta) = self.meta_of_folder(path) else { return Ok(()) };
        tracing::trace!(%path, mtime = ?meta.mtime, "mend");
        self.send(ticket, &ToReceiver::Mend { path: path.clone(), meta }, Sent::Standing(path.clone()))?;
        Ok(())
    }

    /// `None` where none stands any more, or it cannot be told, which is noted.
    fn meta_of_folder(&self, path: &RelPath) -> Option<Meta> {
        let look = |folder: Folder| {
            self.note_setid(path, &folder.stat()?);
            folder.own_meta()
        };
        match self.view.folder(path).and_then(look) {
            Ok(meta) => Some(meta),
            Err(error) if is_absence(&error) => None,
            Err(error) => self.meta_of_unopened(path, &error),
        }
    }

    /// A folder that may not be opened still has metadata.
    fn meta_of_unopened(&self, path: &RelPath, error: &io::Error) -> Option<Meta> {
        let meta = self.find(path).and_then(|found| match found {
            Some((dir, name, stat)) => {
                self.note_setid(path, &stat);
                dir.meta(&name, &stat).map(Some)
            }
            None => Ok(None),
        });
        match meta {
            Ok(Some(meta)) if meta.kind == Kind::Dir => return Some(meta),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => self.note_unseen(path, &error),
            _ => {
                let reason = format!("the folder cannot be opened, the backup keeps what it has: {error}");
                self.mirror.entries.problem(path, reason);
            }
        }
        None
    }
}
