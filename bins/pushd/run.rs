//! `pushd run`: every long-lived thread and task is born here, has a name, and its end is waited for here.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use kit::control::Server;
use kit::units::Moment;
use kit::{Exit, Stop, out};

use crate::config::{Config, Source};
use crate::control::{self, Barrier, Control};
use crate::lane::Lane;
use crate::source::Live;
use crate::status::{self, Owed, SourceStatus, Status, TargetStatus};

/// How long lanes may take to end when the program stops.
const LAST: Duration = Duration::from_secs(5);

/// Mirrors every source to its targets until it is told to stop.
pub fn run(config: Config) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out::complain(format_args!("pushd: cannot start: {error}"));
            return Exit::Busy;
        }
    };
    let exit = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LAST);
    exit
}

async fn serve(config: Config) -> Exit {
    let (stop, server) = match begin(&config) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let daemon = Arc::new(Daemon::new(config));
    let answering = tokio::spawn(control::serve(server, stop.clone(), daemon.clone()));
    let mut lanes = Vec::new();
    let mut watching = Vec::new();
    for live in &daemon.sources {
        for lane in &live.lanes {
            lanes.push(tokio::spawn(lane.clone().run(live.source.clone(), live.roots(), stop.clone())));
        }
        let (live, stop) = (live.clone(), stop.clone());
        let thread = std::thread::Builder::new().name(format!("watch-{}", live.source.name));
        match thread.spawn(move || live.run(&stop)) {
            Ok(thread) => watching.push(thread),
            Err(error) => {
                out::complain(format_args!("pushd: cannot start a thread: {error}"));
                return Exit::Busy;
            }
        }
    }
    kit::notify::ready("watching");
    stop.requested().await;
    kit::notify::stopping();
    for live in &daemon.sources {
        live.wake();
    }
    for task in lanes.into_iter().chain([answering]) {
        // What a lane still owed when its time is over is found by the next start's comparison.
        if tokio::time::timeout(LAST, task).await.is_err() {
            tracing::warn!("a target takes too long to end, leaving it");
        }
    }
    for thread in watching {
        if thread.join().is_err() {
            tracing::error!("a watcher had failed");
        }
    }
    Exit::Ok
}

fn begin(config: &Config) -> Result<(Stop, Server), Exit> {
    let complain = |what: &dyn std::fmt::Display, exit| {
        out::complain(format_args!("pushd: {what}"));
        exit
    };
    sys::process::hide_memory().map_err(|error| complain(&error, Exit::Busy))?;
    let stop = Stop::on_signals().map_err(|error| complain(&error, Exit::Busy))?;
    let server = Server::bind(&config.control_socket).map_err(|error| complain(&error, Exit::Output))?;
    Ok((stop, server))
}

/// What the control socket asks.
struct Daemon {
    started: Instant,
    sources: Vec<Arc<Live>>,
}

impl Daemon {
    fn new(config: Config) -> Daemon {
        let sources = config.sources.into_iter().map(|source| Arc::new(Live::new(Arc::new(source)))).collect();
        Daemon { started: Instant::now(), sources }
    }

    fn select(&self, name: Option<&str>) -> Result<Vec<&Arc<Live>>, String> {
        let chosen: Vec<_> =
            self.sources.iter().filter(|live| name.is_none_or(|name| live.source.name == name)).collect();
        match name {
            Some(name) if chosen.is_empty() => Err(format!("there is no source `{name}`")),
            _ => Ok(chosen),
        }
    }
}

impl Control for Daemon {
    fn status(&self) -> Status {
        let sources: Vec<SourceStatus> = self.sources.iter().map(|live| source_status(live)).collect();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            watches: sources.iter().map(|source| source.watches).sum(),
            watch_limit: sys::notify::watch_limit(),
            sources,
        }
    }

    fn release(&self, source: Option<&str>) -> Result<String, String> {
        let released: Vec<&str> = self
            .select(source)?
            .into_iter()
            .filter(|live| live.release())
            .map(|live| live.source.name.as_str())
            .collect();
        Ok(match released.as_slice() {
            [] => "nothing was halted".into(),
            names => format!("released: {}", names.join(", ")),
        })
    }

    fn resync(&self, source: Option<&str>) -> Result<String, String> {
        let chosen = self.select(source)?;
        chosen.iter().for_each(|live| live.resync());
        Ok(format!(
            "comparing {} in full",
            chosen.iter().map(|live| live.source.name.as_str()).collect::<Vec<_>>().join(", ")
        ))
    }

    fn barrier(&self) -> Box<dyn Barrier> {
        let asked = self.sources.iter().map(|live| (live.clone(), live.ask_barrier())).collect();
        Box::new(AllSeen { asked, seen_at: None })
    }
}

/// First every watcher has read what there was, then every target has acknowledged what came of it.
struct AllSeen {
    asked: Vec<(Arc<Live>, u64)>,
    seen_at: Option<Instant>,
}

impl Barrier for AllSeen {
    fn is_reached(&mut self) -> bool {
        if self.seen_at.is_none() && self.asked.iter().all(|(live, number)| live.has_passed(*number)) {
            self.seen_at = Some(Instant::now());
        }
        let Some(seen_at) = self.seen_at else { return false };
        let mut lanes = self.asked.iter().flat_map(|(live, _)| &live.lanes);
        lanes.all(|lane| lane.mirror.halted().is_none() && lane.mirror.pending().oldest().is_none_or(|at| at > seen_at))
    }
}

fn source_status(live: &Live) -> SourceStatus {
    let board = live.board();
    SourceStatus {
        name: live.source.name.clone(),
        path: live.source.path.display().to_string(),
        state: board.state,
        reason: board.reason,
        watches: board.watches,
        overflows: board.overflows,
        targets: live.lanes.iter().map(|lane| target_status(lane)).collect(),
    }
}

fn target_status(lane: &Lane) -> TargetStatus {
    let (state, since) = lane.state();
    let mirror = &lane.mirror;
    let (paths, in_sync_at) = {
        let pending = mirror.pending();
        (pending.len() as u64, pending.in_sync_at())
    };
    let problems = mirror.problems();
    TargetStatus {
        name: lane.target.name.clone(),
        address: lane.target.address.to_string(),
        module: lane.target.destination.to_string(),
        state,
        since,
        owed: Owed { paths, bytes: mirror.sent.owed_bytes() },
        lag_ms: u64::try_from(mirror.lag().as_millis()).unwrap_or(u64::MAX),
        last_in_sync: in_sync_at.map(|at| if paths == 0 { Moment(SystemTime::now()) } else { Moment(at) }),
        sent: mirror.sent.totals().into(),
        problems: status::problems(problems.iter()),
        problems_total: problems.len(),
        last_error: mirror.last_error(),
    }
}

/// A source's rules and options as the engine wants them.
impl Source {
    /// When hints are due.
    pub fn rules(&self) -> engine::pending::Rules {
        engine::pending::Rules {
            settle: self.settle,
            open_settle: self.open_files.settle,
            open_max_delay: self.open_files.max_delay,
        }
    }

    /// How it is mirrored.
    pub fn options(&self) -> engine::sender::Options {
        use engine::sender::MaxDelete;
        engine::sender::Options {
            delete: self.delete == crate::config::Delete::Mirror,
            attributes: self.attributes == crate::config::Attributes::Mirror,
            max_delete: match self.max_delete {
                kit::config::Share::Percent(percent) => MaxDelete::Percent(percent.into()),
                kit::config::Share::Count(count) => MaxDelete::Entries(count),
            },
            workers: self.workers,
        }
    }
}
