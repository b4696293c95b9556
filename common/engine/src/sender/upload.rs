//! A large file on its way, piece by piece between other work: bounded memory, and small files are not held up.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use proto::digest::Transcript;
use proto::{Content, Keep, RelPath, ToReceiver, codec, limits};
use sys::{File, Stat};

use super::flight::Sent;
use super::{Ended, PATIENCE, Session, Until, read};
use crate::hint::Cause;
use crate::pending::Ticket;

/// One attempt after another to send one version of a file.
pub(super) struct Upload {
    pub ticket: Ticket,
    pub path: RelPath,
    pub id: u32,
    file: File,
    /// What the file was when this attempt began; `limit` bytes of it are sent.
    before: Stat,
    limit: u64,
    offset: u64,
    extent: Option<Range<u64>>,
    hash: Transcript,
    attempt: u32,
    /// Hash of the first `limit` bytes in the last attempt.
    earlier: Option<[u8; 32]>,
}

/// What the next step of an upload is.
pub(super) enum Step {
    /// A piece is in the buffer; there is more.
    Data,
    /// All pieces are sent: this is the operation that publishes them, and how much of the file they are.
    Publish(Box<(ToReceiver, Stat)>, Part),
    /// The file changed: drop the blob and begin again.
    Again,
    /// The file changes too often.
    Changing,
}

/// How much of a file was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// It has grown meanwhile.
    Beginning,
}

impl Upload {
    /// Of a file just opened.
    pub fn new(ticket: Ticket, path: RelPath, id: u32, file: File, stat: Stat) -> Upload {
        let (limit, hash) = (stat.size, Transcript::new());
        Upload { ticket, path, id, file, before: stat, limit, offset: 0, extent: None, hash, attempt: 1, earlier: None }
    }

    /// The message that opens its blob.
    pub fn opening(&self) -> ToReceiver {
        ToReceiver::Blob { id: self.id, size: self.limit }
    }

    /// Reads on; appends a piece to `buffer` if there is one.
    pub fn step(&mut self, keep: Keep, buffer: &mut BytesMut) -> io::Result<Step> {
        if self.extent.is_none() {
            self.extent = self.file.next_data(self.offset, self.limit)?;
        }
        let Some(extent) = self.extent.clone() else { return self.close(keep) };
        let piece = extent.start..extent.end.min(extent.start + limits::DATA as u64);
        let data = codec::start_data(self.id, extent.start, buffer);
        let content = buffer.len();
        match read::fill(&self.file, piece, buffer) {
            Ok(read) if read > 0 => {
                self.hash.update(extent.start, &buffer[content..]);
                data.finish(buffer);
                self.offset = extent.start + read;
                self.extent = (self.offset < extent.end).then_some(self.offset..extent.end);
                Ok(Step::Data)
            }
            // It was cut short.
            Ok(_) => {
                data.cancel(buffer);
                self.close(keep)
            }
            Err(error) => {
                data.cancel(buffer);
                Err(error)
            }
        }
    }

    /// The next attempt, under a new blob.
    pub fn again(mut self, id: u32) -> io::Result<Upload> {
        let now = self.file.stat()?;
        let grew = now.size > self.limit && now.ino == self.before.ino;
        self.earlier = grew.then(|| self.hash.finish());
        if !grew {
            (self.before, self.limit) = (now, now.size);
        }
        (self.id, self.offset, self.extent, self.hash) = (id, 0, None, Transcript::new());
        self.attempt += 1;
        Ok(self)
    }

    /// Bytes still to be read, as far as is known.
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.offset)
    }

    /// Bytes of content that it publishes, holes included.
    pub fn sent_bytes(&self) -> u64 {
        self.limit
    }

    fn close(&mut self, keep: Keep) -> io::Result<Step> {
        let now = self.file.stat()?;
        let hash = self.hash.finish();
        let same = now.same_content(&self.before);
        let prefix = now.size > self.limit && self.earlier == Some(hash);
        if same || prefix {
            let meta = self.file.meta(&self.before, keep)?;
            let content = Content::Blob { id: self.id, hash };
            let put = ToReceiver::Put { path: self.path.clone(), meta, content };
            let part = if same { Part::Whole } else { Part::Beginning };
            return Ok(Step::Publish(Box::new((put, self.before)), part));
        }
        Ok(if self.attempt < read::ATTEMPTS { Step::Again } else { Step::Changing })
    }
}

