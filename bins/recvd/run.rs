//! `recvd run`: everything that lives, born here and ended here.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use kit::control::Server;
use kit::readiness::Again;
use kit::stop::Stop;
use kit::{Exit, out, readiness, units};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::auth::Auth;
use crate::config::{self, Config};
use crate::control;
use crate::disks;
use crate::handshakes::Handshakes;
use crate::listen::{self, Listener};
use crate::modules::Modules;
use crate::outcome::Tally;
use crate::penalties::Penalties;
use crate::serve::Service;
use crate::sessions::{SILENCE, Sessions};
use crate::sources::Sources;
use crate::state;

/// Runs until SIGTERM or SIGINT. Exit 0 then; 78 when the configuration is wrong or an address can never be bound, 75
/// when an address is taken or not there yet.
pub fn run(path: &Path) -> Exit {
    let files = kit::limits::raise_open_files();
    let config = match config::load(path) {
        Ok((config, warnings)) => {
            warnings.iter().for_each(|warning| warn!("{warning}"));
            config
        }
        Err(complaints) => {
            out::complain(complaints);
            return Exit::Config;
        }
    };
    if let Err(error) = sys::process::hide_memory() {
        warn!("other processes of this user could read passwords in memory: {error}");
    }
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!("cannot start: {error}");
            return Exit::Busy;
        }
    };
    let exit = runtime.block_on(serve(config, files));
    // What has not ended by now is stuck in the disk; nothing that it has in hand was acknowledged.
    runtime.shutdown_background();
    exit
}

async fn serve(config: Config, files: u64) -> Exit {
    let listeners = match listen::bind(&config.listen).await {
        Ok(listeners) => listeners,
        Err((address, error)) => return not_bound(address, &error),
    };
    let stop = match Stop::on_signals() {
        Ok(stop) => stop,
        Err(error) => {
            error!("cannot listen to signals: {error}");
            return Exit::Busy;
        }
    };
    let control = match Server::bind(&config.control_socket) {
        Ok(control) => control,
        Err(error) => {
            error!("{error}");
            return Exit::Output;
        }
    };
    if let Err(sentence) = state::prepare(&config.state_dir) {
        warn!("{sentence}");
    }
    // After binding: a second recvd that was started by mistake must not sweep away what the first one is working on.
    settle_in(&config.modules);
    let service = Arc::new(service(config, files));
    let listening = begin(listeners, &service, &stop);
    let mut tending = tend(&service.modules, &stop);
    tending.spawn(control::serve(control, stop.clone(), service.clone()));
    tending.spawn(service.sources.clone().tend(stop.clone()));
    readiness::ready("serving");
    tokio::select! {
        never = readiness::keep_status(|| (headline(&service), Again::OnChange)) => match never {},
        () = stop.requested() => {}
    }
    readiness::stopping();
    end(listening).await;
    end(tending).await;
    info!("stopped: {}", service.tally);
    Exit::Ok
}

/// Clears away what sessions of an earlier recvd, killed or cut off from power, have left in the modules, and finds out what
/// their disks can hold.
fn settle_in(modules: &Modules) {
    for module in modules.iter() {
        // A folder that cannot be opened is told of by its `Root`.
        if let Ok(tree) = module.root.open() {
            module.root.sweep(&tree);
            module.root.learn(&tree);
        }
    }
}

fn service(config: Config, files: u64) -> Service {
    Service {
        tls: config.tls,
        auth: Auth::new(config.users),
        modules: config.modules,
        sources: Arc::new(Sources::load(Some(&config.state_dir))),
        sessions: Sessions::new(config.max_connections, SILENCE, config.state_dir),
        handshakes: Handshakes::new(config.max_handshakes, files),
        penalties: Penalties::default(),
        tally: Tally::new(),
        durability: config.durability,
        handshake_timeout: config.handshake_timeout,
        idle_timeout: config.idle_timeout,
    }
}

fn begin(listeners: Vec<Listener>, service: &Arc<Service>, stop: &Stop) -> JoinSet<()> {
    let mut listening = JoinSet::new();
    for listener in listeners {
        info!("listening on {}", listener.address());
        listening.spawn(listener.run(service.clone(), stop.clone()));
    }
    listening
}

/// The whole daemon in one line.
fn headline(service: &Service) -> String {
    let (sessions, busy) = service.sessions.count();
    let modules = units::counted(service.modules.iter().count() as u64, "module", "modules");
    match sessions {
        0 => format!("no session, {modules}"),
        _ => format!("{} in {busy} of {modules}", units::counted(sessions as u64, "session", "sessions")),
    }
}

/// Watches the disk of each module.
fn tend(modules: &Modules, stop: &Stop) -> JoinSet<()> {
    let mut tending = JoinSet::new();
    for module in modules.iter() {
        tending.spawn(disks::tend(module.clone(), stop.clone()));
    }
    tending
}

async fn end(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            error!("a task ended by a mistake in recvd: {error}");
        }
    }
}

fn not_bound(address: SocketAddr, error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            error!(
                "cannot listen on {address}: the address is taken; does another recvd run, or does listen name it twice \
                 (\"[::]\" includes \"0.0.0.0\")?"
            );
            Exit::Busy
        }
        // The network may still be coming up: the unit starts us again, which it would not after exit 78.
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::NetworkDown => {
            error!("cannot listen on {address}: {error}; is it an address of this host, and is the network up?");
            Exit::Busy
        }
        _ => {
            error!("cannot listen on {address}: {error}");
            if sys::process::lacks_resources(error) { Exit::Busy } else { Exit::Config }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again() {
        let exit = |kind: io::ErrorKind| not_bound(([127, 0, 0, 1], 1).into(), &kind.into());
        assert_eq!(exit(io::ErrorKind::AddrInUse), Exit::Busy);
        assert_eq!(exit(io::ErrorKind::AddrNotAvailable), Exit::Busy);
        assert_eq!(exit(io::ErrorKind::PermissionDenied), Exit::Config);
        // EMFILE
        assert_eq!(not_bound(([127, 0, 0, 1], 1).into(), &io::Error::from_raw_os_error(24)), Exit::Busy);
    }
}
