//! The primitives of the wire: little-endian integers, counted byte strings, paths, texts, metadata.
//!
//! [`codec`](crate::codec) makes messages of them; [`digest`](crate::digest) hashes the very same bytes. Readers check
//! every bound of [`limits`](crate::limits) before they copy; nothing here knows a whole message.

mod meta;
mod read;
mod write;

pub(crate) use meta::{ENTRY_LONGEST, entry_len, put_entry, put_meta, put_xattrs, take_entry, take_meta};
pub use read::Reader;
pub(crate) use write::{put_bytes8, put_bytes16, put_maybe, put_path, put_text8, put_text16};

use crate::name;

/// Why bytes are not a message. Each ends the session: the peer broke the protocol. `what` is the field, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    /// The frame ends before this field does.
    #[error("the frame ends within its {what}")]
    Truncated { what: &'static str },
    /// The frame goes on after its last field.
    #[error("the frame has {bytes} bytes after its end")]
    Trailing { bytes: usize },
    /// The field passes its limit.
    #[error("the {what} has length {len}, at most {max} is allowed")]
    TooLong {
        what: &'static str,
        /// What the peer announced, in bytes or items.
        len: u64,
        /// The constant in [`limits`](crate::limits).
        max: u64,
    },
    /// A number that this version gives no meaning.
    #[error("the {what} {value} is unknown")]
    Unknown { what: &'static str, value: u64 },
    /// The field has a value that no valid message has.
    #[error("the {what} {why}")]
    Invalid {
        what: &'static str,
        /// What is wrong, as the end of the sentence.
        why: &'static str,
    },
    /// The peer demands an extension that is not known here.
    #[error("the extension {number} is needed and not known here")]
    Unsupported { number: u16 },
    /// The field is no name or path.
    #[error("the {what} {why}")]
    Path { what: &'static str, why: name::Invalid },
}
