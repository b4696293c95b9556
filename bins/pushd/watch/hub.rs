//! One instance of inotify for several sources: who reads it puts each event where it belongs, by its watch.
//!
//! Any of the sources may read, and does when it has to know that all was read up to a moment; a thread of the hub does
//! while all of them wait, and rings at those that got something. INVARIANT: watches are added, given back and read under one
//! lock, so no event of a watch is read before it is known whose it is; and what is read keeps its order for each source.
//!
//! A folder that two sources see (bind mounts, one within the other) has one watch, which goes when the last gives it back.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kit::Stop;
use sys::Dir;
use sys::inotify::{Inotify, Watch, wait_readable};

use super::event::{Change, Event};
use super::read::{AHEAD, READS, Rest, read};
use super::table::Table;
use super::wake::Waker;

/// After trouble with reading, which should not happen.
const PAUSE: Duration = Duration::from_secs(1);

/// One instance, its thread and its seats.
#[derive(Debug)]
pub struct Hub {
    state: Mutex<State>,
    /// Rung when there is an instance to be waited for, or nothing more to be done.
    bell: Waker,
}

#[derive(Debug)]
struct State {
    /// Made when the first source comes.
    inotify: Option<Inotify>,
    /// The latest moment at which the kernel's queue was seen empty.
    drained: Instant,
    /// Whose a watch is; most have one owner.
    owners: Table<Vec<u64>>,
    seats: BTreeMap<u64, Inbox>,
    next: u64,
}

/// What was read for one source and not taken.
#[derive(Debug)]
struct Inbox {
    waker: Waker,
    reads: Vec<Reading>,
    /// The number of events in `reads`.
    held: usize,
    overflowed: bool,
    mounted: bool,
    /// It has something of which its source was not told.
    fresh: bool,
}

/// The events of one read, in order.
#[derive(Debug)]
pub struct Reading {
    /// All that happened before this moment had been read before.
    pub since: Instant,
    /// When the read began.
    pub at: Instant,
    /// None of them an overflow.
    pub events: Vec<Event>,
}

/// All that there is for one source.
#[derive(Debug)]
pub struct Taken {
    /// In the order in which they were read.
    pub reads: Vec<Reading>,
    /// Events were lost, or dropped because nobody took them: all is to be looked at.
    pub overflowed: bool,
    /// The latest moment at which the kernel's queue was seen empty.
    pub drained: Instant,
}

/// One source's part. Dropped, its watches are given back.
#[derive(Debug)]
pub struct Seat {
    hub: Arc<Hub>,
    number: u64,
}

impl Hub {
    /// Without an instance, which is made for the first source that comes.
    pub fn new() -> io::Result<Hub> {
        let (owners, seats) = Default::default();
        let state = State { inotify: None, drained: Instant::now(), owners, seats, next: 0 };
        Ok(Hub { state: Mutex::new(state), bell: Waker::new()? })
    }

    /// A place for one source more; `waker` is rung when there is something for it.
    pub fn seat(self: &Arc<Hub>, waker: Waker) -> io::Result<Seat> {
        let mut state = self.lock();
        if state.inotify.is_none() {
            state.inotify = Some(Inotify::new()?);
            self.bell.wake();
        }
        let number = state.next;
        state.next += 1;
        let (reads, held, overflowed, mounted, fresh) = Default::default();
        state.seats.insert(number, Inbox { waker, reads, held, overflowed, mounted, fresh });
        Ok(Seat { hub: self.clone(), number })
    }

    /// Reads for all while they wait, until `stop`; to be called on a thread of its own, and woken for the stop.
    pub fn serve(&self, stop: &Stop) {
        while !stop.is_requested() {
            if let Err(error) = self.serve_once() {
                tracing::error!("the events of several sources cannot be read: {error}");
                stop.wait(PAUSE);
            }
        }
    }

    /// Ends its wait, so that it sees a stop.
    pub fn wake(&self) {
        self.bell.wake();
    }

    /// Does something while nobody reads.
    #[cfg(test)]
    pub fn hold(&self, work: impl FnOnce()) {
        let _state = self.lock();
        work();
    }

    /// Watches of all sources.
    #[cfg(test)]
    pub fn watches(&self) -> usize {
        self.lock().owners.len()
    }

    fn serve_once(&self) -> io::Result<()> {
        let signal = self.lock().inotify.as_ref().map(|inotify| inotify.signal().clone());
        match &signal {
            Some(signal) => signal.wait(None, Some(self.bell.descriptor()))?,
            None => wait_readable(self.bell.descriptor(), None)?,
        };
        self.bell.take();
        let mut state = self.lock();
        if signal.is_some_and(|signal| signal.mounts_changed()) {
            state.seats.values_mut().for_each(|inbox| (inbox.mounted, inbox.fresh) = (true, true));
        }
        state.read()?;
        state.ring();
        Ok(())
    }

