//! pushd's side of the way to a session, in one call: name, TCP, TLS, login, module. Called by each target's lane and by
//! `pushd check`. Does not try again: its caller does.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use proto::dialogue::{Agreed, ClientHello, LoginError, Unfit};
use proto::extensions::Extensions;
use proto::limits::{ALPN, FRAME, LOGIN_FRAME};
use proto::login::{At, Open, Password, Purpose, Refusal, SenderId, Terms, Token};
use proto::policy::Policy;
use proto::{RelPath, ToSender, codec};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::{TlsConnector, TlsStream};

use crate::address::Address;
use crate::connection::{Broken, Connection, socket};
use crate::sentence::{self, escaped};
use crate::tls::{TLS_BUFFER, TlsError, Trust, client_config};
use crate::turns::Turns;

/// The answer to our greeting may take so many times as long as name and TCP together: a busy recvd lets its callers wait
/// for their turn, and whoever gave up early and dialled again would only make that longer.
const PATIENCE: u32 = 6;
/// How long the login may take after TLS: a busy recvd checks one password after the other.
const LOGIN: Duration = Duration::from_secs(30);
/// The longest time that a recvd may ask us to stay away.
const LONGEST_RETRY: Duration = Duration::from_secs(600);

/// Whom to dial, and as whom.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Target {
    pub address: Address,
    /// Of all that dial this server.
    pub turns: Turns,
    /// For name and TCP together; TLS may take `PATIENCE` times as long.
    pub connect_timeout: Duration,
    /// Read once the server answers, so that files of certificates count as they are then.
    pub trust: Trust,
    pub user: String,
    pub password: Password,
    pub module: String,
    /// Folder inside the module.
    pub folder: RelPath,
    pub purpose: Purpose,
    /// Who we are, as [`Open::sender`] wants it.
    pub sender: SenderId,
    /// What the last session in that folder was given.
    pub token: Option<Token>,
    /// Which state of the folder; see [`Open::at`].
    pub at: Option<At>,
    /// Ours, where we receive.
    pub terms: Option<Terms>,
    /// Names us to recvd: "pushd 0.1.0".
    pub software: String,
}

/// Why there is no session, sorted by who can mend it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum DialError {
    /// Nobody answers there, or not for long.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable { address: Address, reason: String },
    /// It answers, but a step takes too long.
    #[error("{address} took longer than {} s for {step}", .limit.as_secs_f32())]
    Timeout { address: Address, step: &'static str, limit: Duration },
    /// It is not the server that we expect, or not one at all.
    #[error("{0}")]
    Tls(String),
    /// What proves the server to be ours cannot be read.
    #[error("{address} cannot be verified: {error}")]
    Trust { address: Address, error: TlsError },
    /// It speaks other versions: these.
    #[error("{address} needs protocol {low}..{high}, this pushd speaks {}..{}: bring both to the same release",
        proto::limits::VERSIONS.0, proto::limits::VERSIONS.1)]
    Version { address: Address, low: u16, high: u16 },
    /// It is a later release, and says something that has to be understood.
    #[error(
        "{address} needs extension {number} of the protocol, which this pushd does not know: bring both to the same release"
    )]
    Unsupported { address: Address, number: u16 },
    /// User, password, module or right do not fit.
    #[error(
        "{address} refused user, password or module: compare user, password_file and module here with users_file \
        and users of the module there"
    )]
    Denied { address: Address },
    /// Not now; worth another try after this time.
    #[error("{address} is busy: {reason}")]
    Busy { address: Address, reason: String, retry: Duration },
    /// It breaks the protocol, or says that we do.
    #[error("{address}: {reason}")]
    Protocol { address: Address, reason: String },
    /// What is configured cannot travel.
    #[error("{0}")]
    Unfit(#[from] Unfit),
}

/// Opens a session, when it is our turn: on success the data phase begins.
pub async fn dial(target: &Target) -> Result<(Agreed, Connection), DialError> {
    let _turn = target.turns.turn().await;
    let tcp = connect(target, Instant::now() + target.connect_timeout).await?;
    let mut connection = secure(target, tcp, target.connect_timeout.saturating_mul(PATIENCE)).await?;
    match timeout(LOGIN, log_in(target, &mut connection)).await {
        Ok(logged_in) => {
            let agreed = logged_in?;
            connection.version = agreed.version;
            Ok((agreed, connection))
        }
        Err(_) => Err(timed_out(target, "the login", LOGIN)),
    }
}

/// Waits for what the server says first of a session that was opened to push, for one who sends nothing.
pub async fn policy(target: &Target, connection: &mut Connection) -> Result<Policy, DialError> {
    let frame = match timeout(LOGIN, read(target, connection, FRAME)).await {
        Ok(frame) => frame?,
        Err(_) => return Err(timed_out(target, "the rules of its module", LOGIN)),
    };
    match ToSender::decode(frame, connection.version) {
        Ok(ToSender::Policy(policy)) => Ok(*policy),
        Ok(ToSender::Bye { refusal }) => Err(ended_by(target, LoginError::Refused(refusal))),
        Ok(_) => {
            let reason = "it says something else before the rules of its module".into();
            Err(DialError::Protocol { address: target.address.clone(), reason })
        }
        Err(error) => Err(ended_by(target, error.into())),
    }
}

