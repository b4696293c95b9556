//! What each source has told of itself last, whether it is connected or not: how far it is, and whether its last transfer was
//! whole. Kept over restarts in a file of `state_dir`, which is written seldom and in one step; nothing is decided by it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use engine::receiver::{Counters, Tale};
use kit::{Stop, hex, unhex};
use proto::RelPath;
use proto::login::SenderId;
use proto::report::Report;
use serde::{Deserialize, Serialize};
use tracing::warn;

/// Sources that are known: beyond that one of the user who has the most is forgotten.
const MOST: usize = 4096;
/// How often the file is written, if something has changed.
const PAUSE: Duration = Duration::from_secs(60);
/// Larger than the file can be.
const LARGEST: u64 = 64 * 1024 * 1024;
/// The name of the file.
const FILE: &str = "sources.json";

/// Which source: who pushes where, and from which host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct Key {
    pub user: String,
    pub module: String,
    pub folder: RelPath,
    pub sender: SenderId,
}

/// What is known of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it came from last.
    pub from: IpAddr,
    /// When it was heard last.
    pub heard: SystemTime,
    /// What it has told.
    pub tale: Tale,
    /// It has a session.
    pub connected: bool,
}

/// All that are known, at most 4,096.
#[derive(Debug)]
pub struct Sources {
    known: Mutex<Known>,
    /// `None`: they are forgotten with this process.
    file: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Known {
    sources: BTreeMap<Key, Entry>,
    /// What stands in the file.
    written: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    source: Source,
    /// Of the session that it has.
    live: Option<Arc<Counters>>,
}

/// That a source has a session. Dropped, it has none any more, and what it has told is kept.
#[derive(Debug)]
pub struct Heard {
    sources: Arc<Sources>,
    key: Key,
    live: Arc<Counters>,
}

impl Sources {
    /// Those that were known when this was kept last, in a folder of recvd's own.
    pub fn load(state_dir: Option<&Path>) -> Sources {
        let file = state_dir.map(|dir| dir.join(FILE));
        let mut known = Known::default();
        if let Some(path) = &file
            && sys::paths::exists(path)
        {
            match sys::paths::read(path, LARGEST).map_err(|error| error.to_string()).and_then(|bytes| parse(&bytes)) {
                Ok(sources) => known.sources = sources,
                Err(error) => warn!("{}: {error}; what sources have told is forgotten", path.display()),
            }
        }
        Sources { known: Mutex::new(known), file }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One has a session now, which counts what it does in `live`.
    pub fn begins(self: &Arc<Self>, key: Key, from: IpAddr, live: Arc<Counters>) -> Heard {
        let mut known = self.known();
        if known.sources.len() >= MOST && !known.sources.contains_key(&key) {
            known.forget();
        }
        let tale = known.sources.remove(&key).map(|entry| entry.source.tale).unwrap_or_default();
        // Whether it is whole is told anew.
        let tale = Tale { done: None, problems: 0, ..tale };
        let source = Source { from, heard: SystemTime::now(), tale, connected: true };
        known.sources.insert(key.clone(), Entry { source, live: Some(Arc::clone(&live)) });
        Heard { sources: Arc::clone(self), key, live }
    }

    /// All that is known, in order.
    #[cfg_attr(not(test), expect(dead_code, reason = "for whoever shows it"))]
    pub fn all(&self) -> Vec<(Key, Source)> {
        let mut known = self.known();
        known.listen();
        known.sources.iter().map(|(key, entry)| (key.clone(), entry.source.clone())).collect()
    }

    /// Writes down what has changed. Blocks on the disk.
    pub fn keep(&self) {
        let Some(file) = &self.file else { return };
        let bytes = {
            let mut known = self.known();
            known.listen();
            let Some(bytes) = known.shown() else { return };
            if bytes == known.written {
                return;
            }
            known.written.clone_from(&bytes);
            bytes
        };
        if let Err(error) = sys::paths::replace(file, &bytes, 0o600) {
            self.known().written.clear();
            warn!("{}: {error}; what sources have told is lost with this process", file.display());
        }
    }

    /// Writes down what has changed, once in a while and at the end.
    pub async fn tend(self: Arc<Self>, stop: Stop) {
        loop {
            let stopped = tokio::time::timeout(PAUSE, stop.requested()).await.is_ok();
            let sources = Arc::clone(&self);
            let kept = tokio::task::spawn_blocking(move || sources.keep()).await;
            if let Err(error) = kept {
                warn!("what sources have told is not kept: {error}");
            }
            if stopped {
                return;
            }
        }
    }
}

impl Known {
    /// Peers name folders and themselves, so not all are remembered: of those that are gone, who has the most loses the one
    /// that was heard longest ago.
    fn forget(&mut self) {
        let away = || self.sources.iter().filter(|(_, entry)| entry.live.is_none());
        let mut counts: HashMap<&str, usize> = HashMap::new();
        away().for_each(|(key, _)| *counts.entry(&key.user).or_default() += 1);
        let weight = |key: &Key, entry: &Entry| (counts.get(key.user.as_str()).copied(), Reverse(entry.source.heard));
        let heaviest = away().max_by_key(|(key, entry)| weight(key, entry)).map(|(key, _)| key.clone());
        heaviest.map(|key| self.sources.remove(&key));
    }

