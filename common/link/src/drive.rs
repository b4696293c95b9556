//! The one loop that moves whole frames between a connection and the channels of a role, both ways at once, until the
//! connection ends. Called by both programs after the login. Does not look into frames, only at their lengths.
//!
//! A role that does not take its frames holds back the reading, never the writing; a peer that does not read holds
//! back the writing, never the reading.
//!
//! INVARIANT: of time it knows only the runtime's clock, it draws no lots and starts no task. On a runtime of one thread whose
//! clock is paused the same input gives the same output at the same times.

mod lend;
mod waiting;

use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use proto::codec::{self, Buffers, LENGTH};
use proto::limits::FRAME;
use proto::login::Refusal;
use proto::{ToReceiver, ToSender};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::connection::{Connection, LINGER, Meter};
pub use lend::{Free, Lend, freely};
use waiting::Waiting;

/// Bytes that are gathered before they are handed on, while more is coming.
const READ: usize = 512 * 1024;
/// Buffers that a connection keeps, of twice that size: what is left of a frame moves from one to the next.
const BUFFERS: usize = 4;
/// Reads in a row that brought little, after which a buffer of [`LITTLE`] bytes serves: most connections of a backup host
/// are quiet most of the time.
const QUIET: usize = BUFFERS + 1;
const LITTLE: usize = 2 * ROOM;
/// Bytes of a sender that are gathered for one write, while more is waiting.
const WRITE: usize = 512 * 1024;
/// The same of a receiver, which says less: what a peer does not read waits here.
const ANSWERS: usize = 128 * 1024;
/// Smallest room in the buffer that is worth a read: one TLS record.
const ROOM: usize = 16 * 1024;
/// How long a role that takes no more frames may still have something to say.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Where frames from the peer go: what waits there holds back the peer. It says which role stands behind it, too.
pub enum Deliver {
    /// A peer that does not read is given up, and one that breaks the framing is told. What waits for the role is lent.
    Receiver(mpsc::Sender<Bytes>, Lend),
    /// It takes frames whatever it waits for itself.
    Sender(mpsc::Sender<Bytes>),
}

/// The clocks of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Drive {
    /// A peer from which nothing came for this long while we listened is gone.
    pub idle: Duration,
    /// When nothing was sent for this long, a `Pong` is, which nobody has asked for. No `Ping`: of those one at most may be
    /// unanswered, and the answer cannot be told from what the peer says unasked.
    pub keepalive: Option<Duration>,
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Disconnect {
    /// The role has dropped its outbox or inbox; what it had sent is written.
    #[error("closed from here")]
    ByUs,
    /// The peer has closed it in order.
    #[error("closed by the peer")]
    ByPeer,
    /// Nothing came from the peer, or it took nothing from us, for the idle time.
    #[error("no sign of life from the peer for {} s", .0.as_secs())]
    Silent(Duration),
    /// It broke, or was cut without a goodbye.
    #[error("the connection broke: {}", crate::sentence::broken(.0))]
    Broken(io::Error),
    /// The peer broke the framing.
    #[error("the peer broke the protocol: {0}")]
    Violation(codec::Error),
}

/// Moves frames until the connection ends; then both channels are dropped.
///
/// Dropping the outbox ends the connection in order, after all of it is written; dropping the inbox does so within a few
/// seconds.
pub async fn drive(
    connection: Connection,
    outgoing: mpsc::Receiver<Bytes>,
    incoming: Deliver,
    limits: Drive,
) -> Disconnect {
    let Connection { stream, unread, meter, .. } = connection;
    run(stream, unread, outgoing, incoming, limits, meter).await
}

/// [`drive`] over any stream of bytes, for a simulation: without TLS, and from the first frame after the login.
pub async fn drive_stream<S: AsyncRead + AsyncWrite>(
    stream: S,
    outgoing: mpsc::Receiver<Bytes>,
    incoming: Deliver,
    limits: Drive,
) -> Disconnect {
    run(stream, BytesMut::new(), outgoing, incoming, limits, Meter::default()).await
}

/// Why one direction stopped, when nothing is wrong.
enum Stopped {
    /// The peer has closed its side.
    PeerClosed,
    /// The role takes no more frames.
    InboxDropped,
    /// The role has dropped its outbox, all is written and our side is closed.
    OutboxDropped,
}

