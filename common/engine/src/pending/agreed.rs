//! When nothing was owed for the last time. While the target is connected and nothing is owed, that is now. When a change comes
//! in or the link is lost the moment stays as it was then, so it never goes back.

use std::time::{Instant, SystemTime};

use crate::clock::Clock;

#[derive(Debug, Default)]
pub(super) struct Agreed {
    clock: Clock,
    last: Option<Moment>,
    link: Link,
}

/// Whether anything is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    Nothing,
    Something,
}

/// Whether what is acknowledged is known to stand.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Link {
    #[default]
    Lost,
    Made,
}

/// One moment by both clocks: the wall clock may be set.
#[derive(Debug, Clone, Copy)]
struct Moment {
    wall: SystemTime,
    at: Instant,
}

impl Moment {
    /// As the wall clock shows it at `now`: what it showed then, unless it was set back to before that. Then the age
    /// counts.
    fn shown(self, now: Moment) -> SystemTime {
        if self.wall <= now.wall {
            return self.wall;
        }
        now.wall.checked_sub(now.at.saturating_duration_since(self.at)).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl Agreed {
    pub(super) fn by(clock: Clock) -> Agreed {
        Agreed { clock, ..Agreed::default() }
    }

    /// When all that was owed had been acknowledged for the last time; `None` before the first.
    pub(super) fn shown(&self, owed: Owed, now: Instant) -> Option<SystemTime> {
        let last = self.last?;
        let now = Moment { wall: self.clock.wall(), at: now };
        Some(if self.holds(owed) { now.wall } else { last.shown(now) })
    }

    /// A session with the target begins.
    pub(super) fn link_made(&mut self) {
        self.link = Link::Made;
    }

    /// The link is lost. What the target has from here on is not known.
    pub(super) fn link_lost(&mut self, owed: Owed, now: Instant) {
        self.stays(owed, now);
        self.link = Link::Lost;
    }

    /// The last work was acknowledged.
    pub(super) fn reached(&mut self, now: Instant) {
        self.last = Some(Moment { wall: self.clock.wall(), at: now });
    }

    /// To be called before something becomes owed, with what was owed until then.
    pub(super) fn stays(&mut self, owed: Owed, now: Instant) {
        if self.holds(owed) {
            self.reached(now);
        }
    }

    fn holds(&self, owed: Owed) -> bool {
        self.last.is_some() && self.link == Link::Made && owed == Owed::Nothing
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::RelPath;

    use super::super::Pending;
    use super::super::tests::RULES;
    use super::*;
    use crate::hint::Hint;

    #[test]
    fn the_moment_never_goes_back() {
        let mut pending = Pending::new(RULES);
        let wait = || {
            std::thread::sleep(Duration::from_millis(5));
            Instant::now()
        };
        let all = Hint::Subtree { path: RelPath::root() };
        pending.link_made();
        assert_eq!(pending.in_sync_at(Instant::now()), None, "never yet");
        pending.hint(all.clone(), Instant::now());
        let work = pending.take(Instant::now()).unwrap();
        pending.done(work.ticket, Instant::now());
        let done = pending.in_sync_at(Instant::now()).unwrap();
        let at_rest = pending.in_sync_at(wait()).unwrap();
        assert!(at_rest > done, "while nothing is owed it is now");
        pending.hint(all.clone(), Instant::now());
        let owed = pending.in_sync_at(Instant::now()).unwrap();
        assert!(owed >= at_rest, "a change came in and it went back");
        assert_eq!(pending.in_sync_at(wait()), Some(owed), "while something is owed it stands");
        let work = pending.take(Instant::now()).unwrap();
        pending.done(work.ticket, Instant::now());
        let at_rest = pending.in_sync_at(wait()).unwrap();
        pending.link_lost(Instant::now());
        let lost = pending.in_sync_at(Instant::now()).unwrap();
        assert!(lost >= at_rest, "the link was lost and it went back");
        assert_eq!(pending.in_sync_at(wait()), Some(lost), "without a link it stands");
        pending.hint(all, wait());
        assert_eq!(pending.in_sync_at(wait()), Some(lost), "and what comes in then does not move it");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_show_what_is_yet_to_come() {
        let (at, wall) = (Instant::now(), SystemTime::now());
        let hour = Duration::from_secs(3600);
        let then = Moment { wall, at };
        assert_eq!(then.shown(Moment { wall: wall + hour, at: at + hour }), wall);
        assert_eq!(then.shown(Moment { wall: wall + 3 * hour, at: at + hour }), wall);
        assert_eq!(then.shown(Moment { wall: wall - hour, at: at + hour }), wall - 2 * hour);
    }
}
