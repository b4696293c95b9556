//! Notes beyond those that are kept with their paths: each is a hash of its name, beneath its folder's path. So each path
//! counts once, is found again when it is over, and goes where its folder goes.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;

use proto::{Name, RelPath};

use super::{Round, SIDES, Side};
use crate::beneath::range_beneath;

/// LIMIT: notes that are told apart, about 32 bytes each; more are not counted.
const ENTRIES: usize = 200_000;
/// LIMIT: bytes of the folders that they are in; in more folders they are not counted.
const FOLDERS: usize = 1024 * 1024;
/// What a folder takes besides its path: room for eleven names, and its place among the folders.
const FOLDER: usize = 280;

/// In which round each side has spoken of it last.
pub(super) type Mark = [Option<Round>; SIDES];

type Names = BTreeMap<u64, Mark>;

#[derive(Default)]
pub(super) struct Beyond {
    folders: BTreeMap<RelPath, Names>,
    entries: usize,
    bytes: usize,
    /// Its keys are this process's own: nobody can choose names that take each other's place.
    hashing: RandomState,
}

/// All that is said of one path and of what is beneath it, taken out.
#[derive(Default)]
pub(super) struct Branch {
    top: Mark,
    folders: Vec<(RelPath, Names)>,
}

impl Branch {
    /// Notes in it, by side.
    pub fn count(&self) -> [u64; SIDES] {
        let beneath = self.folders.iter().flat_map(|(_, names)| names.values());
        sum(std::iter::once(&self.top).chain(beneath))
    }
}

impl Beyond {
    pub fn get(&self, path: &RelPath) -> Mark {
        if self.entries == 0 {
            return Mark::default();
        }
        let (folder, hash) = self.key(path);
        self.folders.get(&folder).and_then(|names| names.get(&hash)).copied().unwrap_or_default()
    }

    /// Notes it. False when there are too many.
    pub fn set(&mut self, path: &RelPath, mark: Mark) -> bool {
        let (folder, hash) = self.key(path);
        if mark == Mark::default() {
            self.remove(&folder, hash);
            return true;
        }
        match self.folders.get_mut(&folder) {
            Some(names) if names.contains_key(&hash) => {
                names.insert(hash, mark);
            }
            _ if self.entries >= ENTRIES => return false,
            Some(names) => {
                names.insert(hash, mark);
                self.entries += 1;
            }
            None if self.bytes + cost(&folder) > FOLDERS => return false,
            None => {
                self.bytes += cost(&folder);
                self.entries += 1;
                self.folders.insert(folder, Names::from([(hash, mark)]));
            }
        }
        true
    }

    /// Takes out what is at and beneath `top`.
    pub fn take(&mut self, top: &RelPath) -> Branch {
        if self.entries == 0 {
            return Branch::default();
        }
        let (parent, hash) = self.key(top);
        let mut branch = Branch { top: self.remove(&parent, hash), folders: Vec::new() };
        for folder in self.folders_within(top) {
            if let Some(names) = self.forget(&folder) {
                branch.folders.push((folder, names));
            }
        }
        branch
    }

    /// Puts what was taken out at the first of these places to the second, as of this round. Returns what found no place,
    /// by side.
    pub fn put(&mut self, branch: Branch, (from, to): (&RelPath, &RelPath), round: Round) -> [u64; SIDES] {
        let newest = |mark: Mark| mark.map(|said| said.map(|_| round));
        let mut lost = [0; SIDES];
        if branch.top != Mark::default() && !self.set(to, newest(branch.top)) {
            lost = sum([&branch.top]);
        }
        for (folder, mut names) in branch.folders {
            match folder.rebase(from, to).filter(|folder| self.bytes + cost(folder) <= FOLDERS) {
                Some(folder) => {
                    names.values_mut().for_each(|mark| *mark = newest(*mark));
                    self.bytes += cost(&folder);
                    self.entries += names.len();
                    self.folders.insert(folder, names);
                }
                None => add(&mut lost, sum(names.values())),
            }
        }
        lost
    }

    /// Notes at and beneath `top`, by side.
    pub fn count_within(&self, top: &RelPath) -> [u64; SIDES] {
        let mut count = sum([&self.get(top)]);
        for folder in self.folders_within(top) {
            add(&mut count, sum(self.folders[&folder].values()));
        }
        count
    }

