//! Digests that both sides compute alike: of one entry's link text and xattrs, of a folder's listing, of a blob's
//! pieces.
//!
//! All are BLAKE3 over the bytes that the wire has for the same values, except for content on its way. TLS protects that from
//! strangers, and XXH3, at a fifth of the price, shows our own mistakes. The sender and the receiver call these; nothing
//! here reads a file.

use bytes::BytesMut;
use twox_hash::XxHash3_128;

use crate::meta::{Entry, Meta, Xattrs};
use crate::name::Name;
use crate::wire;

/// First 16 bytes of a BLAKE3 hash.
pub type Digest = [u8; 16];

/// What stands in a listing for link text and xattrs; zero where there are neither.
pub fn extra(link: &[u8], xattrs: &Xattrs) -> Digest {
    if link.is_empty() && xattrs.is_empty() {
        return [0; 16];
    }
    let mut buf = BytesMut::with_capacity(256);
    wire::put_bytes16(link, &mut buf);
    wire::put_xattrs(xattrs, &mut buf);
    short(&blake3::hash(&buf))
}

/// The line of a listing for the entry `name` with this metadata, which was projected by the module's
/// [`Keep`](crate::Keep) before.
pub fn entry(name: Name, meta: &Meta) -> Entry {
    let Meta { kind, size, mode, uid, gid, mtime, device, ref link, ref xattrs } = *meta;
    Entry { name, kind, size, mode, uid, gid, mtime, device, extra: extra(link, xattrs), inexact: false }
}

/// The digest of a folder that holds these entries, which may come in any order but each name once. A folder's own
/// metadata is not in it: it stands in its parent's listing.
pub fn folder(entries: &[Entry]) -> Digest {
    let mut hash = Folder::default();
    if entries.is_sorted_by(|a, b| a.name <= b.name) {
        entries.iter().for_each(|entry| hash.push(entry));
    } else {
        let mut sorted: Vec<&Entry> = entries.iter().collect();
        sorted.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        sorted.into_iter().for_each(|entry| hash.push(entry));
    }
    hash.finish()
}

/// The same of entries that are told one by one, in rising order of names. They are hashed in pieces of some size: BLAKE3 is
/// slow on short ones.
#[derive(Default)]
pub struct Folder {
    hash: blake3::Hasher,
    buf: BytesMut,
}

impl Folder {
    const PIECE: usize = 16 * 1024;

    /// Takes an entry in whose name is behind all before.
    pub fn push(&mut self, entry: &Entry) {
        wire::put_entry(entry, &mut self.buf);
        if self.buf.len() >= Folder::PIECE {
            self.hash.update(&self.buf);
            self.buf.clear();
        }
    }

    /// What [`folder`] gives for all of them.
    pub fn finish(mut self) -> Digest {
        self.hash.update(&self.buf);
        short(&self.hash.finalize())
    }
}

fn short(hash: &blake3::Hash) -> Digest {
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash.as_bytes()[..16]);
    digest
}

/// Of three texts, of which none runs into the next. Of a folder by where it stands they are the `boot_id` of its host, the
/// device and the path there: the same for the same folder until its host is started anew, and nothing to anybody who does not
/// know all three.
pub fn of(one: &[u8], two: &[u8], three: &[u8]) -> Digest {
    let mut buf = BytesMut::with_capacity(256);
    wire::put_bytes16(one, &mut buf);
    wire::put_bytes16(two, &mut buf);
    buf.extend_from_slice(three);
    short(&blake3::hash(&buf))
}

/// The hash of one chunk of a basis, in two halves: one says which bytes they are, the other that one has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// What a signature tells.
    pub digest: Digest,
    /// What is told to nobody: only who has the bytes can compute it. So nobody has bytes copied that he has not.
    pub proof: Digest,
}

/// Of these bytes, which are a chunk.
pub fn chunk(bytes: &[u8]) -> Chunk {
    let hash = blake3::hash(bytes);
    let (mut digest, mut proof) = ([0; 16], [0; 16]);
    digest.copy_from_slice(&hash.as_bytes()[..16]);
    proof.copy_from_slice(&hash.as_bytes()[16..]);
    Chunk { digest, proof }
}

/// The hash of a blob: over its pieces as they are sent, each with its place. So holes cost nothing, and a piece that
/// was lost, doubled, moved or damaged is noticed. A piece that is sent counts by the 128 bits of its XXH3, as in rsync's
/// check of a file; a piece that is copied by the proofs of its chunks, which each side computes from its own bytes.
#[derive(Debug, Clone, Default)]
pub struct Transcript(blake3::Hasher);

impl Transcript {
    /// The transcript of an empty blob, to which pieces are added.
    pub fn new() -> Transcript {
        Transcript::default()
    }

