//! What is known of the target as a whole: whether it takes anything, what its acknowledgements mean, what its disk can
//! hold, and what went wrong last.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use proto::Capabilities;
use proto::login::Durability;

use super::lock;
use crate::blocked::Blocked;

/// Why a target gets nothing that has got too much again.
pub const ASKS: &str =
    "the target keeps asking for what it was sent: what it is owed waits until enough of that is an hour old";

/// See the module. Each value is replaced whole, and true by itself.
#[derive(Debug, Default)]
pub struct Condition {
    blocked: Mutex<Option<Blocked>>,
    /// Somebody wants to know now whether that is over.
    asked: AtomicBool,
    last_error: Mutex<Option<String>>,
    durability: Mutex<Option<Durability>>,
    disk: Mutex<Option<Capabilities>>,
    stuck: AtomicBool,
    /// Changes of the source may be seen late.
    unwatched: AtomicBool,
}

impl Condition {
    /// Why nothing that needs room is stored, if that is so.
    pub fn blocked(&self) -> Option<Blocked> {
        lock(&self.blocked).clone()
    }

    /// Notes that it is blocked, or no more. The last trouble is this one as long as it lasts.
    pub(crate) fn set_blocked(&self, blocked: Option<Blocked>) {
        let now = blocked.as_ref().map(Blocked::to_string);
        let before = std::mem::replace(&mut *lock(&self.blocked), blocked).map(|before| before.to_string());
        if let Some(before) = before {
            self.ends(&before);
        }
        if let Some(now) = now {
            self.begins(&now);
        }
    }

    /// The target keeps asking, or does not any more.
    pub(crate) fn set_asks(&self, asks: bool) {
        if asks { self.begins(ASKS) } else { self.ends(ASKS) }
    }

    /// The last trouble is this one, which lasts.
    fn begins(&self, trouble: &str) {
        *lock(&self.last_error) = Some(trouble.to_owned());
    }

    /// It does not any more. If another one has come since, that stays.
    fn ends(&self, trouble: &str) {
        lock(&self.last_error).take_if(|last| last == trouble);
    }

    /// Somebody wants to know soon whether a blocked target is blocked still.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    pub(crate) fn is_answered(&self) {
        self.asked.store(false, Ordering::Release);
    }

    /// Notes whether every change of the source is noticed when it happens.
    pub fn set_watched(&self, watched: bool) {
        self.unwatched.store(!watched, Ordering::Release);
    }

    pub(crate) fn is_watched(&self) -> bool {
        !self.unwatched.load(Ordering::Acquire)
    }

    /// The last trouble with the connection or the target as a whole.
    pub fn last_error(&self) -> Option<String> {
        lock(&self.last_error).clone()
    }

    /// Notes such trouble; `None` says that it is over.
    pub fn set_last_error(&self, error: Option<String>) {
        *lock(&self.last_error) = error;
    }

    /// What its acknowledgements mean, as the receiver said last; `None` before it has.
    pub fn durability(&self) -> Option<Durability> {
        *lock(&self.durability)
    }

    pub(crate) fn set_durability(&self, durability: Durability) {
        *lock(&self.durability) = Some(durability);
    }

    /// What its disk can hold, as the receiver said last; `None` before it has.
    pub fn disk(&self) -> Option<Capabilities> {
        *lock(&self.disk)
    }

    pub(crate) fn set_disk(&self, disk: Capabilities) {
        *lock(&self.disk) = Some(disk);
    }

    /// Whether the target fails again and again to store what it gets, and has for about 15 seconds.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    pub(crate) fn set_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use sys::Lack;

    use super::*;

    #[test]
    fn the_end_of_what_lasts_is_not_the_end_of_what_has_come_since() {
        let target = Condition::default();
        let since = std::time::SystemTime::UNIX_EPOCH;
        let blocked = Blocked { lack: Lack::Room, reason: "so".into(), since, paths: 0, tries: 0, told: false };
        let begin: [&dyn Fn(bool); 2] = [&|begins| target.set_asks(begins), &|begins| {
            target.set_blocked(begins.then(|| blocked.clone()));
        }];
        for set in begin {
            set(true);
            assert!(target.last_error().is_some());
            set(false);
            assert_eq!(target.last_error(), None);
            set(true);
            target.set_last_error(Some("another".into()));
            set(false);
            assert_eq!(target.last_error().as_deref(), Some("another"));
        }
        // Two that last: the end of one is not that of the other.
        target.set_blocked(Some(blocked));
        target.set_asks(true);
        target.set_blocked(None);
        assert_eq!(target.last_error().as_deref(), Some(ASKS));
    }
}
