//! What may travel between pushd and recvd: names, metadata, messages, their bytes, the limits, and the login dialogue.
//!
//! No I/O, no clock, no randomness. Every decoder is total on hostile bytes: it returns a value that is valid by its
//! type, or an [`Error`](codec::Error) that ends the session. The specification of the wire follows.
//!
#![doc = include_str!("../PROTOCOL.md")]
#![forbid(unsafe_code)]

pub mod capabilities;
pub mod codec;
pub mod dialogue;
pub mod digest;
pub mod extensions;
pub mod keep;
pub mod limits;
pub mod login;
pub mod message;
pub mod meta;
pub mod name;
pub mod policy;
pub mod report;
pub mod shown;
pub mod version;
mod wire;

pub use capabilities::Capabilities;
pub use digest::Digest;
pub use keep::{INEXACT, Keep, Kept};
pub use message::{Chunk, Content, Outcome, ToReceiver, ToSender};
pub use meta::{Device, Entry, Kind, Meta, Time, Xattr, Xattrs};
pub use name::{Invalid, Name, RelPath};
pub use version::Version;
