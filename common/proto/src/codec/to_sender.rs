//! [`ToSender`] on the wire: receipts and answers. Type bytes from 64.

use bytes::{BufMut, Bytes, BytesMut};

use super::sealed::Body;
use super::{EXTRA, Error, frame, login, policy};
use crate::limits;
use crate::login::Refusal;
use crate::message::{Chunk, Outcome, ToSender};
use crate::meta::Entry;
use crate::version::Version;
use crate::wire::{self, Reader};

const APPLIED: u8 = 64;
const DURABLE: u8 = 65;
const OUTCOME: u8 = 66;
const LISTING: u8 = 67;
const NO_FOLDER: u8 = 68;
const COUNTED: u8 = 69;
const PONG: u8 = 70;
const BYE: u8 = 71;
const SIGNATURE: u8 = 72;
const COPIED: u8 = 73;
const POLICY: u8 = 74;
const PING: u8 = 75;
const WINDOW: u8 = 76;

// Tags of an outcome.
const WANT: u8 = 1;
const ABSENT: u8 = 2;
const PARTLY: u8 = 3;
const REFUSED: u8 = 4;
const FAILED: u8 = 5;
const FULL: u8 = 6;
const READ_ONLY: u8 = 7;
const DIFFERS: u8 = 8;

/// Whether the receiver asks in these whole frames whether anybody is there.
pub fn asks(frames: &[u8]) -> bool {
    frame::has(PING, frames)
}

/// What the whole frames at the front of `bytes`, the first words of a receiver that was sent a
/// [`Ping`](crate::ToReceiver::Ping), say of the session: it has begun when that is answered, and is refused with a `Bye`. Its
/// [policy](ToSender::Policy) comes before.
pub fn begun(bytes: &[u8], version: Version) -> Result<Option<Begun>, Error> {
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<{ frame::LENGTH }>() {
        let Some((frame, after)) = after.split_at_checked(u32::from_le_bytes(*length) as usize) else { break };
        match frame.first() {
            Some(&PONG) => return Ok(Some(Begun::Yes)),
            Some(&BYE) => match ToSender::decode(Bytes::copy_from_slice(frame), version)? {
                ToSender::Bye { refusal } => return Ok(Some(Begun::Refused(refusal))),
                _ => break,
            },
            _ => rest = after,
        }
    }
    Ok(None)
}

/// What the first words of a receiver say of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// The receiver has taken it up.
    Yes,
    /// It will not, for this reason.
    Refused(Refusal),
}

impl Body for ToSender {
    fn kind(&self) -> u8 {
        match self {
            ToSender::Applied { .. } => APPLIED,
            ToSender::Durable { .. } => DURABLE,
            ToSender::Outcome { .. } => OUTCOME,
            ToSender::Listing { .. } => LISTING,
            ToSender::NoFolder { .. } => NO_FOLDER,
            ToSender::Counted { .. } => COUNTED,
            ToSender::Signature { .. } => SIGNATURE,
            ToSender::Copied { .. } => COPIED,
            ToSender::Pong => PONG,
            ToSender::Ping => PING,
            ToSender::Policy(_) => POLICY,
            ToSender::Window { .. } => WINDOW,
            ToSender::Bye { .. } => BYE,
            ToSender::Extra { kind, .. } => *kind,
        }
    }

    fn put(&self, buf: &mut BytesMut) {
        match self {
            ToSender::Applied { upto: op } | ToSender::Durable { upto: op } | ToSender::NoFolder { op } => {
                buf.put_u64_le(*op);
            }
            ToSender::Outcome { op, outcome } => {
                buf.put_u64_le(*op);
                put_outcome(outcome, buf);
            }
            ToSender::Listing { op, entries, last } => {
                buf.put_u64_le(*op);
                buf.put_u8((*last).into());
                entries.iter().for_each(|entry| wire::put_entry(entry, buf));
            }
            ToSender::Counted { op, entries } => {
                buf.put_u64_le(*op);
                buf.put_u64_le(*entries);
            }
            ToSender::Signature { id, size, chunks, last } => {
                buf.put_u32_le(*id);
                buf.put_u64_le(*size);
                buf.put_u8((*last).into());
                for Chunk { length, digest } in chunks {
                    buf.put_u32_le(*length);
                    buf.put_slice(digest);
                }
            }
            ToSender::Copied { id, bytes } => {
                buf.put_u32_le(*id);
                buf.put_u64_le(*bytes);
            }
            ToSender::Pong | ToSender::Ping => {}
            ToSender::Policy(policy) => policy::put(policy, buf),
            ToSender::Window { log } => buf.put_u8(*log),
            ToSender::Bye { refusal } => login::put_refusal(refusal, buf),
            ToSender::Extra { body, .. } => buf.put_slice(body),
        }
    }

