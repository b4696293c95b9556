//! What is between the two sides: hints that come late, and a link that is slow and breaks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastrand::Rng;
use proto::login::Durability;
use sys::{Mounts, Tree};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use super::trace::{shown_answers, shown_frames, shown_hint};
use super::{Place, asides};
use crate::channel::OUTBOX;
use crate::clock::Clock;
use crate::hint::Hint;
use crate::pack::{Compress, Unpacker};
use crate::receiver::{EndReason, Grant, Receiver, Signatures};
use crate::sender::{BusyFiles, Connection, Ended, MaxDelete, Options, Root, Sender, Until};
use crate::view::Replica;
use crate::workers::Workers;

/// Gives hints to the mirror, late and in order.
pub fn deliver(place: &Place, mut rng: Rng) {
    let mut drained = Instant::now();
    while !place.over.load(Ordering::Acquire) {
        let now = Instant::now();
        // Locked until they are given, so that an empty queue means that all have arrived.
        let mut waiting = place.hints.lock().unwrap();
        let mut hints = std::mem::take(&mut *waiting);
        for hint in &mut hints {
            if let Hint::Renamed { since, .. } = hint {
                *since = drained;
            }
            place.trace.say(|| format!("HINT {}", shown_hint(hint)));
        }
        if !hints.is_empty() {
            place.mirror.hint(hints);
        }
        drop(waiting);
        drained = now;
        let pause = *rng.choice(&[0, 100, 1_000, 5_000]).unwrap();
        std::thread::sleep(Duration::from_micros(20 + rng.u64(..=pause)));
    }
}

/// One connection after another, until the world ends.
pub fn connect(place: &Place, runtime: &Runtime, mut rng: Rng) {
    let options = Options {
        delete: true,
        attributes: true,
        max_delete: MaxDelete::Percent(100.0),
        busy_files: BusyFiles::Copy,
        workers: Workers::Threads(2),
        software: "test",
    };
    let root = Root::new(Arc::new(Tree::open(&place.here, Mounts::Stay).unwrap())).unwrap();
    let mut sender = Sender::new(root, options, place.mirror.clone());
    let durability = if rng.bool() { Durability::Batch } else { Durability::None };
    let known = Arc::<Signatures>::default();
    while !place.over.load(Ordering::Acquire) {
        let signatures = known.clone();
        let tree = Arc::new(Tree::open(&place.there, Mounts::Stay).unwrap());
        let replica = Arc::new(Replica::new(tree, place.keep).unwrap());
        let grant = Grant { signatures, ..Grant::alone(replica, durability) };
        let receiver = Receiver::new(grant, Clock::system(), Workers::Threads(2));
        let (outbox, from_sender) = mpsc::channel(OUTBOX);
        let (to_receiver, inbox) = mpsc::channel(OUTBOX);
        let (answers, answered) = crate::sender::tests::answers(OUTBOX, &proto::policy::Policy::default());
        let (pass_on, receipts) = mpsc::channel(OUTBOX);
        let (_stop, stop_receiver) = watch::channel(None);
        let receiving = std::thread::spawn(move || receiver.run(inbox, answers, stop_receiver));
        let slow = Slow { most: *rng.choice(&[0, 0, 300, 3_000]).unwrap(), rng: rng.fork() };
        let (trace, mut cut) = (place.trace.clone(), place.cut.subscribe());
        let (mut unpacker, mut operations) = (Unpacker::default(), 0);
        let forward = relay(from_sender, slow.clone(), asides::to_receiver, move |frames| {
            shown_frames(&frames, &mut unpacker, &mut operations, &trace);
            let to_receiver = to_receiver.clone();
            async move { to_receiver.send(frames).await.is_ok() }
        });
        runtime.spawn(async move {
            tokio::select! { () = forward => {}, _ = cut.changed() => {} }
        });
        let (trace, mut cut) = (place.trace.clone(), place.cut.subscribe());
        let back = relay(answered, slow, asides::to_sender, move |frames| {
            shown_answers(&frames, &trace);
            let pass_on = pass_on.clone();
            async move { pass_on.send(frames).await.is_ok() }
        });
        runtime.spawn(async move {
            tokio::select! { () = back => {}, _ = cut.changed() => {} }
        });
        let compress = *rng.choice(&[Compress::Auto, Compress::Off, Compress::Level(1)]).unwrap();
        let connection =
            Connection { outbox, receipts, keep: place.keep, durability, compress, version: proto::Version::HIGHEST };
        let ended = send(&mut sender, connection, place, runtime);
        let over = receiving.join().unwrap();
        assert!(!matches!(over, EndReason::Violation(_)), "{over:?}");
        assert!(!matches!(ended, Ended::Violation(_)), "{ended:?}");
        place.trace.say(|| format!("ENDED {ended:?}"));
    }
}

/// How long frames take at most, in microseconds.
#[derive(Clone)]
struct Slow {
    most: u64,
    rng: Rng,
}

/// Passes frames on until one end is gone, with an aside here and there.
async fn relay<F: Future<Output = bool>>(
    mut from: mpsc::Receiver<Bytes>,
    mut slow: Slow,
    aside: impl Fn(&mut Rng) -> Option<Bytes>,
    mut pass_on: impl FnMut(Bytes) -> F,
) {
    while let Some(frames) = from.recv().await {
        if slow.most > 0 {
            tokio::time::sleep(Duration::from_micros(slow.rng.u64(..slow.most))).await;
        }
        let all = [Some(frames), aside(&mut slow.rng)];
        for frames in all.into_iter().flatten() {
            if !pass_on(frames).await {
                return;
            }
        }
    }
}

/// Runs the sender with what it says of itself in the trace.
fn send(sender: &mut Sender, connection: Connection, place: &Place, runtime: &Runtime) -> Ended {
    let _runtime = runtime.enter();
    tracing::subscriber::with_default(place.trace.subscriber(), || sender.run(connection, Until::Stopped, &place.over))
}
