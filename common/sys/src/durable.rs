//! Group commit: waiting until many temporaries, and then their names, survive a power cut.
//!
//! Called by the receiver around publishing. An error is never retried: the kernel has dropped the pages and would say
//! "written" the second time. The batch is thrown away and made again from what the sender still owes.

use std::io;

use proto::Name;

use crate::dir::Dir;
use crate::faults::{self, Verb};
use crate::stage::Staged;
use crate::tree::Tree;

/// Up to so many are flushed one by one; more by one `syncfs`, which costs the same for any number but also waits for
/// what others have written to the file system.
const FEW: usize = 8;

/// Proof that what was published before it survives a power cut. Only [`seal`] makes one.
#[derive(Debug)]
pub struct Durable(());

/// Before publishing: waits for data and metadata of the temporaries. `tree` must be the session's own
/// (see [`Tree`]).
pub fn flush_data(tree: &Tree, staged: &[&Staged]) -> io::Result<()> {
    if !staged.is_empty() {
        faults::ask(Verb::Flush)?;
    }
    if staged.len() > FEW {
        return Ok(rustix::fs::syncfs(tree.fd())?);
    }
    staged.iter().try_for_each(|staged| staged.flush())
}

/// After publishing: waits for the names in the `touched` folders, and for the `files` whose metadata was changed in
/// place. A file that is gone by now needs no flush.
pub fn seal(tree: &Tree, touched: &[&Dir], files: &[(&Dir, &Name)]) -> io::Result<Durable> {
    if !touched.is_empty() || !files.is_empty() {
        faults::ask(Verb::Flush)?;
    }
    if touched.len() + files.len() > FEW {
        rustix::fs::syncfs(tree.fd())?;
        return Ok(Durable(()));
    }
    for (dir, name) in files {
        match dir.sync_file(name) {
            // Replaced by something else: its folder is among the touched.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {}
            // Its mode closes it to us too.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => rustix::fs::syncfs(tree.fd())?,
            synced => synced?,
        }
    }
    touched.iter().try_for_each(|dir| dir.sync())?;
    Ok(Durable(()))
}

/// Waits for all that stands on the file system: after a flush that failed nobody knows which folders it was about.
pub fn flush_all(tree: &Tree) -> io::Result<()> {
    faults::ask(Verb::Flush)?;
    Ok(rustix::fs::syncfs(tree.fd())?)
}
