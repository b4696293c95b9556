//! `pushd run`: every long-lived thread and task is born here, has a name, and its end is waited for here.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use engine::mirror::Mirror;
use kit::control::Server;
use kit::units::Moment;
use kit::{Exit, Stop, out};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::barrier::AllSeen;
use crate::board::Board;
use crate::check::limits;
use crate::config::{Config, Source};
use crate::control::{self, Barrier, Control};
use crate::ending;
use crate::errand::Errands;
use crate::hangs;
use crate::headline::headline;
use crate::identity::Identity;
use crate::lane::Lane;
use crate::report::{self, Brake, Far, Pair};
use crate::source::Live;
use crate::status::{LeftOut, Problem, SourceState, SourceStatus, Status, TargetState, TargetStatus, shown};
use crate::watch::Instances;

/// How long what is left of the runtime may take when all else has ended.
const REST: Duration = Duration::from_millis(500);
/// Ready is said after this time in any case: to watch millions of folders takes longer than a service manager waits.
const READY: Duration = Duration::from_secs(30);

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
    runtime.shutdown_timeout(REST);
    exit
}

async fn serve(config: Config) -> Exit {
    let (stop, server, identity) = match begin(&config) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let daemon = match Daemon::new(config, &identity.into()) {
        Ok(daemon) => Arc::new(daemon),
        Err(error) => {
            out::complain(format_args!("pushd: cannot start: {error}"));
            return Exit::Busy;
        }
    };
    let mut workers = match Workers::start(&daemon, server, &stop) {
        Ok(workers) => workers,
        Err(error) => {
            out::complain(format_args!("pushd: cannot start a thread: {error}"));
            return Exit::Busy;
        }
    };
    tokio::spawn(tell(daemon.clone(), stop.clone()));
    let failed = workers.watch(&stop).await;
    kit::readiness::stopping();
    let exit = match failed {
        None => Exit::Ok,
        Some(name) => {
            tracing::error!("{name} has failed: ending, to be started anew");
            stop.request();
            Exit::Busy
        }
    };
    workers.finish(&daemon).await;
    exit
}

fn begin(config: &Config) -> Result<(Stop, Server, Identity), Exit> {
    let complain = |what: &dyn std::fmt::Display, exit| {
        out::complain(format_args!("pushd: {what}"));
        exit
    };
    sys::process::hide_memory().map_err(|error| complain(&error, Exit::Busy))?;
    let stop = Stop::on_signals().map_err(|error| complain(&error, Exit::Busy))?;
    let server = Server::bind(&config.control_socket).map_err(|error| complain(&error, Exit::Output))?;
    limits::warn_of_open_files(config);
    let identity = Identity::kept(&config.state_dir);
    Ok((stop, server, identity.map_err(|sentence| complain(&sentence, Exit::Output))?))
}

/// Says that the service is up once the first source is watched or is known not to be, and from then on how all goes.
async fn tell(daemon: Arc<Daemon>, stop: Stop) {
    let Some(first) = daemon.sources.first() else { return };
    let mut roots = first.roots();
    let known = roots.wait_for(|footing| !matches!(footing, Err(SourceState::Starting)));
    tokio::select! {
        _ = tokio::time::timeout(READY, known) => kit::readiness::ready("watching"),
        () = stop.requested() => return,
    }
    tokio::select! {
        never = kit::readiness::keep_status(|| headline(&daemon.sources)) => match never {},
        () = stop.requested() => {}
    }
}

/// All that lives as long as the daemon does.
struct Workers {
    tasks: Vec<JoinHandle<()>>,
    threads: Vec<thread::JoinHandle<()>>,
    ended: mpsc::UnboundedReceiver<String>,
}

