//! One folder of the mirror as it stands, against the digest of the sender's. Runs on pool threads; changes nothing.

use bytes::Bytes;
use proto::{Digest, Entry, Name, RelPath, ToSender, codec};

use super::outcome;
use crate::channel::frame;
use crate::view::{Inode, Replica};
use crate::workers::Workers;

/// A `Compare` to be answered.
#[derive(Debug)]
pub(super) struct Ask {
    pub op: u64,
    pub path: RelPath,
    pub digest: Digest,
}

/// What the sender is told, and the hard links that were seen on the way.
#[derive(Debug)]
pub(super) struct Answer {
    pub path: RelPath,
    /// Encoded; none when the digests are equal.
    pub frames: Vec<Bytes>,
    /// Files with more than one name.
    pub linked: Vec<(Name, Inode)>,
    /// The answer is an outcome: the folder could not be read.
    pub problem: bool,
}

/// Lists the folder and compares.
pub(super) fn compare(replica: &Replica, ask: Ask, workers: Workers) -> Answer {
    let Ask { op, path, digest: theirs } = ask;
    let (mut linked, mut problem) = (Vec::new(), false);
    let frames = match replica.list(&path, workers.at_once()) {
        Ok(listed) => {
            linked = listed.linked;
            if listed.digest == theirs { Vec::new() } else { listing(op, listed.entries) }
        }
        Err(error) if sys::is_absence(&error) => vec![frame(&ToSender::NoFolder { op })],
        Err(error) => {
            problem = true;
            vec![frame(&ToSender::Outcome { op, outcome: outcome::of("list the folder", &error) })]
        }
    };
    Answer { path, frames, linked, problem }
}

/// The entries in as many frames as they need; one for a folder that is empty.
fn listing(op: u64, entries: Vec<Entry>) -> Vec<Bytes> {
    let mut frames = Vec::new();
    let (mut left, mut parts) = (&entries[..], Vec::new());
    while !left.is_empty() {
        // Never 0: the longest entry fits.
        let fit = codec::entries_that_fit(left).clamp(1, left.len());
        left = &left[fit..];
        parts.push(fit);
    }
    let mut entries = entries.into_iter();
    for part in parts {
        let part = entries.by_ref().take(part).collect();
        frames.push(frame(&ToSender::Listing { op, entries: part, last: entries.len() == 0 }));
    }
    if frames.is_empty() {
        frames.push(frame(&ToSender::Listing { op, entries: Vec::new(), last: true }));
    }
    frames
}
