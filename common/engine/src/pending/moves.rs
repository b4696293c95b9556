//! The renames that wait. Those that concern one neighbour (see `neighbours`) are sent in the order in which they happened,
//! and before the hints of that neighbour.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use proto::RelPath;

use super::ages::{Ages, Since};

/// The halves of an exchange come together, but may be handed over apart. A rename and one back within this time are
/// taken for them, too.
const HALVES: Duration = Duration::from_millis(500);

/// A rename that is to be carried out at the target.
#[derive(Debug, Clone)]
pub(super) enum Move {
    /// `before` is a moment before it happened at the source. `older`: the target has at most something older there.
    Rename { from: RelPath, to: RelPath, since: Since, before: Instant, older: bool },
    /// Told as a rename of `a` to `b` and one of `b` to `a`.
    Exchange { a: RelPath, b: RelPath, since: Since },
}

impl Move {
    pub fn since(&self) -> Since {
        let (Move::Rename { since, .. } | Move::Exchange { since, .. }) = self;
        *since
    }

    /// Where what was at `place` is after it.
    fn moved(&self, place: &RelPath) -> Option<RelPath> {
        match self {
            Move::Rename { from, to, .. } => place.rebase(from, to),
            Move::Exchange { a, b, .. } => place.rebase(a, b).or_else(|| place.rebase(b, a)),
        }
    }

    pub fn places(&self) -> [&RelPath; 2] {
        match self {
            Move::Rename { from, to, .. } => [from, to],
            Move::Exchange { a, b, .. } => [a, b],
        }
    }

    /// The places that what stood there leaves for another.
    fn departures(&self) -> impl Iterator<Item = &RelPath> {
        let (one, other) = match self {
            Move::Rename { from, .. } => (from, None),
            Move::Exchange { a, b, .. } => (a, Some(b)),
        };
        std::iter::once(one).chain(other)
    }

    fn neighbours(&self) -> impl Iterator<Item = RelPath> {
        let [one, other] = self.places().map(RelPath::top);
        let other = (other != one).then_some(other);
        std::iter::once(one).chain(other)
    }

    /// About what it takes, in bytes.
    fn size(&self) -> usize {
        const BESIDE: usize = 500;
        self.places().iter().map(|place| place.as_bytes().len()).sum::<usize>() + BESIDE
    }
}

/// The number of a rename, in the order in which they happened.
pub(super) type Number = u64;

/// INVARIANT: each rename is in one or two `neighbours`, those of its places, and in `departures` by each place that it leaves,
/// and none of these is empty. `ages` and `bytes` are theirs.
#[derive(Debug, Default)]
pub(super) struct Moves {
    all: BTreeMap<Number, Move>,
    neighbours: HashMap<RelPath, VecDeque<Number>>,
    departures: HashMap<RelPath, VecDeque<Number>>,
    next: Number,
    ages: Ages,
    bytes: usize,
    /// The last rename that was hinted, whether it waits or not, and when: the first half of an exchange, perhaps.
    last: Option<(RelPath, RelPath, Instant)>,
}

