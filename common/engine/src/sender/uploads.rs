//! Large files on their way: a few at a time, a piece of each in turn. Opens their blobs, hands on what each has read, and
//! publishes it.

use std::collections::VecDeque;
use std::io;

use bytes::BytesMut;
use proto::{Chunk, RelPath, ToReceiver, limits};
use sys::Stat;

use super::delta::RUN;
use super::flight::Sent;
use super::looks::Slot;
use super::upload::{Next, Part, Upload};
use super::{Ended, Session};
use crate::hint::Cause;
use crate::pending::Ticket;
use crate::view::View;

/// Large files on their way at the same time.
const UPLOADS: usize = 4;
/// Chunks of signatures that are held for them together: as many as a file of a tebibyte has, some 40 MiB. What a signature has
/// beyond that is taken to be new.
const CHUNKS: usize = 400_000;
/// Chunks of signatures that may still come for uploads that are over, at most.
const LATE: usize = 2 * limits::CHUNKS;

/// The uploads of a session, the one that goes on next first.
#[derive(Default)]
pub(super) struct Uploads {
    uploads: VecDeque<Upload>,
    /// Number of the last blob; wraps around.
    last_id: u32,
    /// Bytes that the target is copying, for uploads of now and before.
    copying: u64,
    /// Chunks of signatures that may still come for uploads that are over.
    late: usize,
}

impl Uploads {
    pub fn len(&self) -> usize {
        self.uploads.len()
    }

    /// Whether one more may be on its way.
    pub fn slot(&self) -> Slot {
        if self.uploads.len() < UPLOADS { Slot::Free } else { Slot::Taken }
    }

    /// Bytes still to be read, as far as is known.
    pub fn left(&self) -> u64 {
        self.uploads.iter().map(Upload::left).fold(0, u64::saturating_add)
    }

    /// A number for one more blob.
    pub fn new_id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    /// Number of the last blob: another one means that an upload was begun.
    pub fn last_id(&self) -> u32 {
        self.last_id
    }

    /// Has the first go on and takes it out, to be put back unless it is over. `None` when it has to wait, as the target
    /// is copying enough.
    pub fn step(&mut self, view: &View, buffer: &mut BytesMut) -> Option<(Upload, io::Result<Next>)> {
        let mut upload = self.uploads.pop_front()?;
        if self.copying + RUN > limits::BACKLOG && upload.compares() {
            self.uploads.push_back(upload);
            return None;
        }
        let before = upload.copying();
        let next = upload.step(view, buffer);
        self.copying += upload.copying() - before;
        Some((upload, next))
    }

    /// One that is to go on, after the others.
    pub fn put_back(&mut self, upload: Upload) {
        self.uploads.push_back(upload);
    }

    /// The work of the one under this name, if that will find out by itself that its file has become this one.
    pub fn will_notice(&self, path: &RelPath, stat: &Stat) -> Option<Ticket> {
        let upload = self.uploads.iter().find(|upload| upload.path() == path)?;
        upload.will_notice(stat).then(|| upload.ticket())
    }

    /// Takes out the one under this name.
    pub fn take(&mut self, path: &RelPath) -> Option<Upload> {
        let at = self.uploads.iter().position(|upload| upload.path() == path)?;
        self.uploads.remove(at)
    }

    /// Takes all of them out: none goes on by itself.
    pub fn take_all(&mut self) -> VecDeque<Upload> {
        std::mem::take(&mut self.uploads)
    }

    /// This one, or this attempt of it, is over: what is still said of its basis is of no interest.
    pub fn is_over(&mut self, upload: &Upload) {
        self.late = (self.late + upload.unsigned()).min(LATE);
    }

    /// The next part of a signature. False when it breaks the protocol.
    pub fn signed(&mut self, id: u32, size: u64, chunks: Vec<Chunk>, last: bool) -> bool {
        let room = CHUNKS.saturating_sub(self.uploads.iter().map(Upload::held).sum());
        if let Some(upload) = self.of(id) {
            return upload.signed(size, chunks, last, room);
        }
        let left = self.late.checked_sub(chunks.len().max(1));
        self.late = left.unwrap_or_default();
        left.is_some()
    }

    /// The target has copied so many bytes. False when it was not asked to.
    pub fn copied(&mut self, id: u32, bytes: u64) -> bool {
        let asked = self.of(id).is_none_or(|upload| upload.copied(bytes));
        let left = self.copying.checked_sub(bytes).filter(|_| asked);
        self.copying = left.unwrap_or(self.copying);
        left.is_some()
    }

    fn of(&mut self, id: u32) -> Option<&mut Upload> {
        self.uploads.iter_mut().find(|upload| upload.id() == id)
    }
}