async fn run<S: AsyncRead + AsyncWrite>(
    stream: S,
    unread: BytesMut,
    outgoing: mpsc::Receiver<Bytes>,
    incoming: Deliver,
    limits: Drive,
    meter: Meter,
) -> Disconnect {
    let (read, write_half) = tokio::io::split(stream);
    // Only a receiver gives up on a peer that does not read: a sender's peer may be busy with its disk for long, and
    // proves with pongs that it lives.
    let (beat, besides, stall, receives, write) = match &incoming {
        Deliver::Receiver(..) => (frame(&ToSender::Pong), frame(&ToSender::Ping), Some(limits.idle), true, ANSWERS),
        Deliver::Sender(_) => (frame(&ToReceiver::Pong), frame(&ToReceiver::Pong), None, false, WRITE),
    };
    let buffers = Buffers::new(2 * READ, BUFFERS);
    let mut reader =
        Reader { half: read, buffers, buffer: unread, quiet: 0, incoming, idle: limits.idle, meter: meter.clone() };
    let waiting = Waiting::of(write);
    let every = limits.keepalive;
    let mut writer = Writer { half: write_half, outgoing, waiting, beat, besides, every, stall, meter };

    match first(reader.run(), writer.run()).await {
        Err(Disconnect::Violation(error)) => {
            if receives {
                let told = async { drop(writer.tell(&error).await) };
                let _ = timeout(LAST_WORDS, first(told, reader.discard())).await;
                let _ = timeout(LINGER, reader.discard()).await;
            }
            Disconnect::Violation(error)
        }
        Err(ended) => ended,
        Ok(Stopped::PeerClosed) => {
            // Whether our goodbye still arrives makes no difference.
            let _ = timeout(LINGER, writer.half.shutdown()).await;
            Disconnect::ByPeer
        }
        Ok(Stopped::OutboxDropped) => {
            let _ = timeout(LINGER, reader.discard()).await;
            Disconnect::ByUs
        }
        Ok(Stopped::InboxDropped) => {
            let (written, closed) = (async { drop(writer.run().await) }, reader.discard());
            let _ = timeout(LAST_WORDS, first(written, closed)).await;
            let _ = timeout(LINGER, reader.discard()).await;
            Disconnect::ByUs
        }
    }
}

/// The answer of the one that ends first. Each is polled before the other every second time: whichever always came first
/// could use up what a task may do at once, so that the other stood still. `select!` draws lots instead, and what happens
/// could not be repeated.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let mut other_first = true;
    poll_fn(|cx| {
        other_first = !other_first;
        if other_first {
            match other.as_mut().poll(cx) {
                Poll::Pending => one.as_mut().poll(cx),
                ready => ready,
            }
        } else {
            match one.as_mut().poll(cx) {
                Poll::Pending => other.as_mut().poll(cx),
                ready => ready,
            }
        }
    })
    .await
}

struct Reader<S> {
    half: ReadHalf<S>,
    buffers: Buffers,
    buffer: BytesMut,
    /// Reads in a row that brought little.
    quiet: usize,
    incoming: Deliver,
    idle: Duration,
    meter: Meter,
}

