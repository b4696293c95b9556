//! The pauses between two tries to reach a target.

use std::time::Duration;

use kit::Stop;

use crate::config::Retry;

/// The longest pause that a receiver may ask for: its word must not end the mirroring.
const LONGEST: Duration = Duration::from_secs(600);

/// What comes before the next try.
#[derive(Debug, Clone, Copy)]
pub enum Pause {
    /// Nothing: the lane waits for its source, or ends.
    None,
    /// The next of the growing pauses.
    Usual,
    /// At least what the receiver asked for, within reason.
    Asked(Duration),
}

/// Growing pauses between tries, each shortened or lengthened at random by up to a half, so that many hosts do not come
/// back in step.
pub struct Backoff {
    retry: Retry,
    next: Duration,
}

impl Backoff {
    /// Before the second try.
    pub fn new(retry: Retry) -> Backoff {
        Backoff { retry, next: retry.first }
    }

    /// How long to wait, but for chance. Never shorter than the configured first pause, whatever a receiver asks for.
    fn next(&mut self, pause: Pause) -> Option<Duration> {
        let asked = match pause {
            Pause::None => return None,
            Pause::Usual => Duration::ZERO,
            Pause::Asked(asked) => asked.min(LONGEST),
        };
        let usual = self.next;
        self.next = (self.next * 2).min(self.retry.max);
        Some(usual.max(asked))
    }

    /// Returns when the pause is over, or at once on `stop`.
    pub async fn wait(&mut self, pause: Pause, stop: &Stop) {
        let Some(pause) = self.next(pause) else { return };
        // Without randomness all wait for the same time.
        let share = sys::process::random().map_or(0.5, |bytes| u64::from_ne_bytes(bytes) as f64 / u64::MAX as f64);
        tokio::select! {
            () = tokio::time::sleep(pause.mul_f64(0.5 + share)) => {}
            () = stop.requested() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_has_its_say_within_reason() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(Retry { first, max });
        assert_eq!(backoff.next(Pause::None), None);
        assert_eq!(backoff.next(Pause::Asked(Duration::ZERO)), Some(first));
        assert_eq!(backoff.next(Pause::Usual), Some(first * 2), "it grows");
        assert_eq!(backoff.next(Pause::Asked(Duration::from_secs(5))), Some(Duration::from_secs(5)));
        assert_eq!(backoff.next(Pause::Asked(Duration::MAX)), Some(LONGEST));
        assert_eq!(backoff.next(Pause::Usual), Some(max));
    }
}
