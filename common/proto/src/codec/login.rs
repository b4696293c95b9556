//! The messages of the login on the wire. Type bytes from 1.
//!
//! `Hello` and `Refusal` are the same in every version of the protocol, so that peers of any two can say why they part.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::Error;
use super::sealed::Body;
use crate::keep::Keep;
use crate::limits;
use crate::login::{Accepted, Direction, Durability, Hello, Login, Open, Opened, Password, Refusal, Welcome};
use crate::wire::{self, Reader};

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const LOGIN: u8 = 3;
const ACCEPTED: u8 = 4;
const OPEN: u8 = 5;
const OPENED: u8 = 6;
pub(crate) const REFUSED: u8 = 7;

// Tags of a refusal.
const BUSY: u8 = 1;
const DENIED: u8 = 2;
const VERSION: u8 = 3;
const PROTOCOL: u8 = 4;
const STOPPING: u8 = 5;

fn expect(kind: u8, wanted: u8) -> Result<(), Error> {
    if kind == wanted { Ok(()) } else { Err(Error::Unknown { what: "message at this point", value: kind.into() }) }
}

fn not_empty(what: &'static str, bytes: &[u8]) -> Result<(), Error> {
    if bytes.is_empty() { Err(Error::Invalid { what, why: "is empty" }) } else { Ok(()) }
}

impl Body for Hello {
    fn kind(&self) -> u8 {
        HELLO
    }

    fn put(&self, buf: &mut BytesMut) {
        buf.put_u16_le(self.low);
        buf.put_u16_le(self.high);
        wire::put_text8(&self.software, limits::SOFTWARE, buf);
    }

    fn take(kind: u8, from: &mut Reader) -> Result<Hello, Error> {
        expect(kind, HELLO)?;
        let (low, high) = take_versions(from)?;
        Ok(Hello { low, high, software: from.text8("software", limits::SOFTWARE)? })
    }
}

fn take_versions(from: &mut Reader) -> Result<(u16, u16), Error> {
    let (low, high) = (from.u16("version")?, from.u16("version")?);
    if low == 0 || low > high {
        return Err(Error::Invalid { what: "version", why: "range begins at 0 or after its end" });
    }
    Ok((low, high))
}

impl Body for Welcome {
    fn kind(&self) -> u8 {
        WELCOME
    }

    fn put(&self, buf: &mut BytesMut) {
        buf.put_u16_le(self.version);
        wire::put_text8(&self.software, limits::SOFTWARE, buf);
    }

    fn take(kind: u8, from: &mut Reader) -> Result<Welcome, Error> {
        expect(kind, WELCOME)?;
        Ok(Welcome { version: from.u16("version")?, software: from.text8("software", limits::SOFTWARE)? })
    }
}

impl Body for Login {
    fn kind(&self) -> u8 {
        LOGIN
    }

    fn put(&self, buf: &mut BytesMut) {
        wire::put_bytes8(self.user.as_bytes(), buf);
        wire::put_bytes16(self.password.as_bytes(), buf);
    }

    fn take(kind: u8, from: &mut Reader) -> Result<Login, Error> {
        expect(kind, LOGIN)?;
        let user = from.text8("user", limits::USER)?;
        not_empty("user", user.as_bytes())?;
        let password = from.bytes16("password", limits::PASSWORD)?;
        not_empty("password", &password)?;
        Ok(Login { user, password: Password::from(&password[..]) })
    }
}

impl Body for Accepted {
    fn kind(&self) -> u8 {
        ACCEPTED
    }

    fn put(&self, _: &mut BytesMut) {}

    fn take(kind: u8, _: &mut Reader) -> Result<Accepted, Error> {
        expect(kind, ACCEPTED).map(|()| Accepted)
    }
}

impl Body for Open {
    fn kind(&self) -> u8 {
        OPEN
    }

    fn put(&self, buf: &mut BytesMut) {
        wire::put_bytes8(self.module.as_bytes(), buf);
        wire::put_path(&self.folder, buf);
        buf.put_u8(self.direction as u8);
        buf.put_u64_le(self.sender);
    }

