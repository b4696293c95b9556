//! The [`Policy`] of a receiver on the wire.

use bytes::{BufMut, BytesMut};

use super::Error;
use crate::Capabilities;
use crate::extensions::Extensions;
use crate::limits;
use crate::policy::{Bounds, Owner, Policy};
use crate::wire::{self, Reader};

const KEEPS_DELETED: u8 = 1;
const MODE: u16 = 0o7777;

pub(super) fn put(policy: &Policy, buf: &mut BytesMut) {
    put_patterns(&policy.exclude, buf);
    put_patterns(&policy.protect, buf);
    wire::put_maybe(policy.owner.as_ref(), buf, |owner, buf| {
        buf.put_u32_le(owner.user);
        buf.put_u32_le(owner.group);
    });
    for mode in [policy.file_mode, policy.folder_mode] {
        wire::put_maybe(mode.as_ref(), buf, |mode, buf| buf.put_u16_le(*mode as u16 & MODE));
    }
    buf.put_u8(if policy.keeps_deleted { KEEPS_DELETED } else { 0 });
    let Bounds { file_size, size, entries } = policy.limits;
    for bound in [file_size, size, entries] {
        wire::put_maybe(bound.as_ref(), buf, |bound, buf| buf.put_u64_le(*bound));
    }
    put_capabilities(&policy.capabilities, buf);
    policy.extensions.put(buf);
}

pub(super) fn take(from: &mut Reader) -> Result<Policy, Error> {
    let mut room = limits::POLICY;
    let (exclude, protect) = (take_patterns(from, &mut room)?, take_patterns(from, &mut room)?);
    let owner = from.maybe("owner", |from| Ok(Owner { user: from.u32("owner")?, group: from.u32("owner")? }))?;
    let (file_mode, folder_mode) = (from.maybe("mode", take_mode)?, from.maybe("mode", take_mode)?);
    let keeps_deleted = from.flags(KEEPS_DELETED)? != 0;
    let mut bound = || from.maybe("bound", |from| from.u64("bound"));
    let limits = Bounds { file_size: bound()?, size: bound()?, entries: bound()? };
    let capabilities = take_capabilities(from)?;
    let extensions = Extensions::take(from)?;
    Ok(Policy { exclude, protect, owner, file_mode, folder_mode, keeps_deleted, limits, capabilities, extensions })
}

fn put_patterns(patterns: &[String], buf: &mut BytesMut) {
    // The configuration bounds both.
    buf.put_u16_le(patterns.len() as u16);
    patterns.iter().for_each(|pattern| wire::put_text16(pattern, limits::PATTERN, buf));
}

fn take_patterns(from: &mut Reader, room: &mut usize) -> Result<Vec<String>, Error> {
    let count = usize::from(from.u16("patterns")?);
    if count > limits::PATTERNS {
        return Err(Error::TooLong { what: "patterns", len: count as u64, max: limits::PATTERNS as u64 });
    }
    let mut patterns = Vec::new();
    for _ in 0..count {
        let pattern = from.text16("pattern", limits::PATTERN)?;
        super::login::not_empty("pattern", pattern.as_bytes())?;
        *room = room.checked_sub(pattern.len()).ok_or(Error::TooLong {
            what: "patterns",
            len: (limits::POLICY - *room + pattern.len()) as u64,
            max: limits::POLICY as u64,
        })?;
        patterns.push(pattern);
    }
    Ok(patterns)
}

fn take_mode(from: &mut Reader) -> Result<u32, Error> {
    let mode = from.u16("mode")?;
    if mode > MODE { Err(Error::Unknown { what: "mode", value: mode.into() }) } else { Ok(mode.into()) }
}

/// What is yes or no of capabilities, one bit each from bit 0 on.
fn bits(of: &mut Capabilities) -> [&mut bool; 8] {
    let Capabilities { xattrs, acls, hardlinks, symlinks, exchange, holes, any_bytes, case, .. } = of;
    [xattrs, acls, hardlinks, symlinks, exchange, holes, any_bytes, case]
}

fn put_capabilities(capabilities: &Capabilities, buf: &mut BytesMut) {
    buf.put_u32_le(capabilities.granularity);
    buf.put_i64_le(capabilities.first);
    buf.put_i64_le(capabilities.last);
    let mut copy = *capabilities;
    buf.put_u16_le(bits(&mut copy).iter().enumerate().map(|(at, bit)| u16::from(**bit) << at).sum());
    buf.put_u16_le(capabilities.name);
}

fn take_capabilities(from: &mut Reader) -> Result<Capabilities, Error> {
    let mut capabilities = Capabilities::full();
    capabilities.granularity = from.u32("granularity of times")?;
    (capabilities.first, capabilities.last) = (from.i64("range of times")?, from.i64("range of times")?);
    let set = from.u16("capabilities")?;
    if set >> 8 != 0 {
        return Err(Error::Unknown { what: "capabilities", value: set.into() });
    }
    for (at, bit) in bits(&mut capabilities).into_iter().enumerate() {
        *bit = set & 1 << at != 0;
    }
    capabilities.name = from.u16("longest name")?;
    let unsound = Error::Invalid { what: "capabilities", why: "are those of no file system" };
    if capabilities.is_sound() { Ok(capabilities) } else { Err(unsound) }
}
