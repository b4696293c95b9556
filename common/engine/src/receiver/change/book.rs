//! What is known of names that share files, between one `Settle` and the next. Only paths and inode numbers: nothing here
//! touches the disk.

use std::collections::HashMap;
use std::rc::Rc;

use proto::RelPath;

use crate::receiver::answer::Answer;

/// Bytes that the notes may take, about. Beyond them the next `Settle` parts nothing: names that share a file here go on
/// sharing it, though the sender has files that are separate and equal, until one of them changes. No content is ever wrong.
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

/// Names that share a file, by the groups of the sender that they belong to; all in order of paths.
pub(super) struct Joined {
    /// Device and inode number of the file that they all name.
    pub inode: (u64, u64),
    pub groups: Vec<Vec<RelPath>>,
}

impl LinkBook {
    /// Notes what a `Compare` has seen.
    pub(super) fn note(&mut self, answer: &Answer) {
        for (name, inode) in &answer.linked {
            // A path beyond the limits cannot be named by the sender either.
            let Ok(path) = answer.path.join(name) else { continue };
            if self.afford(&path) {
                self.seen.entry(inode.node()).or_default().push(path);
            }
        }
    }

    pub(super) fn join(&mut self, first: &RelPath, others: &[RelPath]) {
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
        let left = self.seen.values().flatten().chain(self.groups.keys());
        self.bytes = left.map(|path| NOTE + path.as_bytes().len()).sum();
        self.overflow = false;
        files
    }
}

/// Device and inode, with the names seen by the first name of their group.
type Seen = ((u64, u64), HashMap<RelPath, Vec<RelPath>>);
