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
use sys::{Mounts, Tree};

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

/// What a receiver has agreed to. The folder is nobody's before the session is taken up.
pub struct Dialled {
    pub agreed: Agreed,
    pub connection: link::Connection,
    /// Whether the receiver must not be written to.
    pub nested: Option<Nesting>,
}

/// What a session was given when it was taken up, and whether that is written down; a sentence where it is not.
pub struct Given {
    token: Token,
    noted: Result<(), String>,
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

/// What the receiver is to hear first.
pub fn greet(noted: bool, frames: &Connection) {
    if noted {
        // There is room: nothing was sent before.
        let _ = frames.outbox.try_send(channel::frame(&ToReceiver::Noted));
    }
}

impl Given {
    /// Whether what was given is written down.
    pub fn is_noted(&self) -> bool {
        self.noted.is_ok()
    }
}

impl Lane {
    pub(super) async fn reach(&self, root: &Root, mounts: Mounts, last: &mut Last) -> Result<Reached, Unreached> {
        let (identity, target) = (self.identity.clone(), self.target.clone());
        let written = apart("token", move || identity.token(&target)).await.unwrap_or(None);
        // A `sync` may have been here meanwhile: then it knows more than we do.
        let own = last.given.filter(|_| written == last.written);
        (last.written, last.given) = (written, own);
        let place = (&*root.tree, mounts);
        let Dialled { agreed, mut connection, nested } =
            dial(&self.target, &self.identity, own.or(written), place).await?;
        let continued = agreed.opened.continued && own.is_some();
        self.troubles.set_nested(nested);
        let mut noted = false;
        if nested.is_none()
            && let Some(given) = take_up(&mut connection, &agreed, &self.identity, &self.target).await?
        {
            last.given = Some(given.token);
            noted = self.is_noted(&given);
            if noted {
                last.written = Some(given.token);
            }
        }
        Ok(Reached { agreed, connection, continued, nested, noted })
    }

    /// Whether what was given is written down; where it is not, that is said once.
    fn is_noted(&self, given: &Given) -> bool {
        if let Err(sentence) = &given.noted
            && !self.unwritten.swap(true, Ordering::Relaxed)
        {
            let name = &self.target.name;
            tracing::warn!(target_name = %name, "after its next start pushd may be kept waiting for ten minutes: {sentence}");
        }
        if given.is_noted() {
            self.unwritten.store(false, Ordering::Relaxed);
        }
        given.is_noted()
    }
}

/// Logs in as this host, shows what its last session was given, and looks where the target stands. `from`: what is to be
/// mirrored.
pub async fn dial(
    target: &Target,
    identity: &Identity,
    token: Option<Token>,
    from: (&Tree, Mounts),
) -> Result<Dialled, Unreached> {
    let whom = target.dialling(Purpose::Push, (identity.id(), token)).map_err(Unreached::Password)?;
    let (agreed, connection) = link::dial(&whom).await?;
    let nested = nesting(from.0, from.1, &agreed.opened.place);
    Ok(Dialled { agreed, connection, nested })
}

/// Has the receiver take the session up, and writes down what it gives for the next one.
pub async fn take_up(
    connection: &mut link::Connection,
    agreed: &Agreed,
    identity: &Arc<Identity>,
    target: &Arc<Target>,
) -> Result<Option<Given>, Unreached> {
    match connection.begin(SILENCE).await.map_err(Unreached::Lost)? {
        Begun::Yes => {}
        Begun::Refused(refusal) => return Err(Unreached::Refused(refusal)),
    }
    let Some(token) = agreed.opened.token else { return Ok(None) };
    Ok(Some(Given { token, noted: note(identity, target, token).await }))
}

/// Writes down what a session was given, so that it survives a power cut. The error is a sentence.
async fn note(identity: &Arc<Identity>, target: &Arc<Target>, token: Token) -> Result<(), String> {
    let (identity, target) = (identity.clone(), target.clone());
    let written = apart("token", move || identity.note(&target, token)).await;
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("the token of the session cannot be written to `state_dir`: {error}")),
        Err(failed) => Err(failed.to_string()),
    }
}
