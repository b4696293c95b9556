//! Joins the two halves of a rename by their cookie, however far apart they were read. A pure state machine over events
//! and moments; the watcher feeds it and applies what comes out, in order.
//!
//! A first half waits a little for its partner, and everything behind it waits with it, so that the rename comes out at
//! the place of its first half. What to do about a rename is not decided here.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::event::{Change, Event, Object, Spot};

/// How long a first half waits. The kernel queues both halves within one system call; only a thread that loses its
/// processor in between needs more than microseconds.
pub const PATIENCE: Duration = Duration::from_millis(20);

/// What comes out, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paired {
    /// An event as it came. A half of a rename among them has no partner: the other end is not watched.
    Event(Event),
    /// Both halves of a rename.
    Renamed {
        from: Spot,
        to: Spot,
        object: Object,
        /// It happened after this moment; what happened before came out earlier.
        since: Instant,
    },
}

/// Events on their way through.
#[derive(Debug, Default)]
pub struct Pairing {
    held: VecDeque<Slot>,
    /// The running number of the first of `held`.
    first: u64,
    /// Cookie of a first half → its running number.
    waiting: HashMap<u32, u64>,
    /// What has this running number or a later one happened after that moment.
    marks: VecDeque<(u64, Instant)>,
}

#[derive(Debug)]
enum Slot {
    Ready(Paired),
    Waiting { half: Event, place: Spot, cookie: u32, since: Instant, until: Instant },
}

impl Pairing {
    /// What is pushed from now on happened after `since`.
    pub fn mark(&mut self, since: Instant) {
        let next = self.first + self.held.len() as u64;
        match self.marks.back_mut() {
            Some((number, moment)) if *number == next => *moment = since,
            _ => self.marks.push_back((next, since)),
        }
    }

    /// A moment before the oldest step held; what happened before that moment came out earlier.
    pub fn oldest(&self) -> Option<Instant> {
        self.held.front()?;
        self.marks.front().map(|(_, since)| *since)
    }

    /// Takes the next event, read at `now` or a little later.
    pub fn push(&mut self, event: Event, now: Instant) {
        let slot = match (event.change, event.place()) {
            (Change::MovedFrom { cookie, since }, Some(place)) => {
                self.waiting.insert(cookie, self.first + self.held.len() as u64);
                Slot::Waiting { half: event, place, cookie, since, until: now + PATIENCE }
            }
            (Change::MovedTo { cookie }, Some(to)) if self.join(cookie, &to) => return,
            _ => Slot::Ready(Paired::Event(event)),
        };
        self.held.push_back(slot);
    }

    /// Puts the rename where its first half waits; false when none does.
    fn join(&mut self, cookie: u32, to: &Spot) -> bool {
        let Some(number) = self.waiting.remove(&cookie) else { return false };
        let Some(slot) = self.held.get_mut((number - self.first) as usize) else { return false };
        let Slot::Waiting { half, place, since, .. } = slot else { return false };
        let step = Paired::Renamed { from: place.clone(), to: to.clone(), object: half.object, since: *since };
        *slot = Slot::Ready(step);
        true
    }

    /// The next step. `drained`: the latest moment at which the kernel's queue was seen empty; a half whose patience
    /// ended before it has no partner.
    pub fn pop(&mut self, drained: Instant) -> Option<Paired> {
        if let Slot::Waiting { until, .. } = self.held.front()?
            && *until > drained
        {
            return None;
        }
        let number = self.first;
        self.first += 1;
        while self.marks.get(1).is_some_and(|(next, _)| *next <= self.first) {
            self.marks.pop_front();
        }
        match self.held.pop_front()? {
            Slot::Ready(step) => Some(step),
            Slot::Waiting { half, cookie, .. } => {
                // The cookie may have come round and belong to a later half by now.
                if self.waiting.get(&cookie) == Some(&number) {
                    self.waiting.remove(&cookie);
                }
                Some(Paired::Event(half))
            }
        }
    }

    /// When [`pop`](Self::pop) will give something that it does not give now, should no event come.
    pub fn due(&self) -> Option<Instant> {
        match self.held.front()? {
            Slot::Waiting { until, .. } => Some(*until),
            Slot::Ready(_) => Some(Instant::now()),
        }
    }

    /// The number of steps held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Forgets everything held, halves that wait too.
    pub fn clear(&mut self) {
        self.first += self.held.len() as u64;
        self.held.clear();
        self.waiting.clear();
        self.marks.clear();
    }
}

#[cfg(test)]
mod tests {
    use proto::Name;

    use super::*;

    fn event(name: &str, change: Change) -> Event {
        Event { watch: 1, name: Some(Name::parse(name.as_bytes()).unwrap()), change, object: Object::Other }
    }

    fn place(name: &str) -> Spot {
        event(name, Change::Created).place().unwrap()
    }

