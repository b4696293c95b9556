//! Fields that a message may get later, behind all that it has now. A peer skips what it does not know, unless it is told
//! that it must not.

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits;
use crate::wire::{self, Error, Reader};

/// Set in the tag of an extension that a peer must know, or part.
const REQUIRED: u16 = 1 << 15;

/// One field, as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Which one, below 32,768.
    pub number: u16,
    /// Whether a peer that does not know it must refuse.
    pub required: bool,
    /// At most 65,535 bytes, and all of it has to fit into the frame.
    pub value: Bytes,
}

/// The extensions at the end of a message, in rising order of their numbers, at most [`EXTENSIONS`](limits::EXTENSIONS).
/// This build knows none: those that it was sent are carried along and change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions(Vec<Extension>);

impl Extensions {
    /// Of these, each number once.
    pub fn new(mut list: Vec<Extension>) -> Option<Extensions> {
        list.sort_by_key(|extension| extension.number);
        let apart = list.windows(2).all(|two| two[0].number < two[1].number);
        let fits = list.iter().all(|one| one.number < REQUIRED && one.value.len() <= usize::from(u16::MAX));
        (apart && fits && list.len() <= limits::EXTENSIONS).then_some(Extensions(list))
    }

    pub(crate) fn put(&self, buf: &mut BytesMut) {
        buf.put_u8(self.0.len() as u8);
        for Extension { number, required, value } in &self.0 {
            buf.put_u16_le(number | if *required { REQUIRED } else { 0 });
            wire::put_bytes16(value, buf);
        }
    }

    /// # Errors
    /// Beside the usual ones [`Error::Unsupported`] for one that is required and not known.
    pub(crate) fn take(from: &mut Reader) -> Result<Extensions, Error> {
        let count = usize::from(from.u8("extensions")?);
        if count > limits::EXTENSIONS {
            return Err(Error::TooLong { what: "extensions", len: count as u64, max: limits::EXTENSIONS as u64 });
        }
        let mut list: Vec<Extension> = Vec::with_capacity(count);
        for _ in 0..count {
            let tag = from.u16("extension")?;
            let (number, required) = (tag & !REQUIRED, tag & REQUIRED != 0);
            let value = from.bytes16("extension", usize::from(u16::MAX))?;
            if list.last().is_some_and(|before| before.number >= number) {
                return Err(Error::Invalid { what: "extensions", why: "are not in rising order" });
            }
            if required {
                return Err(Error::Unsupported { number });
            }
            list.push(Extension { number, required, value });
        }
        Ok(Extensions(list))
    }
}
