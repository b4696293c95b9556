//! Where a watcher's events come from: an instance of inotify of its own, or a seat at one that several share (`hub`).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sys::Dir;
use sys::inotify::{Inotify, Watch};

use super::hub::{Hub, Seat};
use super::wake::Waker;

/// Up to so many sources have an instance each. By default a user may have 128 of them, and other programs need some too.
const OWN: usize = 32;
/// More sources than that share so many instances. When a busy one fills the queue of its instance, only the sixteenth of
/// the sources that share it has to look at everything.
const SHARED: usize = 16;
/// A source of more folders has one of its own all the same.
pub const LARGE: usize = 10_000;

/// How a source comes to its events.
#[derive(Debug, Clone)]
pub enum Supply {
    /// By an instance of its own.
    Own,
    /// By one that it shares.
    Shared(Arc<Hub>),
}

/// How all sources come to their events.
#[derive(Debug)]
pub struct Instances {
    hubs: Vec<Arc<Hub>>,
}

impl Instances {
    /// For so many sources.
    pub fn of(sources: usize) -> io::Result<Instances> {
        let count = if sources > OWN { SHARED } else { 0 };
        Ok(Instances { hubs: (0..count).map(|_| Ok(Arc::new(Hub::new()?))).collect::<io::Result<_>>()? })
    }

    /// For the source of this number.
    pub fn supply(&self, source: usize) -> Supply {
        match self.hubs.len() {
            0 => Supply::Own,
            count => Supply::Shared(self.hubs[source % count].clone()),
        }
    }

    /// The shared ones, each of which needs a thread that reads it.
    pub fn hubs(&self) -> &[Arc<Hub>] {
        &self.hubs
    }

    /// How many there will be for sources of so many folders.
    pub fn needed(folders: &[u64]) -> u64 {
        let count = match folders.len() {
            sources @ ..=OWN => sources,
            _ => SHARED + folders.iter().filter(|folders| **folders > LARGE as u64).count(),
        };
        count as u64
    }
}

/// The events of one source.
#[derive(Debug)]
pub enum Queue {
    /// An instance that nobody else reads.
    Own(Inotify),
    /// A part of one.
    Shared(Seat),
}

impl Queue {
    /// As the source is supplied; `waker` is rung when there is something at a shared one.
    pub fn new(supply: &Supply, waker: &Waker) -> io::Result<Queue> {
        match supply {
            Supply::Own => Queue::own(),
            Supply::Shared(hub) => Ok(Queue::Shared(hub.seat(waker.clone())?)),
        }
    }

    /// An instance that nobody else reads.
    pub fn own() -> io::Result<Queue> {
        Ok(Queue::Own(Inotify::new()?))
    }

    /// As [`Inotify::add`], of whichever instance it is.
    pub fn add(&self, dir: &Dir) -> io::Result<Watch> {
        match self {
            Queue::Own(inotify) => inotify.add(dir),
            Queue::Shared(seat) => seat.add(dir),
        }
    }

    /// As [`Inotify::remove`]; a shared watch goes when nobody has it any more.
    pub fn remove(&self, watch: Watch) -> io::Result<()> {
        match self {
            Queue::Own(inotify) => inotify.remove(watch),
            Queue::Shared(seat) => seat.remove(watch),
        }
    }

    /// Whether a wait ends when something is mounted or unmounted anywhere.
    pub fn tells_mounts(&self) -> bool {
        match self {
            Queue::Own(inotify) => inotify.signal().tells_mounts(),
            Queue::Shared(seat) => seat.tells_mounts(),
        }
    }

    /// Whether it did, since the last call.
    pub fn mounts_changed(&self) -> bool {
        match self {
            Queue::Own(inotify) => inotify.signal().mounts_changed(),
            Queue::Shared(seat) => seat.mounts_changed(),
        }
    }

    /// Waits for an event, a change of what is mounted, the waker or the time.
    pub fn wait(&self, timeout: Option<Duration>, waker: &Waker) -> io::Result<()> {
        match self {
            Queue::Own(inotify) => inotify.signal().wait(timeout, Some(waker.descriptor()))?,
            // Who reads for all rings it.
            Queue::Shared(_) => sys::inotify::wait_readable(waker.descriptor(), timeout)?,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sources_have_an_instance_each_and_many_share_some() {
        assert_eq!(Instances::needed(&[5; 32]), 32);
        assert_eq!(Instances::needed(&[5; 33]), 16);
        assert_eq!(Instances::needed(&[&[5; 998][..], &[10_001, 300_000]].concat()), 18);
        assert!(matches!(Instances::of(32).unwrap().supply(31), Supply::Own));
        let instances = Instances::of(1000).unwrap();
        let (first, again) = (instances.supply(1), instances.supply(17));
        let (Supply::Shared(first), Supply::Shared(again)) = (first, again) else { panic!("not shared") };
        assert!(Arc::ptr_eq(&first, &again));
        assert!(!Arc::ptr_eq(&first, &instances.hubs()[0]));
    }
}