/// Tries every address of the host in turn; each gets an even share of the time that is left.
async fn connect(target: &Target, deadline: Instant) -> Result<TcpStream, DialError> {
    let address = &target.address;
    let unreachable = |reason: String| DialError::Unreachable { address: address.clone(), reason };
    let found = match timeout_at(deadline, lookup_host((address.host(), address.port()))).await {
        Err(_) => return Err(timed_out(target, "looking up its name", target.connect_timeout)),
        Ok(Err(error)) => return Err(unreachable(format!("its name is not known here ({error})"))),
        Ok(Ok(found)) => found.collect::<Vec<SocketAddr>>(),
    };
    let mut last = None;
    for (tried, peer) in found.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(found.len() - tried).unwrap_or(u32::MAX);
        match timeout(share, connect_to(*peer)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => last = Some(unreachable(error.to_string())),
            Err(_) => last = last.or_else(|| Some(timed_out(target, "TCP", target.connect_timeout))),
        }
    }
    Err(last.unwrap_or_else(|| unreachable("its name has no address".into())))
}

async fn connect_to(peer: SocketAddr) -> io::Result<TcpStream> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_keepalive(true)?;
    socket.connect(peer).await
}

async fn secure(target: &Target, tcp: TcpStream, limit: Duration) -> Result<Connection, DialError> {
    let who = target.address.to_string();
    let unreachable =
        |error: &io::Error| DialError::Unreachable { address: target.address.clone(), reason: closed(error) };
    let name = target.address.server_name().map_err(|error| DialError::Tls(error.to_string()))?;
    let tls =
        client_config(&target.trust).map_err(|error| DialError::Trust { address: target.address.clone(), error })?;
    let handshake = TlsConnector::from(tls.0).connect(name, socket(tcp));
    let mut stream = match timeout(limit, handshake).await {
        Err(_) => return Err(timed_out(target, "TLS", limit)),
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return Err(match sentence::tls_error(&error) {
                Some(tls) => DialError::Tls(sentence::explain(tls, &who, &target.trust)),
                None => unreachable(&error),
            });
        }
    };
    if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(DialError::Tls(format!("{who} speaks TLS, but is not a recvd that speaks pushd/1")));
    }
    stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    Ok(Connection::new(TlsStream::Client(stream)))
}

/// The dialogue as the client leads it. Nothing of ours but the version leaves before the server is verified.
async fn log_in(target: &Target, connection: &mut Connection) -> Result<Agreed, DialError> {
    let ended = |ended: LoginError| ended_by(target, ended);
    let (hello, state) = ClientHello::start(&target.software);
    send(target, connection, &hello).await?;
    let (_, state) = state.welcome(receive(target, connection).await?).map_err(ended)?;
    let (login, state) = state.login(&target.user, target.password.clone())?;
    send(target, connection, &login).await?;
    let state = state.accepted(receive(target, connection).await?).map_err(ended)?;
    let (open, state) = state.open(Open {
        module: target.module.clone(),
        folder: target.folder.clone(),
        purpose: target.purpose,
        sender: target.sender,
        token: target.token,
        at: target.at.clone(),
        terms: target.terms,
        extensions: Extensions::default(),
    })?;
    send(target, connection, &open).await?;
    state.opened(receive(target, connection).await?).map_err(ended)
}

async fn send(target: &Target, connection: &mut Connection, message: &impl codec::Wire) -> Result<(), DialError> {
    // When the server has refused and closed, its word is still to be read: the next receive tells.
    match connection.send(message).await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(lost(target, &error)),
        _ => Ok(()),
    }
}

async fn receive(target: &Target, connection: &mut Connection) -> Result<Bytes, DialError> {
    read(target, connection, LOGIN_FRAME).await
}

async fn read(target: &Target, connection: &mut Connection, most: usize) -> Result<Bytes, DialError> {
    connection.frame(most).await.map_err(|broken| match broken {
        Broken::Io(error) => lost(target, &error),
        Broken::Frame(error) => ended_by(target, LoginError::Broken(error)),
    })
}

fn ended_by(target: &Target, ended: LoginError) -> DialError {
    let address = target.address.clone();
    match ended {
        LoginError::Refused(Refusal::Busy { reason, retry }) => {
            DialError::Busy { address, reason: escaped(&reason), retry: retry.min(LONGEST_RETRY) }
        }
        LoginError::Refused(Refusal::Denied) => DialError::Denied { address },
        LoginError::Refused(Refusal::Version { low, high }) => DialError::Version { address, low, high },
        LoginError::Refused(Refusal::Protocol { reason }) => {
            DialError::Protocol { address, reason: format!("refused: {}", escaped(&reason)) }
        }
        LoginError::Refused(refusal @ Refusal::Unsupported { .. }) => {
            DialError::Protocol { address, reason: escaped(&refusal.to_string()) }
        }
        LoginError::Refused(Refusal::Stopping) => {
            DialError::Busy { address, reason: "it is stopping".into(), retry: Duration::from_secs(1) }
        }
        LoginError::Unsupported { number } => DialError::Unsupported { address, number },
        ended => DialError::Protocol { address, reason: ended.to_string() },
    }
}

fn lost(target: &Target, error: &io::Error) -> DialError {
    let address = target.address.clone();
    match sentence::tls_error(error) {
        Some(tls) => DialError::Tls(sentence::explain(tls, &address.to_string(), &target.trust)),
        None => DialError::Unreachable { address, reason: closed(error) },
    }
}

fn timed_out(target: &Target, step: &'static str, limit: Duration) -> DialError {
    DialError::Timeout { address: target.address.clone(), step, limit }
}

fn closed(error: &io::Error) -> String {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match error.kind() {
        UnexpectedEof | ConnectionReset | BrokenPipe => {
            "it closed the connection before the login was over; it may have \
             all its handshakes taken, or refuse this host for a while after failed logins"
                .into()
        }
        _ => error.to_string(),
    }
}
