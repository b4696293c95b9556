//! What was looked at lately. An event of that time may still be on its way, so it matters for a while after the work that
//! looked there was acknowledged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use proto::RelPath;

use super::ages::Since;

/// LIMIT: acknowledged places that are remembered. Where more were looked at in the time that counts, any place may have been.
const PLACES: usize = 4096;

/// LIMIT: bytes of their paths. They are few where paths are long, and then any place may have been.
const BYTES: usize = 1024 * 1024;

/// Events are noticed sooner than this after they happened.
const LATE: Duration = Duration::from_secs(5);

/// A place at which work was acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Looked {
    pub at: Instant,
    pub path: RelPath,
    /// Whether what is beneath was looked at, too.
    pub whole: bool,
}

#[derive(Debug, Default)]
pub(super) struct Lately {
    /// In order of time.
    places: VecDeque<Looked>,
    /// Of the paths of `places`, as far as they count for `BYTES`.
    bytes: usize,
    /// When the last of those was looked at that are forgotten.
    forgotten: Option<Instant>,
    /// When a comparison of more than one entry was last acknowledged.
    compared: Option<Instant>,
}

impl Lately {
    pub fn add(&mut self, looked: Looked) {
        self.bytes += looked.path.as_bytes().len();
        self.places.push_back(looked);
        while (self.places.len() > PLACES || self.bytes > BYTES)
            && let Some(oldest) = self.places.pop_front()
        {
            self.bytes -= oldest.path.as_bytes().len();
            self.forgotten = Some(oldest.at);
        }
    }

    /// A comparison of more than one entry was acknowledged.
    pub fn compared(&mut self, now: Instant) {
        self.compared = Some(now);
    }

    /// Whether this place itself may have been looked at when what was noticed then had happened: after that moment, or before,
    /// while the event was on its way.
    pub fn may_have_met(&self, path: &RelPath, noticed: Since) -> bool {
        let late = |at: Instant| noticed.at().saturating_duration_since(at) < LATE;
        self.compared.is_some_and(late)
            || self.forgot(late)
            || self.places.iter().rev().take_while(|looked| late(looked.at)).any(|looked| looked.path == *path)
    }

    /// What was looked at since that moment, the latest first.
    pub fn since(&self, moment: Instant) -> impl Iterator<Item = &Looked> {
        self.places.iter().rev().take_while(move |looked| looked.at >= moment)
    }

    /// Whether more was looked at since that moment than is remembered: a comparison has met many entries.
    pub fn is_unclear_since(&self, moment: Instant) -> bool {
        self.compared.is_some_and(|at| at >= moment) || self.forgot(|at| at >= moment)
    }

    /// Whether places were forgotten that were looked at in the time that counts.
    fn forgot(&self, counts: impl Fn(Instant) -> bool) -> bool {
        self.forgotten.is_some_and(counts)
    }
}
