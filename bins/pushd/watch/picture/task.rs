//! What passes between the picture and the hands: what is to be done, and what came of it.

use std::time::Instant;

use sys::inotify::Watch;

use super::unwatched::Why;
use crate::watch::event::Spot;

/// What is to be done by the hands.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// Give these watches back to the kernel.
    GiveBack(Vec<Watch>),
    /// Find out which folder stands at a place: open the folder that it is in, check that this has the watch that is
    /// believed, open the name, watch it, tell [`met`](super::Picture::met), and walk it if it is new. Then tell
    /// [`looked`](super::Picture::looked).
    Look(Look),
    /// List a watched folder once more, and watch what is new in it. Then tell [`listed`](super::Picture::listed).
    List(Listing),
}

/// A look at a place, from its task to its answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Look {
    pub place: Spot,
    /// How many looks at it were of no use.
    pub tries: u8,
    /// What its answer is for.
    pub(super) purpose: Purpose,
    /// How far back what is found out may reach.
    pub(super) behind: Instant,
}

/// The same for the listing of a folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Listing {
    pub watch: Watch,
    /// How many listings of it were of no use.
    pub(super) tries: u8,
}

/// What came under a name when the hands tried to open and watch the folder there.
#[derive(Debug)]
pub enum Met {
    Folder(Watch),
    /// Nothing, or something that is no folder.
    Nothing,
    /// A folder on another file system.
    Mount,
    /// A folder, and the kernel has no watch left.
    Limit,
    /// A folder that may not be opened; why.
    Denied(String),
    /// Trouble that may pass; which.
    Trouble(String),
}

/// What that means for the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The folder that was believed to be there.
    Known,
    /// One that was believed to be elsewhere.
    Moved,
    /// One that was not watched before, and is now: what stands in it is to be walked.
    New,
    /// Nothing, or something that is no folder.
    Gone,
    /// A folder that is not watched.
    Unwatched,
    /// The folder in which the name is to be looked up is not where it is believed to be. (Only hands say this.)
    Astray,
}

/// Why a place is looked at: what its answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A folder was made there.
    Made,
    /// A folder was moved there.
    MovedIn,
    /// A folder was moved away from there to where nothing is watched; which one is believed to be there.
    MovedOut(Option<Watch>),
    /// A folder was moved there from a place at which none was known.
    Renamed,
    Doubt,
    /// It is not watched, and tried again.
    Retry(Why),
}
