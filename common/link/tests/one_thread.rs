//! A whole pair on one thread: a sender, [`link::drive_stream`] on both sides of a slow wire, and a receiver, by a clock that
//! goes only when all of them wait. The seed chooses the tree, its changes, and the wire's pieces and pauses; all else follows.
//!
//! The engine's own storm takes each step of the roles itself, and leaves out `link` and what the roles wait for: both are
//! here, as they are in the programs.

#[path = "one_thread/source.rs"]
mod source;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use engine::channel::OUTBOX;
use engine::clock::Clock;
use engine::hint::Hint;
use engine::mirror::Mirror;
use engine::pack::Compress;
use engine::pending::{Holds, Rules};
use engine::receiver::{EndReason, Grant, Receiver, Stop};
use engine::sender::{BusyFiles, Connection, Ended, MaxDelete, Options, Root, Sender, Until};
use engine::view::Replica;
use engine::workers::{Step, Workers};
use fastrand::Rng;
use link::{Deliver, Disconnect, Drive};
use proto::login::Durability;
use proto::{Keep, RelPath, ToSender, Version, codec};
use sys::{Mounts, Tree};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::{Instant, sleep};

use source::{Source, scratch, tree};

const SEEDS: u64 = 10;
/// Bytes that a wire holds between two ends.
const WIRE: usize = 64 * 1024;
const CLOCKS: Drive = Drive { idle: Duration::from_secs(30), keepalive: Some(Duration::from_secs(10)) };
/// Longer than a receiver keeps its folder of temporaries when it has nothing to do.
const TIDIED: Duration = Duration::from_secs(3);
/// What is not at rest after this time never will be.
const REST: Duration = Duration::from_secs(600);

/// A piece that went over the wire: when, which way, and its bytes.
type Piece = (Duration, char, Vec<u8>);
type Record = Arc<Mutex<Vec<Piece>>>;

/// Carries bytes one way, in pieces and with pauses, until its end says no more.
async fn carry(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>, mut rng: Rng, note: impl Fn(&[u8])) {
    let mut buffer = vec![0; WIRE];
    loop {
        let most = 1 + rng.usize(..WIRE);
        match from.read(&mut buffer[..most]).await {
            Ok(0) | Err(_) => break,
            Ok(got) => {
                note(&buffer[..got]);
                // The far end may have closed; what is still said to it is lost, as on any wire.
                let _ = to.write_all(&buffer[..got]).await;
            }
        }
        if rng.u8(..4) == 0 {
            sleep(Duration::from_millis(rng.u64(..30))).await;
        }
    }
    let _ = to.shutdown().await;
}

/// The roles' clock shows what the runtime's does.
fn keep_in_step(clock: &Clock) {
    clock.advance_to(Instant::now().into_std());
}

/// A sender's life over one connection; `None` when it was stopped.
async fn send(mut sender: Sender, connection: Connection, clock: Clock, stop: Arc<AtomicBool>) -> Option<Ended> {
    let mut session = sender.begin(connection, Until::Stopped);
    while !stop.load(Ordering::Acquire) {
        keep_in_step(&clock);
        match session.step() {
            Step::Worked => yield_now().await,
            Step::Idle(due) => session.wait(due).await,
            Step::Ended(ended) => return Some(ended),
        }
    }
    None
}

/// A receiver's.
async fn receive(
    mut receiver: Receiver,
    inbox: mpsc::Receiver<bytes::Bytes>,
    outbox: mpsc::Sender<bytes::Bytes>,
    stop: Stop,
    clock: Clock,
) -> EndReason {
    let mut session = receiver.begin(inbox, outbox, stop);
    loop {
        keep_in_step(&clock);
        match session.step() {
            Step::Worked => yield_now().await,
            Step::Idle(due) => session.wait(due).await,
            Step::Ended(ended) => return ended,
        }
    }
}

fn sender(here: &Path, mirror: &Arc<Mirror>) -> Sender {
    let options = Options {
        delete: true,
        attributes: true,
        max_delete: MaxDelete::Percent(100.0),
        busy_files: BusyFiles::Copy,
        workers: Workers::Inline,
        software: "test",
    };
    let root = Root::new(Arc::new(Tree::open(here, Mounts::Stay).unwrap())).unwrap();
    Sender::new(root, options, Arc::clone(mirror))
}

fn receiver(there: &Path, durability: Durability, clock: &Clock) -> Receiver {
    let replica = Arc::new(Replica::new(Arc::new(Tree::open(there, Mounts::Stay).unwrap()), Keep::DEFAULT).unwrap());
    Receiver::new(Grant::alone(replica, durability), clock.clone(), Workers::Inline)
}

