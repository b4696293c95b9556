//! Messages to bytes and back. The sender, the receiver and the login use it; `link` takes frames off a stream with it.
//!
//! A frame is a `u32` length, a type byte and a body; `decode` wants the frame without its length, as [`split`] hands
//! it out. Decoders are total: any bytes yield a valid message or an [`Error`]. Nothing here waits, reads or writes a
//! socket.

mod buffers;
mod frame;
mod login;
mod opening;
mod policy;
mod put;
mod sizes;
mod telling;
mod to_receiver;
mod to_sender;

use bytes::{Bytes, BytesMut};

pub use crate::wire::Error;
pub use buffers::Buffers;
pub use frame::{Buffer, LENGTH, split, whole_frames};
pub(crate) use login::REFUSED;
pub use put::{NotWhole, OpenData, OpenPut, start_data, start_put};
pub use sizes::{CHUNKS_THAT_FIT, entries_that_fit, links_that_fit};
pub use to_receiver::is_never_packed;
pub use to_sender::{Begun, asks, begun};

use crate::message::{ToReceiver, ToSender};
use crate::version::Version;
use crate::wire::Reader;

/// Types of messages that a peer need not know, in both directions: none of them is an operation.
const EXTRA: std::ops::RangeInclusive<u8> = 128..=159;

/// What has bytes on the wire: [`ToReceiver`], [`ToSender`] and the messages of [`login`](crate::login).
pub trait Wire: Sized + sealed::Body {
    /// Parses one frame without its length, as this version of the protocol has it: the type byte and the body.
    fn decode(frame: Bytes, version: Version) -> Result<Self, Error> {
        let mut from = Reader::new(frame, version);
        let kind = from.u8("type")?;
        let message = Self::take(kind, &mut from)?;
        from.end()?;
        Ok(message)
    }
}

impl<M: sealed::Body> Wire for M {}

mod sealed {
    use super::{BytesMut, Error, Reader};

    /// Type byte and body of a message.
    pub trait Body: Sized {
        fn kind(&self) -> u8;
        fn put(&self, buf: &mut BytesMut);
        fn take(kind: u8, from: &mut Reader) -> Result<Self, Error>;
    }
}

/// Appends the whole frame of `message`: length, type, body. Texts are made plain and cut to their limits; every other
/// bound of [`limits`](crate::limits) is the caller's to keep: the peer ends the session when one is passed.
pub fn put<M: Wire>(message: &M, buf: &mut BytesMut) {
    let at = frame::open(message.kind(), buf);
    message.put(buf);
    frame::close(at, buf);
}

impl ToReceiver {
    /// Parses one frame without its length. Content is not copied: it shares the frame's memory.
    pub fn decode(frame: Bytes, version: Version) -> Result<ToReceiver, Error> {
        Wire::decode(frame, version)
    }
}

impl ToSender {
    /// Parses one frame without its length.
    pub fn decode(frame: Bytes, version: Version) -> Result<ToSender, Error> {
        Wire::decode(frame, version)
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod samples;
