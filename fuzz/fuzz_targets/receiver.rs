//! A whole session from a hostile or odd peer to a receiver over a folder in memory: it ends in time, nothing outside of
//! its folder is touched, no temporary stays, and receipts rise.
//!
//! The first byte says whether the rest is taken as frames, or drives operations that are valid one by one.
#![no_main]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::{Bytes, BytesMut};
use engine::clock::Clock;
use engine::receiver::{EndReason, Grant, Limits, Receiver};
use engine::view::Replica;
use engine::workers::Workers;
use libfuzzer_sys::fuzz_target;
use proto::digest::Transcript;
use proto::limits::FRAME;
use proto::login::Durability;
use proto::report::{Done, Report};
use proto::{Content, Device, Keep, Kind, Meta, RelPath, Time, ToReceiver, ToSender, Xattr, Xattrs, codec};
use sys::{Mounts, Resolve, Tree};
use tokio::sync::{mpsc, watch};

static NEXT: AtomicU64 = AtomicU64::new(0);

fuzz_target!(|data: &[u8]| {
    let mut dice = Dice(data);
    let settings = dice.byte();
    let buffers = if settings & 1 == 0 { raw(&mut dice) } else { operations(&mut dice) };
    session(settings, buffers);
});

/// Where the bytes of the input go, one decision after the other; zeros at the end.
struct Dice<'a>(&'a [u8]);

impl Dice<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte()))
    }

    fn bytes(&mut self, len: usize) -> Bytes {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        Bytes::copy_from_slice(taken)
    }
}

/// Frames with any body, or bytes that are not even frames.
fn raw(dice: &mut Dice) -> Vec<Bytes> {
    let mut buffers = Vec::new();
    while !dice.0.is_empty() && buffers.len() < 32 {
        let (framed, len) = (dice.byte() & 7 != 0, usize::from(dice.byte()));
        let body = dice.bytes(len);
        let mut buffer = BytesMut::new();
        if framed {
            buffer.extend_from_slice(&u32::try_from(body.len()).unwrap_or(0).to_le_bytes());
        }
        buffer.extend_from_slice(&body);
        buffers.push(buffer.freeze());
    }
    buffers
}

fn operations(dice: &mut Dice) -> Vec<Bytes> {
    let mut buffers = Vec::new();
    let mut buffer = BytesMut::new();
    if dice.byte() & 3 == 0 {
        codec::put(&ToReceiver::Spare, &mut buffer);
    }
    for _ in 0..256 {
        if dice.0.is_empty() {
            break;
        }
        for message in operation(dice) {
            codec::put(&message, &mut buffer);
        }
        if dice.byte() & 3 == 0 {
            buffers.push(buffer.split().freeze());
        }
    }
    buffers.push(buffer.freeze());
    buffers
}

fn operation(dice: &mut Dice) -> Vec<ToReceiver> {
    let path = below(dice);
    vec![match dice.below(16) {
        0 if dice.byte() & 3 == 0 => {
            let (meta, room) = (meta(Kind::File, dice), dice.word() >> (1 + dice.below(63)));
            ToReceiver::Put { path, meta, content: Content::Asked { room }, inexact: dice.byte() & 3 == 0 }
        }
        0 | 1 => {
            let len = dice.below(40);
            let content = dice.bytes(len);
            let meta = Meta { size: content.len() as u64, ..meta(Kind::File, dice) };
            ToReceiver::Put { path, meta, content: Content::Inline(content), inexact: dice.byte() & 3 == 0 }
        }
        2 => return blob(path, dice),
        3 if dice.byte() & 1 == 0 => ToReceiver::Mend { path: path.parent().unwrap_or_default(), meta: meta(Kind::Dir, dice) },
        3 | 4 => ToReceiver::Make { path, meta: meta(Kind::Dir, dice) },
        5 => {
            const KINDS: [Kind; 5] = [Kind::Symlink, Kind::Fifo, Kind::Socket, Kind::CharDevice, Kind::BlockDevice];
            ToReceiver::Make { path, meta: meta(KINDS[dice.below(5)], dice) }
        }
        6 => ToReceiver::Offer { path, meta: Meta { size: dice.below(40) as u64, ..meta(Kind::File, dice) }, digest: None },
        7 => {
            let others: Vec<RelPath> =
                (0..1 + dice.below(3)).map(|_| below(dice)).filter(|other| *other != path).collect();
            if others.is_empty() {
                return Vec::new();
            }
            ToReceiver::Link { first: path, others }
        }
        8 => ToReceiver::Remove { path },
        9 | 10 => {
            let to = below(dice);
            if to.is_within(&path) || path.is_within(&to) {
                return vec![ToReceiver::Settle { path: path.parent().unwrap_or_default() }];
            }
            if dice.byte() & 1 == 0 {
                ToReceiver::Rename { from: path, to }
            } else {
                ToReceiver::Exchange { a: path, b: to }
            }
        }
        11 if dice.byte() == 1 => {
            let (length, many) = (u32::from(dice.byte()) << dice.below(12), dice.below(200));
            let bytes = [&b"\x28\xb5\x2f\xfd"[..], &dice.bytes(many)].concat().into();
            ToReceiver::Packed { length, bytes }
        }
        11 if dice.byte() == 2 => ToReceiver::Windowed { log: 20 + dice.below(4) as u8 },
        11 => ToReceiver::Compare { path: path.parent().unwrap_or_default(), digest: [dice.byte(); 16] },
        12 => {
            let after = (dice.byte() & 1 == 0).then(|| below(dice).names().next()).flatten();
            ToReceiver::List { path: path.parent().unwrap_or_default(), after }
        }
        13 => ToReceiver::Equal { path, size: dice.below(40) as u64, digest: [dice.byte(); 32] },
        14 => told(path, dice),
        _ => ToReceiver::Count { path: path.parent().unwrap_or_default() },
    }]
}

