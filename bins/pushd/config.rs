//! `pushd.toml` as the program sees it: every default filled in, every reference resolved. A value of [`Config`] is valid.
//!
//! Called by every command; it reads files but changes nothing and dials nobody. What stands at a source's path is not its
//! business: a root that is missing today may come back, so `run` waits for it and `check` reports it.

mod destination;
mod sources;
mod targets;
#[cfg(test)]
mod tests;

pub use destination::Destination;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::pack::Compress;
use kit::config::{Complaint, Complaints, Document, Share, Table};
use kit::control::Defaults;
use link::{Address, Trust, Turns};
use proto::login::{Purpose, SenderId, Token};

/// How the program names itself to receivers.
pub const SOFTWARE: &str = concat!("pushd ", env!("CARGO_PKG_VERSION"));
/// Where the configuration is, unless `--config` says otherwise.
pub const DEFAULT_FILE: &str = "/etc/pushd/pushd.toml";
/// What `pushctl` goes by: to ask for the status must work while somebody edits the file.
pub const DEFAULTS: Defaults = Defaults { program: "pushd", config: DEFAULT_FILE, socket: "/run/pushd/control.sock" };

/// Everything that `pushd.toml` says.
#[derive(Debug)]
pub struct Config {
    /// Where `pushd status` and the like ask.
    pub control_socket: PathBuf,
    /// Where pushd keeps who this host is.
    pub state_dir: PathBuf,
    /// At least one, in the order of the file.
    pub sources: Vec<Source>,
    /// Targets that no source names, for `check`.
    pub unused: Vec<Arc<Target>>,
    /// What is odd in the file and does not keep it from loading.
    pub warnings: Vec<Complaint>,
}

/// One folder to mirror.
#[derive(Debug)]
pub struct Source {
    /// `www` of `[source.www]`: unique, and what people type.
    pub name: String,
    /// Absolute, may contain links, may be missing.
    pub path: PathBuf,
    /// At least one; each belongs to this source alone.
    pub targets: Vec<Arc<Target>>,
    /// Whether deletions are mirrored.
    pub delete: Delete,
    /// Whether folders on other file systems are left out.
    pub mounts: sys::Mounts,
    /// Whether changes of attributes alone are mirrored.
    pub attributes: Attributes,
    /// Wait this long after the last event of a closed file.
    pub settle: Duration,
    /// Files that are held open for writing.
    pub open_files: OpenFiles,
    /// What happens before going live.
    pub initial_sync: InitialSync,
    /// Of what a pass would delete more than this is held until a person lets it go.
    pub max_delete: Share,
    /// Masses of deletions that are seen live wait so long after the last of them.
    pub delete_hold: Duration,
    /// What becomes of files that never hold still, where the target has no version of them.
    pub busy_files: engine::sender::BusyFiles,
    /// Threads that list folders for one target, 1 to 64.
    pub workers: usize,
}

/// Whether what vanishes at the source vanishes at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delete {
    /// It is deleted there, as far as the brake on deletions allows.
    Mirror,
    /// It stays at the target for ever.
    Keep,
}

/// Whether a change of attributes alone (chmod, chown, utime, xattrs) is mirrored at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attributes {
    /// A change of them alone is sent as any other change is.
    Mirror,
    /// It is not: the next change of the content takes it along.
    Ignore,
}

/// What happens before a target goes live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitialSync {
    /// All is compared, and what differs is sent.
    Pass,
    /// Nothing: only changes from now on are sent, until the first full pass for another reason.
    Skip,
}

/// When files that are held open for writing are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// This long after the last write, and
    pub settle: Duration,
    /// at the latest this long after the first one that was not sent.
    pub max_delay: Duration,
}

