//! Frames of a sender, compressed: runs of them as parts of one stream, so that what came before helps with what
//! comes next. Whether it pays is found out from the content and from how fast the link takes it.

mod pace;

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::codec::LENGTH;
use proto::limits::{FRAME, PACKED, PACKED_WINDOW};
use proto::{ToReceiver, codec};
use zstd::stream::raw::{CParameter, DParameter, Decoder, Encoder, InBuffer, Operation, OutBuffer};

use crate::clock::Clock;
use pace::Pace;

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

/// Compresses what a sender gives out, frames in and frames out.
pub(crate) struct Packer {
    compress: Compress,
    clock: Clock,
    /// The level for [`Compress::Auto`].
    pace: Pace,
    /// The stream that is begun, and its level. Its end never comes: each run is flushed.
    encoder: Option<(i32, Encoder<'static>)>,
    trial: zstd::bulk::Compressor<'static>,
    /// Bytes that have been compressed since the last that got smaller.
    barren: usize,
}

impl Packer {
    pub fn new(compress: Compress, clock: Clock) -> Packer {
        // Level 1 exists: an encoder that cannot be made here could not be made later.
        let trial = zstd::bulk::Compressor::new(1).unwrap_or_default();
        Packer { compress, pace: Pace::new(clock.now()), clock, encoder: None, trial, barren: BARREN }
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
                // The stream cannot be continued.
                tracing::warn!(%error, "cannot compress, and does not try again on this connection");
                self.compress = Compress::Off;
                frames
            }
        }
    }

    fn encode(&mut self, frames: &[u8], level: i32) -> io::Result<Bytes> {
        let mut out = vec![0; zstd::zstd_safe::compress_bound(frames.len()) + 64];
        let mut written = OutBuffer::around(&mut out[..]);
        if let Some((begun, encoder)) = &mut self.encoder
            && *begun != level
        {
            // What is begun with one level cannot go on with another.
            while encoder.finish(&mut written, true)? > 0 {}
            self.encoder = None;
        }
        let (_, encoder) = match &mut self.encoder {
            Some(encoder) => encoder,
            None => {
                let mut encoder = Encoder::new(level)?;
                encoder.set_parameter(CParameter::WindowLog(PACKED_WINDOW))?;
                self.encoder.insert((level, encoder))
            }
        };
        let mut read = InBuffer::around(frames);
        while read.pos() < frames.len() {
            encoder.run(&mut read, &mut written)?;
        }
        while encoder.flush(&mut written)? > 0 {}
        let length = written.pos();
        out.truncate(length);
        let mut buffer = BytesMut::with_capacity(length + 16);
        // Bounded by [`PACKED`].
        codec::put(&ToReceiver::Packed { length: frames.len() as u32, bytes: out.into() }, &mut buffer);
        Ok(buffer.freeze())
    }
}

