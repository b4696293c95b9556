//! The source's side: listing, reading, holes, and what must never be opened.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, symlink};

use proto::{Keep, Kept, Kind, Time};
use rustix::fs::{CWD, FileType, Mode};

use super::disk::Disk;
use super::{BOTH, House, name, xattrs};
use crate::{Mounts, Tree};

#[test]
fn a_folder_is_listed_whole_each_time() {
    let house = House::new(crate::Resolve::Openat2);
    for at in 0..3000 {
        fs::write(house.path(&format!("file-{at}")), "").unwrap();
    }
    for odd in [&b"\xff\xfe"[..], b"new\nline", b"-rf", b"..."] {
        use std::os::unix::ffi::OsStrExt;
        fs::create_dir(house.path("").join(std::ffi::OsStr::from_bytes(odd))).unwrap();
    }
    for _ in 0..2 {
        let found = house.root.list().unwrap();
        assert_eq!(found.len(), 3004);
        let folders = found.iter().filter(|found| found.kind == Some(Kind::Dir)).map(|found| found.name.clone());
        let folders: Vec<_> = folders.collect();
        assert_eq!((folders.len(), house.root.folders().unwrap()), (4, folders));
        let first = &found[0];
        assert_eq!(house.root.lookup(&first.name).unwrap().unwrap().ino, first.ino);
    }
}

#[test]
fn a_stat_says_what_changed() {
    let house = House::new(crate::Resolve::Openat2);
    fs::write(house.path("file"), "one").unwrap();
    let (file, before) = house.root.open_file(&name("file")).unwrap();
    assert!(before.same_content(&file.stat().unwrap()));
    assert_eq!((before.size, before.kind, before.nlink), (3, Kind::File, 1));
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::OpenOptions::new().write(true).open(house.path("file")).unwrap().write_at(b"x", 0).unwrap();
    assert!(!before.same_content(&file.stat().unwrap()));
    let mut bytes = [0; 8];
    assert_eq!(file.read_at(1, &mut bytes).unwrap(), 2);
    assert_eq!(&bytes[..2], b"ne");
    assert_eq!(file.read_at(3, &mut bytes).unwrap(), 0);
    assert_eq!(house.root.lookup(&name("nothing")).unwrap(), None);
}