/// Waits until nothing is owed and the receiver has tidied up. Then both trees are alike.
async fn rest(mirror: &Mirror, here: &Path, there: &Path) {
    let began = Instant::now();
    while !mirror.pending().is_empty() {
        assert!(began.elapsed() < REST, "not at rest, owed: {}", mirror.owed().paths);
        sleep(Duration::from_millis(10)).await;
    }
    sleep(TIDIED).await;
    assert_eq!(tree(here), tree(there));
    assert!(mirror.entries.problems().is_empty());
}

/// One source is mirrored, changes, and is mirrored again, over one connection.
async fn live(seed: u64) -> Vec<Piece> {
    let scratch = tempfile::tempdir_in(scratch()).unwrap();
    let (here, there) = (scratch.path().join("here"), scratch.path().join("there"));
    std::fs::create_dir(&there).unwrap();
    let (mut rng, began) = (Rng::with_seed(seed), Instant::now());
    let clock = Clock::manual_from(began.into_std());
    let mut source = Source::new(&here, rng.fork());
    let rules = Rules {
        settle: Duration::from_millis(rng.u64(..200)),
        open_settle: Duration::from_millis(500),
        open_max_delay: Duration::from_secs(5),
        holds: Holds::default(),
    };
    let mirror = Arc::new(Mirror::new(rules, clock.clone()));
    mirror.hint([Hint::Subtree { path: RelPath::root() }]);

    let ((left, near), (far, right)) = (duplex(WIRE), duplex(WIRE));
    let ((from_near, to_near), (from_far, to_far)) = (split(near), split(far));
    let record = Record::default();
    let note = |way| {
        let record = Arc::clone(&record);
        move |piece: &[u8]| record.lock().unwrap().push((began.elapsed(), way, piece.to_owned()))
    };
    spawn_local(carry(from_near, to_far, rng.fork(), note('>')));
    spawn_local(carry(from_far, to_near, rng.fork(), note('<')));

    let durability = *rng.choice(&[Durability::Batch, Durability::None]).unwrap();
    let compress = *rng.choice(&[Compress::Auto, Compress::Off, Compress::Level(1)]).unwrap();
    let (outbox, outgoing) = mpsc::channel(OUTBOX);
    let (incoming, receipts) = mpsc::channel(1);
    let left = spawn_local(link::drive_stream(left, outgoing, Deliver::Sender(incoming), CLOCKS));
    let connection =
        Connection { outbox, receipts, keep: Keep::DEFAULT, durability, compress, version: Version::HIGHEST };
    let stop = Arc::<AtomicBool>::default();
    let sending = spawn_local(send(sender(&here, &mirror), connection, clock.clone(), Arc::clone(&stop)));

    let (outbox, outgoing) = mpsc::channel(OUTBOX);
    let mut policy = BytesMut::new();
    codec::put(&ToSender::Policy(Box::default()), &mut policy);
    outbox.try_send(policy.freeze()).unwrap();
    let (incoming, inbox) = mpsc::channel(1);
    let right = spawn_local(link::drive_stream(right, outgoing, Deliver::Receiver(incoming, link::freely()), CLOCKS));
    let (_stop, stopped) = watch::channel(None);
    let taking = spawn_local(receive(receiver(&there, durability, &clock), inbox, outbox, stopped, clock.clone()));

    rest(&mirror, &here, &there).await;
    for change in source.changes() {
        keep_in_step(&clock);
        mirror.hint(source.change(change, &clock));
        sleep(Duration::from_millis(rng.u64(..300))).await;
    }
    rest(&mirror, &here, &there).await;

    stop.store(true, Ordering::Release);
    mirror.wake.notify_one();
    assert_eq!(sending.await.unwrap(), None);
    assert_eq!(taking.await.unwrap(), EndReason::Closed);
    assert!(matches!(left.await.unwrap(), Disconnect::ByUs));
    assert!(matches!(right.await.unwrap(), Disconnect::ByPeer));
    assert_eq!(tree(&here), tree(&there));
    let record = record.lock().unwrap();
    record.clone()
}

fn run(seed: u64) -> Vec<Piece> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, live(seed))
}

#[test]
fn the_same_seed_mirrors_a_tree_by_the_same_bytes_at_the_same_times() {
    for seed in 0..SEEDS {
        let (once, again) = (run(seed), run(seed));
        let sent: usize = once.iter().filter(|(_, way, _)| *way == '>').map(|(_, _, piece)| piece.len()).sum();
        assert!(sent > source::LARGE, "seed {seed}: {sent} bytes");
        let differs = once.iter().zip(&again).position(|(one, other)| one != other);
        let shown = |(at, way, piece): &Piece| format!("{at:?} {way} {} bytes", piece.len());
        assert_eq!(differs.map(|at| (at, shown(&once[at]), shown(&again[at]))), None, "seed {seed}");
        assert_eq!(once.len(), again.len(), "seed {seed}");
    }
}
