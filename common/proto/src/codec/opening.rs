//! `Open` and `Opened` on the wire, with which the login ends.

use bytes::{BufMut, BytesMut};

use super::Error;
use super::login::{OPEN, OPENED, expect, not_empty};
use super::sealed::Body;
use crate::extensions::Extensions;
use crate::keep::Keep;
use crate::limits;
use crate::login::{At, Durability, Open, Opened, Purpose, Terms, Token};
use crate::wire::{self, Reader};

// Tags of a state.
const NOW: u8 = 0;
const TIME: u8 = 1;
const MARK: u8 = 2;

impl Body for Open {
    fn kind(&self) -> u8 {
        OPEN
    }

    fn put(&self, buf: &mut BytesMut) {
        wire::put_bytes8(self.module.as_bytes(), buf);
        wire::put_path(&self.folder, buf);
        buf.put_u8(self.purpose as u8);
        buf.put_slice(&self.sender);
        put_token(self.token.as_ref(), buf);
        put_at(self.at.as_ref(), buf);
        wire::put_maybe(self.terms.as_ref(), buf, put_terms);
        self.extensions.put(buf);
    }

    fn take(kind: u8, from: &mut Reader) -> Result<Open, Error> {
        expect(kind, OPEN)?;
        let module = from.text8("module", limits::USER)?;
        not_empty("module", module.as_bytes())?;
        let folder = from.path("folder")?;
        let purpose = take_purpose(from)?;
        let sender = from.array("sender")?;
        let token = take_token(from)?;
        let at = take_at(from)?;
        if at.is_some() && !purpose.receives() {
            return Err(Error::Invalid { what: "state", why: "is one of the past, which cannot be written to" });
        }
        let terms = from.maybe("terms", take_terms)?;
        if terms.is_some() != purpose.receives() {
            return Err(Error::Invalid { what: "terms", why: "are those of who does not receive" });
        }
        Ok(Open { module, folder, purpose, sender, token, at, terms, extensions: Extensions::take(from)? })
    }
}

impl Body for Opened {
    fn kind(&self) -> u8 {
        OPENED
    }

    fn put(&self, buf: &mut BytesMut) {
        wire::put_maybe(self.terms.as_ref(), buf, put_terms);
        buf.put_u8(self.continued.into());
        buf.put_u64_le(self.epoch);
        put_token(self.token.as_ref(), buf);
        let places = &self.place[..self.place.len().min(limits::PLACES)];
        buf.put_u8(places.len() as u8);
        places.iter().for_each(|place| buf.put_slice(place));
        self.extensions.put(buf);
    }

    fn take(kind: u8, from: &mut Reader) -> Result<Opened, Error> {
        expect(kind, OPENED)?;
        let terms = from.maybe("terms", take_terms)?;
        let continued = from.flag("continued")?;
        let epoch = from.u64("epoch")?;
        let token = take_token(from)?;
        let count = usize::from(from.u8("places")?);
        if count > limits::PLACES {
            return Err(Error::TooLong { what: "places", len: count as u64, max: limits::PLACES as u64 });
        }
        let place = (0..count).map(|_| from.array("mark")).collect::<Result<_, _>>()?;
        Ok(Opened { terms, continued, epoch, token, place, extensions: Extensions::take(from)? })
    }
}

fn take_purpose(from: &mut Reader) -> Result<Purpose, Error> {
    const PURPOSES: [Purpose; 4] = [Purpose::Push, Purpose::Pull, Purpose::Verify, Purpose::List];
    let byte = from.u8("purpose")?;
    let known = PURPOSES.into_iter().find(|purpose| *purpose as u8 == byte);
    known.ok_or(Error::Unknown { what: "purpose", value: byte.into() })
}

fn put_token(token: Option<&Token>, buf: &mut BytesMut) {
    wire::put_maybe(token, buf, |Token(bytes), buf| buf.put_slice(bytes));
}

fn take_token(from: &mut Reader) -> Result<Option<Token>, Error> {
    from.maybe("token", |from| from.array("token").map(Token))
}

fn put_at(at: Option<&At>, buf: &mut BytesMut) {
    match at {
        None => buf.put_u8(NOW),
        Some(At::Time { secs }) => {
            buf.put_u8(TIME);
            buf.put_i64_le(*secs);
        }
        Some(At::Mark { name }) => {
            buf.put_u8(MARK);
            wire::put_text8(name, limits::MARK, buf);
        }
    }
}

fn take_at(from: &mut Reader) -> Result<Option<At>, Error> {
    Ok(match from.u8("state")? {
        NOW => None,
        TIME => Some(At::Time { secs: from.i64("time")? }),
        MARK => {
            let name = from.text8("mark", limits::MARK)?;
            not_empty("mark", name.as_bytes())?;
            Some(At::Mark { name })
        }
        other => return Err(Error::Unknown { what: "state", value: other.into() }),
    })
}

fn put_terms(terms: &Terms, buf: &mut BytesMut) {
    buf.put_u16_le(terms.keep.bits());
    buf.put_u8(terms.durability as u8);
}

fn take_terms(from: &mut Reader) -> Result<Terms, Error> {
    let bits = from.u16("keep")?;
    let keep = Keep::from_bits(bits).ok_or(Error::Unknown { what: "keep", value: bits.into() })?;
    let durability = match from.u8("durability")? {
        0 => Durability::None,
        1 => Durability::Batch,
        other => return Err(Error::Unknown { what: "durability", value: other.into() }),
    };
    Ok(Terms { keep, durability })
}
