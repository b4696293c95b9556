//! What a sender tells of itself, for the one who looks after the receiver. Nothing is decided by it.

/// How far a source is mirrored, as its sender sees it. Sent when it changes, and at most once a second.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The program, as "pushd 0.1.0"; at most [`SOFTWARE`](crate::limits::SOFTWARE) bytes travel.
    pub software: String,
    /// Paths that are owed.
    pub owed_paths: u64,
    /// Bytes that are owed, as far as is known.
    pub owed_bytes: u64,
    /// Milliseconds since the oldest change that is owed was noticed; 0 when nothing is.
    pub oldest: u64,
    /// Entries of the source that are in trouble there or here.
    pub problems: u64,
    /// Whether nothing is owed and all is watched.
    pub in_sync: bool,
}

/// A transfer was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Entries that were sent.
    pub entries: u64,
    /// Bytes of content that were sent.
    pub bytes: u64,
    /// Entries that are not mirrored, or not all of them, whoever has found that. Each was named by a `Problem`, as far as
    /// there was room for that.
    pub problems: u64,
}
