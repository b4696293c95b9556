//! The receiver's side: making, publishing, taking out, and a stage that leaves nothing behind.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::Arc;

use proto::{Keep, Kept, Kind, Meta};
use rustix::fs::XattrFlags;

use super::{BOTH, House, acl, is_root, name, path, plain};
use crate::{Stage, durable, stage};

#[test]
fn any_kind_replaces_any_kind() {
    for how in BOTH {
        let house = House::new(how);
        let link = Meta { link: b"target"[..].into(), ..plain(Kind::Symlink, 0) };
        let make = |kind| match kind {
            Kind::File => house.stage.file(0).unwrap().finish(&plain(Kind::File, 0), Keep::EVERYTHING).unwrap(),
            Kind::Symlink => house.stage.make(&link, Keep::EVERYTHING).unwrap(),
            kind => house.stage.make(&plain(kind, 0), Keep::EVERYTHING).unwrap(),
        };
        let kinds = [Kind::File, Kind::Dir, Kind::Symlink, Kind::Fifo];
        for old in kinds {
            for new in kinds {
                make(old).publish(&house.root, &name("name"), &house.stage).unwrap();
                if old == Kind::Dir {
                    fs::create_dir_all(house.path("name/with/things")).unwrap();
                    fs::write(house.path("name/with/file"), "x").unwrap();
                }
                make(new).publish(&house.root, &name("name"), &house.stage).unwrap();
                assert_eq!(house.root.lookup(&name("name")).unwrap().unwrap().kind, new, "{old:?} {new:?}");
                assert_eq!((house.root.list().unwrap().len(), house.staged()), (2, 0));
                house.stage.take_out(&house.root, &name("name")).unwrap();
            }
        }
        assert!(house.stage.rest().unwrap());
        assert!(house.root.list().unwrap().is_empty());
    }
}

#[test]
fn what_is_published_as_new_replaces_nothing() {
    for how in BOTH {
        let house = House::new(how);
        let make = |kind| house.stage.make(&plain(kind, 0), Keep::EVERYTHING).unwrap();
        for taken in [Kind::Dir, Kind::Fifo] {
            make(taken).publish_new(&house.root, &name("name")).unwrap();
            let first = fs::symlink_metadata(house.path("name")).unwrap().ino();
            let refused = make(Kind::Dir).publish_new(&house.root, &name("name")).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::symlink_metadata(house.path("name")).unwrap().ino(), first);
            assert_eq!(house.staged(), 0);
            house.stage.take_out(&house.root, &name("name")).unwrap();
        }
        make(Kind::Dir).publish_new(&house.root, &name("name")).unwrap();
    }
}

#[test]
fn what_is_dropped_was_never_there() {
    let house = House::new(crate::Resolve::Openat2);
    let file = house.stage.file(10).unwrap();
    file.write_at(b"half", 0).unwrap();
    let folder = house.stage.make(&plain(Kind::Dir, 0), Keep::DEFAULT).unwrap();
    assert_eq!(house.staged(), 2);
    assert!(!house.stage.rest().unwrap());
    drop((file, folder));
    assert_eq!(house.staged(), 0);
    assert!(house.stage.rest().unwrap());
    assert_eq!(fs::read_dir(house.path("")).unwrap().count(), 0);
}

#[test]
fn the_stage_never_shows_in_the_roots_mtime() {
    let house = House::new(crate::Resolve::Openat2);
    let old = plain(Kind::Dir, 0).mtime;
    house.root.set_mtime(old).unwrap();
    let file = house.stage.file(0).unwrap();
    assert_eq!(house.root.stat().unwrap().mtime, old);
    drop(file);
    assert!(house.stage.rest().unwrap());
    assert_eq!(house.root.stat().unwrap().mtime, old);
    assert!(house.stage.rest().unwrap());
    drop(house.stage.file(0).unwrap());
    // The last owner of a stage removes it.
    let House { stage, root, temp, .. } = house;
    drop(stage);
    assert!(root.list().unwrap().is_empty());
    assert_eq!(root.stat().unwrap().mtime, old);
    drop(temp);
}

