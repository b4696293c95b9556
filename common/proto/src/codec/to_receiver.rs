//! [`ToReceiver`] on the wire: operations, blobs and pings. Type bytes from 16.

use bytes::{BufMut, BytesMut};

use super::sealed::Body;
use super::{EXTRA, Error, login, telling};
use crate::limits;
use crate::message::{Content, ToReceiver};
use crate::meta::{Kind, Meta};
use crate::name::RelPath;
use crate::wire::{self, Reader};

pub(super) const PUT: u8 = 16;
const MAKE: u8 = 17;
const OFFER: u8 = 18;
const LINK: u8 = 19;
const REMOVE: u8 = 20;
const RENAME: u8 = 21;
const EXCHANGE: u8 = 22;
const COMPARE: u8 = 23;
const COUNT: u8 = 24;
const SETTLE: u8 = 25;
const LIST: u8 = 26;
const EQUAL: u8 = 27;
const MARK: u8 = 28;
const MEND: u8 = 29;
const BLOB: u8 = 32;
pub(super) const DATA: u8 = 33;
const DROP: u8 = 34;
const PING: u8 = 35;
const BASIS: u8 = 36;
const COPY: u8 = 37;
const PACKED: u8 = 38;
const NOTED: u8 = 39;
const RETURN: u8 = 40;
const DONE: u8 = 41;
const PROBLEM: u8 = 42;
const REPORT: u8 = 43;
const PONG: u8 = 44;
const WINDOWED: u8 = 45;
const SPARE: u8 = 46;

// Tags of a content.
pub(super) const INLINE: u8 = 0;
const BY_BLOB: u8 = 1;
const ASKED: u8 = 2;

/// Flag of a `Put`.
pub(super) const INEXACT: u8 = 1;

/// Whether such a frame, without its length, is never compressed: what has an answer of its own, and what makes others cost
/// something without an operation. So a peer that wants a receiver to do much has to send as much.
pub fn is_never_packed(frame: &[u8]) -> bool {
    matches!(frame.first(), Some(&(PACKED | PING | DROP)))
}

impl Body for ToReceiver {
    fn kind(&self) -> u8 {
        match self {
            ToReceiver::Put { .. } => PUT,
            ToReceiver::Make { .. } => MAKE,
            ToReceiver::Mend { .. } => MEND,
            ToReceiver::Offer { .. } => OFFER,
            ToReceiver::Link { .. } => LINK,
            ToReceiver::Remove { .. } => REMOVE,
            ToReceiver::Rename { .. } => RENAME,
            ToReceiver::Exchange { .. } => EXCHANGE,
            ToReceiver::Compare { .. } => COMPARE,
            ToReceiver::Count { .. } => COUNT,
            ToReceiver::Settle { .. } => SETTLE,
            ToReceiver::List { .. } => LIST,
            ToReceiver::Equal { .. } => EQUAL,
            ToReceiver::Mark { .. } => MARK,
            ToReceiver::Blob { .. } => BLOB,
            ToReceiver::Data { .. } => DATA,
            ToReceiver::Basis { .. } => BASIS,
            ToReceiver::Copy { .. } => COPY,
            ToReceiver::Packed { .. } => PACKED,
            ToReceiver::Windowed { .. } => WINDOWED,
            ToReceiver::Drop { .. } => DROP,
            ToReceiver::Ping => PING,
            ToReceiver::Pong => PONG,
            ToReceiver::Noted => NOTED,
            ToReceiver::Spare => SPARE,
            ToReceiver::Return => RETURN,
            ToReceiver::Done(_) => DONE,
            ToReceiver::Problem { .. } => PROBLEM,
            ToReceiver::Report(_) => REPORT,
            ToReceiver::Extra { kind, .. } => *kind,
        }
    }

