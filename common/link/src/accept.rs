//! recvd's side of the way to a session. Each step consumes the one before, so none can be left out:
//! [`client_hello`] → [`Arrived::secure`] → [`Secured::login`] → [`Candidate::accept`] → [`Requester::grant`].
//!
//! Every step ends at the moment that its caller names, whatever the peer does. Who may log in and what may be opened
//! is decided by the caller between the steps.

use std::future::Future;
use std::io;

use bytes::BytesMut;
use proto::dialogue::{AwaitHello, Deciding};
use proto::limits::{ALPN, LOGIN_FRAME};
use proto::login::{Hello, Login, Open, Opened, Refusal};
use proto::policy::Policy;
use proto::{ToSender, codec};
use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, TlsStream};

use crate::connection::{Broken, Connection, Socket, socket};
use crate::sentence::tls_error;
use crate::tls::{ServerTls, TLS_BUFFER};

/// A peer whose TLS greeting is there, whole.
pub struct Arrived {
    start: StartHandshake<Socket>,
}

/// A peer after TLS.
pub struct Secured(Connection);

/// A peer that has named itself and waits for a word.
pub struct Candidate {
    connection: Connection,
    deciding: Deciding,
}

/// A peer that is logged in, has said what it wants, and waits for a word.
pub struct Requester(Connection);

/// Why a peer came no further.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It took too long.
    #[error("{0} did not come in time")]
    Late(&'static str),
    /// It does not speak TLS 1.3 with our ALPN.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// It broke the protocol or speaks none of our versions; it was told.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// It closed the connection, or that broke.
    #[error("the connection ended during {step}: {error}")]
    Gone {
        /// What was to come next from it, as part of the sentence.
        step: &'static str,
        /// Of the kind `UnexpectedEof` where it has only closed.
        error: io::Error,
    },
}

/// Waits for the peer's TLS greeting. Until it is there nothing is known of the peer but its address.
pub async fn client_hello(tcp: TcpStream, deadline: Instant) -> Result<Arrived, Failed> {
    let accepting = LazyConfigAcceptor::new(Acceptor::default(), socket(tcp));
    let start = by(deadline, "the TLS greeting", accepting).await?;
    let offered = start.client_hello().alpn().is_some_and(|mut names| names.any(|name| name == ALPN));
    if !offered {
        return Err(Failed::Tls("the peer does not offer pushd/1: it is no pushd".into()));
    }
    Ok(Arrived { start })
}

impl Arrived {
    /// Ends the TLS handshake.
    pub async fn secure(self, tls: &ServerTls, deadline: Instant) -> Result<Secured, Failed> {
        let mut stream = by(deadline, "the TLS handshake", self.start.into_stream(tls.0.clone())).await?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(Failed::Tls("no agreement on pushd/1".into()));
        }
        stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
        Ok(Secured(Connection::new(TlsStream::Server(stream))))
    }
}

impl Secured {
    /// Agrees on a version and receives the login. `software` names us to the peer.
    pub async fn login(mut self, software: &str, deadline: Instant) -> Result<(Hello, Login, Candidate), Failed> {
        let frame = self.frame("the greeting", deadline).await?;
        let (hello, welcome, awaiting) = match AwaitHello::new(software).hello(frame) {
            Ok(step) => step,
            Err(refusal) => return Err(self.0.refused(refusal).await),
        };
        by(deadline, "the greeting", self.0.send(&welcome)).await?;
        let frame = self.frame("the login", deadline).await?;
        match awaiting.login(frame) {
            Ok((login, deciding)) => Ok((hello, login, Candidate { connection: self.0, deciding })),
            Err(refusal) => Err(self.0.refused(refusal).await),
        }
    }

    async fn frame(&mut self, step: &'static str, deadline: Instant) -> Result<bytes::Bytes, Failed> {
        self.0.frame_by(step, deadline).await
    }
}

impl Candidate {
    /// Tells the peer that it is logged in, and receives what it wants.
    pub async fn accept(self, deadline: Instant) -> Result<(Open, Requester), Failed> {
        let Candidate { mut connection, deciding } = self;
        let (accepted, awaiting) = deciding.accept();
        by(deadline, "the login", connection.send(&accepted)).await?;
        let frame = connection.frame_by("the module", deadline).await?;
        match awaiting.open(frame) {
            Ok((open, version)) => {
                connection.version = version;
                Ok((open, Requester(connection)))
            }
            Err(refusal) => Err(connection.refused(refusal).await),
        }
    }

    /// Tells the peer why not, and closes.
    pub async fn refuse(self, refusal: Refusal) {
        self.connection.farewell(&refusal).await;
    }
}

impl Requester {
    /// Tells the peer that the data phase begins, and what it has to know before it sends anything.
    pub async fn grant(mut self, opened: &Opened, policy: Policy, deadline: Instant) -> Result<Connection, Failed> {
        let mut frames = BytesMut::new();
        codec::put(opened, &mut frames);
        codec::put(&ToSender::Policy(Box::new(policy)), &mut frames);
        by(deadline, "the grant", self.0.write(&frames)).await?;
        Ok(self.0)
    }

    /// Tells the peer why not, and closes.
    pub async fn refuse(self, refusal: Refusal) {
        self.0.farewell(&refusal).await;
    }
}

impl Connection {
    async fn frame_by(&mut self, step: &'static str, deadline: Instant) -> Result<bytes::Bytes, Failed> {
        match timeout_at(deadline, self.frame(LOGIN_FRAME)).await {
            Err(_) => Err(Failed::Late(step)),
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(Broken::Io(error))) => Err(gone(step, error)),
            Ok(Err(Broken::Frame(error))) => {
                let refusal = Refusal::Protocol { reason: error.to_string() };
                // The connection is of no use any more, but its owner drops it.
                let _ = timeout_at(deadline, self.send(&refusal)).await;
                Err(Failed::Refused(refusal))
            }
        }
    }

    async fn refused(self, refusal: Refusal) -> Failed {
        self.farewell(&refusal).await;
        Failed::Refused(refusal)
    }
}

async fn by<T>(deadline: Instant, step: &'static str, work: impl Future<Output = io::Result<T>>) -> Result<T, Failed> {
    match timeout_at(deadline, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(gone(step, error)),
        Err(_) => Err(Failed::Late(step)),
    }
}

fn gone(step: &'static str, error: io::Error) -> Failed {
    match tls_error(&error) {
        Some(error) => Failed::Tls(error.to_string()),
        None => Failed::Gone { step, error },
    }
}
