//! What a sender leaves for later while it does not know all of a basis.

use std::fs;

use proto::limits::AHEAD;
use proto::{Chunk, Name, RelPath, digest};
use sys::{Mounts, Tree};

use crate::delta::Cut;
use crate::receiver::Pieces;
use crate::sender::delta::{Delta, Run, Segment};

#[test]
fn gaps_are_left_only_as_many_as_the_target_remembers() {
    let scratch = tempfile::tempdir().unwrap();
    let mut rng = fastrand::Rng::with_seed(1);
    let content: Vec<u8> = (0..24 << 20).map(|_| rng.u8(..)).collect();
    fs::write(scratch.path().join("f"), &content).unwrap();
    let tree = Tree::open(scratch.path(), Mounts::Stay).unwrap();
    let name = Name::parse(b"f").unwrap();
    let (file, stat) = tree.dir(&RelPath::root()).unwrap().open_file(&name).unwrap();

    // Every second chunk is another one at the target, as where a database has written here and there.
    let (cut, mut rest, mut chunks) = (Cut::of(stat.size).unwrap(), &content[..], Vec::new());
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(cut.first(&rest[..rest.len().min(cut.reach())]));
        let digest = if chunks.len() % 2 == 0 { digest::chunk(chunk).digest } else { [chunks.len() as u8; 16] };
        chunks.push(Chunk { length: chunk.len() as u32, digest });
        rest = behind;
    }
    assert!(chunks.len() > 2 * AHEAD + 200);
    let mut delta = Delta::default();
    assert!(delta.signed(stat.size, chunks, false));
    let (mut pieces, mut at, mut sent, mut told) = (Pieces::default(), 0, 0, false);
    loop {
        let run = match delta.find(&file, at..stat.size).unwrap() {
            Segment::Chunk(found) => {
                at = at.max(found.range.end);
                delta.add(found)
            }
            Segment::New(range) => {
                if let Some(Run { offset, bytes, .. }) = delta.take_run() {
                    pieces.copy(offset..offset + bytes).unwrap();
                }
                pieces.data(range.clone()).unwrap();
                sent += range.end - range.start;
                None
            }
            Segment::Later(bytes) => {
                at += bytes;
                None
            }
            // The rest of the signature would come now.
            Segment::Unknown if !told => {
                assert!(sent > 4 << 20 && sent < 12 << 20, "{sent} sent before the end of the signature");
                assert!(delta.signed(stat.size, Vec::new(), true));
                told = true;
                None
            }
            Segment::Rest => break,
            other => panic!("{other:?}"),
        };
        if let Some(Run { offset, bytes, .. }) = run {
            pieces.copy(offset..offset + bytes).unwrap();
        }
    }
    assert!(sent < 13 << 20, "{sent}");
}

#[test]
fn a_signature_is_no_longer_than_its_file_which_does_not_change() {
    let chunk = |length| vec![Chunk { length, digest: [1; 16] }];
    let begun = || {
        let mut delta = Delta::default();
        assert!(delta.signed(300_000, chunk(200_000), false));
        delta
    };
    assert!(begun().signed(300_000, chunk(100_000), true));
    assert!(!begun().signed(300_000, chunk(100_001), true));
    assert!(!begun().signed(400_000, chunk(100_000), true));
}
