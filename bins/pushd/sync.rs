//! `pushd sync`: one full pass of each chosen source to each of its targets, without watching. Ends with 0 only when the
//! backup equals the source.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use engine::hint::Hint;
use engine::mirror::{Deletes, Mirror};
use engine::sender::{Ended, Root, Sender, Until};
use kit::progress::{Done, Progress};
use kit::{Exit, apart, out, units};
use proto::RelPath;
use proto::login::{Direction, Refusal};
use serde::Serialize;
use sys::Tree;

use crate::cli::SyncArgs;
use crate::config::{Config, Source, Target};
use crate::lane::{self, Unreached};
use crate::nesting::nesting;
use crate::status::{self, LeftOut, Problem};

/// How often the progress line may change.
const TICK: Duration = Duration::from_millis(200);

/// What became of one target, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    source: String,
    target: String,
    in_sync: bool,
    files: u64,
    bytes: u64,
    wire_bytes: u64,
    deleted: u64,
    compared: u64,
    seconds: f64,
    problems: Vec<Problem>,
    problems_total: u64,
    left_out: LeftOut,
    error: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

#[derive(Serialize)]
struct Reports<'a> {
    targets: &'a [Report],
}

/// Runs the chosen passes side by side and reports.
pub fn sync(config: Config, args: &SyncArgs) -> Exit {
    let chosen = match choose(config, args) {
        Ok(chosen) => chosen,
        Err(sentence) => {
            out::complain(format_args!("pushd: {sentence}"));
            return Exit::Usage;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out::complain(format_args!("pushd: cannot start: {error}"));
            return Exit::Busy;
        }
    };
    let reports = runtime.block_on(all(chosen, args));
    reports.iter().for_each(|report| tell(report, args));
    if args.json {
        match serde_json::to_string(&Reports { targets: &reports }) {
            Ok(json) => out::line(json),
            Err(error) => out::complain(format_args!("pushd: the report cannot be written: {error}")),
        }
    }
    reports.iter().fold(Exit::Ok, |worst, report| worst.worse(report.exit))
}

/// A source and one of its targets.
type Chosen = (Arc<Source>, Arc<Target>);

fn choose(config: Config, args: &SyncArgs) -> Result<Vec<Chosen>, String> {
    let mut chosen = Vec::new();
    let known = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
    for source in config.sources.into_iter().map(Arc::new).filter(|source| known(&args.source, &source.name)) {
        for target in source.targets.iter().filter(|target| known(&args.target, &target.name)) {
            chosen.push((source.clone(), target.clone()));
        }
    }
    if chosen.is_empty() {
        let source = args.source.as_deref().unwrap_or("any source");
        let target = args.target.as_deref().unwrap_or("any target");
        return Err(format!("the configuration has no such pair: {source} to {target}"));
    }
    Ok(chosen)
}

async fn all(chosen: Vec<Chosen>, args: &SyncArgs) -> Vec<Report> {
    let mut passes = Vec::new();
    for (source, target) in chosen {
        let mirror = Arc::new(Mirror::new(source.rules()));
        if args.release {
            mirror.release(Deletes::Once);
        }
        let task = tokio::spawn(pass(source.clone(), target.clone(), mirror.clone()));
        passes.push((source, target, mirror, task));
    }
    let mirrors = passes.iter().map(|(_, _, mirror, _)| mirror.clone()).collect();
    tokio::select! {
        reports = gather(passes) => reports,
        never = draw(mirrors, Progress::new(args.show())) => match never {},
    }
}

type Pass = (Arc<Source>, Arc<Target>, Arc<Mirror>, tokio::task::JoinHandle<Passed>);

async fn gather(passes: Vec<Pass>) -> Vec<Report> {
    let mut reports = Vec::new();
    for (source, target, mirror, task) in passes {
        let done = task.await;
        reports.push(report(&source, &target, &mirror, done));
    }
    reports
}

/// Keeps the progress line true, until it is dropped; then the line is wiped.
async fn draw(mirrors: Vec<Arc<Mirror>>, mut progress: Progress) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(TICK).await;
        let totals = mirrors.iter().map(|mirror| mirror.sent.totals());
        let (files, bytes) = totals.fold((0, 0), |sum, totals| (sum.0 + totals.files, sum.1 + totals.bytes));
        progress.update(Done { files, bytes, total: None });
    }
}

