//! Operations that move or take away names: `Remove`, `Rename`, `Exchange`.

use std::io::{self, ErrorKind};

use proto::{Kind, Outcome, RelPath};

use super::Changes;
use crate::receiver::verdict::{self, Verdict};

impl Changes {
    /// What is not there is removed already.
    pub(super) fn remove(&mut self, path: &RelPath) -> Verdict {
        let (folder, name) = match self.parent(path) {
            Err(Outcome::Absent) => return Ok(()),
            parent => parent?,
        };
        self.touch(&folder)?;
        let failed = |error: io::Error| verdict::of_names("remove it", &error, &[(&folder.dir, &name)]);
        let unlocked = self.stage.unlock(&self.tree, &[(&folder.dir, &name)], &[path]).map_err(failed)?;
        let taken = self.stage.take_out(&folder.dir, &name);
        drop(unlocked);
        self.folders.moved(path);
        taken.map_err(failed)
    }

    pub(super) fn rename(&mut self, from: &RelPath, to: &RelPath) -> Verdict {
        let failed = |error| verdict::of("rename it", &error);
        let (folder, name) = self.parent(from)?;
        let Some(stat) = folder.dir.lookup(&name).map_err(failed)? else { return Err(Outcome::Absent) };
        let (to_folder, to_name) = self.parent(to)?;
        let there = to_folder.dir.lookup(&to_name).map_err(failed)?;
        self.touch(&folder)?;
        self.touch(&to_folder)?;
        let places = [(&folder.dir, &name), (&to_folder.dir, &to_name)];
        let failed = |error| verdict::of_names("rename it", &error, &places);
        let _unlocked = self.stage.unlock(&self.tree, &places, &[from, to]).map_err(failed)?;
        let renamed = match there {
            // Two names of one file: the kernel's rename would leave both.
            Some(there) if (there.dev, there.ino) == (stat.dev, stat.ino) => self.stage.take_out(&folder.dir, &name),
            // A folder is replaced whole, and at no moment are both names missing.
            Some(there) if there.kind == Kind::Dir || stat.kind == Kind::Dir => {
                match folder.dir.exchange(&name, &to_folder.dir, &to_name) {
                    Ok(()) => self.stage.take_out(&folder.dir, &name),
                    Err(error) if no_exchange(error.kind()) => self
                        .stage
                        .take_out(&to_folder.dir, &to_name)
                        .and_then(|()| folder.dir.rename(&name, &to_folder.dir, &to_name)),
                    Err(error) => Err(error),
                }
            }
            _ => folder.dir.rename(&name, &to_folder.dir, &to_name),
        };
        self.folders.moved(from);
        self.folders.moved(to);
        renamed.map_err(failed)
    }

    pub(super) fn exchange(&mut self, a: &RelPath, b: &RelPath) -> Verdict {
        let failed = |error| verdict::of("exchange it", &error);
        let (a_folder, a_name) = self.parent(a)?;
        let (b_folder, b_name) = self.parent(b)?;
        let a_stat = a_folder.dir.lookup(&a_name).map_err(failed)?;
        let b_stat = b_folder.dir.lookup(&b_name).map_err(failed)?;
        if a_stat.is_none() || b_stat.is_none() {
            return Err(Outcome::Absent);
        }
        self.touch(&a_folder)?;
        self.touch(&b_folder)?;
        let places = [(&a_folder.dir, &a_name), (&b_folder.dir, &b_name)];
        let failed = |error| verdict::of_names("exchange it", &error, &places);
        let _unlocked = self.stage.unlock(&self.tree, &places, &[a, b]).map_err(failed)?;
        let exchanged = a_folder.dir.exchange(&a_name, &b_folder.dir, &b_name);
        self.folders.moved(a);
        self.folders.moved(b);
        exchanged.map_err(|error| match error.kind() {
            // Not every file system can: the sender looks at both and sends what differs.
            kind if no_exchange(kind) => Outcome::Absent,
            _ => failed(error),
        })
    }
}

/// What file systems without `RENAME_EXCHANGE` say.
fn no_exchange(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::InvalidInput | ErrorKind::Unsupported)
}
