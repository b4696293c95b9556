//! What both roles need to know of a basis, the file that a new version is built from: where to cut it, and what its
//! chunks are.
//!
//! Where to cut is each side's own affair. A signature says of every chunk how long it is, so a peer that cuts otherwise
//! finds less to copy and nothing wrong.

use std::ops::Range;

use proto::{Digest, limits};

/// Chunks that a signature of a file has, about: few enough that it costs little, many enough that little is sent again.
const CHUNKS: u64 = 4096;
/// Average length of chunks, in bytes, at least and at most.
const AVERAGE: (u64, u64) = (8 * 1024, 4 * 1024 * 1024);
/// Largest file that has a signature, in bytes: at most 2¹⁸ chunks of the largest average.
const LARGEST: u64 = 1 << 40;
/// Bytes whose hash decides about a place to cut. With fewer, texts have the same few over and over, and the cuts behind an
/// insertion do not meet the old ones again soon.
const WINDOW: usize = 8;

/// How long chunks are: by content, so that an insertion moves the cuts behind it along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    least: usize,
    most: usize,
}

impl Cut {
    /// For a basis of that many bytes; `None` when it is too large for a signature.
    pub fn of(size: u64) -> Option<Cut> {
        if size > LARGEST {
            return None;
        }
        let average = (size / CHUNKS).next_power_of_two().clamp(AVERAGE.0, AVERAGE.1) as usize;
        Some(Cut { least: average / 4 * 3, most: average / 4 * 5 })
    }

    /// Chunks that a file of that many bytes does not have as it is cut here, and that make it worth to be cut anew.
    pub fn too_many(self, size: u64) -> usize {
        // Of a size that has a cut.
        (2 * size / (self.least as u64)) as usize + 64
    }

    /// Bytes that suffice to find the first chunk of them, also the longest.
    pub fn reach(self) -> usize {
        self.most + limits::CHUNK_LEAST
    }

    /// Bytes of the first chunk of `bytes`, which hold [`reach`](Cut::reach) or end with their file; 0 when there are none.
    /// What would be left of the file must be long enough for a chunk of its own, or belongs to this one.
    ///
    /// The cut is behind the least hash of [`WINDOW`] bytes in the range that is allowed, the first of equal ones: so
    /// chunks of equal bytes are of equal length, and each byte is looked at once. After "MinCDC" by O. Peters.
    pub fn first(self, bytes: &[u8]) -> usize {
        let cut = self.least_hash(&bytes[..bytes.len().min(self.most)]);
        if bytes.len() - cut < limits::CHUNK_LEAST { bytes.len() } else { cut }
    }

    fn least_hash(self, bytes: &[u8]) -> usize {
        if bytes.len() <= self.least {
            return bytes.len();
        }
        let searched = &bytes[self.least - WINDOW..];
        let (mut least, mut at) = (i16::MAX, 0);
        for (row, part) in rows(searched).enumerate() {
            let lowest = lowest(part);
            if lowest < least {
                let within = part.windows(WINDOW).position(|window| hash(window) == lowest).unwrap_or_default();
                (least, at) = (lowest, row * ROW + within);
                if lowest == i16::MIN {
                    break;
                }
            }
        }
        self.least + at
    }
}

/// Places that are compared at a time.
const ROW: usize = 256;

/// Slices that hold the windows of [`ROW`] places each.
fn rows(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let places = bytes.len() + 1 - WINDOW;
    (0..places).step_by(ROW).map(move |at| &bytes[at..(at + ROW + WINDOW - 1).min(bytes.len())])
}

/// The least hash of all windows. Those at even places, then those at odd ones, are words in a row, which compilers make
/// vector instructions of, also those that every processor has.
fn lowest(bytes: &[u8]) -> i16 {
    match bytes.first_chunk::<{ ROW + WINDOW - 1 }>() {
        Some(row) => lowest_of(&row[..ROW + WINDOW - 2]).min(lowest_of(&row[1..])),
        None => bytes.windows(WINDOW).map(hash).fold(i16::MAX, i16::min),
    }
}

/// Of every second window.
fn lowest_of(bytes: &[u8]) -> i16 {
    let mut words = [0; ROW / 2 + WINDOW / 2 - 1];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(2)) {
        *word = u16::from_le_bytes([bytes[0], bytes[1]]);
    }
    let mut least = i16::MAX;
    for at in 0..ROW / 2 {
        least = least.min(mix([words[at], words[at + 1], words[at + 2], words[at + 3]]));
    }
    least
}

