//! Signatures of files at the backup, remembered from when the files were made. A basis that is still the same need not be read
//! again: a log that grows all the time costs no reading here.
//!
//! Shared by all sessions of a service, in memory only. A file is known again by its inode, size, mtime and ctime.
//!
//! LIMIT: something else that writes to the backup in the very tick of the kernel's clock in which a file was published,
//! and gives it its size and mtime back, is not noticed.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::digest;
use proto::limits::CHUNK_LEAST;
use sys::Stat;

use super::memory::Charge;
use crate::delta::{self, Cut};

/// What a receiver knows of a file: also the half of each hash that it tells nobody.
pub(super) type Signature = delta::Signature<digest::Chunk>;
/// The length of a chunk, and its hash.
pub(super) type Hashed = (u32, digest::Chunk);

/// Chunks that are remembered, of all files together: about 5 MiB.
const HELD: usize = 128 * 1024;
/// What a file costs beside its chunks, in chunks.
const FILE: usize = 8;

/// What is remembered; nothing at first.
#[derive(Debug, Default)]
pub struct Signatures(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    files: HashMap<Id, Known>,
    /// Files by their last use, the one longest ago first.
    uses: BTreeMap<u64, Id>,
    clock: u64,
    /// Sum of what all of them cost.
    cost: usize,
}

/// Device and inode number: which file it is, while it exists.
type Id = (u64, u64);

#[derive(Debug)]
struct Known {
    stat: Stat,
    signature: Arc<Signature>,
    used: u64,
}

impl Signatures {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signature of a file that looks like this, if it looked the same when the signature was made.
    pub(super) fn recall(&self, stat: &Stat) -> Option<Arc<Signature>> {
        let mut held = self.held();
        let known = held.forget((stat.dev, stat.ino)).filter(|known| known.stat.same_content(stat))?;
        let signature = Arc::clone(&known.signature);
        held.insert(known.stat, known.signature);
        Some(signature)
    }

    /// This file has this signature. One that is too long is not kept.
    pub(super) fn remember(&self, stat: &Stat, signature: impl Into<Arc<Signature>>) {
        let signature = signature.into();
        let mut held = self.held();
        held.forget((stat.dev, stat.ino));
        if signature.len() + FILE > HELD {
            return;
        }
        held.insert(*stat, signature);
        while held.cost > HELD
            && let Some(oldest) = held.uses.first_entry().map(|entry| *entry.get())
        {
            held.forget(oldest);
        }
    }
}

impl Held {
    fn insert(&mut self, stat: Stat, signature: Arc<Signature>) {
        let (id, used) = ((stat.dev, stat.ino), self.clock);
        self.clock += 1;
        self.cost += signature.len() + FILE;
        self.uses.insert(used, id);
        self.files.insert(id, Known { stat, signature, used });
    }

    fn forget(&mut self, id: Id) -> Option<Known> {
        let known = self.files.remove(&id)?;
        self.uses.remove(&known.used);
        self.cost -= known.signature.len() + FILE;
        Some(known)
    }
}

/// Makes the signature of a new version while that is built from a basis. It takes the pieces of the file in their order.
#[derive(Debug)]
pub(super) struct Recorder {
    signature: Signature,
    cut: Cut,
    /// Bytes from the sender that are not cut into chunks yet: fewer than the longest chunk has.
    rest: Vec<u8>,
    /// Where the last chunk stands in the basis, if it is copied.
    copied: Option<Range<u64>>,
    /// Bytes that may still be hashed; those that are copied cost nothing.
    worth: u64,
    most: usize,
    charge: Charge,
}

/// The signature of a file that was built.
#[derive(Debug)]
pub(super) struct Recorded {
    pub signature: Arc<Signature>,
    _charge: Charge,
}

