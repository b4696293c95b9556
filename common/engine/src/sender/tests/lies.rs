//! A receiver that lies: listings out of order and of names that nobody sent, receipts for what was never sent, too early or
//! backwards, answers to nothing, garbage. A sender ends with a violation or goes on. It never panics, never works without end
//! on what it was told, and never changes the source.
//!
//! `LIES_SEED` repeats one liar; `LIES_SECONDS` (3) is how long new ones are heard.

use bytes::Bytes;
use fastrand::Rng;
use proto::login::Refusal;
use proto::{Chunk, Device, Entry, Kind, Name, Outcome, Time, ToReceiver, ToSender, codec, limits};

use super::*;
use crate::pack::Unpacker;
use crate::workers::Step;

const RULES: Rules =
    Rules { settle: Duration::ZERO, open_settle: Duration::ZERO, open_max_delay: Duration::ZERO, holds: HOLDS };
/// Steps that follow from one lie, at most.
const STEPS: usize = 5_000;
/// Lies that one sender is told.
const LIES: usize = 300;

/// What the liar knows of the sender.
struct Liar {
    rng: Rng,
    unpacker: Unpacker,
    operations: u64,
    compares: Vec<u64>,
    /// Of those that ask for what is behind a name, the name.
    behind: std::collections::HashMap<u64, Name>,
    counts: Vec<u64>,
    /// What may be answered by a wish.
    offers: std::collections::HashSet<u64>,
    blobs: Vec<u32>,
    answered: std::collections::HashSet<u64>,
    upto: u64,
    /// It says what nobody asked for, or what cannot be, and is found out by that.
    wild: bool,
    durability: Durability,
}

impl Liar {
    fn hears(&mut self, mut frames: Bytes) {
        while let Some(frame) = codec::split(&mut frames, limits::FRAME).unwrap() {
            match ToReceiver::decode(frame, proto::Version::HIGHEST).unwrap() {
                ToReceiver::Packed { length, bytes } => {
                    let inner = self.unpacker.unpack(length, &bytes).unwrap();
                    self.hears(inner);
                }
                ToReceiver::Basis { id, .. } => self.blobs.push(id),
                message => {
                    self.operations += u64::from(message.is_operation());
                    match message {
                        ToReceiver::Compare { .. } => self.compares.push(self.operations),
                        ToReceiver::List { after, .. } => {
                            self.compares.push(self.operations);
                            self.behind.extend(after.map(|after| (self.operations, after)));
                        }
                        ToReceiver::Count { .. } => self.counts.push(self.operations),
                        ToReceiver::Offer { .. } => drop(self.offers.insert(self.operations)),
                        _ => {}
                    }
                }
            }
        }
    }

    /// One that is not acknowledged.
    fn any(&mut self) -> u64 {
        if self.wild { self.rng.u64(..self.operations + 3) } else { self.rng.u64(self.upto..=self.operations) }
    }

    fn number(&mut self) -> u64 {
        *self.rng.choice(&[0, 1, 7, 300_000, u64::from(u32::MAX), u64::MAX]).unwrap()
    }

    fn entries(&mut self) -> Vec<Entry> {
        let count = *self.rng.choice(&[0, 1, 3, 10, 2_000]).unwrap();
        let mut entries: Vec<_> = (0..count).map(|_| self.entry()).collect();
        if !self.wild {
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            entries.dedup_by(|a, b| a.name == b.name);
        }
        entries
    }

    fn entry(&mut self) -> Entry {
        let name = match self.rng.u8(..3) {
            0 => format!("never{}", self.rng.u32(..)),
            1 => "n".repeat(self.rng.usize(1..=255)),
            _ => (*self.rng.choice(&["a", "b", "d", "large", "linked"]).unwrap()).to_owned(),
        };
        let kinds = [Kind::File, Kind::Dir, Kind::Symlink, Kind::Fifo, Kind::Socket, Kind::CharDevice];
        Entry {
            name: Name::parse(name.as_bytes()).unwrap(),
            kind: *self.rng.choice(&kinds).unwrap(),
            size: if self.wild { self.number() } else { self.rng.u64(..1_000_000) },
            mode: self.rng.u32(..0o10000),
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            device: Device::default(),
            extra: [0; 16],
            inexact: self.rng.u8(..) == 0,
        }
    }

