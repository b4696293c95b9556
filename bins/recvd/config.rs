//! `recvd.toml`: from a file to a [`Config`] that is valid as a whole, or every complaint at once. `run` and `check` both
//! come through here, so what `check` accepts starts. Opens no socket.

mod roots;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::receiver::{Memory, SURE};
use kit::config::{ByteSize, Complaint, Complaints, Document, FromValue, Table, Value, Wrong, nearest};
use kit::control::Defaults;
use link::{ServerTls, TlsError};
use proto::login::Durability;
use proto::{Keep, Kept};

use crate::modules::{Module, Modules, Right};
use crate::users::Users;

/// Where the configuration is, unless said otherwise.
pub const DEFAULT_FILE: &str = "/etc/recvd/recvd.toml";
/// Where the users are, for `recvd passwd`, unless said otherwise.
pub const DEFAULT_USERS: &str = "/etc/recvd/users.toml";

/// What `recvctl` goes by.
pub const DEFAULTS: Defaults = Defaults { program: "recvd", config: DEFAULT_FILE, socket: "/run/recvd/control.sock" };
/// Where recvd keeps what it knows beside the modules, unless said otherwise.
const STATE_DIR: &str = "/var/lib/recvd";

const MAX_CONNECTIONS: u64 = 256;
const MAX_HANDSHAKES: u64 = 64;
/// Memory for all sessions, unless there are so many that a share of each would be too small.
const MEMORY: u64 = 1 << 30;
const SHARE: u64 = 2 * SURE as u64;
const HANDSHAKE: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(60);
/// pushd gives a sign of life every ten seconds.
const SHORTEST_IDLE: Duration = Duration::from_secs(15);

/// All that recvd is told.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Config {
    pub listen: Vec<SocketAddr>,
    pub control_socket: PathBuf,
    /// What has to outlive the daemon beside the modules.
    pub state_dir: PathBuf,
    /// Sessions, of all modules.
    pub max_connections: usize,
    /// Peers that are not logged in.
    pub max_handshakes: usize,
    pub handshake_timeout: Duration,
    pub idle_timeout: Duration,
    pub durability: Durability,
    pub tls: ServerTls,
    pub users: Users,
    pub modules: Modules,
}

/// Reads and checks everything; with a good configuration come the warnings.
pub fn load(path: &Path) -> Result<(Config, Vec<Complaint>), Complaints> {
    let document = Document::read(path)?;
    let root = document.root();
    // What is wrong with either file is told at once, so that a person can mend both in one go.
    let (users, wrong_users) = read_users(&root);
    let config = read(&root, users);
    let Some(wrong_users) = wrong_users else { return document.finish_with(config) };
    let mut all = document.finish().err().map_or_else(Vec::new, |wrong| wrong.0);
    all.extend(wrong_users.0);
    Err(Complaints(all))
}

fn read_users(root: &Table) -> (Option<Users>, Option<Complaints>) {
    let Some(path) = root.require::<PathBuf>("users_file") else { return (None, None) };
    match Users::read(&path) {
        Ok(users) => (Some(users), None),
        Err(wrong) => (None, Some(wrong)),
    }
}

fn read(root: &Table, users: Option<Users>) -> Option<Config> {
    let listen = read_listen(root);
    let control_socket = root.or("control_socket", PathBuf::from(DEFAULTS.socket));
    let state_dir = root.or("state_dir", PathBuf::from(STATE_DIR));
    let max_connections = at_least_one(root, "max_connections", MAX_CONNECTIONS);
    let max_handshakes = at_least_one(root, "max_handshakes", MAX_HANDSHAKES);
    let handshake_timeout = root.or("handshake_timeout", HANDSHAKE);
    if !(Duration::from_secs(1)..=Duration::from_secs(300)).contains(&handshake_timeout) {
        root.complain("handshake_timeout", "must be from \"1s\" to \"5m\"");
    }
    let idle_timeout = root.or("idle_timeout", IDLE);
    if idle_timeout < SHORTEST_IDLE {
        root.warn("idle_timeout", "is short: a quiet pushd gives a sign of life only every 10 s");
    }
    if idle_timeout < Duration::from_secs(1) {
        root.complain("idle_timeout", "must be at least \"1s\"");
    }
    let Lasting(durability) = root.or("durability", Lasting(Durability::Batch));
    let tls = root.require_table("tls").and_then(|table| read_tls(&table));
    let modules = read_modules(root, users.as_ref(), read_memory(root, max_connections));
    // Without the users file some of these are not known; the complaints say why.
    Some(Config {
        listen,
        control_socket,
        state_dir,
        max_connections,
        max_handshakes,
        handshake_timeout,
        idle_timeout,
        durability,
        tls: tls?,
        users: users?,
        modules: modules?,
    })
}

fn read_listen(root: &Table) -> Vec<SocketAddr> {
    let everywhere = SocketAddr::from(([0u16; 8], proto::limits::PORT));
    let listen = root.or("listen", vec![everywhere]);
    if listen.is_empty() {
        root.complain("listen", "must name at least one address, such as \"[::]:8730\"");
    }
    for (at, address) in listen.iter().enumerate() {
        if listen[..at].contains(address) {
            root.complain_item("listen", at, format!("{address} stands here a second time"));
        }
    }
    listen
}

