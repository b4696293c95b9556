//! A place of which an event has told that what stood there went, and what is told of it.

use proto::RelPath;

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
    /// Entries that went here, as far as events or the target have told; itself included.
    pub entries: u64,
    pub since: Since,
    /// What was written before it went had not been looked at: what the target has is older.
    pub stale: bool,
    /// The target was asked how many they are.
    pub asked: bool,
    /// Another folder is the source by now: whether it is in that nobody has seen.
    pub elsewhere: bool,
}

/// Whether something that is looked at is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// Neither it nor anything beneath.
    No,
    /// It is, or is in a folder that went as a whole.
    Itself,
    /// Something that was in it is.
    Within,
}

/// What takes the name of something that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pending) enum Successor {
    /// Nothing was held there.
    None,
    /// The target has what stood there before, as it was last.
    Known,
    /// The target has something older, or else a folder, of which all that is in it has gone.
    Stale,
    /// It is in a folder that stands again, of which the target may have all.
    Within,
}

/// What is to be done with a place whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pending) enum Next {
    /// It is deleted if it is not there.
    Delete(RelPath, Since),
    /// What is not in it any more has gone.
    Clear(RelPath, Since),
    /// It is compared like any other folder.
    Compare(RelPath, Since),
    /// The same with all that is beneath it.
    CompareAll(RelPath, Since),
}
