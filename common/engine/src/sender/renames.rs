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
    /// Whether what stands at `to` was sent after the rename had happened: it would bring an older version.
    pub(super) fn is_overtaken(&self, to: &RelPath, before: Instant) -> bool {
        self.origins.sent_at(to).is_some_and(|at| at >= before)
    }

    /// Whether a rename would bring an older version to `to`. So it is when another file was sent as `from` than stands at
    /// `to`, and when that file has got another mtime since: then its metadata cannot be mended in place.
    pub(super) fn is_older(&self, from: &RelPath, to: &RelPath) -> bool {
        let other = |stat: &Stat| {
            let sent = self.origins.sent_as(from);
            stat.kind == Kind::File && sent.is_some_and(|sent| sent != (Inode::of(stat).node(), stat.mtime))
        };
        self.find(to).is_ok_and(|found| found.is_some_and(|(_, _, stat)| other(&stat)))
    }

    /// What the target has of a file that never holds still may be all that it gets for long: it goes along, as an older
    /// version, where it takes the place of nothing. That is asked first.
    pub(super) fn ask_vacant(&mut self, ticket: Ticket, from: RelPath, to: RelPath) -> Result<(), Ended> {
        self.busy.moved(&from, &to);
        self.send(ticket, &ToReceiver::Count { path: to.clone() }, Sent::Vacant(from, to))?;
        Ok(())
    }

    /// So much stands at the target where something is to be renamed to.
    pub(super) fn is_vacant(&mut self, number: u64, entries: u64) -> Result<(), Ended> {
        let Some((ticket, Sent::Vacant(from, to))) = self.flight.get(number) else { return Ok(()) };
        let (from, to) = (from.clone(), to.clone());
        let moved = [&from, &to].into_iter().any(|path| self.flight.forwarded(number, path) != *path);
        if entries > 0 || moved || self.flight.concerns_since(number, [&from, &to]) {
            self.is_taken_there(number);
            return Ok(());
        }
        self.send_rename(ticket, from, to)
    }

    /// What stands there has to stay, or nobody knows what does.
    pub(super) fn is_taken_there(&mut self, number: u64) {
        let Some((ticket, Sent::Vacant(from, to))) = self.flight.get(number) else { return };
        let stands: Vec<_> = [from, to].into_iter().map(|path| self.by_now(number, path)).collect();
        self.busy.is_lost(&stands[1], self.mirror.now());
        let from = from.clone();
        self.leave_overtaken(ticket, &from, stands);
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

    /// Makes the folders that hold the new name, where they may be missing.
    pub(super) fn make_parents(&mut self, ticket: Ticket, parents: &[RelPath]) -> Result<(), Ended> {
        for folder in parents {
            if self.kind_here(folder) == Some(Kind::Dir) {
                self.make_folder(ticket, folder)?;
            }
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, ticket: Ticket, from: RelPath, to: RelPath) -> Result<(), Ended> {
        // Under the new name the file must not be seen with metadata that it had before it got that name.
        if let Ok(Some((dir, name, stat))) = self.find(&to)
            && stat.kind == Kind::File
            && let Ok(meta) = dir.meta(&name, &stat)
        {
            let message = ToReceiver::Offer { path: from.clone(), meta, digest: None };
            self.send(ticket, &message, Sent::Forerunner(from.clone()))?;
        }
        self.busy.moved(&from, &to);
        self.send_rename(ticket, from, to)
    }

    fn send_rename(&mut self, ticket: Ticket, from: RelPath, to: RelPath) -> Result<(), Ended> {
        let mates = self.groups.moved(&from, &to);
        self.look_at_mates(ticket, mates);
        let alike = self.origins.moved(&from, &to);
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