/// What a sender says beside its operations, and names of moments.
fn told(path: RelPath, dice: &mut Dice) -> ToReceiver {
    let number = u64::from(dice.byte());
    match dice.below(6) {
        // It breaks the protocol, as an operation comes before it.
        0 if dice.byte() == 1 => ToReceiver::Spare,
        0 => ToReceiver::Mark { name: format!("mark {}", number % 8) },
        1 => ToReceiver::Report(Report { owed_paths: number, in_sync: number == 0, ..Report::default() }),
        2 => ToReceiver::Done(Done { entries: number, bytes: number, problems: 0 }),
        3 => ToReceiver::Problem { path, reason: format!("reason {number}") },
        4 => ToReceiver::Pong,
        _ => {
            let (kind, len) = (128 + dice.below(32) as u8, dice.below(40));
            ToReceiver::Extra { kind, body: dice.bytes(len) }
        }
    }
}

/// A blob in pieces, which may break the protocol or be damaged.
fn blob(path: RelPath, dice: &mut Dice) -> Vec<ToReceiver> {
    let (id, size) = (dice.below(3) as u32, u64::from(dice.byte()) << (dice.byte() % 24));
    let mut messages = vec![ToReceiver::Blob { id, size }];
    if dice.byte() & 3 == 0 {
        messages.push(ToReceiver::Basis { id, path: below(dice) });
        // Whether so much is known of it yet is left to chance.
        let copy = ToReceiver::Copy { id, offset: u64::from(dice.byte()), first: 0, count: 1 };
        messages.extend((dice.byte() == 1).then_some(copy));
    }
    let mut transcript = Transcript::new();
    let mut at = 0;
    for _ in 0..dice.below(4) {
        let len = 1 + dice.below(20);
        let (offset, bytes) = (at + dice.word() % (size | 1), dice.bytes(len));
        if bytes.is_empty() || offset.saturating_add(bytes.len() as u64) > size {
            break;
        }
        transcript.update(offset, &bytes);
        at = offset + bytes.len() as u64 - u64::from(dice.byte() == 1);
        messages.push(ToReceiver::Data { id, offset, bytes });
    }
    let mut hash = transcript.finish();
    hash[0] ^= u8::from(dice.byte() == 1);
    let meta = Meta { size: size + u64::from(dice.byte() == 1), ..meta(Kind::File, dice) };
    match dice.byte() {
        0 => {}
        1 => messages.push(ToReceiver::Drop { id }),
        _ => {
            let (content, inexact) = (Content::Blob { id, hash }, dice.byte() & 3 == 0);
            messages.push(ToReceiver::Put { path, meta, content, inexact });
        }
    }
    messages
}

/// A path of names that meet often, some of them odd.
fn below(dice: &mut Dice) -> RelPath {
    const NAMES: [&[u8]; 8] = [b"a", b"b", b"c", b"d", b"canary", b"\n\x1b[2J", b"\xff\xfe", b"..."];
    let depth = 1 + dice.below(4);
    let names: Vec<&[u8]> = (0..depth).map(|_| NAMES[dice.below(NAMES.len())]).collect();
    RelPath::parse(&names.join(&b'/')).expect("a path of names")
}

