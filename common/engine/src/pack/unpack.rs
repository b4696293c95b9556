//! The way back: frames out of the stream that a [`Packer`](super::Packer) has made. It knows how much memory that takes, and
//! takes none while no zstd frame is open.

use std::io;

use bytes::Bytes;
use proto::limits::PACKED_WINDOW;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// Gives back the frames that a [`Packer`](super::Packer) has compressed. It reads the parts of one stream in order.
pub(crate) struct Unpacker {
    /// While a zstd frame is open.
    decoder: Option<Decoder<'static>>,
    /// Bytes that the open frame has given.
    given: u64,
    /// The largest window that a frame may have, as a power of two.
    window: u8,
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").field("window", &self.window).finish_non_exhaustive()
    }
}

impl Default for Unpacker {
    fn default() -> Unpacker {
        Unpacker { decoder: None, given: 0, window: PACKED_WINDOW }
    }
}

impl Unpacker {
    /// Exactly `length` bytes of frames, at most [`PACKED`](proto::limits::PACKED). None at all end the zstd frame.
    ///
    /// # Errors
    /// When the bytes are no part of a stream, or hold less or more, in words for the peer.
    pub fn unpack(&mut self, length: u32, bytes: &[u8]) -> Result<Bytes, String> {
        let wrong = |error: io::Error| format!("sent compressed frames that cannot be read: {error}");
        let mut open = self.is_open();
        if length == 0 && !open {
            return Err("sent compressed frames that are none".to_owned());
        }
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            None => {
                let mut decoder = Decoder::new().map_err(wrong)?;
                decoder.set_parameter(DParameter::WindowLogMax(self.window.into())).map_err(wrong)?;
                self.decoder.insert(decoder)
            }
        };
        // One byte more than there may be, so that it shows.
        let mut frames = vec![0; length as usize + 1];
        let mut written = OutBuffer::around(&mut frames[..]);
        let mut read = InBuffer::around(bytes);
        loop {
            let before = (read.pos(), written.pos());
            let left = decoder.run(&mut read, &mut written).map_err(wrong)?;
            if written.pos() > length as usize || (read.pos(), written.pos()) == before {
                break;
            }
            open = left > 0;
            self.given = if open { self.given + (written.pos() - before.1) as u64 } else { 0 };
        }
        if read.pos() < bytes.len() || written.pos() != length as usize {
            return Err(format!("sent compressed frames that are not the {length} bytes that they say"));
        }
        if open && length == 0 {
            return Err("sent compressed frames that are none, and go on".to_owned());
        }
        if !open {
            self.decoder = None;
        }
        frames.truncate(length as usize);
        Ok(frames.into())
    }

    /// Whether a zstd frame is open: it holds what its window takes.
    pub fn is_open(&self) -> bool {
        self.decoder.is_some()
    }

    /// Bytes that the zstd frame that is open has given so far.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// The largest window that a zstd frame may have by now, as a power of two.
    pub fn window(&self) -> u8 {
        self.window
    }

    /// The zstd frames that follow have at most this window.
    ///
    /// # Errors
    /// While one is open, in words for the peer.
    pub fn windowed(&mut self, log: u8) -> Result<(), String> {
        if self.is_open() {
            return Err("changed its window within compressed frames".to_owned());
        }
        self.window = log;
        Ok(())
    }
}
