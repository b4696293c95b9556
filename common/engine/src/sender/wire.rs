//! The sender's way out: messages into a buffer, full buffers to the link. It never waits: what the link does not take is kept,
//! and the session hears what the peer says until that is gone.

use std::mem;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

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
    held_up: Option<HeldUp>,
}

/// What the link did not take at once.
struct HeldUp {
    since: Instant,
    bytes: usize,
    /// Buffers that waited before it.
    before: usize,
}

impl Wire {
    pub fn new(outlet: Outlet, compress: Compress, clock: Clock) -> Wire {
        let buffers = Buffers::new(ROOM, OUTBOX + 4);
        let packer = Packer::new(compress, clock.clone());
        Wire { outlet, clock, packer, buffers, buffer: BytesMut::with_capacity(ROOM), held_up: None }
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

    /// Hands on what is there, or keeps it while the link has enough.
    pub fn flush(&mut self, mirror: &Mirror) -> Result<(), Lost> {
        if let Some(frames) = self.packer.rest() {
            self.hand_on(frames, mirror)?;
        }
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
        let before = self.outlet.waiting();
        self.outlet.send(frames).map_err(|Closed| Lost)?;
        match &mut self.held_up {
            Some(held_up) => held_up.bytes += bytes,
            None if self.outlet.is_full() => self.held_up = Some(HeldUp { since: self.clock.now(), bytes, before }),
            None => self.packer.left(bytes, before, Duration::ZERO),
        }
        Ok(())
    }

    /// Hands on what was kept. Whether all of it is gone.
    pub fn hand_on_kept(&mut self) -> Result<bool, Lost> {
        if self.held_up.is_none() {
            return Ok(true);
        }
        if !self.outlet.flush().map_err(|Closed| Lost)? {
            return Ok(false);
        }
        if let Some(HeldUp { since, bytes, before }) = self.held_up.take() {
            self.packer.left(bytes, before, self.clock.since(since));
        }
        Ok(true)
    }

    /// When [`flush`](Wire::flush) has something to do, if nothing is put until then.
    pub fn due(&self) -> Option<Instant> {
        self.packer.due()
    }

    /// The peer allows compression such a window, as a power of two.
    pub fn allow_window(&mut self, log: u8) {
        self.packer.allow(log);
    }

    /// Whether the link has enough for now.
    pub fn is_full(&self) -> bool {
        self.held_up.is_some()
    }

    /// The way to the peer, which may be full.
    pub fn outlet(&self) -> &Outlet {
        &self.outlet
    }
}
