//! The two ends of a connection as a role sees them: whole frames out, whole frames in. `link` moves the bytes.

use bytes::{Bytes, BytesMut};
use proto::codec::{self, Wire};
use tokio::sync::mpsc;

/// Encoded frames to the peer, several to a buffer; bounded, so a slow peer holds its role back.
pub type Outbox = mpsc::Sender<Bytes>;
/// Frames from the peer, each buffer holding whole frames only; bounded: what the receiver cannot take stays with the
/// sender.
pub type Inbox = mpsc::Receiver<Bytes>;
/// The same for the sending role, which must never hold back receipts: their number is bounded by
/// [`WINDOW`](proto::limits::WINDOW).
pub type Receipts = mpsc::UnboundedReceiver<Bytes>;

/// Buffers that wait in an [`Outbox`].
pub const OUTBOX: usize = 3;
/// Bytes after which a role hands a buffer on.
pub const BUFFER: usize = 512 * 1024;

/// One message as a buffer of its own.
pub(crate) fn frame(message: &impl Wire) -> Bytes {
    let mut bytes = BytesMut::new();
    codec::put(message, &mut bytes);
    bytes.freeze()
}
