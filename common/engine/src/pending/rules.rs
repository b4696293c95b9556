//! When a hint is worth a look.

use std::time::Duration;

/// How long hints wait. Each delay counts from the event that it names.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// After a closed file's last event.
    pub settle: Duration,
    /// After the last write to a file still open.
    pub open_settle: Duration,
    /// After the first write to a file still open, however many follow.
    pub open_max_delay: Duration,
    /// For names at which nothing stands.
    pub holds: Holds,
}

/// How long a name at which nothing stands waits before that is believed: an event on its way may yet tell what happened.
#[derive(Debug, Clone, Copy)]
pub struct Holds {
    /// A deletion waits this long, so that a source that vanishes as a whole is seen as such before the first is sent.
    pub deleted: Duration,
    /// Masses of deletions wait this long after the last of them, as what is gone may be about to come back. Zero: they do not.
    pub mass: Duration,
    /// What a mass is: more entries than this within a second, where that is more than a hundredth of the source.
    pub many: u64,
    /// A look found nothing, and no event has told of a deletion or a rename: after this time the listing of the folder
    /// decides.
    pub lost: Duration,
}

impl Default for Holds {
    fn default() -> Holds {
        Holds {
            deleted: Duration::from_millis(100),
            mass: Duration::from_secs(30),
            many: 100,
            lost: Duration::from_secs(1),
        }
    }
}
