//! Which parts of a file stand at the target already: its chunks are compared with the signature of what the target has
//! under that name.
//!
//! First at the same offset, which finds what was appended to or overwritten in place. From the first difference on the
//! file is cut by content, and each chunk looked for everywhere; what is not found waits until the signature is complete.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem;
use std::ops::Range;

use proto::limits::AHEAD;
use proto::{Chunk, Digest, digest};
use sys::File;

use crate::delta::{Cut, Signature};

/// Bytes that one `Copy` names, at most: the target copies several at a time.
pub(super) const RUN: u64 = 8 * 1024 * 1024;

/// Chunks of the file that wait for the rest of the signature, at most: beyond that the file waits too. They are the sender's
/// own memory, and it is the target that takes its time.
pub(super) const UNMATCHED: usize = 16 * 1024;

/// The comparison of one file with one signature.
#[derive(Default)]
pub(super) struct Delta {
    signature: Signature,
    /// Bytes of the basis; known with the first part of the signature.
    size: u64,
    complete: bool,
    /// The first chunk with each digest.
    index: HashMap<Digest, u32>,
    /// Whether something was not found at its own offset.
    shifted: bool,
    /// Chunks of the file that are not in the signature as far as it has come.
    unmatched: VecDeque<Unmatched>,
    /// Gaps in what was named that are left for them.
    gaps: usize,
    /// Chunks found one after the other and not named yet.
    run: Option<Run>,
    piece: Vec<u8>,
}

/// A chunk of the file that was not found so far.
#[derive(Debug, Clone, Copy)]
struct Unmatched {
    offset: u64,
    bytes: u64,
    hash: digest::Chunk,
}

/// Chunks of the basis that follow each other, and where they belong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub offset: u64,
    pub first: u32,
    pub count: u32,
    pub bytes: u64,
    /// Of each chunk, that this side has it.
    pub proofs: Vec<Digest>,
}

/// Bytes of the file that are a chunk of the basis.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub range: Range<u64>,
    chunk: u32,
    proof: Digest,
}

/// What the next part of the file is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// These bytes are a chunk of the basis.
    Chunk(Found),
    /// These bytes, which [`piece`](Delta::piece) has, are not in the basis.
    New(Range<u64>),
    /// Whether so many bytes more are in the basis will be found out later.
    Later(u64),
    /// Nothing can be told before there is more of the signature.
    Unknown,
    /// What is left of the file is not in the basis, or nothing is left.
    Rest,
    /// The file is shorter than it was.
    Short,
}

impl Unmatched {
    fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.bytes
    }
}

impl Delta {
    /// The target's next chunks, of a basis of so many bytes. False when they cannot be that, as more than it has, or are more
    /// than a signature may have. Behind what is taken to be all of it nothing is taken: where that stands is not known.
    pub fn signed(&mut self, size: u64, chunks: Vec<Chunk>, last: bool) -> bool {
        if self.complete {
            return true;
        }
        let fits = self.signature.len() == 0 || size == self.size;
        for Chunk { length, digest } in chunks {
            // There are at most [`CHUNKS`](proto::limits::CHUNKS).
            let number = self.signature.len() as u32;
            if !self.signature.push(length, digest) {
                return false;
            }
            self.index.entry(digest).or_insert(number);
        }
        (self.size, self.complete) = (size, last);
        fits && self.signature.end() <= size
    }

    /// Takes the signature as it is by now to be all of it.
    pub fn is_enough(&mut self) {
        self.complete = true;
    }

    /// Chunks of the signature that are held.
    pub fn held(&self) -> usize {
        self.signature.len()
    }

