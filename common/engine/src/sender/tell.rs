//! What a sender tells of itself, for the one who looks after the receiver: how far it is and, at the end of a single pass,
//! that it was whole and what is not mirrored. Nothing waits for it, and nothing is decided by it.

use std::time::{Duration, Instant};

use proto::ToReceiver;
use proto::report::{Done, Report};

use super::{Ended, Session};
use crate::mirror::Totals;

/// How long a change lasts before it is told. What is over by then, as a file that was changed and is stored, is no news.
const PAUSE: Duration = Duration::from_secs(1);
/// Entries that are named, and bytes of their paths and of what is wrong with them.
const NAMED: usize = 1000;
const BYTES: usize = 256 * 1024;

/// What was told in this session.
pub(super) struct Tale {
    /// What all sessions before have sent.
    before: Totals,
    /// The last report, but for its age.
    last: Option<Report>,
    /// When the next one is due, once it would say something else.
    due: Option<Instant>,
    /// That all is sent was told.
    done: bool,
}

impl Tale {
    pub fn new(before: Totals) -> Tale {
        Tale { before, last: None, due: None, done: false }
    }
}

impl Session<'_> {
    /// Reports how far it is, where that is news since a while. Until when there may be nothing to report.
    pub(super) fn report(&mut self) -> Result<Option<Instant>, Ended> {
        let report = self.progress();
        if self.tale.last.as_ref() == Some(&report) && !self.mirror.is_held_unsaid() {
            self.tale.due = None;
            return Ok(None);
        }
        let now = self.mirror.now();
        let due = *self.tale.due.get_or_insert(now + PAUSE);
        if now < due {
            return Ok(Some(due));
        }
        self.say(report)?;
        Ok(None)
    }

    /// The same amid work: asked each turn, it looks only when it is time.
    pub(super) fn report_meanwhile(&mut self) -> Result<(), Ended> {
        let now = self.mirror.now();
        let due = *self.tale.due.get_or_insert(now + PAUSE);
        if due <= now { self.report().map(drop) } else { Ok(()) }
    }

    fn say(&mut self, report: Report) -> Result<(), Ended> {
        self.mirror.say_held();
        let oldest = u64::try_from(self.mirror.lag().as_millis()).unwrap_or(u64::MAX);
        self.wire.put(&ToReceiver::Report(Report { oldest, ..report.clone() }), self.mirror)?;
        (self.tale.last, self.tale.due) = (Some(report), None);
        Ok(())
    }

    fn progress(&self) -> Report {
        let (owed, problems) = (self.mirror.owed(), self.mirror.entries.problems().len());
        let in_sync = self.is_in_sync() && self.mirror.target.is_watched();
        Report {
            software: self.options.software.into(),
            owed_paths: owed.paths,
            owed_bytes: owed.bytes,
            oldest: 0,
            problems,
            in_sync,
        }
    }

    /// A single pass has sent all that could be sent. Whether that was to be told still.
    pub(super) fn tell_done(&mut self) -> Result<bool, Ended> {
        if std::mem::replace(&mut self.tale.done, true) {
            return Ok(false);
        }
        let (named, problems) = self.problems();
        for (path, reason) in named {
            self.wire.put(&ToReceiver::Problem { path, reason }, self.mirror)?;
        }
        self.say(self.progress())?;
        let (now, before) = (self.mirror.sent.totals(), self.tale.before);
        let (entries, bytes) = (now.files - before.files, now.bytes - before.bytes);
        self.wire.put(&ToReceiver::Done(Done { entries, bytes, problems }), self.mirror)?;
        self.wire.flush(self.mirror)?;
        Ok(true)
    }

    /// What is not mirrored, as far as it is named, and how much that is, whoever has found it: what the target's rules or its
    /// disk keep from being sent it would hear of from nobody else.
    fn problems(&self) -> (Vec<(proto::RelPath, String)>, u64) {
        let problems = self.mirror.entries.problems();
        let mut bytes = 0;
        let named = problems.iter().take(NAMED).take_while(|(path, note)| {
            bytes += path.as_bytes().len() + note.reason.len();
            bytes <= BYTES
        });
        (named.map(|(path, note)| (path.clone(), note.reason.clone())).collect(), problems.len())
    }
}
