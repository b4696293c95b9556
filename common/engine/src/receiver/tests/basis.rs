//! Contents that are built from what stands at the backup.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::digest::{self, Transcript};
use proto::limits::{AHEAD, BACKLOG, BASIS, CHUNK_LEAST};
use proto::{Chunk, Content, Kind, Meta, Outcome, ToReceiver, ToSender};

use super::rig::*;
use crate::receiver::{EndReason, Memory, SURE};

pub(super) const ID: u32 = 5;

/// Bytes without a pattern.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(length as u64);
    (0..length).map(|_| rng.u8(..)).collect()
}

pub(super) fn data(offset: u64, bytes: &[u8]) -> ToReceiver {
    ToReceiver::Data { id: ID, offset, bytes: Bytes::copy_from_slice(bytes) }
}

pub(super) fn copy(offset: u64, first: u32, count: u32) -> ToReceiver {
    ToReceiver::Copy { id: ID, offset, first, count }
}

fn put_blob(at: &str, size: u64, transcript: &Transcript) -> ToReceiver {
    let content = Content::Blob { id: ID, hash: transcript.finish() };
    ToReceiver::Put { path: path(at), meta: Meta { size, ..meta(Kind::File) }, content, inexact: false }
}

/// What shows that one has the chunks of this file.
fn proofs(content: &[u8], chunks: &[Chunk]) -> impl Iterator<Item = proto::Digest> {
    chunks.iter().scan(content, |rest, chunk| {
        let chunk = rest.split_off(..chunk.length as usize)?;
        Some(digest::chunk(chunk).proof)
    })
}

/// How many of our own are for this.
fn descriptors(of: &str) -> usize {
    let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
    all.filter(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.to_str() == Some(of))).count()
}

impl Rig {
    /// Opens the blob and asks for what stands at the path.
    pub(super) fn ask(&mut self, size: u64, at: &str) -> Vec<Chunk> {
        self.send(&[ToReceiver::Blob { id: ID, size }, ToReceiver::Basis { id: ID, path: path(at) }]);
        let mut all = Vec::new();
        loop {
            let ToSender::Signature { id: ID, chunks, last, .. } = self.next() else { panic!("no signature") };
            all.extend(chunks);
            if last {
                return all;
            }
        }
    }

    /// Waits until so many bytes are copied.
    pub(super) fn copied(&self, mut bytes: u64) {
        while bytes > 0 {
            let ToSender::Copied { id: ID, bytes: done } = self.next() else { panic!("not copied") };
            bytes -= done;
        }
    }
}

#[test]
fn chunks_in_any_order_and_new_bytes_make_a_file() {
    for mut rig in [Rig::new(), Rig::durable()] {
        let old = noise(1_000_000);
        fs::write(rig.at("f"), &old).unwrap();
        let chunks = rig.ask(1_000_010, "f");
        assert_eq!(chunks.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>(), 1_000_000);
        let mut at = 0;
        for chunk in &chunks {
            let end = at + chunk.length as usize;
            assert_eq!(chunk.digest, digest::chunk(&old[at..end]).digest);
            at = end;
        }
        // All but the first chunk, then ten new bytes, then the first chunk.
        let first = u64::from(chunks[0].length);
        let (rest, count) = (1_000_000 - first, chunks.len() as u32);
        let mut transcript = Transcript::new();
        transcript.copy(rest + 10, first, proofs(&old, &chunks).take(1));
        transcript.copy(0, rest, proofs(&old, &chunks).skip(1));
        transcript.update(rest, b"0123456789");
        rig.send(&[copy(rest + 10, 0, 1), copy(0, 1, count - 1), data(rest, b"0123456789")]);
        rig.copied(1_000_000);
        rig.done(&[put_blob("f", 1_000_010, &transcript)]);
        let new = [&old[first as usize..], b"0123456789", &old[..first as usize]].concat();
        assert!(fs::read(rig.at("f")).unwrap() == new);
        assert_eq!(mtime(&rig.at("f")), THEN);
        rig.done(&[remove("f"), put("f", "")]);
        assert_eq!(descriptors(&format!("{} (deleted)", rig.at("f").display())), 0);
        let (_, scratch) = rig.close();
        assert_eq!(all_names(&scratch.path().join("module")), ["f"]);
    }
}