impl Recorder {
    /// For a file of that many bytes, from a basis of so many. `None` when it is too large for a signature, or when files of
    /// its size are cut into chunks of another length: the sender would not find them again.
    /// What it holds is added to `charge`; where that gets no more, there will be no signature.
    pub(super) fn new(size: u64, basis: u64, charge: Charge) -> Option<Recorder> {
        let cut = Cut::of(size).filter(|cut| Cut::of(basis) == Some(*cut))?;
        let (signature, rest) = (Signature::default(), Vec::new());
        Some(Recorder { signature, cut, rest, copied: None, worth: size / 4, most: cut.too_many(size), charge })
    }

    fn end(&self) -> u64 {
        self.signature.end() + self.rest.len() as u64
    }

    /// These bytes came from the sender. They are cut where the sender will cut them too, wherever they stand by then. False
    /// when the signature would cost too much, or would have a gap.
    pub(super) fn data(&mut self, offset: u64, bytes: &[u8]) -> bool {
        let length = bytes.len() as u64;
        if length > self.worth || offset != self.end() {
            return false;
        }
        self.worth -= length;
        self.rest.extend_from_slice(bytes);
        self.is_covered() && self.cut_while(|rest, cut| rest.len() >= cut.reach())
    }

    /// These chunks, which are this range of the basis, stand there. False as for [`data`](Recorder::data).
    pub(super) fn copy(&mut self, offset: u64, range: &Range<u64>, chunks: &[Hashed]) -> bool {
        let follows = offset == self.end() && self.cut_rest();
        let last = chunks.last().map_or(0, |(length, _)| u64::from(*length));
        self.copied = Some(range.end - last..range.end);
        follows && chunks.iter().all(|(length, hash)| self.push(*length, *hash))
    }

    /// False where it is too short for a chunk.
    fn cut_rest(&mut self) -> bool {
        self.cut_while(|rest, _| rest.len() >= CHUNK_LEAST) && self.rest.is_empty()
    }

    fn cut_while(&mut self, more: impl Fn(&[u8], Cut) -> bool) -> bool {
        let mut done = 0;
        while more(&self.rest[done..], self.cut) {
            let bytes = &self.rest[done..];
            let chunk = &bytes[..self.cut.first(bytes)];
            done += chunk.len();
            // Chunks are bounded by [`CHUNK`](proto::limits::CHUNK).
            if !self.push(chunk.len() as u32, digest::chunk(chunk)) {
                return false;
            }
            self.copied = None;
        }
        self.rest.drain(..done);
        true
    }

    fn push(&mut self, length: u32, hash: digest::Chunk) -> bool {
        self.signature.len() < self.most && self.signature.push(length, hash) && self.is_covered()
    }

    fn is_covered(&mut self) -> bool {
        self.charge.try_cover(self.signature.weight() + self.rest.capacity())
    }

