//! One connection, from its first byte to its end. [`serve`] is the whole security story, top to bottom: each step
//! consumes what the one before it made, and nobody comes to a folder without a `Permit`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::clock::Clock;
use engine::receiver::{EndReason, Grant, Receiver, Said, Tale};
use engine::workers::Workers;
use kit::stop::Stop;
use link::accept::{Candidate, Failed, Requester, client_hello};
use link::{Connection, Deliver, Disconnect, Drive, ServerTls};
use proto::Version;
use proto::extensions::Extensions;
use proto::login::{Durability, Hello, Open, Opened, Refusal, Terms};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{interval_at, timeout};
use tracing::warn;

use crate::auth::{Auth, Identity};
use crate::handshakes::{Caller, Handshakes, Phase};
use crate::modules::{Modules, Permit, Unpermitted};
use crate::network::Network;
use crate::outcome::{Outcome, Report, Severity, Tally};
use crate::penalties::Penalties;
use crate::sessions::{Claim, Lease, Sessions};
use crate::sources::{Key, Sources};

const SOFTWARE: &str = concat!("recvd ", env!("CARGO_PKG_VERSION"));
/// How long a peer may take to name its module after its login.
const MODULE: Duration = Duration::from_secs(5);
/// When nothing was sent to a peer for this long, it gets a sign of life.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How often it is written down that a session goes on.
const LIVING: Duration = Duration::from_secs(600);
/// Threads beside a session's own that list folders, write small files and copy.
const POOL: usize = 2;
/// Buffers from the peer that wait for the receiver: half a MiB each where much is coming.
const INBOX: usize = 2;
/// Buffers to the peer that wait for it: a quarter of a MiB each where it asks for much.
const OUTBOX: usize = 2;

/// What all connections share.
pub struct Service {
    pub tls: ServerTls,
    pub auth: Auth,
    pub modules: Modules,
    pub sessions: Sessions,
    pub sources: Arc<Sources>,
    pub handshakes: Handshakes,
    pub penalties: Penalties,
    pub tally: Tally,
    pub durability: Durability,
    pub handshake_timeout: Duration,
    pub idle_timeout: Duration,
}

/// Serves one connection and records its outcome. What waits for its turn is small: all that follows is in a box.
pub async fn serve(service: Arc<Service>, tcp: TcpStream, peer: SocketAddr, caller: Caller, stop: Stop) {
    let called = tokio::select! {
        called = wait_for_turn(&service, &tcp, peer, &caller) => called,
        () = caller.sent_away() => Err(Outcome::Dropped),
        () = stop.requested() => Err(Outcome::Dropped),
    };
    let outcome = match called {
        Ok(()) => Box::pin(attend(&service, tcp, peer, caller, &stop)).await,
        Err(outcome) => outcome,
    };
    service.tally.record(peer, outcome);
}

/// Waits until the peer has said something, and then for its turn: silent peers stand in nobody's way.
async fn wait_for_turn(service: &Service, tcp: &TcpStream, peer: SocketAddr, caller: &Caller) -> Result<(), Outcome> {
    const STEP: &str = "the TLS greeting";
    let gone = |error: io::Error| Outcome::Failed(Failed::Gone { step: STEP, error });
    match timeout(service.handshake_timeout, tcp.peek(&mut [0])).await {
        Ok(Ok(0)) => return Err(gone(io::ErrorKind::UnexpectedEof.into())),
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(gone(error)),
        Err(_) => return Err(Outcome::Failed(Failed::Late(STEP))),
    }
    caller.turn().await;
    // Others of its network may have failed meanwhile.
    if service.penalties.holds(Network::from(peer.ip()), Instant::now()) { Err(Outcome::Unheard) } else { Ok(()) }
}

/// From the place to the end of the session.
async fn attend(service: &Service, tcp: TcpStream, peer: SocketAddr, caller: Caller, stop: &Stop) -> Outcome {
    let began = Instant::now();
    let entered = tokio::select! {
        entered = enter(service, tcp, peer, &caller) => entered,
        () = caller.sent_away() => Err(Outcome::Dropped),
        () = stop.requested() => Err(Outcome::Dropped),
    };
    drop(caller);
    match entered {
        Ok(entered) => entered.run(service, peer, began, stop).await,
        Err(outcome) => outcome,
    }
}

/// A peer that may have its session, and is told so.
struct Entered {
    identity: Identity,
    hello: Hello,
    open: Open,
    permit: Permit,
    connection: Connection,
    /// The last to be dropped: others may have the folder when everything else has ended.
    lease: Lease,
}

