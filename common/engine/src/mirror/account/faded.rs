//! Versions that are not remembered one by one any more: a few bits of each, by which what was never sent is nearly always
//! known for that.

use std::time::{Duration, Instant};

/// Bits of one hour: 1 MiB.
const BITS: u64 = 8 * 1024 * 1024;
/// So many of them stand for one version.
const EACH: u64 = 4;
/// LIMIT: versions of one hour by which two of a hundred others are taken for one of them. With more it is not said any more
/// that one was sent.
const MOST: u32 = 1024 * 1024;

/// What is known of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Never,
    Sent,
    Perhaps,
}

/// Those of the last hour, and some that are older.
#[derive(Debug, Default)]
pub(super) struct Faded {
    now: Hour,
    before: Hour,
}

#[derive(Debug, Default)]
struct Hour {
    began: Option<Instant>,
    /// Empty before the first.
    bits: Vec<u64>,
    count: u32,
}

impl Faded {
    /// This one was sent, and is forgotten.
    pub fn add(&mut self, hash: u64, now: Instant, hour: Duration) {
        self.expire(now, hour);
        self.now.began.get_or_insert(now);
        self.now.add(hash);
    }

    pub fn of(&mut self, hash: u64, now: Instant, hour: Duration) -> Known {
        self.expire(now, hour);
        match [&self.now, &self.before].into_iter().find(|hour| hour.has(hash)) {
            None => Known::Never,
            Some(hour) if hour.count <= MOST => Known::Sent,
            Some(_) => Known::Perhaps,
        }
    }

    fn expire(&mut self, now: Instant, hour: Duration) {
        while self.now.began.is_some_and(|began| now.saturating_duration_since(began) >= hour) {
            let next =
                self.now.began.map(|began| began + hour).filter(|next| now.saturating_duration_since(*next) < hour);
            self.before = std::mem::take(&mut self.now);
            self.now.began = next;
            if next.is_none() {
                self.before = Hour::default();
            }
        }
    }
}

impl Hour {
    fn add(&mut self, hash: u64) {
        if self.bits.is_empty() {
            self.bits = vec![0; (BITS / 64) as usize];
        }
        self.count += u32::from(!self.has(hash));
        places(hash).for_each(|(word, bit)| self.bits[word] |= bit);
    }

    fn has(&self, hash: u64) -> bool {
        !self.bits.is_empty() && places(hash).all(|(word, bit)| self.bits[word] & bit != 0)
    }
}

fn places(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let (first, step) = (hash >> 32, (hash & 0xffff_ffff) | 1);
    (0..EACH).map(move |at| {
        let bit = (first + at * step) % BITS;
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn hash(number: u64) -> u64 {
        blake3::hash(&number.to_le_bytes()).as_bytes()[..8].iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
    }

    #[test]
    fn what_was_added_is_known_for_an_hour_and_little_else() {
        let (mut faded, now) = (Faded::default(), Instant::now());
        assert_eq!(faded.of(hash(1), now, HOUR), Known::Never);
        let many = 300_000;
        (0..many).for_each(|number| faded.add(hash(number), now, HOUR));
        assert!((0..many).all(|number| faded.of(hash(number), now + HOUR, HOUR) == Known::Sent));
        let taken = (many..2 * many).filter(|number| faded.of(hash(*number), now, HOUR) != Known::Never).count();
        assert!(taken < 3000, "{taken}");
        faded.add(hash(many), now + HOUR, HOUR);
        assert_eq!(faded.of(hash(1), now + HOUR * 2, HOUR), Known::Never);
        assert_eq!(faded.of(hash(many), now + HOUR * 2, HOUR), Known::Sent);
        assert_eq!(faded.of(hash(many), now + HOUR * 5, HOUR), Known::Never);
    }

    #[test]
    fn of_more_than_that_it_is_not_said_that_they_were_sent() {
        let (mut faded, now) = (Faded::default(), Instant::now());
        (0..u64::from(MOST) * 2).for_each(|number| faded.add(hash(number), now, HOUR));
        assert_eq!(faded.of(hash(1), now, HOUR), Known::Perhaps);
    }
}