#[test]
fn a_signature_that_is_known_comes_in_one_frame() {
    let mut rig = Rig::new();
    fs::write(rig.at("f"), noise(40_000_000)).unwrap();
    let chunks = rig.ask(1, "f");
    assert!(chunks.len() > 2000);
    rig.send(&[ToReceiver::Drop { id: ID }, ToReceiver::Blob { id: ID, size: 1 }]);
    rig.send(&[ToReceiver::Basis { id: ID, path: path("f") }]);
    let ToSender::Signature { chunks: known, last: true, .. } = rig.next() else { panic!("not all of it") };
    assert_eq!(known, chunks);
}

#[test]
fn only_a_large_regular_file_without_other_names_serves() {
    let mut rig = Rig::with(Settings::default(), |module| {
        fs::write(module.join("../outside"), noise(300_000)).unwrap();
        fs::hard_link(module.join("../outside"), module.join("linked")).unwrap();
        symlink("../outside", module.join("symlink")).unwrap();
        symlink("..", module.join("up")).unwrap();
        fs::create_dir(module.join("folder")).unwrap();
        fs::write(module.join("empty"), "").unwrap();
        fs::write(module.join("small"), noise(BASIS as usize - 1)).unwrap();
        fs::write(module.join("serves"), noise(BASIS as usize)).unwrap();
    });
    assert!(!rig.ask(1, "serves").is_empty());
    rig.send(&[ToReceiver::Drop { id: ID }]);
    for at in ["linked", "symlink", "up/outside", "folder", "empty", "small", "missing", "missing/too"] {
        assert_eq!(rig.ask(1, at), [], "{at}");
        rig.send(&[ToReceiver::Drop { id: ID }]);
    }
    rig.done(&[put("f", "still works")]);
}

#[test]
fn a_basis_that_changes_meanwhile_makes_the_put_fail() {
    let mut rig = Rig::new();
    fs::write(rig.at("f"), noise(300_000)).unwrap();
    let chunks = rig.ask(300_000, "f");
    let mut transcript = Transcript::new();
    transcript.copy(0, 300_000, proofs(&noise(300_000), &chunks));
    fs::write(rig.at("f"), noise(300_001)).unwrap();
    rig.send(&[copy(0, 0, chunks.len() as u32)]);
    rig.copied(300_000);
    let outcome = rig.outcome(put_blob("f", 300_000, &transcript));
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    assert_eq!(fs::metadata(rig.at("f")).unwrap().len(), 300_001);
}

#[test]
fn what_the_sender_takes_for_another_chunk_is_not_published() {
    let mut rig = Rig::new();
    fs::write(rig.at("f"), noise(300_000)).unwrap();
    let chunks = rig.ask(u64::from(u32::MAX), "f");
    let mut transcript = Transcript::new();
    transcript.copy(0, chunks[1].length.into(), proofs(&noise(300_000), &chunks).take(1));
    rig.send(&[copy(0, 1, 1)]);
    rig.copied(chunks[1].length.into());
    let outcome = rig.outcome(put_blob("f", u64::from(u32::MAX), &transcript));
    assert!(matches!(&outcome, Outcome::Failed { reason } if reason.contains("damaged")), "{outcome:?}");
}

#[test]
fn holes_of_the_basis_are_not_written() {
    let mut rig = Rig::new();
    let size = 4 << 20;
    let file = fs::File::create(rig.at("f")).unwrap();
    file.set_len(size).unwrap();
    let content = noise(3 << 20);
    std::os::unix::fs::FileExt::write_all_at(&file, &content, 0).unwrap();
    let before = file.metadata().unwrap().blocks();
    let chunks = rig.ask(size, "f");
    let mut transcript = Transcript::new();
    transcript.copy(0, size, proofs(&[content, vec![0; 1 << 20]].concat(), &chunks));
    rig.send(&[copy(0, 0, chunks.len() as u32)]);
    rig.copied(size);
    rig.done(&[put_blob("f", size, &transcript)]);
    assert!(fs::metadata(rig.at("f")).unwrap().blocks() <= before + 64);
}

