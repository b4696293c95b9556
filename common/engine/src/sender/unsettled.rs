//! What follows when a file changed each time it was read: when it is tried again, what the target has of it meanwhile, and
//! what is said of that.

use std::time::{Duration, Instant};

use proto::{Content, Kept, Kind, Meta, Outcome, RelPath, ToReceiver, limits};
use sys::{File, Stat};

use super::busy::{Tries, Try};
use super::flight::{Sent, place};
use super::looks::{Look, Why};
use super::pass::Difference;
use super::read;
use super::upload::Upload;
use super::{BusyFiles, Ended, Session, Until};
use crate::hint::Cause;
use crate::pending::Ticket;

/// A run that is to end does not wait longer for a file to hold still.
const PATIENCE: Duration = Duration::from_secs(15);
const KEEPS: &str = "changes while it is read: the backup keeps its last version until it settles";
const COPIED: &str =
    "changes while it is read: the backup has an inexact copy of it, not of one moment, until it settles";

impl Session<'_> {
    /// Whether the content of this file has to wait, as it has changed while it was read: it is owed then.
    pub(super) fn waits_to_settle(&mut self, look: &Look, file: &File, stat: &Stat) -> bool {
        let now = self.mirror.now();
        if let Some((from, left)) = self.busy.elsewhere(&look.path, stat, || file.born())
            && (left || !self.stat_here(&from).is_some_and(|there| there.same_inode(stat)))
        {
            self.busy.turns_up(&from, &look.path, now);
        }
        match look.why {
            Why::Differs(Difference::Missing) => self.busy.is_lost(&look.path, now),
            // What was sent since it was listed may be exact.
            Why::Differs(Difference::Inexact) if !self.is_sent_since(look) => {
                self.busy.is_inexact(&look.path, (*stat, file.born()), now);
                self.note_unsettled(&look.path);
            }
            _ => {}
        }
        let Some(due) = self.busy.due(&look.path, stat, self.mirror.now()) else { return false };
        self.note_unsettled(&look.path);
        self.owe_unsettled(look.ticket, &look.path, Cause::ALONE.and(look.why.apart()), Some(due));
        true
    }

    /// Whether content was sent under this name since the work of this look was handed out.
    fn is_sent_since(&self, look: &Look) -> bool {
        let begun = self.mirror.pending().begun(look.ticket, self.mirror.now());
        self.origins.sent_at(&look.path).is_some_and(|at| at >= begun.at())
    }

    /// How this file is to be tried.
    pub(super) fn tries_of(&self, path: &RelPath) -> Tries {
        Tries { most: self.busy.attempts(path), copies: self.copies_busy() && self.busy.may_copy(path) }
    }

    fn copies_busy(&self) -> bool {
        // Where none of these is kept the receiver could not tell the copy from others.
        let marks = [Kept::Xattrs, Kept::Acls, Kept::Setid];
        self.options.busy_files == BusyFiles::Copy && marks.into_iter().any(|kept| self.view.keeps(kept))
    }

    /// The file of this upload changed each time it was read: it is looked at again when it holds still, or after a pause.
    pub(super) fn gives_up_for_now(&mut self, upload: Upload) -> Result<(), Ended> {
        let now = self.mirror.now();
        self.busy.failed(upload.path(), upload.in_vain(now), now);
        if self.is_still(upload.path(), upload.stat()) {
            self.is_unsettled(upload.ticket(), upload.path(), upload.apart());
        } else {
            self.owe_entry(upload.ticket(), upload.path().clone(), Cause::ATTRIBUTES | Cause::LOST);
        }
        self.drop_upload(upload)
    }

    /// The same, and an inexact copy of it was sent: whether the target takes that it tells.
    pub(super) fn is_copied(&mut self, upload: &Upload) {
        self.flight.brings_inexact();
        let now = self.mirror.now();
        self.busy.failed(upload.path(), upload.in_vain(now), now);
        self.busy.copied(upload.path(), 0, now);
        self.owe_unsettled(upload.ticket(), upload.path(), upload.apart(), None);
    }

    /// Inexact copies that were sent up to this operation stand at the target.
    pub(super) fn are_copied(&mut self, upto: u64) {
        if self.busy.is_empty() {
            return;
        }
        for (op, path) in self.flight.copies(upto) {
            let path = self.by_now(op, &path);
            // Nothing may stand there by now, or a folder.
            if self.busy.is_copied(&path) && self.kind_here(&path) == Some(Kind::File) {
                self.note_unsettled(&path);
            }
        }
    }

    /// The connection was lost before the target said whether it takes them.
    pub(super) fn are_unsure(&mut self) {
        for (op, path) in self.flight.copies(u64::MAX) {
            self.busy.is_unsure(&self.by_now(op, &path));
        }
    }

    /// A small file changed each time it was read. Of that the target has heard nothing; after some such tries it gets an
    /// inexact copy.
    pub(super) fn small_changes(&mut self, look: &Look, file: &File) -> Result<(), Ended> {
        let (path, apart) = (&look.path, look.why.apart());
        let copied = match file.stat() {
            Ok(stat) => self.copy_small(look, file, &stat)?,
            Err(error) => {
                let reason = format!("cannot be read, the backup keeps its copy: {error}");
                self.mirror.entries.problem(path, reason);
                return Ok(());
            }
        };
        match copied {
            true => self.owe_unsettled(look.ticket, path, apart, None),
            false => self.is_unsettled(look.ticket, path, apart),
        }
        Ok(())
    }

    /// Whether an inexact copy was sent.
    fn copy_small(&mut self, look: &Look, file: &File, stat: &Stat) -> Result<bool, Ended> {
        let (path, now) = (&look.path, self.mirror.now());
        let tried = Try { after: *stat, born: file.born(), bytes: 0, last: 0, took: Duration::ZERO, stands: false };
        self.busy.failed(path, tried, now);
        if !self.copies_busy() || stat.size > limits::INLINE as u64 || !self.busy.may_copy_small(path, now) {
            return Ok(false);
        }
        let mut content = bytes::BytesMut::new();
        let read = read::fill(file, 0..stat.size, &mut content);
        let (Ok(bytes), Ok(meta)) = (read, self.view.meta_of(file, stat)) else { return Ok(false) };
        // It may have been cut short meanwhile.
        let meta = Meta { size: bytes, ..meta };
        let content = Content::Inline(content.freeze());
        let put = ToReceiver::Put { path: path.clone(), meta, content, inexact: true };
        let claim = self.claim(stat);
        self.send(look.ticket, &put, Sent::Entry(path.clone(), claim))?;
        self.mirror.progress.find(bytes);
        self.mirror.progress.advance(bytes);
        let past = self.account_content(look, stat, bytes);
        self.has_sent(path, stat, look.why.apart(), past);
        self.sent_content(path, stat, bytes, look.why.joins());
        self.flight.brings_inexact();
        self.busy.copied(path, bytes, now);
        Ok(true)
    }

    /// What was sent of this file stood in it at one moment.
    pub(super) fn is_settled(&mut self, path: &RelPath) {
        self.mirror.entries.resolved_here(path);
        self.busy.stored(path, self.mirror.now());
    }

    /// The target has an exact version of a file, and did not take an inexact copy for it.
    pub(super) fn keeps_exact(&mut self, op: u64, sent: &Sent) {
        let path = self.flight.forwarded(op, place(sent));
        if self.busy.is_copied(&path) {
            self.busy.is_kept(&path);
            self.note_unsettled(&path);
        }
    }

    /// What became of an inexact copy that the target has not stored.
    pub(super) fn is_not_copied(&mut self, op: u64, sent: &Sent, outcome: &Outcome) {
        if !self.flight.is_inexact(op) {
            return;
        }
        let (path, now) = (self.flight.forwarded(op, place(sent)), self.mirror.now());
        match outcome {
            Outcome::Refused { .. } => self.busy.is_refused(&path, now),
            Outcome::Absent | Outcome::Full { .. } | Outcome::ReadOnly { .. } | Outcome::Failed { .. } => {
                self.busy.is_lost(&path, now);
            }
            Outcome::Want | Outcome::Differs | Outcome::Partly { .. } => return,
        }
        self.note_unsettled(&path);
    }

    fn is_unsettled(&mut self, ticket: Ticket, path: &RelPath, apart: Cause) {
        self.note_unsettled(path);
        self.owe_unsettled(ticket, path, apart, None);
    }

    fn note_unsettled(&self, path: &RelPath) {
        let what = if self.busy.is_copied(path) { COPIED } else { KEEPS };
        self.mirror.entries.problem(path, what.into());
    }

    /// Has it looked at again, not before `due`. A run that is to end leaves a file at that of which the target has got what it
    /// can, or that would have to be waited for.
    fn owe_unsettled(&mut self, ticket: Ticket, path: &RelPath, more: Cause, due: Option<Instant>) {
        let enough = match due {
            None => self.busy.is_copied(path),
            Some(due) => due.saturating_duration_since(self.mirror.now()) > PATIENCE,
        };
        if self.until == Until::InSync && (enough || self.retries.gives_up_on(path)) {
            return;
        }
        self.owe_entry(ticket, path.clone(), Cause::WRITING.and(more));
        if let Some(due) = due {
            self.mirror.pending().postpone(path, due);
        }
    }
}
