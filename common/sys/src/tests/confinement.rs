//! Nothing leaves the tree: links at each level, against each operation, in both ways of resolving.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use proto::{Keep, Kind};

use super::{BOTH, House, name, path, plain, snapshot};
use crate::{Mounts, Tree};

/// A module with links to `canary` at each level, and a link to the file in it.
fn house(how: crate::Resolve) -> House {
    let house = House::new(how);
    let canary = house.temp.path().join("canary");
    fs::create_dir_all(canary.join("inner")).unwrap();
    fs::write(canary.join("secret"), "secret").unwrap();
    fs::write(canary.join("inner/file"), "inner").unwrap();
    fs::create_dir_all(house.path("a/b/c")).unwrap();
    for (level, up) in [("", "../"), ("a", "../../"), ("a/b", "../../../"), ("a/b/c", "../../../../")] {
        symlink(&canary, house.path(level).join("out")).unwrap();
        symlink(format!("{up}canary"), house.path(level).join("relative")).unwrap();
        symlink(canary.join("secret"), house.path(level).join("file")).unwrap();
        symlink("/proc/self/root", house.path(level).join("magic")).unwrap();
    }
    house
}

fn refused<T: std::fmt::Debug>(done: io::Result<T>) {
    let error = done.unwrap_err();
    let errno = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    assert!(matches!(errno, Some(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR)), "{error:?}");
}