    fn outcome(&mut self) -> Outcome {
        let reason = "because".to_owned();
        match self.rng.u8(..7) {
            0 => Outcome::Want,
            1 => Outcome::Absent,
            2 => Outcome::Partly { reason },
            3 => Outcome::Refused { reason },
            4 => Outcome::Failed { reason },
            5 => Outcome::Full { reason },
            _ => Outcome::ReadOnly { reason },
        }
    }

    /// What it says of a question: of one that was put, if there is one.
    fn question(&mut self, asked: &[u64]) -> Option<u64> {
        let open: Vec<_> = asked.iter().copied().filter(|op| *op > self.upto).collect();
        if self.wild { Some(self.rng.u64(..self.operations + 3)) } else { self.rng.choice(&open).copied() }
    }

    fn message(&mut self) -> Option<ToSender> {
        let (compares, counts) = (self.compares.clone(), self.counts.clone());
        let blob = self.rng.choice(&self.blobs).copied().filter(|_| !self.blobs.is_empty() || self.wild);
        Some(match self.rng.u8(..40) {
            0..=7 if self.operations > 0 => {
                // Questions before it are answered.
                let open = compares.iter().chain(&counts).copied().filter(|op| *op > self.upto).min();
                self.upto = self.any().min(if self.wild { u64::MAX } else { open.map_or(u64::MAX, |op| op - 1) });
                match self.durability {
                    Durability::None => ToSender::Applied { upto: self.upto },
                    Durability::Batch => ToSender::Durable { upto: self.upto },
                }
            }
            8..=15 => {
                let op = self.any().max(self.upto + 1);
                let fresh = op <= self.operations && self.answered.insert(op);
                if !fresh && !self.wild {
                    return None;
                }
                let outcome = self.outcome();
                let fits = match outcome {
                    Outcome::Want => self.offers.contains(&op),
                    Outcome::Partly { .. } => !compares.contains(&op) && !counts.contains(&op),
                    _ => true,
                };
                if !fits && !self.wild {
                    return None;
                }
                self.compares.retain(|asked| *asked != op);
                self.counts.retain(|asked| *asked != op);
                ToSender::Outcome { op, outcome }
            }
            16..=25 => {
                let (op, mut entries) = (self.question(&compares)?, self.entries());
                if let Some(after) = self.behind.get(&op).filter(|_| !self.wild) {
                    entries.retain(|entry| entry.name > *after);
                }
                let last = self.rng.bool() || entries.is_empty();
                self.compares.retain(|asked| *asked != op);
                self.answered.insert(op);
                ToSender::Listing { op, entries, last }
            }
            26 => {
                let op = self.question(&compares)?;
                self.compares.retain(|asked| *asked != op);
                self.answered.insert(op);
                ToSender::NoFolder { op }
            }
            27..=33 => {
                let op = self.question(&counts)?;
                self.counts.retain(|asked| *asked != op);
                self.answered.insert(op);
                ToSender::Counted { op, entries: self.number() }
            }
            34..=36 => {
                let length = if self.wild { self.number() as u32 } else { 64 * 1024 };
                let chunks: Vec<_> = (0..self.rng.usize(..20)).map(|_| Chunk { length, digest: [1; 16] }).collect();
                ToSender::Signature { id: blob?, size: 1 << 30, chunks, last: self.rng.bool() }
            }
            37 if self.wild => ToSender::Copied { id: blob?, bytes: self.number() },
            38 if self.wild => ToSender::Bye { refusal: Refusal::Stopping },
            _ => ToSender::Pong,
        })
    }

