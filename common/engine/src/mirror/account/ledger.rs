//! How much was sent again in the last hour, how much there is, and whether that is too much.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Amount, HOUR, Past, Standing, Stock};

/// What was sent in this time counts, and is forgotten, as one.
const SLOT: Duration = Duration::from_secs(300);
/// How often all there is may leave again in an hour.
const TIMES: u64 = 2;
/// What may in any case, however little there is.
const LEAST: Amount = Amount { bytes: 64 * 1024 * 1024, entries: 10_000 };

/// What was sent in one [`SLOT`].
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    again: Amount,
    /// What may have been sent before.
    perhaps: Amount,
    /// What came to the source, or changed there.
    grown: Stock,
}

impl Sums {
    fn plus(self, more: Sums) -> Sums {
        let Sums { again, perhaps, grown } = more;
        Sums { again: self.again.plus(again), perhaps: self.perhaps.plus(perhaps), grown: self.grown.plus(grown) }
    }
}

/// What was sent again in the last hour, and what may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Balance {
    /// Of what may have been sent before, what is more than there is under all names.
    pub again: Amount,
    budget: Amount,
    /// When the oldest of it is forgotten.
    less_from: Instant,
}

impl Balance {
    pub fn standing(&self) -> Standing {
        let open = self.again.bytes < self.budget.bytes && self.again.entries < self.budget.entries;
        if open { Standing::Open } else { Standing::UsedUp(self.less_from) }
    }

    /// Whether it is far from too much.
    pub fn is_calm(&self) -> bool {
        self.again.bytes < self.budget.bytes / 2 && self.again.entries < self.budget.entries / 2
    }
}

/// Sums of the last hour, in slots: at most 13.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    slots: VecDeque<(Instant, Sums)>,
    /// What the last pass over all has found, and the one under way so far.
    tree: Stock,
    counting: Stock,
}

impl Ledger {
    pub fn begin_count(&mut self) {
        self.tree = self.counted();
        self.counting = Stock::default();
    }

    pub fn count(&mut self, found: Stock) {
        self.counting = self.counting.plus(found);
    }

    pub fn end_count(&mut self) {
        self.tree = std::mem::take(&mut self.counting);
    }

    /// What there is, as far as it was counted.
    pub fn counted(&self) -> Stock {
        self.tree.max(self.counting)
    }

    /// So much has come to the source.
    pub fn grows(&mut self, more: Stock, now: Instant) {
        let slot = self.slot(now);
        slot.grown = slot.grown.plus(more);
    }

    /// So much is sent, of which that is known.
    pub fn sends(&mut self, past: Past, amount: Amount, now: Instant) {
        let slot = self.slot(now);
        match past {
            Past::New => {}
            Past::Sent => slot.again = slot.again.plus(amount),
            Past::Perhaps => slot.perhaps = slot.perhaps.plus(amount),
        }
    }

    fn slot(&mut self, now: Instant) -> &mut Sums {
        self.expire(now);
        if self.slots.back().is_none_or(|(since, _)| now.saturating_duration_since(*since) >= SLOT) {
            self.slots.push_back((now, Sums::default()));
        }
        let last = self.slots.len() - 1;
        &mut self.slots[last].1
    }

    fn expire(&mut self, now: Instant) {
        while self.slots.front().is_some_and(|(since, _)| now.saturating_duration_since(*since) >= HOUR + SLOT) {
            self.slots.pop_front();
        }
    }

    /// The last hour, as it is known now.
    pub fn balance(&mut self, now: Instant) -> Balance {
        self.expire(now);
        let sums = self.slots.iter().fold(Sums::default(), |all, (_, sums)| all.plus(*sums));
        let there_is = self.counted().plus(sums.grown);
        let Amount { bytes, entries } = there_is.once;
        let twice = Amount { bytes: bytes.saturating_mul(TIMES), entries: entries.saturating_mul(TIMES) };
        Balance {
            again: sums.again.plus(sums.perhaps.beyond(there_is.named)),
            budget: LEAST.max(twice),
            less_from: self.slots.front().map_or(now, |(since, _)| *since) + HOUR + SLOT,
        }
    }
}