    /// Looks at the file from `range.start` on, not beyond its end, or at what was passed over before.
    pub fn find(&mut self, file: &File, range: Range<u64>) -> io::Result<Segment> {
        // Where too many gaps are left, what belongs there is most likely new.
        if self.complete || self.gaps >= AHEAD {
            if let Some(unmatched) = self.unmatched.pop_front() {
                return self.look_again(file, unmatched);
            }
            self.gaps = 0;
        }
        let at = range.start;
        if at >= range.end {
            return Ok(if self.unmatched.is_empty() { Segment::Rest } else { Segment::Unknown });
        }
        if let Some(chunk) = self.signature.starting_at(at)
            && let Some(there) = self.signature.range(chunk, 1)
            && there.end <= range.end
        {
            if self.read(file, there.clone())? < there.end - at {
                return Ok(Segment::Short);
            }
            let hash = digest::chunk(&self.piece);
            if self.signature.hashes(chunk, 1) == [hash.digest] {
                return Ok(Segment::Chunk(Found { range: there, chunk, proof: hash.proof }));
            }
        } else if !self.shifted && at >= self.signature.end() {
            if !self.complete {
                return Ok(Segment::Unknown);
            }
            // A little is cut by content, too: as chunks of the next basis.
            if range.end - at > self.size / 4 {
                return Ok(Segment::Rest);
            }
        }
        self.shifted = true;
        if !self.complete && self.unmatched.len() >= UNMATCHED {
            return Ok(Segment::Unknown);
        }
        self.search(file, range)
    }

    /// Cuts the next chunk and looks for it in all that is known of the basis.
    fn search(&mut self, file: &File, range: Range<u64>) -> io::Result<Segment> {
        let Some(cut) = Cut::of(self.size) else { return Ok(Segment::Rest) };
        let offset = range.start;
        let end = range.end.min(offset + cut.reach() as u64);
        if self.read(file, offset..end)? < end - offset {
            return Ok(Segment::Short);
        }
        self.piece.truncate(cut.first(&self.piece));
        let unmatched = Unmatched { offset, bytes: self.piece.len() as u64, hash: digest::chunk(&self.piece) };
        Ok(match self.found(&unmatched) {
            Some(found) => Segment::Chunk(found),
            None if self.complete => Segment::New(unmatched.range()),
            None => {
                let goes_on = self.unmatched.back().is_some_and(|last| last.range().end == offset);
                self.gaps += usize::from(!goes_on);
                self.unmatched.push_back(unmatched);
                Segment::Later(unmatched.bytes)
            }
        })
    }

    /// All of the basis is known now.
    fn look_again(&mut self, file: &File, unmatched: Unmatched) -> io::Result<Segment> {
        if let Some(found) = self.found(&unmatched) {
            return Ok(Segment::Chunk(found));
        }
        let range = unmatched.range();
        Ok(if self.read(file, range.clone())? < unmatched.bytes { Segment::Short } else { Segment::New(range) })
    }

    /// The chunk of the basis with these bytes. The one behind the last that was found, if it can be: what belongs together
    /// is named together, also among equal chunks.
    fn found(&self, unmatched: &Unmatched) -> Option<Found> {
        let digest::Chunk { digest, proof } = unmatched.hash;
        let next = self.run.as_ref().map(|run| run.first + run.count);
        let next = next.filter(|next| self.signature.hashes(*next, 1) == [digest]);
        let chunk = next.or_else(|| self.index.get(&digest).copied())?;
        let there = self.signature.range(chunk, 1)?;
        (there.end - there.start == unmatched.bytes).then(|| Found { range: unmatched.range(), chunk, proof })
    }

    fn read(&mut self, file: &File, range: Range<u64>) -> io::Result<u64> {
        // Chunks are bounded by [`limits::CHUNK`](proto::limits::CHUNK).
        self.piece.resize((range.end - range.start) as usize, 0);
        Ok(file.read_at(range.start, &mut self.piece)? as u64)
    }

    /// The bytes that the last [`find`](Delta::find) said are new.
    pub fn piece(&self) -> &[u8] {
        &self.piece
    }

    /// These bytes are to be named. Returns the run before them when they do not continue that.
    pub fn add(&mut self, Found { range, chunk, proof }: Found) -> Option<Run> {
        let (offset, bytes) = (range.start, range.end - range.start);
        if let Some(run) = &mut self.run
            && (run.offset + run.bytes, run.first + run.count) == (offset, chunk)
            && run.bytes + bytes <= RUN
        {
            (run.count, run.bytes) = (run.count + 1, run.bytes + bytes);
            run.proofs.push(proof);
            return None;
        }
        self.run.replace(Run { offset, first: chunk, count: 1, bytes, proofs: vec![proof] })
    }

    /// The chunks not named yet.
    pub fn take_run(&mut self) -> Option<Run> {
        mem::take(&mut self.run)
    }
}
