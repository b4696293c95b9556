//! What a receiver says that answers nothing: signs of life, receipts of what was acknowledged before, numbers that change
//! nothing. Some of it is in order; as much as the link carries would keep a core busy for ever.

use std::time::Instant;

use proto::limits::{CHATTER, CHATTER_PAUSE};

/// How much of it may still come now.
#[derive(Debug)]
pub(super) struct Chatter {
    left: u32,
    /// Up to when what has come is made up for.
    filled: Instant,
}

impl Chatter {
    /// Of a connection that begins now.
    pub fn new(now: Instant) -> Chatter {
        Chatter { left: CHATTER, filled: now }
    }

    /// One more has come. False when that is too much.
    pub fn heard(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_millis() / CHATTER_PAUSE.as_millis();
        let more = u32::try_from(passed).unwrap_or(CHATTER).min(CHATTER);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(CHATTER);
            self.filled = if more == CHATTER { now } else { self.filled + more * CHATTER_PAUSE };
        }
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or_default();
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn signs_of_life_are_in_order_and_a_flood_of_them_is_not() {
        let mut now = Instant::now();
        let mut chatter = Chatter::new(now);
        for _ in 0..100_000 {
            now += CHATTER_PAUSE;
            assert!(chatter.heard(now));
        }
        now += CHATTER_PAUSE;
        let at_once = (0..2 * CHATTER).filter(|_| chatter.heard(now)).count();
        assert_eq!(at_once, CHATTER as usize);
        // A link that stood still for an hour gives out all at once.
        now += Duration::from_secs(3600);
        assert!((0..CHATTER).all(|_| chatter.heard(now)) && !chatter.heard(now));
        now += CHATTER_PAUSE;
        assert!(chatter.heard(now) && !chatter.heard(now));
    }
}