    /// After a panic that held the lock the state is still of use: at worst a source misses events, and finds what they told of
    /// at the next comparison.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Reads all that there is, as far as that ends, into the inboxes.
    fn read(&mut self) -> io::Result<()> {
        let State { inotify: Some(inotify), drained, owners, seats, .. } = self else { return Ok(()) };
        for _ in 0..READS {
            let (now, since) = (Instant::now(), *drained);
            let rest = read(inotify, since, |event| match event {
                Some(event) if event.change == Change::Overflow => seats.values_mut().for_each(Inbox::overflow),
                Some(event) => {
                    for seat in owners.get(event.watch).into_iter().flatten() {
                        if let Some(inbox) = seats.get_mut(seat) {
                            inbox.put(event.clone(), since, now);
                        }
                    }
                    if event.change == Change::Ignored {
                        owners.remove(event.watch);
                    }
                }
                None => {}
            })?;
            if rest == Rest::Nothing {
                *drained = now;
                break;
            }
        }
        Ok(())
    }

    fn ring(&mut self) {
        for inbox in self.seats.values_mut() {
            if std::mem::take(&mut inbox.fresh) {
                inbox.waker.wake();
            }
        }
    }

    fn give_back(&mut self, watch: Watch, seat: u64) -> io::Result<()> {
        let Some(of) = self.owners.get_mut(watch) else { return Ok(()) };
        of.retain(|other| *other != seat);
        if !of.is_empty() {
            return Ok(());
        }
        self.owners.remove(watch);
        self.inotify.as_ref().map_or(Ok(()), |inotify| inotify.remove(watch))
    }
}

impl Inbox {
    fn put(&mut self, event: Event, since: Instant, at: Instant) {
        self.fresh = true;
        if self.overflowed {
            return;
        }
        self.held += 1;
        match self.reads.last_mut() {
            Some(reading) if reading.at == at => reading.events.push(event),
            _ => self.reads.push(Reading { since, at, events: vec![event] }),
        }
        if self.held > AHEAD {
            self.overflow();
        }
    }

    /// What is held is covered by looking at everything.
    fn overflow(&mut self) {
        (self.overflowed, self.fresh, self.held) = (true, true, 0);
        self.reads.clear();
    }
}

impl Seat {
    /// As [`Inotify::add`], with the number that other seats have for the same folder.
    pub fn add(&self, dir: &Dir) -> io::Result<Watch> {
        let mut state = self.hub.lock();
        let State { inotify: Some(inotify), owners, .. } = &mut *state else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let watch = inotify.add(dir)?;
        match owners.get_mut(watch) {
            Some(of) if of.contains(&self.number) => {}
            Some(of) => of.push(self.number),
            None => owners.insert(watch, vec![self.number]),
        }
        Ok(watch)
    }

    /// Gives a watch back; it goes when nobody else has it.
    pub fn remove(&self, watch: Watch) -> io::Result<()> {
        self.hub.lock().give_back(watch, self.number)
    }

    /// Reads all that the kernel has, and takes what is for this source.
    pub fn take(&self) -> io::Result<Taken> {
        let mut state = self.hub.lock();
        state.read()?;
        let drained = state.drained;
        let Some(inbox) = state.seats.get_mut(&self.number) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let (reads, overflowed) = (std::mem::take(&mut inbox.reads), std::mem::take(&mut inbox.overflowed));
        (inbox.held, inbox.fresh) = (0, false);
        state.ring();
        Ok(Taken { reads, overflowed, drained })
    }

    /// Whether a change of what is mounted rings.
    pub fn tells_mounts(&self) -> bool {
        self.hub.lock().inotify.as_ref().is_some_and(|inotify| inotify.signal().tells_mounts())
    }

    /// Whether something was mounted or unmounted since the last call.
    pub fn mounts_changed(&self) -> bool {
        let mut state = self.hub.lock();
        state.seats.get_mut(&self.number).is_some_and(|inbox| std::mem::take(&mut inbox.mounted))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.seats.remove(&self.number);
        let own = |(watch, of): (Watch, &Vec<u64>)| of.contains(&self.number).then_some(watch);
        for watch in state.owners.iter().filter_map(own).collect::<Vec<_>>() {
            // Fails where the folder is gone, and the watch with it.
            let _ = state.give_back(watch, self.number);
        }
    }
}
