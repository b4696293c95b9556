//! A receiver that carries out nothing, and says of each operation what the test wants.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use proto::{Outcome, ToReceiver, ToSender, codec, limits};

use super::*;
use crate::pack::Unpacker;

pub struct Fake<F> {
    says: F,
    unpacker: Unpacker,
    operations: Arc<AtomicU64>,
}

impl<F: FnMut(&ToReceiver) -> Option<Outcome> + Send + 'static> Fake<F> {
    pub fn new(says: F) -> Fake<F> {
        Fake { says, unpacker: Unpacker::default(), operations: Arc::default() }
    }

    /// How many operations it got; may be read at any time.
    pub fn operations(&self) -> Arc<AtomicU64> {
        self.operations.clone()
    }

    /// What it answers to a buffer of frames.
    fn answer(&mut self, mut frames: Bytes) -> Bytes {
        let mut answers = BytesMut::new();
        while let Some(frame) = codec::split(&mut frames, limits::FRAME).unwrap() {
            let message = ToReceiver::decode(frame, proto::Version::HIGHEST).unwrap();
            if let ToReceiver::Packed { length, bytes } = &message {
                let inner = self.unpacker.unpack(*length, bytes).unwrap();
                answers.extend_from_slice(&self.answer(inner));
            }
            if let ToReceiver::Basis { id, .. } = message {
                let none = ToSender::Signature { id, size: 0, chunks: Vec::new(), last: true };
                codec::put(&none, &mut answers);
            }
            if message.is_operation() {
                let op = self.operations.fetch_add(1, Ordering::Relaxed) + 1;
                if let Some(outcome) = (self.says)(&message) {
                    codec::put(&ToSender::Outcome { op, outcome }, &mut answers);
                }
                codec::put(&ToSender::Applied { upto: op }, &mut answers);
            }
        }
        answers.freeze()
    }

    /// One connection to it, for so long at most.
    pub fn connect(mut self, pair: &Pair, mut sender: Sender, until: Until, length: Duration) -> (Sender, Ended) {
        let (outbox, mut inbox) = mpsc::channel(OUTBOX);
        let (answers, receipts) = answers(1, &pair.policy);
        pair.runtime.spawn(async move {
            while let Some(frames) = inbox.recv().await {
                if answers.send(self.answer(frames)).await.is_err() {
                    break;
                }
            }
        });
        let (keep, durability, compress) = (Keep::DEFAULT, Durability::None, pair.compress);
        let connection = Connection { outbox, receipts, keep, durability, compress, version: proto::Version::HIGHEST };
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, mirror) = (stop.clone(), pair.mirror.clone());
        pair.runtime.spawn(async move {
            tokio::time::sleep(length).await;
            flag.store(true, Ordering::Release);
            mirror.wake.notify_one();
        });
        let sending = pair.runtime.spawn_blocking(move || {
            let ended = sender.run(connection, until, &stop);
            (sender, ended)
        });
        pair.runtime.block_on(sending).unwrap()
    }
}

impl Pair {
    pub fn new_sender(&self) -> Sender {
        let root = Root::new(Arc::new(Tree::open(&self.here, Mounts::Stay).unwrap())).unwrap();
        Sender::new(root, self.options, self.mirror.clone())
    }
}