    fn says(&mut self) -> Bytes {
        self.wild = self.rng.u8(..100) == 0;
        if self.wild && self.rng.u8(..4) == 0 {
            return (0..self.rng.usize(..100)).map(|_| self.rng.u8(..)).collect();
        }
        frame(&self.message().unwrap_or(ToSender::Pong))
    }
}

/// Moves it on until it waits. `Some` when it has ended.
fn work(session: &mut crate::sender::Session<'_>, sent: &mut mpsc::Receiver<Bytes>, liar: &mut Liar) -> Option<Ended> {
    for _ in 0..STEPS {
        let step = session.step();
        while let Ok(frames) = sent.try_recv() {
            liar.hears(frames);
        }
        match step {
            Step::Worked => {}
            Step::Idle(_) => return None,
            Step::Ended(ended) => return Some(ended),
        }
    }
    panic!("{STEPS} steps follow from one lie");
}

/// Whether it ended by a violation of the protocol, and after how many lies.
fn hear_lies(seed: u64) -> (bool, u64) {
    let mut rng = Rng::with_seed(seed);
    let mut pair = Pair::new();
    fs::create_dir(pair.here.join("d")).unwrap();
    for name in ["a", "b", "d/a"] {
        fs::write(pair.here.join(name), name).unwrap();
    }
    fs::write(pair.here.join("large"), vec![7; 2_000_000]).unwrap();
    fs::hard_link(pair.here.join("a"), pair.here.join("d/linked")).unwrap();
    let before = tree(&pair.here);
    let clock = Clock::manual();
    pair.options.workers = Workers::Inline;
    pair.mirror = Arc::new(Mirror::new(RULES, clock.clone()));
    let mut sender = pair.new_sender();
    let (mut violated, mut told) = (false, 0);
    for _ in 0..3 {
        pair.hint(Hint::Subtree { path: RelPath::root() });
        let (outbox, mut sent) = mpsc::channel(OUTBOX);
        let (answers, receipts) = answers(1, &pair.policy);
        let durability = if rng.bool() { Durability::Batch } else { Durability::None };
        let (keep, compress) = (Keep::DEFAULT, Compress::Off);
        let (unpacker, operations, upto) = (Unpacker::default(), 0, 0);
        let (compares, behind, counts, offers, blobs, answered) = Default::default();
        let mut liar = Liar {
            rng: rng.fork(),
            unpacker,
            operations,
            compares,
            behind,
            counts,
            offers,
            blobs,
            answered,
            upto,
            wild: false,
            durability,
        };
        let connection = Connection { outbox, receipts, keep, durability, compress, version: proto::Version::HIGHEST };
        let mut session = sender.begin(connection, Until::Stopped);
        for _ in 0..LIES {
            if let Some(ended) = work(&mut session, &mut sent, &mut liar) {
                violated |= matches!(ended, Ended::Violation(_));
                break;
            }
            clock.advance(Duration::from_millis(rng.u64(..400)));
            told += 1;
            answers.try_send(liar.says()).unwrap();
        }
        drop(session);
        pair.mirror.go_on();
        assert!(pair.mirror.pending().len() < 10_000, "{} pieces of work are owed", pair.mirror.pending().len());
    }
    assert_eq!(tree(&pair.here), before, "the source was changed");
    (violated, told)
}

#[test]
fn a_receiver_that_lies_neither_stops_a_sender_dead_nor_keeps_it_busy() {
    if let Ok(seed) = std::env::var("LIES_SEED") {
        hear_lies(seed.parse().unwrap());
        return;
    }
    let first = fastrand::u64(..1_000_000_000);
    let seconds = std::env::var("LIES_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let (began, mut heard, mut violated, mut told) = (std::time::Instant::now(), 0, 0, 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        let seed = first + heard;
        let result = std::panic::catch_unwind(|| hear_lies(seed));
        let (found_out, lies) = result.unwrap_or_else(|_| panic!("LIES_SEED={seed}"));
        (violated, told) = (violated + u64::from(found_out), told + lies);
        heard += 1;
    }
    assert!(violated > 0, "none of {heard} liars was found out, who told {told} lies");
}