#[test]
fn fifos_and_devices_are_never_opened() {
    for how in BOTH {
        let house = House::new(how);
        rustix::fs::mknodat(CWD, house.path("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let listener = std::os::unix::net::UnixListener::bind(house.path("socket")).unwrap();
        fs::create_dir(house.path("folder")).unwrap();
        symlink("fifo", house.path("link")).unwrap();
        for kind in ["fifo", "socket", "folder", "link"] {
            let error = house.root.open_file(&name(kind)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{kind}");
            assert_eq!(error.to_string(), "is not a regular file");
            assert!(house.root.sync_file(&name(kind)).is_err());
            assert!(house.root.open_found(&name(kind)).is_err(), "{kind}");
        }
        assert_eq!(house.root.open_file(&name("nothing")).unwrap_err().kind(), io::ErrorKind::NotFound);
        drop(listener);
    }
}

#[test]
fn holes_are_found() {
    let house = House::new(crate::Resolve::Openat2);
    let file = fs::File::create(house.path("sparse")).unwrap();
    file.write_at(&[1; 4096], 1 << 20).unwrap();
    file.write_at(&[1; 4096], 4 << 20).unwrap();
    file.set_len(8 << 20).unwrap();
    let (file, stat) = house.root.open_file(&name("sparse")).unwrap();
    assert!(stat.is_sparse());
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(data) = file.next_data(at, stat.size).unwrap() {
        at = data.end;
        found.push(data);
    }
    assert_eq!(found, [1 << 20..(1 << 20) + 4096, 4 << 20..(4 << 20) + 4096]);
    assert_eq!(file.next_data(0, 1 << 20).unwrap(), None);
    assert_eq!(file.next_data(1 << 20, (1 << 20) + 100).unwrap(), Some(1 << 20..(1 << 20) + 100));
    fs::write(house.path("full"), [7; 10_000]).unwrap();
    let (file, stat) = house.root.open_file(&name("full")).unwrap();
    assert_eq!(file.next_data(5, stat.size).unwrap(), Some(5..10_000));
}

#[test]
fn keep_decides_what_is_seen() {
    let house = House::new(crate::Resolve::Openat2);
    fs::write(house.path("file"), "one").unwrap();
    let set = |key: &str, value: &[u8]| {
        rustix::fs::setxattr(house.path("file"), key, value, rustix::fs::XattrFlags::empty()).unwrap();
    };
    set("user.short", b"1");
    set("user.empty", b"");
    set("user.long", &[9; 2000]);
    let stat = house.root.lookup(&name("file")).unwrap().unwrap();
    let whole = house.root.meta(&name("file"), &stat, Keep::EVERYTHING).unwrap();
    assert_eq!(whole.xattrs, xattrs(&[("user.short", b"1"), ("user.empty", b""), ("user.long", &[9; 2000])]));
    assert_eq!(whole, house.root.open_file(&name("file")).unwrap().0.meta(&stat, Keep::EVERYTHING).unwrap());
    let bare = house.root.meta(&name("file"), &stat, Keep::empty()).unwrap();
    assert_eq!((bare.mode, bare.uid, bare.mtime, bare.xattrs.len()), (0, 0, Time::default(), 0));
    let keep = Keep::empty().with(Kept::Xattrs);
    let entry =
        |keep| stat.entry(name("file"), house.root.inside().extra(&name("file"), &stat, keep).unwrap().digest, keep);
    let before = entry(keep).extra;
    assert_eq!(entry(keep), proto::digest::entry(name("file"), &house.root.meta(&name("file"), &stat, keep).unwrap()));
    assert_eq!(entry(Keep::empty()).extra, [0; 16]);
    // The receiver's mark is seen where any are looked at, and is none of them.
    set("user.recvd.inexact", b"1");
    let marked = |keep| house.root.marked_meta(&name("file"), &stat, keep).unwrap();
    assert_eq!(marked(Keep::EVERYTHING), (whole, true));
    assert!(marked(Keep::empty().with(Kept::Acls)).1);
    assert_eq!(marked(Keep::empty()), (bare, false));
    assert_eq!(entry(keep).extra, before);
    assert!(house.root.inside().extra(&name("file"), &stat, keep).unwrap().inexact);
    assert!(house.root.open_file(&name("file")).unwrap().0.is_inexact().unwrap());
}

#[test]
fn more_attributes_than_travel_are_an_error() {
    // No other file system has room for so many.
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else { return };
    let tree = crate::Tree::open(folder.path(), crate::Mounts::Stay).unwrap();
    let set = |at: u32| {
        let key = format!("user.{at}");
        rustix::fs::setxattr(folder.path(), &key[..], b"", rustix::fs::XattrFlags::empty())
    };
    // Not every tmpfs has user attributes.
    let possible = (0..300).try_for_each(set).is_ok();
    let meta = tree.root().unwrap().own_meta(Keep::EVERYTHING);
    if possible {
        let error = meta.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("300 extended attributes"), "{error}");
    }
}

/// btrfs shows only what was there when a folder was opened.
#[test]
fn what_came_after_a_folder_was_opened_is_listed() {
    let Some(disk) = Disk::make("mkfs.btrfs", &["-q"], "loop") else { return };
    let root = || Tree::open(&disk.at, Mounts::Stay).unwrap().root().unwrap();
    let (root, other) = (root(), root());
    fs::write(disk.at.join("later"), "").unwrap();
    let names: Vec<_> = root.list().unwrap().into_iter().map(|child| child.name.to_string()).collect();
    assert_eq!((&names[..], other.is_empty().unwrap()), (&["later".to_owned()][..], false));
}
