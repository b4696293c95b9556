//! A place of which an event has told that what stood there went.

use crate::pending::ages::Since;

/// What has become of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing stands there; if it was a folder, all that was in it went with it.
    Gone,
    /// A folder stands there again. What was in it and is not again waits.
    Back,
    /// More went in this folder than is known by name.
    Part,
    /// The same of it and of all beneath it.
    Wide,
}

impl State {
    /// Whether what is in it waits by name, and here it is only known that there is more.
    pub fn is_more(self) -> bool {
        matches!(self, State::Part | State::Wide)
    }

    /// Of two that come to the same place.
    pub fn joined(self, new: State) -> State {
        match (self, new) {
            (State::Part | State::Wide, State::Wide) | (State::Wide, State::Part) => State::Wide,
            (there, new) if new.is_more() => there,
            (_, new) => new,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub state: State,
    /// Entries that went here, as far as events have told; itself included.
    pub entries: u64,
    pub since: Since,
    /// What was written before it went had not been looked at: what the target has is older.
    pub stale: bool,
    /// Another folder is the source by now: whether it is in that nobody has seen.
    pub elsewhere: bool,
}