impl Session<'_> {
    /// One piece of each upload. Whether there was one.
    pub(super) fn step_uploads(&mut self) -> Result<bool, Ended> {
        let mut worked = false;
        for _ in 0..self.uploads.len() {
            if self.wire.is_full() {
                break;
            }
            let before = self.wire.buffer.len();
            let Some((mut upload, next)) = self.uploads.step(&self.view, &mut self.wire.buffer) else { continue };
            let sent = (self.wire.buffer.len() - before) as u64;
            self.mirror.account.sends_on(upload.past(), sent);
            upload.cost().sends(sent);
            self.mirror.progress.advance(upload.progress());
            worked |= !matches!(next, Ok(Next::Wait));
            match next {
                Ok(Next::More) => {
                    self.wire.added(self.mirror)?;
                    self.uploads.put_back(upload);
                }
                Ok(Next::Wait) => self.uploads.put_back(upload),
                Ok(Next::Publish(put, part)) => self.publish(upload, &put.0, &put.1, part)?,
                Ok(Next::Again) => self.upload_again(upload)?,
                Ok(Next::Changing) => self.gives_up_for_now(upload)?,
                Err(error) => {
                    let reason = format!("cannot be read, the backup keeps its copy: {error}");
                    self.mirror.entries.problem(upload.path(), reason);
                    self.drop_upload(upload)?;
                }
            }
        }
        Ok(worked)
    }

    /// What was told of it is not so.
    fn take_back(&self, upload: &Upload) {
        self.mirror.progress.retreat(upload.told());
        self.mirror.progress.lose(upload.sent_bytes());
    }

    /// Opens the blob of an upload, which is the next to be read.
    pub(super) fn start_upload(&mut self, mut upload: Upload) -> Result<(), Ended> {
        upload.cost().begins(self.mirror.now());
        self.mirror.progress.find(upload.sent_bytes());
        for message in upload.opening() {
            self.wire.put(&message, self.mirror)?;
        }
        self.uploads.put_back(upload);
        Ok(())
    }

    /// The target says what it has of a file that is on its way. One that is not any more is of no interest.
    pub(super) fn signature(&mut self, id: u32, size: u64, chunks: Vec<Chunk>, last: bool) -> Result<(), Ended> {
        if self.uploads.signed(id, size, chunks, last) {
            return Ok(());
        }
        Err(Ended::Violation(format!("a signature for blob {id} that was not asked for, or is too long")))
    }

    /// The target has copied so many bytes of a file that is, or was, on its way.
    pub(super) fn copied(&mut self, id: u32, bytes: u64) -> Result<(), Ended> {
        if bytes == 0 {
            return self.chatter();
        }
        if self.uploads.copied(id, bytes) {
            return Ok(());
        }
        Err(Ended::Violation(format!("copied more for blob {id} than it was asked for")))
    }

    /// RACE: the name may go to another file right after this check. Its event is then still to come, so the newer
    /// content is sent after this one.
    fn publish(&mut self, upload: Upload, put: &ToReceiver, stat: &Stat, part: Part) -> Result<(), Ended> {
        if !self.is_still(upload.path(), stat) {
            self.owe_entry(upload.ticket(), upload.path().clone(), Cause::ATTRIBUTES | Cause::LOST);
            return self.drop_upload(upload);
        }
        self.uploads.is_over(&upload);
        let sent = Sent::Entry(upload.path().clone(), self.claim(stat));
        self.send(upload.ticket(), put, sent)?;
        self.mirror.progress.advance(upload.sent_bytes().saturating_sub(upload.told()));
        self.has_sent(upload.path(), stat, upload.apart(), upload.past());
        self.sent_content(upload.path(), stat, upload.sent_bytes(), upload.joins());
        match part {
            Part::Whole => self.is_settled(upload.path()),
            Part::Beginning => {
                self.is_settled(upload.path());
                // What told of the rest may have been about another name of it, and have been sent before this.
                self.owe_rest(upload.ticket(), upload.path().clone(), Cause::WRITING);
            }
            Part::Inexact => self.is_copied(&upload),
        }
        if upload.joins() {
            self.link_others(upload.ticket(), upload.path().clone(), stat)?;
        }
        self.looked(upload.ticket())
    }

    /// Whether the file that this was stands under this name.
    pub(super) fn is_still(&self, path: &RelPath, stat: &Stat) -> bool {
        self.find(path).ok().flatten().is_some_and(|(_, _, now)| now.same_inode(stat))
    }

    fn upload_again(&mut self, upload: Upload) -> Result<(), Ended> {
        self.uploads.is_over(&upload);
        self.take_back(&upload);
        self.wire.put(&ToReceiver::Drop { id: upload.id() }, self.mirror)?;
        let (id, ticket, path) = (self.uploads.new_id(), upload.ticket(), upload.path().clone());
        let past = |upload: &Upload| self.account_attempt(upload);
        match upload.again(id, past) {
            Ok(upload) => self.start_upload(upload),
            Err(error) => {
                self.mirror.entries.problem(&path, format!("cannot be read, the backup keeps its copy: {error}"));
                self.looked(ticket)
            }
        }
    }

    pub(super) fn drop_upload(&mut self, upload: Upload) -> Result<(), Ended> {
        self.uploads.is_over(&upload);
        self.take_back(&upload);
        self.wire.put(&ToReceiver::Drop { id: upload.id() }, self.mirror)?;
        self.looked(upload.ticket())
    }
}
