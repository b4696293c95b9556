//! How a lane comes to a session: it dials, shows who it is, begins, and writes down what it was given.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::channel;
use engine::sender::{Connection, Root};
use kit::apart;
use proto::ToReceiver;
use proto::codec::Begun;
use proto::dialogue::Agreed;
use proto::login::{Purpose, Token};

use super::drive::SILENCE;
use super::{Lane, Unreached};
use crate::config::Target;
use crate::identity::Identity;
use crate::nesting::{Nesting, nesting};

/// What a lane remembers of its last session, to show it to the next.
#[derive(Debug, Default)]
pub struct Last {
    /// What that was given; `None` before the first.
    given: Option<Token>,
    /// What stands in the file.
    written: Option<Token>,
}

/// A session that the receiver has granted.
pub struct Reached {
    pub agreed: Agreed,
    pub connection: link::Connection,
    /// Whether nothing has changed there since our own last session.
    pub continued: bool,
    /// Whether the receiver must not be written to.
    pub nested: Option<Nesting>,
    /// Whether what we were given is written down.
    pub noted: bool,
}

impl Reached {
    /// What the receiver is to hear first.
    pub fn greet(noted: bool, frames: &Connection) {
        if noted {
            // There is room: nothing was sent before.
            let _ = frames.outbox.try_send(channel::frame(&ToReceiver::Noted));
        }
    }
}

impl Lane {
    pub(super) async fn reach(&self, root: &Root, mounts: sys::Mounts, last: &mut Last) -> Result<Reached, Unreached> {
        let (identity, target) = (self.identity.clone(), self.target.clone());
        let written = apart("token", move || identity.token(&target)).await.unwrap_or(None);
        // A `sync` may have been here meanwhile: then it knows more than we do.
        let own = last.given.filter(|_| written == last.written);
        (last.written, last.given) = (written, own);
        let whom = self.target.dialling(Purpose::Push, (self.identity.id(), own.or(written)));
        let (agreed, mut connection) = link::dial(&whom.map_err(Unreached::Password)?).await?;
        let nested = nesting(&root.tree, mounts, &agreed.opened.place);
        let continued = agreed.opened.continued && own.is_some();
        self.troubles.set_nested(nested);
        if nested.is_some() {
            return Ok(Reached { agreed, connection, continued, nested, noted: false });
        }
        begin(&mut connection).await?;
        let mut noted = false;
        if let Some(token) = agreed.opened.token {
            last.given = Some(token);
            noted = self.note(token).await;
            if noted {
                last.written = Some(token);
            }
        }
        Ok(Reached { agreed, connection, continued, nested, noted })
    }

    /// Whether that is done; where it is not, that is said once.
    async fn note(&self, token: Token) -> bool {
        let noted = note(&self.identity, &self.target, token).await;
        if let Err(sentence) = &noted
            && !self.unwritten.swap(true, Ordering::Relaxed)
        {
            let name = &self.target.name;
            tracing::warn!(target_name = %name, "after its next start pushd may be kept waiting for ten minutes: {sentence}");
        }
        if noted.is_ok() {
            self.unwritten.store(false, Ordering::Relaxed);
        }
        noted.is_ok()
    }
}

/// Has the receiver take the session up.
pub async fn begin(connection: &mut link::Connection) -> Result<(), Unreached> {
    match connection.begin(SILENCE).await.map_err(Unreached::Lost)? {
        Begun::Yes => Ok(()),
        Begun::Refused(refusal) => Err(Unreached::Refused(refusal)),
    }
}

/// Writes down what a session was given, so that it survives a power cut. The error is a sentence.
pub async fn note(identity: &Arc<Identity>, target: &Arc<Target>, token: Token) -> Result<(), String> {
    let (identity, target) = (identity.clone(), target.clone());
    let written = apart("token", move || identity.note(&target, token)).await;
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("the token of the session cannot be written to `state_dir`: {error}")),
        Err(failed) => Err(failed.to_string()),
    }
}
