//! Outcomes, answers and receipts on their way to the outbox, in the order in which they were put in.

use bytes::{Bytes, BytesMut};
use proto::{Outcome, ToSender, codec};
use sys::Durable;

use super::over::Over;
use crate::channel::Outlet;

/// Bytes after which what has gathered is handed on.
const GATHERED: usize = 64 * 1024;
/// A frame of so many bytes goes by itself.
const LARGE: usize = GATHERED / 4;

#[derive(Debug)]
pub(super) struct Receipts {
    outlet: Outlet,
    buffer: BytesMut,
    /// What is not told yet, while something before it is not answered.
    held: Option<Held>,
}

/// Up to which operation the receipts would say so.
#[derive(Debug, Default)]
struct Held {
    applied: Option<u64>,
    durable: Option<u64>,
}

impl Receipts {
    pub(super) fn new(outlet: Outlet) -> Receipts {
        Receipts { outlet, buffer: BytesMut::new(), held: None }
    }

    pub(super) fn outcome(&mut self, op: u64, outcome: Outcome) -> Result<(), Over> {
        self.put(&ToSender::Outcome { op, outcome })
    }

    pub(super) fn counted(&mut self, op: u64, entries: u64) -> Result<(), Over> {
        self.put(&ToSender::Counted { op, entries })
    }

    pub(super) fn applied(&mut self, upto: u64) -> Result<(), Over> {
        match &mut self.held {
            Some(held) => held.applied = Some(upto),
            None => self.put(&ToSender::Applied { upto })?,
        }
        Ok(())
    }

    /// All up to this operation survives a power cut, which the proof says.
    pub(super) fn durable(&mut self, upto: u64, _proof: Durable) -> Result<(), Over> {
        match &mut self.held {
            Some(held) => held.durable = Some(upto),
            None => self.put(&ToSender::Durable { upto })?,
        }
        Ok(())
    }

    /// Keeps receipts until [`let_go`](Receipts::let_go): an operation has no answer yet.
    pub(super) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// All that was asked is answered.
    pub(super) fn let_go(&mut self) -> Result<(), Over> {
        let Some(Held { applied, durable }) = self.held.take() else { return Ok(()) };
        applied.map_or(Ok(()), |upto| self.put(&ToSender::Applied { upto }))?;
        durable.map_or(Ok(()), |upto| self.put(&ToSender::Durable { upto }))
    }

    /// A frame that was encoded elsewhere.
    pub(super) fn frame(&mut self, frame: Bytes) -> Result<(), Over> {
        if frame.len() >= LARGE {
            self.send()?;
            return self.outlet.send(frame).map_err(|_| Over);
        }
        self.buffer.extend_from_slice(&frame);
        self.bound()
    }

    fn put(&mut self, message: &ToSender) -> Result<(), Over> {
        codec::put(message, &mut self.buffer);
        self.bound()
    }

    fn bound(&mut self) -> Result<(), Over> {
        if self.buffer.len() >= GATHERED { self.send() } else { Ok(()) }
    }

    /// Hands on what has gathered. Waits while the outbox is full.
    pub(super) fn send(&mut self) -> Result<(), Over> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.outlet.send(self.buffer.split().freeze()).map_err(|_| Over)
    }
}
