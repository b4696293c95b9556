//! Bytes that no honest peer sends, and the limits: an error each, never a panic, and nothing but one encoding is
//! taken.

use bytes::{Bytes, BytesMut};

use super::golden::{self, unhex};
use super::samples::Dice;
use super::*;
use crate::limits;
use crate::login::{Accepted, Hello, Login, Open, Opened, Refusal, Welcome};
use crate::meta::{Kind, Meta, Time, Xattrs};
use crate::{Chunk, Content, Name, Outcome, RelPath, Version};

mod opening;

fn encoded<M: Wire>(message: &M) -> Bytes {
    let mut buf = BytesMut::new();
    put(message, &mut buf);
    buf.freeze().slice(LENGTH..)
}

fn decode<M: Wire>(frame: Bytes) -> Result<M, Error> {
    M::decode(frame, Version::HIGHEST)
}

/// Whatever is taken must be what we would have sent.
fn taken<M: Wire>(frame: &[u8]) -> bool {
    let Ok(message) = decode::<M>(Bytes::copy_from_slice(frame)) else { return false };
    assert_eq!(encoded(&message), frame, "another encoding of the same message was taken");
    true
}

fn taken_by_any(frame: &[u8]) -> usize {
    let mut takers = 0;
    for taken in [
        taken::<ToReceiver>,
        taken::<ToSender>,
        taken::<Hello>,
        taken::<Welcome>,
        taken::<Login>,
        taken::<Accepted>,
        taken::<Open>,
        taken::<Opened>,
        taken::<Refusal>,
    ] {
        takers += usize::from(taken(frame));
    }
    takers
}

fn all_golden() -> Vec<Vec<u8>> {
    let texts = golden::to_receiver().into_iter().map(|(text, _)| text);
    let texts = texts.chain(golden::to_sender().into_iter().map(|(text, _)| text));
    let texts = texts.chain(golden::refusals().into_iter().map(|(text, _)| text));
    texts.chain(golden::LoginFrames::ALL).map(|text| unhex(text)[LENGTH..].to_vec()).collect()
}

#[test]
fn messages_come_back_as_they_were() {
    let mut dice = Dice(1);
    for _ in 0..3000 {
        let message = dice.operation();
        assert_eq!(decode::<ToReceiver>(encoded(&message)), Ok(message));
        let message = dice.receipt();
        assert_eq!(decode::<ToSender>(encoded(&message)), Ok(message));
        let message = dice.refusal();
        assert_eq!(decode::<Refusal>(encoded(&message)), Ok(message));
    }
}

#[test]
fn no_frame_is_taken_by_two_decoders_or_when_it_goes_on() {
    for mut frame in all_golden() {
        // What need not be known has the same types in both directions.
        let takers = if EXTRA.contains(&frame[0]) { 2 } else { 1 };
        assert_eq!(taken_by_any(&frame), takers, "{frame:02x?}");
        // Content and entries fill the rest of their frames: there the next byte is one too many for another reason.
        frame.push(0);
        let is_open = matches!(frame[0], 33 | 38) || EXTRA.contains(&frame[0]);
        assert_eq!(taken_by_any(&frame), if is_open { takers } else { 0 }, "{frame:02x?}");
    }
}

#[test]
fn truncated_frames_are_errors() {
    for frame in all_golden() {
        for end in 0..frame.len() {
            // Data, Packed, Listing, Signature and what need not be known end with their frame, wherever that is.
            let is_open = matches!(frame[0], 33 | 38 | 67 | 72) || EXTRA.contains(&frame[0]);
            let takers = taken_by_any(&frame[..end]);
            assert!(takers == 0 || is_open, "{:02x?} was taken", &frame[..end]);
        }
    }
}

