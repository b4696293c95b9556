//! Whether other users of this host can come to a module, and what to type so that they cannot: where they can, what they put
//! there is told from what recvd has written by sending it again.

use std::fmt;
use std::path::{Path, PathBuf};

use sys::enclosure;

/// Of a module to which other users can come.
#[derive(Debug, PartialEq, Eq)]
pub struct Openness {
    path: PathBuf,
    /// The folder to close; none where that is not ours, so that a mode is not all it takes.
    close: Option<PathBuf>,
}

impl Openness {
    /// Of the module at `path`, one of `modules`; `None` where others are shut out.
    pub fn of(path: &Path, modules: &[&Path]) -> Option<Openness> {
        let open = || Openness { path: path.into(), close: enclosure::to_close(path, modules) };
        enclosure::is_open(path).then(open)
    }

    /// What to type, where that is all it takes.
    pub fn command(&self) -> Option<String> {
        Some(format!("chmod 700 {}", quoted(self.close.as_ref()?)))
    }
}

impl fmt::Display for Openness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "other users of this host can come to it: files that were not written since the start of recvd are sent again when \
             only their mode, owner or attributes change. To shut them out, ",
        )?;
        match self.command() {
            None => f.write_str("move it into a folder with mode 0700 of root or of the user that recvd runs as"),
            Some(command) if self.close.as_ref() == Some(&self.path) => {
                write!(f, "type: {command} (a source that is mirrored right into it brings its own mode along)")
            }
            Some(command) => write!(f, "type: {command}"),
        }
    }
}

/// As a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@:,=".contains(&byte));
    if plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_typed_as_it_stands_there() {
        let open = |path: &str, close: Option<&str>| Openness { path: path.into(), close: close.map(PathBuf::from) };
        let above = open("/srv/backup/www", Some("/srv/backup"));
        assert!(above.to_string().ends_with("To shut them out, type: chmod 700 /srv/backup"), "{above}");
        let itself = open("/srv/it's a backup", Some("/srv/it's a backup"));
        assert_eq!(itself.command().unwrap(), r"chmod 700 '/srv/it'\''s a backup'");
        assert!(itself.to_string().ends_with("brings its own mode along)"), "{itself}");
        let foreign = open("/srv/of-another", None);
        assert!(foreign.command().is_none() && foreign.to_string().contains("0700"), "{foreign}");
    }
}