fn meta(kind: Kind, dice: &mut Dice) -> Meta {
    const TEXTS: [&[u8]; 6] = [b"..", b"../canary", b"/", b"a", b"../../../..", b"."];
    let device = if matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
        Device { major: dice.byte().into(), minor: dice.byte().into() }
    } else {
        Device::default()
    };
    let link = if kind == Kind::Symlink { TEXTS[dice.below(TEXTS.len())].into() } else { Box::default() };
    let mode = if kind == Kind::Symlink { 0 } else { u32::from(dice.byte()) << 4 };
    let xattr = |name: &[u8], value: u8| -> Xattr { (name.into(), [value].into()) };
    let list = match dice.byte() {
        1 => vec![xattr(b"user.a", dice.byte())],
        2 => vec![xattr(b"system.posix_acl_access", dice.byte()), xattr(b"trusted.overlay.opaque", b'y')],
        3 => vec![xattr(b"security.capability", dice.byte())],
        _ => Vec::new(),
    };
    let (uid, gid) = if dice.byte() == 1 { (u32::MAX, dice.byte().into()) } else { (0, 0) };
    let secs = if dice.byte() == 1 { dice.word() as i64 } else { i64::from(dice.byte()) };
    let mtime = Time { secs, nanos: u32::from(dice.byte()) };
    Meta { kind, size: 0, mode, uid, gid, mtime, device, link, xattrs: Xattrs::new(list).unwrap_or_default() }
}

/// Removed when dropped, whatever modes it has got.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn session(settings: u8, buffers: Vec<Bytes>) {
    let base = Path::new("/dev/shm");
    let base = if base.is_dir() { base.to_owned() } else { std::env::temp_dir() };
    let name = format!("pushd-fuzz-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let scratch = Scratch(base.join(name));
    let (module, canary) = (scratch.0.join("module"), scratch.0.join("canary"));
    fs::create_dir_all(&module).expect("a scratch folder");
    fs::write(&canary, "sings").expect("a canary");
    let before = seen(&canary);

    let how = if settings & 2 == 0 { Resolve::Openat2 } else { Resolve::Walk };
    let tree = Arc::new(Tree::open_with(&module, Mounts::Stay, how).expect("a module"));
    let keep = if settings & 4 == 0 { Keep::EVERYTHING } else { Keep::DEFAULT };
    let replica = Arc::new(Replica::new(tree, keep).expect("a stage"));
    let durability = if settings & 8 == 0 { Durability::None } else { Durability::Batch };
    let grant = Grant {
        limits: Limits { max_file_size: (settings & 16 == 0).then_some(1 << 20) },
        ..Grant::alone(replica, durability)
    };
    let ops = count(&buffers);
    let (to, inbox) = mpsc::channel(buffers.len().max(1));
    let (outbox, mut frames) = mpsc::channel(16);
    let (_stop, stopped) = watch::channel(None);
    let thread = thread::spawn(move || Receiver::new(grant, Clock::system(), Workers::Threads(2)).run(inbox, outbox, stopped));
    for buffer in buffers {
        let _ = to.try_send(buffer);
    }
    let mut applied = 0;
    while applied < ops {
        let Some(mut buffer) = frames.blocking_recv() else { break };
        while let Some(frame) = codec::split(&mut buffer, FRAME).expect("frames") {
            if let ToSender::Applied { upto } = ToSender::decode(frame, proto::Version::HIGHEST).expect("a message") {
                assert!(upto > applied && upto <= ops, "{upto} after {applied} of {ops}");
                applied = upto;
            }
        }
        assert!(buffer.is_empty());
    }
    drop((to, frames));
    let ended = thread.join().expect("no panic");
    assert!(matches!(ended, EndReason::Closed | EndReason::Violation(_)), "{ended:?}");
    assert!(applied == ops || matches!(ended, EndReason::Violation(_)), "{applied} of {ops}: {ended:?}");

    assert_eq!(seen(&canary), before);
    let mut beside: Vec<_> =
        fs::read_dir(&scratch.0).expect("scratch").flatten().map(|entry| entry.file_name()).collect();
    beside.sort();
    assert_eq!(beside, ["canary", "module"]);
    for entry in fs::read_dir(&module).expect("module").flatten() {
        assert!(!entry.file_name().as_encoded_bytes().starts_with(sys::stage::PREFIX), "a stage stays");
    }
}

/// Operations in the buffers, up to the first frame that is none.
fn count(buffers: &[Bytes]) -> u64 {
    let mut ops = 0;
    for buffer in buffers {
        let mut buffer = buffer.clone();
        while let Ok(Some(frame)) = codec::split(&mut buffer, FRAME) {
            let Ok(message) = ToReceiver::decode(frame, proto::Version::HIGHEST) else { return u64::MAX };
            ops += u64::from(message.is_operation());
        }
        if !buffer.is_empty() {
            return u64::MAX;
        }
    }
    ops
}

/// All that a change would change.
fn seen(canary: &Path) -> (u64, u64, u32, u32, i64, i64, Vec<u8>) {
    let stat = fs::symlink_metadata(canary).expect("the canary");
    let content = fs::read(canary).expect("the canary");
    (stat.ino(), stat.nlink(), stat.mode(), stat.uid(), stat.ctime(), stat.ctime_nsec(), content)
}
