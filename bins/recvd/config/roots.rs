//! The folders of the modules: each there, none the root of the host, none within another.

use std::path::{Path, PathBuf};

use kit::config::Table;
use sys::RootId;

/// Those that were read so far.
#[derive(Default)]
pub(super) struct Roots(Vec<(String, PathBuf, RootId)>);

impl Roots {
    /// Checks one more, and complains at its key `path`.
    pub(super) fn add(&mut self, name: &str, path: PathBuf, table: &Table) -> Option<(PathBuf, RootId)> {
        match self.check(&path) {
            Ok((real, id)) => {
                self.0.push((name.to_owned(), real.clone(), id));
                Some((real, id))
            }
            Err(sentence) => {
                table.complain("path", sentence);
                None
            }
        }
    }

    /// The folder without links in its path, so that its name means the same for as long as recvd runs.
    fn check(&self, path: &Path) -> Result<(PathBuf, RootId), String> {
        let shown = path.display();
        let real = sys::paths::canonical(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("{shown} does not exist: make it, or mount the disk that it is on"),
            _ => format!("{shown}: {error}"),
        })?;
        if real == Path::new("/") {
            return Err("must not be /: name a folder for this module alone".into());
        }
        if !sys::paths::is_dir(&real) {
            return Err(format!("{shown} is not a folder"));
        }
        let id = sys::identity_at(&real).map_err(|error| format!("{shown}: {error}"))?;
        for (name, other, other_id) in &self.0 {
            if real == *other || id == *other_id {
                return Err(format!("{shown} is the folder of module {name}, too: give each its own"));
            }
            if real.starts_with(other) {
                return Err(format!(
                    "{shown} is within {}, the folder of module {name}: give each its own",
                    other.display()
                ));
            }
            if other.starts_with(&real) {
                return Err(format!(
                    "{shown} holds {}, the folder of module {name}: give each its own",
                    other.display()
                ));
            }
        }
        Ok((real, id))
    }
}
