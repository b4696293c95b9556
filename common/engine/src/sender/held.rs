//! Names that the disk of the target cannot hold, or takes for others: they are named and not sent. A disk that holds every
//! name costs nothing here.

use std::rc::Rc;

use proto::{Kind, RelPath};

use super::Session;
use crate::hint::{Cause, Hint};
use crate::pending::Ticket;
use crate::view::Spelled;

impl Session<'_> {
    /// Notes that the target cannot hold what stands at this path, or a folder above it. Whether that is so.
    pub(super) fn is_unheld(&self, path: &RelPath) -> bool {
        let reason = self.unheld(path);
        if let Some(reason) = &reason {
            self.mirror.entries.problem_there(path, reason.clone());
        }
        reason.is_some()
    }

    /// Why the target cannot hold what stands at this path, in words.
    pub(super) fn unheld(&self, path: &RelPath) -> Option<String> {
        if self.view.disk().holds_every_name() {
            return None;
        }
        let mut folder = RelPath::root();
        for name in path.names() {
            let why = self.spelled(&folder).unheld(&name);
            if why.is_some() {
                return why;
            }
            folder = folder.join(&name).ok()?;
        }
        None
    }

    /// Whether nothing can stand at this path there, whatever else there is.
    pub(super) fn never_held(&self, path: &RelPath) -> bool {
        let disk = self.view.disk();
        !disk.holds_every_name() && path.names().any(|name| disk.unheld(&name).is_some())
    }

    /// Whether the target cannot make this move as one: both names are one there, or the new one cannot be held.
    pub(super) fn is_no_move(&self, from: &RelPath, to: &RelPath) -> bool {
        if self.view.disk().holds_every_name() {
            return false;
        }
        let alike = |path: &RelPath| path.split().map(|(folder, name)| (folder, self.view.disk().alike(&name)));
        let same = !self.view.disk().case && alike(from) == alike(to);
        same || self.unheld(to).is_some()
    }

    /// What had this name at the target is removed there, or moved away. It may be what stands here under another name that
    /// is one with it: that is sent anew, and has the place.
    pub(super) fn send_other_spelling(&self, ticket: Ticket, path: &RelPath) {
        if self.view.disk().case {
            return;
        }
        let Some((folder, name)) = path.split() else { return };
        let spelled = self.spelled(&folder);
        let others = spelled.others(&name).iter().filter(|(other, _)| *other != name);
        for (other, kind) in others.take(1) {
            let Ok(path) = folder.join(other) else { continue };
            match kind {
                Some(Kind::Dir) => self.owe(ticket, Hint::Subtree { path }),
                _ => self.owe_entry(ticket, path, Cause::WRITTEN),
            }
        }
    }

    fn spelled(&self, folder: &RelPath) -> Rc<Spelled> {
        self.near.borrow_mut().spelled(&self.view, folder)
    }
}
