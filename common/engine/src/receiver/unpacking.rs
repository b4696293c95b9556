//! The compressed frames of a session, and the memory that they take: who compresses much is granted a larger window, where
//! there is memory, and gives it back when it is quiet or when others wait for that memory.
//!
//! No timer: a sender that is quiet ends its zstd frame. A window that is asked for is reserved until the sender has said what
//! it makes of that, so nothing depends on what crosses on the way.

use bytes::Bytes;
use proto::limits::{PACKED_WINDOW, WINDOWS};

use super::memory::{Charge, Retained};
use crate::pack::Unpacker;

/// The window that is granted, as a power of two: more helps few trees.
const LARGE: u8 = *WINDOWS.end();
/// Bytes out of one zstd frame after which a larger window is worth to be granted: it has more coming.
const MUCH: u64 = 64 * 1024;
/// What a decoder holds beside its window, in bytes: its tables, a block, what it reads into.
const DECODER: usize = 512 * 1024;

#[derive(Debug, Default)]
pub(super) struct Unpacking {
    unpacker: Unpacker,
    /// For the decoder, while a zstd frame is open.
    decoder: Charge,
    /// For a larger window, from when it is granted until the sender has let go of it.
    large: Charge,
    /// The window that the sender was told last, while it has not answered.
    asked: Option<u8>,
}

impl Unpacking {
    /// The frames in one `Packed`, and the window that the sender is to be told, if any.
    ///
    /// # Errors
    /// A breach of the protocol, in words that follow on "the peer".
    pub(super) fn unpack(
        &mut self,
        length: u32,
        bytes: &[u8],
        retained: &Retained,
    ) -> Result<(Bytes, Option<u8>), String> {
        let before = self.unpacker.is_open();
        let frames = self.unpacker.unpack(length, bytes)?;
        match (before, self.unpacker.is_open()) {
            (false, true) => self.decoder = retained.extra_anyway((1 << PACKED_WINDOW) + DECODER),
            (true, false) => self.decoder = Charge::default(),
            _ => {}
        }
        let tell = if self.asked.is_none() { self.changed(retained) } else { None };
        self.asked = self.asked.or(tell);
        Ok((frames, tell))
    }

    /// The window that the sender is to have from now on, where that is another.
    fn changed(&mut self, retained: &Retained) -> Option<u8> {
        if self.unpacker.window() > PACKED_WINDOW {
            return (!self.unpacker.is_open() || retained.others_wait()).then_some(PACKED_WINDOW);
        }
        if self.unpacker.given() < MUCH || retained.others_wait() {
            return None;
        }
        self.large = retained.try_extra((1 << LARGE) - (1 << PACKED_WINDOW))?;
        Some(LARGE)
    }

    /// The sender says which window it makes of what it was told.
    ///
    /// # Errors
    /// A breach of the protocol, in words that follow on "the peer".
    pub(super) fn windowed(&mut self, log: u8) -> Result<(), String> {
        let Some(asked) = self.asked.take() else {
            return Err("changed its window unasked".to_owned());
        };
        if log > asked {
            return Err(format!("takes a window of 2^{log} bytes where 2^{asked} were granted"));
        }
        self.unpacker.windowed(log)?;
        self.large.becomes((1 << log) - (1 << PACKED_WINDOW));
        Ok(())
    }
}
