//! Golden bytes: one or more of every message, as whole frames. They change only with the protocol's version.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{LENGTH, Wire, put};
use crate::login::{Accepted, Direction, Durability, Hello, Login, Open, Opened, Refusal, Welcome};
use crate::meta::{Device, Entry, Kind, Meta, Time, Xattrs};
use crate::{Chunk, Content, Keep, Name, Outcome, RelPath, ToReceiver, ToSender};

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

fn meta(kind: Kind) -> Meta {
    Meta {
        kind,
        size: 0,
        mode: 0o640,
        uid: 1000,
        gid: 100,
        mtime: Time { secs: 1_700_000_000, nanos: 123_456_789 },
        device: Device::default(),
        link: Box::default(),
        xattrs: Xattrs::default(),
    }
}

fn entry(name: &str, kind: Kind) -> Entry {
    crate::digest::entry(Name::parse(name.as_bytes()).unwrap(), &meta(kind))
}

/// Frames and messages; the frames are what `unhex` reads.
pub fn to_receiver() -> Vec<(&'static str, ToReceiver)> {
    let file = meta(Kind::File);
    let xattrs = Xattrs::new(vec![(Box::from(&b"user.a"[..]), Box::from(&b"1"[..]))]).unwrap();
    let link = Meta { mode: 0, link: Box::from(&b"../t"[..]), xattrs, ..meta(Kind::Symlink) };
    let device = Meta { device: Device { major: 8, minor: 1 }, ..meta(Kind::BlockDevice) };
    let inline = Content::Inline(Bytes::from_static(b"hello"));
    vec![
        (
            "2d000000 10 0300642f66 01 0500000000000000 a001 e8030000 64000000 00f1536500000000 15cd5b07 0000 \
            00 68656c6c6f",
            ToReceiver::Put { path: path("d/f"), meta: Meta { size: 5, ..file.clone() }, content: inline },
        ),
        (
            "4a000000 10 010066 01 0000000000010000 a001 e8030000 64000000 00f1536500000000 15cd5b07 0000 01 \
            03000000 abababababababababababababababababababababababababababababababab",
            ToReceiver::Put {
                path: path("f"),
                meta: Meta { size: 1 << 40, ..file.clone() },
                content: Content::Blob { id: 3, hash: [0xab; 32] },
            },
        ),
        (
            "2e000000 10 010066 01 0000000000010000 a001 e8030000 64000000 00f1536500000000 15cd5b07 0000 02 \
            0010000000000000",
            ToReceiver::Put {
                path: path("f"),
                meta: Meta { size: 1 << 40, ..file.clone() },
                content: Content::Asked { room: 4096 },
            },
        ),
        (
            "1c000000 11 0000 02 ed01 e8030000 64000000 00f1536500000000 15cd5b07 0000",
            ToReceiver::Make { path: RelPath::root(), meta: Meta { mode: 0o755, ..meta(Kind::Dir) } },
        ),
        (
            "2d000000 11 01006c 03 e8030000 64000000 00f1536500000000 15cd5b07 04002e2e2f74 0100 \
            06757365722e61 01000000 31",
            ToReceiver::Make { path: path("l"), meta: link },
        ),
        (
            "25000000 11 010062 07 a001 e8030000 64000000 00f1536500000000 15cd5b07 08000000 01000000 0000",
            ToReceiver::Make { path: path("b"), meta: device },
        ),
        (
            "25000000 12 010066 01 0000000000000000 a001 e8030000 64000000 00f1536500000000 15cd5b07 0000",
            ToReceiver::Offer { path: path("f"), meta: file },
        ),
        (
            "0d000000 13 010061 02 010062 0300642f63",
            ToReceiver::Link { first: path("a"), others: vec![path("b"), path("d/c")] },
        ),
        ("04000000 14 010066", ToReceiver::Remove { path: path("f") }),
        ("09000000 15 010061 0300642f62", ToReceiver::Rename { from: path("a"), to: path("d/b") }),
        ("07000000 16 010061 010062", ToReceiver::Exchange { a: path("a"), b: path("b") }),
        (
            "13000000 17 0000 cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
            ToReceiver::Compare { path: RelPath::root(), digest: [0xcd; 16] },
        ),
        ("04000000 18 010064", ToReceiver::Count { path: path("d") }),
        ("03000000 19 0000", ToReceiver::Settle { path: RelPath::root() }),
        ("0d000000 20 03000000 0000000000010000", ToReceiver::Blob { id: 3, size: 1 << 40 }),
        (
            "10000000 21 03000000 0010000000000000 78797a",
            ToReceiver::Data { id: 3, offset: 4096, bytes: Bytes::from_static(b"xyz") },
        ),
        ("05000000 22 03000000", ToReceiver::Drop { id: 3 }),
        ("0a000000 24 03000000 0300642f66", ToReceiver::Basis { id: 3, path: path("d/f") }),
        (
            "15000000 25 03000000 0010000000000000 07000000 02000000",
            ToReceiver::Copy { id: 3, offset: 4096, first: 7, count: 2 },
        ),
        ("08000000 26 00100000 78797a", ToReceiver::Packed { length: 4096, bytes: Bytes::from_static(b"xyz") }),
        ("01000000 23", ToReceiver::Ping),
    ]
}