/// TLS → Hello → Login → identity → Open → permit → lease → Opened, Policy.
async fn enter(service: &Service, tcp: TcpStream, peer: SocketAddr, caller: &Caller) -> Result<Entered, Outcome> {
    let deadline = tokio::time::Instant::now() + service.handshake_timeout;
    let arrived = client_hello(tcp, deadline).await.map_err(Outcome::Failed)?;
    caller.reached(Phase::Greeted);
    let secured = arrived.secure(&service.tls, deadline).await.map_err(Outcome::Failed)?;
    caller.reached(Phase::Secure);
    let (hello, login, candidate) = secured.login(SOFTWARE, deadline).await.map_err(Outcome::Failed)?;
    caller.reached(Phase::Named);

    let user = login.user.clone();
    let identity = match service.auth.identify(login).await {
        Ok(identity) => identity,
        Err(refusal) => return Err(turn_away(service, candidate, peer, user, refusal).await),
    };
    let deadline = tokio::time::Instant::now() + MODULE;
    let (open, requester) = candidate.accept(deadline).await.map_err(Outcome::Failed)?;
    let permit = match service.modules.permit(&identity, &open).await {
        Ok(permit) => permit,
        Err(Unpermitted::Refused(refusal)) => return Err(refuse(requester, user, refusal).await),
        Err(Unpermitted::Down(refusal)) => {
            requester.refuse(refusal).await;
            return Err(Outcome::Unserved { user, module: open.module });
        }
    };
    let lease = match service.sessions.open(claim(service, &identity, &open, &permit, peer)).await {
        Ok(lease) => lease,
        Err(refusal) => return Err(refuse(requester, user, refusal).await),
    };
    let opened = Opened {
        terms: Some(Terms { keep: permit.keep(), durability: service.durability }),
        continued: lease.continued(),
        epoch: lease.epoch(),
        token: lease.token(),
        place: permit.digests(),
        extensions: Extensions::default(),
    };
    let deadline = tokio::time::Instant::now() + MODULE;
    let connection = requester.grant(&opened, permit.policy(), deadline).await.map_err(Outcome::Failed)?;
    Ok(Entered { identity, hello, open, permit, connection, lease })
}

/// A login that failed: the peer is told, and its network pays for it.
async fn turn_away(
    service: &Service,
    candidate: Candidate,
    peer: SocketAddr,
    user: String,
    refusal: Refusal,
) -> Outcome {
    if refusal == Refusal::Denied {
        let network = Network::from(peer.ip());
        if let Some(length) = service.penalties.failed(network, Instant::now()) {
            warn!("{network}: too many failed logins, not listened to for {} s", length.as_secs());
        }
    }
    candidate.refuse(refusal.clone()).await;
    Outcome::Refused { user, refusal }
}

async fn refuse(requester: Requester, user: String, refusal: Refusal) -> Outcome {
    requester.refuse(refusal.clone()).await;
    Outcome::Refused { user, refusal }
}

fn claim(service: &Service, identity: &Identity, open: &Open, permit: &Permit, peer: SocketAddr) -> Claim {
    Claim {
        module: open.module.clone(),
        root: permit.module().root.clone(),
        folder: open.folder.clone(),
        user: identity.name().to_owned(),
        sender: open.sender,
        token: open.token,
        from: peer.ip().to_canonical(),
        most: permit.module().max_connections,
        standing: permit.standing(),
        boot: service.sessions.boot(),
        disk: permit.disk(),
        is_fleeting: service.durability == Durability::None,
    }
}

impl Entered {
    /// The data phase. Whoever sends nothing (a `pushd check`) has no folder made and no other session ended for it.
    async fn run(self, service: &Service, peer: SocketAddr, began: Instant, stop: &Stop) -> Outcome {
        let Entered { identity, hello, open, permit, mut connection, lease } = self;
        let key = Key {
            user: identity.name().to_owned(),
            module: open.module.clone(),
            folder: open.folder.clone(),
            sender: open.sender,
        };
        let source = (key, peer.ip().to_canonical());
        let place = if open.folder.is_root() { open.module } else { format!("{}/{}", open.module, open.folder) };
        let mut report = Report {
            user: identity.name().to_owned(),
            place,
            software: hello.software,
            lasted: Duration::ZERO,
            files: 0,
            removed: 0,
            problems: 0,
            tale: Tale::default(),
            received: 0,
            end: String::new(),
            severity: Severity::Info,
        };
        let meter = connection.meter();
        let first = tokio::select! {
            first = connection.first_data(service.idle_timeout) => first,
            () = stop.requested() => Ok(true),
        };
        (report.end, report.severity) = match first {
            Ok(false) => ("closed by the peer, which sent nothing".into(), Severity::Info),
            Err(error) => (format!("the connection broke: {error}"), Severity::Info),
            Ok(true) => match begin(&lease, permit, (service.durability, connection.version()), stop).await {
                Err(refusal) => {
                    connection.dismiss(refusal.clone()).await;
                    let Report { user, place, .. } = report;
                    return Outcome::SentAway { user, place, refusal };
                }
                Ok(grant) => {
                    service.tally.begins(peer, &report.user, &report.place);
                    receive(grant, connection, &lease, service, stop, &mut report, source).await
                }
            },
        };
        report.received = meter.received();
        report.lasted = began.elapsed();
        lease.end().await;
        Outcome::Session(Box::new(report))
    }
}

