//! The messages of the data phase: operations from the sender to the receiver, receipts back.
//!
//! Operations are numbered by both sides from 1 in the order sent; the number does not travel. Blobs and pings are not
//! operations and have no number.

use bytes::Bytes;

use crate::policy::Policy;
use crate::report::{Done, Report};
use crate::{Digest, Entry, Meta, Name, RelPath};

/// From the side that has the truth to the side that takes it over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ToReceiver {
    // Operations.
    /// This regular file, whole: content and metadata appear under the name at once, replacing what stands there.
    /// `inexact`: the content is not of one moment, for the file never held still.
    Put { path: RelPath, meta: Meta, content: Content, inexact: bool },
    /// This entry, which is not a regular file. A folder that exists is kept and gets the metadata; all else is
    /// replaced. A folder never replaces a folder's content. The root may be named, as a folder.
    Make { path: RelPath, meta: Meta },
    /// The metadata of a folder that stands there; `Absent` when there is none. The root may be named.
    Mend { path: RelPath, meta: Meta },
    /// The metadata of a regular file whose content is thought to be there: `Want` when kind, size or
    /// mtime differ, or when other metadata does and the file has other names there. With the BLAKE3 hash of the content, of a
    /// file of at most [`INLINE`](crate::limits::INLINE) bytes, that decides instead of the mtime.
    Offer { path: RelPath, meta: Meta, digest: Option<[u8; 32]> },
    /// These names are one file: `first`, with the content there, and all `others`,
    /// 1..=[`LINKS`](crate::limits::LINKS).
    Link { first: RelPath, others: Vec<RelPath> },
    /// No entry has this name; a folder goes with all that is beneath it. Never the root.
    Remove { path: RelPath },
    /// What stood at `from` stands at `to`, which it replaces. `Absent` when there is nothing at `from`. Neither path
    /// is within the other, and neither is the root.
    Rename { from: RelPath, to: RelPath },
    /// The two entries have swapped places. Neither path is within the other, and neither is the root.
    Exchange { a: RelPath, b: RelPath },
    /// The sender's folder has this digest. No answer but the receipt when the receiver's is the same, else the first part
    /// of its `Listing`.
    Compare { path: RelPath, digest: Digest },
    /// What stands in this folder, from its beginning or behind this name? Answered by one part of a `Listing`.
    List { path: RelPath, after: Option<Name> },
    /// The sender's file has so many bytes, and `digest` is the BLAKE3 hash of them. No answer but the receipt when the
    /// receiver's content is the same, else `Differs`.
    Equal { path: RelPath, size: u64, digest: [u8; 32] },
    /// This moment of the session's folder has a name from now on, 1 to [`MARK`](crate::limits::MARK) bytes of plain text. One
    /// that is in use is refused.
    Mark { name: String },
    /// How many entries stand at and beneath this path? Answered by `Counted`.
    Count { path: RelPath },
    /// All `Link` groups beneath this folder have been named since the last `Settle` or the start: names that share a
    /// file here without being in one group are to be parted.
    Settle { path: RelPath },
    // Not operations.
    /// Opens blob `id` for a content of `size` bytes; what no `Data` covers is a hole.
    Blob { id: u32, size: u64 },
    /// A piece of a blob. No two pieces, of either sort, overlap, and none comes before the end of one of these.
    Data { id: u32, offset: u64, bytes: Bytes },
    /// Asks for the `Signature` of the file that stands at this path: the basis of the blob. Once, before its first
    /// piece.
    Basis { id: u32, path: RelPath },
    /// A piece of a blob that is there already: `count` chunks of its basis, at least 1, from number `first` on, one
    /// after the other.
    Copy { id: u32, offset: u64, first: u32, count: u32 },
    /// The blob will not be used.
    Drop { id: u32 },
    /// Whole frames of `length` bytes together, at most [`PACKED`](crate::limits::PACKED), as the next part of a stream of zstd
    /// frames. None of them is `Packed`. With 0 bytes it ends the zstd frame.
    Packed { length: u32, bytes: Bytes },
    /// The answer to `Window`: no zstd frame is open, and those that follow have at most this window, as a power of two.
    Windowed { log: u8 },
    /// Is anybody there? Answered by `Pong`, and no other comes before that.
    Ping,
    /// The answer to `Ping`; unasked as well, to say that the sender lives.
    Pong,
    /// The token of `Opened` is written down: the one before is void.
    Noted,
    /// The lease of the folder is given back when this session ends: anybody else may have it then.
    Return,
    /// In this session nothing is removed and no folder leaves its name: the sender does not mirror deletions. Once, before
    /// the first operation.
    Spare,
    /// All that was to be sent is sent and acknowledged.
    Done(Done),
    /// An entry is not mirrored, or not all of it, and why, in at most [`REASON`](crate::limits::REASON) bytes of plain text.
    Problem { path: RelPath, reason: String },
    /// How far the sender is.
    Report(Report),
    /// A message of a later version that need not be known: 128 to 159.
    Extra { kind: u8, body: Bytes },
}

