//! How a try to reach a target, or a session with it, has ended: in words, as the exit of a command, and as the pause that
//! follows it.

use std::time::Duration;

use engine::sender::Ended;
use kit::Exit;
use link::DialError;
use proto::login::Refusal;

use crate::backoff::Pause;
use crate::nesting::Nesting;

/// How one session went.
pub struct Ending {
    pub ended: Ended,
    /// Why the connection came to its end.
    pub driven: link::Disconnect,
    pub lasted: Duration,
}

impl Ending {
    /// Why it ended, in words.
    pub fn reason(&self) -> String {
        match &self.ended {
            Ended::Lost => self.driven.to_string(),
            ended => sentence(ended),
        }
    }

    /// What comes before the next one.
    pub fn pause(&self) -> Pause {
        match &self.ended {
            Ended::Bye(Refusal::Busy { retry, .. }) => Pause::Asked(*retry),
            Ended::Halted(_) | Ended::Held(_) | Ended::Stopped | Ended::InSync => Pause::None,
            _ => Pause::Usual,
        }
    }
}

/// What a command ends with for which a sender's run ended so.
pub fn exit_of(ended: &Ended) -> Exit {
    match ended {
        Ended::InSync => Exit::Ok,
        Ended::Lost => Exit::Unreachable,
        Ended::Violation(_) | Ended::Unsupported(_) => Exit::Protocol,
        Ended::Bye(refusal) => exit_of_refusal(refusal),
        Ended::Blocked(_) | Ended::Held(_) | Ended::Halted(_) | Ended::Fault(_) | Ended::Stopped => Exit::Busy,
    }
}

/// The same where the receiver has said why. What it does not have it will not have a moment later.
fn exit_of_refusal(refusal: &Refusal) -> Exit {
    match refusal {
        Refusal::Protocol { .. } | Refusal::Version { .. } | Refusal::Unsupported { .. } => Exit::Protocol,
        Refusal::Busy { .. } | Refusal::Denied | Refusal::Stopping => Exit::Busy,
    }
}

/// The end of a sender's run in words.
pub fn sentence(ended: &Ended) -> String {
    match ended {
        Ended::Lost => "the connection is lost".into(),
        Ended::Bye(refusal) => refusal.to_string(),
        Ended::Violation(what) => format!("the receiver broke the protocol: {what}"),
        Ended::Unsupported(number) => format!(
            "the receiver needs extension {number} of the protocol, which this pushd does not know: bring both to the same \
             release"
        ),
        Ended::Halted(halt) => halt.to_string(),
        Ended::Held(held) => crate::held::reason(held),
        Ended::Blocked(why) => why.clone(),
        Ended::Fault(what) => what.clone(),
        Ended::Stopped => "stopped".into(),
        Ended::InSync => "in sync".into(),
    }
}

/// Why a target could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    /// The password file does not serve.
    #[error("{0}")]
    Password(String),
    /// The link said no.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The connection broke before the session began.
    #[error("the connection broke before the session began: {0}")]
    Lost(std::io::Error),
    /// The receiver does not take the session up.
    #[error("{0}")]
    Refused(Refusal),
    /// It must not be written to.
    #[error(transparent)]
    Nested(#[from] Nesting),
}

impl Unreached {
    /// The exit of a command that needed the target.
    pub fn exit(&self) -> Exit {
        match self {
            Unreached::Password(_) | Unreached::Nested(_) => Exit::Config,
            Unreached::Dial(error) => crate::check::exit_of(error),
            Unreached::Lost(_) => Exit::Unreachable,
            Unreached::Refused(refusal) => exit_of_refusal(refusal),
        }
    }

    /// Whether it is there and does not let us in: another may write there.
    pub fn is_refusal(&self) -> bool {
        match self {
            Unreached::Dial(DialError::Busy { .. }) => true,
            Unreached::Refused(refusal) => *refusal != Refusal::Stopping,
            _ => false,
        }
    }

    /// What comes before the next try.
    pub fn pause(&self) -> Pause {
        match self {
            Unreached::Dial(DialError::Busy { retry, .. }) | Unreached::Refused(Refusal::Busy { retry, .. }) => {
                Pause::Asked(*retry)
            }
            _ => Pause::Usual,
        }
    }
}
