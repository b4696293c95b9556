//! What the tests share: a receiver over a scratch module, and short ways to say messages.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::login::Durability;
use proto::{Content, Device, Keep, Kind, Meta, Outcome, RelPath, Time, ToReceiver, ToSender, Xattrs, codec};
use sys::faults::{self, Verb};
use sys::{Mounts, Tree};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::receiver::{Counters, EndReason, Grant, Limits, Memory, Receiver};
use crate::view::{Bounds, Fate, Protection, Replica};
use crate::workers::Workers;

/// Nothing in these tests takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Rig {
    /// Holds the module and nothing else.
    pub scratch: TempDir,
    pub stop: watch::Sender<Option<proto::login::Refusal>>,
    pub counters: Arc<Counters>,
    /// What the receiver writes to.
    replica: Arc<Replica>,
    durability: Durability,
    to: Option<mpsc::Sender<Bytes>>,
    from: std_mpsc::Receiver<ToSender>,
    thread: JoinHandle<EndReason>,
    ops: u64,
}

pub struct Settings {
    pub durability: Durability,
    pub keep: Keep,
    pub limits: Limits,
    pub protection: Protection,
    pub fate: Fate,
    pub bounds: Bounds,
    pub memory: Memory,
    /// As if other users of the host could come to it.
    pub open: bool,
    /// What its disk answers; all is done on one thread then.
    pub disk: Option<Disk>,
}

/// What a disk answers where it would not do what it is asked for.
pub type Disk = Box<dyn FnMut(Verb) -> Option<io::Error> + Send>;

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            durability: Durability::None,
            keep: Keep::DEFAULT,
            limits: Limits::default(),
            protection: Protection::default(),
            fate: Fate::default(),
            bounds: Bounds::default(),
            memory: Memory::default(),
            open: false,
            disk: None,
        }
    }
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with(Settings::default(), |_| {})
    }

    /// One that hears of each displacement.
    pub fn recorded(durability: Durability) -> Rig {
        Rig::with(Settings { durability, fate: Fate::Recorded(Default::default()), ..Settings::default() }, |_| {})
    }

    pub fn durable() -> Rig {
        Rig::with(Settings { durability: Durability::Batch, ..Settings::default() }, |_| {})
    }

    /// `prepare` gets the module's root before the session begins.
    pub fn with(settings: Settings, prepare: impl FnOnce(&Path)) -> Rig {
        let scratch = TempDir::new().unwrap();
        let module = scratch.path().join("module");
        fs::create_dir(&module).unwrap();
        prepare(&module);
        let tree = Arc::new(Tree::open(&module, Mounts::Stay).unwrap());
        let Settings { durability, keep, limits, protection, fate, bounds, memory, open, disk } = settings;
        let replica = Replica::new(tree, keep).unwrap().with(protection, fate);
        let replica = Arc::new(if open { replica.opened_to_all() } else { replica });
        let receiver = Receiver::new(
            Grant { limits, memory, ..Grant::alone(Arc::clone(&replica), durability) },
            Clock::system(),
            if disk.is_some() { Workers::Inline } else { Workers::Threads(2) },
        )
        .listing_by(bounds);
        let counters = receiver.counters();
        let (to, inbox) = mpsc::channel(4);
        let (outbox, mut frames) = mpsc::channel(crate::channel::OUTBOX);
        let (stop, stopped) = watch::channel(None);
        let thread = thread::spawn(move || {
            disk.into_iter().for_each(faults::plan);
            receiver.run(inbox, outbox, stopped)
        });
        let (forward, from) = std_mpsc::channel();
        thread::spawn(move || {
            while let Some(mut buffer) = frames.blocking_recv() {
                while let Some(frame) = codec::split(&mut buffer, proto::limits::FRAME).unwrap() {
                    let _ = forward.send(ToSender::decode(frame, proto::Version::HIGHEST).unwrap());
                }
                assert!(buffer.is_empty(), "whole frames only");
            }
        });
        Rig { scratch, stop, counters, replica, durability, to: Some(to), from, thread, ops: 0 }
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.scratch.path().join("module").join(path)
    }

    /// Sends messages in one buffer.
    pub fn send(&mut self, messages: &[ToReceiver]) {
        let mut bytes = BytesMut::new();
        for message in messages {
            codec::put(message, &mut bytes);
            self.ops += u64::from(message.is_operation());
        }
        self.send_raw(bytes.freeze());
    }

    pub fn send_raw(&mut self, bytes: Bytes) {
        // Closed when the session is over, which the test will see.
        let _ = self.to.as_ref().unwrap().blocking_send(bytes);
    }

    pub fn next(&self) -> ToSender {
        self.from.recv_timeout(PATIENCE).expect("an answer in time")
    }

    /// All that comes until the last operation sent has its last receipt, without receipts.
    pub fn answers(&self) -> Vec<ToSender> {
        let mut answers = Vec::new();
        let (mut applied, mut durable) = (0, 0);
        loop {
            match self.next() {
                ToSender::Applied { upto } => {
                    assert!(upto > applied && upto <= self.ops, "{upto} after {applied} of {}", self.ops);
                    applied = upto;
                }
                ToSender::Durable { upto } => {
                    assert!(upto > durable && upto <= applied && self.durability == Durability::Batch);
                    durable = upto;
                }
                answer => {
                    assert!(op_of(&answer).is_none_or(|op| op > applied), "{answer:?} after its receipt");
                    answers.push(answer);
                    continue;
                }
            }
            let last = if self.durability == Durability::Batch { durable } else { applied };
            if last == self.ops {
                return answers;
            }
        }
    }

    /// Sends and waits; the outcomes with the places of their operations among `messages` that are operations.
    pub fn run(&mut self, messages: &[ToReceiver]) -> Vec<(usize, Outcome)> {
        let before = self.ops;
        self.send(messages);
        let outcomes = self.answers().into_iter().map(|answer| match answer {
            ToSender::Outcome { op, outcome } => (usize::try_from(op - before - 1).unwrap(), outcome),
            other => panic!("not an outcome: {other:?}"),
        });
        outcomes.collect()
    }

    /// As `run`, for operations that are to do what they say.
    pub fn done(&mut self, messages: &[ToReceiver]) {
        assert_eq!(self.run(messages), []);
    }

    /// One operation that is not to do what it says.
    pub fn outcome(&mut self, message: ToReceiver) -> Outcome {
        let mut outcomes = self.run(&[message]);
        assert_eq!(outcomes.len(), 1, "{outcomes:?}");
        outcomes.remove(0).1
    }

    /// What has left its name since the last call: where, and by what it was displaced.
    pub fn displaced(&self) -> Vec<(String, &'static str)> {
        let Fate::Recorded(record) = self.replica.fate() else { panic!("nothing is recorded") };
        record.lock().unwrap().drain(..).map(|(path, by)| (path.to_string(), by)).collect()
    }

    /// The peer goes away.
    pub fn close(mut self) -> (EndReason, TempDir) {
        self.to = None;
        (self.thread.join().unwrap(), self.scratch)
    }

    /// Waits for a session that ends by itself; and what it said last.
    pub fn ended(self) -> (EndReason, Option<ToSender>, TempDir) {
        let Rig { to, from, thread, scratch, .. } = self;
        let ended = thread.join().unwrap();
        drop(to);
        (ended, from.iter().last(), scratch)
    }
}