/// One module on one backup host.
#[derive(Debug)]
pub struct Target {
    /// `backup1` of `[target.backup1]`.
    pub name: String,
    /// Host and port; the name is looked up at each try.
    pub address: Address,
    /// All targets with this address share them.
    pub turns: Turns,
    /// What to open there.
    pub destination: Destination,
    /// Under which name we log in.
    pub user: String,
    /// Read anew at each try, by [`Target::dialling`].
    pub password_file: PathBuf,
    /// How the server proves who it is.
    pub trust: Trust,
    /// For name and TCP together, see [`link::Target`].
    pub connect_timeout: Duration,
    pub retry: Retry,
    /// When frames are compressed.
    pub compress: Compress,
}

/// Pauses between tries of a connection: they double from `first` to `max`, with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The pause before the second try.
    pub first: Duration,
    /// The longest pause, where the receiver asks for no longer one.
    pub max: Duration,
}

mod default {
    use super::{Duration, OpenFiles, PathBuf, Retry, Share};

    pub(super) fn state_dir() -> PathBuf {
        PathBuf::from("/var/lib/pushd")
    }
    pub(super) fn connect_timeout() -> Duration {
        Duration::from_secs(10)
    }
    pub(super) fn retry() -> Retry {
        Retry { first: Duration::from_millis(500), max: Duration::from_secs(60) }
    }
    pub(super) fn settle() -> Duration {
        Duration::ZERO
    }
    pub(super) fn open_files() -> OpenFiles {
        OpenFiles { settle: Duration::from_secs(1), max_delay: Duration::from_secs(10) }
    }
    pub(super) fn max_delete() -> Share {
        Share::Percent(50)
    }
    pub(super) fn delete_hold() -> Duration {
        Duration::from_secs(30)
    }
    pub(super) fn workers() -> u64 {
        2
    }
}

impl Config {
    /// Reads and checks the file: all complaints at once, or a configuration that works.
    pub fn load(path: &Path) -> Result<Config, Complaints> {
        Config::from_document(Document::read(path)?)
    }

    fn from_document(doc: Document) -> Result<Config, Complaints> {
        let root = doc.root();
        let control_socket = root.or("control_socket", PathBuf::from(DEFAULTS.socket));
        let state_dir = root.or("state_dir", default::state_dir());
        let targets = targets::read_targets(&root);
        let (sources, unused) = sources::read_sources(&root, &targets);
        let (config, warnings) = doc.finish_with(sources.map(|sources| Config {
            control_socket,
            state_dir,
            sources,
            unused,
            warnings: Vec::new(),
        }))?;
        Ok(Config { warnings, ..config })
    }

    /// Every target with its source, also those that no source names.
    pub fn targets(&self) -> impl Iterator<Item = (&Arc<Target>, Option<&Source>)> {
        let of = |source| move |target| (target, Some(source));
        let named = self.sources.iter().flat_map(move |source| source.targets.iter().map(of(source)));
        named.chain(self.unused.iter().map(|target| (target, None)))
    }
}

impl Target {
    /// What [`link::dial()`] wants to know. The password is read anew each time, so that a new one is taken without a
    /// restart; the error is a sentence. `sender` and `token` as in [`proto::login::Open`].
    pub fn dialling(
        &self,
        purpose: Purpose,
        (sender, token): (SenderId, Option<Token>),
    ) -> Result<link::Target, String> {
        let password = targets::read_password(&self.password_file)?;
        Ok(link::Target {
            address: self.address.clone(),
            turns: self.turns.clone(),
            connect_timeout: self.connect_timeout,
            trust: self.trust.clone(),
            user: self.user.clone(),
            password,
            module: self.destination.module.clone(),
            folder: self.destination.folder.clone(),
            purpose,
            sender,
            token,
            at: None,
            terms: None,
            software: SOFTWARE.to_owned(),
        })
    }
}

/// Names stand in logs, tables and on command lines.
fn check_name(name: &str, table: &Table) {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        table.complain_here("a name has 1 to 64 letters, digits, `-`, `_` or `.`");
    }
}
