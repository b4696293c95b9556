//! One established connection: the TLS stream, what was read from it and not yet used, and what it has carried. Made by
//! [`dial`](mod@crate::dial) and [`accept`](crate::accept), used up by [`drive`](mod@crate::drive).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::codec::Begun;
use proto::limits::{FRAME, LOGIN_FRAME};
use proto::login::Refusal;
use proto::{ToReceiver, ToSender, Version, codec};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsStream;

use crate::prompt::Prompt;

/// rustls asks the socket for 4 KiB at a time; this much is really read at once.
const SOCKET_READ: usize = 128 * 1024;
/// How long our last words to a peer may take, and how long what it still sends is read and thrown away so that they arrive.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

pub(crate) type Socket = BufReader<TcpStream>;

/// Bytes that the kernel holds unsent. What has to wait beyond that waits with us, where it can still be compressed.
const UNSENT: u32 = 256 * 1024;

pub(crate) fn socket(tcp: TcpStream) -> Socket {
    // Speed would be all that is lost if these failed.
    let _ = tcp.set_nodelay(true);
    let _ = socket2::SockRef::from(&tcp).set_tcp_notsent_lowat(UNSENT);
    BufReader::with_capacity(SOCKET_READ, tcp)
}

/// A connection after TLS.
pub struct Connection {
    pub(crate) stream: TlsStream<Socket>,
    pub(crate) unread: BytesMut,
    pub(crate) meter: Meter,
    /// The one that was agreed on, from the end of the login on.
    pub(crate) version: Version,
}

/// What a connection has carried in frames since its login, without TLS. Cheap to clone; readable at any time.
#[derive(Clone, Default, Debug)]
pub struct Meter(Arc<Counts>);

#[derive(Default, Debug)]
struct Counts {
    received: AtomicU64,
    sent: AtomicU64,
    /// Bytes from the peer, also of frames that are not whole yet.
    heard: AtomicU64,
    /// Since when the peer is listened to without a byte from it; `None` while it is held back.
    listening: Mutex<Option<Instant>>,
    /// What is to be said to the peer besides.
    prompt: Prompt,
}

/// What can be seen of a connection from beside it, while somebody else drives it. It keeps the connection open: to be dropped
/// when that one is done.
#[derive(Debug)]
pub struct Line {
    socket: OwnedFd,
    meter: Meter,
}

impl Connection {
    pub(crate) fn new(stream: TlsStream<Socket>) -> Connection {
        Connection { stream, unread: BytesMut::new(), meter: Meter::default(), version: Version::LOWEST }
    }

    /// The version of the protocol that is spoken on it.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its counters, which outlive it.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// What can be seen of it while it is driven.
    pub fn line(&self) -> io::Result<Line> {
        let (socket, _) = self.stream.get_ref();
        Ok(Line { socket: socket.get_ref().as_fd().try_clone_to_owned()?, meter: self.meter() })
    }

    /// Waits until the peer has sent the first bytes of the data phase; `false` when it closes without a word.
    ///
    /// # Errors
    /// When the connection breaks, and `TimedOut` after `idle`; each in words for a log line.
    pub async fn first_data(&mut self, idle: Duration) -> io::Result<bool> {
        if !self.unread.is_empty() {
            return Ok(true);
        }
        self.unread.reserve(SOCKET_READ);
        match timeout(idle, self.stream.read_buf(&mut self.unread)).await {
            Ok(Ok(bytes)) => Ok(bytes > 0),
            Ok(Err(error)) => Err(io::Error::new(error.kind(), crate::sentence::broken(&error))),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came from the peer")),
        }
    }

