//! What stands at the backup already, as a basis for a new version: its signature for the sender, and its chunks copied
//! where the sender names them. In small steps on pool threads, behind all other work.
//!
//! A basis is only read, whoever else has a name for it; only one without other names serves, so that nothing is told
//! about a file that was linked in from elsewhere. What is told must not tell the content: digests of long chunks of a large
//! file, and what a sender has copied it has to prove that it has (`digest::Chunk`).

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::codec::CHUNKS_THAT_FIT;
use proto::limits::{BASIS, CHUNK_LEAST};
use proto::{Chunk, Outcome, RelPath, ToSender, digest};
use sys::{File, StagedFile, Stat};

use super::memory::{Charge, Retained};
use super::outcome;
use super::signatures::{Hashed, Recorded, Signature, Signatures};
use crate::channel::{Outlet, frame};
use crate::delta::Cut;
use crate::view::Replica;

/// Chunks after which a part of a signature is sent, so that the sender can begin.
const PART: usize = 64;
/// Chunks of a remembered signature that are told at a time: all, but of very large files, as many as fit into a frame. A
/// sender that has heard all sends what is new in the order of the file, so that the next signature can be recorded. While
/// more may come, it keeps to the end what it has not found.
const KNOWN: u32 = CHUNKS_THAT_FIT as u32;
/// Longest chunks that are read at a time.
const READ: usize = 4;
/// Bytes that are copied in one step, so that other work is not held up.
const STEP: u64 = 8 * 1024 * 1024;

/// A file of the backup that serves as a basis, held open whatever becomes of its name.
#[derive(Debug)]
pub(super) struct Basis {
    file: File,
    stat: Stat,
    /// What the sender has been told of it, or will be.
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// Shared with all who know it as a whole; until then nobody else has it.
    signature: Arc<Signature>,
    charge: Charge,
}

impl Basis {
    /// What stands at the path, if it serves, and how its signature is to be had. Without memory for that, which is added to
    /// `charge`, none serves.
    pub(super) fn open(
        replica: &Replica,
        path: &RelPath,
        signatures: &Signatures,
        mut charge: Charge,
    ) -> Option<(Arc<Basis>, Rest)> {
        let (file, stat) = replica.open(path).ok()?;
        // Zeros would be read for the holes.
        if stat.nlink > 1 || stat.size < BASIS || stat.is_hollow() {
            return None;
        }
        let cut = Cut::of(stat.size)?;
        let known = signatures.recall(&stat);
        let rest = if known.is_some() { Rest::Known(0) } else { Rest::Unread(cut) };
        let signature = known.unwrap_or_default();
        // Also for one that is shared: it may be forgotten by all others.
        if !charge.try_cover(signature.weight().max(1)) {
            return None;
        }
        let known = Mutex::new(Known { signature, charge });
        Some((Arc::new(Basis { file, stat, known }), rest))
    }

    /// Its length in bytes when it was opened.
    pub(super) fn size(&self) -> u64 {
        self.stat.size
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signature(&self) -> Arc<Signature> {
        Arc::clone(&self.known().signature)
    }

    /// One more chunk is known. False, and it is not, where there are too many or is no memory for it.
    fn push(&self, length: u32, hash: digest::Chunk) -> bool {
        let Known { signature, charge } = &mut *self.known();
        // Nobody shares one that grows.
        let signature = Arc::make_mut(signature);
        if !signature.push(length, hash) {
            return false;
        }
        let covered = charge.try_cover(signature.weight());
        if !covered {
            signature.pop();
            signature.shrink();
        }
        covered
    }

    /// All chunks are known.
    fn complete(&self) -> Arc<Signature> {
        let Known { signature, charge } = &mut *self.known();
        Arc::make_mut(signature).shrink();
        charge.becomes(signature.weight());
        Arc::clone(signature)
    }

    /// Where these chunks stand, and what they are; `None` for chunks that the sender was not told of.
    pub(super) fn chunks(&self, first: u32, count: u32) -> Option<(Range<u64>, Vec<Hashed>)> {
        let known = self.known();
        Some((known.signature.range(first, count)?, known.signature.chunks(first, count).collect()))
    }

    /// The bytes of such a chunk, if they are still what they were.
    pub(super) fn chunk(&self, range: Range<u64>, hash: digest::Chunk) -> Option<Vec<u8>> {
        // Chunks are bounded by [`CHUNK`](proto::limits::CHUNK).
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let read = self.file.read_at(range.start, &mut bytes).ok()?;
        (read == bytes.len() && digest::chunk(&bytes) == hash).then_some(bytes)
    }

    /// Whether its content is still what the signature says. Its ctime may have changed with its name.
    pub(super) fn is_unchanged(&self) -> bool {
        self.file.stat().is_ok_and(|now| now.size == self.stat.size && now.mtime == self.stat.mtime)
    }
}

/// What a new version was built from, and the signature of the new one where that is known.
#[derive(Debug)]
pub(super) struct Built {
    pub from: Arc<Basis>,
    pub signature: Option<Recorded>,
}

/// How the rest of a signature is to be had.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rest {
    /// By reading the file and cutting it like this.
    Unread(Cut),
    /// It is known, and told up to this chunk.
    Known(u32),
}

