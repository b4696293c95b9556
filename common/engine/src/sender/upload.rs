//! A large file on its way, piece by piece between other work: bounded memory, and small files are not held up. What the
//! target has of it already is named and not sent.

use std::io;
use std::ops::Range;

use bytes::BytesMut;
use proto::digest::Transcript;
use proto::{Chunk, Content, RelPath, ToReceiver, codec, limits};
use sys::{File, Stat};

use super::delta::{Delta, Found, RUN, Run};
use super::flight::Sent;
use super::{Ended, PATIENCE, Session, Until, read};
use crate::hint::Cause;
use crate::pending::Ticket;
use crate::view::View;

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
    /// Up to where its progress was told.
    told: u64,
    extent: Option<Range<u64>>,
    hash: Transcript,
    /// Whether the target may have an older version of it, and the comparison with that, while there is one.
    replaces: bool,
    delta: Option<Delta>,
    /// Bytes that the target is copying.
    copying: u64,
    /// What the file was when all of it was read.
    after: Option<Stat>,
    attempt: u32,
    /// Hash of the first `limit` bytes in the last attempt.
    earlier: Option<[u8; 32]>,
}

/// What the next step of an upload is.
pub(super) enum Step {
    /// There is more; a piece may be in the buffer.
    More,
    /// Nothing can be done before the target says something.
    Wait,
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
    /// Of a file just opened, which may replace an older version of it.
    pub fn new(ticket: Ticket, path: RelPath, id: u32, (file, stat): (File, Stat), replaces: bool) -> Upload {
        Upload {
            ticket,
            path,
            id,
            file,
            before: stat,
            limit: stat.size,
            offset: 0,
            told: 0,
            extent: None,
            hash: Transcript::new(),
            replaces,
            delta: replaces.then(Delta::default),
            copying: 0,
            after: None,
            attempt: 1,
            earlier: None,
        }
    }

    /// What the file was when this attempt began.
    pub fn stat(&self) -> &Stat {
        &self.before
    }

    /// The messages that open its blob.
    pub fn opening(&self) -> impl Iterator<Item = ToReceiver> {
        let basis = self.replaces.then(|| ToReceiver::Basis { id: self.id, path: self.path.clone() });
        std::iter::once(ToReceiver::Blob { id: self.id, size: self.limit }).chain(basis)
    }

    /// The next part of the signature of what the target has. False when it breaks the protocol.
    pub fn signed(&mut self, size: u64, chunks: Vec<Chunk>, last: bool) -> bool {
        // The rest of a signature that is not needed any more is of no interest.
        self.delta.as_mut().map_or(self.replaces, |delta| delta.signed(size, chunks, last))
    }

    /// The target has copied so many bytes. False when it was not asked to.
    pub fn copied(&mut self, bytes: u64) -> bool {
        let left = self.copying.checked_sub(bytes);
        self.copying = left.unwrap_or_default();
        left.is_some()
    }

    /// Reads on; appends pieces to `buffer` if there are any, of which at most [`RUN`] bytes are to be copied.
    pub fn step(&mut self, view: &View, buffer: &mut BytesMut) -> io::Result<Step> {
        if let Some(delta) = &mut self.delta {
            return match delta.find(&self.file, self.offset..self.limit)? {
                Found::Chunk(range, chunk) => {
                    self.offset = self.offset.max(range.end);
                    let run = delta.add(range, chunk);
                    self.name(run, buffer);
                    Ok(Step::More)
                }
                Found::New(range) => self.send_new(range, buffer),
                Found::Later(bytes) => {
                    self.offset += bytes;
                    Ok(Step::More)
                }
                Found::Unknown => Ok(Step::Wait),
                Found::Rest | Found::Short => {
                    let run = delta.take_run();
                    self.name(run, buffer);
                    self.delta = None;
                    Ok(Step::More)
                }
            };
        }
        if self.extent.is_none() {
            self.extent = self.next_extent(self.offset, self.limit)?;
        }
        match self.extent.clone() {
            Some(extent) => self.send_piece(extent, view, buffer),
            None => self.close(view),
        }
    }

    /// Names chunks that the target is to copy.
    fn name(&mut self, run: Option<Run>, buffer: &mut BytesMut) {
        let (Some(run), Some(delta)) = (run, &self.delta) else { return };
        self.hash.copy(run.offset, run.bytes, delta.digests(&run).iter().copied());
        self.copying += run.bytes;
        codec::put(&ToReceiver::Copy { id: self.id, offset: run.offset, first: run.first, count: run.count }, buffer);
    }

