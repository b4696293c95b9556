//! Whether a file of the backup has the content that the sender says it has, by its hash. It is opened in its turn, between the
//! operations before and behind it, and read by pool threads in small steps: a large one holds up nothing but receipts.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Instant;

use proto::limits::GUESS_PAUSE;
use proto::{Outcome, RelPath};
use sys::File;

use super::Grant;
use super::guesses::Guesses;
use super::outcome::{self, Done};
use super::over::Over;
use crate::view::Replica;

/// Files that are open at a time, to be read.
const OPEN: usize = 16;
/// Bytes that are read in one step.
const STEP: u64 = 8 * 1024 * 1024;
/// Bytes that are read at once.
const READ: usize = 256 * 1024;

/// What the sender says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub path: RelPath,
    pub size: u64,
    pub digest: [u8; 32],
}

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    file: File,
    size: u64,
    at: u64,
    hash: blake3::Hasher,
    claimed: [u8; 32],
    answer: Sender<Result<bool, Outcome>>,
}

/// How much of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Part,
    /// All, or all that there will be.
    Whole,
}

impl Reading {
    /// Reads on, and gives the answer when all is read.
    pub(super) fn step(&mut self) -> Read {
        let answer = match self.read().and_then(|read| Ok((read, self.file.stat()?))) {
            Ok((Read::Part, _)) => return Read::Part,
            // This receiver changes no content in place. Whoever else does gets an answer about what was read.
            Ok((Read::Whole, now)) => Ok(now.size == self.size && self.hash.finalize() == self.claimed),
            Err(error) => Err(outcome::of("read it", &error)),
        };
        // Where the session is over nobody waits.
        let _ = self.answer.send(answer);
        Read::Whole
    }

    fn read(&mut self) -> io::Result<Read> {
        let end = self.size.min(self.at + STEP);
        let mut buffer = vec![0; READ.min((end - self.at) as usize)];
        while self.at < end {
            let most = buffer.len().min((end - self.at) as usize);
            let read = self.file.read_at(self.at, &mut buffer[..most])?;
            if read == 0 {
                break;
            }
            self.hash.update(&buffer[..read]);
            self.at += read as u64;
        }
        // One that was cut short ends, too: its size is another.
        Ok(if self.at < self.size && self.at == end { Read::Part } else { Read::Whole })
    }
}

/// The number of an operation, and what came of it.
pub(super) type Verdict = (u64, Done);

/// What becomes of a claim at once.
#[derive(Debug)]
pub(super) enum Begun {
    Answered(Done),
    /// The answer is known when this is read.
    Reads(Box<Reading>),
}

/// Claims that are not answered yet, in order.
#[derive(Debug)]
pub(super) struct Equals {
    replica: Arc<Replica>,
    guesses: Arc<Guesses>,
    waiting: VecDeque<(u64, Receiver<Result<bool, Outcome>>)>,
}

impl Equals {
    pub(super) fn new(grant: &Grant) -> Equals {
        let (replica, guesses) = (Arc::clone(&grant.replica), Arc::clone(&grant.guesses));
        Equals { replica, guesses, waiting: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the oldest has to be answered before the next may be asked.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= OPEN
    }

    /// Opens the file. Where too many answers were *other* none is given at all: it would tell the same.
    pub(super) fn ask(&mut self, op: u64, claim: &Claim, now: Instant) -> Begun {
        if !self.guesses.take(now) {
            let each = GUESS_PAUSE.as_secs();
            let reason =
                format!("too many files had another content than was said: this is told one file each {each} s");
            return Begun::Answered(Err(outcome::failed(reason)));
        }
        let opened = self.replica.open(&claim.path);
        let file = match opened.and_then(|(file, stat)| Ok((file.is_inexact()?, file, stat))) {
            // One whose content is not of one moment is equal to none, even if it should be.
            Ok((false, file, stat)) if stat.size == claim.size => file,
            Ok(_) => return Begun::Answered(Err(Outcome::Differs)),
            Err(error) if is_no_file(&error) => return Begun::Answered(Err(Outcome::Differs)),
            Err(error) => {
                self.guesses.give_back();
                return Begun::Answered(Err(outcome::of("read it", &error)));
            }
        };
        let (answer, answered) = channel();
        self.waiting.push_back((op, answered));
        Begun::Reads(Box::new(Reading {
            file,
            size: claim.size,
            at: 0,
            hash: blake3::Hasher::new(),
            claimed: claim.digest,
            answer,
        }))
    }

    /// The oldest claim, once it is answered.
    pub(super) fn answered(&mut self) -> Result<Option<Verdict>, Over> {
        let Some((op, answer)) = self.waiting.front() else { return Ok(None) };
        match answer.try_recv() {
            Ok(answer) => Ok(Some(self.take(*op, answer))),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Over),
        }
    }

    /// The same, for which it waits.
    pub(super) fn wait(&mut self) -> Result<Option<Verdict>, Over> {
        let Some((op, answer)) = self.waiting.front() else { return Ok(None) };
        // An error says that the pool is closed: the session is over.
        let answer = answer.recv().map_err(|_| Over)?;
        Ok(Some(self.take(*op, answer)))
    }

    fn take(&mut self, op: u64, answer: Result<bool, Outcome>) -> Verdict {
        self.waiting.pop_front();
        if !matches!(answer, Ok(false)) {
            self.guesses.give_back();
        }
        (op, answer.and_then(|same| if same { Ok(()) } else { Err(Outcome::Differs) }))
    }
}

/// Whether there is no such file: nothing at all, or something else.
fn is_no_file(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, IsADirectory};
    sys::is_absence(error) || matches!(error.kind(), IsADirectory | InvalidInput)
}
