//! `pushd sync`: one full pass of each chosen source to each of its targets. Ends with 0 only when the backup equals the
//! source.
//!
//! What a running daemon serves is its business: it is asked for the pass (`handed`) and reports it. All else is done here
//! (`own`), without watching.

mod handed;
mod own;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kit::progress::{Done, Progress, Show};
use kit::{Exit, Stop, out};
use serde::Serialize;

use crate::cli::SyncArgs;
use crate::config::{Config, Source, Target};
use crate::identity::Identity;
use crate::report::{self, Brake, Outcome, Pair, Report};
use handed::Handed;
use own::Own;

/// How often the progress line may change, and a daemon is asked.
const TICK: Duration = Duration::from_millis(200);

#[derive(Serialize)]
struct Reports<'a> {
    targets: Vec<&'a Report>,
}

/// Runs the chosen passes side by side and reports.
pub fn sync(config: Config, args: &SyncArgs) -> Exit {
    let (socket, state_dir) = (config.control_socket.clone(), config.state_dir.clone());
    let chosen = match choose(config, args) {
        Ok(chosen) => chosen,
        Err(sentence) => {
            out::complain(format_args!("pushd: {sentence}"));
            return Exit::Usage;
        }
    };
    let brake = if args.release { Brake::Released } else { Brake::On };
    let (handed, served) = match handed::hand_over(&socket, chosen.iter().map(Chosen::pair).collect(), brake) {
        Ok(handed) => handed,
        Err(exit) => return exit,
    };
    let mut outcomes = match run(chosen, (served, handed), &state_dir, (brake, args.show())) {
        Ok(outcomes) => outcomes,
        Err(sentence) => {
            out::complain(format_args!("pushd: {sentence}"));
            return Exit::Busy;
        }
    };
    report::cut(&mut outcomes);
    outcomes.iter().for_each(|outcome| tell(&outcome.report, args));
    if args.json {
        let targets = outcomes.iter().map(|outcome| &outcome.report).collect();
        match serde_json::to_string(&Reports { targets }) {
            Ok(json) => out::line(json),
            Err(error) => out::complain(format_args!("pushd: the report cannot be written: {error}")),
        }
    }
    outcomes.iter().fold(Exit::Ok, |worst, outcome| worst.worse(outcome.exit))
}

/// Waits for all of it. The first signal ends passes, which give their folders back, the second one everything. The error is a
/// sentence: nothing has begun, or it ended at once.
fn run(
    chosen: Vec<Chosen>,
    shared: (Vec<bool>, Option<Arc<Handed>>),
    state_dir: &Path,
    (brake, show): (Brake, Show),
) -> Result<Vec<Outcome>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let outcomes = runtime.block_on(async {
        let stop = Stop::on_signals().map_err(|error| format!("cannot listen to signals: {error}"))?;
        tokio::select! {
            outcomes = all(chosen, shared, state_dir, (brake, &stop), Progress::new(show)) => Ok(outcomes),
            () = stop.insisted() => {
                Err("ended at once: the backup may keep the folder from other hosts for ten minutes".to_owned())
            }
        }
    });
    // What has not ended by now hangs in a disk, or in looking up a name.
    runtime.shutdown_background();
    outcomes
}

/// A source and one of its targets.
struct Chosen {
    source: Arc<Source>,
    target: Arc<Target>,
}

impl Chosen {
    fn pair(&self) -> Pair {
        Pair::new(&self.source, &self.target)
    }
}

fn choose(config: Config, args: &SyncArgs) -> Result<Vec<Chosen>, String> {
    let mut chosen = Vec::new();
    let known = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
    for source in config.sources.into_iter().map(Arc::new).filter(|source| known(&args.source, &source.name)) {
        for target in source.targets.iter().filter(|target| known(&args.target, &target.name)) {
            chosen.push(Chosen { source: source.clone(), target: target.clone() });
        }
    }
    if chosen.is_empty() {
        let source = args.source.as_deref().unwrap_or("any source");
        let target = args.target.as_deref().unwrap_or("any target");
        return Err(format!("the configuration has no such pair: {source} to {target}"));
    }
    Ok(chosen)
}

/// All passes at once; their outcomes in the order in which they were chosen. `served` says which of them were handed over.
async fn all(
    chosen: Vec<Chosen>,
    (served, handed): (Vec<bool>, Option<Arc<Handed>>),
    state_dir: &Path,
    (brake, stop): (Brake, &Stop),
    progress: Progress,
) -> Vec<Outcome> {
    let own = chosen.into_iter().zip(&served).filter(|(_, served)| !**served);
    let own: Vec<Chosen> = own.map(|(chosen, _)| chosen).collect();
    let identity = if own.is_empty() { Identity::of_the_moment() } else { identity(state_dir) };
    let identity = Arc::new(identity);
    let begin = |Chosen { source, target }| Own::begin((source, target), &identity, brake, stop);
    let own: Vec<Own> = own.into_iter().map(begin).collect();
    let (mirrors, following) = (own.iter().map(|own| own.mirror.clone()).collect(), handed.clone());
    let outcomes = async {
        let (own, theirs) = tokio::join!(own::gather(own), handed::follow(following, stop));
        let (mut own, mut theirs) = (own.into_iter(), theirs.into_iter());
        served.iter().filter_map(|served| if *served { theirs.next() } else { own.next() }).collect()
    };
    tokio::select! {
        outcomes = outcomes => outcomes,
        never = draw(mirrors, handed, progress) => match never {},
    }
}

/// This host's, or one of the moment: then a pass that is cut off keeps the folder from the next one for a while.
fn identity(state_dir: &Path) -> Identity {
    Identity::kept(state_dir).unwrap_or_else(|sentence| {
        tracing::warn!("going on as a host that recvd does not know: {sentence}");
        Identity::of_the_moment()
    })
}

/// Keeps the progress line true, until it is dropped; then the line is wiped.
async fn draw(
    mirrors: Vec<Arc<engine::mirror::Mirror>>,
    handed: Option<Arc<Handed>>,
    mut progress: Progress,
) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(TICK).await;
        let own = mirrors.iter().map(|mirror| report::done(mirror.progress.far()));
        let theirs = handed.iter().map(|handed| handed.done());
        progress.update(own.chain(theirs).reduce(Done::and).unwrap_or_default());
    }
}

/// What a person has to know goes to stderr; what was asked for to stdout.
fn tell(report: &Report, args: &SyncArgs) {
    report.complain();
    if args.stats && !args.json {
        out::line(report.stats());
    }
}