impl Session<'_> {
    /// One piece of each upload.
    pub(super) fn step_uploads(&mut self) -> Result<bool, Ended> {
        if self.uploads.is_empty() {
            return Ok(false);
        }
        for _ in 0..self.uploads.len() {
            let Some(mut upload) = self.uploads.pop_front() else { break };
            match upload.step(self.keep, &mut self.wire.buffer) {
                Ok(Step::Data) => {
                    self.wire.added(self.mirror)?;
                    self.uploads.push_back(upload);
                }
                Ok(Step::Publish(put, part)) => self.publish(upload, &put.0, &put.1, part)?,
                Ok(Step::Again) => self.upload_again(upload)?,
                Ok(Step::Changing) => {
                    self.changing(upload.path.clone());
                    self.drop_upload(upload)?;
                }
                Err(error) => {
                    let reason = format!("cannot be read, the backup keeps its copy: {error}");
                    self.mirror.problem(&upload.path, reason);
                    self.drop_upload(upload)?;
                }
            }
        }
        let left = self.uploads.iter().map(Upload::left).sum();
        self.mirror.sent.uploading.store(left, Ordering::Relaxed);
        Ok(true)
    }

    /// RACE: the name may go to another file right after this check. Its event is then still to come, so the newer
    /// content is sent after this one.
    fn publish(&mut self, upload: Upload, put: &ToReceiver, stat: &Stat, part: Part) -> Result<(), Ended> {
        let named = self.find(&upload.path).ok().flatten();
        if named.is_none_or(|(_, _, now)| (now.dev, now.ino) != (stat.dev, stat.ino)) {
            self.hint_entry(upload.path.clone(), Cause::ATTRIBUTES | Cause::LOST);
            return self.drop_upload(upload);
        }
        self.send(upload.ticket, put, Sent::Entry(upload.path.clone()))?;
        self.sent_content(&upload.path, stat, upload.sent_bytes());
        if part == Part::Beginning {
            // What told of the rest may have been about another name of it, and have been sent before this.
            self.hint_entry(upload.path.clone(), Cause::WRITING);
        }
        self.link_others(upload.ticket, upload.path, stat)?;
        self.end_upload(upload.ticket)
    }

    fn upload_again(&mut self, upload: Upload) -> Result<(), Ended> {
        self.wire.put(&ToReceiver::Drop { id: upload.id }, self.mirror)?;
        let (id, ticket, path) = (self.blob_id(), upload.ticket, upload.path.clone());
        match upload.again(id) {
            Ok(upload) => {
                self.wire.put(&upload.opening(), self.mirror)?;
                self.uploads.push_back(upload);
                Ok(())
            }
            Err(error) => {
                self.mirror.problem(&path, format!("cannot be read, the backup keeps its copy: {error}"));
                self.end_upload(ticket)
            }
        }
    }

    pub(super) fn drop_upload(&mut self, upload: Upload) -> Result<(), Ended> {
        self.wire.put(&ToReceiver::Drop { id: upload.id }, self.mirror)?;
        self.end_upload(upload.ticket)
    }

    fn end_upload(&mut self, ticket: Ticket) -> Result<(), Ended> {
        self.looked(ticket)
    }

    pub(super) fn blob_id(&mut self) -> u32 {
        let id = self.next_blob;
        self.next_blob = self.next_blob.wrapping_add(1);
        id
    }

    /// The file changed each time it was read: it is looked at again when it has settled.
    /// A pass that is to end gives up on one that never does.
    pub(super) fn changing(&mut self, path: RelPath) {
        self.mirror
            .problem(&path, "changes while it is read: the backup keeps its last version until it settles".into());
        let times = self.changed.entry(path.clone()).or_default();
        *times += 1;
        if self.until == Until::Stopped || *times < PATIENCE {
            self.hint_entry(path, Cause::WRITING);
        }
    }
}
