//! Messages made from a number: the same number, the same message. For the tests of this crate.

use std::time::Duration;

use bytes::Bytes;

use crate::limits;
use crate::login::Refusal;
use crate::meta::{Device, Entry, Kind, Meta, Time, Xattrs};
use crate::policy::{Bounds, Owner, Policy};
use crate::report::{Done, Report};
use crate::{Capabilities, Chunk, Content, Name, Outcome, RelPath, ToReceiver, ToSender};

/// A generator of numbers (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0..`end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn bytes(&mut self, longest: u64) -> Vec<u8> {
        (0..self.below(longest + 1)).map(|_| self.next() as u8).collect()
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }

    fn name(&mut self) -> Name {
        loop {
            if let Ok(name) = Name::parse(&self.bytes(12)) {
                return name;
            }
        }
    }

    fn path(&mut self) -> RelPath {
        (0..=self.below(4)).fold(RelPath::root(), |path, _| path.join(&self.name()).unwrap())
    }

    fn text(&mut self) -> String {
        (0..self.below(20)).map(|_| ['a', 'é', '\'', '\u{1f600}', '\\'][self.below(5) as usize]).collect()
    }

    fn xattrs(&mut self) -> Xattrs {
        let list = (0..self.below(4)).map(|at| {
            let name = format!("user.{at}.{}", self.below(9));
            (name.into_bytes().into(), self.bytes(9).into())
        });
        Xattrs::new(list.collect()).unwrap()
    }

    fn kind(&mut self) -> Kind {
        use Kind::*;
        [File, Dir, Symlink, Fifo, Socket, CharDevice, BlockDevice][self.below(7) as usize]
    }

    fn meta(&mut self, kind: Kind) -> Meta {
        Meta {
            kind,
            size: if kind == Kind::File { self.below(1 << 40) } else { 0 },
            mode: if kind == Kind::Symlink { 0 } else { self.below(0o10000) as u32 },
            uid: self.next() as u32,
            gid: self.next() as u32,
            mtime: Time { secs: self.next() as i64, nanos: self.below(1_000_000_000) as u32 },
            device: match kind.is_device() {
                true => Device { major: self.next() as u32, minor: self.next() as u32 },
                false => Device::default(),
            },
            link: if kind == Kind::Symlink { self.path().as_bytes().into() } else { Box::default() },
            xattrs: self.xattrs(),
        }
    }

    pub fn entry(&mut self) -> Entry {
        let kind = self.kind();
        let mut entry = crate::digest::entry(self.name(), &self.meta(kind));
        if self.below(2) == 0 {
            entry.extra = [0; 16];
        }
        entry.inexact = kind == Kind::File && self.below(4) == 0;
        entry
    }

    pub fn operation(&mut self) -> ToReceiver {
        let path = self.path();
        let from = RelPath::from(Name::parse(b"from").unwrap()).join(&self.name()).unwrap();
        let to = RelPath::from(Name::parse(b"to").unwrap()).join(&self.name()).unwrap();
        let id = self.next() as u32;
        match self.below(33) {
            0 => {
                let bytes = Bytes::from(self.bytes(60));
                let meta = Meta { size: bytes.len() as u64, ..self.meta(Kind::File) };
                ToReceiver::Put { path, meta, content: Content::Inline(bytes), inexact: self.flip() }
            }
            1 => {
                let content = Content::Blob { id, hash: self.array() };
                ToReceiver::Put { path, meta: self.meta(Kind::File), content, inexact: self.flip() }
            }
            2 => match self.kind() {
                Kind::File => ToReceiver::Make { path: RelPath::root(), meta: self.meta(Kind::Dir) },
                kind => ToReceiver::Make { path, meta: self.meta(kind) },
            },
            3 => {
                let mut meta = self.meta(Kind::File);
                let digest = self.flip().then(|| self.array());
                if digest.is_some() {
                    meta.size = meta.size.min(limits::INLINE as u64);
                }
                ToReceiver::Offer { path, meta, digest }
            }
            4 => ToReceiver::Link { first: from, others: (0..=self.below(5)).map(|_| to.clone()).collect() },
            5 => ToReceiver::Remove { path },
            6 => ToReceiver::Rename { from, to },
            7 => ToReceiver::Exchange { a: from, b: to },
            8 => ToReceiver::Compare { path, digest: self.array() },
            9 => ToReceiver::Count { path: RelPath::root() },
            10 => ToReceiver::Settle { path },
            11 => ToReceiver::Blob { id, size: self.below(1 << 50) },
            12 => {
                let bytes = [&[7][..], &self.bytes(60)].concat().into();
                ToReceiver::Data { id, offset: self.below(1 << 50), bytes }
            }
            17 => {
                let content = Content::Asked { room: self.below(1 << 50) };
                ToReceiver::Put { path, meta: self.meta(Kind::File), content, inexact: false }
            }
            13 => ToReceiver::Drop { id },
            14 => ToReceiver::Basis { id, path },
            16 => {
                let bytes = [&[7][..], &self.bytes(60)].concat().into();
                ToReceiver::Packed { length: self.below(1 << 19) as u32, bytes }
            }
            15 => {
                let (first, count) = (self.below(1 << 19) as u32, 1 + self.below(1 << 19) as u32);
                ToReceiver::Copy { id, offset: self.below(1 << 50), first, count }
            }
            18 => ToReceiver::List { path, after: self.flip().then(|| self.name()) },
            19 => ToReceiver::Equal { path, size: self.below(1 << 50), digest: self.array() },
            20 => ToReceiver::Mark { name: format!("m{}", self.text()) },
            21 => ToReceiver::Pong,
            22 => ToReceiver::Noted,
            23 => ToReceiver::Return,
            24 => ToReceiver::Done(Done { entries: self.next(), bytes: self.next(), problems: self.next() }),
            25 => ToReceiver::Problem { path, reason: self.text() },
            26 => ToReceiver::Report(self.report()),
            29 => ToReceiver::Mend { path, meta: self.meta(Kind::Dir) },
            30 => ToReceiver::Spare,
            28 => ToReceiver::Windowed { log: 20 + self.below(4) as u8 },
            27 => ToReceiver::Extra { kind: 128 + self.below(32) as u8, body: self.bytes(60).into() },
            _ => ToReceiver::Ping,
        }
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    fn report(&mut self) -> Report {
        Report {
            software: self.text(),
            owed_paths: self.next(),
            owed_bytes: self.next(),
            oldest: self.next(),
            problems: self.next(),
            in_sync: self.flip(),
        }
    }

    fn policy(&mut self) -> Policy {
        let patterns = |dice: &mut Dice| (0..dice.below(4)).map(|_| format!("*.{}", dice.text())).collect();
        let bound = |dice: &mut Dice| dice.flip().then(|| dice.next());
        Policy {
            exclude: patterns(self),
            protect: patterns(self),
            owner: self.flip().then(|| Owner { user: self.next() as u32, group: self.next() as u32 }),
            file_mode: self.flip().then(|| self.below(0o10000) as u32),
            folder_mode: self.flip().then(|| self.below(0o10000) as u32),
            keeps_deleted: self.flip(),
            limits: Bounds { file_size: bound(self), size: bound(self), entries: bound(self) },
            capabilities: Capabilities {
                granularity: 1 + self.below(2_000_000_000) as u32,
                first: -(self.below(1 << 40) as i64),
                last: self.below(1 << 40) as i64,
                acls: self.flip(),
                case: self.flip(),
                ..Capabilities::full()
            },
            ..Policy::default()
        }
    }

    pub fn receipt(&mut self) -> ToSender {
        let op = self.next().max(1);
        match self.below(14) {
            0 => ToSender::Applied { upto: op },
            1 => ToSender::Durable { upto: op },
            2 => ToSender::Outcome { op, outcome: self.outcome() },
            3 => {
                let mut entries: Vec<Entry> = (0..self.below(8)).map(|_| self.entry()).collect();
                entries.sort_by(|a, b| a.name.cmp(&b.name));
                entries.dedup_by(|a, b| a.name == b.name);
                ToSender::Listing { op, last: entries.is_empty() || self.below(2) == 0, entries }
            }
            4 => ToSender::NoFolder { op },
            5 => ToSender::Counted { op, entries: self.next() },
            6 => ToSender::Pong,
            7 => {
                let (least, most) = (limits::CHUNK_LEAST as u64, limits::CHUNK as u64);
                let mut chunk =
                    || Chunk { length: (least + self.below(most - least + 1)) as u32, digest: self.array() };
                let chunks: Vec<Chunk> = (0..op % 5).map(|_| chunk()).collect();
                ToSender::Signature {
                    id: op as u32,
                    size: if chunks.is_empty() { 0 } else { op.max(limits::BASIS) },
                    last: chunks.is_empty() || self.below(2) == 0,
                    chunks,
                }
            }
            8 => ToSender::Copied { id: self.next() as u32, bytes: self.next() },
            9 => ToSender::Ping,
            10 => ToSender::Policy(Box::new(self.policy())),
            11 => ToSender::Window { log: 20 + self.below(4) as u8 },
            12 => ToSender::Extra { kind: 128 + self.below(32) as u8, body: self.bytes(60).into() },
            _ => ToSender::Bye { refusal: self.refusal() },
        }
    }

    fn outcome(&mut self) -> Outcome {
        match self.below(8) {
            0 => Outcome::Want,
            1 => Outcome::Absent,
            2 => Outcome::Partly { reason: self.text() },
            3 => Outcome::Refused { reason: self.text() },
            4 => Outcome::Failed { reason: self.text() },
            5 => Outcome::Full { reason: self.text() },
            6 => Outcome::Differs,
            _ => Outcome::ReadOnly { reason: self.text() },
        }
    }

    pub fn refusal(&mut self) -> Refusal {
        match self.below(6) {
            0 => Refusal::Busy { reason: self.text(), retry: Duration::from_millis(self.below(1 << 32)) },
            1 => Refusal::Denied,
            2 => Refusal::Version { low: 1 + self.below(9) as u16, high: 10 + self.below(9) as u16 },
            3 => Refusal::Protocol { reason: self.text() },
            4 => Refusal::Unsupported { what: self.text() },
            _ => Refusal::Stopping,
        }
    }
}
