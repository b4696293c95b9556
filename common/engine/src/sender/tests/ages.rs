//! What is not stored keeps its age, whatever happens to its name.

use std::time::Instant;

use bytes::BytesMut;
use fastrand::Rng;
use proto::{Outcome, ToReceiver, ToSender, codec, limits};

use super::*;
use crate::pack::Unpacker;

/// A receiver that carries out nothing. It says so for most operations, and for the others that something is missing.
struct Failing {
    rng: Rng,
    unpacker: Unpacker,
    operations: u64,
}

impl Failing {
    /// What it answers to a buffer of frames.
    fn answer(&mut self, mut frames: bytes::Bytes) -> bytes::Bytes {
        let mut answers = BytesMut::new();
        while let Some(frame) = codec::split(&mut frames, limits::FRAME).unwrap() {
            let message = ToReceiver::decode(frame).unwrap();
            if let ToReceiver::Packed { length, bytes } = &message {
                let inner = self.unpacker.unpack(*length, bytes).unwrap();
                answers.extend_from_slice(&self.answer(inner));
            }
            if let ToReceiver::Basis { id, .. } = message {
                let none = ToSender::Signature { id, size: 0, chunks: Vec::new(), last: true };
                codec::put(&none, &mut answers);
            }
            if message.is_operation() {
                self.operations += 1;
                if let Some(outcome) = self.outcome(&message) {
                    codec::put(&ToSender::Outcome { op: self.operations, outcome }, &mut answers);
                }
                codec::put(&ToSender::Applied { upto: self.operations }, &mut answers);
            }
        }
        answers.freeze()
    }

    fn outcome(&mut self, message: &ToReceiver) -> Option<Outcome> {
        let failed = Outcome::Failed { reason: "on purpose".into() };
        match message {
            // As far as folders are concerned all is as it should be; nothing is found out by comparing.
            ToReceiver::Make { .. } | ToReceiver::Settle { .. } => None,
            ToReceiver::Offer { .. } => Some(if self.rng.bool() { Outcome::Want } else { failed }),
            ToReceiver::Compare { .. } | ToReceiver::Count { .. } => Some(failed),
            _ if self.rng.u8(..4) == 0 => Some(Outcome::Absent),
            _ => Some(failed),
        }
    }
}

/// One connection to it, for so long.
fn connect(pair: &Pair, mut sender: Sender, rng: Rng, length: Duration) -> Sender {
    let (outbox, mut inbox) = mpsc::channel(OUTBOX);
    let (answers, receipts) = mpsc::unbounded_channel();
    let mut failing = Failing { rng, unpacker: Unpacker::default(), operations: 0 };
    pair.runtime.spawn(async move {
        while let Some(frames) = inbox.recv().await {
            if answers.send(failing.answer(frames)).is_err() {
                break;
            }
        }
    });
    let (keep, durability, compress) = (Keep::DEFAULT, Durability::None, pair.compress);
    let connection = Connection { outbox, receipts, keep, durability, compress };
    let stop = Arc::new(AtomicBool::new(false));
    let (flag, mirror) = (stop.clone(), pair.mirror.clone());
    pair.runtime.spawn(async move {
        tokio::time::sleep(length).await;
        flag.store(true, std::sync::atomic::Ordering::Release);
        mirror.wake.notify_one();
    });
    let sending = pair.runtime.spawn_blocking(move || {
        sender.run(connection, Until::Stopped, &stop);
        sender
    });
    pair.runtime.block_on(sending).unwrap()
}

/// What programs do with files: all but to delete them.
struct Programs<'a> {
    here: &'a Path,
    mirror: &'a Mirror,
    rng: Rng,
}

impl Programs<'_> {
    fn entry(&self, at: &str, cause: Cause) {
        self.mirror.hint([Hint::Entry { path: path(at), cause }]);
    }

    fn change(&mut self) {
        const NAMES: [&str; 4] = ["a", "b", "d/a", "d/b"];
        let (one, other) = (NAMES[self.rng.usize(..NAMES.len())], NAMES[self.rng.usize(..NAMES.len())]);
        let (from, to) = (self.here.join(one), self.here.join(other));
        match self.rng.u8(..6) {
            0 | 1 => {
                let new = !from.exists();
                let size = if self.rng.u8(..3) == 0 { 300_000 } else { self.rng.usize(..3000) };
                fs::write(&from, vec![self.rng.u8(..); size]).unwrap();
                self.entry(one, if new { Cause::CREATED | Cause::WRITTEN } else { Cause::WRITTEN });
            }
            2 if from.exists() => {
                let file = fs::File::options().append(true).open(&from).unwrap();
                file.write_at(b"more", fs::metadata(&from).unwrap().len()).unwrap();
                self.entry(one, Cause::WRITTEN);
            }
            3 if from.exists() => {
                let link = self.here.join("link");
                fs::hard_link(&from, &link).unwrap();
                self.entry("link", Cause::CREATED);
                fs::remove_file(link).unwrap();
                self.entry("link", Cause::GONE);
            }
            _ if from.exists() && one != other => {
                fs::rename(&from, &to).unwrap();
                let since = Instant::now();
                self.mirror.hint([Hint::Renamed { from: path(one), to: path(other), folder: false, since }]);
            }
            _ => {}
        }
    }

    /// Until `over`; each time the oldest is at least as old as it was.
    fn run(&mut self, over: &AtomicBool, seed: u64) {
        let first = self.mirror.pending().oldest().unwrap();
        // It is looked at before it may be taken for one that came and went.
        std::thread::sleep(Duration::from_millis(50));
        while !over.load(std::sync::atomic::Ordering::Acquire) {
            self.change();
            let oldest = self.mirror.pending().oldest();
            let younger = oldest.map(|oldest| oldest.saturating_duration_since(first));
            assert_eq!(younger, Some(Duration::ZERO), "seed {seed}, owed: {}", self.mirror.pending().owed());
            std::thread::sleep(Duration::from_millis(self.rng.u64(..4)));
        }
    }
}

#[test]
fn what_fails_is_never_owed_anew() {
    for seed in 0..6 {
        let mut rng = Rng::with_seed(seed);
        let pair = Pair::new();
        fs::create_dir(pair.here.join("d")).unwrap();
        let root = Root::new(Arc::new(Tree::open(&pair.here, Mounts::Stay).unwrap())).unwrap();
        let mut sender = Sender::new(root, pair.options, pair.mirror.clone());
        fs::write(pair.here.join("a"), "the first change").unwrap();
        pair.entry("a", Cause::CREATED | Cause::WRITTEN);
        let over = AtomicBool::new(false);
        let mut programs = Programs { here: &pair.here, mirror: &pair.mirror, rng: rng.fork() };
        std::thread::scope(|scope| {
            let changing = scope.spawn(|| programs.run(&over, seed));
            for _ in 0..3 {
                let length = Duration::from_millis(rng.u64(100..700));
                sender = connect(&pair, sender, rng.fork(), length);
            }
            over.store(true, std::sync::atomic::Ordering::Release);
            changing.join().unwrap();
        });
    }
}