#[test]
fn no_path_leads_through_a_link() {
    for how in BOTH {
        let house = house(how);
        for level in ["", "a/", "a/b/", "a/b/c/"] {
            for link in ["out", "relative", "magic", "file"] {
                for beneath in ["", "/inner", "/inner/deeper", "/module"] {
                    refused(house.tree.dir(&path(&format!("{level}{link}{beneath}"))));
                    refused(house.tree.beneath(&path(&format!("{level}{link}{beneath}"))));
                }
                let folder = house.tree.dir(&path(level.trim_end_matches('/'))).unwrap();
                refused(folder.open_dir(&name(link)));
            }
        }
        assert_eq!(house.tree.dir(&path("a/nothing/c")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let beneath = house.tree.beneath(&path("a/b")).unwrap();
        assert_eq!(beneath.identity().unwrap(), crate::identity_at(&house.path("a/b")).unwrap());
        assert_eq!(beneath.path(), house.path("a/b"));
        refused(beneath.dir(&path("c/out")));
        beneath.dir(&path("c")).unwrap();
    }
}

#[test]
fn no_operation_follows_a_link() {
    for how in BOTH {
        let house = house(how);
        let canary = house.temp.path().join("canary");
        let before = snapshot(&canary);
        for level in ["", "a", "a/b", "a/b/c"] {
            let dir = house.tree.dir(&path(level)).unwrap();
            for link in ["out", "relative", "file", "magic"] {
                operate(&house, &dir, link);
                assert_eq!(before, snapshot(&canary), "{link} in {level:?}");
            }
        }
    }
}

fn operate(house: &House, dir: &crate::Dir, link: &str) {
    let (link, other) = (name(link), name("other"));
    let stat = dir.lookup(&link).unwrap().unwrap();
    assert_eq!(stat.kind, Kind::Symlink);
    assert_eq!(dir.open_file(&link).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(dir.sync_file(&link).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(dir.find(&link).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert!(!dir.meta(&link, &stat, Keep::EVERYTHING).unwrap().link.is_empty());
    assert_ne!(dir.inside().extra(&link, &stat, Keep::EVERYTHING).unwrap().digest, [0; 16]);
    assert_eq!(dir.count(&link, |_| ()).unwrap(), 1);
    // A copy and a further name are of the link, not of what it leads to.
    for staged in [house.stage.copy(dir, &link).unwrap(), house.stage.link(dir, &link).unwrap()] {
        staged.publish(dir, &other, &house.stage).unwrap();
        assert_eq!(dir.lookup(&other).unwrap().unwrap().kind, Kind::Symlink);
    }
    dir.rename(&link, dir, &other).unwrap();
    assert_eq!(dir.lookup(&link).unwrap(), None);
    let folder = house.stage.make(&plain(Kind::Dir, 0), Keep::DEFAULT).unwrap();
    folder.publish(dir, &link, &house.stage).unwrap();
    dir.exchange(&link, dir, &other).unwrap();
    assert_eq!(dir.lookup(&link).unwrap().unwrap().kind, Kind::Symlink);
    // A file and a folder replace the link itself.
    let file = house.stage.file(0).unwrap().finish(&plain(Kind::File, 0), Keep::DEFAULT).unwrap();
    house.stage.copy(dir, &link).unwrap().publish(dir, &other, &house.stage).unwrap();
    file.publish(dir, &link, &house.stage).unwrap();
    let folder = house.stage.make(&plain(Kind::Dir, 0), Keep::DEFAULT).unwrap();
    house.stage.replace(dir, &other, dir, &link).unwrap();
    folder.publish(dir, &link, &house.stage).unwrap();
    assert_eq!(dir.lookup(&link).unwrap().unwrap().kind, Kind::Dir);
    house.stage.take_out(dir, &link).unwrap();
    house.stage.take_out(dir, &other).unwrap();
    assert_eq!(dir.lookup(&link).unwrap(), None);
    assert_eq!(house.staged(), 0);
}

#[test]
fn a_link_is_taken_out_and_not_what_it_leads_to() {
    for how in BOTH {
        let house = house(how);
        let before = snapshot(&house.temp.path().join("canary"));
        house.stage.take_out(&house.root, &name("out")).unwrap();
        house.stage.take_out(&house.root, &name("a")).unwrap();
        house.stage.take_out(&house.root, &name("nothing")).unwrap();
        assert!(!house.path("a").exists());
        assert_eq!(before, snapshot(&house.temp.path().join("canary")));
    }
}

#[test]
fn mounts_are_entered_only_when_told() {
    for how in BOTH {
        let stay = Tree::open_with(Path::new("/"), Mounts::Stay, how).unwrap();
        for place in ["proc", "proc/self"] {
            assert_eq!(stay.dir(&path(place)).unwrap_err().kind(), io::ErrorKind::CrossesDevices);
        }
        assert_eq!(stay.root().unwrap().open_dir(&name("proc")).unwrap_err().kind(), io::ErrorKind::CrossesDevices);
        assert_eq!(stay.root().unwrap().count(&name("proc"), |_| ()).unwrap(), 1);
        let cross = Tree::open_with(Path::new("/"), Mounts::Cross, how).unwrap();
        let proc = cross.dir(&path("proc/sys")).unwrap();
        assert!(!proc.list().unwrap().is_empty());
    }
}

#[test]
fn paths_longer_than_a_system_call_takes() {
    for how in BOTH {
        let house = House::new(how);
        let long = "x".repeat(250);
        let mut at = path("");
        for _ in 0..20 {
            let folder = house.stage.make(&plain(Kind::Dir, 0), Keep::DEFAULT).unwrap();
            folder.publish(&house.tree.dir(&at).unwrap(), &name(&long), &house.stage).unwrap();
            at = at.join(&name(&long)).unwrap();
        }
        assert!(at.as_bytes().len() > 5000);
        let dir = house.tree.dir(&at).unwrap();
        house.put("file", b"deep");
        house.root.rename(&name("file"), &dir, &name("file")).unwrap();
        assert_eq!(house.root.count(&name(&long), |_| ()).unwrap(), 21);
        assert_eq!(house.tree.beneath(&at).unwrap().root().unwrap().list().unwrap().len(), 1);
        symlink("..", house.path("link")).unwrap();
        refused(house.tree.dir(&proto::RelPath::parse(&[b"link/", at.as_bytes()].concat()).unwrap()));
        house.stage.take_out(&house.root, &name(&long)).unwrap();
        assert_eq!(house.staged(), 0);
    }
}

#[test]
fn a_tree_says_what_its_root_is() {
    let house = House::new(crate::Resolve::Openat2);
    let held = house.tree.identity().unwrap();
    assert_eq!(crate::identity_at(&house.path("")).unwrap(), held);
    fs::rename(house.path(""), house.temp.path().join("moved")).unwrap();
    assert_eq!(crate::identity_at(&house.path("")).unwrap_err().kind(), io::ErrorKind::NotFound);
    fs::create_dir(house.path("")).unwrap();
    assert_ne!(crate::identity_at(&house.path("")).unwrap(), held);
    assert_eq!(house.tree.identity().unwrap(), held);
    let file = house.temp.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(Tree::open(&file, Mounts::Stay).unwrap_err().kind(), io::ErrorKind::NotADirectory);
}
