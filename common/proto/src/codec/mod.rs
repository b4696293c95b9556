//! Messages to bytes and back. The sender, the receiver and the login use it; `link` takes frames off a stream with it.
//!
//! A frame is a `u32` length, a type byte and a body; `decode` wants the frame without its length, as [`split`] hands
//! it out. Decoders are total: any bytes yield a valid message or an [`Error`]. Nothing here waits, reads or writes a
//! socket.

mod buffers;
mod frame;
mod login;
mod put;
mod sizes;
mod to_receiver;
mod to_sender;

use bytes::{Bytes, BytesMut};

pub use crate::wire::Error;
pub use buffers::Buffers;
pub use frame::{Buffer, LENGTH, split, whole_frames};
pub(crate) use login::REFUSED;
pub use put::{NotWhole, OpenData, OpenPut, start_data, start_put};
pub use sizes::{CHUNKS_THAT_FIT, entries_that_fit, links_that_fit};

use crate::message::{ToReceiver, ToSender};
use crate::wire::Reader;

/// What has bytes on the wire: [`ToReceiver`], [`ToSender`] and the messages of [`login`](crate::login).
pub trait Wire: Sized + sealed::Body {
    /// Parses one frame without its length: the type byte and the body.
    fn decode(frame: Bytes) -> Result<Self, Error> {
        let mut from = Reader::new(frame);
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
    pub fn decode(frame: Bytes) -> Result<ToReceiver, Error> {
        Wire::decode(frame)
    }
}

impl ToSender {
    /// Parses one frame without its length.
    pub fn decode(frame: Bytes) -> Result<ToSender, Error> {
        Wire::decode(frame)
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod samples;