#[test]
fn a_removed_stage_folder_is_made_again() {
    let house = House::new(crate::Resolve::Openat2);
    drop(house.stage.file(0).unwrap());
    for entry in fs::read_dir(house.path("")).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    house.put("file", b"there");
    assert_eq!(fs::read(house.path("file")).unwrap(), b"there");
    // A missing source is not taken for a missing stage.
    let error = house.stage.link(&house.root, &name("nothing")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(house.root.list().unwrap().len(), 2);
}

#[test]
fn a_killed_sessions_stage_is_swept() {
    let house = House::new(crate::Resolve::Openat2);
    let dead = house.path(".recvd-stage-0123456789abcdef");
    fs::create_dir_all(dead.join("1/2/3")).unwrap();
    fs::write(dead.join("1/2/file"), "x").unwrap();
    fs::write(dead.join("4"), "x").unwrap();
    fs::set_permissions(dead.join("1"), fs::Permissions::from_mode(0o000)).unwrap();
    symlink("/etc", house.path(".recvd-stage-link")).unwrap();
    fs::write(house.path(".recvd-other"), "x").unwrap();
    let old = plain(Kind::Dir, 0).mtime;
    house.root.set_mtime(old).unwrap();
    assert_eq!(stage::Leftovers::find(&house.tree).unwrap().clear(&house.tree).unwrap(), 2);
    assert_eq!(stage::Leftovers::find(&house.tree).unwrap().clear(&house.tree).unwrap(), 0);
    assert_eq!(house.root.stat().unwrap().mtime, old);
    assert!(house.path(".recvd-other").exists(), "only stages are swept");
    assert!(stage::is_reserved(&name(".recvd-stage-link")) && stage::is_reserved(&name(".recvd-other")));
    assert!(!stage::is_reserved(&name(".recvd")));
}

#[test]
fn nothing_is_inherited_from_the_root() {
    let house = House::new(crate::Resolve::Openat2);
    let rights = acl(12_345, 7);
    if rustix::fs::setxattr(house.path(""), "system.posix_acl_default", &rights, XattrFlags::empty()).is_err() {
        return;
    }
    if is_root() {
        std::os::unix::fs::chown(house.path(""), None, Some(4321)).unwrap();
    }
    fs::set_permissions(house.path(""), fs::Permissions::from_mode(0o2775)).unwrap();
    house.put("file", b"x");
    let folder = house.stage.make(&plain(Kind::Dir, 0), Keep::DEFAULT).unwrap();
    folder.publish(&house.root, &name("folder"), &house.stage).unwrap();
    for at in ["file", "folder"] {
        let stat = house.root.lookup(&name(at)).unwrap().unwrap();
        let meta = house.root.meta(&name(at), &stat, Keep::EVERYTHING).unwrap();
        assert_eq!((meta.gid, meta.xattrs.len()), (rustix::process::getegid().as_raw(), 0));
        assert_eq!(meta.mode, plain(meta.kind, 0).mode);
    }
}

#[test]
fn a_further_name_leaves_no_temporary() {
    let house = House::new(crate::Resolve::Openat2);
    house.put("one", b"1");
    for _ in 0..3 {
        let staged = house.stage.link(&house.root, &name("one")).unwrap();
        staged.publish(&house.root, &name("two"), &house.stage).unwrap();
        assert_eq!((house.staged(), fs::metadata(house.path("one")).unwrap().nlink()), (0, 2));
    }
    // Renaming one name of a file to another leaves one.
    house.root.rename(&name("one"), &house.root, &name("two")).unwrap();
    assert_eq!(house.root.lookup(&name("one")).unwrap(), None);
    house.stage.link(&house.root, &name("two")).unwrap().publish(&house.root, &name("one"), &house.stage).unwrap();
    house.root.rename(&name("two"), &house.root, &name("two")).unwrap();
    assert!(house.path("two").exists());
    house.stage.replace(&house.root, &name("one"), &house.root, &name("two")).unwrap();
    assert_eq!((house.path("one").exists(), fs::metadata(house.path("two")).unwrap().nlink()), (false, 1));
    assert!(house.stage.link(&house.root, &name("nothing")).is_err());
    fs::create_dir(house.path("folder")).unwrap();
    assert!(house.stage.link(&house.root, &name("folder")).is_err());
    assert_eq!(house.stage.copy(&house.root, &name("folder")).unwrap_err().kind(), io::ErrorKind::IsADirectory);
}

#[test]
fn replacing_takes_the_place_of_whole_folders() {
    let house = House::new(crate::Resolve::Openat2);
    fs::create_dir_all(house.path("from/a")).unwrap();
    fs::create_dir_all(house.path("to/b/c")).unwrap();
    house.stage.replace(&house.root, &name("from"), &house.root, &name("to")).unwrap();
    assert!(house.path("to/a").exists() && !house.path("to/b").exists() && !house.path("from").exists());
    house.put("file", b"x");
    let to = house.tree.dir(&path("to")).unwrap();
    house.stage.replace(&house.root, &name("file"), &to, &name("a")).unwrap();
    assert_eq!(fs::read(house.path("to/a")).unwrap(), b"x");
    house.stage.replace(&house.root, &name("to"), &house.root, &name("new")).unwrap();
    assert_eq!(house.staged(), 0);
    let error = house.stage.replace(&house.root, &name("nothing"), &house.root, &name("new")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(house.path("new/a").exists());
}

#[test]
fn a_file_is_as_long_as_it_was_announced() {
    let house = House::new(crate::Resolve::Openat2);
    let file = house.stage.file(8 << 20).unwrap();
    file.write_at(&[1; 4096], 0).unwrap();
    file.write_at(&[1; 4096], 4 << 20).unwrap();
    assert_eq!(file.write_at(&[1; 4096], (8 << 20) - 4095).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(file.write_at(&[1], u64::MAX).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    let staged = file.finish(&plain(Kind::File, 8 << 20), Keep::DEFAULT).unwrap();
    staged.publish(&house.root, &name("sparse"), &house.stage).unwrap();
    let copy = house.stage.copy(&house.root, &name("sparse")).unwrap();
    copy.publish(&house.root, &name("copy"), &house.stage).unwrap();
    let original = fs::read(house.path("sparse")).unwrap();
    assert_eq!((original.len(), original[4 << 20], original[8192]), (8 << 20, 1, 0));
    assert_eq!(fs::read(house.path("copy")).unwrap(), original);
    for at in ["sparse", "copy"] {
        let (file, stat) = house.root.open_file(&name(at)).unwrap();
        assert!(stat.is_sparse() && stat.blocks < 100, "{stat:?}");
        assert_eq!(file.next_data(8192, stat.size).unwrap(), Some(4 << 20..(4 << 20) + 4096));
    }
    let file = house.stage.file(4).unwrap();
    file.write_at(b"four", 0).unwrap();
    let error = file.finish(&plain(Kind::File, 3), Keep::DEFAULT).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(house.staged(), 0);
}

#[test]
fn few_and_many_are_flushed_and_sealed() {
    let house = House::new(crate::Resolve::Openat2);
    for count in [1, 8, 9, 30] {
        let staged: Vec<_> = (0..count)
            .map(|at| match at % 3 {
                0 => house.stage.make(&plain(Kind::Dir, 0), Keep::DEFAULT).unwrap(),
                _ => house.stage.file(0).unwrap().finish(&plain(Kind::File, 0), Keep::DEFAULT).unwrap(),
            })
            .collect();
        durable::flush_data(&house.tree, &staged.iter().collect::<Vec<_>>()).unwrap();
        for (at, staged) in staged.into_iter().enumerate() {
            staged.flush().unwrap();
            staged.publish(&house.root, &name(&format!("{count}-{at}")), &house.stage).unwrap();
        }
        let gone = name("gone");
        let folder = name(&format!("{count}-0"));
        durable::seal(&house.tree, &[&house.root], &[(&house.root, &gone), (&house.root, &folder)]).unwrap();
    }
    let link = Meta { link: b"x"[..].into(), ..plain(Kind::Symlink, 0) };
    house.stage.make(&link, Keep::DEFAULT).unwrap().flush().unwrap();
}

#[test]
fn only_kept_kinds_are_made() {
    let house = House::new(crate::Resolve::Openat2);
    let refused = |meta: &Meta, keep| house.stage.make(meta, keep).unwrap_err().kind() == io::ErrorKind::InvalidInput;
    let link = Meta { link: b"x"[..].into(), ..plain(Kind::Symlink, 0) };
    assert!(refused(&link, Keep::empty()));
    assert!(refused(&plain(Kind::File, 0), Keep::EVERYTHING));
    for kind in [Kind::Fifo, Kind::Socket, Kind::CharDevice, Kind::BlockDevice] {
        assert!(refused(&plain(kind, 0), Keep::DEFAULT.with(Kept::Setid)));
    }
    assert_eq!(house.staged(), 0);
}

#[test]
fn threads_share_a_stage() {
    let house = House::new(crate::Resolve::Openat2);
    let stage: Arc<Stage> = house.stage.clone();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (house, stage) = (&house, stage.clone());
            scope.spawn(move || {
                for at in 0..100 {
                    house.put(&format!("{thread}-{at}"), b"x");
                    stage.rest().unwrap();
                }
            });
        }
    });
    drop(stage);
    assert!(house.stage.rest().unwrap());
    assert_eq!(house.root.list().unwrap().len(), 400);
}