#[test]
fn changed_frames_never_panic_and_never_have_two_encodings() {
    for frame in all_golden() {
        for at in 0..frame.len() {
            let mut changed = frame.clone();
            for byte in 0..=255 {
                changed[at] = byte;
                taken_by_any(&changed);
            }
        }
    }
    let mut dice = Dice(2);
    for _ in 0..20_000 {
        let mut noise = dice.bytes(80);
        if let Some(first) = noise.first_mut() {
            *first %= 160;
        }
        taken_by_any(&noise);
    }
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

fn meta(kind: Kind) -> Meta {
    let link = if kind == Kind::Symlink { Box::from(&b"t"[..]) } else { Box::default() };
    let (device, xattrs) = Default::default();
    Meta { kind, size: 0, mode: 0, uid: 0, gid: 0, mtime: Time::default(), device, link, xattrs }
}

/// What the other side says to a message that breaks a rule but can be written down.
fn refused(message: &ToReceiver) -> Error {
    decode::<ToReceiver>(encoded(message)).unwrap_err()
}

fn why(message: &ToReceiver) -> String {
    refused(message).to_string()
}

#[test]
fn places_that_have_no_meaning_are_errors() {
    let root = RelPath::root;
    let inline = || Content::Inline(Bytes::new());
    assert_eq!(why(&ToReceiver::Remove { path: root() }), "the path is the root");
    assert_eq!(why(&ToReceiver::Offer { path: root(), meta: meta(Kind::File), digest: None }), "the path is the root");
    let put = ToReceiver::Put { path: root(), meta: meta(Kind::File), content: inline(), inexact: false };
    assert_eq!(why(&put), "the path is the root");
    assert_eq!(why(&ToReceiver::Make { path: root(), meta: meta(Kind::Symlink) }), "the root is not a folder");
    for (a, b) in [("a", "a"), ("a", "a/b"), ("a/b", "a")] {
        let (from, to) = (path(a), path(b));
        assert_eq!(why(&ToReceiver::Rename { from, to }), "the path is within the other");
        assert_eq!(why(&ToReceiver::Exchange { a: path(a), b: path(b) }), "the path is within the other");
    }
    assert_eq!(why(&ToReceiver::Rename { from: root(), to: path("a") }), "the path is the root");
    assert_eq!(why(&ToReceiver::Exchange { a: path("a"), b: root() }), "the path is the root");
    let link = |others| ToReceiver::Link { first: path("a"), others };
    assert_eq!(why(&link(vec![])), "the links are none");
    assert_eq!(why(&link(vec![path("a")])), "the links name their first path again");
    assert_eq!(why(&link(vec![root()])), "the path is the root");
    assert_eq!(why(&link(vec![path("b"); 65])), "the links has length 65, at most 64 is allowed");
    for bytes in [&b"\x01\x00/"[..], b"\x02\x00a/", b"\x04\x00a//b", b"\x02\x00..", b"\x02\x00a\0"] {
        let frame = [&[20], bytes].concat();
        assert!(matches!(decode::<ToReceiver>(frame.into()), Err(Error::Path { .. })));
    }
}

#[test]
fn kinds_that_have_no_meaning_are_errors() {
    let of = |kind| (path("p"), meta(kind));
    let (file, dir) = (of(Kind::File), of(Kind::Dir));
    let make = ToReceiver::Make { path: file.0, meta: file.1 };
    assert_eq!(why(&make), "the kind is a regular file, which has a content");
    assert_eq!(why(&ToReceiver::Offer { path: dir.0, meta: dir.1, digest: None }), "the kind is not a regular file");
    for kind in [Kind::File, Kind::Symlink, Kind::Fifo] {
        assert_eq!(why(&ToReceiver::Mend { path: path("d"), meta: meta(kind) }), "the kind is not a folder");
    }
    let (path, meta) = of(Kind::Fifo);
    let put = ToReceiver::Put { path, meta, content: Content::Blob { id: 1, hash: [0; 32] }, inexact: false };
    assert_eq!(why(&put), "the kind is not a regular file");
}

#[test]
fn metadata_out_of_range_is_an_error() {
    let make = |kind, change: fn(&mut Meta)| {
        let mut meta = meta(kind);
        change(&mut meta);
        ToReceiver::Make { path: path("p"), meta }
    };
    let nanos = make(Kind::Dir, |meta| meta.mtime.nanos = 1_000_000_000);
    assert_eq!(why(&nanos), "the mtime has a second or more of nanoseconds");
    assert_eq!(why(&make(Kind::Symlink, |meta| meta.link = Box::default())), "the link text is empty");
    assert_eq!(why(&make(Kind::Symlink, |meta| meta.link = Box::from([0]))), "the link text holds a NUL byte");
    let long = make(Kind::Symlink, |meta| meta.link = vec![b'x'; 4096].into());
    assert_eq!(refused(&long), Error::TooLong { what: "link text", len: 4096, max: 4095 });
    // What a kind does not have is not written, so it cannot be wrong.
    let clean = make(Kind::Dir, |meta| meta.link = Box::from([0]));
    assert_eq!(decode::<ToReceiver>(encoded(&clean)), Ok(make(Kind::Dir, |_| {})));
    // A mode of 0o10000, in the frame of a folder `p`.
    let mut frame = encoded(&make(Kind::Dir, |_| {})).to_vec();
    frame[7] = 0x10;
    assert_eq!(decode::<ToReceiver>(frame.into()), Err(Error::Unknown { what: "mode", value: 0x1000 }));
}

#[test]
fn contents_out_of_range_are_errors() {
    let put = |size, bytes: usize| {
        let content = Content::Inline(vec![0; bytes].into());
        ToReceiver::Put { path: path("f"), meta: Meta { size, ..meta(Kind::File) }, content, inexact: false }
    };
    assert!(decode::<ToReceiver>(encoded(&put(limits::INLINE as u64, limits::INLINE))).is_ok());
    let long = refused(&put(limits::INLINE as u64 + 1, limits::INLINE + 1));
    assert_eq!(long, Error::TooLong { what: "inline content", len: 262_145, max: 262_144 });
    assert_eq!(why(&put(5, 4)), "the inline content is not as long as its size says");
    assert_eq!(refused(&put(u64::MAX, 4)), Error::TooLong { what: "size", len: u64::MAX, max: limits::SIZE });
    let asked = |room| {
        let meta = Meta { size: 1, ..meta(Kind::File) };
        ToReceiver::Put { path: path("f"), meta, content: Content::Asked { room }, inexact: false }
    };
    assert!(decode::<ToReceiver>(encoded(&asked(limits::SIZE))).is_ok());
    assert_eq!(refused(&asked(u64::MAX)), Error::TooLong { what: "room", len: u64::MAX, max: limits::SIZE });
    let data = |offset, bytes| ToReceiver::Data { id: 1, offset, bytes: Bytes::from(vec![0; bytes]) };
    assert_eq!(why(&data(0, 0)), "the data is empty");
    assert_eq!(refused(&data(0, limits::DATA + 1)), Error::TooLong { what: "data", len: 262_145, max: 262_144 });
    assert_eq!(why(&data(u64::MAX, 1)), "the data ends beyond the largest file");
    assert_eq!(why(&data(limits::SIZE, 1)), "the data ends beyond the largest file");
    assert!(decode::<ToReceiver>(encoded(&data(limits::SIZE - 1, 1))).is_ok());
    let blob = ToReceiver::Blob { id: 1, size: limits::SIZE + 1 };
    assert!(matches!(refused(&blob), Error::TooLong { what: "size", .. }));
}

#[test]
fn copies_and_signatures_out_of_range_are_errors() {
    let copy = |first, count| ToReceiver::Copy { id: 1, offset: 0, first, count };
    let most = limits::CHUNKS as u32;
    assert!(decode::<ToReceiver>(encoded(&copy(0, most))).is_ok());
    assert_eq!(why(&copy(3, 0)), "the chunks are none");
    assert_eq!(why(&copy(1, most)), "the chunks are beyond the largest signature");
    assert_eq!(why(&copy(u32::MAX, 1)), "the chunks are beyond the largest signature");
    assert_eq!(why(&ToReceiver::Basis { id: 1, path: RelPath::root() }), "the path is the root");

    let signed = |size, length, count, last| {
        let chunk = Chunk { length, digest: [7; 16] };
        decode::<ToSender>(encoded(&ToSender::Signature { id: 1, size, chunks: vec![chunk; count], last }))
    };
    let signature = |length, count, last| signed(limits::BASIS, length, count, last);
    let least = limits::CHUNK_LEAST as u32;
    assert!(signature(limits::CHUNK as u32, CHUNKS_THAT_FIT, false).is_ok());
    assert!(signature(least, 0, true).is_ok());
    assert!(signature(least, CHUNKS_THAT_FIT + 1, true).is_err());
    assert!(signature(least, 0, false).is_err());
    assert!(signature(least, 1, true).is_ok());
    assert!(signature(least - 1, 1, true).is_err());
    assert!(signature(limits::CHUNK as u32 + 1, 1, true).is_err());
    assert!(signed(0, least, 0, true).is_ok());
    assert!(signed(0, least, 1, true).is_err());
    assert!(signed(1, least, 0, true).is_err());
    assert!(signed(limits::BASIS - 1, least, 1, true).is_err());
}

#[test]
fn packed_frames_out_of_range_are_errors() {
    let packed = |length, bytes: &'static [u8]| {
        decode::<ToReceiver>(encoded(&ToReceiver::Packed { length, bytes: Bytes::from_static(bytes) }))
    };
    assert!(packed(limits::PACKED as u32, b"x").is_ok());
    assert!(packed(limits::PACKED as u32 + 1, b"x").is_err());
    assert!(packed(0, b"x").is_ok(), "the end of a zstd frame gives no bytes");
    assert!(packed(1, b"").is_err());
    for (log, fits) in [(19, false), (20, true), (23, true), (24, false)] {
        assert_eq!(decode::<ToReceiver>(encoded(&ToReceiver::Windowed { log })).is_ok(), fits);
        assert_eq!(decode::<ToSender>(encoded(&ToSender::Window { log })).is_ok(), fits);
    }
}

