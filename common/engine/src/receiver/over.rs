//! The end of a session: why, what the peer hears of it, and how its threads learn of it.

use std::time::Duration;

use proto::ToSender;
use proto::login::Refusal;

use crate::channel::{self, Outbox};

/// When a sender may come again whose session has ended through no fault of its own.
const AGAIN: Duration = Duration::from_secs(1);

/// The session is over: what a thread of it gets instead of more work.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Over;

/// Why a session is over. Whatever it is, nothing half-done is visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// The peer has closed the connection, or it broke.
    Closed,
    /// The peer broke the protocol, in these words.
    Violation(String),
    /// Whoever runs the session has ended it, with its [`Stop`](super::Stop) and for this.
    Stopped(Refusal),
    /// The folder that was written to does not stand at its path any more, in these words. What was acknowledged last may
    /// be in it, and nowhere else.
    Uprooted(String),
    /// The receiver itself cannot go on, in these words.
    Fault(String),
}

impl EndReason {
    /// Tells the peer why, if it listens: one that does not must not hold the session.
    pub(super) fn tell(&self, outbox: &Outbox) {
        if let Some(refusal) = self.refusal() {
            let _ = outbox.try_send(channel::frame(&ToSender::Bye { refusal }));
        }
    }

    /// In the words of the wire; `None` for a peer that has gone.
    fn refusal(&self) -> Option<Refusal> {
        Some(match self {
            EndReason::Closed => return None,
            EndReason::Violation(reason) => Refusal::Protocol { reason: reason.clone() },
            EndReason::Stopped(refusal) => refusal.clone(),
            // Its path is not the peer's business.
            EndReason::Uprooted(_) => Refusal::Busy {
                reason: "the folder was replaced, unmounted or mounted over on the backup host".to_owned(),
                retry: AGAIN,
            },
            EndReason::Fault(reason) => Refusal::Busy { reason: reason.clone(), retry: AGAIN },
        })
    }
}
