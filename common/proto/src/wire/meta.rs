//! Metadata on the wire: the traits of an entry, a [`Meta`], one [`Entry`] of a listing, xattrs.
//!
//! What a kind does not have is not written: size only for files, mode for all but symbolic links, a device number only
//! for devices, a link text only for symbolic links. So no message can say what has no meaning.

use bytes::{BufMut, BytesMut};

use super::{Error, Reader, put_bytes8, put_bytes16};
use crate::limits;
use crate::meta::{Device, Entry, Kind, Meta, Time, Xattr, Xattrs};

/// Bytes of the longest entry: a device with a name of 255 bytes.
pub(crate) const ENTRY_LONGEST: usize = 1 + limits::NAME + 1 + 2 + 8 + 12 + 8 + 16;

const NANOS: u32 = 999_999_999;
const MODE: u16 = 0o7777;
/// Set in the kind of an [`Entry`] that is inexact.
const INEXACT: u8 = 1 << 7;

/// What [`Meta`] and [`Entry`] share.
struct Traits {
    kind: Kind,
    size: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: Time,
    device: Device,
}

impl Traits {
    fn put(&self, buf: &mut BytesMut) {
        buf.put_u8(self.kind as u8);
        if self.kind == Kind::File {
            buf.put_u64_le(self.size);
        }
        if self.kind != Kind::Symlink {
            buf.put_u16_le(self.mode as u16 & MODE);
        }
        buf.put_u32_le(self.uid);
        buf.put_u32_le(self.gid);
        buf.put_i64_le(self.mtime.secs);
        buf.put_u32_le(self.mtime.nanos);
        if self.kind.is_device() {
            buf.put_u32_le(self.device.major);
            buf.put_u32_le(self.device.minor);
        }
    }

    fn take(from: &mut Reader) -> Result<Traits, Error> {
        Traits::take_of(kind(from.u8("kind")?)?, from)
    }

    /// All that follows the kind.
    fn take_of(kind: Kind, from: &mut Reader) -> Result<Traits, Error> {
        let size = if kind == Kind::File { from.u64("size")? } else { 0 };
        if size > limits::SIZE {
            return Err(Error::TooLong { what: "size", len: size, max: limits::SIZE });
        }
        let mode = if kind == Kind::Symlink { 0 } else { from.u16("mode")? };
        if mode > MODE {
            return Err(Error::Unknown { what: "mode", value: mode.into() });
        }
        let (uid, gid) = (from.u32("owner")?, from.u32("group")?);
        let mtime = Time { secs: from.i64("mtime")?, nanos: from.u32("mtime")? };
        if mtime.nanos > NANOS {
            return Err(Error::Invalid { what: "mtime", why: "has a second or more of nanoseconds" });
        }
        let device = if kind.is_device() {
            Device { major: from.u32("device")?, minor: from.u32("device")? }
        } else {
            Device::default()
        };
        Ok(Traits { kind, size, mode: mode.into(), uid, gid, mtime, device })
    }
}

fn kind(byte: u8) -> Result<Kind, Error> {
    const KINDS: [Kind; 7] =
        [Kind::File, Kind::Dir, Kind::Symlink, Kind::Fifo, Kind::Socket, Kind::CharDevice, Kind::BlockDevice];
    KINDS.into_iter().find(|kind| *kind as u8 == byte).ok_or(Error::Unknown { what: "kind", value: byte.into() })
}

/// Traits, link text (symbolic links only), xattrs.
pub(crate) fn put_meta(meta: &Meta, buf: &mut BytesMut) {
    let Meta { kind, size, mode, uid, gid, mtime, device, ref link, ref xattrs } = *meta;
    Traits { kind, size, mode, uid, gid, mtime, device }.put(buf);
    if kind == Kind::Symlink {
        put_bytes16(link, buf);
    }
    put_xattrs(xattrs, buf);
}