#[test]
fn xattrs_out_of_range_are_errors() {
    let frame = |xattrs: &[u8]| {
        let mut frame = encoded(&ToReceiver::Make { path: path("p"), meta: meta(Kind::Dir) }).to_vec();
        frame.truncate(frame.len() - 2);
        frame.extend_from_slice(xattrs);
        decode::<ToReceiver>(frame.into())
    };
    assert!(frame(b"\x02\0\x01a\0\0\0\0\x01b\x01\0\0\0v").is_ok());
    let order = Error::Invalid { what: "xattrs", why: "are not in rising order of names" };
    assert_eq!(frame(b"\x02\0\x01b\0\0\0\0\x01a\0\0\0\0"), Err(order.clone()));
    assert_eq!(frame(b"\x02\0\x01a\0\0\0\0\x01a\0\0\0\0"), Err(order));
    assert!(matches!(frame(b"\x01\0\0\0\0\0\0"), Err(Error::Invalid { what: "xattr name", .. })));
    assert!(matches!(frame(b"\x01\0\x01\0\0\0\0\0"), Err(Error::Invalid { what: "xattr name", .. })));
    assert_eq!(frame(b"\x01\x01"), Err(Error::TooLong { what: "xattrs", len: 257, max: 256 }));
    assert!(matches!(frame(b"\x01\0\x01a\xff\xff\xff\xff"), Err(Error::TooLong { what: "xattr value", .. })));
    let half = [&[0, 0, 2, 0][..], &vec![0; 128 * 1024]].concat();
    let both = [b"\x02\0\x01a", &half[..], b"\x01b", &half].concat();
    assert!(matches!(frame(&both), Err(Error::TooLong { what: "xattrs", len: 262_146, .. })));
}

