//! The door: takes connections, each to be known among those that are not logged in, or closes them at once. Knows
//! nothing of TLS; what becomes of a connection is in [`serve`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::stop::Stop;
use kit::units;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use crate::network::Network;
use crate::serve::{self, Service};

/// Pause after an accept that failed because this process or host has too much open.
const PAUSE: Duration = Duration::from_millis(100);
/// How long sessions may take to end when recvd stops.
pub const FAREWELL: Duration = Duration::from_secs(5);

/// A socket that is bound and listens already.
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
    /// With the port that the kernel chose, where 0 was asked for.
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
                    Ok((tcp, peer)) => admit(&service, tcp, peer, &stop, &mut connections),
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
            let cut = units::counted(connections.len() as u64, "connection is", "connections are");
            warn!("{cut} cut: no end in {} s", FAREWELL.as_secs());
        }
    }
}

/// Makes a peer known before its first byte is read; one for whom there is no room is closed by being dropped.
fn admit(service: &Arc<Service>, tcp: TcpStream, peer: SocketAddr, stop: &Stop, connections: &mut JoinSet<()>) {
    let (network, now) = (Network::from(peer.ip()), Instant::now());
    if service.penalties.holds(network, now) {
        return service.tally.unheard(peer);
    }
    match service.handshakes.arrive(network, now) {
        Some(caller) => {
            connections.spawn(serve::serve(service.clone(), tcp, peer, caller, stop.clone()));
        }
        None => service.tally.bounded(|held| warn!("{peer}: closed, too many wait for their login{held}")),
    }
}

/// After an accept that failed. What concerns only that one peer is ignored; all else gets a pause, so that the loop cannot
/// spin.
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