    fn take(kind: u8, from: &mut Reader) -> Result<ToSender, Error> {
        Ok(match kind {
            APPLIED => ToSender::Applied { upto: from.op()? },
            DURABLE => ToSender::Durable { upto: from.op()? },
            OUTCOME => ToSender::Outcome { op: from.op()?, outcome: take_outcome(from)? },
            LISTING => take_listing(from)?,
            NO_FOLDER => ToSender::NoFolder { op: from.op()? },
            COUNTED => ToSender::Counted { op: from.op()?, entries: from.u64("count")? },
            SIGNATURE => take_signature(from)?,
            COPIED => ToSender::Copied { id: from.u32("blob")?, bytes: from.u64("bytes")? },
            PONG => ToSender::Pong,
            PING => ToSender::Ping,
            POLICY => ToSender::Policy(Box::new(policy::take(from)?)),
            WINDOW => ToSender::Window { log: from.window()? },
            BYE => ToSender::Bye { refusal: login::take_refusal(from)? },
            extra if EXTRA.contains(&extra) => ToSender::Extra { kind: extra, body: from.rest() },
            other => return Err(Error::Unknown { what: "message to a sender", value: other.into() }),
        })
    }
}

fn put_outcome(outcome: &Outcome, buf: &mut BytesMut) {
    let (tag, reason) = match outcome {
        Outcome::Want => (WANT, None),
        Outcome::Absent => (ABSENT, None),
        Outcome::Partly { reason } => (PARTLY, Some(reason)),
        Outcome::Refused { reason } => (REFUSED, Some(reason)),
        Outcome::Failed { reason } => (FAILED, Some(reason)),
        Outcome::Full { reason } => (FULL, Some(reason)),
        Outcome::ReadOnly { reason } => (READ_ONLY, Some(reason)),
        Outcome::Differs => (DIFFERS, None),
    };
    buf.put_u8(tag);
    if let Some(reason) = reason {
        wire::put_text16(reason, limits::REASON, buf);
    }
}

fn take_outcome(from: &mut Reader) -> Result<Outcome, Error> {
    let reason = |from: &mut Reader| from.text16("reason", limits::REASON);
    Ok(match from.u8("outcome")? {
        WANT => Outcome::Want,
        ABSENT => Outcome::Absent,
        PARTLY => Outcome::Partly { reason: reason(from)? },
        REFUSED => Outcome::Refused { reason: reason(from)? },
        FAILED => Outcome::Failed { reason: reason(from)? },
        FULL => Outcome::Full { reason: reason(from)? },
        READ_ONLY => Outcome::ReadOnly { reason: reason(from)? },
        DIFFERS => Outcome::Differs,
        other => return Err(Error::Unknown { what: "outcome", value: other.into() }),
    })
}

fn take_listing(from: &mut Reader) -> Result<ToSender, Error> {
    let (op, last) = (from.op()?, from.flag("last part")?);
    let bytes = from.rest();
    if bytes.len() > limits::LISTING {
        return Err(Error::TooLong { what: "listing", len: bytes.len() as u64, max: limits::LISTING as u64 });
    }
    let mut from = from.of_part(bytes);
    let mut entries: Vec<Entry> = Vec::new();
    while !from.is_empty() {
        let entry = wire::take_entry(&mut from)?;
        if entries.last().is_some_and(|before| before.name >= entry.name) {
            return Err(Error::Invalid { what: "listing", why: "is not in rising order of names" });
        }
        entries.push(entry);
    }
    if entries.is_empty() && !last {
        return Err(Error::Invalid { what: "listing", why: "goes on after a part without entries" });
    }
    Ok(ToSender::Listing { op, entries, last })
}

fn take_signature(from: &mut Reader) -> Result<ToSender, Error> {
    let (id, size, last) = (from.u32("blob")?, from.u64("size")?, from.flag("last part")?);
    if (1..limits::BASIS).contains(&size) {
        return Err(Error::Invalid { what: "signature", why: "is of a file that is too small for one" });
    }
    let bytes = from.rest();
    if bytes.len() > limits::SIGNATURE {
        return Err(Error::TooLong { what: "signature", len: bytes.len() as u64, max: limits::SIGNATURE as u64 });
    }
    let mut from = from.of_part(bytes);
    let mut chunks = Vec::new();
    while !from.is_empty() {
        let chunk = Chunk { length: from.u32("length of a chunk")?, digest: from.array("digest")? };
        if (chunk.length as usize) < limits::CHUNK_LEAST {
            return Err(Error::Invalid { what: "chunk", why: "is too short" });
        }
        if chunk.length as usize > limits::CHUNK {
            return Err(Error::TooLong { what: "chunk", len: chunk.length.into(), max: limits::CHUNK as u64 });
        }
        chunks.push(chunk);
    }
    if chunks.is_empty() && !last {
        return Err(Error::Invalid { what: "signature", why: "goes on after a part without chunks" });
    }
    if size == 0 && !(chunks.is_empty() && last) {
        return Err(Error::Invalid { what: "signature", why: "of nothing has chunks" });
    }
    Ok(ToSender::Signature { id, size, chunks, last })
}