    fn put(&self, buf: &mut BytesMut) {
        match self {
            ToReceiver::Put { path, meta, content, inexact } => {
                wire::put_path(path, buf);
                buf.put_u8(if *inexact { INEXACT } else { 0 });
                wire::put_meta(meta, buf);
                put_content(content, buf);
            }
            ToReceiver::Make { path, meta } => {
                wire::put_path(path, buf);
                buf.put_u8(0);
                wire::put_meta(meta, buf);
            }
            ToReceiver::Mend { path, meta } => {
                wire::put_path(path, buf);
                wire::put_meta(meta, buf);
            }
            ToReceiver::Offer { path, meta, digest } => {
                wire::put_path(path, buf);
                wire::put_meta(meta, buf);
                wire::put_maybe(digest.as_ref(), buf, |digest, buf| buf.put_slice(digest));
            }
            ToReceiver::Link { first, others } => {
                wire::put_path(first, buf);
                buf.put_u8(others.len() as u8);
                others.iter().for_each(|path| wire::put_path(path, buf));
            }
            ToReceiver::Remove { path } => {
                wire::put_path(path, buf);
                buf.put_u8(0);
            }
            ToReceiver::Count { path } | ToReceiver::Settle { path } => wire::put_path(path, buf),
            ToReceiver::Rename { from, to } => {
                wire::put_path(from, buf);
                wire::put_path(to, buf);
                buf.put_u8(0);
            }
            ToReceiver::Exchange { a, b } => {
                wire::put_path(a, buf);
                wire::put_path(b, buf);
            }
            ToReceiver::List { path, after } => {
                wire::put_path(path, buf);
                wire::put_maybe(after.as_ref(), buf, |name, buf| wire::put_bytes8(name.as_bytes(), buf));
            }
            ToReceiver::Equal { path, size, digest } => {
                wire::put_path(path, buf);
                buf.put_u64_le(*size);
                buf.put_slice(digest);
            }
            ToReceiver::Mark { name } => wire::put_text8(name, limits::MARK, buf),
            ToReceiver::Compare { path, digest } => {
                wire::put_path(path, buf);
                buf.put_slice(digest);
            }
            ToReceiver::Blob { id, size } => {
                buf.put_u32_le(*id);
                buf.put_u64_le(*size);
            }
            ToReceiver::Data { id, offset, bytes } => {
                buf.put_u32_le(*id);
                buf.put_u64_le(*offset);
                buf.put_slice(bytes);
            }
            ToReceiver::Basis { id, path } => {
                buf.put_u32_le(*id);
                wire::put_path(path, buf);
            }
            ToReceiver::Copy { id, offset, first, count } => {
                buf.put_u32_le(*id);
                buf.put_u64_le(*offset);
                buf.put_u32_le(*first);
                buf.put_u32_le(*count);
            }
            ToReceiver::Packed { length, bytes } => {
                buf.put_u32_le(*length);
                buf.put_slice(bytes);
            }
            ToReceiver::Windowed { log } => buf.put_u8(*log),
            ToReceiver::Drop { id } => buf.put_u32_le(*id),
            ToReceiver::Ping | ToReceiver::Pong | ToReceiver::Noted | ToReceiver::Return | ToReceiver::Spare => {}
            ToReceiver::Done(done) => telling::put_done(done, buf),
            ToReceiver::Problem { path, reason } => telling::put_problem(path, reason, buf),
            ToReceiver::Report(report) => telling::put_report(report, buf),
            ToReceiver::Extra { body, .. } => buf.put_slice(body),
        }
    }

