//! Hard links: `Link` joins names to one file, `Settle` parts names that share a file here but not at the sender.
//!
//! A listing does not say which names share a file. So the [`book`](super::book) notes the files with several names that a
//! `Compare` sees, and which of them a `Link` says belong together; `Settle` parts the rest.

use proto::login::Durability;
use proto::{Kept, Kind, Name, Outcome, RelPath};
use sys::Stat;

use super::Changes;
use super::book::Joined;
use crate::receiver::outcome::{self, Done};
use crate::view::Folder;

impl Changes {
    /// Makes `others` names of what stands at `first`. One that cannot be is no reason to leave the next as it is: of several
    /// the first that could not be is told.
    pub(super) fn link(&mut self, first: &RelPath, others: &[RelPath]) -> Done {
        if !self.replica.view().keeps(Kept::Hardlinks) {
            return Err(outcome::refused("the module keeps no hard links"));
        }
        let failed = |error| outcome::of("link it", &error);
        let (folder, name) = self.parent(first)?;
        let Some(stat) = folder.look(&name).map_err(failed)? else { return Err(Outcome::Absent) };
        if stat.kind == Kind::Dir {
            return Err(Outcome::Absent);
        }
        let (mut joined, mut done) = (Vec::new(), Ok(()));
        for other in others {
            let one = self.join((&folder, &name), &stat, other);
            if outcome::is_done(&one) {
                joined.push(other.clone());
            }
            let goes_on =
                matches!(one, Ok(()) | Err(Outcome::Partly { .. } | Outcome::Refused { .. } | Outcome::Absent));
            done = if goes_on { done.and(one) } else { one };
            if !goes_on {
                break;
            }
        }
        self.links.join(first, &joined);
        done
    }

    /// Makes `other` one more name of the file that has this one.
    fn join(&mut self, (folder, name): (&Folder, &Name), file: &Stat, other: &RelPath) -> Done {
        let failed = |error| outcome::of("link it", &error);
        let (other_folder, other_name) = self.parent(other)?;
        let there = other_folder.look(&other_name).map_err(failed)?;
        if there.is_some_and(|there| there.same_inode(file)) {
            return Ok(());
        }
        let staged = self.replica.link(folder, name).map_err(failed)?;
        self.publish(other, staged)
    }

    /// Parts names within `path` that share a file but are in no group together.
    pub(super) fn settle(&mut self, path: &RelPath) -> Done {
        let mut done = Ok(());
        for Joined { inode, mut groups } in self.links.settle(path) {
            for group in &mut groups {
                group.retain(|name| self.is_still(name, inode));
            }
            // The largest keeps the file; every other gets one of its own.
            groups.retain(|group| !group.is_empty());
            groups.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
            for group in groups.iter().skip(1) {
                if let Err(outcome) = self.part(group) {
                    done = Err(outcome);
                }
            }
        }
        done
    }

    /// Whether this name is still one of that file. Not where it cannot be looked at: such a one is left alone.
    fn is_still(&mut self, path: &RelPath, inode: (u64, u64)) -> bool {
        let Ok((folder, name)) = self.parent(path) else { return false };
        let stat = folder.look(&name).ok().flatten();
        stat.is_some_and(|stat| (stat.dev, stat.ino) == inode)
    }

    /// Gives the names of `group` a file of their own with the same content.
    fn part(&mut self, group: &[RelPath]) -> Done {
        let failed = |error| outcome::of("part it from another file", &error);
        let mut parted: Option<&RelPath> = None;
        for path in group {
            let (folder, name) = self.parent(parted.unwrap_or(path))?;
            let staged = match parted {
                Some(_) => self.replica.link(&folder, &name).map_err(failed)?,
                None => {
                    let staged = self.replica.copy(&folder, &name).map_err(failed)?;
                    if self.durability == Durability::Batch {
                        staged.flush().map_err(failed)?;
                    }
                    staged
                }
            };
            self.publish(path, staged)?;
            parted = Some(path);
        }
        Ok(())
    }
}
