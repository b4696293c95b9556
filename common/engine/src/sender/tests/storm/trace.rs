//! What happened in a round: operations (`DO`), hints as they arrive (`HINT`), what the sender looks at (`SELF`), operations
//! on the wire with their numbers (`SEND`) and answers (`HEAR`).

use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use proto::{Time, ToReceiver, ToSender};

use crate::clock::Clock;
use crate::hint::Hint;
use crate::pack::Unpacker;

/// What happened, in order, in this round.
#[derive(Clone)]
pub struct Trace {
    lines: Arc<Mutex<Vec<(Instant, String)>>>,
    clock: Clock,
    /// Whether anybody will read it.
    pub on: bool,
}

impl Trace {
    pub fn new(clock: Clock) -> Trace {
        Trace { lines: Arc::default(), clock, on: true }
    }

    pub fn say(&self, what: impl FnOnce() -> String) {
        if self.on {
            self.say_at(self.clock.now(), what());
        }
    }

    /// Something that began at this moment.
    pub fn say_at(&self, at: Instant, what: String) {
        self.lines.lock().unwrap().push((at, what));
    }

    /// What the sender says of itself, as lines of this.
    pub fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        let trace = self.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || trace.clone())
            .with_ansi(false)
            .without_time()
            .with_level(false)
            .with_target(false)
            .finish()
    }

    pub fn clear(&self) {
        self.lines.lock().unwrap().clear();
    }

    /// All of it, with milliseconds since `began`.
    pub fn lines(&self, began: Instant) -> String {
        let mut lines = self.lines.lock().unwrap().clone();
        lines.sort_by_key(|(at, _)| *at);
        let line = |(at, line): (Instant, String)| {
            format!("{:>9.3} {line}\n", at.saturating_duration_since(began).as_secs_f64() * 1000.0)
        };
        lines.into_iter().map(line).collect()
    }
}

impl std::io::Write for Trace {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.say(|| format!("SELF {}", String::from_utf8_lossy(bytes).trim_end()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn shown_hint(hint: &Hint) -> String {
    match hint {
        Hint::Entry { path, cause } => format!("entry {path} {cause:?}"),
        Hint::Folder { path } => format!("folder {path}"),
        Hint::Subtree { path } => format!("subtree {path}"),
        Hint::Renamed { from, to, .. } => format!("renamed {from} -> {to}"),
    }
}

pub fn shown_frames(frames: &Bytes, unpacker: &mut Unpacker, ops: &mut u64, trace: &Trace) {
    let mut frames = frames.clone();
    while let Ok(Some(frame)) = proto::codec::split(&mut frames, proto::limits::FRAME) {
        let Ok(message) = ToReceiver::decode(frame, proto::Version::HIGHEST) else { continue };
        if let ToReceiver::Packed { length, bytes } = &message {
            let frames = unpacker.unpack(*length, bytes).unwrap();
            shown_frames(&frames, unpacker, ops, trace);
            continue;
        }
        if let ToReceiver::Windowed { log } = &message {
            unpacker.windowed(*log).unwrap();
        }
        *ops += u64::from(message.is_operation());
        let text = match &message {
            ToReceiver::Put { path, .. } => format!("put {path}"),
            ToReceiver::Make { path, .. } => format!("make {path}"),
            ToReceiver::Mend { path, .. } => format!("mend {path}"),
            ToReceiver::Offer { path, .. } => format!("offer {path}"),
            ToReceiver::Compare { path, .. } => format!("compare {path}"),
            ToReceiver::List { path, after } => format!("list {path} behind {after:?}"),
            ToReceiver::Data { id, offset, bytes } => format!("data {id} {} bytes at {offset}", bytes.len()),
            other => format!("{other:?}"),
        };
        trace.say(|| format!("SEND {ops} {text}"));
    }
}

pub fn shown_answers(frames: &Bytes, trace: &Trace) {
    let mut frames = frames.clone();
    while let Ok(Some(frame)) = proto::codec::split(&mut frames, proto::limits::FRAME) {
        match ToSender::decode(frame, proto::Version::HIGHEST) {
            Ok(ToSender::Listing { op, entries, .. }) => {
                let names: Vec<_> = entries.iter().map(|entry| entry.name.to_string()).collect();
                trace.say(|| format!("HEAR listing {op} {names:?}"));
            }
            Ok(other) => trace.say(|| format!("HEAR {other:?}")),
            Err(_) => {}
        }
    }
}

/// The same frames without the times of this run: where a disk fails, a folder may keep the mtime of the moment.
pub fn without_moments(frames: &Bytes) -> Bytes {
    const WORLDS: i64 = 1_700_000_000;
    let (mut frames, mut same) = (frames.clone(), BytesMut::new());
    while let Ok(Some(frame)) = proto::codec::split(&mut frames, proto::limits::FRAME) {
        let Ok(mut message) = ToSender::decode(frame, proto::Version::HIGHEST) else { continue };
        if let ToSender::Listing { entries, .. } = &mut message {
            entries
                .iter_mut()
                .filter(|entry| entry.mtime.secs > WORLDS)
                .for_each(|entry| entry.mtime = Time::default());
        }
        proto::codec::put(&message, &mut same);
    }
    same.freeze()
}
