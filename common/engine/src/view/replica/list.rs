//! Lists a folder of a replica, to be compared with the sender's.

use std::io;

use proto::{Kept, Kind, Name, RelPath, digest};

use super::Replica;
use crate::parts::in_parts;
use crate::view::{Folder, Inode, Listing};

impl Replica {
    /// What stands in the folder at a path, without temporaries, looked at by up to so many threads if there is much. Kinds
    /// that are not made here are listed too, so that the sender can have them removed. Of files with several names, if those
    /// are kept.
    ///
    /// LIMIT: the whole listing is held in memory while it is compared and sent, about 200 bytes an entry.
    ///
    /// # Errors
    /// Of the operating system, also of a single entry: one that is missing here would be taken for one that does not exist.
    pub(crate) fn list(&self, path: &RelPath, threads: usize) -> io::Result<Listing> {
        let list = || self.list_folder(&self.view.folder(path)?, threads);
        match list() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.open_up(path)?;
                list()
            }
            listed => listed,
        }
    }

    fn list_folder(&self, folder: &Folder, threads: usize) -> io::Result<Listing> {
        let mut names: Vec<Name> = folder.children()?.into_iter().map(|child| child.name).collect();
        names.sort_unstable();
        let mut listing = Listing::default();
        for part in in_parts(names, threads, |part| self.look_at(folder, part)) {
            listing.append(part?);
        }
        listing.digest = digest::folder(&listing.entries);
        Ok(listing)
    }

    fn look_at(&self, folder: &Folder, names: Vec<Name>) -> io::Result<Listing> {
        let mut listing = Listing { entries: Vec::with_capacity(names.len()), ..Listing::default() };
        let (view, inside) = (self.view(), folder.dir().inside());
        for name in names {
            // RACE: a name may vanish after it was listed; then it is as if it had never been there.
            let Some(mut stat) = folder.look(&name)? else { continue };
            if folder.leaves_out(&name, stat.kind).is_some() {
                continue;
            }
            stat.mode = self.mode_before(&stat).unwrap_or(stat.mode);
            let extra = match inside.extra(&name, &stat, view.keep) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    let _unlocked = self.unlock_reading(folder, &name)?;
                    inside.extra(&name, &stat, view.keep)?
                }
                extra => extra?,
            };
            if stat.kind == Kind::File && stat.nlink > 1 && view.keeps(Kept::Hardlinks) {
                listing.linked.push((name.clone(), Inode::of(&stat)));
            }
            listing.nodes.push((stat.dev, stat.ino));
            listing.entries.push(stat.entry(name, extra, view.keep));
        }
        Ok(listing)
    }
}
