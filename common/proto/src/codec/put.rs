//! The hot paths: a `Put` or `Data` whose content is read straight into the frame.
//!
//! The sender begins the frame with [`start_put`], reads the file to the end of the buffer, and
//! [`finish`es](OpenPut::finish) it, or [`cancel`s](OpenPut::cancel) it when the file changed meanwhile. Large files do
//! the same piece by piece with [`start_data`]. No content is copied twice.

use bytes::{BufMut, BytesMut};

use super::{frame, to_receiver};
use crate::limits;
use crate::meta::Meta;
use crate::name::RelPath;
use crate::wire;

/// A `Put` frame with inline content, begun and not yet ended. Until then nothing else may be written to its buffer.
#[derive(Debug)]
#[must_use = "a frame that is begun must be finished or cancelled"]
pub struct OpenPut {
    at: usize,
    content: usize,
    size: u64,
}

/// The content is not as long as the metadata says. Nothing of the frame is left in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{read} bytes were read of a file of {size}")]
pub struct NotWhole {
    /// Bytes of content in the buffer.
    pub read: u64,
    /// Bytes that the metadata announces.
    pub size: u64,
}

/// Appends all of a `Put` but its content: exactly `meta.size` bytes, at most [`INLINE`](limits::INLINE), are to
/// follow.
pub fn start_put(path: &RelPath, meta: &Meta, buf: &mut BytesMut) -> OpenPut {
    debug_assert!(meta.size <= limits::INLINE as u64 && !path.is_root());
    let at = frame::open(to_receiver::PUT, buf);
    wire::put_path(path, buf);
    buf.put_u8(0);
    wire::put_meta(meta, buf);
    buf.put_u8(to_receiver::INLINE);
    OpenPut { at, content: buf.len(), size: meta.size }
}

impl OpenPut {
    /// Bytes of content still to come; 0 also when there are too many.
    pub fn missing(&self, buf: &BytesMut) -> u64 {
        self.size.saturating_sub(self.read(buf))
    }

    /// Ends the frame. When the content is shorter or longer than announced, the frame is taken back.
    pub fn finish(self, buf: &mut BytesMut) -> Result<(), NotWhole> {
        let (read, size) = (self.read(buf), self.size);
        if read != size {
            self.cancel(buf);
            return Err(NotWhole { read, size });
        }
        frame::close(self.at, buf);
        Ok(())
    }

    /// Takes the frame back: the buffer is as it was.
    pub fn cancel(self, buf: &mut BytesMut) {
        buf.truncate(self.at);
    }

    fn read(&self, buf: &BytesMut) -> u64 {
        buf.len().saturating_sub(self.content) as u64
    }
}

/// A `Data` frame, begun and not yet ended. Until then nothing else may be written to its buffer.
#[derive(Debug)]
#[must_use = "a frame that is begun must be finished or cancelled"]
pub struct OpenData {
    at: usize,
}

/// Appends all of a `Data` but its bytes: 1 to [`DATA`](limits::DATA) of them are to follow.
pub fn start_data(id: u32, offset: u64, buf: &mut BytesMut) -> OpenData {
    let at = frame::open(to_receiver::DATA, buf);
    buf.put_u32_le(id);
    buf.put_u64_le(offset);
    OpenData { at }
}

impl OpenData {
    /// Writes the length before the frame, now that it is known.
    pub fn finish(self, buf: &mut BytesMut) {
        frame::close(self.at, buf);
    }

    /// Takes the frame back: the buffer is as it was.
    pub fn cancel(self, buf: &mut BytesMut) {
        buf.truncate(self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ToReceiver, codec};

    #[test]
    fn data_in_place_is_the_same_frame() {
        let (mut whole, mut placed) = (BytesMut::from(&b"before"[..]), BytesMut::from(&b"before"[..]));
        codec::put(&ToReceiver::Data { id: 7, offset: 1 << 40, bytes: (&b"content"[..]).into() }, &mut whole);
        start_data(7, 1, &mut placed).cancel(&mut placed);
        let data = start_data(7, 1 << 40, &mut placed);
        placed.extend_from_slice(b"content");
        data.finish(&mut placed);
        assert_eq!(whole, placed);
    }
}
