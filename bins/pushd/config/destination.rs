//! What to open at a target, as it stands in `pushd.toml`.

use std::fmt;

use kit::config::{FromValue, Value, Wrong};
use proto::RelPath;

/// `www/web1`: a module, or a folder inside of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The name of the module.
    pub module: String,
    /// The folder in it, the root for all of it.
    pub folder: RelPath,
}

impl Destination {
    /// Whether one of the two is the other or stands inside of it.
    pub fn meets(&self, other: &Destination) -> bool {
        self.module == other.module && (self.folder.is_within(&other.folder) || other.folder.is_within(&self.folder))
    }
}

impl FromValue for Destination {
    fn from_value(value: Value<'_>) -> Result<Destination, Wrong> {
        let text = value.text()?;
        let (module, folder) = text.split_once('/').unwrap_or((text, ""));
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if module.is_empty() || module.len() > proto::limits::USER || !module.chars().all(fits) {
            return Err("must begin with the name of a module: letters, digits, `-`, `_` or `.`".into());
        }
        let folder = folder.strip_suffix('/').unwrap_or(folder);
        match RelPath::parse(folder.as_bytes()) {
            Ok(folder) if sys::stage::is_reserved_path(&folder) => {
                Err("the folder inside of the module has a name that begins with `.recvd-`: those are recvd's own"
                    .into())
            }
            Ok(folder) => Ok(Destination { module: module.to_owned(), folder }),
            Err(error) => Err(format!("the folder inside of the module {error}").into()),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.folder.is_root() { f.write_str(&self.module) } else { write!(f, "{}/{}", self.module, self.folder) }
    }
}
