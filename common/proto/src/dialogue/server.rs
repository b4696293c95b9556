//! The server's side of the login. Each error is the [`Refusal`] to send before the connection is closed.

use bytes::Bytes;

use super::meet;
use crate::codec::{self, Wire};
use crate::extensions::Extensions;
use crate::limits;
use crate::login::{Accepted, Hello, Login, Open, Refusal, Welcome};
use crate::version::Version;

/// The beginning: nothing was received yet.
#[derive(Debug)]
#[must_use]
pub struct AwaitHello {
    software: String,
}

/// `Welcome` is to be sent; then the login comes.
#[derive(Debug)]
#[must_use]
pub struct AwaitLogin(Version);

/// The caller checks user and password.
#[derive(Debug)]
#[must_use]
pub struct Deciding(Version);

/// `Accepted` is to be sent; then the module is named.
#[derive(Debug)]
#[must_use]
pub struct AwaitOpen(Version);

impl AwaitHello {
    /// Names the program as `software` ("recvd 0.1.0"; at most 128 bytes of it travel).
    pub fn new(software: &str) -> AwaitHello {
        AwaitHello { software: software.to_owned() }
    }

    /// The client's first frame, and the answer: the highest version that both speak, or `Version` with our range.
    pub fn hello(self, frame: Bytes) -> Result<(Hello, Welcome, AwaitLogin), Refusal> {
        let hello = Hello::decode(frame, Version::LOWEST).map_err(broken)?;
        let ours @ (low, high) = limits::VERSIONS;
        let met = meet(ours, (hello.low, hello.high)).and_then(Version::of);
        let version = met.ok_or(Refusal::Version { low, high })?;
        let (software, extensions) = (self.software, Extensions::default());
        Ok((hello, Welcome { version: version.number(), software, extensions }, AwaitLogin(version)))
    }
}

impl AwaitLogin {
    /// The client's login, to be decided on. INVARIANT: only a `Deciding` leads on, and nothing else makes one.
    pub fn login(self, frame: Bytes) -> Result<(Login, Deciding), Refusal> {
        Ok((Login::decode(frame, self.0).map_err(broken)?, Deciding(self.0)))
    }
}

impl Deciding {
    /// User and password fit. In the other case the caller sends [`Refusal::Denied`] or [`Refusal::Busy`] and drops it.
    pub fn accept(self) -> (Accepted, AwaitOpen) {
        (Accepted, AwaitOpen(self.0))
    }
}

impl AwaitOpen {
    /// What the client wants; the caller answers with `Opened` or a refusal. With the version of the data phase.
    pub fn open(self, frame: Bytes) -> Result<(Open, Version), Refusal> {
        Ok((Open::decode(frame, self.0).map_err(broken)?, self.0))
    }
}

fn broken(error: codec::Error) -> Refusal {
    match error {
        codec::Error::Unsupported { .. } => Refusal::Unsupported { what: error.to_string() },
        error => Refusal::Protocol { reason: error.to_string() },
    }
}
