//! What stands in a tree at one moment, held in memory: to say afterwards what a name may show.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What stands under a name. A folder's mtime is left out: it changes with what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Folder {
        mode: u32,
    },
    File {
        mode: u32,
        mtime: (i64, i64),
        content: Vec<u8>,
    },
    /// A symbolic link, with its text, or a special file.
    Other {
        mode: u32,
        text: PathBuf,
    },
}

pub type Tree = BTreeMap<PathBuf, State>;

/// All that stands beneath `root`, without recvd's temporaries. What vanishes or becomes something else while it is read
/// makes it begin again: so nothing is left out that was there all the time.
pub fn tree(root: &Path) -> Tree {
    loop {
        match read(root) {
            Ok(tree) => return tree,
            Err(error) if is_moving(&error) && root.is_dir() => {}
            Err(error) => panic!("{}: {error}", root.display()),
        }
    }
}

fn is_moving(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory)
}

fn read(root: &Path) -> io::Result<Tree> {
    let mut found = Tree::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".recvd-") {
                continue;
            }
            let (path, meta) = (entry.path(), entry.metadata()?);
            let mode = meta.mode();
            let state = if meta.is_dir() {
                folders.push(path.clone());
                State::Folder { mode }
            } else if meta.is_file() {
                State::File { mode, mtime: (meta.mtime(), meta.mtime_nsec()), content: fs::read(&path)? }
            } else {
                State::Other { mode, text: fs::read_link(&path).unwrap_or_default() }
            };
            found.insert(path.strip_prefix(root).unwrap().to_path_buf(), state);
        }
    }
    Ok(found)
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Folder { mode } => write!(f, "folder {mode:o}"),
            State::File { mode, mtime, content } => {
                let zeros = content.iter().filter(|byte| **byte == 0).count();
                write!(f, "file {mode:o}, {mtime:?}, {} bytes, {zeros} of them zero", content.len())
            }
            State::Other { mode, text } => write!(f, "{mode:o} {}", text.display()),
        }
    }
}