/// Gives back the frames that a [`Packer`] has compressed. It reads the parts of one stream in order.
#[derive(Default)]
pub(crate) struct Unpacker {
    decoder: Option<Decoder<'static>>,
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

impl Unpacker {
    /// Exactly `length` bytes of frames, at most [`PACKED`].
    ///
    /// # Errors
    /// When the bytes are no part of a stream, or hold less or more, in words for the peer.
    pub fn unpack(&mut self, length: u32, bytes: &[u8]) -> Result<Bytes, String> {
        let wrong = |error: io::Error| format!("sent compressed frames that cannot be read: {error}");
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            None => {
                let mut decoder = Decoder::new().map_err(wrong)?;
                decoder.set_parameter(DParameter::WindowLogMax(PACKED_WINDOW)).map_err(wrong)?;
                self.decoder.insert(decoder)
            }
        };
        // One byte more than there may be, so that it shows.
        let mut frames = vec![0; length as usize + 1];
        let mut written = OutBuffer::around(&mut frames[..]);
        let mut read = InBuffer::around(bytes);
        loop {
            let before = (read.pos(), written.pos());
            decoder.run(&mut read, &mut written).map_err(wrong)?;
            if written.pos() > length as usize || (read.pos(), written.pos()) == before {
                break;
            }
        }
        if read.pos() < bytes.len() || written.pos() != length as usize {
            return Err(format!("sent compressed frames that are not the {length} bytes that they say"));
        }
        frames.truncate(length as usize);
        Ok(frames.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One frame, of so many bytes.
    fn frame(length: usize, text: bool) -> Bytes {
        let mut rng = fastrand::Rng::with_seed(length as u64);
        let content = (LENGTH..length).map(|_| if text { b'a' + rng.u8(..16) } else { rng.u8(..) });
        ((length - LENGTH) as u32).to_le_bytes().into_iter().chain(content).collect()
    }

    /// What becomes of frames that travel as one.
    fn pack(packer: &mut Packer, frames: Bytes) -> Bytes {
        let mut parts = packer.pack(frames);
        assert_eq!(parts.len(), 1);
        parts.remove(0)
    }

    fn unpacked(unpacker: &mut Unpacker, packed: Bytes) -> Result<Bytes, String> {
        let frame = codec::split(&mut packed.clone(), proto::limits::FRAME).unwrap().unwrap();
        let Ok(ToReceiver::Packed { length, bytes }) = ToReceiver::decode(frame, proto::Version::HIGHEST) else {
            panic!("not packed")
        };
        unpacker.unpack(length, &bytes)
    }

    #[test]
    fn what_is_packed_comes_out_again_and_what_came_before_helps() {
        for level in [1, 9, 19] {
            let (mut packer, mut unpacker) =
                (Packer::new(Compress::Level(level), Clock::system()), Unpacker::default());
            let mut lengths = Vec::new();
            for length in [LEAST, 5000, 300_000, 300_000, PACKED] {
                let plain = frame(length, true);
                let packed = pack(&mut packer, plain.clone());
                lengths.push(packed.len());
                assert!(unpacked(&mut unpacker, packed) == Ok(plain));
            }
            assert!(lengths[2] < 200_000, "{lengths:?}");
            assert!(level == 1 || lengths[3] < 20_000, "the same again: {lengths:?}");
        }
    }

    #[test]
    fn what_gets_no_smaller_or_is_small_leaves_as_it_is() {
        let mut packer = Packer::new(Compress::Level(3), Clock::system());
        for plain in [frame(300_000, false), frame(LEAST - 1, true), frame(PACKED + 1, true)] {
            assert!(packer.pack(plain.clone()) == [plain]);
        }
        // And is no part of the stream.
        let text = frame(300_000, true);
        assert!(unpacked(&mut Unpacker::default(), pack(&mut packer, text.clone())) == Ok(text));
        let mut off = Packer::new(Compress::Off, Clock::system());
        assert!(off.pack(frame(5000, true)) == [frame(5000, true)]);
    }

    #[test]
    fn frames_that_get_smaller_are_parted_from_those_that_do_not() {
        let mut packer = Packer::new(Compress::Level(1), Clock::system());
        let [small, text, noise] = [frame(LARGE / 2, false), frame(100_000, true), frame(90_000, false)];
        let parts = packer.pack([&small[..], &text, &noise, &noise, &text].concat().into());
        let mut unpacker = Unpacker::default();
        assert_eq!(parts.len(), 3);
        assert!(unpacked(&mut unpacker, parts[0].clone()) == Ok([&small[..], &text].concat().into()));
        assert!(parts[1] == [&noise[..], &noise].concat());
        assert!(unpacked(&mut unpacker, parts[2].clone()) == Ok(text));
    }

    #[test]
    fn what_has_no_pattern_is_found_again_until_nothing_gets_smaller_for_long() {
        let mut packer = Packer::new(Compress::Level(1), Clock::system());
        let noise = |more: usize| frame(300_000 + more, false);
        pack(&mut packer, frame(5000, true));
        assert!(pack(&mut packer, noise(0)).len() > 299_000);
        assert!(pack(&mut packer, noise(0)).len() < 1000, "the same again");
        let compressed = (1..100).take_while(|more| pack(&mut packer, noise(*more)) != noise(*more)).count();
        assert_eq!(compressed, BARREN.div_ceil(300_000));
        pack(&mut packer, frame(5000, true));
        assert!(pack(&mut packer, noise(0)) != noise(0));
    }

    #[test]
    fn a_stream_goes_on_through_changes_of_level() {
        let mut packer = Packer::new(Compress::Auto, Clock::system());
        let mut unpacker = Unpacker::default();
        for level in [1, 3, 3, 9, 1] {
            packer.compress = Compress::Level(level);
            let text = frame(20_000, true);
            assert!(unpacked(&mut unpacker, pack(&mut packer, text.clone())) == Ok(text), "{level}");
        }
    }

    #[test]
    fn no_stream_gives_more_or_less_than_it_says() {
        let text = frame(100_000, true);
        let packed = pack(&mut Packer::new(Compress::Level(1), Clock::system()), text);
        let frame = codec::split(&mut packed.clone(), proto::limits::FRAME).unwrap().unwrap();
        let Ok(ToReceiver::Packed { length, bytes }) = ToReceiver::decode(frame, proto::Version::HIGHEST) else {
            panic!("not packed")
        };
        for wrong in [1, length - 1, length + 1, PACKED as u32] {
            assert!(Unpacker::default().unpack(wrong, &bytes).is_err(), "{wrong}");
        }
        assert!(Unpacker::default().unpack(length, &bytes[..bytes.len() - 1]).is_err());
        assert!(Unpacker::default().unpack(length, b"no zstd at all").is_err());
        // A bomb: much more than it says, and a window that nobody has asked for.
        let bomb = zstd::bulk::compress(&vec![0; 1 << 30], 1).unwrap();
        assert!(Unpacker::default().unpack(900_000, &bomb).is_err());
        let mut wide = Encoder::new(1).unwrap();
        wide.set_parameter(CParameter::WindowLog(PACKED_WINDOW + 1)).unwrap();
        let (mut out, plain) = (vec![0; 1 << 20], vec![0; 1000]);
        let mut written = OutBuffer::around(&mut out[..]);
        wide.run(&mut InBuffer::around(&plain), &mut written).unwrap();
        wide.flush(&mut written).unwrap();
        let length = written.pos();
        assert!(Unpacker::default().unpack(1000, &out[..length]).is_err());
    }
}
