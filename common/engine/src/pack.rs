//! Frames of a sender, compressed: runs of them as parts of one stream, so that what came before helps with what
//! comes next. Whether it pays is found out from the content and from how fast the link takes it.
//!
//! What came before takes memory on both sides. A larger window than the usual is the receiver's to grant, and a sender that is
//! quiet for a moment ends its zstd frame: then neither side holds anything.

mod pace;
mod unpack;

use std::io;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proto::codec::LENGTH;
use proto::limits::{FRAME, PACKED, PACKED_WINDOW};
use proto::{ToReceiver, codec};
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};

use crate::clock::Clock;
use pace::Pace;
pub(crate) use unpack::Unpacker;

/// When frames are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compress {
    /// Where the link is slower than compressing, as much as there is time for.
    #[default]
    Auto,
    /// All travels as it is.
    Off,
    /// Always, with this level of zstd, 1 to 19.
    Level(i32),
}

/// Frames that are together smaller than this are sent as they are.
const LEAST: usize = 512;
/// Bytes in a row that have not got smaller, after which large frames are tried before they are compressed. Until then
/// they are compressed without: what has no pattern in itself may be there twice, as in trees of packages.
const BARREN: usize = 8 * 1024 * 1024;
/// A frame of this many bytes is large. Smaller ones are compressed untried: their paths and metadata alone are worth it.
const LARGE: usize = 16 * 1024;
/// A large frame is tried by samples: so many bytes in the middle of each [`SAMPLED`] bytes. It is compressed if one of them
/// gets smaller than [`PAYS`] of its size.
const SAMPLE: usize = 4 * 1024;
const SAMPLED: usize = 64 * 1024;
const PAYS: f64 = 0.9;
/// How long nothing is compressed before the zstd frame ends.
const QUIET: Duration = Duration::from_secs(1);

/// Compresses what a sender gives out, frames in and frames out.
pub(crate) struct Packer {
    compress: Compress,
    clock: Clock,
    /// The level for [`Compress::Auto`].
    pace: Pace,
    /// The zstd frame that is begun. Each run is flushed.
    open: Option<Open>,
    /// The window of the frames that follow, as the receiver was told.
    window: u8,
    /// The largest that it allows since it was asked last, and when that was, while it has no answer.
    allowed: Option<(u8, Instant)>,
    /// A zstd frame can neither go on nor be ended.
    broken: bool,
    trial: zstd::bulk::Compressor<'static>,
    /// Bytes that have been compressed since the last that got smaller.
    barren: usize,
}

/// A zstd frame that is begun.
struct Open {
    level: i32,
    encoder: Encoder<'static>,
    /// When something was added to it last.
    used: Instant,
}

impl Open {
    fn end(mut self, out: &mut OutBuffer<'_, [u8]>) -> io::Result<()> {
        while self.encoder.finish(out, true)? > 0 {}
        Ok(())
    }
}

impl Packer {
    pub fn new(compress: Compress, clock: Clock) -> Packer {
        // Level 1 exists: an encoder that cannot be made here could not be made later.
        let trial = zstd::bulk::Compressor::new(1).unwrap_or_default();
        let (pace, window) = (Pace::new(clock.now()), PACKED_WINDOW);
        Packer { compress, pace, clock, open: None, window, allowed: None, broken: false, trial, barren: BARREN }
    }

    /// A buffer of `bytes` has left, with so many before it, and after so long a wait for room.
    pub fn left(&mut self, bytes: usize, before: usize, wait: Duration) {
        if self.compress == Compress::Auto {
            self.pace.left(bytes, before, wait, self.clock.now());
        }
    }

    /// Whole frames as they are to travel, in order: compressed where they get smaller, the others as they are.
    pub fn pack(&mut self, frames: Bytes) -> Vec<Bytes> {
        if self.level().is_none() {
            return vec![frames];
        }
        let runs = self.runs(frames);
        runs.into_iter().map(|(run, pays)| if pays { self.packed(run) } else { run }).collect()
    }

    /// The receiver allows zstd frames with such a window from now on, and waits for an answer.
    pub fn allow(&mut self, log: u8) {
        if !self.broken {
            self.allowed = Some((log, self.clock.now()));
        }
    }

    /// When [`rest`](Packer::rest) has something to say, if nothing is packed until then.
    pub fn due(&self) -> Option<Instant> {
        let asked = self.allowed.map(|(log, asked)| if log < self.window { asked } else { asked + QUIET });
        asked.into_iter().chain(self.open.as_ref().map(|open| open.used + QUIET)).min()
    }

    /// What is to be sent before all that is packed next: a zstd frame ends that nothing was added to for a while, or whose
    /// window is too large by now.
    pub fn rest(&mut self) -> Option<Bytes> {
        let due = self.due()?;
        (self.clock.now() >= due).then(|| self.end(PACKED_WINDOW)).flatten()
    }

