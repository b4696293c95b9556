//! Frames on a stream of bytes: taking them off, and the length before them.

use bytes::{BufMut, Bytes, BytesMut};

use super::Error;

/// Bytes of the length before each frame.
pub const LENGTH: usize = 4;

/// A buffer from whose front frames are taken: [`Bytes`] and [`BytesMut`].
pub trait Buffer {
    /// All bytes that have come and were not taken off.
    fn peek(&self) -> &[u8];
    /// Takes these many bytes off the front; they are there.
    fn cut(&mut self, bytes: usize) -> Bytes;
}

impl Buffer for Bytes {
    fn peek(&self) -> &[u8] {
        self
    }

    fn cut(&mut self, bytes: usize) -> Bytes {
        self.split_to(bytes)
    }
}

impl Buffer for BytesMut {
    fn peek(&self) -> &[u8] {
        self
    }

    fn cut(&mut self, bytes: usize) -> Bytes {
        self.split_to(bytes).freeze()
    }
}

/// Takes one whole frame off the front of `buf`, without its length; `None` when it is not all there yet. A frame of no
/// bytes or of more than `max` ([`FRAME`](crate::limits::FRAME), or [`LOGIN_FRAME`](crate::limits::LOGIN_FRAME) during
/// the login) is an error as soon as its length is known, before anything is allocated for it.
pub fn split(buf: &mut impl Buffer, max: usize) -> Result<Option<Bytes>, Error> {
    let Some(len) = announced(buf.peek(), max)? else { return Ok(None) };
    if buf.peek().len() - LENGTH < len {
        return Ok(None);
    }
    let frame = buf.cut(LENGTH + len).slice(LENGTH..);
    Ok(Some(frame))
}

/// How many bytes at the front of `bytes` are whole frames, their lengths counted; 0 when not even the first is all
/// there. The same errors as [`split`], for any frame of which the length is there.
pub fn whole_frames(bytes: &[u8], max: usize) -> Result<usize, Error> {
    let mut whole = 0;
    while let Some(len) = announced(&bytes[whole..], max)? {
        if bytes.len() - whole - LENGTH < len {
            break;
        }
        whole += LENGTH + len;
    }
    Ok(whole)
}

/// Whether a frame of this type is among the whole frames at the front of `bytes`. Looks at nothing but their beginnings.
pub(super) fn has(kind: u8, mut bytes: &[u8]) -> bool {
    while let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() {
        let Some((frame, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else { break };
        if frame.first() == Some(&kind) {
            return true;
        }
        bytes = rest;
    }
    false
}

/// The length of the first frame, checked; `None` when not all of it is there.
fn announced(bytes: &[u8], max: usize) -> Result<Option<usize>, Error> {
    let Some(head) = bytes.first_chunk::<LENGTH>() else { return Ok(None) };
    let len = u32::from_le_bytes(*head);
    match usize::try_from(len) {
        Ok(0) => Err(Error::Invalid { what: "frame", why: "is empty" }),
        Ok(fits) if fits <= max => Ok(Some(fits)),
        _ => Err(Error::TooLong { what: "frame", len: len.into(), max: max as u64 }),
    }
}

/// Begins a frame; returns where, for [`close`].
pub(super) fn open(kind: u8, buf: &mut BytesMut) -> usize {
    let at = buf.len();
    buf.put_u32_le(0);
    buf.put_u8(kind);
    at
}

/// Ends the frame begun at `at`: writes its length.
pub(super) fn close(at: usize, buf: &mut BytesMut) {
    let len = buf.len() - at - LENGTH;
    debug_assert!(len <= crate::limits::FRAME, "a frame of {len} bytes: its maker must split it");
    buf[at..at + LENGTH].copy_from_slice(&(len as u32).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_off_a_stream_in_any_pieces() {
        let stream = [&[2, 0, 0, 0, 7, 8][..], &[1, 0, 0, 0, 9], &[3, 0, 0, 0, 1]].concat();
        for cut in 0..=stream.len() {
            let (mut buf, mut seen) = (BytesMut::new(), Vec::new());
            for part in [&stream[..cut], &stream[cut..]] {
                buf.extend_from_slice(part);
                while let Some(frame) = split(&mut buf, 3).unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, [&[7, 8][..], &[9]]);
            assert_eq!(&buf[..], [3, 0, 0, 0, 1]);
        }
        assert_eq!(whole_frames(&stream, 3), Ok(11));
        assert_eq!(whole_frames(&stream[..10], 3), Ok(6));
        assert_eq!(whole_frames(&stream[..5], 3), Ok(0));
        assert!(has(7, &stream) && has(9, &stream) && !has(8, &stream));
        assert!(!has(1, &stream[11..]), "it is not all there");
    }

    #[test]
    fn empty_and_oversized_frames_are_errors_at_once() {
        let empty = Error::Invalid { what: "frame", why: "is empty" };
        assert_eq!(split(&mut Bytes::from_static(&[0, 0, 0, 0]), 9), Err(empty.clone()));
        assert_eq!(whole_frames(&[1, 0, 0, 0, 5, 0, 0, 0, 0], 9), Err(empty));
        let long = Error::TooLong { what: "frame", len: u32::MAX.into(), max: 9 };
        assert_eq!(split(&mut Bytes::from_static(&[255; 4]), 9), Err(long.clone()));
        assert_eq!(whole_frames(&[255; 4], 9), Err(long));
    }
}
