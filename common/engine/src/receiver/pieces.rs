//! Which bytes of a blob its pieces cover, so that no two overlap: what is copied from a file that a peer cannot read must not
//! be overwritten but for a little.
//!
//! What is sent in the order of the file takes no memory. Only copies may come ahead of what belongs before them.

use std::collections::VecDeque;
use std::ops::Range;

use proto::limits::AHEAD;

/// The bytes of one blob that are covered, in constant memory as long as they come in order.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// Where the next piece may begin: up to here all is covered, or stays a hole.
    next: u64,
    /// What is covered beyond, in order, with a gap before each. At most [`AHEAD`].
    ahead: VecDeque<Range<u64>>,
}

/// Why a piece is against the rules, in words that follow on "pieces of a blob".
pub(crate) type Wrong = &'static str;

const OVERLAPS: Wrong = "that overlap";
const BACK: Wrong = "that overlap, or stand before data that came before them";
const APART: Wrong = "that stand apart in too many places";

impl Pieces {
    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.next == 0 && self.ahead.is_empty()
    }

    /// These bytes are sent: what is not covered before them stays a hole.
    pub fn data(&mut self, range: Range<u64>) -> Result<(), Wrong> {
        if range.start < self.next {
            return Err(BACK);
        }
        // What is before it is forgotten.
        while self.ahead.front().is_some_and(|first| first.end <= range.start) {
            self.ahead.pop_front();
        }
        if self.ahead.front().is_some_and(|first| first.start < range.end) {
            return Err(OVERLAPS);
        }
        self.next = range.end;
        self.join_first();
        Ok(())
    }

    /// These bytes, of which there are some, are copied.
    pub fn copy(&mut self, range: Range<u64>) -> Result<(), Wrong> {
        if range.start < self.next {
            return Err(BACK);
        }
        let at = self.ahead.partition_point(|one| one.end <= range.start);
        if self.ahead.get(at).is_some_and(|one| one.start < range.end) {
            return Err(OVERLAPS);
        }
        let before = at > 0 && self.ahead[at - 1].end == range.start;
        let behind = self.ahead.get(at).is_some_and(|one| one.start == range.end);
        match (before, behind) {
            (true, true) => {
                self.ahead[at - 1].end = self.ahead[at].end;
                self.ahead.remove(at);
            }
            (true, false) => self.ahead[at - 1].end = range.end,
            (false, true) => self.ahead[at].start = range.start,
            (false, false) => self.ahead.insert(at, range),
        }
        self.join_first();
        if self.ahead.len() > AHEAD { Err(APART) } else { Ok(()) }
    }

    /// What begins where the next piece may begin is no gap away.
    fn join_first(&mut self) {
        if let Some(first) = self.ahead.front()
            && first.start == self.next
        {
            self.next = first.end;
            self.ahead.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_in_order_take_no_memory() {
        let mut pieces = Pieces::default();
        assert!(pieces.is_empty());
        for at in 0..10_000 {
            let (start, end) = (at * 20, at * 20 + if at % 3 == 0 { 20 } else { 10 });
            let taken =
                if at % 2 == 0 && start == pieces.next { pieces.copy(start..end) } else { pieces.data(start..end) };
            assert_eq!((taken, pieces.ahead.len(), pieces.next), (Ok(()), 0, end));
        }
        assert!(!pieces.is_empty());
    }

    #[test]
    fn copies_ahead_join_and_are_forgotten_once_the_data_is_beyond_them() {
        let mut pieces = Pieces::default();
        for range in [30..40, 10..20, 50..60, 70..80] {
            pieces.copy(range).unwrap();
        }
        assert_eq!(pieces.ahead, [10..20, 30..40, 50..60, 70..80]);
        pieces.copy(20..30).unwrap();
        pieces.copy(60..65).unwrap();
        pieces.copy(45..50).unwrap();
        assert_eq!(pieces.ahead, [10..40, 45..65, 70..80]);
        pieces.data(2..10).unwrap();
        assert_eq!((pieces.next, &pieces.ahead), (40, &VecDeque::from([45..65, 70..80])));
        // What is between them stays a hole.
        pieces.data(66..70).unwrap();
        assert_eq!((pieces.next, pieces.ahead.len()), (80, 0));
        assert_eq!([pieces.copy(42..44), pieces.data(79..81)], [Err(BACK), Err(BACK)]);
    }

    #[test]
    fn no_sequence_of_pieces_covers_a_byte_twice() {
        const SIZE: u64 = 60;
        let mut rng = fastrand::Rng::with_seed(3);
        let (mut refused, mut wrongly) = (0, 0);
        for _ in 0..20_000 {
            let (mut pieces, mut covered, mut sent) = (Pieces::default(), [false; SIZE as usize], 0);
            for _ in 0..12 {
                let start = rng.u64(..SIZE);
                let range = start..(start + rng.u64(1..12)).min(SIZE);
                let places = range.start as usize..range.end as usize;
                let free = !covered[places.clone()].contains(&true);
                let data = rng.u8(..3) == 0;
                let taken = if data { pieces.data(range.clone()) } else { pieces.copy(range.clone()) };
                if taken.is_err() {
                    refused += 1;
                    wrongly += u32::from(free && range.start >= sent);
                    break;
                }
                assert!(free && range.start >= sent, "{range:?} over {covered:?} after data to {sent}");
                covered[places].fill(true);
                sent = if data { range.end } else { sent };
            }
        }
        assert!(refused > 1000, "{refused}");
        assert_eq!(wrongly, 0);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut pieces = Pieces::default();
        for at in (1..=AHEAD as u64).rev() {
            assert_eq!(pieces.copy(2 * at..2 * at + 1), Ok(()));
        }
        assert_eq!(pieces.copy(1_000_000..1_000_001), Err(APART));
    }
}
