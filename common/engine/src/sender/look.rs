//! Looks: the one place where the source is asked what stands under a name, and where the answer is sent.

use std::io;

use proto::{Kept, Kind, Meta, Name, RelPath, ToReceiver};
use sys::{File, Stat, is_absence};

use super::flight::{End, Sent};
use super::looks::{Asks, Look};
use super::need::{self, Attributes, Doubt, FolderNeed, Linked, Need, Pace};
use super::pass::Reach;
use super::read::{self, Small};
use super::upload::{Upload, is_blob};
use super::{Ended, Session};
use crate::hint::{Cause, Hint};
use crate::pending::{Ticket, Wait};
use crate::view::{Folder, Inode, Rule};

impl Session<'_> {
    /// Looks at one entry and sends what is there.
    pub(super) fn look(&mut self, look: Look) -> Result<(), Ended> {
        if self.mirror.absent.covers(&look.path) {
            if self.mirror.absent.is_one(&look.path) {
                self.look_for_newcomer(&look.path);
            }
            return self.count_absent(look.ticket, look.path);
        }
        if self.mirror.absent.concerns(&look.path) && self.is_newcomer(&look.path) {
            self.note_newcomer(&look.path);
            return Ok(());
        }
        if look.path.is_root() {
            return self.mend_folder(look.ticket, &look.path);
        }
        if look.kind == Some(Kind::File) {
            return self.file_listed(look);
        }
        let found = match self.find(&look.path) {
            Ok(found) => found,
            Err(error) => {
                self.note_unseen(&look.path, &error);
                return Ok(());
            }
        };
        // What was opened while it was mounted is what it was.
        if self.is_away(&look.path) {
            return Ok(());
        }
        tracing::trace!(path = %look.path, why = ?look.why, inode = found.as_ref().map(|(_, _, stat)| stat.ino), "look");
        let Some((folder, name, stat)) = found else { return self.nothing_there(look) };
        self.is_taken(&look.path, stat.kind);
        if self.is_unheld(&look.path) {
            return self.unheld_there(look);
        }
        let mates = self.groups.seen(&look.path, &stat);
        self.look_at_mates(look.ticket, mates);
        if let Some(rule) = folder.leaves_out(&name, stat.kind) {
            self.mirror.entries.leave_out(&look.path, rule);
            return Ok(());
        }
        if stat.kind != Kind::Dir {
            self.mirror.entries.take_in(&look.path);
        }
        if stat.kind != Kind::File {
            self.account_entry(&look, &stat);
        }
        match stat.kind {
            Kind::Dir => self.folder_there(look, &stat),
            Kind::File => self.file_there(look, &folder, &name, stat),
            _ => match folder.meta(&name, &stat) {
                Ok(meta) => {
                    self.mirror.entries.resolved_here(&look.path);
                    self.note_setid(&look.path, &stat);
                    let claim = self.claim(&stat);
                    if self.has_to_wait(look.ticket, &look.path, claim) {
                        self.park(look.ticket, look.path, Wait::Entry(Cause::WRITTEN), claim);
                        return Ok(());
                    }
                    self.make(look.ticket, &look.path, meta, Sent::Entry(look.path.clone(), claim))?;
                    self.link_others(look.ticket, look.path, &stat)
                }
                Err(error) => self.unreadable(look, &error),
            },
        }
    }

    /// What stands there cannot be looked at, or is not to be.
    pub(super) fn note_unseen(&self, path: &RelPath, error: &io::Error) {
        let entries = &self.mirror.entries;
        if error.kind() == io::ErrorKind::CrossesDevices {
            entries.leave_out(path, Rule::Mounted);
            entries.resolved_here(path);
        } else {
            entries.problem(path, format!("cannot be looked at, the backup keeps its copy: {error}"));
        }
    }

    fn folder_there(&mut self, Look { ticket, path, why, .. }: Look, stat: &Stat) -> Result<(), Ended> {
        match need::of_folder(why, self.attributes(), self.pace(ticket)) {
            FolderNeed::Mend(doubt) => {
                self.owe_missed(ticket, &path, doubt);
                self.mend_folder(ticket, &path)
            }
            FolderNeed::Nothing(doubt) => {
                self.owe_missed(ticket, &path, doubt);
                Ok(())
            }
            FolderNeed::Compare => self.start_pass(ticket, path, Reach::Subtree),
            FolderNeed::CompareLater => {
                self.owe(ticket, Hint::Subtree { path });
                Ok(())
            }
            FolderNeed::Make => {
                let claim = self.claim(stat);
                if self.has_to_wait(ticket, &path, claim) {
                    self.park(ticket, path, Wait::Subtree, claim);
                    return Ok(());
                }
                self.make_folder(ticket, &path)
            }
        }
    }

    /// What is in a folder that could not be read before may not have been sent.
    fn owe_missed(&self, ticket: Ticket, path: &RelPath, doubt: Doubt) {
        let beneath = doubt == Doubt::Beneath && self.mirror.entries.is_troubled_beneath(path);
        if beneath || doubt != Doubt::None && self.mirror.entries.is_troubled_here(path) {
            self.owe(ticket, Hint::Subtree { path: path.clone() });
        }
    }

    /// Whether this work is a pass's.
    pub(super) fn pace(&self, ticket: Ticket) -> Pace {
        if self.passes.has(ticket) { Pace::Pass } else { Pace::Entry }
    }

    fn attributes(&self) -> Attributes {
        if self.options.attributes { Attributes::Mirrored } else { Attributes::Ignored }
    }

    /// A file that was listed a moment ago is opened at once, without a look at it first. If that fails, it is looked
    /// at like anything else.
    fn file_listed(&mut self, look: Look) -> Result<(), Ended> {
        let Some((parent, name)) = look.path.split() else { return Ok(()) };
        let folder = self.near.borrow_mut().open(&self.view, &parent);
        match folder.and_then(|folder| folder.open(&name)) {
            Ok(_) if self.is_away(&look.path) => Ok(()),
            Ok((file, stat)) => {
                tracing::trace!(path = %look.path, why = ?look.why, inode = stat.ino, "look");
                self.is_taken(&look.path, stat.kind);
                if self.is_unheld(&look.path) {
                    return self.unheld_there(look);
                }
                let mates = self.groups.seen(&look.path, &stat);
                self.look_at_mates(look.ticket, mates);
                self.tell_other_names(&look, &stat);
                self.content(look, file, stat)
            }
            Err(_) => self.look(Look { kind: None, ..look }),
        }
    }

    fn file_there(&mut self, look: Look, folder: &Folder, name: &Name, stat: Stat) -> Result<(), Ended> {
        let linked = if stat.nlink > 1 && self.view.keeps(Kept::Hardlinks) { Linked::Yes } else { Linked::No };
        // What could not be read before may not have been sent. Of what is not joined it is known.
        let mended = look.why.joins() && self.mirror.entries.is_troubled_here(&look.path);
        let need = if mended { Need::Content } else { need::of_file(look.why, self.attributes(), linked) };
        if !matches!(need, Need::Nothing | Need::Later) {
            self.tell_other_names(&look, &stat);
        }
        let other = need == Need::Metadata && self.origins.differs(&look.path, Inode::of(&stat).node());
        // It has the same size and time, perhaps, as a copy has.
        let look = Look { asks: if other { Asks::First } else { look.asks }, ..look };
        match if other { Need::Content } else { need } {
            Need::Nothing => Ok(()),
            Need::Later => {
                self.flight.end_with(look.ticket, End::StillOpen);
                Ok(())
            }
            Need::Metadata => match folder.meta(name, &stat) {
                Ok(meta) => {
                    self.note_setid(&look.path, &stat);
                    self.account_entry(&look, &stat);
                    let message = ToReceiver::Offer { path: look.path.clone(), meta, digest: None };
                    // A pass names its groups at its end.
                    let in_pass = linked == Linked::Yes && self.passes.meet(look.ticket, Inode::of(&stat), &look.path);
                    let sent = match linked {
                        Linked::Yes if !look.why.joins() => Sent::Apart(look.path),
                        Linked::Yes if !in_pass => Sent::LinkedOffer(look.path, Inode::of(&stat)),
                        _ => Sent::Offer(look.path),
                    };
                    self.send(look.ticket, &message, sent)?;
                    Ok(())
                }
                Err(error) => self.unreadable(look, &error),
            },
            Need::Content => match folder.open(name) {
                Ok((file, stat)) => self.content(look, file, stat),
                Err(error) => self.unreadable(look, &error),
            },
        }
    }

    fn content(&mut self, look: Look, file: File, stat: Stat) -> Result<(), Ended> {
        if self.is_too_large(&look.path, stat.size) {
            return self.drop_older(&look);
        }
        if self.comes_by_link(&look, &stat) || self.goes_under_another(&look, &stat) {
            return Ok(());
        }
        if self.is_sent_later(&look, &stat) || !self.admit(&look, &file, &stat)? {
            self.comes_later(&look, &stat);
            return Ok(());
        }
        // A file that is written all the time would begin again with each look, and never come to an end.
        if let Some(upload) = self.uploads.will_notice(&look.path, &stat) {
            self.takes_over(upload, look.ticket);
            return Ok(());
        }
        if self.waits_to_settle(&look, &file, &stat) {
            self.comes_later(&look, &stat);
            return Ok(());
        }
        self.drop_older(&look)?;
        self.note_setid(&look.path, &stat);
        if is_blob(&stat) {
            let known = look.why.replaces() || self.origins.sent_as(&look.path).is_some();
            let replaces = known && !stat.is_hollow();
            let past = self.account_content(&look, &stat, 0);
            let id = self.uploads.new_id();
            let tries = self.tries_of(&look.path);
            let upload = Upload::new(look.ticket, look.path, id, (file, stat), replaces, past);
            let upload = upload.apart_for(look.why.apart()).tried(tries);
            self.flight.hold(upload.ticket());
            return self.start_upload(upload);
        }
        if self.asks_first(&look, &file, &stat)? {
            return Ok(());
        }
        let (ticket, path, joins) = (look.ticket, look.path.clone(), look.why.joins());
        match read::small(&file, stat, &path, &self.view, &mut self.wire.buffer) {
            Ok(Small::Whole(bytes)) => {
                let claim = self.claim(&stat);
                let number = self.flight.sent(ticket, Sent::Entry(path.clone(), claim));
                self.pace.sent(number, || self.mirror.now());
                self.wire.added(self.mirror)?;
                self.mirror.progress.find(bytes);
                self.mirror.progress.advance(bytes);
                let past = self.account_content(&look, &stat, bytes);
                self.has_sent(&path, &stat, look.why.apart(), past);
                self.sent_content(&path, &stat, bytes, joins);
                self.is_settled(&path);
            }
            Ok(Small::Changing) => self.small_changes(&look, &file)?,
            Err(error) => self.unreadable(look, &error)?,
        }
        match joins {
            true => self.link_others(ticket, path, &stat),
            false => Ok(()),
        }
    }

    /// What is on its way under this name is older: it must not arrive after what is there now.
    fn drop_older(&mut self, look: &Look) -> Result<(), Ended> {
        let Some(older) = self.uploads.take(&look.path) else { return Ok(()) };
        self.takes_over(look.ticket, older.ticket());
        self.drop_upload(older)
    }

    /// The operation that was sent last brings this content.
    pub(super) fn sent_content(&mut self, path: &RelPath, stat: &Stat, bytes: u64, joins: bool) {
        self.origins.sent(path, Inode::of(stat).node(), stat.mtime, self.mirror.now());
        self.flight.brings(bytes);
        if self.is_joined(stat) {
            self.flight.is_linked(joins.then_some(Inode::of(stat).node()));
        }
        self.mirror.progress.complete();
    }

    pub(super) fn unreadable(&mut self, look: Look, error: &io::Error) -> Result<(), Ended> {
        if is_absence(error) {
            return self.nothing_there(look);
        }
        self.mirror.entries.problem(&look.path, format!("cannot be read, the backup keeps its copy: {error}"));
        Ok(())
    }

    /// Counts what the target gets without its setuid or setgid bit, as the module's rule is.
    pub(super) fn note_setid(&self, path: &RelPath, stat: &Stat) {
        if self.view.drops_setid(stat.kind, stat.mode) {
            self.mirror.entries.leave_out(path, Rule::Setid);
        } else {
            self.mirror.entries.take_in_there(path);
        }
    }

    pub(super) fn make(&mut self, ticket: Ticket, path: &RelPath, meta: Meta, sent: Sent) -> Result<(), Ended> {
        tracing::trace!(%path, mtime = ?meta.mtime, "make");
        self.send(ticket, &ToReceiver::Make { path: path.clone(), meta }, sent)?;
        Ok(())
    }

    /// Sends an operation; returns its number.
    pub(super) fn send(&mut self, ticket: Ticket, message: &ToReceiver, sent: Sent) -> Result<u64, Ended> {
        self.wire.put(message, self.mirror)?;
        let number = self.flight.sent(ticket, sent);
        self.pace.sent(number, || self.mirror.now());
        Ok(number)
    }
}
