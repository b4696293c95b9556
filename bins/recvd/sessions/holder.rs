//! What a newcomer can learn of the session that has its folder, and say to it.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::units::Moment;
use proto::login::Refusal;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a peer may take for its answer, beside the way there and back.
const NEWS: Duration = Duration::from_secs(2);
/// The longest way there and back that is believed.
const FAR: Duration = Duration::from_secs(10);

/// A connection as it is seen from beside it.
pub trait Watched: Send + 'static {
    /// Whether the peer has closed it, or it is broken.
    fn is_closed(&self) -> bool;
    /// How long the peer was listened to and said nothing.
    fn silence(&self) -> Duration;
    /// Bytes that came from the peer so far.
    fn heard(&self) -> u64;
    /// Whether what the peer sends is not read for now.
    fn is_held_back(&self) -> bool;
    /// Asks the peer whether it is there.
    fn ask(&self);
    /// How long a byte and its answer are on the way.
    fn round_trip(&self) -> Duration;
}

impl Watched for link::Line {
    fn is_closed(&self) -> bool {
        link::Line::is_closed(self)
    }

    fn silence(&self) -> Duration {
        link::Line::silence(self)
    }

    fn heard(&self) -> u64 {
        link::Line::heard(self)
    }

    fn is_held_back(&self) -> bool {
        link::Line::is_held_back(self)
    }

    fn ask(&self) {
        link::Line::ask(self);
    }

    fn round_trip(&self) -> Duration {
        link::Line::round_trip(self)
    }
}

/// Whether anybody is at the other end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Something came from it after the question.
    Lives,
    /// Nobody, as far as can be seen.
    Gone,
    /// It was asked, and has time left.
    Unknown,
}

/// A peer was asked whether it is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    at: Instant,
    heard: u64,
    patience: Duration,
}

/// What is shared of a session: its own task tells here how it is, and newcomers leave word here.
pub(super) struct Holder {
    from: IpAddr,
    since: Moment,
    leave: watch::Sender<Option<Refusal>>,
    line: Mutex<Line>,
}

enum Line {
    /// The session has only just begun.
    New,
    Driven(Box<dyn Watched>),
    Ended,
}

impl Holder {
    pub fn new(from: IpAddr) -> Holder {
        let (leave, line) = (watch::Sender::new(None), Mutex::new(Line::New));
        Holder { from, since: Moment::now(), leave, line }
    }

    pub fn from(&self) -> IpAddr {
        self.from
    }

    /// Since when it has its session.
    pub fn since(&self) -> Moment {
        self.since
    }

    /// Asks its peer for a sign of life.
    pub fn ask(&self) -> Question {
        let (at, mut heard, mut patience) = (Instant::now(), 0, NEWS);
        if let Line::Driven(line) = &*self.line() {
            (heard, patience) = (line.heard(), NEWS + line.round_trip().min(FAR));
            line.ask();
        }
        Question { at, heard, patience }
    }

    /// What came of it. A peer whose bytes are not read, because its session waits for the disk, counts as alive.
    pub fn life(&self, question: &Question) -> Life {
        let late = question.at.elapsed() >= question.patience;
        match &*self.line() {
            Line::Ended => Life::Gone,
            Line::Driven(line) if line.is_closed() => Life::Gone,
            Line::Driven(line) if line.heard() > question.heard => Life::Lives,
            Line::New | Line::Driven(_) if !late => Life::Unknown,
            Line::New => Life::Lives,
            Line::Driven(line) if line.is_held_back() => Life::Lives,
            Line::Driven(_) => Life::Gone,
        }
    }

    /// Whether nothing more comes from its peer, and the session ends by itself.
    pub fn is_closing(&self) -> bool {
        match &*self.line() {
            Line::New => false,
            Line::Driven(line) => line.is_closed(),
            Line::Ended => true,
        }
    }

    /// How long nothing was heard of its peer, as far as its connection is driven.
    pub fn silence(&self) -> Duration {
        match &*self.line() {
            Line::Driven(line) => line.silence(),
            Line::New | Line::Ended => Duration::ZERO,
        }
    }

    pub fn watched(&self, line: Box<dyn Watched>) {
        *self.line() = Line::Driven(line);
    }

    /// Its connection is not driven any more. Returns how long nothing had been heard of its peer.
    pub fn ended(&self) -> Duration {
        let silence = self.silence();
        *self.line() = Line::Ended;
        silence
    }

    /// What it is asked first is what its peer hears.
    pub fn ask_to_leave(&self, why: Refusal) {
        self.leave.send_if_modified(|leave| {
            let is_first = leave.is_none();
            leave.get_or_insert(why);
            is_first
        });
    }

    pub fn is_asked_to_leave(&self) -> bool {
        self.leave.borrow().is_some()
    }

    pub async fn asked_to_leave(&self) -> Refusal {
        let mut leave = self.leave.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let why = leave.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or(Refusal::Stopping)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holder").field("from", &self.from).finish_non_exhaustive()
    }
}
