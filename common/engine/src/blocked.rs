//! The condition in which a target stores nothing, or nothing that needs room: its disk is full or read-only. It concerns all
//! that is owed and no single entry.

use std::fmt;
use std::time::SystemTime;

use sys::Lack;

/// See the module. While it lasts, what is owed waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// What the target lacks.
    pub lack: Lack,
    /// In the words of its file system.
    pub reason: String,
    /// When that was heard first.
    pub since: SystemTime,
    /// The most paths that have waited for room at a time.
    pub paths: u64,
    /// How often it was tried since, in vain, whether that is over.
    pub tries: u64,
    /// Whether it was logged.
    pub(crate) told: bool,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = match self.lack {
            Lack::Room => "full",
            Lack::Writing => "read-only",
        };
        write!(f, "the backup's disk is {is}: {}", self.reason)
    }
}