    /// Sends what was just read and is new, but its holes.
    fn send_new(&mut self, range: Range<u64>, buffer: &mut BytesMut) -> io::Result<Step> {
        let run = self.delta.as_mut().and_then(Delta::take_run);
        self.name(run, buffer);
        let Some(delta) = &self.delta else { return Ok(Step::More) };
        let mut at = range.start;
        while let Some(extent) = self.next_extent(at, range.end)? {
            let piece = extent.start..extent.end.min(extent.start + limits::DATA as u64);
            let content = &delta.piece()[(piece.start - range.start) as usize..(piece.end - range.start) as usize];
            self.hash.update(piece.start, content);
            let data = codec::start_data(self.id, piece.start, buffer);
            buffer.extend_from_slice(content);
            data.finish(buffer);
            at = piece.end;
        }
        self.offset = self.offset.max(range.end);
        Ok(Step::More)
    }

    /// The next range of data at or after `offset` and below `end`.
    fn next_extent(&self, offset: u64, end: u64) -> io::Result<Option<Range<u64>>> {
        if self.before.is_sparse() {
            self.file.next_data(offset, end)
        } else {
            Ok((offset < end).then_some(offset..end))
        }
    }

    fn send_piece(&mut self, extent: Range<u64>, view: &View, buffer: &mut BytesMut) -> io::Result<Step> {
        let piece = extent.start..extent.end.min(extent.start + limits::DATA as u64);
        let data = codec::start_data(self.id, extent.start, buffer);
        let content = buffer.len();
        match read::fill(&self.file, piece, buffer) {
            Ok(read) if read > 0 => {
                self.hash.update(extent.start, &buffer[content..]);
                data.finish(buffer);
                self.offset = extent.start + read;
                self.extent = (self.offset < extent.end).then_some(self.offset..extent.end);
                Ok(Step::More)
            }
            // It was cut short.
            Ok(_) => {
                data.cancel(buffer);
                self.close(view)
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
        (self.id, self.offset, self.told, self.extent, self.hash) = (id, 0, 0, None, Transcript::new());
        (self.delta, self.copying, self.after) = (self.replaces.then(Delta::default), 0, None);
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

    fn close(&mut self, view: &View) -> io::Result<Step> {
        let now = match self.after {
            Some(after) => after,
            None => *self.after.insert(self.file.stat()?),
        };
        if self.copying > 0 {
            return Ok(Step::Wait);
        }
        let hash = self.hash.finish();
        let same = now.same_content(&self.before);
        let prefix = now.size > self.limit && self.earlier == Some(hash);
        if same || prefix {
            let meta = view.meta_of(&self.file, &self.before)?;
            let content = Content::Blob { id: self.id, hash };
            let put = ToReceiver::Put { path: self.path.clone(), meta, content };
            let part = if same { Part::Whole } else { Part::Beginning };
            return Ok(Step::Publish(Box::new((put, self.before)), part));
        }
        Ok(if self.attempt < read::ATTEMPTS { Step::Again } else { Step::Changing })
    }
}

impl Session<'_> {
    /// One piece of each upload. Whether there was one.
    pub(super) fn step_uploads(&mut self) -> Result<bool, Ended> {
        if self.uploads.is_empty() {
            return Ok(false);
        }
        let mut worked = false;
        for _ in 0..self.uploads.len() {
            let Some(mut upload) = self.uploads.pop_front() else { break };
            if self.copying + RUN > limits::BACKLOG && upload.delta.is_some() {
                self.uploads.push_back(upload);
                continue;
            }
            let copying = upload.copying;
            let step = upload.step(&self.view, &mut self.wire.buffer);
            self.copying += upload.copying - copying;
            self.tell_progress(&mut upload);
            worked |= !matches!(step, Ok(Step::Wait));
            match step {
                Ok(Step::More) => {
                    self.wire.added(self.mirror)?;
                    self.uploads.push_back(upload);
                }
                Ok(Step::Wait) => self.uploads.push_back(upload),
                Ok(Step::Publish(put, part)) => self.publish(upload, &put.0, &put.1, part)?,
                Ok(Step::Again) => self.upload_again(upload)?,
                Ok(Step::Changing) => {
                    self.changing(upload.ticket, upload.path.clone());
                    self.drop_upload(upload)?;
                }
                Err(error) => {
                    let reason = format!("cannot be read, the backup keeps its copy: {error}");
                    self.mirror.problem(&upload.path, reason);
                    self.drop_upload(upload)?;
                }
            }
        }
        Ok(worked)
    }

    fn tell_progress(&self, upload: &mut Upload) {
        self.mirror.progress.advance(upload.offset - upload.told);
        upload.told = upload.offset;
    }

    /// What was told of it is not so.
    fn take_back(&self, upload: &Upload) {
        self.mirror.progress.retreat(upload.told);
        self.mirror.progress.lose(upload.limit);
    }

    /// Opens the blob of an upload, which is the next to be read.
    pub(super) fn start_upload(&mut self, upload: Upload) -> Result<(), Ended> {
        self.mirror.progress.find(upload.limit);
        for message in upload.opening() {
            self.wire.put(&message, self.mirror)?;
        }
        self.uploads.push_back(upload);
        Ok(())
    }

    /// The target says what it has of a file that is on its way. One that is not any more is of no interest.
    pub(super) fn signature(&mut self, id: u32, size: u64, chunks: Vec<Chunk>, last: bool) -> Result<(), Ended> {
        let upload = self.uploads.iter_mut().find(|upload| upload.id == id);
        if upload.is_none_or(|upload| upload.signed(size, chunks, last)) {
            return Ok(());
        }
        Err(Ended::Violation(format!("a signature for blob {id} that was not asked for, or is too long")))
    }

    /// The target has copied so many bytes of a file that is, or was, on its way.
    pub(super) fn copied(&mut self, id: u32, bytes: u64) -> Result<(), Ended> {
        let upload = self.uploads.iter_mut().find(|upload| upload.id == id);
        let asked = upload.is_none_or(|upload| upload.copied(bytes));
        match self.copying.checked_sub(bytes).filter(|_| asked) {
            Some(left) => self.copying = left,
            None => return Err(Ended::Violation(format!("copied more for blob {id} than it was asked for"))),
        }
        Ok(())
    }

    /// RACE: the name may go to another file right after this check. Its event is then still to come, so the newer
    /// content is sent after this one.
    fn publish(&mut self, upload: Upload, put: &ToReceiver, stat: &Stat, part: Part) -> Result<(), Ended> {
        let named = self.find(&upload.path).ok().flatten();
        if named.is_none_or(|(_, _, now)| (now.dev, now.ino) != (stat.dev, stat.ino)) {
            self.owe_entry(upload.ticket, upload.path.clone(), Cause::ATTRIBUTES | Cause::LOST);
            return self.drop_upload(upload);
        }
        let sent = Sent::Entry(upload.path.clone(), self.claim(stat));
        self.send(upload.ticket, put, sent)?;
        self.mirror.progress.advance(upload.limit.saturating_sub(upload.told));
        self.sent_content(&upload.path, stat, upload.sent_bytes());
        if part == Part::Beginning {
            // What told of the rest may have been about another name of it, and have been sent before this.
            self.owe_rest(upload.ticket, upload.path.clone(), Cause::WRITING);
        }
        self.link_others(upload.ticket, upload.path, stat)?;
        self.end_upload(upload.ticket)
    }

    fn upload_again(&mut self, upload: Upload) -> Result<(), Ended> {
        self.take_back(&upload);
        self.wire.put(&ToReceiver::Drop { id: upload.id }, self.mirror)?;
        let (id, ticket, path) = (self.blob_id(), upload.ticket, upload.path.clone());
        match upload.again(id) {
            Ok(upload) => self.start_upload(upload),
            Err(error) => {
                self.mirror.problem(&path, format!("cannot be read, the backup keeps its copy: {error}"));
                self.end_upload(ticket)
            }
        }
    }

    pub(super) fn drop_upload(&mut self, upload: Upload) -> Result<(), Ended> {
        self.take_back(&upload);
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
    pub(super) fn changing(&mut self, ticket: Ticket, path: RelPath) {
        self.mirror
            .problem(&path, "changes while it is read: the backup keeps its last version until it settles".into());
        if self.until == Until::InSync {
            let times = self.changed.entry(path.clone()).or_default();
            *times += 1;
            if *times >= PATIENCE {
                return;
            }
        }
        self.owe_entry(ticket, path, Cause::WRITING);
    }
}
