//! What a sender has told of itself in a session. Nothing is decided by it; whoever looks after the service reads it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use proto::ToReceiver;
use proto::limits::REPORTS;
use proto::report::{Done, Report};

/// See the module. May be read at any time.
#[derive(Debug, Default)]
pub struct Told(Mutex<Tale>);

/// All that there is to know: of reports the last, of problems their number.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tale {
    /// How far the sender was, and when that was heard.
    pub report: Option<(Report, SystemTime)>,
    /// All that was to be sent had been sent.
    pub done: Option<Done>,
    /// Entries that it named as those that are not mirrored.
    pub problems: u64,
}

/// How many reports have come: a sender that keeps to one a second never has more than seconds have passed, however long it was
/// not listened to.
pub(super) struct Reports {
    began: Instant,
    heard: u64,
}

impl Reports {
    /// Of a session that begins now.
    pub(super) fn new(now: Instant) -> Reports {
        Reports { began: now, heard: 0 }
    }

    /// One more has come. False when that is too much.
    pub(super) fn heard(&mut self, now: Instant) -> bool {
        self.heard += 1;
        self.heard <= REPORTS + now.saturating_duration_since(self.began).as_secs()
    }
}

impl Told {
    fn lock(&self) -> MutexGuard<'_, Tale> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it by now.
    pub fn tale(&self) -> Tale {
        self.lock().clone()
    }

    /// One message more of those that tell something.
    pub(super) fn hear(&self, message: ToReceiver, now: SystemTime) {
        let mut tale = self.lock();
        match message {
            ToReceiver::Report(report) => tale.report = Some((report, now)),
            ToReceiver::Done(done) => tale.done = Some(done),
            ToReceiver::Problem { .. } => tale.problems = tale.problems.saturating_add(1),
            _ => {}
        }
    }

    /// From now on it is this, as if a sender had told it: for tests of who reads it.
    pub fn is(&self, tale: Tale) {
        *self.lock() = tale;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_report_a_second_is_in_order_also_after_an_hour_without_being_heard() {
        let mut now = Instant::now();
        let mut reports = Reports::new(now);
        for _ in 0..10_000 {
            now += Duration::from_secs(1);
            assert!(reports.heard(now));
        }
        now += Duration::from_secs(3600);
        assert!((0..3600 + REPORTS).all(|_| reports.heard(now)) && !reports.heard(now));
    }
}
