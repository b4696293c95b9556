//! What was changed, kept through a power cut. A flush that failed is never tried again: the kernel says "written" then.

use std::io;

use proto::Name;
use sys::{Dir, Durable, Staged, durable};

use super::Replica;
use crate::view::Folder;

impl Replica {
    /// Waits until these contents survive a power cut.
    ///
    /// # Errors
    /// Of a failing disk; never to be tried again.
    pub(crate) fn flush(&self, staged: &[&Staged]) -> io::Result<()> {
        if staged.is_empty() { Ok(()) } else { durable::flush_data(self.tree(), staged) }
    }

    /// Waits until all that stands there survives a power cut.
    ///
    /// # Errors
    /// The same as of [`flush`](Replica::flush).
    pub(crate) fn flush_all(&self) -> io::Result<()> {
        durable::flush_all(self.tree())
    }

    /// Waits until the names in these folders survive a power cut, and the metadata of these files.
    ///
    /// # Errors
    /// The same as of [`flush`](Replica::flush).
    pub(crate) fn seal(&self, folders: &[&Folder], files: &[(&Folder, &Name)]) -> io::Result<Durable> {
        let folders: Vec<&Dir> = folders.iter().map(|folder| folder.dir()).collect();
        let files: Vec<(&Dir, &Name)> = files.iter().map(|(folder, name)| (folder.dir(), *name)).collect();
        durable::seal(self.tree(), &folders, &files)
    }
}
