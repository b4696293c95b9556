//! Renames and exchanges: sent as such where what the target has moves, and looked at anew where that cannot be known.

use std::time::Instant;

use proto::{Kind, RelPath, ToReceiver};
use sys::Stat;

use super::flight::Sent;
use super::{Ended, Session};
use crate::hint::Cause;
use crate::pending::Ticket;
use crate::view::Inode;

impl Session<'_> {
    /// Whether a rename would bring an older version to `to`. So it is when `to` was sent after the rename had
    /// happened, when another file was sent as `from` than stands at `to`, and when that file has got another mtime
    /// since: then its metadata cannot be mended in place.
    pub(super) fn is_overtaken(&self, from: &RelPath, to: &RelPath, before: Instant) -> bool {
        let other = |stat: &Stat| {
            let sent = self.origins.sent_as(from);
            stat.kind == Kind::File && sent.is_some_and(|sent| sent != (Inode::of(stat).node(), stat.mtime))
        };
        self.origins.sent_at(to).is_some_and(|at| at >= before)
            || self.find(to).is_ok_and(|found| found.is_some_and(|(_, _, stat)| other(&stat)))
    }

    /// Whether the target keeps a folder under the name that it had here, as with all that goes: then the new one is another,
    /// and sent whole. What stands at the target under the name of a file it judges itself.
    pub(super) fn keeps_both(&self, to: &RelPath) -> bool {
        !self.options.delete && self.kind_here(to) == Some(Kind::Dir)
    }

    /// Looks at both places, where they stand by now, instead of a rename that is overtaken.
    pub(super) fn leave_overtaken(&mut self, ticket: Ticket, from: &RelPath, stands: Vec<RelPath>) {
        let mates = self.groups.left(from);
        self.look_at_mates(ticket, mates);
        for (at, path) in stands.into_iter().enumerate() {
            match at {
                0 => self.owe_entry(ticket, path, Cause::GONE),
                _ => self.doubt(ticket, path),
            }
        }
    }

    pub(super) fn rename(
        &mut self,
        ticket: Ticket,
        from: RelPath,
        to: RelPath,
        parents: Vec<RelPath>,
    ) -> Result<(), Ended> {
        for folder in parents {
            if self.kind_here(&folder) == Some(Kind::Dir) {
                self.make_folder(ticket, &folder)?;
            }
        }
        // Under the new name the file must not be seen with metadata that it had before it got that name.
        if let Ok(Some((dir, name, stat))) = self.find(&to)
            && stat.kind == Kind::File
            && let Ok(meta) = dir.meta(&name, &stat)
        {
            let message = ToReceiver::Offer { path: from.clone(), meta, digest: None };
            self.send(ticket, &message, Sent::Forerunner(from.clone()))?;
        }
        let mates = self.groups.moved(&from, &to);
        self.look_at_mates(ticket, mates);
        let alike = self.origins.moved(&from, &to);
        self.busy.moved(&from, &to);
        let message = ToReceiver::Rename { from: from.clone(), to: to.clone() };
        self.send_other_spelling(ticket, &from);
        self.send(ticket, &message, Sent::Rename(from, to, alike))?;
        Ok(())
    }

    /// Two renames looked like an exchange. It was one if something stands at both places, after all renames since. Where the
    /// target's disk cannot exchange two names, both are looked at.
    pub(super) fn exchange(
        &mut self,
        ticket: Ticket,
        (a, b): (RelPath, RelPath),
        stands: &[RelPath],
    ) -> Result<(), Ended> {
        let keeps = stands.iter().any(|path| self.keeps_both(path));
        let stands: Vec<_> = stands.iter().map(|path| (path.clone(), self.kind_here(path).is_some())).collect();
        let crosses = self.mirror.absent.is_crossed_at(&a) || self.mirror.absent.is_crossed_at(&b);
        let is_one = self.view.disk().exchange && !crosses && !keeps;
        if is_one && stands.iter().all(|(_, taken)| *taken) {
            self.groups.exchanged(&a, &b);
            let alike = self.origins.exchanged(&a, &b);
            self.busy.exchanged(&a, &b);
            let message = ToReceiver::Exchange { a: a.clone(), b: b.clone() };
            self.send(ticket, &message, Sent::Exchange(a, b, alike))?;
            return Ok(());
        }
        let mut mates = self.groups.left(&a);
        mates.extend(self.groups.left(&b));
        self.look_at_mates(ticket, mates);
        for (path, taken) in stands {
            match taken {
                true => self.doubt(ticket, path),
                false => self.owe_entry(ticket, path, Cause::GONE),
            }
        }
        Ok(())
    }
}
