//! A bounded reader over one frame. Used by every decoder; each step either yields a checked value or an [`Error`].

use bytes::Bytes;

use super::Error;
use crate::Version;
use crate::limits::WINDOWS;
use crate::name::{Name, RelPath};
use crate::shown::is_hostile;

/// What is left of a frame, and the version by which it is read.
pub struct Reader {
    rest: Bytes,
    version: Version,
}

impl Reader {
    pub fn new(body: Bytes, version: Version) -> Reader {
        Reader { rest: body, version }
    }

    /// A reader of a part of it.
    pub fn of_part(&self, part: Bytes) -> Reader {
        Reader { rest: part, version: self.version }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Ends the reading: all bytes must have been used.
    pub fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Trailing { bytes: self.rest.len() }) }
    }

    /// All that is left, without a copy.
    pub fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.rest)
    }

    /// Exactly `len` bytes, without a copy.
    pub fn bytes(&mut self, what: &'static str, len: usize) -> Result<Bytes, Error> {
        if len > self.rest.len() {
            return Err(Error::Truncated { what });
        }
        Ok(self.rest.split_to(len))
    }

    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        let Some(head) = self.rest.first_chunk::<N>() else { return Err(Error::Truncated { what }) };
        let head = *head;
        // Advancing is cheaper than splitting: it leaves the reference count alone.
        bytes::Buf::advance(&mut self.rest, N);
        Ok(head)
    }

    pub fn u8(&mut self, what: &'static str) -> Result<u8, Error> {
        self.array(what).map(u8::from_le_bytes)
    }

    pub fn u16(&mut self, what: &'static str) -> Result<u16, Error> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub fn u32(&mut self, what: &'static str) -> Result<u32, Error> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, what: &'static str) -> Result<u64, Error> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub fn i64(&mut self, what: &'static str) -> Result<i64, Error> {
        self.array(what).map(i64::from_le_bytes)
    }

    /// 0 or 1, nothing else.
    pub fn flag(&mut self, what: &'static str) -> Result<bool, Error> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Error::Unknown { what, value: other.into() }),
        }
    }

    /// Bits of which none has a meaning yet.
    pub fn no_flags(&mut self) -> Result<(), Error> {
        self.flags(0).map(drop)
    }

    /// A window of compression, as a power of two.
    pub fn window(&mut self) -> Result<u8, Error> {
        let log = self.u8("window")?;
        if WINDOWS.contains(&log) { Ok(log) } else { Err(Error::Unknown { what: "window", value: log.into() }) }
    }

    /// Bits, of which only these have a meaning.
    pub fn flags(&mut self, known: u8) -> Result<u8, Error> {
        let flags = self.u8("flags")?;
        if flags & !known == 0 { Ok(flags) } else { Err(Error::Unknown { what: "flags", value: flags.into() }) }
    }

    /// Something behind a flag that says whether it is there.
    pub fn maybe<T>(
        &mut self,
        what: &'static str,
        take: impl FnOnce(&mut Reader) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        if self.flag(what)? { take(self).map(Some) } else { Ok(None) }
    }

    /// The number of an operation: they count from 1.
    pub fn op(&mut self) -> Result<u64, Error> {
        match self.u64("operation number")? {
            0 => Err(Error::Invalid { what: "operation number", why: "is 0" }),
            op => Ok(op),
        }
    }

    /// A `u8` length, at most `max`, and that many bytes.
    pub fn bytes8(&mut self, what: &'static str, max: usize) -> Result<Bytes, Error> {
        let len = self.u8(what)?;
        self.counted(what, len.into(), max)
    }

    /// A `u16` length, at most `max`, and that many bytes.
    pub fn bytes16(&mut self, what: &'static str, max: usize) -> Result<Bytes, Error> {
        let len = self.u16(what)?;
        self.counted(what, len.into(), max)
    }

    /// A `u32` length, at most `max`, and that many bytes.
    pub fn bytes32(&mut self, what: &'static str, max: usize) -> Result<Bytes, Error> {
        let len = self.u32(what)?;
        self.counted(what, len.into(), max)
    }

    fn counted(&mut self, what: &'static str, len: u64, max: usize) -> Result<Bytes, Error> {
        match usize::try_from(len) {
            Ok(fits) if fits <= max => self.bytes(what, fits),
            _ => Err(Error::TooLong { what, len, max: max as u64 }),
        }
    }

    pub fn text8(&mut self, what: &'static str, max: usize) -> Result<String, Error> {
        text(what, &self.bytes8(what, max)?)
    }

    pub fn text16(&mut self, what: &'static str, max: usize) -> Result<String, Error> {
        text(what, &self.bytes16(what, max)?)
    }

    pub fn name(&mut self, what: &'static str) -> Result<Name, Error> {
        let bytes = self.bytes8(what, crate::limits::NAME)?;
        Name::parse(&bytes).map_err(|why| Error::Path { what, why })
    }

    pub fn path(&mut self, what: &'static str) -> Result<RelPath, Error> {
        let bytes = self.bytes16(what, crate::limits::PATH)?;
        RelPath::parse(&bytes).map_err(|why| Error::Path { what, why })
    }

    /// A path that is not the root.
    pub fn path_below(&mut self, what: &'static str) -> Result<RelPath, Error> {
        let path = self.path(what)?;
        if path.is_root() { Err(Error::Invalid { what, why: "is the root" }) } else { Ok(path) }
    }
}

/// Text is UTF-8 without control characters and their like, so that it can be logged and shown as it is.
fn text(what: &'static str, bytes: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::Invalid { what, why: "is not UTF-8" })?;
    if text.chars().any(is_hostile) {
        return Err(Error::Invalid { what, why: "holds a control character" });
    }
    Ok(text.to_owned())
}