fn hash(window: &[u8]) -> i16 {
    mix([0, 2, 4, 6].map(|at| u16::from_le_bytes([window[at], window[at + 1]])))
}

/// Of four words, with odd factors without a pattern.
fn mix([a, b, c, d]: [u16; 4]) -> i16 {
    let (a, b, c, d) = (a.wrapping_mul(0x9e37), b.wrapping_mul(0x79b1), c.wrapping_mul(0x85eb), d.wrapping_mul(0xca6b));
    (a ^ b ^ c ^ d).cast_signed()
}

/// The chunks of a basis from its beginning, as far as they are known: by digests to a sender, by whole hashes to the receiver.
#[derive(Debug, Clone)]
pub(crate) struct Signature<H = Digest> {
    hashes: Vec<H>,
    /// Where each chunk ends.
    ends: Vec<u64>,
}

impl<H> Default for Signature<H> {
    fn default() -> Signature<H> {
        Signature { hashes: Vec::new(), ends: Vec::new() }
    }
}

impl<H: Copy> Signature<H> {
    /// Adds a chunk at the end. False, and nothing is added, where it has [`limits::CHUNKS`] already.
    pub fn push(&mut self, length: u32, hash: H) -> bool {
        if self.ends.len() >= limits::CHUNKS {
            return false;
        }
        self.ends.push(self.end() + u64::from(length));
        self.hashes.push(hash);
        true
    }

    /// Takes the last chunk away.
    pub fn pop(&mut self) -> Option<(u32, H)> {
        let (end, hash) = (self.ends.pop()?, self.hashes.pop()?);
        // It came as a u32.
        Some(((end - self.end()) as u32, hash))
    }

    /// Bytes of the basis that it covers, from the beginning.
    pub fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes that it takes in memory.
    pub fn weight(&self) -> usize {
        self.hashes.capacity() * size_of::<H>() + self.ends.capacity() * size_of::<u64>()
    }

