//! Memory for what has come and the session has not taken yet. Whoever moves its bytes reads ahead as far as there is memory
//! for that; where there is none it reads on when nobody holds any more what it has handed on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;

use super::Receiver;
use super::memory::{Charge, Retained};

/// What a session holds on its way whether there is memory or not: a frame that comes, or is being taken, and receipts.
const LEAST: usize = 2 * 1024 * 1024;

/// Ready when the next may be read.
pub type Free = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Lends memory of a session's account for frames, until they are dropped.
#[derive(Debug)]
pub struct Lending {
    retained: Retained,
    lent: Arc<Lent>,
    _least: Charge,
}

/// How many buffers are not dropped yet.
#[derive(Debug, Default)]
struct Lent {
    buffers: AtomicUsize,
    none: Notify,
}

/// Frames that are charged as long as anybody holds them.
struct Frames {
    bytes: Bytes,
    lent: Arc<Lent>,
    _charge: Option<Charge>,
}

impl Receiver {
    /// Lends memory for what comes to this session. What that takes at least is charged from here on.
    pub fn lending(&self) -> Lending {
        let retained = self.line.retained().clone();
        let _least = retained.extra_anyway(LEAST);
        Lending { retained, lent: Arc::default(), _least }
    }
}

impl Lending {
    /// Charges these frames. Where there is no memory for them, nothing more is to be read before all that was lent is back.
    pub fn lend(&self, frames: Bytes) -> (Bytes, Option<Free>) {
        let charge = self.retained.try_extra(frames.len());
        let free = charge.is_none().then(|| Box::pin(none(Arc::clone(&self.lent))) as Free);
        self.lent.buffers.fetch_add(1, Ordering::AcqRel);
        let (bytes, lent) = (frames, Arc::clone(&self.lent));
        (Bytes::from_owner(Frames { bytes, lent, _charge: charge }), free)
    }
}

async fn none(lent: Arc<Lent>) {
    while lent.buffers.load(Ordering::Acquire) > 0 {
        lent.none.notified().await;
    }
}

impl AsRef<[u8]> for Frames {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if self.lent.buffers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.lent.none.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::super::memory::{Memory, SURE};
    use super::*;

    fn lending(lent: usize) -> (Memory, Lending) {
        let memory = Memory::new((SURE + lent) as u64, 1);
        let retained = memory.account();
        let _least = retained.no_extra();
        (memory, Lending { retained, lent: Arc::default(), _least })
    }

    fn is_ready(free: &mut Free) -> bool {
        pin!(free).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn it_is_lent_while_there_is_some_and_is_free_when_the_frames_are_dropped() {
        let (_memory, lending) = lending(3000);
        let frames = || Bytes::from(vec![7; 1000]);
        let held: Vec<Bytes> = (0..3)
            .map(|_| {
                let (frames, free) = lending.lend(frames());
                assert!(free.is_none() && frames == vec![7; 1000]);
                // A part of them is as good.
                frames.slice(10..11)
            })
            .collect();
        assert!(lending.retained.try_extra(1).is_none());
        let (more, free) = lending.lend(frames());
        let mut free = free.expect("there is none left");
        assert!(!is_ready(&mut free));
        drop(held);
        assert!(lending.retained.try_extra(3000).is_some() && !is_ready(&mut free));
        drop(more);
        assert!(is_ready(&mut free));
        assert!(lending.lend(frames()).1.is_none());
    }
}
