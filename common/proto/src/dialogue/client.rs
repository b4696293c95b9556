//! The client's side of the login.

use bytes::Bytes;

use crate::codec::{self, Wire};
use crate::extensions::Extensions;
use crate::limits;
use crate::login::{Accepted, Hello, Login, Open, Opened, Password, Purpose, Refusal, Terms, Welcome};
use crate::shown::is_hostile;
use crate::version::Version;

/// Why a login came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The server said so.
    #[error("{0}")]
    Refused(Refusal),
    /// The server's answer is no message of this protocol at this point.
    #[error("the server broke the protocol: {0}")]
    Broken(codec::Error),
    /// The server says something that has to be understood, in a way that a later release knows.
    #[error("the server needs extension {number} of the protocol, which is not known here")]
    Unsupported {
        /// Of the extension, below 32,768.
        number: u16,
    },
    /// The server chose a version that was not offered.
    #[error("the server broke the protocol: it chose version {0}, which was not offered")]
    NotOffered(u16),
}

impl From<codec::Error> for LoginError {
    fn from(error: codec::Error) -> LoginError {
        match error {
            codec::Error::Unsupported { number } => LoginError::Unsupported { number },
            error => LoginError::Broken(error),
        }
    }
}

/// Why a user name, a password or a module cannot be sent at all. The same server would only answer with a refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The user name has not 1 to 255 bytes, or has control characters.
    #[error("the user name must have 1 to 255 bytes and no control characters")]
    User,
    /// The password has not 1 to 1024 bytes.
    #[error("the password must have 1 to 1024 bytes")]
    Password,
    /// The module name has not 1 to 255 bytes, or has control characters.
    #[error("the module name must have 1 to 255 bytes and no control characters")]
    Module,
    /// The folder within the module.
    #[error("the folder within the module is longer than 3072 bytes")]
    Folder,
}

/// The state before the first byte.
pub struct ClientHello;

/// The state after `Hello` was sent.
#[derive(Debug)]
#[must_use]
pub struct AwaitWelcome(());

/// The version is agreed.
#[derive(Debug)]
#[must_use]
pub struct ReadyToLogin(Version);

/// The state after `Login` was sent.
#[derive(Debug)]
#[must_use]
pub struct AwaitAccepted(Version);

/// The user is known.
#[derive(Debug)]
#[must_use]
pub struct ReadyToOpen(Version);

/// The state after `Open` was sent.
#[derive(Debug)]
#[must_use]
pub struct AwaitOpened {
    version: Version,
    purpose: Purpose,
    ours: Option<Terms>,
}

/// What a client has when the data phase begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// By which all frames are read from here on.
    pub version: Version,
    /// Those of the side that receives, whichever that is.
    pub terms: Terms,
    /// What the server has said of the folder.
    pub opened: Opened,
}

impl ClientHello {
    /// Names the program as `software` ("pushd 0.1.0"; at most 128 bytes of it travel).
    pub fn start(software: &str) -> (Hello, AwaitWelcome) {
        let (low, high) = limits::VERSIONS;
        (Hello { low, high, software: software.to_owned() }, AwaitWelcome(()))
    }
}

impl AwaitWelcome {
    /// The server's first frame. Its version is one of ours.
    pub fn welcome(self, frame: Bytes) -> Result<(Welcome, ReadyToLogin), LoginError> {
        let welcome: Welcome = answer(frame, Version::LOWEST)?;
        let version = Version::of(welcome.version).ok_or(LoginError::NotOffered(welcome.version))?;
        Ok((welcome, ReadyToLogin(version)))
    }
}

impl ReadyToLogin {
    /// Names the user; the bounds of both fields are checked here, so that a mistake in the configuration is told as
    /// one.
    pub fn login(self, user: &str, password: Password) -> Result<(Login, AwaitAccepted), Unfit> {
        if !is_label(user) {
            return Err(Unfit::User);
        }
        if !(1..=limits::PASSWORD).contains(&password.as_bytes().len()) {
            return Err(Unfit::Password);
        }
        let login = Login { user: user.to_owned(), password, extensions: Extensions::default() };
        Ok((login, AwaitAccepted(self.0)))
    }
}

impl AwaitAccepted {
    /// The server's word on the login.
    pub fn accepted(self, frame: Bytes) -> Result<ReadyToOpen, LoginError> {
        answer(frame, self.0).map(|Accepted| ReadyToOpen(self.0))
    }
}

impl ReadyToOpen {
    /// Checks that `open` can travel; then it is to be sent.
    pub fn open(self, open: Open) -> Result<(Open, AwaitOpened), Unfit> {
        if !is_label(&open.module) {
            return Err(Unfit::Module);
        }
        // What the rest of the frame needs fits easily into the difference.
        if open.folder.as_bytes().len() > limits::LOGIN_FRAME - 1024 {
            return Err(Unfit::Folder);
        }
        let awaiting = AwaitOpened { version: self.0, purpose: open.purpose, ours: open.terms };
        Ok((open, awaiting))
    }
}

impl AwaitOpened {
    /// The server's word on the module: after it the data phase begins.
    pub fn opened(self, frame: Bytes) -> Result<Agreed, LoginError> {
        let AwaitOpened { version, purpose, ours } = self;
        let opened: Opened = answer(frame, version)?;
        let invalid = |what, why| LoginError::Broken(codec::Error::Invalid { what, why });
        if opened.token.is_some() && purpose != Purpose::Push {
            return Err(invalid("token", "is for a session that does not write"));
        }
        match (ours, opened.terms) {
            (Some(terms), None) | (None, Some(terms)) => Ok(Agreed { version, terms, opened }),
            _ => Err(invalid("terms", "are not those of the one who receives")),
        }
    }
}

/// The message that is due, or the refusal that came in its place.
fn answer<M: Wire>(frame: Bytes, version: Version) -> Result<M, LoginError> {
    if frame.first() == Some(&codec::REFUSED) {
        return Err(LoginError::Refused(Refusal::decode(frame, version)?));
    }
    Ok(M::decode(frame, version)?)
}

fn is_label(text: &str) -> bool {
    (1..=limits::USER).contains(&text.len()) && !text.chars().any(is_hostile)
}