/// A signature on its way.
#[derive(Debug)]
pub(super) struct Signing {
    id: u32,
    basis: Arc<Basis>,
    rest: Rest,
    at: u64,
    part: Vec<Chunk>,
    retained: Retained,
    outlet: Outlet,
    signatures: Arc<Signatures>,
}

impl Signing {
    pub(super) fn new(
        id: u32,
        (basis, rest): (Arc<Basis>, Rest),
        (retained, outlet): (Retained, Outlet),
        signatures: Arc<Signatures>,
    ) -> Signing {
        Signing { id, basis, rest, at: 0, part: Vec::new(), retained, outlet, signatures }
    }

    /// Whether it is for this blob.
    pub(super) fn is_of(&self, id: u32) -> bool {
        self.id == id
    }

    /// Reads on, into `buffer`, whatever is in that. False when all is told, or nobody wants it any more.
    pub(super) fn step(&mut self, buffer: &mut Vec<u8>) -> bool {
        if Arc::strong_count(&self.basis) == 1 {
            // The blob was dropped or put meanwhile.
            return false;
        }
        let last = match self.rest {
            // What cannot be read is not offered.
            Rest::Unread(cut) => self.read(cut, buffer).unwrap_or(true),
            Rest::Known(next) => self.recall(next),
        };
        if !last && self.part.len() < PART {
            return true;
        }
        let (chunks, size) = (std::mem::take(&mut self.part), self.basis.stat.size);
        let frame = frame(&ToSender::Signature { id: self.id, size, chunks, last });
        self.outlet.send(self.retained.on_its_way(frame)).is_ok() && !last
    }

    /// The next chunks of a known signature. True at its end.
    fn recall(&mut self, next: u32) -> bool {
        let signature = self.basis.signature();
        self.part.extend(signature.chunks(next, KNOWN).map(|(length, hash)| Chunk { length, digest: hash.digest }));
        self.rest = Rest::Known(next + KNOWN);
        (next + KNOWN) as usize >= signature.len()
    }

    /// The next few chunks. True at the end of the file.
    fn read(&mut self, cut: Cut, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let left = self.basis.size() - self.at;
        buffer.resize(left.min((READ * cut.reach()) as u64) as usize, 0);
        if self.basis.file.read_at(self.at, buffer)? < buffer.len() {
            // It was cut short: what its end is now is nobody's affair.
            return Ok(true);
        }
        let ends = left == buffer.len() as u64;
        let mut rest = &buffer[..];
        while rest.len() >= cut.reach() || (ends && !rest.is_empty()) {
            let (chunk, behind) = rest.split_at(cut.first(rest));
            // Lengths of chunks are bounded far below.
            let (length, hash) = (chunk.len() as u32, digest::chunk(chunk));
            // Before the sender is told of it.
            if chunk.len() < CHUNK_LEAST || !self.basis.push(length, hash) {
                return Ok(true);
            }
            self.at += u64::from(length);
            self.part.push(Chunk { length, digest: hash.digest });
            rest = behind;
        }
        if ends && self.basis.file.stat()?.same_content(&self.basis.stat) {
            // Where the file has changed meanwhile, the next session reads it again.
            self.signatures.remember(&self.basis.stat, self.basis.complete());
        }
        Ok(ends)
    }
}

/// The file that is made, while pieces of it are copied.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) file: StagedFile,
    trouble: Mutex<Option<Outcome>>,
}

impl Draft {
    pub(super) fn new(file: StagedFile) -> Arc<Draft> {
        Arc::new(Draft { file, trouble: Mutex::default() })
    }

    /// The file, if all that was copied is in it.
    pub(super) fn finish(self) -> Result<StagedFile, Outcome> {
        match self.trouble.into_inner().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(self.file),
            Some(outcome) => Err(outcome),
        }
    }
}

/// Bytes that a session still has to copy.
pub(super) type Backlog = Arc<AtomicU64>;

/// A range of a basis on its way into a draft.
#[derive(Debug)]
pub(super) struct Copying {
    pub id: u32,
    pub draft: Arc<Draft>,
    pub basis: Arc<Basis>,
    pub range: Range<u64>,
    pub offset: u64,
    /// All that it was to copy.
    pub bytes: u64,
    pub outlet: Outlet,
    pub backlog: Backlog,
}

impl Copying {
    /// Copies a piece. False when nothing is left.
    pub(super) fn step(&mut self) -> bool {
        let end = self.range.end.min(self.range.start + STEP);
        if let Err(error) = self.draft.file.copy(&self.basis.file, self.range.start..end, self.offset) {
            let mut trouble = self.draft.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            trouble.get_or_insert(outcome::staging(&error));
        }
        self.offset += end - self.range.start;
        self.range.start = end;
        !self.range.is_empty()
    }

    /// Tells the sender, after both files are let go.
    pub(super) fn finish(self) {
        let Copying { id, draft, basis, bytes, outlet, backlog, .. } = self;
        drop((draft, basis));
        backlog.fetch_sub(bytes, Ordering::Relaxed);
        // An error says that the session is over.
        let _ = outlet.send(frame(&ToSender::Copied { id, bytes }));
    }
}