    fn take(kind: u8, from: &mut Reader) -> Result<Open, Error> {
        expect(kind, OPEN)?;
        let module = from.text8("module", limits::USER)?;
        not_empty("module", module.as_bytes())?;
        let folder = from.path("folder")?;
        let direction = match from.u8("direction")? {
            0 => Direction::Push,
            1 => Direction::Pull,
            other => return Err(Error::Unknown { what: "direction", value: other.into() }),
        };
        Ok(Open { module, folder, direction, sender: from.u64("sender")? })
    }
}

impl Body for Opened {
    fn kind(&self) -> u8 {
        OPENED
    }

    fn put(&self, buf: &mut BytesMut) {
        buf.put_u16_le(self.keep.bits());
        buf.put_u8(self.durability as u8);
        buf.put_u8(self.continued.into());
        let marks = &self.place[..self.place.len().min(limits::MARKS)];
        buf.put_u8(marks.len() as u8);
        marks.iter().for_each(|mark| buf.put_slice(mark));
    }

    fn take(kind: u8, from: &mut Reader) -> Result<Opened, Error> {
        expect(kind, OPENED)?;
        let bits = from.u16("keep")?;
        let keep = Keep::from_bits(bits).ok_or(Error::Unknown { what: "keep", value: bits.into() })?;
        let durability = match from.u8("durability")? {
            0 => Durability::None,
            1 => Durability::Batch,
            other => return Err(Error::Unknown { what: "durability", value: other.into() }),
        };
        let continued = from.flag("continued")?;
        let count = usize::from(from.u8("marks")?);
        if count > limits::MARKS {
            return Err(Error::TooLong { what: "marks", len: count as u64, max: limits::MARKS as u64 });
        }
        let place = (0..count).map(|_| from.array("mark")).collect::<Result<_, _>>()?;
        Ok(Opened { keep, durability, continued, place })
    }
}

/// As a message of its own, a `Refused`; the same bytes stand in a `Bye`.
impl Body for Refusal {
    fn kind(&self) -> u8 {
        REFUSED
    }

    fn put(&self, buf: &mut BytesMut) {
        put_refusal(self, buf);
    }

    fn take(kind: u8, from: &mut Reader) -> Result<Refusal, Error> {
        expect(kind, REFUSED)?;
        take_refusal(from)
    }
}

pub(super) fn put_refusal(refusal: &Refusal, buf: &mut BytesMut) {
    match refusal {
        Refusal::Busy { reason, retry } => {
            buf.put_u8(BUSY);
            buf.put_u32_le(u32::try_from(retry.as_millis()).unwrap_or(u32::MAX));
            wire::put_text16(reason, limits::REASON, buf);
        }
        Refusal::Denied => buf.put_u8(DENIED),
        Refusal::Version { low, high } => {
            buf.put_u8(VERSION);
            buf.put_u16_le(*low);
            buf.put_u16_le(*high);
        }
        Refusal::Protocol { reason } => {
            buf.put_u8(PROTOCOL);
            wire::put_text16(reason, limits::REASON, buf);
        }
        Refusal::Stopping => buf.put_u8(STOPPING),
    }
}

pub(super) fn take_refusal(from: &mut Reader) -> Result<Refusal, Error> {
    Ok(match from.u8("refusal")? {
        BUSY => {
            let retry = Duration::from_millis(from.u32("retry time")?.into());
            Refusal::Busy { retry, reason: from.text16("reason", limits::REASON)? }
        }
        DENIED => Refusal::Denied,
        VERSION => {
            let (low, high) = take_versions(from)?;
            Refusal::Version { low, high }
        }
        PROTOCOL => Refusal::Protocol { reason: from.text16("reason", limits::REASON)? },
        STOPPING => Refusal::Stopping,
        other => return Err(Error::Unknown { what: "refusal", value: other.into() }),
    })
}