/// The content of a regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Content {
    /// At most [`INLINE`](crate::limits::INLINE) bytes, exactly the size in the metadata.
    Inline(Bytes),
    /// A blob sent before, complete; `hash` is [`digest::Transcript`](crate::digest::Transcript) over its pieces.
    Blob { id: u32, hash: [u8; 32] },
    /// Not sent, and nothing is put. It only asks whether there is room for the entry with so many bytes of content: `Want`
    /// when there is, else `Full` or `ReadOnly`.
    Asked { room: u64 },
}

/// A part of a basis, at most [`CHUNK`](crate::limits::CHUNK) bytes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Bytes, at least [`CHUNK_LEAST`](crate::limits::CHUNK_LEAST).
    pub length: u32,
    /// The half of [`digest::chunk`](crate::digest::chunk) of its bytes that is told.
    pub digest: Digest,
}

/// Receipts and answers, from the side that takes the truth over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ToSender {
    /// All operations up to this number are visible, but those with an [`Outcome`] sent before.
    Applied { upto: u64 },
    /// All operations up to this number survive a power cut, but those with an [`Outcome`] sent before.
    Durable { upto: u64 },
    /// This operation did not do what it says. Sent before the receipt that covers it.
    Outcome { op: u64, outcome: Outcome },
    /// Entries of the receiver's folder in order of names, for a `Compare` that differs or a `List`: one part for each. Behind
    /// one that is not the `last` there are more, for which a `List` asks.
    Listing { op: u64, entries: Vec<Entry>, last: bool },
    /// There is no folder at the path of this `Compare` or `List`.
    NoFolder { op: u64 },
    /// Entries at and beneath the path of this `Count`; 0 when there is none.
    Counted { op: u64, entries: u64 },
    /// The next chunks of the basis of this blob, which has so many bytes, from its beginning, in one or more parts;
    /// 0 bytes and `last` where there is no such file, or none that serves.
    Signature { id: u32, size: u64, chunks: Vec<Chunk>, last: bool },
    /// So many bytes more of what `Copy` named for this blob are in their place, or never will be.
    Copied { id: u32, bytes: u64 },
    /// The answer to `Ping`; unasked as well, to say that the receiver lives.
    Pong,
    /// Is anybody there? Answered by `Pong`.
    Ping,
    /// The rules of the module and what its disk holds: the first message to a sender, once.
    Policy(Box<Policy>),
    /// The window of compressed frames may be so large from now on, as a power of two.
    Window { log: u8 },
    /// The session ends, and why; the connection closes after it.
    Bye { refusal: crate::login::Refusal },
    /// A message of a later version that need not be known: 128 to 159.
    Extra { kind: u8, body: Bytes },
}

/// Why an operation did not do what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Outcome {
    /// `Offer`: the content is not there; send it. `Put` of content that is asked about: there is room for it; send it.
    Want,
    /// What the operation builds on (the parent folder, `from`, `first`) is not there.
    Absent,
    /// Done, but for this part, which the module or the receiver's rights do not allow (owner, a setuid bit, an xattr).
    Partly { reason: String },
    /// Not done, and would not be if tried again: a name the file system refuses, a kind the module does not keep.
    Refused { reason: String },
    /// Not done now: an I/O error and the like. The sender still owes it.
    Failed { reason: String },
    /// Not done, and nothing is that needs as much room, until there is more: no space, no inodes, a quota. What frees room
    /// goes on. The sender still owes it.
    Full { reason: String },
    /// Not done, and nothing is, until the file system can be written again. The sender still owes it.
    ReadOnly { reason: String },
    /// `Equal`: the content is another, or there is no such file.
    Differs,
}

impl ToReceiver {
    /// Whether it is an operation, which has a number and gets a receipt.
    pub fn is_operation(&self) -> bool {
        use ToReceiver::{Compare, Count, Equal, Exchange, Link, List, Make, Mark, Mend, Offer};
        use ToReceiver::{Put, Remove, Rename, Settle};
        let brings = matches!(self, Put { .. } | Make { .. } | Mend { .. } | Offer { .. } | Link { .. });
        let moves = matches!(self, Remove { .. } | Rename { .. } | Exchange { .. } | Settle { .. } | Mark { .. });
        brings || moves || matches!(self, Compare { .. } | List { .. } | Equal { .. } | Count { .. })
    }
}
