//! Operations that move or take away names: `Remove`, `Rename`, `Exchange`.

use proto::{Outcome, RelPath};

use super::Changes;
use crate::receiver::outcome::{self, Done};
use crate::view::{By, Site};

impl Changes {
    /// What is not there is removed already.
    pub(super) fn remove(&mut self, path: &RelPath) -> Done {
        let (folder, name) = match self.parent(path) {
            Err(Outcome::Absent) => return Ok(()),
            parent => parent?,
        };
        self.touch(&folder)?;
        self.displace("remove it", Site::entry(&folder, &name, path), By::Nothing)
    }

    pub(super) fn rename(&mut self, from: &RelPath, to: &RelPath) -> Done {
        let failed = |error| outcome::of("rename it", &error);
        let (folder, name) = self.parent(from)?;
        let Some(stat) = folder.look(&name).map_err(failed)? else { return Err(Outcome::Absent) };
        let (to_folder, to_name) = self.parent(to)?;
        self.touch(&folder)?;
        self.touch(&to_folder)?;
        let moved = Site::entry(&folder, &name, from);
        self.displace("rename it", Site::entry(&to_folder, &to_name, to), By::Entry(moved, &stat))
    }

    pub(super) fn exchange(&mut self, a: &RelPath, b: &RelPath) -> Done {
        let failed = |error| outcome::of("exchange it", &error);
        let (a_folder, a_name) = self.parent(a)?;
        let (b_folder, b_name) = self.parent(b)?;
        let a_stat = a_folder.look(&a_name).map_err(failed)?;
        let b_stat = b_folder.look(&b_name).map_err(failed)?;
        if a_stat.is_none() || b_stat.is_none() {
            return Err(Outcome::Absent);
        }
        self.touch(&a_folder)?;
        self.touch(&b_folder)?;
        let other = Site::entry(&b_folder, &b_name, b);
        self.displace("exchange it", Site::entry(&a_folder, &a_name, a), By::Exchange(other))
    }
}
