//! How an old version leaves its name, whatever takes its place: the one way in which anything in a mirrored folder is
//! replaced, removed, moved or given other metadata.
//!
//! Called by the receiver for each change that it makes. Here [`Protection`](super::Protection) is asked, and here it is
//! decided what becomes of the old version: its [`Fate`](super::fate::Fate).

use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering;

use proto::{Keep, Kept, Kind, Meta, RelPath};
use sys::{Staged, Stat};

use super::replica::Replica;
use super::site::{By, Site};

/// Why an old version keeps its name.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// What stands here is protected: the entry itself, or one beneath it.
    Protected(RelPath),
    /// The peer mirrors no deletions, and this would be one; in words.
    Spared(&'static str),
    /// The file that stands here may be another than it seems, or one that has changed: it gets no metadata in place.
    Unsure,
    /// This file system cannot exchange two names.
    NoExchange,
    /// The operating system refuses it, for a reason of that entry or of the whole disk.
    Failed(io::Error),
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Obstacle {
        Obstacle::Failed(error)
    }
}

/// Why a folder does not make way for another kind of entry.
const IN_THE_WAY: &str = "a folder stands there at the target, and delete is off";
/// Why nothing is removed.
const KEPT: &str = "delete is off";

/// What file systems without `RENAME_EXCHANGE` say.
fn no_exchange(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

impl Replica {
    /// The old version leaves its name, and what `by` says stands there instead; nothing need have stood there. Returns what of
    /// its metadata could not be set, each as "owner 33:33: Operation not permitted (os error 1)".
    ///
    /// INVARIANT: nothing in a replica changes in another way, except the mtimes of folders in which names have changed.
    ///
    /// RACE: at each moment the name shows one version or the other, whole. A file system that cannot exchange two names shows
    /// nothing for a moment where a folder is replaced, or replaces something; an error just then leaves nothing there.
    ///
    /// # Errors
    /// An [`Obstacle`]: the old version still has its name.
    pub(crate) fn displace(&self, site: Site<'_>, by: By<'_>) -> Result<Vec<String>, Obstacle> {
        self.ask_sparing(site, &by)?;
        self.ask_protection(site, &by)?;
        self.fate().before(site, &by)?;
        let none = |()| Vec::new();
        Ok(match by {
            By::Nothing => self.remove(site).map(none)?,
            By::Staged(staged) => self.put(site, staged)?,
            By::Entry(from, stat) => self.move_onto(site, from, stat).map(none)?,
            By::Exchange(other) => match self.exchange(site, other) {
                Err(error) if no_exchange(error.kind()) => return Err(Obstacle::NoExchange),
                exchanged => exchanged.map(none)?,
            },
            By::Metadata(meta, stat) => match site.name {
                Some(_) => self.set_metadata_of_file(site, meta, stat)?,
                None => self.set_metadata(site, meta, stat, self.view().keep)?,
            },
            By::Narrower(meta) => self.set_metadata(site, meta, &site.folder.stat()?, self.narrow_keep())?,
        })
    }

    fn remove(&self, site: Site<'_>) -> io::Result<()> {
        let (dir, name) = (site.folder.dir(), site.name()?);
        let _unlocked = self.stage().unlock(self.tree(), &[(dir, name)], &[site.path])?;
        self.stage().take_out(dir, name)
    }

    fn put(&self, site: Site<'_>, staged: Staged) -> io::Result<Vec<String>> {
        let (dir, name) = (site.folder.dir(), site.name()?);
        let problems = staged.problems().to_vec();
        let _there = self.stage().unlock(self.tree(), &[(dir, name)], &[site.path])?;
        let _new = self.stage().unlock_staged(self.tree(), &staged, site.path)?;
        let birth = staged.birth();
        staged.publish(dir, name, self.stage())?;
        self.wrote(site, birth);
        Ok(problems)
    }

    fn move_onto(&self, to: Site<'_>, from: Site<'_>, stat: &Stat) -> io::Result<()> {
        let (dir, name, to_dir, to_name) = (from.folder.dir(), from.name()?, to.folder.dir(), to.name()?);
        let there = to.stat()?;
        let _unlocked = self.stage().unlock(self.tree(), &[(dir, name), (to_dir, to_name)], &[from.path, to.path])?;
        let moved = match there {
            // Two names of one file: the kernel's rename would leave both.
            Some(there) if there.same_inode(stat) => self.stage().take_out(dir, name),
            // A folder is replaced whole, and at no moment are both names missing.
            Some(there) if there.kind == Kind::Dir || stat.kind == Kind::Dir => {
                match dir.exchange(name, to_dir, to_name) {
                    Ok(()) => self.stage().take_out(dir, name),
                    Err(error) if no_exchange(error.kind()) => {
                        self.stage().take_out(to_dir, to_name)?;
                        dir.rename(name, to_dir, to_name)
                    }
                    Err(error) => Err(error),
                }
            }
            _ => dir.rename(name, to_dir, to_name),
        };
        if moved.is_ok() {
            self.has_moved(from, to);
        }
        moved
    }

    fn exchange(&self, one: Site<'_>, other: Site<'_>) -> io::Result<()> {
        let (dir, name, other_dir, other_name) = (one.folder.dir(), one.name()?, other.folder.dir(), other.name()?);
        let places = [(dir, name), (other_dir, other_name)];
        let _unlocked = self.stage().unlock(self.tree(), &places, &[one.path, other.path])?;
        dir.exchange(name, other_dir, other_name)?;
        self.has_exchanged(one, other);
        Ok(())
    }

    fn set_metadata_of_file(&self, site: Site<'_>, meta: &Meta, stat: &Stat) -> Result<Vec<String>, Obstacle> {
        let (dir, name) = (site.folder.dir(), site.name()?);
        let unlocked = self.stage().unlock_file(self.tree(), (dir, name), site.path)?;
        let found = dir.find(name)?;
        if !self.may_alter(site, &found, stat, meta) {
            return Err(Obstacle::Unsure);
        }
        let problems = found.set_file_meta(meta, self.view().keep)?;
        if self.view().keeps(Kept::Mode) {
            self.stage().has_mode(stat);
        }
        drop(unlocked);
        Ok(problems)
    }

    /// Of the folder itself.
    fn set_metadata(&self, site: Site<'_>, meta: &Meta, stat: &Stat, keep: Keep) -> io::Result<Vec<String>> {
        // Attributes may need the right to write. Of another user's folder the problems tell.
        let _ = self.open_up(site.path);
        let problems = site.folder.dir().set_meta(meta, keep)?;
        if keep.has(Kept::Mode) {
            self.stage().has_mode(stat);
        }
        Ok(problems)
    }

    /// What may be set of a folder of which nobody knows who has put it there: attributes of users give nobody anything.
    fn narrow_keep(&self) -> Keep {
        self.view().keep.iter().filter(|kept| matches!(kept, Kept::Mode | Kept::Mtime | Kept::Xattrs)).collect()
    }

    /// From now on nothing is removed, and no folder leaves its name: by whatever comes there, nor for another. Whether that
    /// is news.
    pub(crate) fn begin_sparing(&self) -> bool {
        !self.sparing.swap(true, Ordering::AcqRel)
    }

    /// Whether that is so.
    pub(crate) fn is_sparing(&self) -> bool {
        self.sparing.load(Ordering::Acquire)
    }

    /// An obstacle where this folder may not make way for a file.
    pub(crate) fn ask_kind(&self, there: Kind) -> Result<(), Obstacle> {
        let spared = there == Kind::Dir && self.is_sparing();
        if spared { Err(Obstacle::Spared(IN_THE_WAY)) } else { Ok(()) }
    }

    /// Of all that is about to leave its name. Where deletions are mirrored it costs no look.
    ///
    /// RACE: a folder that comes to stand there after it was looked at goes.
    fn ask_sparing(&self, site: Site<'_>, by: &By<'_>) -> Result<(), Obstacle> {
        if !self.is_sparing() {
            return Ok(());
        }
        match by {
            By::Metadata(..) | By::Narrower(_) => Ok(()),
            By::Nothing => site.stat()?.map_or(Ok(()), |_| Err(Obstacle::Spared(KEPT))),
            By::Staged(_) => site.stat()?.map_or(Ok(()), |stat| self.ask_kind(stat.kind)),
            By::Entry(other, _) | By::Exchange(other) => {
                let there = [site.stat()?, other.stat()?];
                there.into_iter().flatten().try_for_each(|stat| self.ask_kind(stat.kind))
            }
        }
    }

    /// Of all that is about to leave its name.
    fn ask_protection(&self, site: Site<'_>, by: &By<'_>) -> Result<(), Obstacle> {
        if self.protection().is_empty() {
            return Ok(());
        }
        match by {
            // What is beneath it stays.
            By::Metadata(..) | By::Narrower(_) if self.protection().covers(site.path) => {
                Err(Obstacle::Protected(site.path.clone()))
            }
            By::Metadata(..) | By::Narrower(_) => Ok(()),
            By::Nothing | By::Staged(_) => self.ask_beneath(site),
            By::Entry(other, _) | By::Exchange(other) => self.ask_beneath(*other).and_then(|()| self.ask_beneath(site)),
        }
    }

    /// An obstacle if anything protected stands here or beneath.
    ///
    /// RACE: what comes to stand beneath a folder after it was looked at goes with the folder.
    fn ask_beneath(&self, site: Site<'_>) -> Result<(), Obstacle> {
        let Some(stat) = site.stat()? else { return Ok(()) };
        let mut left = vec![(site.path.clone(), stat.kind)];
        while let Some((path, kind)) = left.pop() {
            if self.protection().covers(&path) {
                return Err(Obstacle::Protected(path));
            }
            if kind != Kind::Dir {
                continue;
            }
            let folder = match self.folder(&path) {
                // Gone since, or another file system, which is not taken along.
                Err(error) if sys::is_absence(&error) || error.kind() == ErrorKind::CrossesDevices => continue,
                folder => folder?,
            };
            for child in folder.children()? {
                let kind = match child.kind {
                    Some(kind) => kind,
                    None => folder.look(&child.name)?.map_or(Kind::File, |stat| stat.kind),
                };
                left.push((path.join(&child.name).map_err(io::Error::other)?, kind));
            }
        }
        Ok(())
    }
}
