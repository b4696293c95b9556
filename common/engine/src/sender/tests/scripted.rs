//! A target that says what a test tells it to, step by step, by a clock that the test sets.

use proto::{Content, ToReceiver, ToSender, codec, limits};

use super::*;
use crate::sender::Session;
use crate::workers::Step;

/// A connection to it.
pub struct Scripted<'s> {
    pub session: Session<'s>,
    answers: mpsc::Sender<bytes::Bytes>,
    frames: mpsc::Receiver<bytes::Bytes>,
    /// Operations that it has got.
    pub operations: u64,
    /// Bytes of content that it has got.
    pub content: u64,
    /// What it has told of itself.
    pub told: Vec<ToReceiver>,
    /// Until when the sender has nothing to do.
    pub due: Option<std::time::Instant>,
}

impl Pair {
    /// One whose sender takes steps, by a clock of its own.
    pub fn stepped() -> (Pair, Clock) {
        let (clock, mut pair) = (Clock::manual(), Pair::new());
        let rules =
            Rules { settle: Duration::ZERO, open_settle: Duration::ZERO, open_max_delay: Duration::ZERO, holds: HOLDS };
        (pair.options.workers, pair.compress) = (Workers::Inline, Compress::Off);
        pair.mirror = Arc::new(Mirror::new(rules, clock.clone()));
        (pair, clock)
    }
}

impl<'s> Scripted<'s> {
    pub fn new(pair: &Pair, sender: &'s mut Sender, until: Until) -> Scripted<'s> {
        let mut target = Scripted::mute(pair, sender, until);
        target.answers.try_send(frame(&ToSender::Policy(Box::new(pair.policy.clone())))).unwrap();
        assert_eq!(target.session.step(), Step::Worked);
        target
    }

    /// One that has said nothing yet.
    pub fn mute(pair: &Pair, sender: &'s mut Sender, until: Until) -> Scripted<'s> {
        let (outbox, frames) = mpsc::channel(OUTBOX);
        let (answers, receipts) = mpsc::channel(1);
        let (keep, durability, compress) = (pair.keep, pair.durability, pair.compress);
        let session = sender.begin(
            Connection { outbox, receipts, keep, durability, compress, version: proto::Version::HIGHEST },
            until,
        );
        Scripted { session, answers, frames, operations: 0, content: 0, told: Vec::new(), due: None }
    }

    /// Moves the sender on until it waits. The operations that it has sent, with their numbers; blobs among them as they came.
    pub fn hears(&mut self) -> Result<Vec<(u64, ToReceiver)>, Ended> {
        let mut heard = Vec::new();
        loop {
            let step = self.session.step();
            while let Ok(mut frames) = self.frames.try_recv() {
                while let Some(frame) = codec::split(&mut frames, limits::FRAME).unwrap() {
                    let message = ToReceiver::decode(frame, proto::Version::HIGHEST).unwrap();
                    self.operations += u64::from(message.is_operation());
                    self.content += match &message {
                        ToReceiver::Data { bytes, .. } => bytes.len() as u64,
                        ToReceiver::Put { content: Content::Inline(bytes), .. } => bytes.len() as u64,
                        _ => 0,
                    };
                    match message {
                        ToReceiver::Report(_) | ToReceiver::Problem { .. } | ToReceiver::Done(_) => {
                            self.told.push(message)
                        }
                        message => heard.push((self.operations, message)),
                    }
                }
            }
            match step {
                Step::Worked => {}
                Step::Idle(due) => {
                    self.due = due;
                    return Ok(heard);
                }
                Step::Ended(ended) => return Err(ended),
            }
        }
    }

    /// Tells it something, which it takes.
    pub fn says(&mut self, message: &ToSender) -> Result<Vec<(u64, ToReceiver)>, Ended> {
        self.says_raw(frame(message))
    }

    /// The same, of bytes that need not be a message.
    pub fn says_raw(&mut self, bytes: bytes::Bytes) -> Result<Vec<(u64, ToReceiver)>, Ended> {
        self.answers.try_send(bytes).expect("it does not take what it is told");
        self.hears()
    }
}
