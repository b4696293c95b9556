//! The renames that wait, in the order in which they happened. They are sent before all hints.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use proto::RelPath;

use super::ages::{Ages, Since};

/// The halves of an exchange come together, but may be handed over apart. A rename and one back within this time are
/// taken for them, too.
const HALVES: Duration = Duration::from_millis(500);

/// A rename that is to be carried out at the target.
#[derive(Debug, Clone)]
pub(super) enum Move {
    /// `before` is a moment before it happened at the source.
    Rename { from: RelPath, to: RelPath, since: Since, before: Instant },
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

    fn places(&self) -> [&RelPath; 2] {
        match self {
            Move::Rename { from, to, .. } => [from, to],
            Move::Exchange { a, b, .. } => [a, b],
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Moves {
    queue: VecDeque<Move>,
    ages: Ages,
    /// The last rename that was hinted, whether it waits or not, and when: the first half of an exchange, perhaps.
    last: Option<(RelPath, RelPath, Instant)>,
}

impl Moves {
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn oldest(&self) -> Option<Since> {
        self.ages.oldest()
    }

    /// A rename that is to be carried out.
    pub fn push(&mut self, from: &RelPath, to: &RelPath, since: Since, before: Instant) {
        self.queue.push_back(Move::Rename { from: from.clone(), to: to.clone(), since, before });
        self.ages.add(since);
    }

    /// Takes out the first.
    pub fn pop(&mut self) -> Option<Move> {
        let first = self.queue.pop_front()?;
        self.ages.remove(first.since());
        Some(first)
    }

    /// Drops all of them. Returns the age of the oldest.
    pub fn clear(&mut self) -> Option<Since> {
        let oldest = self.ages.oldest();
        self.queue.clear();
        self.ages = Ages::default();
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

    /// The first half of this exchange becomes all of it. False if it does not wait: it never did, or is sent already.
    pub fn make_exchange(&mut self, from: &RelPath, to: &RelPath) -> bool {
        let Some(last) = self.queue.back_mut() else { return false };
        match last {
            Move::Rename { from: a, to: b, since, .. } if a == to && b == from => {
                *last = Move::Exchange { a: to.clone(), b: from.clone(), since: *since };
                true
            }
            _ => false,
        }
    }

    /// Where what stands at a place of the target will stand after all of them.
    pub fn forwarded(&self, place: &RelPath) -> RelPath {
        self.queue.iter().fold(place.clone(), |at, step| step.moved(&at).unwrap_or(at))
    }

    /// Whether one that was noticed at `moment` or before touches what is at or beneath `place`.
    pub fn owes(&self, place: &RelPath, moment: Instant) -> bool {
        let touches = |at: &RelPath| at.is_within(place) || place.is_within(at);
        self.queue.iter().any(|step| step.since().at() <= moment && step.places().into_iter().any(touches))
    }
}

#[cfg(test)]
impl Moves {
    /// Panics if the ages are not those of what waits.
    pub fn check(&self) {
        assert_eq!(self.ages, Ages::of(self.queue.iter().map(Move::since)));
    }
}
