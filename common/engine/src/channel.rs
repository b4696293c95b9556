//! The two ends of a connection as a role sees them: whole frames out, whole frames in. `link` moves the bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use proto::codec::{self, Wire};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::workers::Workers;

/// Encoded frames to the peer, several to a buffer; bounded, so a slow peer holds its role back.
pub type Outbox = mpsc::Sender<Bytes>;
/// Frames from the peer, each buffer holding whole frames only; bounded: what the role cannot take stays with the peer.
pub type Inbox = mpsc::Receiver<Bytes>;
/// The same for the sending role. A receiver may wait for room in its outbox without reading: the sender takes what is here
/// whatever it waits for itself, and so neither waits for the other.
pub type Receipts = Inbox;

/// Buffers that wait in an [`Outbox`].
pub const OUTBOX: usize = 3;
/// Buffers that wait in an [`Inbox`]. The link fills them with what has come: about a megabyte each at most.
pub const INBOX: usize = 3;
/// Bytes after which a role hands a buffer on.
pub const BUFFER: usize = 512 * 1024;

/// One message as a buffer of its own.
pub fn frame(message: &impl Wire) -> Bytes {
    let mut bytes = BytesMut::new();
    codec::put(message, &mut bytes);
    bytes.freeze()
}

/// A role's way to its [`Outbox`]. Either it waits while that is full, on a thread of its own, or what does not fit is kept:
/// then the role ends its step and says nothing more until that is gone, so what is kept is what is left of one step.
#[derive(Debug, Clone)]
pub(crate) struct Outlet {
    outbox: Outbox,
    kept: Option<Arc<Mutex<VecDeque<Bytes>>>>,
}

/// Nobody takes frames any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl Outlet {
    /// One that waits, if that is a thread's own matter.
    pub fn new(outbox: Outbox, workers: Workers) -> Outlet {
        Outlet { outbox, kept: (workers == Workers::Inline).then(Arc::default) }
    }

    /// One that never waits.
    pub fn keeping(outbox: Outbox) -> Outlet {
        Outlet { outbox, kept: Some(Arc::default()) }
    }

    /// Hands frames on, after all that came before.
    pub fn send(&self, frames: Bytes) -> Result<(), Closed> {
        let Some(mut kept) = self.kept() else { return self.outbox.blocking_send(frames).map_err(|_| Closed) };
        kept.push_back(frames);
        self.hand_on(&mut kept).map(drop)
    }

    /// Hands on what was kept. Whether all of it is gone.
    pub fn flush(&self) -> Result<bool, Closed> {
        self.kept().map_or(Ok(true), |mut kept| self.hand_on(&mut kept))
    }

    fn hand_on(&self, kept: &mut VecDeque<Bytes>) -> Result<bool, Closed> {
        while let Some(frames) = kept.pop_front() {
            match self.outbox.try_send(frames) {
                Ok(()) => {}
                Err(TrySendError::Full(frames)) => {
                    kept.push_front(frames);
                    return Ok(false);
                }
                Err(TrySendError::Closed(_)) => return Err(Closed),
            }
        }
        Ok(true)
    }

    /// Whether something is kept.
    pub fn is_full(&self) -> bool {
        self.kept().is_some_and(|kept| !kept.is_empty())
    }

    /// Bytes that are kept.
    #[cfg(test)]
    pub fn kept_bytes(&self) -> usize {
        self.kept().map_or(0, |kept| kept.iter().map(Bytes::len).sum())
    }

    /// Ready when the outbox has room for more, or is closed.
    pub async fn has_room(&self) {
        // An error says that it is closed: the next to send finds that too.
        let _ = self.outbox.reserve().await;
    }

    /// Buffers that wait in the outbox.
    pub fn waiting(&self) -> usize {
        self.outbox.max_capacity() - self.outbox.capacity()
    }

    fn kept(&self) -> Option<MutexGuard<'_, VecDeque<Bytes>>> {
        self.kept.as_ref().map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_kept_in_order_where_nobody_may_wait() {
        for keeping in [Outlet::keeping, |outbox| Outlet::new(outbox, Workers::Inline)] {
            keeps_in_order(keeping);
        }
    }

    fn keeps_in_order(keeping: fn(Outbox) -> Outlet) {
        let (outbox, mut peer) = mpsc::channel(2);
        let outlet = keeping(outbox);
        let frames = |n: u8| Bytes::from(vec![n]);
        (0..5).for_each(|n| outlet.send(frames(n)).unwrap());
        assert_eq!((outlet.is_full(), outlet.waiting(), outlet.flush()), (true, 2, Ok(false)));
        for n in 0..5 {
            assert_eq!(peer.try_recv(), Ok(frames(n)));
            let _ = outlet.flush();
        }
        assert_eq!((outlet.is_full(), outlet.waiting()), (false, 0));
        drop(peer);
        assert_eq!((outlet.send(frames(9)), outlet.is_full()), (Err(Closed), false));
    }
}