impl<S: AsyncRead + AsyncWrite> Reader<S> {
    async fn run(&mut self) -> Result<Stopped, Disconnect> {
        loop {
            let whole = codec::whole_frames(&self.buffer, FRAME).map_err(Disconnect::Violation)?;
            if whole > 0 {
                self.meter.add_received(whole);
                let frames = self.buffer.split_to(whole).freeze();
                // Answered here: the role may be busy with a slow disk, and would seem to be gone.
                if matches!(self.incoming, Deliver::Sender(_)) && codec::asks(&frames) {
                    self.meter.prompt().raise();
                }
                self.meter.hold_back();
                let (inbox, (frames, free)) = match &self.incoming {
                    Deliver::Receiver(inbox, lend) => (inbox, lend(frames)),
                    Deliver::Sender(inbox) => (inbox, (frames, None)),
                };
                if inbox.send(frames).await.is_err() {
                    return Ok(Stopped::InboxDropped);
                }
                if let Some(free) = free {
                    self.buffers.let_go();
                    free.await;
                }
            }
            self.meter.listen();
            let idle = self.idle;
            match timeout(idle, self.fill()).await {
                Err(_) => return Err(Disconnect::Silent(idle)),
                Ok(Err(error)) => return Err(Disconnect::Broken(error)),
                Ok(Ok(0)) if self.buffer.is_empty() => return Ok(Stopped::PeerClosed),
                Ok(Ok(0)) => return Err(Disconnect::Broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(Ok(got)) => self.meter.hear(got),
            }
        }
    }

    /// Reads what is there, up to [`READ`], and waits only for the first byte. 0 at the end of the stream.
    async fn fill(&mut self) -> io::Result<usize> {
        let missing = missing(&self.buffer);
        if self.buffer.is_empty() {
            let room = if self.quiet < QUIET { 2 * READ } else { LITTLE };
            if self.buffer.capacity() > room {
                self.buffer = BytesMut::with_capacity(room);
            }
            // From the front again, if nobody holds what was in it any more: that memory is still in the processor's cache.
            let _ = self.buffer.try_reclaim(room);
        }
        let mut got = 0;
        poll_fn(|cx| {
            while got < READ {
                if self.buffer.capacity() - self.buffer.len() < ROOM {
                    self.buffer = self.buffers.next(mem::take(&mut self.buffer), missing.max(ROOM));
                }
                match pin!(self.half.read_buf(&mut self.buffer)).poll(cx) {
                    Poll::Ready(Ok(0)) => break,
                    Poll::Ready(Ok(n)) => got += n,
                    Poll::Ready(Err(error)) if got == 0 => return Poll::Ready(Err(error)),
                    // It will come again with the next read.
                    Poll::Ready(Err(_)) => break,
                    Poll::Pending if got == 0 => return Poll::Pending,
                    Poll::Pending => break,
                }
            }
            if got < ROOM {
                self.buffers.quiet();
                self.quiet += 1;
            } else {
                self.quiet = 0;
            }
            Poll::Ready(Ok(got))
        })
        .await
    }

    /// Reads and throws away until the peer has closed: data that is left unread when a socket is closed would make
    /// the kernel reset the connection, and our last frames could be lost with it.
    async fn discard(&mut self) {
        loop {
            self.buffer.clear();
            match self.fill().await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}

struct Writer<S> {
    half: WriteHalf<S>,
    outgoing: mpsc::Receiver<Bytes>,
    waiting: Waiting,
    beat: Bytes,
    /// What is said when the [`Prompt`](crate::prompt::Prompt) asks for it.
    besides: Bytes,
    every: Option<Duration>,
    stall: Option<Duration>,
    meter: Meter,
}

impl<S: AsyncRead + AsyncWrite> Writer<S> {
    /// May be dropped at any await and run again: what is not written yet stays in `waiting`.
    async fn run(&mut self) -> Result<Stopped, Disconnect> {
        loop {
            if !self.waiting.has_remaining() {
                self.flush().await?;
                match self.next().await {
                    Some(frames) => self.waiting.push(frames),
                    None => {
                        self.half.shutdown().await.map_err(Disconnect::Broken)?;
                        return Ok(Stopped::OutboxDropped);
                    }
                }
            }
            while self.waiting.has_room()
                && let Ok(frames) = self.outgoing.try_recv()
            {
                self.waiting.push(frames);
            }
            if self.meter.prompt().take() {
                self.waiting.push(self.besides.clone());
            }
            if !self.waiting.has_remaining() {
                continue;
            }
            let written = within(self.stall, self.half.write_buf(&mut self.waiting)).await?;
            if written == 0 {
                return Err(Disconnect::Broken(io::ErrorKind::WriteZero.into()));
            }
            self.meter.add_sent(written);
        }
    }

    /// Tells the peer how it broke the framing, after what is begun, and closes.
    async fn tell(&mut self, error: &codec::Error) -> Result<(), Disconnect> {
        let refusal = Refusal::Protocol { reason: error.to_string() };
        self.waiting.push(frame(&ToSender::Bye { refusal }));
        while self.waiting.has_remaining() {
            self.half.write_buf(&mut self.waiting).await.map_err(Disconnect::Broken)?;
        }
        self.half.shutdown().await.map_err(Disconnect::Broken)
    }

    /// The next frames, none when something is to be said besides, or a sign of life when there are none for long; `None`
    /// when the outbox is dropped.
    async fn next(&mut self) -> Option<Bytes> {
        let (outgoing, prompt) = (&mut self.outgoing, self.meter.prompt());
        let next = async {
            tokio::select! {
                biased;
                frames = outgoing.recv() => frames,
                () = prompt.raised() => Some(Bytes::new()),
            }
        };
        let Some(every) = self.every else { return next.await };
        timeout(every, next).await.unwrap_or_else(|_| Some(self.beat.clone()))
    }

    async fn flush(&mut self) -> Result<(), Disconnect> {
        within(self.stall, self.half.flush()).await
    }
}

/// Bytes of the first frame that are not there yet; 0 while its length is not known. Its length has been checked.
fn missing(buffer: &[u8]) -> usize {
    let Some(head) = buffer.first_chunk::<LENGTH>() else { return 0 };
    let whole = LENGTH + FRAME.min(u32::from_le_bytes(*head) as usize);
    whole.saturating_sub(buffer.len())
}

fn frame(message: &impl codec::Wire) -> Bytes {
    let mut buffer = BytesMut::new();
    codec::put(message, &mut buffer);
    buffer.freeze()
}

/// Bounds one step of writing.
async fn within<T>(limit: Option<Duration>, step: impl Future<Output = io::Result<T>>) -> Result<T, Disconnect> {
    match limit {
        None => step.await.map_err(Disconnect::Broken),
        Some(limit) => match timeout(limit, step).await {
            Ok(done) => done.map_err(Disconnect::Broken),
            Err(_) => Err(Disconnect::Silent(limit)),
        },
    }
}

#[cfg(test)]
mod tests;