    /// Begins the session as the sender, and waits until the receiver has taken it up: nobody else writes there from now on. Or
    /// why it does not.
    ///
    /// # Errors
    /// When the connection or the framing breaks, and `TimedOut` after `idle` without a word; each in words for a log line.
    pub async fn begin(&mut self, idle: Duration) -> io::Result<Begun> {
        let broken = |error: io::Error| io::Error::new(error.kind(), crate::sentence::broken(&error));
        self.send(&ToReceiver::Ping).await.map_err(broken)?;
        loop {
            let whole = codec::whole_frames(&self.unread, FRAME).map_err(io::Error::other)?;
            let begun = codec::begun(&self.unread[..whole], self.version).map_err(io::Error::other)?;
            if let Some(begun) = begun {
                return Ok(begun);
            }
            if self.unread.len() > 2 * FRAME {
                return Err(io::Error::other("too much is said before the session begins"));
            }
            self.unread.reserve(LOGIN_FRAME);
            match timeout(idle, self.stream.read_buf(&mut self.unread)).await {
                Ok(Ok(0)) => return Err(broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => read.map_err(broken)?,
                Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came from the receiver")),
            };
        }
    }

    /// Ends a session that is not wanted after all, in order, so that the peer does not take it for a broken link.
    pub async fn close(mut self) {
        // Nobody waits for the outcome: the connection ends either way.
        let _ = timeout(LINGER, self.stream.shutdown()).await;
    }

    /// Tells a sender why its session ends before it began, and closes.
    pub async fn dismiss(self, refusal: Refusal) {
        self.farewell(&ToSender::Bye { refusal }).await;
    }

    /// The next frame, without its length: of the login or, with the larger bound, after it.
    pub(crate) async fn frame(&mut self, most: usize) -> Result<Bytes, Broken> {
        loop {
            if let Some(frame) = codec::split(&mut self.unread, most)? {
                return Ok(frame);
            }
            self.unread.reserve(LOGIN_FRAME);
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(Broken::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Sends one message of the login.
    pub(crate) async fn send(&mut self, message: &impl codec::Wire) -> io::Result<()> {
        let mut frame = BytesMut::new();
        codec::put(message, &mut frame);
        let sent = self.write(&frame).await;
        // It may have held a password.
        frame.fill(0);
        sent
    }

    pub(crate) async fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        self.stream.write_all(frames).await?;
        self.stream.flush().await
    }

    /// Sends the last message and closes in order. What the peer still sends is read and thrown away for a moment:
    /// a socket that is closed with unread data resets the connection, and the message could be lost.
    pub(crate) async fn farewell(mut self, message: &impl codec::Wire) {
        let last_words = async {
            self.send(message).await?;
            self.stream.shutdown().await?;
            self.unread.reserve(LOGIN_FRAME);
            while self.stream.read_buf(&mut self.unread).await? > 0 {
                self.unread.clear();
            }
            io::Result::Ok(())
        };
        // Nobody waits for the outcome: the connection ends either way.
        let _ = timeout(LINGER, last_words).await;
    }
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] codec::Error),
}

impl Meter {
    /// Bytes of frames from the peer.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Bytes of frames to the peer.
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// How long the peer was listened to without a byte from it; nothing while it is held back.
    pub fn silence(&self) -> Duration {
        self.listening().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// What is said to the peer besides what the role says.
    pub(crate) fn prompt(&self) -> &Prompt {
        &self.0.prompt
    }

    /// So many bytes came from the peer.
    pub(crate) fn hear(&self, bytes: usize) {
        self.0.heard.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The peer was heard, or is listened to again.
    pub(crate) fn listen(&self) {
        *self.listening() = Some(Instant::now());
    }

    /// What the peer sends is not taken for a while.
    pub(crate) fn hold_back(&self) {
        *self.listening() = None;
    }

    fn listening(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_received(&self, bytes: usize) {
        self.0.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_sent(&self, bytes: usize) {
        self.0.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Line {
    /// Whether the peer sends nothing more: it has closed its side, or the connection is broken. What it sent before may not
    /// have been read yet.
    pub fn is_closed(&self) -> bool {
        sys::socket::peer_finished(&self.socket)
    }

    /// How long the peer was listened to without a byte from it; nothing while it is held back.
    pub fn silence(&self) -> Duration {
        self.meter.silence()
    }

    /// Bytes that came from the peer so far.
    pub fn heard(&self) -> u64 {
        self.meter.0.heard.load(Ordering::Relaxed)
    }

    /// Whether nothing is read of what the peer sends, as its role has not taken what came before.
    pub fn is_held_back(&self) -> bool {
        self.meter.listening().is_none()
    }

    /// Asks the peer whether it is there.
    pub fn ask(&self) {
        self.meter.prompt().raise();
    }

    /// How long a byte to the peer and its answer take on the way.
    pub fn round_trip(&self) -> Duration {
        sys::socket::round_trip(&self.socket)
    }
}
