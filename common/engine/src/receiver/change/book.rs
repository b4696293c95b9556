//! What is known of names that share files, between one `Settle` and the next. Only paths and inode numbers: nothing here
//! touches the disk.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use proto::RelPath;

use crate::receiver::answer::Answer;
use crate::receiver::memory::{Charge, Retained};

/// Bytes that the notes may take, about; fewer where there is no memory for them. Beyond them the next `Settle` parts
/// nothing: names that share a file here go on sharing it, though the sender has files that are separate and equal, until one
/// of them changes. No content is ever wrong.
const BOOK: usize = 32 * 1024 * 1024;
/// What one note costs besides its path, about.
const NOTE: usize = 128;

/// What is known of names that share files, since the last `Settle`.
#[derive(Debug)]
pub(super) struct LinkBook {
    /// Names seen, by device and inode.
    seen: HashMap<(u64, u64), Vec<RelPath>>,
    /// Names in groups of the sender, with the first name of their group.
    groups: HashMap<RelPath, Rc<RelPath>>,
    bytes: usize,
    charge: Charge,
    overflow: bool,
}

/// Names that share a file, by the groups of the sender that they belong to; all in order of paths.
pub(super) struct Joined {
    /// Device and inode number of the file that they all name.
    pub inode: (u64, u64),
    pub groups: Vec<Vec<RelPath>>,
}

impl LinkBook {
    pub(super) fn new(retained: &Retained) -> LinkBook {
        let (seen, groups) = Default::default();
        LinkBook { seen, groups, bytes: 0, charge: retained.no_extra(), overflow: false }
    }

    /// Notes what a `Compare` has seen.
    pub(super) fn note(&mut self, answer: &Answer) {
        let Some(linked) = answer.linked.all() else { return self.give_up() };
        for (name, node) in linked {
            // A path beyond the limits cannot be named by the sender either.
            let Ok(path) = answer.path.join(name) else { continue };
            if self.afford(&path) {
                self.seen.entry(*node).or_default().push(path);
            }
        }
    }

    pub(super) fn join(&mut self, first: &RelPath, others: &[RelPath]) {
        let key = match self.groups.get(first).map(Rc::clone) {
            Some(key) => key,
            None if self.afford(first) => Rc::new(first.clone()),
            None => return,
        };
        for path in std::iter::once(first).chain(others) {
            if self.afford(path) {
                self.groups.insert(path.clone(), Rc::clone(&key));
            }
        }
    }

    fn afford(&mut self, path: &RelPath) -> bool {
        if self.overflow {
            return false;
        }
        self.bytes += weight(path);
        if self.bytes > BOOK || !self.charge.try_cover(self.bytes) {
            self.give_up();
        }
        !self.overflow
    }

    /// Until the next `Settle`, which parts nothing.
    fn give_up(&mut self) {
        if !self.overflow {
            tracing::info!("too many hard links to part those that the source has not; they stay joined");
        }
        self.overflow = true;
        self.seen = HashMap::new();
        self.groups = HashMap::new();
        self.bytes = 0;
        self.charge.becomes(0);
    }

    /// Completes each group with the names that a `Link` has joined to it, also in other folders.
    fn with_all_names(&self, files: Vec<Seen>) -> Vec<Joined> {
        let mut members: HashMap<&RelPath, Vec<&RelPath>> = HashMap::new();
        if !files.is_empty() {
            self.groups.iter().for_each(|(path, first)| members.entry(first).or_default().push(path));
        }
        let whole = |(first, mut seen): (RelPath, Vec<RelPath>)| {
            seen.extend(members.get(&first).into_iter().flatten().map(|path| (*path).clone()));
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        let joined = |(inode, groups): Seen| {
            let mut groups: Vec<_> = groups.into_iter().map(whole).collect();
            groups.sort_unstable();
            Joined { inode, groups }
        };
        let mut all: Vec<Joined> = files.into_iter().map(joined).collect();
        all.sort_unstable_by(|a, b| a.groups.cmp(&b.groups));
        all
    }

    /// The files of which several names were seen within `folder`, and what the sender says of those names: which of them
    /// belong together, with those elsewhere that belong to them. In order of paths. What is within is forgotten.
    pub(super) fn settle(&mut self, folder: &RelPath) -> Vec<Joined> {
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
        self.seen.shrink_to_fit();
        self.groups.shrink_to_fit();
        let mut counted = HashSet::new();
        let keys = self.groups.values().filter(|key| counted.insert(Rc::as_ptr(key))).map(Rc::as_ref);
        self.bytes = self.seen.values().flatten().chain(self.groups.keys()).chain(keys).map(weight).sum();
        self.charge.becomes(self.bytes);
        self.overflow = false;
        files
    }
}

fn weight(path: &RelPath) -> usize {
    NOTE + path.as_bytes().len()
}

/// Device and inode, with the names seen by the first name of their group.
type Seen = ((u64, u64), HashMap<RelPath, Vec<RelPath>>);

#[cfg(test)]
mod tests {
    use crate::receiver::memory::{Memory, SURE};

    use super::*;

    /// A path of that many bytes and more.
    fn path(n: usize, bytes: usize) -> RelPath {
        let long = vec!["d".repeat(200); bytes / 200].join("/");
        RelPath::parse(format!("{n}/{long}").as_bytes()).unwrap()
    }

    #[test]
    fn notes_are_charged_until_they_are_settled_and_without_room_none_is_kept() {
        const LENT: usize = 1 << 20;
        let memory = Memory::new((2 * SURE + LENT) as u64, 2);
        let (account, other) = (memory.account(), memory.account());
        let mut book = LinkBook::new(&account);
        // The name of a group is there twice: by itself, and for those that belong to it.
        (0..10).for_each(|n| book.join(&path(n, 20_000), &[path(n + 100, 200)]));
        assert!(!book.overflow && other.try_extra(LENT - 400_000).is_none());
        assert!(other.try_extra(LENT - 450_000).is_some());
        book.settle(&path(0, 20_000).parent().unwrap());
        assert!(!book.groups.is_empty() && other.try_extra(LENT - 380_000).is_none(), "its key is kept by another");
        book.settle(&RelPath::root());
        assert!(book.groups.is_empty() && other.try_extra(LENT).is_some());
        let taken = other.try_extra(LENT - 50_000);
        assert!(taken.is_some());
        book.join(&path(0, 30_000), &[path(100, 200)]);
        assert!(book.overflow && book.groups.is_empty());
        assert!(account.try_extra(50_000).is_some(), "nothing is held");
        drop(taken);
        book.join(&path(0, 200), &[path(100, 200)]);
        assert!(book.groups.is_empty(), "until the next Settle");
        book.settle(&RelPath::root());
        book.join(&path(0, 200), &[path(100, 200)]);
        assert_eq!(book.groups.len(), 2);
    }
}
