//! The folders of the modules: each there, none the root of the host, none within another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kit::config::Table;

use crate::modules::Root;
use crate::openness::Openness;

/// Those that were read so far.
#[derive(Default)]
pub(super) struct Roots(Vec<(String, Arc<Root>)>);

impl Roots {
    /// Checks one more, and complains at its key `path`.
    pub(super) fn add(&mut self, name: &str, path: PathBuf, table: &Table) -> Option<Arc<Root>> {
        match self.check(name, &path) {
            Ok(root) => {
                self.0.push((name.to_owned(), root.clone()));
                Some(root)
            }
            Err(sentence) => {
                table.complain("path", sentence);
                None
            }
        }
    }

    /// Warns of those to which other users of this host can come. When all are known.
    pub(super) fn warn_of_open_ones(&self, tables: &[(String, Table)]) {
        let paths: Vec<&Path> = self.0.iter().map(|(_, root)| root.path()).collect();
        for (name, table) in tables {
            let root = self.0.iter().find(|(known, _)| known == name);
            if let Some(open) = root.and_then(|(_, root)| Openness::of(root.path(), &paths)) {
                table.warn("path", open.to_string());
            }
        }
    }

    /// The folder without links in its path, so that its name means the same for as long as recvd runs.
    fn check(&self, module: &str, path: &Path) -> Result<Arc<Root>, String> {
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
        let root = Root::at(module, real.clone()).map_err(|error| format!("{shown}: {error}"))?;
        for (name, other) in &self.0 {
            let (id, other) = (other.id(), other.path());
            if real == other || root.id() == id {
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
        Ok(Arc::new(root))
    }
}