    /// Takes no more memory than it needs: nothing is added any more.
    pub fn shrink(&mut self) {
        self.hashes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Where these chunks stand in the basis; `None` when it does not have them all.
    pub fn range(&self, first: u32, count: u32) -> Option<Range<u64>> {
        let (first, count) = (first as usize, count as usize);
        let last = first.checked_add(count)?.checked_sub(1)?;
        let start = if first == 0 { 0 } else { *self.ends.get(first - 1)? };
        Some(start..*self.ends.get(last)?)
    }

    /// Hashes of the chunks of a [`range`](Signature::range).
    pub fn hashes(&self, first: u32, count: u32) -> &[H] {
        let first = first as usize;
        self.hashes.get(first..first.saturating_add(count as usize)).unwrap_or_default()
    }

    /// These chunks, each with its length, as far as it has them.
    pub fn chunks(&self, first: u32, count: u32) -> impl Iterator<Item = (u32, H)> {
        let start = self.range(first, 1).map_or(0, |range| range.start);
        let ends = self.ends.iter().skip(first as usize).scan(start, |before, end| {
            let length = end - std::mem::replace(before, *end);
            // It came as a u32.
            Some(length as u32)
        });
        ends.zip(self.hashes.iter().skip(first as usize).take(count as usize).copied())
    }

    /// The number of the chunk that begins at this offset of the basis.
    pub fn starting_at(&self, offset: u64) -> Option<u32> {
        if offset == 0 {
            return (!self.ends.is_empty()).then_some(0);
        }
        let at = self.ends.binary_search(&offset).ok()? + 1;
        (at < self.ends.len()).then_some(at as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes without a pattern, the same for the same seed.
    fn noise(length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    fn chunks(cut: Cut, mut bytes: &[u8]) -> Vec<Digest> {
        let mut chunks = Vec::new();
        while !bytes.is_empty() {
            let (chunk, rest) = bytes.split_at(cut.first(&bytes[..bytes.len().min(cut.reach())]));
            assert!(chunk.len() >= limits::CHUNK_LEAST && chunk.len() < cut.reach());
            assert!(chunk.len() >= cut.least || rest.is_empty());
            chunks.push(proto::digest::chunk(chunk).digest);
            bytes = rest;
        }
        chunks
    }

    #[test]
    fn chunks_are_of_a_length_that_fits_the_file() {
        let average = |size| Cut::of(size).map(|cut| (cut.least + cut.most) / 2);
        assert_eq!(average(0), Some(8 << 10));
        assert_eq!(average(1 << 30), Some(256 << 10));
        assert_eq!(average(1 << 40), Some(4 << 20));
        assert_eq!(average((1 << 40) + 1), None);
        let largest = Cut::of(1 << 40).unwrap();
        assert!(largest.reach() <= limits::CHUNK && (1u64 << 40) / largest.least as u64 <= limits::CHUNKS as u64);
    }

    #[test]
    fn no_chunk_is_short_whatever_the_length_of_the_file() {
        let cut = Cut::of(limits::BASIS).unwrap();
        let bytes = noise(limits::BASIS as usize + 3 * cut.most, 4);
        let mut joined = 0;
        for length in (limits::BASIS as usize..bytes.len()).step_by(37) {
            let (mut rest, mut lengths) = (&bytes[..length], Vec::new());
            while !rest.is_empty() {
                let (chunk, behind) = rest.split_at(cut.first(&rest[..rest.len().min(cut.reach())]));
                lengths.push(chunk.len());
                rest = behind;
            }
            let (last, others) = lengths.split_last().unwrap();
            assert!(others.iter().all(|chunk| (cut.least..=cut.most).contains(chunk)), "{lengths:?}");
            assert!((limits::CHUNK_LEAST..cut.reach()).contains(last), "{last}");
            joined += usize::from(*last > cut.most);
        }
        assert!(joined > 0);
    }

    #[test]
    fn an_insertion_changes_few_chunks() {
        let cut = Cut::of(1 << 20).unwrap();
        // All bytes, letters, and two bytes only.
        for (mask, most) in [(0xff, 12), (0x0f, 12), (0x01, 12)] {
            let narrow = |length, seed| noise(length, seed).iter().map(|byte| byte & mask).collect::<Vec<u8>>();
            let before = narrow(1 << 20, 1);
            // LIMIT: where each window comes again soon, cuts that are far apart take long to meet.
            for inserted in [1, 100, 10_000, 100_000].into_iter().take(if mask == 1 { 2 } else { 4 }) {
                let after = [&before[..5000], &narrow(inserted, 2)[..], &before[5000..]].concat();
                let (old, new) = (chunks(cut, &before), chunks(cut, &after));
                let lost = new.iter().filter(|chunk| !old.contains(chunk)).count();
                let most = most + inserted / cut.least;
                assert!(lost <= most, "{lost} of {} chunks after {inserted} bytes of {mask:x}", new.len());
            }
        }
    }

    #[test]
    fn equal_bytes_give_equal_chunks() {
        let cut = Cut::of(1 << 20).unwrap();
        let mut all = chunks(cut, &vec![0; 1 << 20]);
        all.pop();
        assert!(all.len() >= 100 && all.iter().all(|chunk| *chunk == all[0]));
    }

    #[test]
    fn the_cut_is_at_the_first_of_the_least_hashes() {
        let cut = Cut { least: 100, most: 1000 };
        let bytes = noise(1000 + limits::CHUNK_LEAST, 3);
        let places = (100..=1000).map(|end| (hash(&bytes[end - WINDOW..end]), end));
        let least = places.min_by_key(|(hash, _)| *hash).unwrap();
        assert_eq!(cut.first(&bytes), least.1);
        assert_eq!(cut.first(&bytes[..100]), 100);
        assert_eq!(cut.first(&[]), 0);
    }

    #[test]
    fn a_signature_knows_where_its_chunks_are() {
        let mut signature = Signature::default();
        assert_eq!((signature.starting_at(0), signature.range(0, 1)), (None, None));
        for length in [10, 5, 7] {
            assert!(signature.push(length, [length as u8; 16]));
        }
        assert_eq!((signature.end(), signature.len()), (22, 3));
        assert_eq!(signature.range(0, 3), Some(0..22));
        assert_eq!(signature.range(1, 1), Some(10..15));
        assert_eq!((signature.range(2, 2), signature.range(u32::MAX, 2), signature.range(0, 0)), (None, None, None));
        assert_eq!(signature.hashes(1, 2), [[5; 16], [7; 16]]);
        let lengths = |first, count| signature.chunks(first, count).map(|(length, _)| length).collect::<Vec<_>>();
        assert_eq!((lengths(0, 3), lengths(1, 1), lengths(1, 9)), (vec![10, 5, 7], vec![5], vec![5, 7]));
        let starting = [0, 10, 15, 22, 11].map(|at| signature.starting_at(at));
        assert_eq!(starting, [Some(0), Some(1), Some(2), None, None]);
        assert_eq!((signature.pop(), signature.end(), signature.len()), (Some((7, [7; 16])), 15, 2));
    }
}
