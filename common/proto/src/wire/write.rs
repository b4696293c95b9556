//! Writers of counted strings: the counterpart of [`Reader`](super::Reader). Fixed integers are written with `BufMut`.

use bytes::{BufMut, BytesMut};

use crate::name::RelPath;
use crate::shown::is_hostile;

/// `u8` length and bytes. The caller's type bounds the length.
pub(crate) fn put_bytes8(bytes: &[u8], buf: &mut BytesMut) {
    debug_assert!(bytes.len() <= u8::MAX.into());
    buf.put_u8(bytes.len() as u8);
    buf.put_slice(bytes);
}

/// `u16` length and bytes. The caller's type bounds the length.
pub(crate) fn put_bytes16(bytes: &[u8], buf: &mut BytesMut) {
    debug_assert!(bytes.len() <= u16::MAX.into());
    buf.put_u16_le(bytes.len() as u16);
    buf.put_slice(bytes);
}

/// A path, of which its type says that it has at most 65,535 bytes.
pub(crate) fn put_path(path: &RelPath, buf: &mut BytesMut) {
    put_bytes16(path.as_bytes(), buf);
}

/// `u8` length and text, made plain and cut to `max` bytes.
pub(crate) fn put_text8(text: &str, max: usize, buf: &mut BytesMut) {
    put_bytes8(plain(text, max.min(u8::MAX.into())).as_bytes(), buf);
}

/// `u16` length and text, made plain and cut to `max` bytes.
pub(crate) fn put_text16(text: &str, max: usize, buf: &mut BytesMut) {
    put_bytes16(plain(text, max.min(u16::MAX.into())).as_bytes(), buf);
}

/// A flag that says whether there is something, and that.
pub(crate) fn put_maybe<T>(maybe: Option<&T>, buf: &mut BytesMut, put: impl FnOnce(&T, &mut BytesMut)) {
    buf.put_u8(maybe.is_some().into());
    if let Some(there) = maybe {
        put(there, buf);
    }
}

/// What the reader accepts: hostile characters escaped, at most `max` bytes, cut between two characters.
fn plain(text: &str, max: usize) -> String {
    let mut plain = String::with_capacity(text.len().min(max));
    for c in text.chars() {
        let before = plain.len();
        if is_hostile(c) {
            plain.extend(c.escape_unicode());
        } else {
            plain.push(c);
        }
        if plain.len() > max {
            plain.truncate(before);
            break;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn text_is_cut_between_characters_and_holds_no_control() {
        assert_eq!(plain("a\nb", 100), "a\\u{a}b");
        assert_eq!(plain("aé", 2), "a");
        assert_eq!(plain("a\u{202e}", 4), "a");
        assert_eq!(plain("", 0), "");
    }
}
