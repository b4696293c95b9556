//! A spell in which a disk answers with errors: on one side, to some of what it is asked, always or now and then.

use std::io;

use fastrand::Rng;
use rustix::io::Errno;
use sys::faults::Verb;

/// Whose disk it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Source,
    Target,
}

#[derive(Debug, Clone)]
pub struct Spell {
    pub side: Side,
    verbs: Vec<Verb>,
    errno: Errno,
    /// Of a hundred times.
    often: u8,
    /// Actions until it is over.
    left: usize,
    rng: Rng,
}

/// What of a source is only read.
const READING: [Verb; 4] = [Verb::Look, Verb::List, Verb::Open, Verb::Read];
/// What a disk without room, or one that is read-only, does not take.
const WRITING: [Verb; 5] = [Verb::Stage, Verb::Write, Verb::Publish, Verb::Change, Verb::Flush];

impl Spell {
    pub fn new(rng: &mut Rng) -> Spell {
        let (side, errno, verbs) = match rng.u8(..5) {
            0 => (Side::Source, Errno::IO, READING.to_vec()),
            1 => (Side::Source, Errno::ACCESS, READING.to_vec()),
            2 => (Side::Target, Errno::NOSPC, WRITING.to_vec()),
            3 => (Side::Target, Errno::ROFS, WRITING.to_vec()),
            _ => (Side::Target, Errno::IO, [&READING[..], &WRITING[..]].concat()),
        };
        let some = verbs.iter().copied().filter(|_| rng.bool()).collect::<Vec<_>>();
        let verbs = if some.is_empty() || errno == Errno::ROFS { verbs } else { some };
        let often = *rng.choice(&[5, 30, 100]).unwrap();
        Spell { side, verbs, errno, often, left: rng.usize(5..300), rng: rng.fork() }
    }

    /// Whether it is of a disk that has no room.
    pub fn is_full(&self) -> bool {
        self.errno == Errno::NOSPC
    }

    /// One action more is over. Whether it goes on.
    pub fn goes_on(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    /// What the disk answers for one step.
    pub fn plan(&mut self) -> impl FnMut(Verb) -> Option<io::Error> + use<> {
        let (verbs, errno, often, mut rng) = (self.verbs.clone(), self.errno, self.often, self.rng.fork());
        move |verb| {
            (verbs.contains(&verb) && rng.u8(..100) < often).then(|| io::Error::from_raw_os_error(errno.raw_os_error()))
        }
    }
}