    fn take(kind: u8, from: &mut Reader) -> Result<ToReceiver, Error> {
        Ok(match kind {
            PUT => take_put(from)?,
            MAKE => take_make(from)?,
            MEND => ToReceiver::Mend { path: from.path("path")?, meta: folder_meta(from)? },
            OFFER => take_offer(from)?,
            LINK => take_link(from)?,
            REMOVE => {
                let path = from.path_below("path")?;
                from.no_flags()?;
                ToReceiver::Remove { path }
            }
            RENAME => {
                let (one, two) = two_places(from)?;
                from.no_flags()?;
                ToReceiver::Rename { from: one, to: two }
            }
            EXCHANGE => {
                let (a, b) = two_places(from)?;
                ToReceiver::Exchange { a, b }
            }
            COMPARE => ToReceiver::Compare { path: from.path("path")?, digest: from.array("digest")? },
            COUNT => ToReceiver::Count { path: from.path("path")? },
            SETTLE => ToReceiver::Settle { path: from.path("path")? },
            LIST => take_list(from)?,
            EQUAL => take_equal(from)?,
            MARK => {
                let name = from.text8("mark", limits::MARK)?;
                login::not_empty("mark", name.as_bytes())?;
                ToReceiver::Mark { name }
            }
            BLOB => take_blob(from)?,
            DATA => take_data(from)?,
            BASIS => ToReceiver::Basis { id: from.u32("blob")?, path: from.path_below("path")? },
            COPY => take_copy(from)?,
            PACKED => take_packed(from)?,
            WINDOWED => ToReceiver::Windowed { log: from.window()? },
            DROP => ToReceiver::Drop { id: from.u32("blob")? },
            PING => ToReceiver::Ping,
            PONG => ToReceiver::Pong,
            NOTED => ToReceiver::Noted,
            SPARE => ToReceiver::Spare,
            RETURN => ToReceiver::Return,
            DONE => ToReceiver::Done(telling::take_done(from)?),
            PROBLEM => {
                let (path, reason) = telling::take_problem(from)?;
                ToReceiver::Problem { path, reason }
            }
            REPORT => ToReceiver::Report(telling::take_report(from)?),
            extra if EXTRA.contains(&extra) => ToReceiver::Extra { kind: extra, body: from.rest() },
            other => return Err(Error::Unknown { what: "message to a receiver", value: other.into() }),
        })
    }
}

fn put_content(content: &Content, buf: &mut BytesMut) {
    match content {
        Content::Inline(bytes) => {
            buf.put_u8(INLINE);
            buf.put_slice(bytes);
        }
        Content::Blob { id, hash } => {
            buf.put_u8(BY_BLOB);
            buf.put_u32_le(*id);
            buf.put_slice(hash);
        }
        Content::Asked { room } => {
            buf.put_u8(ASKED);
            buf.put_u64_le(*room);
        }
    }
}

fn take_put(from: &mut Reader) -> Result<ToReceiver, Error> {
    let path = from.path_below("path")?;
    let inexact = from.flags(INEXACT)? != 0;
    let meta = file_meta(from)?;
    let content = match from.u8("content")? {
        INLINE => {
            let bytes = from.rest();
            if bytes.len() > limits::INLINE {
                let (len, max) = (bytes.len() as u64, limits::INLINE as u64);
                return Err(Error::TooLong { what: "inline content", len, max });
            }
            if bytes.len() as u64 != meta.size {
                return Err(Error::Invalid { what: "inline content", why: "is not as long as its size says" });
            }
            Content::Inline(bytes)
        }
        BY_BLOB => Content::Blob { id: from.u32("blob")?, hash: from.array("hash")? },
        ASKED => {
            let room = from.u64("room")?;
            if room > limits::SIZE {
                return Err(Error::TooLong { what: "room", len: room, max: limits::SIZE });
            }
            Content::Asked { room }
        }
        other => return Err(Error::Unknown { what: "content", value: other.into() }),
    };
    Ok(ToReceiver::Put { path, meta, content, inexact })
}

fn file_meta(from: &mut Reader) -> Result<Meta, Error> {
    let meta = wire::take_meta(from)?;
    if meta.kind == Kind::File { Ok(meta) } else { Err(Error::Invalid { what: "kind", why: "is not a regular file" }) }
}

fn take_make(from: &mut Reader) -> Result<ToReceiver, Error> {
    let path = from.path("path")?;
    from.no_flags()?;
    let meta = wire::take_meta(from)?;
    if meta.kind == Kind::File {
        return Err(Error::Invalid { what: "kind", why: "is a regular file, which has a content" });
    }
    if path.is_root() && meta.kind != Kind::Dir {
        return Err(Error::Invalid { what: "root", why: "is not a folder" });
    }
    Ok(ToReceiver::Make { path, meta })
}

fn folder_meta(from: &mut Reader) -> Result<Meta, Error> {
    let meta = wire::take_meta(from)?;
    if meta.kind == Kind::Dir { Ok(meta) } else { Err(Error::Invalid { what: "kind", why: "is not a folder" }) }
}

