//! What a running pushd tells about itself: the object of `pushd status --json`, and the same for a person.
//!
//! `run` fills it in, the control socket carries it, the client prints it. It measures nothing itself.

mod disk;
pub mod shown;
#[cfg(test)]
mod tests;
mod text;

pub use disk::Disk;
pub use text::{Detail, render};

use kit::Exit;
use kit::progress::Done;
use kit::units::Moment;
use serde::{Deserialize, Serialize};

pub use crate::held::Deletions;

/// The whole daemon. Field names are a contract with scripts: add, never rename.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `0.1.0`.
    pub version: String,
    /// The process id of the daemon.
    pub pid: u32,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Folders that are watched, in all sources.
    pub watches: u64,
    /// Folders that may be watched; `null` where the kernel does not say.
    pub watch_limit: Option<u64>,
    /// In the order of the configuration.
    pub sources: Vec<SourceStatus>,
}

/// One source, with its targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name in the configuration.
    pub name: String,
    /// The absolute path of its root; bytes that are no text show as `\u{fffd}`.
    pub path: String,
    /// How the watching goes.
    pub state: SourceState,
    /// Why it is absent or halted, and what to do.
    pub reason: Option<String>,
    /// Folders of it that are watched.
    pub watches: u64,
    /// Folders that are not watched, each with all beneath it, but compared every 30 seconds; 1 where nothing of it is watched.
    pub unwatched: u64,
    /// When the last comparison of them began that every target has acknowledged: up to then they are known to be in sync.
    /// `null` before the first, and where all is watched.
    pub compared_at: Option<Moment>,
    /// How often the kernel's queue overflowed since the start, each repaired by looking again.
    pub overflows: u64,
    /// In the order of the configuration.
    pub targets: Vec<TargetStatus>,
}

/// How the watching of a source goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceState {
    /// Watches are being placed.
    Starting,
    /// Changes are seen as they happen.
    Live,
    /// The root is missing or cannot be read: waiting for it, deleting nothing.
    Absent,
    /// Stopped for safety until `pushd release`.
    Halted,
}

/// One target of one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetStatus {
    /// Its name in the configuration.
    pub name: String,
    /// `backup1.example.net:8730`.
    pub address: String,
    /// `www/web1`.
    pub module: String,
    /// How the sending goes.
    pub state: TargetState,
    /// Since when it is in that state.
    pub since: Moment,
    /// What its acknowledgements mean; `null` before it was reached.
    pub durability: Option<Durability>,
    /// What its disk can hold; `null` before it was reached.
    pub disk: Option<Disk>,
    /// What is not yet acknowledged.
    pub owed: Owed,
    /// Deletions that wait; `null` when there are none.
    pub held: Option<Deletions>,
    /// Age of the oldest change that is not yet acknowledged; 0 when in sync.
    pub lag_ms: u64,
    /// When all was last acknowledged; `null` when never since the start.
    pub last_in_sync: Option<Moment>,
    /// What it got since the start of the daemon.
    pub sent: Sent,
    /// Bytes of content a second, lately.
    pub rate: u64,
    /// How far it is with what was found to be sent, also of a large file under way; `null` when nothing was.
    pub progress: Option<Done>,
    /// Paths that could not be mirrored. The list is bounded, see [`shown`]; `problems_total` is the true number.
    pub problems: Vec<Problem>,
    /// All paths that could not be mirrored.
    pub problems_total: u64,
    /// What rules leave out.
    pub left_out: LeftOut,
    /// Why the last connection failed or ended, or why it is halted.
    pub last_error: Option<String>,
}

/// How the sending to a target goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetState {
    /// Dialling or logging in, or its source is starting.
    Connecting,
    /// A full pass is under way.
    Scanning,
    /// Changes are sent as they happen.
    Live,
    /// Its disk is full or read-only, or it keeps asking for what it was sent: what that stops is owed.
    Blocked,
    /// No connection: another try follows, or its source is absent.
    Offline,
    /// Stopped for safety until `pushd release`.
    Halted,
}

impl TargetState {
    /// The state in a word, as it is said while something is owed.
    pub fn word(self) -> &'static str {
        match self {
            TargetState::Connecting => "connecting",
            TargetState::Scanning => "scanning",
            TargetState::Live => "catching up",
            TargetState::Blocked => "blocked",
            TargetState::Offline => "offline",
            TargetState::Halted => "halted",
        }
    }
}

/// What an acknowledgement means: `durability` of recvd's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// It survives a power cut.
    Batch,
    /// It is in the page cache of the backup host.
    None,
}

impl From<proto::login::Durability> for Durability {
    fn from(durability: proto::login::Durability) -> Durability {
        match durability {
            proto::login::Durability::Batch => Durability::Batch,
            proto::login::Durability::None => Durability::None,
        }
    }
}

/// What a target is still owed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Entries that differ or may, as far as is known: changes that wait, differences that a comparison has found so far,
    /// what is not acknowledged.
    pub paths: u64,
    /// Content that is still to be sent, as far as is known, and small files that are not acknowledged.
    pub bytes: u64,
}

impl From<engine::mirror::Owed> for Owed {
    fn from(engine::mirror::Owed { paths, bytes }: engine::mirror::Owed) -> Owed {
        Owed { paths, bytes }
    }
}

/// What a target got: it has acknowledged it, and not refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Regular files whose content has arrived.
    pub files: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// Bytes of all frames to it, before TLS.
    pub wire_bytes: u64,
}

/// One path that could not be mirrored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Relative to the source, escaped where it is not plain text.
    pub path: String,
    /// What stands in the way.
    pub reason: String,
    /// When it was noticed, in these words.
    pub since: Moment,
}

/// What rules leave out: as it should be, and no problem.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// How many entries it is, also those that `paths` has no room for.
    pub entries: u64,
    /// Which. The list is bounded as that of the problems.
    pub paths: Vec<Omission>,
}

/// One entry that a rule leaves out, or of which it leaves out a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omission {
    /// Relative to the source, as that of a [`Problem`].
    pub path: String,
    /// The rule that leaves it out, in words.
    pub reason: String,
}

impl From<engine::mirror::Totals> for Sent {
    fn from(totals: engine::mirror::Totals) -> Sent {
        Sent { files: totals.files, bytes: totals.bytes, wire_bytes: totals.wire_bytes }
    }
}

impl Status {
    /// What `pushd status` ends with: something is behind, offline or held, or else something is not mirrored or not watched.
    pub fn exit(&self) -> Exit {
        let behind = |source: &SourceStatus| {
            source.state != SourceState::Live || !source.targets.iter().all(TargetStatus::is_in_sync)
        };
        let mut targets = self.sources.iter().flat_map(|source| &source.targets);
        match self.sources.iter().any(behind) {
            true => Exit::Busy,
            false if self.sources.iter().any(|source| source.unwatched > 0) => Exit::Differences,
            false if targets.any(|target| target.problems_total > 0) => Exit::Differences,
            false => Exit::Ok,
        }
    }
}

impl TargetStatus {
    /// Whether all that is left to do are deletions that wait.
    pub fn is_all_but_held(&self) -> bool {
        self.state == TargetState::Live && self.owed.paths == 0 && self.held.is_some()
    }

    /// Whether the target is known to hold all that the source holds, but for the problems.
    pub fn is_in_sync(&self) -> bool {
        self.state == TargetState::Live && self.owed.paths == 0 && self.lag_ms == 0 && self.held.is_none()
    }
}
