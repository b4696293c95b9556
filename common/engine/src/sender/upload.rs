//! A large file on its way, piece by piece between other work: bounded memory, and small files are not held up. What the
//! target has of it already is named and not sent.

use std::io;
use std::ops::Range;
use std::time::Instant;

use bytes::BytesMut;
use proto::digest::Transcript;
use proto::{Chunk, Content, RelPath, ToReceiver, codec, limits};
use sys::{File, Stat};

use super::busy::{Cost, Tries, Try};
use super::delta::{Delta, Run, Segment};
use super::read;
use crate::hint::Cause;
use crate::mirror::Past;
use crate::pending::Ticket;
use crate::view::View;

/// One attempt after another to send one version of a file.
pub(super) struct Upload {
    ticket: Ticket,
    path: RelPath,
    id: u32,
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
    /// Chunks of the signature that may still come; 0 when it is complete, or was not asked for.
    unsigned: usize,
    /// Bytes that the target is copying.
    copying: u64,
    /// What the file was when all of it was read.
    after: Option<Stat>,
    attempt: u32,
    /// Hash of the first `limit` bytes in the last attempt.
    earlier: Option<[u8; 32]>,
    /// Whether the target has got this version before.
    past: Past,
    /// Why its other names are not joined to it, if it has any.
    apart: Cause,
    /// How it is tried.
    tries: Tries,
    cost: Cost,
}

/// What the next step of an upload is.
pub(super) enum Next {
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
    /// All of it, not as it was at one moment.
    Inexact,
}

