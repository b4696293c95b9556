//! Whether what somebody waits for will not come for now: the disk of the target is full or read-only, and what it takes all
//! the same it has taken. Asked by `wait` and `sync`.

use std::time::Instant;

use engine::blocked::Blocked;
use engine::mirror::Mirror;
use proto::RelPath;
use sys::Lack;

/// What was known of a target when the waiting began.
pub struct Known(Option<Blocked>);

impl Known {
    /// Of this target. It may be over by now, so that is tried.
    pub fn of(mirror: &Mirror) -> Known {
        mirror.try_again();
        Known(mirror.blocked())
    }

    /// Why what was noticed at `place` up to a moment waits, and all that could move has: it was tried since, in vain.
    pub fn sentence(&self, mirror: &Mirror, place: &RelPath, moment: Instant) -> Option<String> {
        let blocked = mirror.blocked().filter(|blocked| blocked.tries > 0)?;
        let tried = self.0.as_ref().is_none_or(|then| (then.since, then.tries) != (blocked.since, blocked.tries));
        let pending = mirror.pending();
        let moves = blocked.lack == Lack::Room && pending.oldest_moving().is_some_and(|at| at <= moment);
        let waits = tried && !moves && pending.owes(place, moment);
        waits.then(|| format!("{blocked}; paths that are owed: {}", pending.len()))
    }
}
