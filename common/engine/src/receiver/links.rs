//! Hard links: `Link` joins names to one file, `Settle` parts names that share a file here but not at the sender.
//!
//! A listing does not say which names share a file. So `Compare` notes the files with several names, `Link` notes which
//! of them belong together, and `Settle` parts the rest.

use std::collections::HashMap;
use std::rc::Rc;

use proto::login::Durability;
use proto::{Kept, Kind, Outcome, RelPath};

use super::compare::Answer;
use super::publish::Replica;
use super::verdict::{self, Verdict};

/// Bytes of all that is noted, about. Beyond it nothing is parted at the next `Settle`: names that share a file here
/// keep sharing it though the sender has equal but separate files, until one of them changes; no content is ever wrong.
const BOOK: usize = 32 * 1024 * 1024;
/// What one note costs besides its path, about.
const NOTE: usize = 96;

/// What is known of names that share files, since the last `Settle`.
#[derive(Debug, Default)]
pub(super) struct LinkBook {
    /// Names seen, by device and inode.
    seen: HashMap<(u64, u64), Vec<RelPath>>,
    /// Names in groups of the sender, with the first name of their group.
    groups: HashMap<RelPath, Rc<RelPath>>,
    bytes: usize,
    overflow: bool,
}

/// Names that share a file, by the groups of the sender that they belong to.
struct Joined {
    /// Device and inode.
    inode: (u64, u64),
    groups: Vec<Vec<RelPath>>,
}

impl LinkBook {
    /// Notes what a `Compare` has seen.
    pub(super) fn note(&mut self, answer: &Answer) {
        for shared in &answer.shared {
            // A path beyond the limits cannot be named by the sender either.
            let Ok(path) = answer.path.join(&shared.name) else { continue };
            if self.afford(&path) {
                self.seen.entry(shared.inode).or_default().push(path);
            }
        }
    }

    fn join(&mut self, first: &RelPath, others: &[RelPath]) {
        let key = self.groups.get(first).map_or_else(|| Rc::new(first.clone()), Rc::clone);
        for path in std::iter::once(first).chain(others) {
            if self.afford(path) {
                self.groups.insert(path.clone(), Rc::clone(&key));
            }
        }
    }

    fn afford(&mut self, path: &RelPath) -> bool {
        self.bytes += NOTE + path.as_bytes().len();
        if self.bytes > BOOK && !self.overflow {
            tracing::info!("too many hard links to part those that the source has not; they stay joined");
            self.overflow = true;
            self.seen = HashMap::new();
            self.groups = HashMap::new();
        }
        !self.overflow
    }

    /// Adds the names of each group that were joined to it, wherever they are.
    fn with_all_names(&self, files: Vec<Seen>) -> Vec<Joined> {
        let mut members: HashMap<&RelPath, Vec<&RelPath>> = HashMap::new();
        if !files.is_empty() {
            self.groups.iter().for_each(|(path, first)| members.entry(first).or_default().push(path));
        }
        let whole = |(first, mut seen): (RelPath, Vec<RelPath>)| {
            seen.extend(members.get(&first).into_iter().flatten().map(|path| (*path).clone()));
            seen
        };
        let joined = |(inode, groups): Seen| Joined { inode, groups: groups.into_iter().map(whole).collect() };
        files.into_iter().map(joined).collect()
    }

    /// The names within `folder` that share a file, each file's in groups that belong together, with names elsewhere that
    /// belong to them, too; forgets what is within.
    fn settle(&mut self, folder: &RelPath) -> Vec<Joined> {
        let mut files = Vec::new();
        for (inode, names) in &mut self.seen {
            let mut groups: HashMap<RelPath, Vec<RelPath>> = HashMap::new();
            for path in names.extract_if(.., |path| path.is_within(folder)) {
                let key = self.groups.get(&path).map_or_else(|| path.clone(), |first| (**first).clone());
                groups.entry(key).or_default().push(path);
            }
            if groups.len() > 1 {
                files.push((*inode, groups));
            }
        }
        let files = self.with_all_names(files);
        self.seen.retain(|_, names| !names.is_empty());
        self.groups.retain(|path, _| !path.is_within(folder));
        let left = self.seen.values().flatten().chain(self.groups.keys());
        self.bytes = left.map(|path| NOTE + path.as_bytes().len()).sum();
        self.overflow = false;
        files
    }
}

/// Device and inode, with the names seen by the first name of their group.
type Seen = ((u64, u64), HashMap<RelPath, Vec<RelPath>>);

impl Replica {
    /// Makes `others` names of what stands at `first`.
    pub(super) fn link(&mut self, first: &RelPath, others: &[RelPath]) -> Verdict {
        if !self.keep.has(Kept::Hardlinks) {
            return Err(verdict::refused("the module keeps no hard links"));
        }
        let failed = |error| verdict::of("link it", &error);
        let (folder, name) = self.parent(first)?;
        let Some(stat) = folder.dir.lookup(&name).map_err(failed)? else { return Err(Outcome::Absent) };
        if stat.kind == Kind::Dir {
            return Err(Outcome::Absent);
        }
        for other in others {
            let (other_folder, other_name) = self.parent(other)?;
            let there = other_folder.dir.lookup(&other_name).map_err(failed)?;
            if there.is_none_or(|there| (there.dev, there.ino) != (stat.dev, stat.ino)) {
                let staged = self.stage.link(&folder.dir, &name).map_err(failed)?;
                self.publish(other, staged)?;
            }
        }
        self.links.join(first, others);
        Ok(())
    }

    /// Parts names within `path` that share a file but are in no group together.
    pub(super) fn settle(&mut self, path: &RelPath) -> Verdict {
        let mut verdict = Ok(());
        for Joined { inode, mut groups } in self.links.settle(path) {
            for group in &mut groups {
                group.sort_unstable();
                group.dedup();
                group.retain(|name| self.stands(name, inode));
            }
            // The largest keeps the file; every other gets one of its own.
            groups.retain(|group| !group.is_empty());
            groups.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
            for group in groups.iter().skip(1) {
                if let Err(outcome) = self.part(group) {
                    verdict = Err(outcome);
                }
            }
        }
        verdict
    }

    /// Whether this name is (still) that file. One that cannot be looked at is left alone.
    fn stands(&mut self, path: &RelPath, inode: (u64, u64)) -> bool {
        let Ok((folder, name)) = self.parent(path) else { return false };
        let stat = folder.dir.lookup(&name).ok().flatten();
        stat.is_some_and(|stat| (stat.dev, stat.ino) == inode)
    }

    /// Gives the names of `group` a file of their own with the same content.
    fn part(&mut self, group: &[RelPath]) -> Verdict {
        let failed = |error| verdict::of("part it from another file", &error);
        let mut parted: Option<&RelPath> = None;
        for path in group {
            let (folder, name) = self.parent(parted.unwrap_or(path))?;
            let staged = match parted {
                Some(_) => self.stage.link(&folder.dir, &name).map_err(failed)?,
                None => {
                    let staged = self.stage.copy(&folder.dir, &name).map_err(failed)?;
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
