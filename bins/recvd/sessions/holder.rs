//! What a newcomer can learn of the session that has its folder, and say to it.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::units::Moment;
use tokio::sync::{Notify, watch};

/// A peer that was listened to for so long and said nothing is gone: every pushd says something within ten seconds.
const SILENCE: Duration = Duration::from_secs(15);

/// A connection as it is seen from beside it.
pub trait Watched: Send + 'static {
    /// Whether the peer has closed it, or it is broken.
    fn is_closed(&self) -> bool;
    /// How long the peer was listened to and said nothing.
    fn silence(&self) -> Duration;
}

impl Watched for link::Line {
    fn is_closed(&self) -> bool {
        link::Line::is_closed(self)
    }

    fn silence(&self) -> Duration {
        link::Line::silence(self)
    }
}

/// Whether anybody is at the other end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Lives,
    /// Nobody, as far as can be seen.
    Gone,
}

/// What is shared of a session: its own task tells here how it is, and newcomers leave word here.
pub(super) struct Holder {
    from: IpAddr,
    since: Moment,
    leave: watch::Sender<bool>,
    greeting: Notify,
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
        let (leave, line) = (watch::Sender::new(false), Mutex::new(Line::New));
        Holder { from, since: Moment::now(), leave, greeting: Notify::new(), line }
    }

    pub fn from(&self) -> IpAddr {
        self.from
    }

    /// Since when it has its session.
    pub fn since(&self) -> Moment {
        self.since
    }

    pub fn life(&self) -> Life {
        match &*self.line() {
            Line::New => Life::Lives,
            Line::Driven(line) if line.is_closed() || line.silence() >= SILENCE => Life::Gone,
            Line::Driven(_) => Life::Lives,
            Line::Ended => Life::Gone,
        }
    }

    pub fn watched(&self, line: Box<dyn Watched>) {
        *self.line() = Line::Driven(line);
    }

    pub fn ended(&self) {
        *self.line() = Line::Ended;
    }

    pub fn ask_to_leave(&self) {
        self.leave.send_replace(true);
    }

    pub async fn asked_to_leave(&self) {
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = self.leave.subscribe().wait_for(|leave| *leave).await;
    }

    /// Its peer is to get a sign of life: a host that was started anew answers that it knows of no such connection.
    pub fn greet(&self) {
        self.greeting.notify_one();
    }

    pub async fn greeted(&self) {
        self.greeting.notified().await;
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holder").field("from", &self.from).field("life", &self.life()).finish_non_exhaustive()
    }
}