/// The folder for this session alone.
async fn begin(
    lease: &Lease,
    permit: Permit,
    (durability, version): (Durability, Version),
    stop: &Stop,
) -> Result<Grant, Refusal> {
    if stop.is_requested() {
        return Err(Refusal::Stopping);
    }
    lease.begin().await?;
    // The disk may be slow, or asleep.
    let prepared = tokio::task::spawn_blocking(move || permit.grant(durability, version)).await;
    let grant = prepared.unwrap_or_else(|_| {
        Err(Refusal::Busy { reason: "recvd has made a mistake; see its log".into(), retry: Duration::from_secs(30) })
    })?;
    lease.writes_to(grant.replica.folder_id().ok())?;
    Ok(grant)
}

/// Runs the role on a thread of its own, and the wire here, until both have ended.
async fn receive(
    grant: Grant,
    connection: Connection,
    lease: &Lease,
    service: &Service,
    stop: &Stop,
    report: &mut Report,
    (key, from): (Key, IpAddr),
) -> (String, Severity) {
    let receiver = Receiver::new(grant, Clock::system(), Workers::Threads(POOL));
    let (counters, mut said, lending) = (receiver.counters(), receiver.said(), receiver.lending());
    let _heard = service.sources.begins(key, from, Arc::clone(&counters));
    let (to_role, inbox) = mpsc::channel(INBOX);
    let (outbox, from_role) = mpsc::channel(OUTBOX);
    let (end_role, role_stop) = watch::channel(None);
    let (tell, role_ended) = oneshot::channel();
    let thread = std::thread::Builder::new().name("receiver".into());
    let spawned = thread.spawn(move || {
        // Nobody listens when recvd is stopping already.
        let _ = tell.send(receiver.run(inbox, outbox, role_stop));
    });
    if let Err(error) = spawned {
        return (format!("cannot start a thread: {error}"), Severity::Warning);
    }
    let clocks = Drive { idle: service.idle_timeout, keepalive: Some(KEEPALIVE) };
    match connection.line() {
        Ok(line) => lease.watched(line),
        // Out of descriptors. Newcomers then take its peer to be alive.
        Err(error) => warn!("a session cannot be watched: {error}"),
    }
    let deliver = Deliver::Receiver(to_role, Box::new(move |frames| lending.lend(frames)));
    let mut driving = std::pin::pin!(link::drive(connection, from_role, deliver, clocks));
    let mut living = interval_at(tokio::time::Instant::now() + LIVING, LIVING);
    let link_ended = loop {
        tokio::select! {
            ended = &mut driving => break ended,
            why = asked_to_end(lease, stop) => {
                end_role.send_replace(Some(why));
                break driving.await;
            }
            Ok(()) = said.changed() => hear(lease, *said.borrow_and_update()),
            _ = living.tick() => lease.lives(),
        }
    };
    lease.unwatched();
    let role_ended = role_ended.await.unwrap_or_else(|_| EndReason::Fault("its thread has panicked".into()));
    // A peer's last word may have stood before the end of its connection.
    hear(lease, *said.borrow());
    (report.files, report.removed, report.problems) = (counters.files(), counters.removed(), counters.problems());
    report.tale = counters.told.tale();
    judge(&link_ended, role_ended)
}

/// What the peer says of its lease.
fn hear(lease: &Lease, said: Said) {
    if said.returned {
        lease.returned();
    }
    if said.noted {
        lease.noted();
    }
}

/// Returns when the session is to end, with what its peer is to hear.
async fn asked_to_end(lease: &Lease, stop: &Stop) -> Refusal {
    tokio::select! {
        why = lease.asked_to_leave() => why,
        () = stop.requested() => Refusal::Stopping,
    }
}

/// Both ends in one sentence. What broke the session first says the most.
fn judge(link: &Disconnect, role: EndReason) -> (String, Severity) {
    match (link, role) {
        (_, EndReason::Fault(reason) | EndReason::Uprooted(reason)) => (reason, Severity::Warning),
        (_, EndReason::Violation(reason)) => (format!("the peer broke the protocol: {reason}"), Severity::Warning),
        (Disconnect::Violation(_), _) => (link.to_string(), Severity::Warning),
        (_, EndReason::Stopped(Refusal::Busy { reason, .. })) => (format!("ended from here: {reason}"), Severity::Info),
        (_, EndReason::Stopped(why)) => (format!("ended from here: {why}"), Severity::Info),
        (link, EndReason::Closed) => (link.to_string(), Severity::Info),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_broke_it_is_named() {
        let (end, severity) = judge(&Disconnect::ByUs, EndReason::Violation("no such blob".into()));
        assert_eq!((end.as_str(), severity), ("the peer broke the protocol: no such blob", Severity::Warning));
        let (end, severity) = judge(&Disconnect::ByPeer, EndReason::Closed);
        assert_eq!((end.as_str(), severity), ("closed by the peer", Severity::Info));
    }
}