fn take_link(from: &mut Reader) -> Result<ToReceiver, Error> {
    let first = from.path_below("path")?;
    let count = from.u8("links")?.into();
    if count == 0 {
        return Err(Error::Invalid { what: "links", why: "are none" });
    }
    if count > limits::LINKS {
        return Err(Error::TooLong { what: "links", len: count as u64, max: limits::LINKS as u64 });
    }
    let mut others = Vec::with_capacity(count);
    for _ in 0..count {
        let other = from.path_below("path")?;
        if other == first {
            return Err(Error::Invalid { what: "links", why: "name their first path again" });
        }
        others.push(other);
    }
    Ok(ToReceiver::Link { first, others })
}

/// Two paths, neither of them the root and neither within the other.
fn two_places(from: &mut Reader) -> Result<(RelPath, RelPath), Error> {
    let (one, two) = (from.path_below("path")?, from.path_below("path")?);
    if one.is_within(&two) || two.is_within(&one) {
        return Err(Error::Invalid { what: "path", why: "is within the other" });
    }
    Ok((one, two))
}

fn take_offer(from: &mut Reader) -> Result<ToReceiver, Error> {
    let (path, meta) = (from.path_below("path")?, file_meta(from)?);
    let digest = from.maybe("digest", |from| from.array("digest"))?;
    if digest.is_some() && meta.size > limits::INLINE as u64 {
        return Err(Error::TooLong { what: "size", len: meta.size, max: limits::INLINE as u64 });
    }
    Ok(ToReceiver::Offer { path, meta, digest })
}

fn take_list(from: &mut Reader) -> Result<ToReceiver, Error> {
    let path = from.path("path")?;
    Ok(ToReceiver::List { path, after: from.maybe("name", |from| from.name("name"))? })
}

fn take_equal(from: &mut Reader) -> Result<ToReceiver, Error> {
    let (path, size) = (from.path_below("path")?, from.u64("size")?);
    if size > limits::SIZE {
        return Err(Error::TooLong { what: "size", len: size, max: limits::SIZE });
    }
    Ok(ToReceiver::Equal { path, size, digest: from.array("digest")? })
}

fn take_blob(from: &mut Reader) -> Result<ToReceiver, Error> {
    let (id, size) = (from.u32("blob")?, from.u64("size")?);
    if size > limits::SIZE {
        return Err(Error::TooLong { what: "size", len: size, max: limits::SIZE });
    }
    Ok(ToReceiver::Blob { id, size })
}

fn take_data(from: &mut Reader) -> Result<ToReceiver, Error> {
    let (id, offset, bytes) = (from.u32("blob")?, from.u64("offset")?, from.rest());
    if bytes.is_empty() {
        return Err(Error::Invalid { what: "data", why: "is empty" });
    }
    if bytes.len() > limits::DATA {
        return Err(Error::TooLong { what: "data", len: bytes.len() as u64, max: limits::DATA as u64 });
    }
    match offset.checked_add(bytes.len() as u64) {
        Some(end) if end <= limits::SIZE => Ok(ToReceiver::Data { id, offset, bytes }),
        _ => Err(Error::Invalid { what: "data", why: "ends beyond the largest file" }),
    }
}

fn take_copy(from: &mut Reader) -> Result<ToReceiver, Error> {
    let (id, offset) = (from.u32("blob")?, from.u64("offset")?);
    let (first, count) = (from.u32("first chunk")?, from.u32("chunks")?);
    if count == 0 {
        return Err(Error::Invalid { what: "chunks", why: "are none" });
    }
    if first.checked_add(count).is_none_or(|end| end as usize > limits::CHUNKS) {
        return Err(Error::Invalid { what: "chunks", why: "are beyond the largest signature" });
    }
    Ok(ToReceiver::Copy { id, offset, first, count })
}

fn take_packed(from: &mut Reader) -> Result<ToReceiver, Error> {
    let (length, bytes) = (from.u32("packed")?, from.rest());
    if bytes.is_empty() {
        return Err(Error::Invalid { what: "packed", why: "is empty" });
    }
    if length as usize > limits::PACKED {
        return Err(Error::TooLong { what: "packed", len: length.into(), max: limits::PACKED as u64 });
    }
    Ok(ToReceiver::Packed { length, bytes })
}
