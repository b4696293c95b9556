//! One folder of the mirror as it stands: against the digest of the sender's, or a part of what is in it. Runs on pool
//! threads; changes nothing. An operation gets one part: who wants the next asks for what is behind the last name.

use bytes::Bytes;
use proto::{Digest, Name, RelPath, ToSender};

use super::outcome;
use super::rests::Rests;
use crate::channel::frame;
use crate::view::{Bounds, Digested, Linked, Replica, Rest};
use crate::workers::Workers;

/// A question about a folder.
#[derive(Debug)]
pub(super) struct Ask {
    pub op: u64,
    pub path: RelPath,
    pub about: About,
}

/// What is asked of it.
#[derive(Debug)]
pub(super) enum About {
    /// Whether it has this digest. If not, what is in it.
    Digest(Digest),
    /// What is in it, from its beginning or behind this name.
    Behind(Option<Name>),
}

/// What the sender is told, and the hard links that were seen on the way.
#[derive(Debug)]
pub(super) struct Answer {
    pub path: RelPath,
    /// Encoded; none when the digests are equal.
    pub frame: Option<Bytes>,
    /// Files with more than one name.
    pub linked: Linked,
    /// The answer is an outcome: the folder could not be read.
    pub problem: bool,
}

/// Looks at the folder of one question after the other.
pub(super) struct Looking<'a> {
    pub replica: &'a Replica,
    pub rests: &'a Rests,
    pub workers: Workers,
    pub bounds: Bounds,
}

impl Looking<'_> {
    pub(super) fn answer(&self, ask: Ask) -> Answer {
        let Ask { op, path, about } = ask;
        let (mut linked, mut problem) = (Linked::default(), false);
        let rest = match about {
            About::Digest(theirs) => self.replica.digest(&path, self.workers.at_once(), self.bounds).map(|found| {
                let Digested { digest, rest, .. } = found;
                linked = found.linked;
                (digest != theirs).then_some(rest)
            }),
            About::Behind(after) => {
                let kept = self.rests.take(&path, after.as_ref());
                Ok(Some(kept.unwrap_or_else(|| Rest::behind(path.clone(), after))))
            }
        };
        let told = rest.and_then(|rest| rest.map(|rest| self.tell(op, rest)).transpose());
        let frame = told.unwrap_or_else(|error| {
            Some(frame(&match sys::is_absence(&error) {
                true => ToSender::NoFolder { op },
                false => {
                    problem = true;
                    ToSender::Outcome { op, outcome: outcome::of("list the folder", &error) }
                }
            }))
        });
        Answer { path, frame, linked, problem }
    }

    /// The next part of it; the others are kept, if there is room.
    fn tell(&self, op: u64, mut rest: Rest) -> std::io::Result<Bytes> {
        let (entries, last) = self.replica.tell(&mut rest, self.workers.at_once(), self.bounds)?;
        if !last {
            self.rests.keep(rest, self.bounds);
        }
        Ok(frame(&ToSender::Listing { op, entries, last }))
    }
}