    /// Asks those that are connected.
    fn listen(&mut self) {
        for Entry { source, live } in self.sources.values_mut() {
            if let Some(live) = live {
                source.hear(live);
            }
        }
    }

    /// `None` where a time cannot be written down, as one before 1970.
    fn shown(&self) -> Option<Vec<u8>> {
        let lines: Vec<Line> = self.sources.iter().map(|(key, entry)| Line::of(key, &entry.source)).collect();
        serde_json::to_vec(&lines).ok()
    }
}

impl Source {
    fn hear(&mut self, live: &Counters) {
        let Tale { report, done, problems } = live.told.tale();
        let heard = [report.as_ref().map(|(_, at)| *at), live.last_op()];
        self.heard = heard.into_iter().flatten().fold(self.heard, SystemTime::max);
        self.tale = Tale { report: report.or(self.tale.report.take()), done, problems };
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let mut known = self.sources.known();
        if let Some(entry) = known.sources.get_mut(&self.key)
            && entry.live.as_ref().is_some_and(|live| Arc::ptr_eq(live, &self.live))
        {
            entry.source.hear(&self.live);
            (entry.source.connected, entry.live) = (false, None);
        }
    }
}

/// One as it is written down. Of the folder the bytes in hexadecimal: they need not be text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    user: String,
    module: String,
    folder: String,
    sender: SenderId,
    from: IpAddr,
    heard: SystemTime,
    report: Option<(Told, SystemTime)>,
    done: Option<[u64; 3]>,
    problems: u64,
}

/// The report in it: its age in milliseconds when it was heard.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    software: String,
    owed_paths: u64,
    owed_bytes: u64,
    oldest_ms: u64,
    problems: u64,
    in_sync: bool,
}

impl Line {
    fn of(key: &Key, Source { from, heard, tale, .. }: &Source) -> Line {
        let told = |report: &Report| Told {
            software: report.software.clone(),
            owed_paths: report.owed_paths,
            owed_bytes: report.owed_bytes,
            oldest_ms: report.oldest,
            problems: report.problems,
            in_sync: report.in_sync,
        };
        Line {
            user: key.user.clone(),
            module: key.module.clone(),
            folder: hex(key.folder.as_bytes()),
            sender: key.sender,
            from: *from,
            heard: *heard,
            report: tale.report.as_ref().map(|(report, at)| (told(report), *at)),
            done: tale.done.map(|done| [done.entries, done.bytes, done.problems]),
            problems: tale.problems,
        }
    }

    fn known(self) -> Option<(Key, Entry)> {
        let Line { user, module, folder, sender, from, heard, report, done, problems } = self;
        let folder = RelPath::parse(&unhex(folder.as_bytes())?).ok()?;
        let report = report.map(|(told, at)| {
            let Told { software, owed_paths, owed_bytes, oldest_ms, problems, in_sync } = told;
            (Report { software, owed_paths, owed_bytes, oldest: oldest_ms, problems, in_sync }, at)
        });
        let done = done.map(|[entries, bytes, problems]| proto::report::Done { entries, bytes, problems });
        let source = Source { from, heard, tale: Tale { report, done, problems }, connected: false };
        Some((Key { user, module, folder, sender }, Entry { source, live: None }))
    }
}

fn parse(bytes: &[u8]) -> Result<BTreeMap<Key, Entry>, String> {
    let lines: Vec<Line> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    Ok(lines.into_iter().filter_map(Line::known).take(MOST).collect())
}

#[cfg(test)]
mod tests;