fn at_least_one(table: &Table, key: &str, default: u64) -> usize {
    let number = table.or(key, default);
    if number == 0 {
        table.complain(key, "must be at least 1");
    }
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What all sessions may hold in memory for their peers.
fn read_memory(root: &Table, sessions: usize) -> Memory {
    let each = |bytes: u64| bytes.saturating_mul(sessions as u64);
    let ByteSize(memory) = root.or("memory", ByteSize(MEMORY.max(each(SHARE))));
    if memory < each(SURE as u64) {
        let least = each(SURE as u64).div_ceil(1 << 20);
        root.complain("memory", format!("must be at least \"{least}MiB\": 2 MiB for each of max_connections"));
    }
    Memory::new(memory, sessions)
}

fn read_tls(table: &Table) -> Option<ServerTls> {
    let certificate = table.require::<PathBuf>("certificate");
    let key = table.require::<PathBuf>("private_key");
    let (certificate, key) = (certificate?, key?);
    match link::server_config(&certificate, &key) {
        Ok(tls) => {
            if let Ok(Some(warning)) = link::tls::certificate_warning(&certificate) {
                table.warn("certificate", warning);
            }
            Some(tls)
        }
        Err(error) => {
            let guilty = match &error {
                TlsError::Key(_) | TlsError::NoKey { .. } | TlsError::Mismatch { .. } => "private_key",
                TlsError::Pem { path, .. } if *path == key => "private_key",
                _ => "certificate",
            };
            table.complain(guilty, error.to_string());
            None
        }
    }
}

fn read_modules(root: &Table, users: Option<&Users>, memory: Memory) -> Option<Modules> {
    let tables = root.tables("module");
    if tables.is_empty() && !root.has("module") {
        root.complain("module", "is missing: name at least one folder, as [module.NAME] with path and users");
    }
    let mut all_roots = roots::Roots::default();
    let mut modules = Vec::new();
    for (name, table) in &tables {
        if name.is_empty() || name.len() > proto::limits::USER || name.chars().any(|c| c == '/' || c.is_control()) {
            root.complain("module", "a module's name has 1 to 255 bytes, no slash and no control characters");
        }
        modules.push(read_module(name.clone(), table, users, &mut all_roots));
    }
    all_roots.warn_of_open_ones(&tables);
    let modules = modules.into_iter().collect::<Option<Vec<Module>>>()?;
    Some(Modules::new(modules, memory))
}

fn read_module(name: String, table: &Table, users: Option<&Users>, roots: &mut roots::Roots) -> Option<Module> {
    let _: Option<String> = table.take("comment");
    let root = table.require::<PathBuf>("path").and_then(|path| roots.add(&name, path, table));
    let rights = table.require_table("users").map(|rights| read_rights(&rights, users));
    if rights.as_ref().is_some_and(Vec::is_empty) {
        table.warn("users", "nobody may use this module");
    }
    let max_connections = at_least_one(table, "max_connections", MAX_CONNECTIONS);
    let keep = read_keep(table);
    let max_file_size = table.take::<ByteSize>("max_file_size").map(|size| size.0);
    let root = root?;
    let users = rights?.into_iter().collect();
    let (disk, written) = Default::default();
    Some(Module { name, root, users, max_connections, keep, max_file_size, disk, written })
}

fn read_rights(table: &Table, users: Option<&Users>) -> Vec<(String, Right)> {
    let rights = table.entries::<Right>();
    if let Some(users) = users {
        for (name, _) in rights.iter().filter(|(name, _)| !users.knows(name)) {
            let near = nearest(name, users.names()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            table.complain(name, format!("there is no such user in users_file{near} ('recvd passwd' adds one)"));
        }
    }
    rights
}

fn read_keep(table: &Table) -> Keep {
    let Some(words) = table.take::<Vec<Word>>("keep") else { return Keep::DEFAULT };
    let keep: Keep = words.into_iter().map(|Word(kept)| kept).collect();
    if !keep.has(Kept::Mtime) {
        table.complain("keep", "must hold \"mtime\": without it changed content cannot be told from unchanged");
    }
    keep
}

/// One word of `keep`.
struct Word(Kept);

impl FromValue for Word {
    fn from_value(value: Value<'_>) -> Result<Word, Wrong> {
        value.text()?.parse().map(Word).map_err(|unknown: proto::keep::UnknownKept| unknown.to_string().into())
    }
}

/// The word of `durability`.
struct Lasting(Durability);

impl FromValue for Lasting {
    fn from_value(value: Value<'_>) -> Result<Lasting, Wrong> {
        match value.text()? {
            "batch" => Ok(Lasting(Durability::Batch)),
            "none" => Ok(Lasting(Durability::None)),
            _ => Err("must be \"batch\" or \"none\"".into()),
        }
    }
}

#[cfg(test)]
mod tests;
