//! Sets a connection going beside a sender: of a lane, or of a single pass.

use std::time::Duration;

use engine::channel::{INBOX, OUTBOX};
use engine::sender::Connection;
use link::{Deliver, Drive};
use proto::login::Terms;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::Target;

/// A connection on which nothing was sent for this long says so.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// A receiver that says nothing for this long is gone: two beats and some patience.
pub const SILENCE: Duration = Duration::from_secs(30);

/// Sets a connection going; returns the sender's ends of it.
pub fn drive(
    target: &Target,
    terms: Terms,
    connection: link::Connection,
) -> (Connection, JoinHandle<link::Disconnect>) {
    let version = connection.version();
    let (outbox, outgoing) = mpsc::channel(OUTBOX);
    let (incoming, receipts) = mpsc::channel(INBOX);
    let clocks = Drive { idle: SILENCE, keepalive: Some(KEEPALIVE) };
    let driving = tokio::spawn(link::drive(connection, outgoing, Deliver::Sender(incoming), clocks));
    let Terms { keep, durability } = terms;
    (Connection { outbox, receipts, keep, durability, compress: target.compress, version }, driving)
}