    /// Whether anything is noted of what is beneath.
    pub fn is_any_beneath(&self, folder: &RelPath) -> bool {
        self.folders.contains_key(folder) || range_beneath(folder, |bounds| self.folders.range(bounds).next().is_some())
    }

    /// Since this round began the folder was found to hold just these names. Returns what is over with that, by side.
    pub fn listed(&mut self, folder: &RelPath, names: &[&Name], round: Round) -> [u64; SIDES] {
        let mut over = [0; SIDES];
        if self.folders.contains_key(folder) {
            let there: HashSet<u64> = names.iter().map(|name| self.hashing.hash_one(name.as_bytes())).collect();
            let keep = |hash, mark| if there.contains(&hash) { mark } else { since(mark, round) };
            add(&mut over, self.keep_in(folder, keep));
        }
        let gone =
            |inner: &RelPath| super::child(folder, inner).is_some_and(|name| names.binary_search(&&name).is_err());
        for inner in self.folders_within(folder).into_iter().filter(gone) {
            add(&mut over, self.keep_in(&inner, |_, mark| since(mark, round)));
        }
        over
    }

    /// Drops what was not spoken of since this round began, at and beneath `top`. Returns how much that was, by side.
    pub fn forget_before(&mut self, top: &RelPath, round: Round) -> [u64; SIDES] {
        let (parent, own) = self.key(top);
        let mut over = self.keep_in(&parent, |hash, mark| if hash == own { since(mark, round) } else { mark });
        for folder in self.folders_within(top) {
            add(&mut over, self.keep_in(&folder, |_, mark| since(mark, round)));
        }
        over
    }

    /// Changes the marks in one folder. Returns what has gone with that, by side.
    fn keep_in(&mut self, folder: &RelPath, keep: impl Fn(u64, Mark) -> Mark) -> [u64; SIDES] {
        let Some(names) = self.folders.get_mut(folder) else { return [0; SIDES] };
        let (before, entries) = (sum(names.values()), names.len());
        names.retain(|hash, mark| {
            *mark = keep(*hash, *mark);
            *mark != Mark::default()
        });
        let (after, left) = (sum(names.values()), names.len());
        self.entries -= entries - left;
        if left == 0 {
            self.forget(folder);
        }
        std::array::from_fn(|side| before[side] - after[side])
    }

    fn folders_within(&self, top: &RelPath) -> Vec<RelPath> {
        let at = self.folders.contains_key(top).then(|| top.clone());
        let beneath =
            range_beneath(top, |bounds| self.folders.range(bounds).map(|(folder, _)| folder.clone()).collect());
        at.into_iter().chain::<Vec<RelPath>>(beneath).collect()
    }

    fn forget(&mut self, folder: &RelPath) -> Option<Names> {
        let names = self.folders.remove(folder)?;
        self.entries -= names.len();
        self.bytes -= cost(folder);
        Some(names)
    }

    fn remove(&mut self, folder: &RelPath, hash: u64) -> Mark {
        let Some(names) = self.folders.get_mut(folder) else { return Mark::default() };
        let Some(mark) = names.remove(&hash) else { return Mark::default() };
        self.entries -= 1;
        if names.is_empty() {
            self.forget(folder);
        }
        mark
    }

    /// The root stands in itself, under no name.
    fn key(&self, path: &RelPath) -> (RelPath, u64) {
        match path.split() {
            Some((folder, name)) => (folder, self.hashing.hash_one(name.as_bytes())),
            None => (RelPath::root(), self.hashing.hash_one(b"".as_slice())),
        }
    }
}

fn since(mark: Mark, round: Round) -> Mark {
    mark.map(|said| said.filter(|said| *said >= round))
}

fn cost(folder: &RelPath) -> usize {
    folder.as_bytes().len() + FOLDER
}

fn sum<'a>(marks: impl IntoIterator<Item = &'a Mark>) -> [u64; SIDES] {
    let mut all = [0; SIDES];
    for mark in marks {
        add(&mut all, mark.map(|said| u64::from(said.is_some())));
    }
    all
}

fn add(all: &mut [u64; SIDES], more: [u64; SIDES]) {
    all.iter_mut().zip(more).for_each(|(all, more)| *all += more);
}

const _: () = assert!(size_of::<Mark>() == 8 && Side::Here as usize == 0 && Side::There as usize == 1);
