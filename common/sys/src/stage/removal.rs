//! How what stands in the tree leaves it: at once and as a whole, also a folder with all beneath it, which is emptied where
//! nobody sees it.
//!
//! Called by the engine for what is to be removed, and when something of another kind is to stand there.

use std::io;
use std::os::fd::BorrowedFd;

use proto::Name;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::{PREFIX, RESTLESS, Seat, Stage, StageDir, TRIES};
use crate::dir::Dir;
use crate::faults::{self, Verb};
use crate::moves::{self, At};
use crate::process;
use crate::procfs::ProcPath;
use crate::remove;
use crate::room::Lack;
use crate::stat::Stat;

impl Stage {
    /// What stands at `name` vanishes at once: a folder is moved into the stage and deleted there, of any size and
    /// depth. Nothing there is success. What of a folder cannot be deleted stays in the stage, out of sight, and is
    /// logged.
    pub fn take_out(&self, dir: &Dir, name: &Name) -> io::Result<()> {
        faults::ask(Verb::Change)?;
        for _ in 0..TRIES {
            match remove::unlink(dir.fd(), name.as_bytes()) {
                Err(Errno::ISDIR) => {}
                done => return Ok(done?),
            }
            match rustix::fs::unlinkat(dir.fd(), name.as_bytes(), AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::NOTEMPTY | Errno::EXIST) => return self.move_out(dir, name),
                // Something else than a moment ago.
                Err(Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other(RESTLESS))
    }

    /// Moves what stands at the name into the stage and deletes it there.
    fn move_out(&self, dir: &Dir, name: &Name) -> io::Result<()> {
        let seat = match Seat::take(self) {
            Err(error) if Lack::of(&error) == Some(Lack::Room) => return self.remove_here(dir, name),
            seat => seat?,
        };
        let taken = self.next_name();
        match moves::rename(dir.at(name), At { folder: seat.folder.fd(), name: taken.as_bytes() }) {
            Ok(()) => discard(&seat.folder, &taken),
            Err(Errno::NOENT) if Stat::at(dir.fd(), name.as_bytes())?.is_none() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Where there is no room for the stage: the folder itself gets a name that nobody sees, and is emptied there.
    fn remove_here(&self, dir: &Dir, name: &Name) -> io::Result<()> {
        let root = self.tree.root()?;
        let hidden = format!("{}{:016x}", PREFIX.escape_ascii(), u64::from_ne_bytes(process::random()?));
        let mut state = self.state();
        let before = state.mtime_of(&root)?;
        let away = At { folder: root.fd(), name: hidden.as_bytes() };
        let emptied = match moves::rename(dir.at(name), away) {
            Ok(()) => remove::emptied(away),
            // RACE: there is not even room for a name. Until the folder is empty it is seen with less and less in it.
            Err(Errno::NOSPC | Errno::DQUOT) => remove::emptied(dir.at(name)),
            Err(error) => Err(error.into()),
        };
        let restored = state.restore(&root, before);
        emptied.and(restored)
    }

    /// What stands at `name` stands at `to_name` and replaces whatever stood there, also a folder with all beneath it.
    /// At each moment the new name shows the old entry or the new one.
    pub fn replace(&self, dir: &Dir, name: &Name, to: &Dir, to_name: &Name) -> io::Result<()> {
        faults::ask(Verb::Change)?;
        match dir.rename(name, to, to_name) {
            Err(error) if in_the_way(&error) => {
                dir.exchange(name, to, to_name)?;
                self.take_out(dir, name)
            }
            done => done,
        }
    }
}

/// Removes something in the stage that has no other name any more.
pub(super) fn discard(folder: &StageDir, name: &str) {
    if let Err(error) = remove::remove(folder.fd(), name.as_bytes()) {
        tracing::warn!("{}", stays(folder.fd(), name, &error));
    }
}

fn stays(folder: BorrowedFd<'_>, name: &str, error: &io::Error) -> String {
    let path = ProcPath::shown(folder, name.as_bytes());
    format!("cannot remove what was taken out of the tree; it stays as {path}: {error}")
}

/// What rename says when a folder stands in the way, or is to stand where something else is.
fn in_the_way(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::ISDIR | Errno::NOTDIR | Errno::NOTEMPTY | Errno::EXIST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mounts, Tree};

    #[test]
    fn what_stays_is_named_with_its_path() {
        let place = tempfile::tempdir().unwrap();
        let root = Tree::open(place.path(), Mounts::Stay).unwrap().root().unwrap();
        let folder = StageDir::make(&root, "stage").unwrap();
        let said = stays(folder.fd(), "7", &Errno::PERM.into());
        let path = place.path().canonicalize().unwrap().join("stage/7");
        assert!(said.contains(&format!("it stays as {}: ", path.display())), "{said}");
    }
}
