//! How many folders a source has, for the watch limit. Reads names only, and keeps no folder open but the one at hand.

use std::io;
use std::path::Path;

use proto::{Kind, RelPath};
use sys::{Mounts, Tree};

use crate::answers::Answers;

#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Folders, with the root.
    pub(super) folders: u64,
    /// Folders that could not be read, and why.
    pub(super) unreadable: Vec<(RelPath, io::Error)>,
}

/// Counts the folders beneath `root`. An error is one of the root itself.
pub(super) fn count(root: &Path, mounts: Mounts) -> io::Result<Counted> {
    let answers = Answers::of(root, mounts);
    if let Some(answers) = &answers {
        answers.wait();
    }
    let tree = Tree::open(root, mounts)?;
    let mut counted = Counted::default();
    let mut left = vec![RelPath::root()];
    while let Some(path) = left.pop() {
        match children(&tree, &path) {
            Ok(children) => {
                counted.folders += 1;
                left.extend(children);
            }
            Err(error) if path.is_root() => return Err(error),
            // Gone meanwhile, replaced by something else, or on another file system.
            Err(error) if is_no_folder_of_ours(&error) => {}
            Err(error) => counted.unreadable.push((path, error)),
        }
    }
    Ok(counted)
}

fn children(tree: &Tree, path: &RelPath) -> io::Result<Vec<RelPath>> {
    let dir = tree.dir(path)?;
    let mut folders = Vec::new();
    for found in dir.list()? {
        let kind = match found.kind {
            Some(kind) => Some(kind),
            // What cannot be looked at is met when it is listed.
            None => dir.lookup(&found.name).map_or(Some(Kind::Dir), |found| found.map(|stat| stat.kind)),
        };
        if kind == Some(Kind::Dir)
            && let Ok(child) = path.join(&found.name)
        {
            folders.push(child);
        }
    }
    Ok(folders)
}

fn is_no_folder_of_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | CrossesDevices)
}