impl Workers {
    /// Starts a task for each lane and for the control socket, and a thread for each source and each shared inotify.
    fn start(daemon: &Arc<Daemon>, server: Server, stop: &Stop) -> io::Result<Workers> {
        let (told, ended) = mpsc::unbounded_channel();
        let ends = |name: String| Ends { name, told: told.clone() };
        let answering = control::serve(server, stop.clone(), daemon.clone());
        let mut tasks = vec![spawn(ends("the control socket".into()), answering)];
        let mut threads = Vec::new();
        for live in &daemon.sources {
            let source = &live.source.name;
            for lane in &live.lanes {
                let ends = ends(format!("the way from source `{source}` to target `{}`", lane.target.name));
                tasks.push(spawn(ends, lane.clone().run(live.source.clone(), live.roots(), stop.clone())));
            }
            let ends = ends(format!("the watcher of source `{source}`"));
            let thread = thread::Builder::new().name(format!("watch-{source}"));
            let (live, stop) = (live.clone(), stop.clone());
            threads.push(thread.spawn(move || {
                let _ends = ends;
                live.run(&stop);
            })?);
        }
        for (number, hub) in daemon.instances.hubs().iter().enumerate() {
            let ends = ends(format!("the reader of shared inotify {number}"));
            let thread = thread::Builder::new().name(format!("inotify-{number}"));
            let (hub, stop) = (hub.clone(), stop.clone());
            threads.push(thread.spawn(move || {
                let _ends = ends;
                hub.serve(&stop);
            })?);
        }
        let ends = ends("who looks after calls that hang".to_owned());
        let (daemon, stop) = (daemon.clone(), stop.clone());
        threads.push(thread::Builder::new().name("hangs".into()).spawn(move || {
            let _ends = ends;
            hangs::watch(&daemon.sources, &stop);
        })?);
        Ok(Workers { tasks, threads, ended })
    }

    /// Waits until the program is to stop; gives the name of one that ended before that.
    async fn watch(&mut self, stop: &Stop) -> Option<String> {
        let failed = tokio::select! {
            () = stop.requested() => None,
            failed = self.ended.recv() => failed,
        };
        // On a stop all of them end, and one may have ended before the stop is noticed here.
        failed.filter(|_| !stop.is_requested())
    }

    /// Waits for all to end.
    async fn finish(self, daemon: &Daemon) {
        daemon.sources.iter().for_each(|live| live.wake());
        daemon.instances.hubs().iter().for_each(|hub| hub.wake());
        ending::wait(self.tasks, self.threads).await;
    }
}

/// Held by a task or a thread; tells that it has ended, by a panic too.
struct Ends {
    name: String,
    told: mpsc::UnboundedSender<String>,
}

impl Drop for Ends {
    fn drop(&mut self) {
        // At the very end nobody listens any more.
        let _ = self.told.send(std::mem::take(&mut self.name));
    }
}

fn spawn(ends: Ends, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let held = async move |_ends: Ends| work.await;
    tokio::spawn(held(ends))
}

/// What the control socket asks.
struct Daemon {
    started: Instant,
    sources: Vec<Arc<Live>>,
    instances: Instances,
    errands: Errands,
}

impl Daemon {
    fn new(config: Config, identity: &Arc<Identity>) -> io::Result<Daemon> {
        let instances = Instances::of(config.sources.len())?;
        let sources = config.sources.into_iter().enumerate();
        let live = |(number, source)| Arc::new(Live::new(Arc::new(source), identity, instances.supply(number)));
        let sources = sources.map(live).collect();
        Ok(Daemon { started: Instant::now(), sources, instances, errands: Errands::default() })
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
        let lanes = self.sources.iter().flat_map(|live| &live.lanes);
        let mirrors: Vec<&Mirror> = lanes.map(|lane| &*lane.mirror).collect();
        let mut shown = shown::problems(&mirrors).into_iter().zip(shown::left_out(&mirrors));
        let sources: Vec<SourceStatus> = self.sources.iter().map(|live| source_status(live, &mut shown)).collect();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            watches: sources.iter().map(|source| source.watches).sum(),
            watch_limit: sys::inotify::watch_limit(),
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
            [] => "nothing was held or halted".into(),
            names => format!("released: {}", names.join(", ")),
        })
    }

    fn resync(&self, source: Option<&str>) -> Result<String, String> {
        let chosen = self.select(source)?;
        chosen.iter().for_each(|live| live.resync_anew());
        Ok(format!(
            "comparing {} in full",
            chosen.iter().map(|live| live.source.name.as_str()).collect::<Vec<_>>().join(", ")
        ))
    }

    fn sync(&self, pairs: &[Pair], brake: Brake) -> Option<(u64, Vec<bool>)> {
        self.errands.begin(&self.sources, pairs, brake)
    }

    fn syncing(&self, number: u64) -> Option<Far> {
        self.errands.look(number)
    }

    fn barrier(&self, places: &[PathBuf]) -> Result<Box<dyn Barrier>, String> {
        Ok(Box::new(match places {
            [] => AllSeen::everywhere(&self.sources),
            places => AllSeen::at(&self.sources, places)?,
        }))
    }
}