    /// Ends the frame that is open. The receiver that asked hears that those that follow have this window.
    fn end(&mut self, window: u8) -> Option<Bytes> {
        let mut buffer = BytesMut::new();
        if let Some(open) = self.open.take() {
            let mut out = [0; 64];
            let mut written = OutBuffer::around(&mut out[..]);
            if let Err(error) = open.end(&mut written) {
                self.give_up(&error);
                return None;
            }
            let length = written.pos();
            codec::put(&ToReceiver::Packed { length: 0, bytes: Bytes::copy_from_slice(&out[..length]) }, &mut buffer);
        }
        if self.allowed.take().is_some() {
            self.window = window;
            codec::put(&ToReceiver::Windowed { log: window }, &mut buffer);
        }
        Some(buffer.freeze())
    }

    /// The stream cannot be continued, and cannot be ended.
    fn give_up(&mut self, error: &io::Error) {
        tracing::warn!(%error, "cannot compress, and does not try again on this connection");
        (self.compress, self.broken) = (Compress::Off, true);
        (self.open, self.allowed) = (None, None);
    }

    fn level(&self) -> Option<i32> {
        match self.compress {
            Compress::Off => None,
            Compress::Level(level) => Some(level),
            Compress::Auto => self.pace.level(),
        }
    }

    /// Frames in a row of which all get smaller, or none does.
    fn runs(&mut self, mut frames: Bytes) -> Vec<(Bytes, bool)> {
        let mut runs: Vec<(usize, bool)> = Vec::new();
        let mut rest = frames.clone();
        while let Ok(Some(frame)) = codec::split(&mut rest, FRAME) {
            let pays = frame.len() < LARGE || self.barren < BARREN || self.pays(&frame);
            let pays = pays && !codec::is_never_packed(&frame);
            match runs.last_mut() {
                Some((length, same)) if *same == pays => *length += LENGTH + frame.len(),
                _ => runs.push((LENGTH + frame.len(), pays)),
            }
        }
        debug_assert!(rest.is_empty(), "not whole frames");
        runs.into_iter().map(|(length, pays)| (frames.split_to(length), pays)).collect()
    }

    /// Whether a sample of the content gets smaller.
    fn pays(&mut self, frame: &[u8]) -> bool {
        frame.chunks(SAMPLED).any(|part| {
            let middle = part.len().saturating_sub(SAMPLE) / 2;
            let sample = &part[middle..part.len().min(middle + SAMPLE)];
            let packed = self.trial.compress(sample).map_or(usize::MAX, |packed| packed.len());
            (packed as f64) < PAYS * sample.len() as f64
        })
    }

    fn packed(&mut self, frames: Bytes) -> Bytes {
        let Some(level) = self.level().filter(|_| (LEAST..=PACKED).contains(&frames.len())) else {
            return frames;
        };
        let began = self.clock.now();
        let encoded = self.encode(&frames, level);
        self.pace.compressed(self.clock.since(began));
        match encoded {
            Ok(packed) => {
                let pays = (packed.len() as f64) < PAYS * frames.len() as f64;
                self.barren = if pays { 0 } else { self.barren + frames.len() };
                packed
            }
            Err(error) => {
                self.give_up(&error);
                frames
            }
        }
    }

    fn encode(&mut self, frames: &[u8], level: i32) -> io::Result<Bytes> {
        let before = self.allowed.and_then(|(log, _)| self.end(log)).unwrap_or_default();
        let mut out = vec![0; zstd::zstd_safe::compress_bound(frames.len()) + 64];
        let mut written = OutBuffer::around(&mut out[..]);
        // What is begun with one level cannot go on with another.
        if let Some(begun) = self.open.take_if(|open| open.level != level) {
            begun.end(&mut written)?;
        }
        let used = self.clock.now();
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let mut encoder = Encoder::new(level)?;
                encoder.set_parameter(CParameter::WindowLog(self.window.into()))?;
                self.open.insert(Open { level, encoder, used })
            }
        };
        open.used = used;
        let mut read = InBuffer::around(frames);
        while read.pos() < frames.len() {
            open.encoder.run(&mut read, &mut written)?;
        }
        while open.encoder.flush(&mut written)? > 0 {}
        let length = written.pos();
        out.truncate(length);
        let mut buffer = BytesMut::with_capacity(before.len() + length + 16);
        buffer.extend_from_slice(&before);
        // Bounded by [`PACKED`].
        codec::put(&ToReceiver::Packed { length: frames.len() as u32, bytes: out.into() }, &mut buffer);
        Ok(buffer.freeze())
    }
}

#[cfg(test)]
mod tests;
