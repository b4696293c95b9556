//! `pushd check`: whether `pushd run` would work. It changes nothing, here or there.
//!
//! First the file, then what it names here: roots, rights, the limits of the system; then, unless `--offline`, every
//! target up to its opened module. One line each on stdout, and the exit of the worst.

mod folders;
pub mod limits;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kit::{Exit, out, units};
use link::DialError;
use proto::login::{Durability, Purpose};
use proto::policy::Policy;

use crate::cli::CheckArgs;
use crate::config::{Config, Source, Target};
use crate::identity::Identity;
use crate::nesting::nesting_at;

/// Folders that cannot be read are named up to this many for a source.
const NAMED: usize = 10;

/// Checks all of it.
pub fn check(file: &Path, args: &CheckArgs) -> Exit {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(complaints) => {
            out::complain(complaints);
            return Exit::Config;
        }
    };
    for warning in &config.warnings {
        out::complain(format_args!("warning: {warning}"));
    }
    report(Verdict::ok(format!("configuration {}", file.display())));
    let exit = check_state(&config.state_dir).worse(check_sources(&config));
    if args.offline { exit } else { exit.worse(check_targets(&config)) }
}

/// One line of the report.
pub struct Verdict {
    exit: Exit,
    sentence: String,
}

impl Verdict {
    fn ok(sentence: String) -> Verdict {
        Verdict { exit: Exit::Ok, sentence }
    }
}

fn report(verdict: Verdict) -> Exit {
    let mark = if verdict.exit == Exit::Ok { "ok  " } else { "FAIL" };
    out::line(format_args!("{mark}  {}", verdict.sentence));
    verdict.exit
}

/// Whether `run` could use the folder in which it keeps who this host is. It makes one that is missing.
fn check_state(state_dir: &Path) -> Exit {
    match Identity::look(state_dir) {
        Ok(()) => Exit::Ok,
        Err(sentence) => report(Verdict { exit: Exit::Config, sentence }),
    }
}

fn check_sources(config: &Config) -> Exit {
    let mut exit = Exit::Ok;
    let mut folders = Vec::new();
    for source in &config.sources {
        let (verdict, found) = check_source(source);
        exit = exit.worse(report(verdict));
        folders.push(found);
    }
    limits::verdicts(config, &folders).into_iter().fold(exit, |exit, verdict| exit.worse(report(verdict)))
}

/// The verdict on one source, and the number of its folders.
fn check_source(source: &Source) -> (Verdict, u64) {
    let place = format!("source {}: {}", source.name, source.path.display());
    let counted = match folders::count(&source.path, source.mounts) {
        Ok(counted) => counted,
        Err(error) => {
            let sentence = format!("{place}: {error}; pushd waits for it and deletes nothing meanwhile");
            return (Verdict { exit: Exit::Input, sentence }, 0);
        }
    };
    let folders = units::counted(counted.folders, "folder", "folders");
    let unreadable = counted.unreadable.len();
    if unreadable == 0 {
        return (Verdict::ok(format!("{place}: {folders} to watch")), counted.folders);
    }
    let mut sentence =
        format!("{place}: {folders} to watch, {unreadable} cannot be read; what the backup has of them is kept");
    for (path, error) in counted.unreadable.iter().take(NAMED) {
        sentence.push_str(&format!("\n      {path}: {error}"));
    }
    if unreadable > NAMED {
        sentence.push_str(&format!("\n      and {} more", unreadable - NAMED));
    }
    (Verdict { exit: Exit::Differences, sentence }, counted.folders)
}

/// All targets at the same time, told in the order of the file.
fn check_targets(config: &Config) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let sentence = format!("targets: the program cannot set itself up to dial: {error}");
            return report(Verdict { exit: Exit::Unreachable, sentence });
        }
    };
    runtime.block_on(async {
        let root = |source: &Source| (source.path.clone(), source.mounts);
        let check = |(target, source): (&Arc<Target>, Option<&Source>)| check_target(target.clone(), source.map(root));
        let dials: Vec<_> = config.targets().map(|of| tokio::spawn(check(of))).collect();
        let mut exit = Exit::Ok;
        for dial in dials {
            let verdict =
                dial.await.unwrap_or_else(|error| Verdict { exit: Exit::Protocol, sentence: error.to_string() });
            exit = exit.worse(report(verdict));
        }
        exit
    })
}

/// `source`: the root of the source that it belongs to.
async fn check_target(target: Arc<Target>, source: Option<(PathBuf, sys::Mounts)>) -> Verdict {
    let place = format!("target {}: {} at {}", target.name, target.destination, target.address);
    // Of no host: nothing will be sent.
    let dialling = match target.dialling(Purpose::Push, ([0; 16], None)) {
        Ok(dialling) => dialling,
        Err(sentence) => return Verdict { exit: Exit::Config, sentence: format!("{place}: {sentence}") },
    };
    match link::dial(&dialling).await {
        Ok((agreed, mut connection)) => {
            let policy = link::policy(&dialling, &mut connection).await;
            connection.close().await;
            if let Some(nesting) = source.and_then(|(path, mounts)| nesting_at(&path, mounts, &agreed.opened.place)) {
                return Verdict { exit: Exit::Config, sentence: format!("{place}: {nesting}") };
            }
            let meaning = match agreed.terms.durability {
                Durability::Batch => "acknowledged data survives a power cut",
                Durability::None => "acknowledged data may be lost in a power cut (durability = \"none\" there)",
            };
            match policy {
                Ok(policy) => Verdict::ok(format!("{place}: TLS, login and module fit; {meaning}{}", told(&policy))),
                Err(error) => Verdict { exit: exit_of(&error), sentence: format!("{place}: {error}") },
            }
        }
        Err(error) => Verdict { exit: exit_of(&error), sentence: format!("{place}: {error}") },
    }
}

/// What of a source may not be stored there, whatever the source says.
fn told(policy: &Policy) -> String {
    let mut told = String::new();
    let lacks = policy.capabilities.to_string();
    if !lacks.is_empty() {
        told.push_str(&format!("; its disk holds less than others: {lacks}"));
    }
    if let Some(most) = policy.limits.file_size {
        told.push_str(&format!("; it takes files of at most {}", units::bytes(most)));
    }
    told
}

/// The exit of a command that could not reach its target.
pub fn exit_of(error: &DialError) -> Exit {
    match error {
        DialError::Unreachable { .. } | DialError::Timeout { .. } => Exit::Unreachable,
        DialError::Tls(_) | DialError::Denied { .. } => Exit::Login,
        DialError::Version { .. } | DialError::Unsupported { .. } | DialError::Protocol { .. } => Exit::Protocol,
        DialError::Busy { .. } => Exit::Busy,
        DialError::Unfit(_) | DialError::Trust { .. } => Exit::Config,
    }
}
