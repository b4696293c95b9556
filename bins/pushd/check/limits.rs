//! What the system bounds and `pushd run` will need of it: watches, instances of inotify, open files.

use kit::{Exit, units};

use super::Verdict;
use crate::config::Config;
use crate::watch::Instances;

/// Files that are open at work, at most: of the process, of a source (root, queue, bell), of a target (connection, folders that
/// are listed, files that are sent).
const FILES: (u64, u64, u64) = (64, 6, 10);

/// One verdict for each limit that the kernel tells. `folders`: of each source, 0 where it is missing.
pub fn verdicts(config: &Config, folders: &[u64]) -> Vec<Verdict> {
    let watches = sys::inotify::watch_limit().map(|limit| watches(folders.iter().sum(), limit));
    let instances = sys::inotify::instance_limit().map(|limit| instances(Instances::needed(folders), limit));
    [watches, instances, open_files(config)].into_iter().flatten().collect()
}

/// Says in the log of `run` that files will be short: what that leads to names neither them nor the limit everywhere.
pub fn warn_of_open_files(config: &Config) {
    if let Some(Verdict { sentence, .. }) = open_files(config).filter(|verdict| verdict.exit != Exit::Ok) {
        tracing::warn!("{sentence}");
    }
}

fn open_files(config: &Config) -> Option<Verdict> {
    let targets: usize = config.sources.iter().map(|source| source.targets.len()).sum();
    let needed = FILES.0 + FILES.1 * config.sources.len() as u64 + FILES.2 * targets as u64;
    sys::process::open_files_limit().map(|limit| files(needed, limit))
}

/// Other programs of the same user take from the same limit, and folders are added: what is raised is raised well above.
pub(super) fn watches(needed: u64, limit: u64) -> Verdict {
    let folders = units::counted(needed, "folder needs", "folders need");
    let what = format!("watch limit: {folders} a watch, {} allowed", are(limit));
    match needed <= limit {
        true => Verdict::ok(what),
        false => to_raise(&what, "fs.inotify.max_user_watches", needed),
    }
}

/// Likewise; there are few where nobody has raised them.
pub(super) fn instances(needed: u64, limit: u64) -> Verdict {
    let what = format!(
        "inotify limit: {} needed, {} allowed for all programs of this user",
        units::counted(needed, "instance is", "instances are"),
        are(limit)
    );
    match needed <= limit {
        true => Verdict::ok(what),
        false => to_raise(&what, "fs.inotify.max_user_instances", needed.max(512)),
    }
}

fn are(limit: u64) -> String {
    units::counted(limit, "is", "are")
}

fn to_raise(what: &str, sysctl: &str, needed: u64) -> Verdict {
    let enough = needed.saturating_mul(2).checked_next_power_of_two().unwrap_or(u64::MAX);
    let sentence = format!(
        "{what}: run `sysctl -w {sysctl}={enough}` and write `{sysctl} = {enough}` to /etc/sysctl.d/60-pushd.conf; what has \
         none is compared every 30 s instead"
    );
    Verdict { exit: Exit::Config, sentence }
}

pub(super) fn files(needed: u64, limit: u64) -> Verdict {
    let what = format!("open files: up to {} at a time, {} allowed here", units::count(needed), are(limit));
    match needed <= limit {
        true => Verdict::ok(what),
        false => {
            Verdict { exit: Exit::Config, sentence: format!("{what}: raise LimitNOFILE= of the unit, or `ulimit -Hn`") }
        }
    }
}
