//! What a receiver tells its sender of itself before anything else: the rules of its module and what its disk can hold. The
//! receiver keeps to them whatever the sender does; a sender that knows them does not send in vain.

use crate::Capabilities;
use crate::extensions::Extensions;

/// The rules of a module. Empty, it forbids nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Patterns of entries that are refused, as gitignore has them: at most [`PATTERNS`](crate::limits::PATTERNS), each 1 to
    /// [`PATTERN`](crate::limits::PATTERN) bytes of plain text.
    pub exclude: Vec<String>,
    /// Patterns of entries that are never deleted or replaced, bounded likewise.
    pub protect: Vec<String>,
    /// Who owns all that is stored, whoever owns it at the source.
    pub owner: Option<Owner>,
    /// The mode of all files, at most 0o7777.
    pub file_mode: Option<u32>,
    /// The mode of all folders, at most 0o7777.
    pub folder_mode: Option<u32>,
    /// Whether what a sender deletes stays.
    pub keeps_deleted: bool,
    /// What the module and its sources may take.
    pub limits: Bounds,
    /// What the file system can hold.
    pub capabilities: Capabilities,
    /// What a later version may say besides.
    pub extensions: Extensions,
}

/// An owner and a group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Owner {
    pub user: u32,
    pub group: u32,
}

/// Bounds that the operator of the receiver has set. `None`: there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Bytes of the largest file.
    pub file_size: Option<u64>,
    /// Bytes of all that stands in the folder of the session.
    pub size: Option<u64>,
    /// Entries in that folder, with all beneath.
    pub entries: Option<u64>,
}
