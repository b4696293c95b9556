//! What a peer learns of the backup that may only write to it: a stolen password of a source must not read.

use std::fs;

use proto::digest::{self, Transcript};
use proto::limits::{CHUNK_LEAST, DATA};
use proto::{Chunk, Content, Kind, Meta, Outcome, ToReceiver};

use super::basis::{ID, copy, data, noise};
use super::rig::*;
use crate::delta::Cut;
use crate::receiver::EndReason;

/// Bytes that nobody has told the peer.
const SECRET: usize = 300_000;

/// Two bytes that make these, with what is known before and behind them, a chunk of this digest.
fn guess(before: &[u8], behind: &[u8], chunk: &Chunk) -> Option<[u8; 2]> {
    let mut bytes = [before, &[0; 2], behind].concat();
    (0..=u16::MAX).map(u16::to_le_bytes).find(|two| {
        bytes[before.len()..before.len() + 2].copy_from_slice(two);
        digest::chunk(&bytes).digest == chunk.digest
    })
}

fn put_blob(at: &str, size: usize, transcript: &Transcript) -> ToReceiver {
    let content = Content::Blob { id: ID, hash: transcript.finish() };
    ToReceiver::Put { path: path(at), meta: Meta { size: size as u64, ..meta(Kind::File) }, content, inexact: false }
}

#[test]
fn tiny_files_tell_nothing_of_their_content() {
    let mut rig = Rig::new();
    let secrets: Vec<Vec<u8>> = noise(52).chunks(2).map(<[u8]>::to_vec).collect();
    let mut learned = Vec::new();
    for (number, secret) in secrets.iter().enumerate() {
        let name = format!("pin-{number}");
        fs::write(rig.at(&name), secret).unwrap();
        for chunk in rig.ask(1, &name) {
            learned.extend(guess(&[], &[], &chunk));
        }
        rig.send(&[ToReceiver::Drop { id: ID }]);
    }
    assert!(learned.is_empty(), "{} bytes: {learned:?} of {secrets:?}", 2 * learned.len());
}

#[test]
fn what_is_copied_cannot_be_overwritten_but_for_a_little_and_its_signature_tried() {
    let mut rig = Rig::new();
    let secret = noise(SECRET);
    fs::write(rig.at("secret"), &secret).unwrap();
    let told = rig.ask(SECRET as u64, "secret");
    rig.send(&[copy(0, 0, 1)]);
    rig.copied(told[0].length.into());
    let mut transcript = Transcript::new();
    transcript.copy(0, told[0].length.into(), [told[0].digest].into_iter());
    let zeros = vec![0; 100_000];
    let mut at = 2;
    while at < SECRET {
        let bytes = &zeros[..zeros.len().min(SECRET - at)];
        transcript.update(at as u64, bytes);
        rig.send(&[data(at as u64, bytes)]);
        at += bytes.len();
    }
    rig.send(&[put_blob("mixture", SECRET, &transcript)]);
    let receipt = rig.next();
    if matches!(receipt, proto::ToSender::Applied { .. }) {
        let mixed = rig.ask(SECRET as u64, "mixture");
        let learned = guess(&[], &vec![0; mixed[0].length as usize - 2], &mixed[0]);
        panic!("learned {learned:?}, which are {:?}", &secret[..2]);
    }
    let (ended, _, scratch) = rig.ended();
    let EndReason::Violation(reason) = ended else { panic!("{ended:?}") };
    assert!(reason.contains("overlap"), "{reason}");
    assert_eq!(all_names(&scratch.path().join("module")), ["secret"]);
}

/// Where a chunk ends is decided by its content: what stands before a secret is chosen so that one ends behind its second byte.
/// Nothing overlaps, and the chunk is long. So the digest that is told of a chunk does not suffice to have it copied.
#[test]
fn what_is_not_known_cannot_be_copied_behind_what_is() {
    let mut rig = Rig::new();
    let secret = noise(SECRET);
    fs::write(rig.at("secret"), &secret).unwrap();
    // Nothing is to be said for a cut before the secret.
    let cut = Cut::of(SECRET as u64).unwrap();
    let most = cut.reach() - CHUNK_LEAST;
    let mut before = (0..=u8::MAX).map(|byte| vec![byte; most - 2]);
    let dull = before.find(|dull| cut.first(&[&dull[..], &secret[..9000]].concat()) == most).unwrap();

    let told = rig.ask(SECRET as u64, "secret");
    let first = u64::from(told[0].length);
    let mut transcript = Transcript::new();
    transcript.update(0, &dull);
    transcript.copy(dull.len() as u64, first, [told[0].digest].into_iter());
    let end = dull.len() as u64 + first;
    let rest = vec![0; SECRET - end as usize];
    rig.send(&[data(0, &dull), copy(dull.len() as u64, 0, 1)]);
    rig.copied(first);
    for (at, bytes) in (end..).step_by(DATA).zip(rest.chunks(DATA)) {
        transcript.update(at, bytes);
        rig.send(&[data(at, bytes)]);
    }
    let outcomes = rig.run(&[put_blob("mixture", SECRET, &transcript)]);
    if outcomes.is_empty() {
        let mixed = rig.ask(SECRET as u64, "mixture");
        let learned = guess(&dull, &[], &mixed[0]);
        panic!("learned {learned:?}, which are {:?}", &secret[..2]);
    }
    assert!(matches!(&outcomes[..], [(0, Outcome::Failed { .. })]), "{outcomes:?}");
    assert_eq!(names(&rig.at("")), ["secret"]);
}
