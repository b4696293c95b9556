//! The messages of the login on the wire. Type bytes from 1.
//!
//! `Hello` and `Refusal` are the same in every version of the protocol, so that peers of any two can say why they part.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::Error;
use super::sealed::Body;
use crate::extensions::Extensions;
use crate::limits;
use crate::login::{Accepted, Hello, Login, Password, Refusal, Welcome};
use crate::wire::{self, Reader};

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const LOGIN: u8 = 3;
const ACCEPTED: u8 = 4;
pub(super) const OPEN: u8 = 5;
pub(super) const OPENED: u8 = 6;
pub(crate) const REFUSED: u8 = 7;

// Tags of a refusal.
const BUSY: u8 = 1;
const DENIED: u8 = 2;
const VERSION: u8 = 3;
const PROTOCOL: u8 = 4;
const STOPPING: u8 = 5;
const UNSUPPORTED: u8 = 6;

pub(super) fn expect(kind: u8, wanted: u8) -> Result<(), Error> {
    if kind == wanted { Ok(()) } else { Err(Error::Unknown { what: "message at this point", value: kind.into() }) }
}

pub(super) fn not_empty(what: &'static str, bytes: &[u8]) -> Result<(), Error> {
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
        self.extensions.put(buf);
    }

    fn take(kind: u8, from: &mut Reader) -> Result<Welcome, Error> {
        expect(kind, WELCOME)?;
        let (version, software) = (from.u16("version")?, from.text8("software", limits::SOFTWARE)?);
        Ok(Welcome { version, software, extensions: Extensions::take(from)? })
    }
}

impl Body for Login {
    fn kind(&self) -> u8 {
        LOGIN
    }

    fn put(&self, buf: &mut BytesMut) {
        wire::put_bytes8(self.user.as_bytes(), buf);
        wire::put_bytes16(self.password.as_bytes(), buf);
        self.extensions.put(buf);
    }

    fn take(kind: u8, from: &mut Reader) -> Result<Login, Error> {
        expect(kind, LOGIN)?;
        let user = from.text8("user", limits::USER)?;
        not_empty("user", user.as_bytes())?;
        let password = from.bytes16("password", limits::PASSWORD)?;
        not_empty("password", &password)?;
        Ok(Login { user, password: Password::from(&password[..]), extensions: Extensions::take(from)? })
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
        Refusal::Unsupported { what } => {
            buf.put_u8(UNSUPPORTED);
            wire::put_text16(what, limits::REASON, buf);
        }
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
        UNSUPPORTED => Refusal::Unsupported { what: from.text16("reason", limits::REASON)? },
        other => return Err(Error::Unknown { what: "refusal", value: other.into() }),
    })
}