    /// The signature, if it covers a whole file of that many bytes. `chunk` reads one of the basis again: a little that was
    /// appended belongs to the chunk before it.
    pub(super) fn finish(
        mut self,
        size: u64,
        chunk: impl FnOnce(Range<u64>, digest::Chunk) -> Option<Vec<u8>>,
    ) -> Option<Recorded> {
        if (1..CHUNK_LEAST).contains(&self.rest.len()) {
            let (_, hash) = self.signature.pop()?;
            let last = chunk(self.copied.take()?, hash)?;
            self.rest.splice(..0, last);
        }
        if !self.cut_rest() || self.signature.end() != size {
            return None;
        }
        let Recorder { mut signature, rest, mut charge, .. } = self;
        drop(rest);
        signature.shrink();
        charge.becomes(signature.weight());
        Some(Recorded { signature: Arc::new(signature), _charge: charge })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proto::{Name, RelPath};
    use sys::{Mounts, Tree};

    use super::super::memory::{Memory, SURE};
    use super::*;

    const COPIED: digest::Chunk = digest::Chunk { digest: [7; 16], proof: [8; 16] };

    fn stat(root: &Path, name: &str) -> Stat {
        let dir = Tree::open(root, Mounts::Stay).unwrap().dir(&RelPath::root()).unwrap();
        dir.lookup(&Name::parse(name.as_bytes()).unwrap()).unwrap().unwrap()
    }

    fn signature(chunks: usize) -> Signature {
        let mut signature = Signature::default();
        (0..chunks).for_each(|_| assert!(signature.push(1, digest::chunk(b""))));
        signature
    }

    fn started(size: u64, basis: u64) -> Option<Recorder> {
        Recorder::new(size, basis, Memory::default().account().no_extra())
    }

    #[test]
    fn what_is_recorded_is_charged_and_without_room_nothing_is() {
        const PIECE: usize = 256 * 1024;
        let (size, room) = (1 << 30, PIECE / 2 * 3);
        let account = Memory::new((SURE + room) as u64, 1).account();
        let mut recorder = Recorder::new(size, size, account.no_extra()).unwrap();
        assert!(recorder.data(0, &vec![1; PIECE]));
        assert!(account.try_extra(room - PIECE + 1).is_none());
        assert!(!recorder.data(PIECE as u64, &vec![1; PIECE]), "there is no room for two");
        drop(recorder);
        assert!(account.try_extra(room).is_some());
    }

    #[test]
    fn a_file_is_known_until_anything_about_it_changes() {
        let scratch = tempfile::tempdir().unwrap();
        let (root, file) = (scratch.path(), scratch.path().join("f"));
        fs::write(&file, "content").unwrap();
        let (known, before) = (Signatures::default(), stat(root, "f"));
        assert!(known.recall(&before).is_none());
        known.remember(&before, signature(3));
        assert_eq!(known.recall(&before).map(|signature| signature.len()), Some(3));
        assert!(known.recall(&stat(root, "f")).is_some(), "a second time");
        // The same size and mtime, but another content; as soon as the clock of the disk has gone on.
        let mtime = std::time::UNIX_EPOCH + std::time::Duration::new(before.mtime.secs as u64, before.mtime.nanos);
        let rewrite = || {
            fs::write(&file, "CONTENT").unwrap();
            fs::File::options().write(true).open(&file).unwrap().set_modified(mtime).unwrap();
            stat(root, "f")
        };
        let after = std::iter::repeat_with(rewrite).find(|after| after.ctime != before.ctime).unwrap();
        assert_eq!((after.size, after.mtime, after.ino), (before.size, before.mtime, before.ino));
        assert!(known.recall(&after).is_none());
        assert!(known.recall(&before).is_none(), "what does not fit is forgotten");
    }

    #[test]
    fn the_file_not_used_for_longest_is_forgotten_first() {
        let scratch = tempfile::tempdir().unwrap();
        let known = Signatures::default();
        let stats = ["a", "b", "c"].map(|name| {
            fs::write(scratch.path().join(name), name).unwrap();
            stat(scratch.path(), name)
        });
        stats[..2].iter().for_each(|stat| known.remember(stat, signature(HELD / 2 - FILE)));
        assert!(known.recall(&stats[0]).is_some());
        known.remember(&stats[2], signature(1));
        assert_eq!(stats.map(|stat| known.recall(&stat).is_some()), [true, false, true]);
        known.remember(&stats[1], signature(HELD));
        assert_eq!(stats.map(|stat| known.recall(&stat).is_some()), [true, false, true], "one that is too long");
        let cost = known.held().cost;
        assert_eq!(cost, HELD / 2 + 1 + FILE);
    }

    #[test]
    fn a_recorded_signature_is_that_of_the_whole_file_or_none() {
        let size = 4 << 20;
        let recorded = |data: &[(u64, usize)]| {
            let mut recorder = started(size, size).unwrap();
            let fits = recorder.copy(0, &(0..3 << 20), &[(3 << 20, COPIED)])
                && data.iter().all(|(offset, length)| recorder.data(*offset, &vec![1; *length]));
            fits.then(|| recorder.finish(size, |_, _| panic!("read again"))).flatten()
        };
        let whole = recorded(&[(3 << 20, 256 << 10), ((3 << 20) + (256 << 10), 768 << 10)]).unwrap().signature;
        assert_eq!(whole.end(), size);
        assert_eq!(whole.hashes(0, 1), [COPIED]);
        assert!(recorded(&[]).is_none(), "the end is missing");
        assert!(recorded(&[((3 << 20) + 1, 100)]).is_none(), "there is a gap");
        let mut recorder = started(size, size).unwrap();
        assert!(!recorder.data(0, &vec![1; (1 << 20) + 1]), "too much is new");
        assert!(started(size, 1 << 30).is_none(), "other chunks");
        let mut recorder = started(size, size).unwrap();
        let (least, at) = (CHUNK_LEAST as u32, |copy: u64| copy * CHUNK_LEAST as u64);
        let short = (0..2000).all(|copy| recorder.copy(at(copy), &(0..at(1)), &[(least, COPIED)]));
        assert!(!short, "pieces that are too small are cut anew some time");
        let mut recorder = started(size, size).unwrap();
        assert!(recorder.copy(0, &(0..9000), &[(9000, COPIED)]) && recorder.data(9000, &vec![1; CHUNK_LEAST - 1]));
        assert!(!recorder.copy(9000 + at(1) - 1, &(0..9000), &[(9000, COPIED)]), "too little for a chunk between two");
    }

    #[test]
    fn a_little_that_is_appended_belongs_to_the_chunk_before_it() {
        let size = 4 << 20;
        let (last, before) = (vec![7; 6000], size - 6100);
        let (hash, range) = (digest::chunk(&last), before..before + 6000);
        let recorded = |read: Option<Vec<u8>>| {
            let mut recorder = started(size, size).unwrap();
            let chunks = [(before as u32, COPIED), (6000, hash)];
            assert!(recorder.copy(0, &(0..size - 100), &chunks) && recorder.data(size - 100, &[8; 100]));
            recorder.finish(size, |at, of| {
                assert_eq!((at, of), (range.clone(), hash));
                read
            })
        };
        let whole = recorded(Some(last.clone())).unwrap().signature;
        let joined = digest::chunk(&[&last[..], &[8; 100]].concat());
        assert_eq!((whole.end(), whole.hashes(0, 2)), (size, &[COPIED, joined][..]));
        assert!(recorded(None).is_none(), "what was copied is something else by now");
    }

    #[test]
    fn what_came_in_pieces_is_cut_as_the_sender_cuts() {
        let (size, new) = (1 << 30, 3 << 20);
        let mut rng = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = (0..new).map(|_| rng.u8(..)).collect();
        let copied = |length: u64| [(length as u32, COPIED)];
        let mut recorder = started(size, size - 1).unwrap();
        let at = size - 2 * new;
        assert!(recorder.copy(0, &(0..at), &copied(at)));
        for (piece, bytes) in noise.chunks(proto::limits::DATA).enumerate() {
            assert!(recorder.data(at + (piece * proto::limits::DATA) as u64, bytes));
        }
        assert!(recorder.copy(at + new, &(0..new), &copied(new)));
        let signature = recorder.finish(size, |_, _| None).unwrap().signature;
        let lengths: Vec<u32> = signature.chunks(1, signature.len() as u32 - 2).map(|(length, _)| length).collect();
        let (cut, mut rest, mut expected) = (Cut::of(size).unwrap(), &noise[..], Vec::new());
        while !rest.is_empty() {
            expected.push(cut.first(rest) as u32);
            rest = &rest[cut.first(rest)..];
        }
        assert_eq!(lengths, expected);
        assert!(lengths.len() > 5 && lengths.iter().any(|length| *length as usize > proto::limits::DATA));
    }
}
