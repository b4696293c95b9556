//! A receiver that never stops to talk, over TLS and TCP: what nobody takes holds it back, and a sender that takes it finds it
//! out. Its memory stays as it was.

mod desk;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use desk::{Desk, params, server, target};
use engine::channel::{INBOX, OUTBOX};
use engine::clock::Clock;
use engine::hint::Hint;
use engine::mirror::Mirror;
use engine::pack::Compress;
use engine::pending::{Holds, Rules};
use engine::sender::{BusyFiles, Connection, Ended, MaxDelete, Options, Root, Sender, Until};
use engine::workers::Workers;
use link::{Deliver, Drive, Trust, dial};
use proto::login::Durability;
use proto::{Chunk, Device, Entry, Keep, Kind, Name, RelPath, Time, ToSender, codec};
use sys::{Mounts, Tree};
use tokio::sync::{Mutex, MutexGuard, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const CLOCKS: Drive = Drive { idle: Duration::from_secs(30), keepalive: Some(Duration::from_secs(10)) };
/// Bytes that may be on the way between two who do not take any: most of them are the kernel's, 6 MiB a socket by default.
const ON_THE_WAY: usize = 48 * 1024 * 1024;
/// Bytes by which this process may grow, both ends of the connection together.
const GROWS: usize = 64 * 1024 * 1024;

/// The same message over and over, as many as fit into a buffer.
fn over_and_over(message: &ToSender) -> Bytes {
    let mut buffer = BytesMut::new();
    while buffer.len() < 512 * 1024 {
        codec::put(message, &mut buffer);
    }
    buffer.freeze()
}

fn listing() -> ToSender {
    let entry = |n: u32| Entry {
        name: Name::parse(format!("{n:0>200}").as_bytes()).unwrap(),
        kind: Kind::Dir,
        size: 0,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: Time::default(),
        device: Device::default(),
        inexact: false,
        extra: [0; 16],
    };
    ToSender::Listing { op: 2, entries: (0..1000).map(entry).collect(), last: false }
}

fn signature() -> ToSender {
    let chunks = vec![Chunk { length: 8192, digest: [1; 16] }; 10_000];
    ToSender::Signature { id: 1, size: 1 << 40, chunks, last: false }
}

/// The memory of this process, which one test at a time has for itself.
static MEMORY: Mutex<()> = Mutex::const_new(());

/// How much memory this process had when a test began.
struct Grown(#[allow(dead_code, reason = "dropping it lets the next test begin")] MutexGuard<'static, ()>, usize);

impl Grown {
    /// Waits for the tests before.
    async fn since_now() -> Grown {
        let turn = MEMORY.lock().await;
        // The most is counted from what there is now, not from what the test before has had.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        Grown(turn, peak())
    }

    /// Bytes by which the most of it is more than there was.
    fn bytes(&self) -> usize {
        peak().saturating_sub(self.1)
    }
}

/// Most memory that this process has had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// The client's end of a connection, and one for a receiver that says what it likes.
async fn connected(desk: &Desk) -> (link::Connection, mpsc::Sender<Bytes>, JoinHandle<link::Disconnect>) {
    let (file, tls) = desk.own("own", params(&["localhost"]));
    let (address, serving) = server(tls).await;
    let trust = Trust { ca_file: Some(file), fingerprint: None };
    let (_, connection) = dial(&target(&format!("localhost:{}", address.port()), trust)).await.unwrap();
    let (_, _, theirs) = serving.await.unwrap().unwrap();
    let (says, outgoing) = mpsc::channel(OUTBOX);
    let (incoming, mut inbox) = mpsc::channel(INBOX);
    // It takes whatever is sent.
    tokio::spawn(async move { while inbox.recv().await.is_some() {} });
    let driving = tokio::spawn(link::drive(theirs, outgoing, Deliver::Receiver(incoming, link::freely()), CLOCKS));
    (connection, says, driving)
}

#[tokio::test]
async fn what_nobody_takes_holds_back_the_peer() {
    let (desk, grown) = (Desk::new(), Grown::since_now().await);
    for message in [ToSender::Pong, listing(), signature()] {
        let (ours, says, _theirs) = connected(&desk).await;
        let (_outbox, outgoing) = mpsc::channel(OUTBOX);
        let (incoming, receipts) = mpsc::channel(INBOX);
        let _driving = tokio::spawn(link::drive(ours, outgoing, Deliver::Sender(incoming), CLOCKS));
        let (buffer, mut said) = (over_and_over(&message), 0);
        while said < 4 * ON_THE_WAY
            && let Ok(sent) = timeout(Duration::from_secs(2), says.send(buffer.clone())).await
        {
            sent.unwrap();
            said += buffer.len();
        }
        assert!(said < ON_THE_WAY, "{said} bytes were taken by nobody");
        drop(receipts);
    }
    assert!(grown.bytes() < GROWS, "{} bytes", grown.bytes());
}

/// A sender of this folder over a connection, on a thread of its own.
fn sender(here: &Path, ours: link::Connection) -> JoinHandle<Ended> {
    let holds = Holds::default();
    let rules = Rules { settle: Duration::ZERO, open_settle: Duration::ZERO, open_max_delay: Duration::ZERO, holds };
    let mirror = Arc::new(Mirror::new(rules, Clock::system()));
    mirror.hint([Hint::Subtree { path: RelPath::root() }]);
    let workers = Workers::Threads(2);
    let options = Options {
        delete: true,
        attributes: true,
        max_delete: MaxDelete::Percent(50.0),
        busy_files: BusyFiles::Copy,
        workers,
        software: "test",
    };
    let root = Root::new(Arc::new(Tree::open(here, Mounts::Stay).unwrap())).unwrap();
    let mut sender = Sender::new(root, options, mirror);
    let version = ours.version();
    let (outbox, outgoing) = mpsc::channel(OUTBOX);
    let (incoming, receipts) = mpsc::channel(INBOX);
    tokio::spawn(link::drive(ours, outgoing, Deliver::Sender(incoming), CLOCKS));
    let (keep, durability, compress) = (Keep::DEFAULT, Durability::Batch, Compress::Off);
    let connection = Connection { outbox, receipts, keep, durability, compress, version };
    tokio::task::spawn_blocking(move || sender.run(connection, Until::Stopped, &AtomicBool::new(false)))
}

#[tokio::test]
async fn a_receiver_that_never_stops_to_talk_is_left() {
    let (desk, grown) = (Desk::new(), Grown::since_now().await);
    let here = tempfile::tempdir().unwrap();
    for n in 0..200 {
        std::fs::write(here.path().join(format!("f{n}")), vec![n; 100_000]).unwrap();
    }
    for message in [ToSender::Pong, ToSender::Ping, signature()] {
        let (ours, says, _theirs) = connected(&desk).await;
        let sending = sender(here.path(), ours);
        let buffer = over_and_over(&message);
        while says.send(buffer.clone()).await.is_ok() {}
        let ended = timeout(Duration::from_secs(60), sending).await.expect("it hears on").unwrap();
        assert!(matches!(ended, Ended::Violation(_)), "{ended:?}");
    }
    assert!(grown.bytes() < GROWS, "{} bytes", grown.bytes());
}
