//! The will: what to look at, what to send, how to take it in. Knows files and messages, not sockets, TLS, users or
//! configuration, and does not know who dialled. Entry points: [`sender::Sender`] and [`receiver::Receiver`].
#![forbid(unsafe_code)]

mod beneath;
pub mod blocked;
pub mod channel;
pub mod clock;
mod delta;
pub mod hint;
pub mod mirror;
pub mod pack;
mod parts;
pub mod pending;
pub mod receiver;
pub mod sender;
pub mod view;
pub mod workers;