    fn all(pairing: &mut Pairing, drained: Instant) -> Vec<String> {
        let say = |step| match step {
            Paired::Renamed { from, to, .. } => format!("{}>{}", from.name, to.name),
            Paired::Event(event) => format!("{}{}", event.name.unwrap(), if event.change == WRITE { "" } else { "?" }),
        };
        std::iter::from_fn(|| pairing.pop(drained)).map(say).collect()
    }

    const WRITE: Change = Change::Written;

    #[test]
    fn halves_far_apart_are_joined_at_the_place_of_the_first() {
        let now = Instant::now();
        let mut pairing = Pairing::default();
        pairing.push(event("w", WRITE), now);
        pairing.push(event("a", Change::MovedFrom { cookie: 1, since: now }), now);
        pairing.push(event("x", WRITE), now);
        pairing.push(event("c", Change::MovedFrom { cookie: 2, since: now }), now);
        pairing.push(event("b", Change::MovedTo { cookie: 1 }), now);
        // Read later: the first pair is out, the second holds what is behind it.
        assert_eq!(all(&mut pairing, now), ["w", "a>b", "x"]);
        pairing.push(event("y", WRITE), now);
        assert_eq!(all(&mut pairing, now), [""; 0]);
        pairing.push(event("d", Change::MovedTo { cookie: 2 }), now + PATIENCE / 2);
        assert_eq!(all(&mut pairing, now), ["c>d", "y"]);
        assert_eq!(pairing.len(), 0);
    }

    #[test]
    fn a_half_without_partner_comes_out_when_the_queue_was_empty_after_its_time() {
        let now = Instant::now();
        let mut pairing = Pairing::default();
        pairing.push(event("a", Change::MovedFrom { cookie: 1, since: now }), now);
        pairing.push(event("x", WRITE), now);
        assert_eq!(pairing.due(), Some(now + PATIENCE));
        assert_eq!(all(&mut pairing, now + PATIENCE / 2), [""; 0]);
        assert_eq!(all(&mut pairing, now + PATIENCE), ["a?", "x"]);
        assert_eq!(pairing.due(), None);
        // Too late: its own event.
        pairing.push(event("b", Change::MovedTo { cookie: 1 }), now + PATIENCE);
        assert_eq!(all(&mut pairing, now + PATIENCE), ["b?"]);
    }

    #[test]
    fn a_cookie_that_comes_round_belongs_to_the_later_half() {
        let now = Instant::now();
        let mut pairing = Pairing::default();
        pairing.push(event("a", Change::MovedFrom { cookie: 1, since: now }), now);
        pairing.push(event("c", Change::MovedFrom { cookie: 1, since: now }), now);
        pairing.push(event("d", Change::MovedTo { cookie: 1 }), now);
        assert_eq!(all(&mut pairing, now + PATIENCE), ["a?", "c>d"]);
    }

    #[test]
    fn the_moment_is_that_of_the_first_half() {
        let now = Instant::now();
        let mut pairing = Pairing::default();
        pairing.push(event("a", Change::MovedFrom { cookie: 1, since: now }), now + PATIENCE);
        pairing.push(event("b", Change::MovedTo { cookie: 1 }), now + PATIENCE);
        let renamed = Paired::Renamed { from: place("a"), to: place("b"), object: Object::Other, since: now };
        assert_eq!(pairing.pop(now), Some(renamed));
    }

    #[test]
    fn the_oldest_is_as_old_as_the_read_before_it() {
        let now = Instant::now();
        let later = now + PATIENCE / 2;
        let mut pairing = Pairing::default();
        pairing.mark(now - PATIENCE);
        pairing.mark(now);
        assert_eq!(pairing.oldest(), None);
        pairing.push(event("w", WRITE), later);
        pairing.push(event("a", Change::MovedFrom { cookie: 1, since: now }), later);
        pairing.mark(later);
        pairing.push(event("x", WRITE), later);
        assert_eq!(all(&mut pairing, later), ["w"]);
        assert_eq!(pairing.oldest(), Some(now), "the half waits");
        assert!(pairing.pop(later + PATIENCE).is_some());
        assert_eq!(pairing.oldest(), Some(later));
        assert_eq!(all(&mut pairing, later), ["x"]);
        assert_eq!(pairing.oldest(), None);
    }

    #[test]
    fn cleared_in_the_middle_it_goes_on() {
        let now = Instant::now();
        let mut pairing = Pairing::default();
        pairing.push(event("a", Change::MovedFrom { cookie: 1, since: now }), now);
        pairing.clear();
        pairing.push(event("b", Change::MovedTo { cookie: 1 }), now);
        pairing.push(event("c", Change::MovedFrom { cookie: 2, since: now }), now);
        pairing.push(event("d", Change::MovedTo { cookie: 2 }), now);
        assert_eq!(all(&mut pairing, now), ["b?", "c>d"]);
    }
}
