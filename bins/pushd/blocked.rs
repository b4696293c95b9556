//! Whether it is of use to wait. While the disk of a target is full or read-only, what needs room does not arrive; once all
//! else has, there is nothing to wait for. Nor is there while a target that keeps asking gets nothing. Asked by `wait` and
//! `sync`.

use std::time::Instant;

use engine::blocked::Blocked;
use engine::mirror::{ASKS, Mirror};
use proto::RelPath;
use sys::Lack;

/// What was known of a target when the waiting began.
pub struct Known(Option<Blocked>);

impl Known {
    /// Asks this target. Its disk may have room again, so the target tries that now.
    pub fn of(mirror: &Mirror) -> Known {
        mirror.try_again();
        Known(mirror.target.blocked())
    }

    /// Why it is of no use to wait for what was noticed at `place` up to a moment: the disk was tried in vain since the waiting
    /// began, and all that needs no room has arrived, or nothing is sent at all. `None` while something may still move.
    pub fn sentence(&self, mirror: &Mirror, place: &RelPath, moment: Instant) -> Option<String> {
        if mirror.keeps_asking().is_some() {
            let pending = mirror.pending();
            let waits = pending.owes(place, moment);
            return waits.then(|| format!("{ASKS}; paths that are owed: {}", pending.len()));
        }
        let blocked = mirror.target.blocked().filter(|blocked| blocked.tries > 0)?;
        let tried = self.0.as_ref().is_none_or(|then| (then.since, then.tries) != (blocked.since, blocked.tries));
        let pending = mirror.pending();
        let moves = blocked.lack == Lack::Room && pending.oldest_moving().is_some_and(|at| at <= moment);
        let waits = tried && !moves && pending.owes(place, moment);
        waits.then(|| format!("{blocked}; paths that are owed: {}", pending.len()))
    }
}