    /// One `Data`, in the order sent.
    pub fn update(&mut self, offset: u64, bytes: &[u8]) {
        let mut place = [0; 16];
        place[..8].copy_from_slice(&offset.to_le_bytes());
        place[8..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.update(&place);
        self.0.update(&XxHash3_128::oneshot(bytes).to_be_bytes());
    }

    /// One `Copy`, in the order sent, of so many bytes in chunks with these proofs.
    pub fn copy(&mut self, offset: u64, length: u64, proofs: impl Iterator<Item = Digest>) {
        let mut place = [0; 16];
        // No offset has this bit: a copy is never mistaken for bytes that look like digests.
        place[..8].copy_from_slice(&(offset | 1 << 63).to_le_bytes());
        place[8..].copy_from_slice(&length.to_le_bytes());
        self.0.update(&place);
        for proof in proofs {
            self.0.update(&proof);
        }
    }

    /// The hash that the `Put` of the blob carries.
    pub fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Kind, Time};

    /// The hash of bytes written down by hand.
    fn hashed(bytes: &[u8]) -> [u8; 32] {
        *blake3::hash(bytes).as_bytes()
    }

    /// With a name of four digits.
    fn file(number: u32) -> Entry {
        let mtime = Time { secs: number.into(), nanos: number };
        let (device, link, xattrs) = (Device::default(), Box::default(), Xattrs::default());
        let meta = Meta { kind: Kind::File, size: 1, mode: 0o644, uid: 0, gid: number, mtime, device, link, xattrs };
        entry(Name::parse(number.to_string().as_bytes()).unwrap(), &meta)
    }

    #[test]
    fn an_empty_folder_has_the_digest_of_no_bytes() {
        let known = [0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9, 0x49];
        assert_eq!(folder(&[]), known);
    }

    #[test]
    fn a_folder_is_hashed_as_it_is_listed_in_any_order() {
        let mut entries: Vec<Entry> = (1000..3000).map(file).collect();
        let mut buf = BytesMut::new();
        entries.iter().for_each(|entry| wire::put_entry(entry, &mut buf));
        let digest = folder(&entries);
        assert_eq!(digest, hashed(&buf)[..16]);
        entries.reverse();
        assert_eq!(folder(&entries), digest);
        entries[7].mode ^= 1;
        assert_ne!(folder(&entries), digest);
    }

    #[test]
    fn extra_is_zero_only_without_link_text_and_xattrs() {
        let xattrs = Xattrs::new(vec![(Box::from(&b"user.a"[..]), Box::from(&b"1"[..]))]).unwrap();
        assert_eq!(extra(b"", &Xattrs::default()), [0; 16]);
        assert_eq!(extra(b"t", &Xattrs::default()), hashed(b"\x01\0t\0\0")[..16]);
        assert_eq!(extra(b"", &xattrs), hashed(b"\0\0\x01\0\x06user.a\x01\0\0\x001")[..16]);
    }

    #[test]
    fn a_transcript_notices_where_pieces_are() {
        let of = |pieces: &[(u64, &[u8])]| {
            let mut transcript = Transcript::new();
            pieces.iter().for_each(|(offset, bytes)| transcript.update(*offset, bytes));
            transcript.finish()
        };
        // As the reference implementation of XXH3 prints them.
        let [ab, c] = [0x89c65ebc828eebaca873719c24d5735c_u128, 0x12d8bdd17f74de858c40219a46b9f81b];
        let bytes = [
            &b"\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0"[..],
            &ab.to_be_bytes(),
            b"\0\x10\0\0\0\0\0\0\x01\0\0\0\0\0\0\0",
            &c.to_be_bytes(),
        ];
        assert_eq!(of(&[(0, b"ab"), (4096, b"c")]), hashed(&bytes.concat()));
        assert_ne!(of(&[(0, b"ab"), (4096, b"c")]), of(&[(0, b"ab"), (4097, b"c")]));
        assert_ne!(of(&[(0, b"ab")]), of(&[(0, b"a"), (1, b"b")]));
        assert_eq!(of(&[]), hashed(b""));
    }

    #[test]
    fn a_chunk_is_known_by_one_half_of_its_hash_and_proved_by_the_other() {
        let (chunk, whole) = (chunk(b"ab"), hashed(b"ab"));
        assert_eq!((&chunk.digest[..], &chunk.proof[..]), whole.split_at(16));
    }

    #[test]
    fn a_transcript_tells_what_was_copied_from_what_was_sent() {
        let chunks = [chunk(b"ab").proof, chunk(b"c").proof];
        let mut copied = Transcript::new();
        copied.copy(4096, 3, chunks.into_iter());
        let bytes = [&b"\0\x10\0\0\0\0\0\x80\x03\0\0\0\0\0\0\0"[..], &chunks.concat()].concat();
        assert_eq!(copied.finish(), hashed(&bytes));
        let mut sent = Transcript::new();
        sent.update(4096, &chunks.concat());
        assert_ne!(sent.finish(), copied.finish());
    }
}