/// What is shown of the entries of one target.
type Shown = (Vec<Problem>, LeftOut);

fn source_status(live: &Live, shown: &mut impl Iterator<Item = Shown>) -> SourceStatus {
    let board = live.board();
    // After the board was read.
    let targets: Vec<TargetStatus> =
        (0..).zip(&live.lanes).zip(shown).map(|((at, lane), shown)| target_status(at, lane, &board, shown)).collect();
    let known = targets.iter().map(|target| target.last_in_sync).min().flatten();
    SourceStatus {
        name: live.source.name.clone(),
        path: live.source.path.display().to_string(),
        state: board.state,
        reason: board.reason,
        watches: board.watches,
        overflows: board.overflows,
        unwatched: board.unwatched,
        compared_at: known.filter(|_| board.unwatched > 0),
        targets,
    }
}

fn target_status(at: usize, lane: &Lane, board: &Board, (problems, left_out): Shown) -> TargetStatus {
    let (state, since) = lane.state();
    let mirror = &lane.mirror;
    let in_sync_at = mirror.pending().in_sync_at(Instant::now());
    TargetStatus {
        name: lane.target.name.clone(),
        address: lane.target.address.to_string(),
        module: lane.target.destination.to_string(),
        state,
        since,
        durability: mirror.target.durability().map(Into::into),
        disk: mirror.target.disk().map(Into::into),
        owed: mirror.owed().into(),
        held: lane.deletions(),
        lag_ms: u64::try_from(mirror.lag().as_millis()).unwrap_or(u64::MAX),
        last_in_sync: in_sync_at.map(|moment| Moment(board.known(at, moment))),
        sent: mirror.sent.totals().into(),
        rate: mirror.progress.rate(),
        progress: Some(report::done(mirror.progress.far()))
            .filter(|done| done.all.files > 0 || state == TargetState::Scanning),
        problems,
        problems_total: mirror.entries.problems().len(),
        left_out,
        last_error: mirror.target.last_error(),
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
            holds: engine::pending::Holds { mass: self.delete_hold, ..engine::pending::Holds::default() },
        }
    }

    /// Which entries of it are mirrored, as far as their paths say. For all that looks at it: what watches, what is owed,
    /// what compares.
    pub fn selection(&self) -> engine::view::Selection {
        engine::view::Selection::default()
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
            busy_files: self.busy_files,
            workers: engine::workers::Workers::Threads(self.workers),
            software: crate::config::SOFTWARE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_ends_because_of_the_stop_has_not_failed() {
        for _ in 0..2000 {
            let stop = Stop::new();
            let (told, ended) = mpsc::unbounded_channel();
            let mut workers = Workers { tasks: Vec::new(), threads: Vec::new(), ended };
            let ends = Ends { name: "a worker".into(), told };
            let worker = stop.clone();
            let thread = thread::spawn(move || {
                worker.wait(Duration::from_secs(10));
                drop(ends);
            });
            let asking = stop.clone();
            let asked = thread::spawn(move || asking.request());
            assert_eq!(workers.watch(&stop).await, None);
            asked.join().unwrap();
            thread.join().unwrap();
        }
    }

    #[tokio::test]
    async fn one_that_fails_is_named_and_a_stop_is_no_failure() {
        let stop = Stop::new();
        let (told, ended) = mpsc::unbounded_channel();
        let mut workers = Workers { tasks: Vec::new(), threads: Vec::new(), ended };
        let ends = |name: &str| Ends { name: name.into(), told: told.clone() };
        let task = spawn(ends("a task"), async { panic!("on purpose") });
        assert_eq!(workers.watch(&stop).await.as_deref(), Some("a task"));
        assert!(task.await.is_err());
        stop.request();
        spawn(ends("another"), async {}).await.unwrap();
        assert_eq!(workers.watch(&stop).await, None);
    }
}
