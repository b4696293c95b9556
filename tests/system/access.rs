//! Access times: a backup is no use of a file, on either side.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::rig::fs::set_atime;
use crate::rig::pair::{Pair, Setup};

/// Long before all else: the next read is noted with `relatime` too.
const OLD: i64 = 1_000_000_000;

/// All files and folders of a tree.
fn all(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut at = 0;
    while at < found.len() {
        if found[at].is_dir() {
            found.extend(fs::read_dir(&found[at]).unwrap().map(|entry| entry.unwrap().path()));
        }
        at += 1;
    }
    found
}

/// Makes all look as if nobody had read them since.
fn forget(root: &Path) {
    all(root).iter().for_each(|path| set_atime(path, OLD).unwrap());
}

/// What was read since, with the time of it. To list the tree is to read it: the times are taken on the way down.
fn read_since(root: &Path) -> BTreeMap<PathBuf, i64> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.atime() != OLD {
            found.insert(path.clone(), meta.atime());
        }
        if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn reading_leaves_access_times_alone() {
    let mut pair = Pair::new("access", Setup::default());
    fs::create_dir_all(pair.source.join("a/b")).unwrap();
    for n in 0..20 {
        fs::write(pair.source.join(format!("a/b/{n}")), vec![b'x'; 1 << (n % 20)]).unwrap();
    }
    forget(&pair.source);
    fs::read(pair.source.join("anchor")).unwrap();
    if fs::metadata(pair.source.join("anchor")).unwrap().atime() == OLD {
        eprintln!("LEFT OUT: nothing notes access times here");
        return;
    }
    forget(&pair.source);
    pair.recvd.start();
    assert_eq!(pair.sync(&[]).code, 0);
    assert_eq!(read_since(&pair.source), BTreeMap::new(), "by a first pass");
    forget(&pair.source);
    forget(&pair.backup);
    // Folders are compared and the large file is built from its older version.
    let large = pair.source.join("a/b/19");
    fs::write(&large, [fs::read(&large).unwrap(), b"more".to_vec()].concat()).unwrap();
    forget(&pair.source);
    pair.pushd.daemon.start();
    pair.pushd.wait_in_sync(&[]).unwrap();
    pair.pushd.daemon.kill();
    assert_eq!(read_since(&pair.source), BTreeMap::new(), "by a watch, a comparison and a delta");
    let mut there = read_since(&pair.backup);
    there.retain(|path, _| !path.ends_with("a/b/19") && !path.to_string_lossy().contains(".recvd-"));
    assert_eq!(there, BTreeMap::new(), "at the backup");
}
