//! Reading a configuration file so that every complaint comes at once, with file, line, column, key and the nearest valid
//! key. A program walks the [`Document`] once, taking each key that it knows; what nobody took is unknown.
//!
//! It does not know which keys exist: each program's own `config.rs` says that, by taking them.

mod complaint;
mod document;
mod nearest;
#[cfg(test)]
mod tests;
mod tree;
mod value;

pub use complaint::{Complaint, Complaints};
pub use document::{Document, Table};
pub use nearest::nearest;
pub use value::{ByteSize, FromValue, Share, Value, Wrong, parse_duration};