#[test]
fn blobs_that_are_dropped_hold_nothing_open_and_their_copies_are_answered() {
    let mut rig = Rig::new();
    fs::write(rig.at("f"), noise(40_000_000)).unwrap();
    let chunks = rig.ask(1 << 40, "f");
    let named: u64 = chunks[..600].iter().map(|chunk| u64::from(chunk.length)).sum();
    let mut messages: Vec<_> = (0..600).map(|at| copy(u64::from(at) << 24, at, 1)).collect();
    messages.push(ToReceiver::Drop { id: ID });
    rig.send(&messages);
    // Each would read all of the basis.
    for id in 100..500 {
        rig.send(&[ToReceiver::Blob { id, size: 1 }, ToReceiver::Basis { id, path: path("f") }]);
        rig.send(&[ToReceiver::Drop { id }]);
    }
    let mut copied = 0;
    while copied < named {
        match rig.next() {
            ToSender::Copied { id: ID, bytes } => copied += bytes,
            ToSender::Signature { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    rig.send(&[put("last", "")]);
    while !matches!(rig.next(), ToSender::Applied { .. }) {}
    let held = descriptors(rig.at("f").to_str().unwrap());
    assert!(held <= 2, "{held} descriptors of the basis");
}

#[test]
fn every_breach_of_the_use_of_a_basis_ends_the_session() {
    let blob = || ToReceiver::Blob { id: ID, size: 1 << 40 };
    let basis = || ToReceiver::Basis { id: ID, path: path("f") };
    // Chunks of a file of 40 MB have 12 KiB at least.
    let many = (0..=BACKLOG / (2000 * 12 * 1024)).map(|at| copy(at << 30, 0, 2000)).collect();
    let apart = (0..=AHEAD as u64).map(|at| copy((at + 1) << 20, 0, 1)).collect();
    let breaches: [(&str, usize, Vec<ToReceiver>); 14] = [
        ("not open", 0, vec![basis()]),
        ("too late, or twice", 0, vec![blob(), basis(), basis()]),
        ("too late, or twice", 0, vec![blob(), data(0, b"x"), basis()]),
        ("reserved", 0, vec![blob(), ToReceiver::Basis { id: ID, path: path(".recvd-stage-1/0") }]),
        ("not open", 0, vec![copy(0, 0, 1)]),
        ("not known to have", 0, vec![blob(), copy(0, 0, 1)]),
        ("not known to have", 300_000, vec![copy(0, 1 << 19, 1)]),
        ("beyond its", 300_000, vec![copy(1 << 40, 0, 1)]),
        ("bytes to be copied at a time", 40_000_000, many),
        ("overlap", 300_000, vec![copy(0, 0, 1), data(2, b"x")]),
        ("overlap", 300_000, vec![copy(5, 0, 1), data(0, b"012345")]),
        ("overlap", 300_000, vec![data(0, b"x"), copy(0, 0, 1)]),
        ("overlap", 300_000, vec![copy(1 << 20, 0, 1), copy((1 << 20) + CHUNK_LEAST as u64, 1, 1)]),
        ("apart", 300_000, apart),
    ];
    for (words, basis, messages) in breaches {
        let mut rig = Rig::new();
        fs::write(rig.at("f"), noise(basis)).unwrap();
        if basis > 0 {
            rig.ask(1 << 40, "f");
        }
        rig.send(&messages);
        let (ended, _, scratch) = rig.ended();
        let EndReason::Violation(reason) = ended else { panic!("{words}: {ended:?}") };
        assert!(reason.contains(words), "{reason}");
        assert_eq!(all_names(&scratch.path().join("module")), ["f"]);
    }
}

#[test]
fn of_a_basis_only_what_there_is_memory_for_is_told() {
    let size = 8 << 20;
    let old = noise(size);
    let told = |lent: usize| {
        let memory = Memory::new((SURE + lent) as u64, 1);
        let mut rig =
            Rig::with(Settings { memory, ..Settings::default() }, |root| fs::write(root.join("f"), &old).unwrap());
        let mut ask = || {
            let chunks = rig.ask(size as u64, "f");
            let told = chunks.iter().map(|chunk| chunk.length as usize).sum::<usize>();
            if told > 0 {
                rig.send(&[copy(0, 0, chunks.len() as u32)]);
                rig.copied(told as u64);
            }
            rig.send(&[ToReceiver::Drop { id: ID }]);
            told
        };
        let first = ask();
        // What it took is given back, when a pool thread has let go of it: a moment after its last chunks are told.
        let deadline = Instant::now() + Duration::from_secs(60);
        while ask() != first {
            assert!(Instant::now() < deadline, "it holds the memory for {first} bytes");
        }
        first
    };
    assert_eq!(told(0), 0, "none serves");
    let some = told(16 * 1024);
    assert!(some > 0 && some < size, "{some}");
    assert_eq!(told(1 << 20), size);
}
