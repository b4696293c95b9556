//! Golden bytes: one or more of every message, as whole frames. They change only with the protocol's version.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{LENGTH, Wire, put};
use crate::extensions::{Extension, Extensions};
use crate::login::{Accepted, At, Durability, Hello, Login, Open, Opened, Purpose, Refusal, Terms, Token, Welcome};
use crate::meta::{Device, Entry, Kind, Meta, Time, Xattrs};
use crate::policy::{Bounds, Owner, Policy};
use crate::report::{Done, Report};
use crate::{Capabilities, Chunk, Content, Keep, Name, Outcome, RelPath, ToReceiver, ToSender, Version};

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
            "2e000000 10 0300642f66 00 01 0500000000000000 a001 e8030000 64000000 00f1536500000000 15cd5b07 0000 \
            00 68656c6c6f",
            ToReceiver::Put {
                path: path("d/f"),
                meta: Meta { size: 5, ..file.clone() },
                content: inline,
                inexact: false,
            },
        ),
        (
            "4b000000 10 010066 01 01 0000000000010000 a001 e8030000 64000000 00f1536500000000 15cd5b07 0000 01 \
            03000000 abababababababababababababababababababababababababababababababab",
            ToReceiver::Put {
                path: path("f"),
                meta: Meta { size: 1 << 40, ..file.clone() },
                content: Content::Blob { id: 3, hash: [0xab; 32] },
                inexact: true,
            },
        ),
        (
            "2f000000 10 010066 00 01 0000000000010000 a001 e8030000 64000000 00f1536500000000 15cd5b07 0000 02 \
            0010000000000000",
            ToReceiver::Put {
                path: path("f"),
                meta: Meta { size: 1 << 40, ..file.clone() },
                content: Content::Asked { room: 4096 },
                inexact: false,
            },
        ),
        (
            "1d000000 11 0000 00 02 ed01 e8030000 64000000 00f1536500000000 15cd5b07 0000",
            ToReceiver::Make { path: RelPath::root(), meta: Meta { mode: 0o755, ..meta(Kind::Dir) } },
        ),
        (
            "2e000000 11 01006c 00 03 e8030000 64000000 00f1536500000000 15cd5b07 04002e2e2f74 0100 \
            06757365722e61 01000000 31",
            ToReceiver::Make { path: path("l"), meta: link },
        ),
        (
            "26000000 11 010062 00 07 a001 e8030000 64000000 00f1536500000000 15cd5b07 08000000 01000000 0000",
            ToReceiver::Make { path: path("b"), meta: device },
        ),
        (
            "26000000 12 010066 01 0000000000000000 a001 e8030000 64000000 00f1536500000000 15cd5b07 0000 00",
            ToReceiver::Offer { path: path("f"), meta: file.clone(), digest: None },
        ),
        (
            "46000000 12 010066 01 0000000000000000 a001 e8030000 64000000 00f1536500000000 15cd5b07 0000 01 \
             cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
            ToReceiver::Offer { path: path("f"), meta: file, digest: Some([0xcd; 32]) },
        ),
        (
            "0d000000 13 010061 02 010062 0300642f63",
            ToReceiver::Link { first: path("a"), others: vec![path("b"), path("d/c")] },
        ),
        ("05000000 14 010066 00", ToReceiver::Remove { path: path("f") }),
        ("0a000000 15 010061 0300642f62 00", ToReceiver::Rename { from: path("a"), to: path("d/b") }),
        ("07000000 16 010061 010062", ToReceiver::Exchange { a: path("a"), b: path("b") }),
        (
            "13000000 17 0000 cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
            ToReceiver::Compare { path: RelPath::root(), digest: [0xcd; 16] },
        ),
        ("04000000 18 010064", ToReceiver::Count { path: path("d") }),
        ("03000000 19 0000", ToReceiver::Settle { path: RelPath::root() }),
        ("05000000 1a 010064 00", ToReceiver::List { path: path("d"), after: None }),
        (
            "06000000 1a 0000 01 0166",
            ToReceiver::List { path: RelPath::root(), after: Some(Name::parse(b"f").unwrap()) },
        ),
        (
            "2c000000 1b 010066 0500000000000000 abababababababababababababababababababababababababababababababab",
            ToReceiver::Equal { path: path("f"), size: 5, digest: [0xab; 32] },
        ),
        ("04000000 1c 027637", ToReceiver::Mark { name: "v7".into() }),
        (
            "1c000000 1d 0000 02 ed01 e8030000 64000000 00f1536500000000 15cd5b07 0000",
            ToReceiver::Mend { path: RelPath::root(), meta: Meta { mode: 0o755, ..meta(Kind::Dir) } },
        ),
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
        ("02000000 2d 14", ToReceiver::Windowed { log: 20 }),
        ("01000000 23", ToReceiver::Ping),
        ("01000000 2c", ToReceiver::Pong),
        ("01000000 27", ToReceiver::Noted),
        ("01000000 28", ToReceiver::Return),
        ("01000000 2e", ToReceiver::Spare),
        (
            "19000000 29 0700000000000000 0020000000000000 0100000000000000",
            ToReceiver::Done(Done { entries: 7, bytes: 8192, problems: 1 }),
        ),
        ("09000000 2a 010066 0300626164", ToReceiver::Problem { path: path("f"), reason: "bad".into() }),
        (
            "2e000000 2b 0b707573686420302e312e30 0200000000000000 0020000000000000 dc05000000000000 \
            0000000000000000 00",
            ToReceiver::Report(Report {
                software: "pushd 0.1.0".into(),
                owed_paths: 2,
                owed_bytes: 8192,
                oldest: 1500,
                problems: 0,
                in_sync: false,
            }),
        ),
        ("04000000 9f 78797a", ToReceiver::Extra { kind: 159, body: Bytes::from_static(b"xyz") }),
    ]
}