pub(crate) fn take_meta(from: &mut Reader) -> Result<Meta, Error> {
    let Traits { kind, size, mode, uid, gid, mtime, device } = Traits::take(from)?;
    let link = if kind == Kind::Symlink { link_text(from)? } else { Box::default() };
    let xattrs = take_xattrs(from)?;
    Ok(Meta { kind, size, mode, uid, gid, mtime, device, link, xattrs })
}

fn link_text(from: &mut Reader) -> Result<Box<[u8]>, Error> {
    let text = from.bytes16("link text", limits::LINK_TEXT)?;
    if text.is_empty() {
        return Err(Error::Invalid { what: "link text", why: "is empty" });
    }
    if text.contains(&0) {
        return Err(Error::Invalid { what: "link text", why: "holds a NUL byte" });
    }
    Ok(Box::from(&text[..]))
}

/// Count, then each as name (`u8` length) and value (`u32` length), in order of names.
pub(crate) fn put_xattrs(xattrs: &Xattrs, buf: &mut BytesMut) {
    buf.put_u16_le(xattrs.len() as u16);
    for (name, value) in xattrs.iter() {
        put_bytes8(name, buf);
        buf.put_u32_le(value.len() as u32);
        buf.put_slice(value);
    }
}

fn take_xattrs(from: &mut Reader) -> Result<Xattrs, Error> {
    let count = from.u16("xattrs")?;
    if usize::from(count) > limits::XATTRS {
        return Err(Error::TooLong { what: "xattrs", len: count.into(), max: limits::XATTRS as u64 });
    }
    let mut list: Vec<Xattr> = Vec::with_capacity(count.into());
    let mut left = limits::XATTR_BYTES;
    for _ in 0..count {
        let name = from.bytes8("xattr name", limits::NAME)?;
        let value = from.bytes32("xattr value", limits::XATTR_BYTES)?;
        left = left.checked_sub(name.len() + value.len()).ok_or(Error::TooLong {
            what: "xattrs",
            len: (limits::XATTR_BYTES - left + name.len() + value.len()) as u64,
            max: limits::XATTR_BYTES as u64,
        })?;
        if list.last().is_some_and(|(before, _)| before[..] >= name[..]) {
            return Err(Error::Invalid { what: "xattrs", why: "are not in rising order of names" });
        }
        list.push((Box::from(&name[..]), Box::from(&value[..])));
    }
    Xattrs::new(list).map_err(|_| Error::Invalid { what: "xattr name", why: "is empty or holds a NUL byte" })
}

/// Name, traits, `extra`: one line of a listing, and what a folder's digest is made of.
pub(crate) fn put_entry(entry: &Entry, buf: &mut BytesMut) {
    let Entry { ref name, kind, size, mode, uid, gid, mtime, device, ref extra, inexact } = *entry;
    put_bytes8(name.as_bytes(), buf);
    let at = buf.len();
    Traits { kind, size, mode, uid, gid, mtime, device }.put(buf);
    if inexact && kind == Kind::File {
        buf[at] |= INEXACT;
    }
    buf.put_slice(extra);
}

pub(crate) fn take_entry(from: &mut Reader) -> Result<Entry, Error> {
    let name = from.name("name")?;
    let byte = from.u8("kind")?;
    let kind = kind(byte & !INEXACT)?;
    let inexact = byte & INEXACT != 0;
    if inexact && kind != Kind::File {
        return Err(Error::Invalid { what: "kind", why: "has no content that could be inexact" });
    }
    let Traits { size, mode, uid, gid, mtime, device, .. } = Traits::take_of(kind, from)?;
    let extra = from.array("extra")?;
    Ok(Entry { name, kind, size, mode, uid, gid, mtime, device, extra, inexact })
}

/// Bytes that [`put_entry`] writes.
pub(crate) fn entry_len(entry: &Entry) -> usize {
    let of_kind = match entry.kind {
        Kind::File => 8 + 2,
        Kind::Symlink => 0,
        Kind::Dir | Kind::Fifo | Kind::Socket => 2,
        Kind::CharDevice | Kind::BlockDevice => 2 + 8,
    };
    1 + entry.name.as_bytes().len() + 1 + of_kind + 8 + 12 + 16
}