fn op_of(message: &ToSender) -> Option<u64> {
    match message {
        ToSender::Outcome { op, .. }
        | ToSender::Listing { op, .. }
        | ToSender::NoFolder { op }
        | ToSender::Counted { op, .. } => Some(*op),
        _ => None,
    }
}

pub fn path(path: &str) -> RelPath {
    RelPath::parse(path.as_bytes()).unwrap()
}

/// A moment with nanoseconds that no test meets by accident.
pub const THEN: Time = Time { secs: 1_000_000_000, nanos: 123_456_789 };

pub fn meta(kind: Kind) -> Meta {
    let mode = match kind {
        Kind::Dir => 0o755,
        Kind::Symlink => 0,
        _ => 0o640,
    };
    let (uid, gid) = mine();
    let device = Device::default();
    Meta { kind, size: 0, mode, uid, gid, mtime: THEN, device, link: Box::default(), xattrs: Xattrs::default() }
}

/// The ids of whoever runs the tests.
fn mine() -> (u32, u32) {
    let own = fs::metadata("/proc/self").unwrap();
    (own.uid(), own.gid())
}

pub fn put(at: &str, content: &str) -> ToReceiver {
    let meta = Meta { size: content.len() as u64, ..meta(Kind::File) };
    ToReceiver::Put {
        path: path(at),
        meta,
        content: Content::Inline(Bytes::copy_from_slice(content.as_bytes())),
        inexact: false,
    }
}

pub fn folder(at: &str) -> ToReceiver {
    ToReceiver::Make { path: path(at), meta: meta(Kind::Dir) }
}

pub fn symlink(at: &str, text: &str) -> ToReceiver {
    ToReceiver::Make { path: path(at), meta: Meta { link: text.as_bytes().into(), ..meta(Kind::Symlink) } }
}

pub fn remove(at: &str) -> ToReceiver {
    ToReceiver::Remove { path: path(at) }
}

pub fn rename(from: &str, to: &str) -> ToReceiver {
    ToReceiver::Rename { from: path(from), to: path(to) }
}

pub fn exchange(a: &str, b: &str) -> ToReceiver {
    ToReceiver::Exchange { a: path(a), b: path(b) }
}

pub fn link(first: &str, others: &[&str]) -> ToReceiver {
    ToReceiver::Link { first: path(first), others: others.iter().map(|other| path(other)).collect() }
}

pub fn settle(at: &str) -> ToReceiver {
    ToReceiver::Settle { path: path(at) }
}

pub fn offer(at: &str, size: u64, mode: u32) -> ToReceiver {
    ToReceiver::Offer { path: path(at), meta: Meta { size, mode, ..meta(Kind::File) }, digest: None }
}

pub fn mtime(at: &Path) -> Time {
    let stat = fs::symlink_metadata(at).unwrap();
    Time { secs: stat.mtime(), nanos: u32::try_from(stat.mtime_nsec()).unwrap() }
}

/// All names in a folder but those of temporaries, which are the session's own business while it lasts.
pub fn names(at: &Path) -> Vec<String> {
    let mut names = all_names(at);
    names.retain(|name| !name.starts_with(".recvd-"));
    names
}

/// All names in a folder.
pub fn all_names(at: &Path) -> Vec<String> {
    let names = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
