//! Reading the `[target.NAME]` sections.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::pack::Compress;
use kit::config::{FromValue, Table, Value, Wrong};
use link::{Address, Fingerprint, Trust, Turns};
use proto::login::Password;
use zeroize::Zeroizing;

use super::{Destination, Retry, Target, check_name, default};

/// A target as far as it could be read; `None` where a complaint stands in its way.
pub(super) struct Draft {
    pub(super) table: Table,
    pub(super) name: String,
    pub(super) target: Option<Arc<Target>>,
    /// Address and destination, for the question whether two targets meet.
    pub(super) spot: Option<(Address, Destination)>,
}

pub(super) fn read_targets(root: &Table) -> Vec<Draft> {
    let tables = root.tables("target");
    if tables.is_empty() {
        root.complain(
            "target",
            "there is no target: write a section [target.NAME] with address, module, user and password_file",
        );
    }
    let mut servers = Servers::new();
    tables.into_iter().map(|(name, table)| read_target(name, table, &mut servers)).collect()
}

/// The turns at each server that was named so far.
type Servers = HashMap<Address, Turns>;

fn read_target(name: String, table: Table, servers: &mut Servers) -> Draft {
    check_name(&name, &table);
    let address = table.require::<Dialled>("address").map(|Dialled(address)| address);
    let destination = table.require::<Destination>("module");
    let user = table.require::<String>("user");
    if user.as_ref().is_some_and(|user| user.is_empty() || user.len() > proto::limits::USER) {
        table.complain("user", format!("must have 1 to {} bytes", proto::limits::USER));
    }
    let password_file = table.require::<PathBuf>("password_file");
    if let Some(Err(sentence)) = password_file.as_deref().map(read_password) {
        table.complain("password_file", sentence);
    }
    let trust =
        Trust { ca_file: table.take("ca_file"), fingerprint: table.take::<Pin>("fingerprint").map(|pin| pin.0) };
    if let Err(error) = link::client_config(&trust) {
        table.complain("ca_file", error.to_string());
    }
    let connect_timeout = table.or("connect_timeout", default::connect_timeout());
    if connect_timeout.is_zero() {
        table.complain("connect_timeout", "must be longer than nothing");
    }
    let retry = read_retry(&table);
    let compress = table.or("compress", Level(Compress::Auto)).0;
    let spot = address.clone().zip(destination.clone());
    let target = (|| {
        let (address, destination, user) = (address?, destination?, user?);
        let password_file = password_file?;
        let name = name.clone();
        let turns = servers.entry(address.clone()).or_insert_with(Turns::new).clone();
        Some(Arc::new(Target {
            name,
            address,
            turns,
            destination,
            user,
            password_file,
            trust,
            connect_timeout,
            retry,
            compress,
        }))
    })();
    Draft { table, name, target, spot }
}

fn read_retry(table: &Table) -> Retry {
    let default = default::retry();
    let Some(inner) = table.table("retry") else { return default };
    let first = inner.or("first", default.first);
    let max = inner.or("max", default.max.max(first));
    if first < Duration::from_millis(10) {
        inner.complain("first", "must be at least 10ms");
    }
    if max < first {
        inner.complain("max", "must not be shorter than `first`");
    }
    Retry { first, max }
}

struct Level(Compress);

/// `"auto"`, `"off"`, or a level of zstd.
impl FromValue for Level {
    fn from_value(value: Value<'_>) -> Result<Level, Wrong> {
        let wrong = "must be \"auto\", \"off\" or a level of zstd from 1 to 19";
        if value.is_number() {
            let level = i32::try_from(value.whole()?).ok().filter(|level| (1..=19).contains(level));
            return level.map(|level| Level(Compress::Level(level))).ok_or(wrong.into());
        }
        match value.text()? {
            "auto" => Ok(Level(Compress::Auto)),
            "off" => Ok(Level(Compress::Off)),
            _ => Err(wrong.into()),
        }
    }
}

struct Dialled(Address);

impl FromValue for Dialled {
    fn from_value(value: Value<'_>) -> Result<Dialled, Wrong> {
        value.text()?.parse().map(Dialled).map_err(|error: link::address::NotAnAddress| error.to_string().into())
    }
}

struct Pin(Fingerprint);

impl FromValue for Pin {
    fn from_value(value: Value<'_>) -> Result<Pin, Wrong> {
        value.text()?.parse().map(Pin).map_err(|error: link::fingerprint::NotAFingerprint| error.to_string().into())
    }
}

pub(super) fn read_password(path: &Path) -> Result<Password, String> {
    let bytes = Zeroizing::new(sys::read_secret(path).map_err(|error| error.to_string())?);
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let path = path.display();
    match std::str::from_utf8(line) {
        Ok("") => Err(format!("{path} is empty")),
        Ok(text) if text.contains(['\n', '\r', '\0']) => Err(format!("{path} must hold one line, the password")),
        Ok(text) if text.len() > proto::limits::PASSWORD => {
            Err(format!("{path} holds more than {} bytes: that is no password", proto::limits::PASSWORD))
        }
        Ok(text) => Ok(Password::from(text)),
        Err(_) => Err(format!("{path} is not UTF-8 text")),
    }
}
