//! What the kernel has told and the picture has not: reads the queue of events, joins the halves of renames, and knows up to
//! which moment all has been read.

use std::io;
use std::time::Instant;

use crate::watch::ahead::Ahead;
use crate::watch::event::Change;
use crate::watch::pairing::{Paired, Pairing};
use crate::watch::queue::Queue;
use crate::watch::read::{AHEAD, READS, Rest, read};

#[derive(Debug)]
pub struct Backlog {
    queue: Queue,
    pairing: Pairing,
    ahead: Ahead,
    /// The latest moment at which the kernel's queue was seen empty.
    drained: Instant,
    /// Events were lost, or dropped here because they were too many.
    overflowed: bool,
}

impl Backlog {
    pub fn new(queue: Queue) -> Backlog {
        Backlog {
            queue,
            pairing: Pairing::default(),
            ahead: Ahead::default(),
            drained: Instant::now(),
            overflowed: false,
        }
    }

    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// From now on events come from another queue; those that are here are forgotten.
    pub fn replace(&mut self, queue: Queue) {
        self.queue = queue;
        self.pairing.clear();
        self.ahead.clear();
    }

    /// Reads what the kernel has, without waiting. To be called in the middle of long walks too: a queue that nobody reads
    /// overflows after 16,384 events.
    pub fn read(&mut self) -> io::Result<()> {
        let Backlog { queue, pairing, ahead, drained, overflowed } = self;
        match queue {
            Queue::Own(inotify) => {
                for _ in 0..READS {
                    let now = Instant::now();
                    pairing.mark(*drained);
                    let rest = read(inotify, *drained, |event| match event {
                        Some(event) if event.change == Change::Overflow => *overflowed = true,
                        Some(event) => {
                            ahead.read(&event, pairing.len());
                            pairing.push(event, now);
                        }
                        None => {}
                    })?;
                    if rest == Rest::Nothing {
                        // All that happened before `now` has been read.
                        *drained = now;
                        break;
                    }
                    if pairing.len() > AHEAD {
                        break;
                    }
                }
            }
            Queue::Shared(seat) => {
                let taken = seat.take()?;
                for reading in taken.reads {
                    pairing.mark(reading.since);
                    for event in reading.events {
                        ahead.read(&event, pairing.len());
                        pairing.push(event, reading.at);
                    }
                }
                *overflowed |= taken.overflowed;
                *drained = taken.drained;
            }
        }
        self.overflowed |= self.pairing.len() > AHEAD;
        if self.overflowed {
            // What is held is covered by looking at everything.
            self.pairing.clear();
            self.ahead.clear();
        }
        Ok(())
    }

    /// Reads and forgets what the kernel has: all is about to be looked at.
    pub fn skip(&mut self) -> io::Result<()> {
        self.read()?;
        self.forget();
        Ok(())
    }

    /// Forgets what was read, and that some was lost.
    pub fn forget(&mut self) {
        self.pairing.clear();
        self.ahead.clear();
        self.overflowed = false;
    }

    /// The next that happened, with the moment before which all has come out.
    pub fn pop(&mut self) -> Option<(Paired, Instant)> {
        let behind = self.told();
        Some((self.pairing.pop(self.drained)?, behind))
    }

    /// Files that are told of ahead of what waits.
    pub fn ahead(&mut self) -> &mut Ahead {
        &mut self.ahead
    }

    /// All that happened before this moment has come out.
    pub fn told(&self) -> Instant {
        self.pairing.oldest().unwrap_or(self.drained)
    }

    pub fn drained(&self) -> Instant {
        self.drained
    }

    pub fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// When [`pop`](Self::pop) will give something that it does not give now, should no event come.
    pub fn due(&self) -> Option<Instant> {
        self.pairing.due()
    }
}

#[cfg(test)]
impl Backlog {
    /// As if the kernel had told it.
    pub fn push(&mut self, event: crate::watch::event::Event, now: Instant) {
        self.pairing.push(event, now);
    }

    pub fn is_empty(&self) -> bool {
        self.pairing.len() == 0
    }

    /// Loses all that the kernel has told of and nobody has read.
    pub fn lose(&mut self) {
        let Queue::Own(inotify) = &mut self.queue else { panic!("it shares") };
        inotify.read(|_| {}).unwrap();
    }
}
