//! How often senders are told that a file of the backup has another content than they say. Each such answer rules one content
//! out: with a stolen password that only pushes nobody is to try one after the other. There is one for each user of a module,
//! whatever sessions come and go.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use proto::limits::{GUESS_PAUSE, GUESSES};

/// What is left of them. By default all.
#[derive(Debug, Default)]
pub struct Guesses(Mutex<Spent>);

#[derive(Debug, Default)]
struct Spent {
    guesses: u32,
    /// Since when the next one grows; meaningless while none is spent.
    since: Option<Instant>,
}

impl Guesses {
    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one, if one is left: to be given back where the answer tells nothing new.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut spent = self.spent();
        let since = *spent.since.get_or_insert(now);
        let grown = now.saturating_duration_since(since).as_nanos() / GUESS_PAUSE.as_nanos();
        let grown = u32::try_from(grown).unwrap_or(u32::MAX).min(spent.guesses);
        spent.guesses -= grown;
        spent.since = if spent.guesses == 0 { None } else { Some(since + GUESS_PAUSE * grown) };
        if spent.guesses >= GUESSES {
            return false;
        }
        spent.guesses += 1;
        spent.since.get_or_insert(now);
        true
    }

    /// It was not needed.
    pub(super) fn give_back(&self) {
        let mut spent = self.spent();
        spent.guesses = spent.guesses.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn some_at_once_and_then_one_after_each_pause() {
        let (guesses, began) = (Guesses::default(), Instant::now());
        let taken = |at: Instant| (0..10_000).take_while(|_| guesses.take(at)).count();
        assert_eq!(taken(began), GUESSES as usize);
        assert_eq!(taken(began + GUESS_PAUSE - Duration::from_millis(1)), 0);
        assert_eq!(taken(began + GUESS_PAUSE), 1);
        assert_eq!(taken(began + GUESS_PAUSE * 3 + GUESS_PAUSE / 2), 2);
        assert_eq!(taken(began + GUESS_PAUSE * 4), 1, "half of a pause was not lost");
        assert_eq!(taken(began + GUESS_PAUSE * 100_000), GUESSES as usize, "never more at once");
        guesses.give_back();
        assert_eq!(taken(began + GUESS_PAUSE * 100_000), 1);
    }

    #[test]
    fn what_is_given_back_costs_nothing() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for _ in 0..10 * GUESSES {
            assert!(guesses.take(now));
            guesses.give_back();
        }
    }
}
