//! Folders of any depth and size vanish at once and are deleted without recursion.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{Mode, OFlags, mkdirat, openat};

use super::{House, name};

fn deepen(house: &House, depth: usize) {
    fs::create_dir(house.path("deep")).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at: OwnedFd = rustix::fs::open(house.path("deep"), flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&at, c"d", Mode::RWXU).unwrap();
        openat(&at, c"file", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU).unwrap();
        at = openat(&at, c"d", flags, Mode::empty()).unwrap();
    }
}

#[test]
fn a_folder_deeper_than_any_path() {
    let house = House::new(crate::Resolve::Openat2);
    deepen(&house, 3000);
    assert_eq!(house.root.count(&name("deep"), |_| ()).unwrap(), 1 + 2 * 3000);
    house.stage.take_out(&house.root, &name("deep")).unwrap();
    assert_eq!((house.path("deep").exists(), house.staged()), (false, 0));
}

#[test]
fn wide_and_locked_folders() {
    let house = House::new(crate::Resolve::Openat2);
    for at in 0..300 {
        fs::create_dir_all(house.path(&format!("wide/{at}/x"))).unwrap();
        fs::write(house.path(&format!("wide/{at}/x/file")), "").unwrap();
        fs::set_permissions(house.path(&format!("wide/{at}")), fs::Permissions::from_mode(0o000)).unwrap();
    }
    assert_eq!(house.root.count(&name("nothing"), |_| ()).unwrap(), 0);
    house.stage.take_out(&house.root, &name("wide")).unwrap();
    house.stage.take_out(&house.root, &name("wide")).unwrap();
    assert_eq!((house.path("wide").exists(), house.staged()), (false, 0));
}