pub fn to_sender() -> Vec<(&'static str, ToSender)> {
    let mut link = entry("l", Kind::Symlink);
    (link.mode, link.extra) = (0, [0xef; 16]);
    let reason = || "no space".to_owned();
    let inexact = Entry { inexact: true, ..entry("f", Kind::File) };
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
        ("0a000000 42 0100000000000000 08", ToSender::Outcome { op: 1, outcome: Outcome::Differs }),
        (
            "3b000000 43 0200000000000000 01 0166 81 0000000000000000 a001 e8030000 64000000 00f1536500000000 \
            15cd5b07 00000000000000000000000000000000",
            ToSender::Listing { op: 2, entries: vec![inexact], last: true },
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
        ("01000000 4b", ToSender::Ping),
        ("02000000 4c 17", ToSender::Window { log: 23 }),
        (
            "25000000 4a 0000 0000 00 00 00 00 00 00 00 01000000 0000000000000080 ffffffffffffff7f ff00 ff00 00",
            ToSender::Policy(Box::default()),
        ),
        (
            "5b000000 4a 0100 05002a2e746d70 0200 06002f6b6565702f 010078 01 21000000 22000000 01 a001 01 e801 01 \
            01 0000000000010000 01 0000000000020000 01 0700000000000000 00ca9a3b ffffffffffffffff ffffff7f00000000 \
            fe00 8f00 00",
            ToSender::Policy(Box::new(policy())),
        ),
        ("04000000 80 78797a", ToSender::Extra { kind: 128, body: Bytes::from_static(b"xyz") }),
        (
            "36000000 48 03000000 0000040000000000 01 00200000 abababababababababababababababab \
            00080000 cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
            ToSender::Signature {
                id: 3,
                size: 262_144,
                chunks: vec![Chunk { length: 8192, digest: [0xab; 16] }, Chunk { length: 2048, digest: [0xcd; 16] }],
                last: true,
            },
        ),
        ("0d000000 49 03000000 0020000000000000", ToSender::Copied { id: 3, bytes: 8192 }),
        ("02000000 47 05", ToSender::Bye { refusal: Refusal::Stopping }),
    ]
}