pub fn to_sender() -> Vec<(&'static str, ToSender)> {
    let mut link = entry("l", Kind::Symlink);
    (link.mode, link.extra) = (0, [0xef; 16]);
    let reason = || "no space".to_owned();
    vec![
        ("09000000 40 0201000000000000", ToSender::Applied { upto: 258 }),
        ("09000000 41 0201000000000000", ToSender::Durable { upto: 258 }),
        ("0a000000 42 0100000000000000 01", ToSender::Outcome { op: 1, outcome: Outcome::Want }),
        ("0a000000 42 0100000000000000 02", ToSender::Outcome { op: 1, outcome: Outcome::Absent }),
        (
            "14000000 42 0100000000000000 03 08006e6f207370616365",
            ToSender::Outcome { op: 1, outcome: Outcome::Partly { reason: reason() } },
        ),
        (
            "14000000 42 0100000000000000 04 08006e6f207370616365",
            ToSender::Outcome { op: 1, outcome: Outcome::Refused { reason: reason() } },
        ),
        (
            "14000000 42 0100000000000000 05 08006e6f207370616365",
            ToSender::Outcome { op: 1, outcome: Outcome::Failed { reason: reason() } },
        ),
        (
            "14000000 42 0100000000000000 06 08006e6f207370616365",
            ToSender::Outcome { op: 1, outcome: Outcome::Full { reason: reason() } },
        ),
        (
            "14000000 42 0100000000000000 07 08006e6f207370616365",
            ToSender::Outcome { op: 1, outcome: Outcome::ReadOnly { reason: reason() } },
        ),
        (
            "64000000 43 0200000000000000 00 0164 02 a001 e8030000 64000000 00f1536500000000 15cd5b07 \
            00000000000000000000000000000000 0166 01 0000000000000000 a001 e8030000 64000000 \
            00f1536500000000 15cd5b07 00000000000000000000000000000000",
            ToSender::Listing { op: 2, entries: vec![entry("d", Kind::Dir), entry("f", Kind::File)], last: false },
        ),
        (
            "5a000000 43 0200000000000000 01 016c 03 e8030000 64000000 00f1536500000000 15cd5b07 \
            efefefefefefefefefefefefefefefef 0173 05 a001 e8030000 64000000 00f1536500000000 15cd5b07 \
            00000000000000000000000000000000",
            ToSender::Listing { op: 2, entries: vec![link, entry("s", Kind::Socket)], last: true },
        ),
        ("09000000 44 0200000000000000", ToSender::NoFolder { op: 2 }),
        ("11000000 45 0200000000000000 0700000000000000", ToSender::Counted { op: 2, entries: 7 }),
        ("01000000 46", ToSender::Pong),
        (
            "36000000 48 03000000 0120000000000000 01 00200000 abababababababababababababababab \
            01000000 cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
            ToSender::Signature {
                id: 3,
                size: 8193,
                chunks: vec![Chunk { length: 8192, digest: [0xab; 16] }, Chunk { length: 1, digest: [0xcd; 16] }],
                last: true,
            },
        ),
        ("0d000000 49 03000000 0020000000000000", ToSender::Copied { id: 3, bytes: 8192 }),
        ("02000000 47 05", ToSender::Bye { refusal: Refusal::Stopping }),
    ]
}

pub fn refusals() -> Vec<(&'static str, Refusal)> {
    vec![
        (
            "0c000000 07 01 dc050000 040066756c6c",
            Refusal::Busy { reason: "full".into(), retry: Duration::from_millis(1500) },
        ),
        ("02000000 07 02", Refusal::Denied),
        ("06000000 07 03 0200 0300", Refusal::Version { low: 2, high: 3 }),
        ("07000000 07 04 0300626164", Refusal::Protocol { reason: "bad".into() }),
        ("02000000 07 05", Refusal::Stopping),
    ]
}

/// The messages of the login that come once each.
pub struct LoginFrames;

impl LoginFrames {
    pub const HELLO: &str = "11000000 01 0100 0200 0b707573686420302e312e30";
    pub const WELCOME: &str = "0f000000 02 0100 0b726563766420302e312e30";
    pub const LOGIN: &str = "0d000000 03 03776562 0600736563726574";
    pub const ACCEPTED: &str = "01000000 04";
    pub const OPEN: &str = "14000000 05 03777777 040077656231 01 0807060504030201";
    pub const OPENED: &str =
        "26000000 06 7f00 01 01 02 07070707070707070707070707070707 08080808080808080808080808080808";

    pub const ALL: [&str; 6] = [Self::HELLO, Self::WELCOME, Self::LOGIN, Self::ACCEPTED, Self::OPEN, Self::OPENED];
}

/// The bytes of a frame, from hexadecimal digits with spaces anywhere.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Both directions; equality is `matches`, for a login has no `Debug`.
fn check<M: Wire + PartialEq>(golden: &str, message: &M) {
    let mut buf = BytesMut::new();
    put(message, &mut buf);
    assert_eq!(hex(&buf), hex(&unhex(golden)));
    let frame = buf.freeze().slice(LENGTH..);
    assert!(M::decode(frame).is_ok_and(|back| back == *message), "{golden} does not come back");
}

#[test]
fn every_message_has_its_golden_bytes() {
    to_receiver().iter().for_each(|(golden, message)| check(golden, message));
    to_sender().iter().for_each(|(golden, message)| check(golden, message));
    refusals().iter().for_each(|(golden, message)| check(golden, message));
    check(LoginFrames::HELLO, &Hello { low: 1, high: 2, software: "pushd 0.1.0".into() });
    check(LoginFrames::WELCOME, &Welcome { version: 1, software: "recvd 0.1.0".into() });
    check(LoginFrames::LOGIN, &Login { user: "web".into(), password: "secret".into() });
    check(LoginFrames::ACCEPTED, &Accepted);
    let folder = path("web1");
    let sender = 0x0102_0304_0506_0708;
    check(LoginFrames::OPEN, &Open { module: "www".into(), folder, direction: Direction::Pull, sender });
    let place = vec![[7; 16], [8; 16]];
    let opened = Opened { keep: Keep::DEFAULT, durability: Durability::Batch, continued: true, place };
    check(LoginFrames::OPENED, &opened);
}
