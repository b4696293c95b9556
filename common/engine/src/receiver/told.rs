//! What a sender has told of itself in a session. Nothing is decided by it; whoever looks after the service reads it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use proto::ToReceiver;
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
    /// Entries that it named as those that could not be sent.
    pub problems: u64,
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

    /// As a sender may have told it.
    pub fn is(&self, tale: Tale) {
        *self.lock() = tale;
    }
}