#[test]
fn listings_rise_end_and_fit() {
    let mut dice = Dice(3);
    let mut entries: Vec<_> = (0..20_000).map(|_| dice.entry()).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries.dedup_by(|a, b| a.name == b.name);
    let (mut rest, mut parts) = (&entries[..], 0);
    while !rest.is_empty() {
        let (part, more) = rest.split_at(entries_that_fit(rest));
        let message = ToSender::Listing { op: 1, entries: part.to_vec(), last: more.is_empty() };
        let frame = encoded(&message);
        assert!(frame.len() <= 1 + 8 + 1 + limits::LISTING);
        assert_eq!(decode::<ToSender>(frame), Ok(message));
        (rest, parts) = (more, parts + 1);
    }
    assert!(parts > 2);
    let decode = |entries, last| decode::<ToSender>(encoded(&ToSender::Listing { op: 1, entries, last }));
    entries.truncate(10_000);
    assert!(matches!(decode(entries.clone(), true), Err(Error::TooLong { what: "listing", .. })));
    let falling = vec![entries[1].clone(), entries[0].clone()];
    assert!(matches!(decode(falling, true), Err(Error::Invalid { what: "listing", .. })));
    assert!(decode(vec![entries[0].clone(); 2], true).is_err());
    assert!(decode(vec![], false).is_err());
    assert!(decode(vec![], true).is_ok());
    assert_eq!(entries_that_fit(&[]), 0);
}