/// All that a policy can say.
fn policy() -> Policy {
    Policy {
        exclude: vec!["*.tmp".into()],
        protect: vec!["/keep/".into(), "x".into()],
        owner: Some(Owner { user: 33, group: 34 }),
        file_mode: Some(0o640),
        folder_mode: Some(0o750),
        keeps_deleted: true,
        limits: Bounds { file_size: Some(1 << 40), size: Some(1 << 41), entries: Some(7) },
        capabilities: Capabilities {
            granularity: 1_000_000_000,
            first: -1,
            last: 2_147_483_647,
            xattrs: false,
            name: 143,
            ..Capabilities::full()
        },
        extensions: Extensions::default(),
    }
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
        ("08000000 07 06 040070756c6c", Refusal::Unsupported { what: "pull".into() }),
    ]
}

/// The messages of the login that come once each.
pub struct LoginFrames;

impl LoginFrames {
    pub const HELLO: &str = "11000000 01 0100 0200 0b707573686420302e312e30";
    pub const WELCOME: &str = "10000000 02 0100 0b726563766420302e312e30 00";
    pub const LOGIN: &str = "0e000000 03 03776562 0600736563726574 00";
    pub const ACCEPTED: &str = "01000000 04";
    pub const OPEN: &str = "2c000000 05 03777777 040077656231 01 07070707070707070707070707070707 00 02 027637 \
        01 7f00 01 01 0300 02006869";
    pub const PUSH: &str = "2c000000 05 03777777 0000 00 07070707070707070707070707070707 \
        01 08080808080808080808080808080808 00 00 00";
    pub const OPENED: &str = "41000000 06 01 7f00 01 01 0300000000000000 01 09090909090909090909090909090909 \
        02 07070707070707070707070707070707 08080808080808080808080808080808 00";

    pub const ALL: [&str; 7] =
        [Self::HELLO, Self::WELCOME, Self::LOGIN, Self::ACCEPTED, Self::OPEN, Self::PUSH, Self::OPENED];
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
    assert!(M::decode(frame, Version::HIGHEST).is_ok_and(|back| back == *message), "{golden} does not come back");
}

#[test]
fn every_message_has_its_golden_bytes() {
    to_receiver().iter().for_each(|(golden, message)| check(golden, message));
    to_sender().iter().for_each(|(golden, message)| check(golden, message));
    refusals().iter().for_each(|(golden, message)| check(golden, message));
    check(LoginFrames::HELLO, &Hello { low: 1, high: 2, software: "pushd 0.1.0".into() });
    let extensions = Extensions::default;
    let software = "recvd 0.1.0".into();
    check(LoginFrames::WELCOME, &Welcome { version: 1, software, extensions: extensions() });
    let (user, password) = ("web".into(), "secret".into());
    check(LoginFrames::LOGIN, &Login { user, password, extensions: extensions() });
    check(LoginFrames::ACCEPTED, &Accepted);
    let terms = Some(Terms { keep: Keep::DEFAULT, durability: Durability::Batch });
    let push = Open {
        module: "www".into(),
        folder: RelPath::root(),
        purpose: Purpose::Push,
        sender: [7; 16],
        token: Some(Token([8; 16])),
        at: None,
        terms: None,
        extensions: extensions(),
    };
    check(LoginFrames::PUSH, &push);
    let extension = Extension { number: 3, required: false, value: Bytes::from_static(b"hi") };
    let pull = Open {
        folder: path("web1"),
        purpose: Purpose::Pull,
        token: None,
        at: Some(At::Mark { name: "v7".into() }),
        terms,
        extensions: Extensions::new(vec![extension]).unwrap(),
        ..push
    };
    check(LoginFrames::OPEN, &pull);
    let place = vec![[7; 16], [8; 16]];
    let token = Some(Token([9; 16]));
    let opened = Opened { terms, continued: true, epoch: 3, token, place, extensions: extensions() };
    check(LoginFrames::OPENED, &opened);
}
