//! A world whose source mirrors no deletions: the target has all that is here and more, and no folder of it ever goes.
//!
//! LIMIT: what is in the way is named at rest. That nothing else is, is not asked: a note that a chain of renames has carried
//! to a place which was gone by then stays there until the next full pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use proto::RelPath;

use super::super::super::{Shown, tree};
use super::super::{Alike, FOLDER, groups, show};
use super::Sim;

/// What a target that loses nothing has had.
#[derive(Debug, Default)]
pub(super) struct Stood {
    /// Folders that stood there when all was at rest.
    folders: BTreeSet<PathBuf>,
}

fn is_folder(shown: &Shown) -> bool {
    shown.0 & FOLDER != 0
}

impl Sim<'_> {
    /// Where the target is not as it should be, and how.
    pub(super) fn differences(&self, alike: Alike) -> Vec<(PathBuf, String)> {
        if self.deletes { self.place.differences(alike) } else { self.lacking(alike) }
    }

    /// What is here and not there, but for that in whose way a folder stands, which is named.
    fn lacking(&self, alike: Alike) -> Vec<(PathBuf, String)> {
        let (here, there) = (tree(&self.place.here), tree(&self.place.there));
        let plain = |shown: &Shown| {
            let mut plain = shown.clone();
            // A name that is gone here is one more there.
            plain.4 = 0;
            if !alike.folder_times && is_folder(shown) {
                (plain.1, plain.2) = (0, 0);
            }
            plain
        };
        let barred = self.barred(&here, &there);
        let mut found = Vec::new();
        for (at, shown) in here.iter().filter(|(at, _)| !barred.contains(*at)) {
            if there.get(at).map(plain) != Some(plain(shown)) {
                found.push((at.clone(), format!("{at:?}: {} / {}", show(Some(shown)), show(there.get(at)))));
            }
        }
        for at in &barred {
            let path = RelPath::parse(at.as_os_str().as_bytes()).unwrap();
            if !self.mirror.entries.has_trouble_there(&path) {
                found.push((at.clone(), format!("{at:?}: a folder stands there, and it is not named")));
            }
        }
        if alike.links {
            let joined = |group: &Vec<PathBuf>| {
                let names = group.iter().filter(|at| !barred.contains(*at));
                let inodes = names.filter_map(|at| Some(fs::symlink_metadata(self.place.there.join(at)).ok()?.ino()));
                inodes.collect::<BTreeSet<_>>().len() <= 1
            };
            let parted = groups(&self.place.here, &here).into_iter().filter(|group| !joined(group));
            found.extend(parted.map(|group| (group[0].clone(), format!("names of one file, parted there: {group:?}"))));
        }
        found
    }

    /// What is no folder here and is one there.
    fn barred(&self, here: &BTreeMap<PathBuf, Shown>, there: &BTreeMap<PathBuf, Shown>) -> BTreeSet<PathBuf> {
        let stands = |at: &PathBuf| there.get(at).is_some_and(is_folder);
        here.iter().filter(|(at, shown)| !is_folder(shown) && stands(at)).map(|(at, _)| at.clone()).collect()
    }

    /// What nobody touches stays where it is, whatever else happens.
    pub(super) fn watch_anchor(&mut self) -> Result<(), String> {
        let stands = self.place.there.join("anchor").exists();
        if self.anchored && !stands {
            return Err("what was never touched is gone".to_owned());
        }
        self.anchored |= stands;
        Ok(())
    }

    /// What was a folder there stays one.
    pub(super) fn watch_folders(&mut self) -> Result<(), String> {
        if self.deletes {
            return Ok(());
        }
        let there = tree(&self.place.there);
        let stands = |at: &PathBuf| there.get(at).is_some_and(is_folder);
        if let Some(lost) = self.stood.folders.iter().find(|at| !stands(at)) {
            return Err(format!("the folder {lost:?} is lost, though nothing is deleted"));
        }
        let marks = |at: &PathBuf| at.as_os_str().as_bytes().starts_with(b".recvd-");
        let folders = there.iter().filter(|(at, shown)| is_folder(shown) && !marks(at));
        self.stood.folders.extend(folders.map(|(at, _)| at.clone()));
        Ok(())
    }
}