impl Moves {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// About what all of them take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn oldest(&self) -> Option<Since> {
        self.ages.oldest()
    }

    /// A rename that is to be carried out.
    pub fn push(&mut self, (from, to): (&RelPath, &RelPath), since: Since, before: Instant, older: bool) {
        let step = Move::Rename { from: from.clone(), to: to.clone(), since, before, older };
        let number = self.next;
        self.next += 1;
        step.neighbours().for_each(|neighbour| self.neighbours.entry(neighbour).or_default().push_back(number));
        step.departures().for_each(|place| self.departures.entry(place.clone()).or_default().push_back(number));
        self.bytes += step.size();
        self.ages.add(since);
        self.all.insert(number, step);
    }

    /// Whether any concerns this neighbour.
    pub fn has(&self, neighbour: &RelPath) -> bool {
        self.neighbours.contains_key(neighbour)
    }

    /// Takes out the first of this neighbour, or what has to go before it in another; of the root the first of all.
    pub fn pop(&mut self, neighbour: &RelPath) -> Option<Move> {
        let mut number = match neighbour.is_root() {
            true => *self.all.first_key_value()?.0,
            false => *self.neighbours.get(neighbour)?.front()?,
        };
        loop {
            let first = |neighbour| self.neighbours.get(&neighbour).and_then(VecDeque::front).copied();
            match self.all.get(&number)?.neighbours().filter_map(first).min() {
                Some(earlier) if earlier < number => number = earlier,
                _ => break,
            }
        }
        self.remove(number)
    }

    fn remove(&mut self, number: Number) -> Option<Move> {
        let step = self.all.remove(&number)?;
        step.neighbours().for_each(|neighbour| take_out(&mut self.neighbours, &neighbour, number));
        step.departures().for_each(|place| take_out(&mut self.departures, place, number));
        self.bytes -= step.size();
        self.ages.remove(step.since());
        Some(step)
    }

    /// Takes out all that concern this neighbour, in their order.
    pub fn take_neighbour(&mut self, neighbour: &RelPath) -> Vec<(Number, Move)> {
        let numbers: Vec<Number> = self.neighbours.get(neighbour).into_iter().flatten().copied().collect();
        numbers.into_iter().filter_map(|number| Some((number, self.remove(number)?))).collect()
    }

    /// The neighbours that each of them concerns, with what it takes.
    pub fn neighbours(&self) -> impl Iterator<Item = (RelPath, usize)> {
        self.all.values().flat_map(|step| step.neighbours().map(|neighbour| (neighbour, step.size())))
    }

    /// Drops all of them. Returns the age of the oldest.
    pub fn clear(&mut self) -> Option<Since> {
        let oldest = self.ages.oldest();
        self.all.clear();
        self.neighbours.clear();
        self.departures.clear();
        (self.ages, self.bytes) = Default::default();
        oldest
    }

    /// Whether this rename, hinted now, is the second half of an exchange: the kernel tells of one as `a→b`, and at once `b→a`.
    pub fn completes_exchange(&mut self, from: &RelPath, to: &RelPath, now: Instant) -> bool {
        let last = self.last.take();
        if last.is_some_and(|(a, b, at)| a == *to && b == *from && now.saturating_duration_since(at) < HALVES) {
            return true;
        }
        self.last = Some((from.clone(), to.clone(), now));
        false
    }

    /// The first half of this exchange becomes all of it. False if it does not wait, or is one of
    /// something older: it is then looked at what stands at both.
    pub fn make_exchange(&mut self, from: &RelPath, to: &RelPath) -> bool {
        let Some(mut last) = self.all.last_entry() else { return false };
        let number = *last.key();
        let last = last.get_mut();
        match last {
            Move::Rename { from: a, to: b, since, older: false, .. } if a == to && b == from => {
                self.departures.entry(from.clone()).or_default().push_back(number);
                *last = Move::Exchange { a: to.clone(), b: from.clone(), since: *since };
                true
            }
            _ => false,
        }
    }

    /// Where what stands at a place of the target will stand after all of them.
    pub fn forwarded(&self, place: &RelPath) -> RelPath {
        self.forwarded_from(0, place)
    }

    /// The same after those that came later than this one.
    pub fn forwarded_after(&self, number: Number, place: &RelPath) -> RelPath {
        self.forwarded_from(number + 1, place)
    }

    fn forwarded_from(&self, mut next: Number, place: &RelPath) -> RelPath {
        let mut at = place.clone();
        while let Some((number, step)) = self.departure(&at, next) {
            at = step.moved(&at).unwrap_or(at);
            next = number + 1;
        }
        at
    }

    /// The first of them, from this number on, that moves what is at this place, or a folder above it.
    fn departure(&self, place: &RelPath, from: Number) -> Option<(Number, &Move)> {
        if self.all.is_empty() {
            return None;
        }
        let first = |of: &VecDeque<Number>| of.get(of.partition_point(|number| *number < from)).copied();
        let folders = place.as_bytes().iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let places = folders.chain([place.as_bytes().len()]).map(|end| &place.as_bytes()[..end]);
        let number = places.filter_map(|place| first(self.departures.get(place)?)).min()?;
        Some((number, self.all.get(&number)?))
    }

    /// Whether one that was noticed at `moment` or before touches what is at or beneath `place`.
    pub fn owes(&self, place: &RelPath, moment: Instant) -> bool {
        let touches = |at: &RelPath| at.is_within(place) || place.is_within(at);
        self.all.values().any(|step| step.since().at() <= moment && step.places().into_iter().any(touches))
    }
}

fn take_out(lists: &mut HashMap<RelPath, VecDeque<Number>>, of: &RelPath, number: Number) {
    let Some(list) = lists.get_mut(of) else { return };
    if let Ok(at) = list.binary_search(&number) {
        list.remove(at);
    }
    if list.is_empty() {
        lists.remove(of);
    }
}

#[cfg(test)]
impl Moves {
    /// Panics if the invariant does not hold.
    pub fn check(&self) {
        assert_eq!(self.ages, Ages::of(self.all.values().map(Move::since)));
        assert_eq!(self.bytes, self.all.values().map(Move::size).sum::<usize>());
        let mut neighbours: HashMap<RelPath, VecDeque<Number>> = HashMap::new();
        let mut departures: HashMap<RelPath, VecDeque<Number>> = HashMap::new();
        for (number, step) in &self.all {
            step.departures().for_each(|place| departures.entry(place.clone()).or_default().push_back(*number));
            step.neighbours().for_each(|neighbour| neighbours.entry(neighbour).or_default().push_back(*number));
        }
        assert_eq!((&self.neighbours, &self.departures), (&neighbours, &departures));
    }
}
