//! The sender's way out: messages into a buffer, full buffers to the link.

use std::mem;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proto::codec::{self, Buffers};
use proto::{ToReceiver, limits};

use super::Lost;
use crate::channel::{BUFFER, OUTBOX, Outbox};
use crate::mirror::Mirror;
use crate::pack::{Compress, Packer};

/// Room in a buffer: it leaves when it holds [`BUFFER`], which the last frame may have exceeded.
const ROOM: usize = BUFFER + limits::DATA + 1024;

/// A buffer of frames before an [`Outbox`].
pub(super) struct Wire {
    outbox: Outbox,
    packer: Packer,
    buffers: Buffers,
    pub buffer: BytesMut,
}

impl Wire {
    pub fn new(outbox: Outbox, compress: Compress) -> Wire {
        let buffers = Buffers::new(ROOM, OUTBOX + 4);
        Wire { outbox, packer: Packer::new(compress), buffers, buffer: BytesMut::with_capacity(ROOM) }
    }

    /// Adds a frame. It leaves with [`flush`](Wire::flush), or when the buffer is full.
    pub fn put(&mut self, message: &ToReceiver, mirror: &Mirror) -> Result<(), Lost> {
        codec::put(message, &mut self.buffer);
        self.added(mirror)
    }

    /// A frame was written to the buffer.
    pub fn added(&mut self, mirror: &Mirror) -> Result<(), Lost> {
        if self.buffer.len() >= BUFFER { self.flush(mirror) } else { Ok(()) }
    }

    /// Hands on what is there; waits while the link has enough.
    pub fn flush(&mut self, mirror: &Mirror) -> Result<(), Lost> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.buffer.len() < BUFFER / 16 {
            self.buffers.quiet();
        }
        let parts = self.packer.pack(self.buffer.split().freeze());
        if self.buffer.capacity() < ROOM / 2 {
            self.buffer = self.buffers.next(mem::take(&mut self.buffer), ROOM);
        }
        parts.into_iter().try_for_each(|frames| self.hand_on(frames, mirror))
    }

    fn hand_on(&mut self, frames: Bytes, mirror: &Mirror) -> Result<(), Lost> {
        mirror.sent.wire_bytes.fetch_add(frames.len() as u64, Ordering::Relaxed);
        let bytes = frames.len();
        let (room, before) = (self.outbox.capacity(), self.outbox.max_capacity() - self.outbox.capacity());
        let began = (room == 0).then(Instant::now);
        let sent = self.outbox.blocking_send(frames);
        self.packer.left(bytes, before, began.map_or(Duration::ZERO, |began| began.elapsed()));
        sent.map_err(|_| Lost)
    }
}
