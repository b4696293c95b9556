//! What a sender tells of itself, on the wire: bodies of `Done`, `Problem` and `Report`.

use bytes::{BufMut, BytesMut};

use super::Error;
use crate::RelPath;
use crate::limits;
use crate::report::{Done, Report};
use crate::wire::{self, Reader};

pub(super) fn put_done(done: &Done, buf: &mut BytesMut) {
    [done.entries, done.bytes, done.problems].into_iter().for_each(|count| buf.put_u64_le(count));
}

pub(super) fn take_done(from: &mut Reader) -> Result<Done, Error> {
    Ok(Done { entries: from.u64("entries")?, bytes: from.u64("bytes")?, problems: from.u64("problems")? })
}

pub(super) fn put_problem(path: &RelPath, reason: &str, buf: &mut BytesMut) {
    wire::put_path(path, buf);
    wire::put_text16(reason, limits::REASON, buf);
}

pub(super) fn take_problem(from: &mut Reader) -> Result<(RelPath, String), Error> {
    Ok((from.path("path")?, from.text16("reason", limits::REASON)?))
}

pub(super) fn put_report(report: &Report, buf: &mut BytesMut) {
    let Report { software, owed_paths, owed_bytes, oldest, problems, in_sync } = report;
    wire::put_text8(software, limits::SOFTWARE, buf);
    [owed_paths, owed_bytes, oldest, problems].into_iter().for_each(|count| buf.put_u64_le(*count));
    buf.put_u8((*in_sync).into());
}

pub(super) fn take_report(from: &mut Reader) -> Result<Report, Error> {
    Ok(Report {
        software: from.text8("software", limits::SOFTWARE)?,
        owed_paths: from.u64("paths")?,
        owed_bytes: from.u64("bytes")?,
        oldest: from.u64("age")?,
        problems: from.u64("problems")?,
        in_sync: from.flag("in sync")?,
    })
}