impl Upload {
    /// Of a file just opened, which may replace an older version of it.
    pub fn new(
        ticket: Ticket,
        path: RelPath,
        id: u32,
        (file, stat): (File, Stat),
        replaces: bool,
        past: Past,
    ) -> Upload {
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
            unsigned: if replaces { limits::CHUNKS } else { 0 },
            copying: 0,
            after: None,
            attempt: 1,
            earlier: None,
            past,
            apart: Cause::default(),
            tries: Tries { most: read::ATTEMPTS, copies: false },
            cost: Cost::default(),
        }
    }

    /// The work that it is part of.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The name that it is sent under.
    pub fn path(&self) -> &RelPath {
        &self.path
    }

    /// Number of its blob.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether the file is still compared with what the target has.
    pub fn compares(&self) -> bool {
        self.delta.is_some()
    }

    /// The same, after which its other names are not joined to it for this reason, if it is one.
    pub fn apart_for(self, apart: Cause) -> Upload {
        Upload { apart, ..self }
    }

    /// The same, tried in this way.
    pub fn tried(self, tries: Tries) -> Upload {
        Upload { tries, ..self }
    }

    /// What it has sent and how long it takes, for the pauses between tries.
    pub fn cost(&mut self) -> &mut Cost {
        &mut self.cost
    }

    /// What was tried by now, in vain.
    pub fn in_vain(&self, now: Instant) -> Try {
        self.cost.in_vain((self.after.unwrap_or(self.before), self.file.born()), now)
    }

    /// Whether the other names of its file are joined to it.
    pub fn joins(&self) -> bool {
        !self.apart.has(Cause::APART)
    }

    /// Why they are not.
    pub fn apart(&self) -> Cause {
        self.apart
    }

    /// Whether the target had got this version before it was sent here.
    pub fn past(&self) -> Past {
        self.past
    }

    /// Bytes that the target has been asked to copy for it and has not.
    pub fn copying(&self) -> u64 {
        self.copying
    }

    /// Bytes read since this was asked last.
    pub fn progress(&mut self) -> u64 {
        self.offset - std::mem::replace(&mut self.told, self.offset)
    }

    /// Bytes read, as far as [`progress`](Self::progress) has told.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// What the file was when this attempt began.
    pub fn stat(&self) -> &Stat {
        &self.before
    }

    /// Whether the file is this one, and all that has happened to it by now will be in what is sent: nothing is read yet, or
    /// it is still to be looked at whether the file has changed since this attempt began, and it has. (What has changed within
    /// a tick of the kernel's clock may look the same.)
    pub fn will_notice(&self, stat: &Stat) -> bool {
        let changed = !self.before.same_content(stat);
        self.after.is_none() && self.before.same_inode(stat) && (changed || self.offset == 0)
    }

    /// The messages that open its blob.
    pub fn opening(&self) -> impl Iterator<Item = ToReceiver> {
        let basis = self.replaces.then(|| ToReceiver::Basis { id: self.id, path: self.path.clone() });
        std::iter::once(ToReceiver::Blob { id: self.id, size: self.limit }).chain(basis)
    }

    /// The next part of the signature of what the target has, of which so many chunks may be held. False when it breaks the
    /// protocol.
    pub fn signed(&mut self, size: u64, chunks: Vec<Chunk>, last: bool, most: usize) -> bool {
        let Some(left) = self.unsigned.checked_sub(chunks.len().max(1)) else { return false };
        self.unsigned = if last { 0 } else { left };
        self.cost.meets(size);
        match &mut self.delta {
            Some(delta) if chunks.len() <= most => delta.signed(size, chunks, last),
            Some(delta) => {
                delta.is_enough();
                true
            }
            // The rest of a signature that is not needed any more is of no interest.
            None => true,
        }
    }

    /// Chunks of its signature that may still come.
    pub fn unsigned(&self) -> usize {
        self.unsigned
    }

    /// Chunks of signatures that it holds.
    pub fn held(&self) -> usize {
        self.delta.as_ref().map_or(0, Delta::held)
    }

    /// The target has copied so many bytes. False when it was not asked to.
    pub fn copied(&mut self, bytes: u64) -> bool {
        let left = self.copying.checked_sub(bytes);
        self.copying = left.unwrap_or_default();
        left.is_some()
    }

    /// Reads on; appends pieces to `buffer` if there are any, of which at most [`RUN`](super::delta::RUN) bytes are to be
    /// copied.
    pub fn step(&mut self, view: &View, buffer: &mut BytesMut) -> io::Result<Next> {
        if let Some(delta) = &mut self.delta {
            return match delta.find(&self.file, self.offset..self.limit)? {
                Segment::Chunk(found) => {
                    self.offset = self.offset.max(found.range.end);
                    let run = delta.add(found);
                    self.name(run, buffer);
                    Ok(Next::More)
                }
                Segment::New(range) => self.send_new(range, buffer),
                Segment::Later(bytes) => {
                    self.offset += bytes;
                    Ok(Next::More)
                }
                Segment::Unknown => Ok(Next::Wait),
                Segment::Rest | Segment::Short => {
                    let run = delta.take_run();
                    self.name(run, buffer);
                    self.delta = None;
                    Ok(Next::More)
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
        let Some(run) = run else { return };
        self.hash.copy(run.offset, run.bytes, run.proofs.iter().copied());
        self.copying += run.bytes;
        codec::put(&ToReceiver::Copy { id: self.id, offset: run.offset, first: run.first, count: run.count }, buffer);
    }

    /// Sends what was just read and is new, but its holes.
    fn send_new(&mut self, range: Range<u64>, buffer: &mut BytesMut) -> io::Result<Next> {
        let run = self.delta.as_mut().and_then(Delta::take_run);
        self.name(run, buffer);
        let Some(delta) = &self.delta else { return Ok(Next::More) };
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
        Ok(Next::More)
    }

    /// The next range of data at or after `offset` and below `end`.
    fn next_extent(&self, offset: u64, end: u64) -> io::Result<Option<Range<u64>>> {
        if self.before.is_sparse() {
            self.file.next_data(offset, end)
        } else {
            Ok((offset < end).then_some(offset..end))
        }
    }

    fn send_piece(&mut self, extent: Range<u64>, view: &View, buffer: &mut BytesMut) -> io::Result<Next> {
        let piece = extent.start..extent.end.min(extent.start + limits::DATA as u64);
        let data = codec::start_data(self.id, extent.start, buffer);
        let content = buffer.len();
        match read::fill(&self.file, piece, buffer) {
            Ok(read) if read > 0 => {
                self.hash.update(extent.start, &buffer[content..]);
                data.finish(buffer);
                self.offset = extent.start + read;
                self.extent = (self.offset < extent.end).then_some(self.offset..extent.end);
                Ok(Next::More)
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

    /// The next attempt, under a new blob. Of another version, whose past is asked for, unless the file only grew.
    pub fn again(mut self, id: u32, past: impl FnOnce(&Upload) -> Past) -> io::Result<Upload> {
        let now = self.file.stat()?;
        let grew = now.size > self.limit && now.ino == self.before.ino;
        self.earlier = grew.then(|| self.hash.finish());
        if !grew {
            (self.before, self.limit) = (now, now.size);
            self.past = past(&self);
        }
        (self.id, self.offset, self.told, self.extent, self.hash) = (id, 0, 0, None, Transcript::new());
        (self.delta, self.copying, self.after) = (self.replaces.then(Delta::default), 0, None);
        self.unsigned = if self.replaces { limits::CHUNKS } else { 0 };
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

    fn close(&mut self, view: &View) -> io::Result<Next> {
        let now = match self.after {
            Some(after) => after,
            None => *self.after.insert(self.file.stat()?),
        };
        if self.copying > 0 {
            return Ok(Next::Wait);
        }
        let hash = self.hash.finish();
        let same = now.same_content(&self.before);
        let prefix = now.size > self.limit && self.earlier == Some(hash);
        let part = match (same, prefix) {
            (true, _) => Part::Whole,
            (_, true) => Part::Beginning,
            _ if self.attempt < self.attempts(&now) => return Ok(Next::Again),
            _ if self.tries.copies => Part::Inexact,
            _ => return Ok(Next::Changing),
        };
        let meta = view.meta_of(&self.file, &self.before)?;
        let (path, content) = (self.path.clone(), Content::Blob { id: self.id, hash });
        let put = ToReceiver::Put { path, meta, content, inexact: part == Part::Inexact };
        Ok(Next::Publish(Box::new((put, self.before)), part))
    }

    /// How often it is read, if it is this by now.
    fn attempts(&self, now: &Stat) -> u32 {
        let grew = now.size > self.limit && now.same_inode(&self.before);
        if grew { self.tries.most.max(2) } else { self.tries.most }
    }
}

/// Whether a file travels in pieces: too large for one frame, or with holes to keep.
pub(super) fn is_blob(stat: &Stat) -> bool {
    stat.size > proto::limits::INLINE as u64 || stat.is_sparse()
}
