//! The door: takes connections, each with a place among those that are not logged in, or closes them at once. Knows
//! nothing of TLS; what becomes of a connection is in [`serve`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::stop::Stop;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, warn};

use crate::handshakes::Full;
use crate::serve::{self, Service};
use crate::source::Source;

/// Pause after an accept that failed because this process or host has too much open.
const PAUSE: Duration = Duration::from_millis(100);
/// How long sessions may take to end when recvd stops.
pub const FAREWELL: Duration = Duration::from_secs(5);

/// One bound address.
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

/// Binds every address, or none.
pub async fn bind(addresses: &[SocketAddr]) -> Result<Vec<Listener>, (SocketAddr, io::Error)> {
    let mut listeners = Vec::new();
    for address in addresses {
        let tcp = TcpListener::bind(address).await.map_err(|error| (*address, error))?;
        // With port 0 the kernel has chosen one.
        let address = tcp.local_addr().unwrap_or(*address);
        listeners.push(Listener { tcp, address });
    }
    Ok(listeners)
}

impl Listener {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until recvd stops, then waits for the sessions that came from here.
    pub async fn run(self, service: Arc<Service>, stop: Stop) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.requested() => break,
                accepted = self.tcp.accept() => match accepted {
                    Ok((tcp, peer)) => admit(&service, tcp, peer, &stop, &mut connections).await,
                    Err(error) => recover(&error).await,
                },
                Some(ended) = connections.join_next() => report(ended),
            }
        }
        drop(self.tcp);
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        };
        if timeout(FAREWELL, all_ended).await.is_err() {
            warn!("{} connections did not end in {} s and are cut", connections.len(), FAREWELL.as_secs());
        }
    }
}

/// A place before the first byte is read; without one the connection is closed by being dropped.
async fn admit(service: &Arc<Service>, tcp: TcpStream, peer: SocketAddr, stop: &Stop, connections: &mut JoinSet<()>) {
    let source = Source::from(peer.ip());
    if service.penalties.holds(source, Instant::now()) {
        service.tally.bounded(|held| debug!("{peer}: not listened to after failed logins{held}"));
        return;
    }
    loop {
        match service.handshakes.take(source, Instant::now()) {
            Ok(place) => {
                connections.spawn(serve::serve(service.clone(), tcp, peer, place, stop.clone()));
                return;
            }
            // Those who come meanwhile wait in the kernel, in the order in which they came.
            Err(Full::For(time)) => sleep(time).await,
            Err(Full::ForLong) => {
                service.tally.bounded(|held| warn!("{peer}: closed, all places before the login are taken{held}"));
                return;
            }
        }
    }
}

/// An accept that failed: what concerns only that one peer is nothing, all else gets a pause, so that the loop cannot spin.
async fn recover(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        warn!("cannot take a connection: {error}; trying again");
        sleep(PAUSE).await;
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!("a connection ended by a mistake in recvd: {error}");
    }
}
