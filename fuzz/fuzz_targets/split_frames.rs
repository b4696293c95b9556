//! A stream from a hostile peer, in pieces: the same frames come off it however it is cut, and none passes its limit.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use proto::codec;

const MAX: usize = 64;

/// The frames up to the first error, and whether there was one.
fn frames(stream: &[u8], piece: usize) -> (Vec<Bytes>, bool) {
    let (mut buf, mut seen) = (BytesMut::new(), Vec::new());
    for part in stream.chunks(piece) {
        buf.extend_from_slice(part);
        loop {
            match codec::split(&mut buf, MAX) {
                Ok(Some(frame)) => seen.push(frame),
                Ok(None) => break,
                Err(_) => return (seen, true),
            }
        }
    }
    (seen, false)
}

fuzz_target!(|input: &[u8]| {
    let Some((piece, stream)) = input.split_first() else { return };
    let whole = frames(stream, stream.len().max(1));
    assert_eq!(frames(stream, usize::from(*piece).max(1)), whole);
    assert!(whole.0.iter().all(|frame| (1..=MAX).contains(&frame.len())));
    let bytes: usize = whole.0.iter().map(|frame| codec::LENGTH + frame.len()).sum();
    match codec::whole_frames(stream, MAX) {
        Ok(front) => assert!(!whole.1 && front == bytes),
        Err(_) => assert!(whole.1),
    }
});
