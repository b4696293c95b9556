//! The sender's way out: messages into a buffer, full buffers to the link.

use std::mem;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::codec::{self, Buffers};
use proto::{ToReceiver, limits};

use super::Lost;
use crate::channel::{BUFFER, Closed, OUTBOX, Outlet};
use crate::clock::Clock;
use crate::mirror::Mirror;
use crate::pack::{Compress, Packer};

/// Room in a buffer: it leaves when it holds [`BUFFER`], which the last frame may have exceeded.
const ROOM: usize = BUFFER + limits::DATA + 1024;

/// A buffer of frames before an [`Outlet`].
pub(super) struct Wire {
    outlet: Outlet,
    clock: Clock,
    packer: Packer,
    buffers: Buffers,
    pub buffer: BytesMut,
}

impl Wire {
    pub fn new(outlet: Outlet, compress: Compress, clock: Clock) -> Wire {
        let buffers = Buffers::new(ROOM, OUTBOX + 4);
        let packer = Packer::new(compress, clock.clone());
        Wire { outlet, clock, packer, buffers, buffer: BytesMut::with_capacity(ROOM) }
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
        let (before, room) = self.outlet.waiting();
        let began = (!room).then(|| self.clock.now());
        let sent = self.outlet.send(frames);
        self.packer.left(bytes, before, began.map_or(Duration::ZERO, |began| self.clock.since(began)));
        sent.map_err(|Closed| Lost)
    }

    /// The way to the peer, which may be full.
    pub fn outlet(&self) -> &Outlet {
        &self.outlet
    }
}