type Passed = (Duration, Result<(), (Exit, String)>);

async fn pass(source: Arc<Source>, target: Arc<Target>, mirror: Arc<Mirror>) -> Passed {
    let began = Instant::now();
    let done = try_pass(&source, &target, mirror).await;
    (began.elapsed(), done)
}

async fn try_pass(source: &Source, target: &Target, mirror: Arc<Mirror>) -> Result<(), (Exit, String)> {
    let root = Tree::open(&source.path, source.mounts).and_then(|tree| Root::new(Arc::new(tree)));
    let root = root.map_err(|error| (Exit::Input, format!("{}: {error}", source.path.display())))?;
    let refused = |error: Unreached| (error.exit(), error.to_string());
    let whom =
        target.dialling(Direction::Push, sys::process::random_u64()).map_err(|e| refused(Unreached::Password(e)))?;
    let (opened, connection) = link::dial(&whom).await.map_err(|error| refused(error.into()))?;
    if let Some(nesting) = nesting(&root.tree, source.mounts, &opened.place) {
        connection.close().await;
        return Err(refused(nesting.into()));
    }
    mirror.hint([Hint::Subtree { path: RelPath::root() }]);
    let mut sender = Sender::new(root, source.options(), mirror);
    let (frames, driving) = lane::drive(target, opened, connection);
    let name = format!("send-{}", target.name);
    let span = tracing::error_span!("send", target_name = %target.name);
    let working = apart(&name, move || span.in_scope(|| sender.run(frames, Until::InSync, &AtomicBool::new(false))));
    let ended = working.await.map_err(|failed| (Exit::Busy, failed.to_string()))?;
    let driven = driving.await;
    match ended {
        Ended::InSync => Ok(()),
        Ended::Lost => {
            Err((Exit::Unreachable, driven.map_or_else(|error| error.to_string(), |ended| ended.to_string())))
        }
        Ended::Violation(_) | Ended::Bye(Refusal::Protocol { .. }) => Err((Exit::Protocol, lane::sentence(&ended))),
        Ended::Halted(halt) => Err((Exit::Busy, format!("halted: {halt}; if that is right, run again with --release"))),
        ended => Err((Exit::Busy, lane::sentence(&ended))),
    }
}

fn report(source: &Source, target: &Target, mirror: &Mirror, done: Result<Passed, tokio::task::JoinError>) -> Report {
    let (took, done) = done.unwrap_or_else(|panic| (Duration::ZERO, Err((Exit::Busy, panic.to_string()))));
    let problems = mirror.problems();
    let (error, exit) = match done {
        Err((exit, error)) => (Some(error), exit),
        Ok(()) if !problems.is_empty() => (None, Exit::Differences),
        Ok(()) => (None, Exit::Ok),
    };
    let totals = mirror.sent.totals();
    Report {
        source: source.name.clone(),
        target: target.name.clone(),
        in_sync: exit == Exit::Ok,
        files: totals.files,
        bytes: totals.bytes,
        wire_bytes: totals.wire_bytes,
        deleted: totals.removed,
        compared: totals.compared,
        seconds: took.as_secs_f64(),
        problems: status::problems(&problems),
        problems_total: problems.len(),
        left_out: status::left_out(&mirror.left_out()),
        error,
        exit,
    }
}

/// What a person has to know goes to stderr; what was asked for to stdout.
fn tell(report: &Report, args: &SyncArgs) {
    let Report { source, target, .. } = report;
    if let Some(error) = &report.error {
        out::complain(format_args!("pushd: {source} to {target}: {error}"));
    }
    for Problem { path, reason, .. } in &report.problems {
        out::complain(format_args!("pushd: {source} to {target}: {path}: {reason}"));
    }
    let beyond = report.problems_total - report.problems.len() as u64;
    if beyond > 0 {
        out::complain(format_args!("pushd: {source} to {target}: and {beyond} more"));
    }
    if args.stats && !args.json {
        out::line(format_args!(
            "{source} to {target}: {} files, {} sent ({} on the wire), {} deleted, {} compared, {} left out, {:.2} s",
            report.files,
            units::bytes(report.bytes),
            units::bytes(report.wire_bytes),
            report.deleted,
            report.compared,
            report.left_out.entries,
            report.seconds
        ));
    }
}