#[test]
fn link_groups_fit_into_their_frames() {
    let longest = (0..250).fold(RelPath::root(), |path, _| path.join(&Name::parse(&[b'n'; 255]).unwrap()).unwrap());
    for (others, fit) in [(vec![path("b"); 100], 64), (vec![longest.clone(); 64], 16), (vec![path("b"); 3], 3)] {
        assert_eq!(links_that_fit(&path("a"), &others), fit);
        let link = ToReceiver::Link { first: path("a"), others: others[..fit].to_vec() };
        assert!(encoded(&link).len() <= limits::FRAME);
    }
    assert_eq!(links_that_fit(&longest, std::slice::from_ref(&longest)), 1);
}

#[test]
fn operations_count_from_1() {
    for message in [ToSender::Applied { upto: 0 }, ToSender::NoFolder { op: 0 }, ToSender::Durable { upto: 0 }] {
        assert!(decode::<ToSender>(encoded(&message)).is_err());
    }
}

#[test]
fn texts_are_made_plain_when_sent_and_must_be_when_taken() {
    let outcome = |reason: String| ToSender::Outcome { op: 1, outcome: Outcome::Failed { reason } };
    let long = outcome("é".repeat(600));
    assert_eq!(decode::<ToSender>(encoded(&long)), Ok(outcome("é".repeat(512))));
    let forged = outcome("a\nb".into());
    assert_eq!(decode::<ToSender>(encoded(&forged)), Ok(outcome("a\\u{a}b".into())));
    let frame = |reason: &[u8]| {
        let len = (reason.len() as u16).to_le_bytes();
        decode::<ToSender>([&[66, 1, 0, 0, 0, 0, 0, 0, 0, 5][..], &len, reason].concat().into())
    };
    assert!(frame(b"fine").is_ok());
    assert_eq!(frame(b"a\nb"), Err(Error::Invalid { what: "reason", why: "holds a control character" }));
    assert_eq!(frame(b"\xff"), Err(Error::Invalid { what: "reason", why: "is not UTF-8" }));
    assert_eq!(frame(&[b'x'; 1025]), Err(Error::TooLong { what: "reason", len: 1025, max: 1024 }));
}

#[test]
fn content_is_read_into_its_frame_or_taken_back() {
    let meta = Meta { size: 5, xattrs: Xattrs::default(), ..meta(Kind::File) };
    let mut buf = BytesMut::from(&b"before"[..]);
    let open = start_put(&path("d/f"), &meta, &mut buf);
    assert_eq!(open.missing(&buf), 5);
    buf.extend_from_slice(b"hel");
    assert_eq!(open.missing(&buf), 2);
    buf.extend_from_slice(b"lo");
    open.finish(&mut buf).unwrap();
    let mut frames = buf.split_off(6);
    let frame = split(&mut frames, limits::FRAME).unwrap().unwrap();
    let content = Content::Inline(Bytes::from_static(b"hello"));
    assert_eq!(
        decode::<ToReceiver>(frame),
        Ok(ToReceiver::Put { path: path("d/f"), meta: meta.clone(), content, inexact: false })
    );

    for (read, wrong) in [(&b"hell"[..], 4), (b"hello!", 6)] {
        let open = start_put(&path("f"), &meta, &mut buf);
        buf.extend_from_slice(read);
        assert_eq!(open.finish(&mut buf), Err(NotWhole { read: wrong, size: 5 }));
        assert_eq!(&buf[..], b"before");
    }
    start_put(&path("f"), &meta, &mut buf).cancel(&mut buf);
    assert_eq!(&buf[..], b"before");
}

#[test]
fn content_shares_the_memory_of_its_frame() {
    let bytes = Bytes::from(vec![9; 1000]);
    let frame = encoded(&ToReceiver::Data { id: 1, offset: 0, bytes });
    let range = frame.as_ptr_range();
    let Ok(ToReceiver::Data { bytes, .. }) = decode::<ToReceiver>(frame) else { panic!("no data") };
    assert!(range.contains(&bytes.as_ptr()));
}
