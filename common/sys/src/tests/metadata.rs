//! What is set is what is read back: mode beside ACL, setuid after the owner, nanoseconds before 1970.

use std::fs;

use proto::{Device, Keep, Kept, Kind, Meta, Time};

use super::{House, WITHOUT_SPECIALS, acl, is_root, name, plain, xattrs};

const BEFORE_1970: Time = Time { secs: -2, nanos: 999_999_999 };
/// A file capability (`cap_net_bind_service+ep`) in the kernel's bytes.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn read(house: &House, at: &str) -> Meta {
    let stat = house.root.lookup(&name(at)).unwrap().unwrap();
    house.root.meta(&name(at), &stat, Keep::EVERYTHING).unwrap()
}

fn publish_file(house: &House, meta: &Meta, keep: Keep) -> Vec<String> {
    let staged = house.stage.file(meta.size).unwrap().finish(meta, keep).unwrap();
    let problems = staged.problems().to_vec();
    staged.publish(&house.root, &name("it"), &house.stage).unwrap();
    problems
}

#[test]
fn a_file_with_everything() {
    if !is_root() {
        return;
    }
    let house = House::new(crate::Resolve::Openat2);
    let (rights, long) = (acl(54_321, 5), vec![7; 2000]);
    let attributes = [
        ("user.short", &b"1"[..]),
        ("user.long", &long),
        ("system.posix_acl_access", &rights),
        ("security.capability", CAPABILITY),
    ];
    // The mode's group bits are the ACL's mask.
    let meta = Meta {
        mode: 0o6654,
        uid: 1000,
        gid: 1001,
        mtime: BEFORE_1970,
        xattrs: xattrs(&attributes),
        ..plain(Kind::File, 3)
    };
    assert_eq!(publish_file(&house, &meta, WITHOUT_SPECIALS), [""; 0]);
    assert_eq!(read(&house, "it"), meta);
    // In place, to something else and back.
    let other =
        Meta { mode: 0o600, uid: 7, mtime: Time::default(), xattrs: xattrs(&[("user.new", b"2")]), ..meta.clone() };
    for meta in [&other, &meta, &meta] {
        assert_eq!(house.root.find(&name("it")).unwrap().set_file_meta(meta, WITHOUT_SPECIALS).unwrap(), [""; 0]);
        assert_eq!(&read(&house, "it"), meta);
    }
    // Another mask under the same ACL entries, and no ACL at all.
    let masked = Meta { mode: 0o6674, xattrs: xattrs(&[("system.posix_acl_access", &acl(54_321, 7))]), ..meta.clone() };
    let bare = Meta { mode: 0o644, xattrs: xattrs(&[]), ..meta.clone() };
    for meta in [&masked, &bare] {
        house.root.find(&name("it")).unwrap().set_file_meta(meta, WITHOUT_SPECIALS).unwrap();
        assert_eq!(&read(&house, "it"), meta);
    }
    let copied = house.stage.copy(&house.root, &name("it")).unwrap();
    copied.publish(&house.root, &name("copy"), &house.stage).unwrap();
    assert_eq!(read(&house, "copy"), bare);
}

#[test]
fn a_folder_with_everything() {
    if !is_root() {
        return;
    }
    let house = House::new(crate::Resolve::Openat2);
    let (access, default) = (acl(54_321, 7), acl(999, 5));
    let list = [("user.x", &b""[..]), ("system.posix_acl_access", &access), ("system.posix_acl_default", &default)];
    let meta =
        Meta { mode: 0o3674, uid: 1000, gid: 1001, mtime: BEFORE_1970, xattrs: xattrs(&list), ..plain(Kind::Dir, 0) };
    let staged = house.stage.make(&meta, WITHOUT_SPECIALS).unwrap();
    assert_eq!(staged.problems(), [""; 0]);
    staged.publish(&house.root, &name("it"), &house.stage).unwrap();
    assert_eq!(read(&house, "it"), meta);
    let dir = house.root.open_dir(&name("it")).unwrap();
    let other = Meta { mode: 0o700, gid: 0, xattrs: xattrs(&[("user.y", b"y")]), ..meta.clone() };
    for meta in [&other, &meta] {
        assert_eq!(dir.set_meta(meta, WITHOUT_SPECIALS).unwrap(), [""; 0]);
        assert_eq!(&dir.own_meta(Keep::EVERYTHING).unwrap(), meta);
    }
}

#[test]
fn links_and_specials() {
    if !is_root() {
        return;
    }
    let house = House::new(crate::Resolve::Openat2);
    fs::write(house.path("target"), "x").unwrap();
    let before = read(&house, "target");
    let common = Meta { uid: 1000, gid: 1001, mtime: BEFORE_1970, ..plain(Kind::File, 0) };
    let long = vec![b'x'; 4095];
    let device = Device { major: 1, minor: 3 };
    let wanted = [
        Meta { kind: Kind::Symlink, mode: 0, link: b"target"[..].into(), ..common.clone() },
        Meta { kind: Kind::Symlink, mode: 0, link: long[..].into(), ..common.clone() },
        Meta { kind: Kind::Fifo, mode: 0o622, ..common.clone() },
        Meta { kind: Kind::Socket, mode: 0o777, ..common.clone() },
        Meta { kind: Kind::CharDevice, mode: 0o666, device, ..common.clone() },
        Meta {
            kind: Kind::BlockDevice,
            mode: 0o640,
            device: Device { major: 259, minor: 1_000_000 },
            ..common.clone()
        },
        Meta { kind: Kind::Fifo, mode: 0o674, xattrs: xattrs(&[("system.posix_acl_access", &acl(5, 7))]), ..common },
    ];
    for meta in wanted {
        let staged = house.stage.make(&meta, Keep::EVERYTHING).unwrap();
        assert_eq!(staged.problems(), [""; 0]);
        staged.publish(&house.root, &name("it"), &house.stage).unwrap();
        assert_eq!(read(&house, "it"), meta);
        house.stage.copy(&house.root, &name("it")).unwrap().publish(&house.root, &name("copy"), &house.stage).unwrap();
        assert_eq!(read(&house, "copy"), meta);
    }
    assert_eq!(read(&house, "target"), before);
}

#[test]
fn what_is_not_kept_is_left() {
    if !is_root() {
        return;
    }
    let house = House::new(crate::Resolve::Openat2);
    let meta = Meta { mode: 0o4751, uid: 1000, gid: 1001, xattrs: xattrs(&[("user.x", b"")]), ..plain(Kind::File, 0) };
    assert_eq!(publish_file(&house, &meta, Keep::empty()), [""; 0]);
    let made = read(&house, "it");
    assert_eq!((made.mode, made.uid, made.gid, made.xattrs.len()), (0o644, 0, 0, 0));
    assert_ne!(made.mtime, meta.mtime);
    // Setuid without the owner would be setuid root.
    let keep = Keep::empty().with(Kept::Mode).with(Kept::Setid);
    let problems = publish_file(&house, &meta, keep);
    assert_eq!(problems, ["mode 4751: setuid and setgid are not set without the owner"]);
    assert_eq!(read(&house, "it").mode, 0o751);
    assert_eq!(publish_file(&house, &meta, Keep::DEFAULT), [""; 0]);
    assert_eq!(read(&house, "it").mode, 0o751);
    // In place, what is not kept stays what it was.
    let other = Meta { mode: 0o600, uid: 5, xattrs: xattrs(&[]), ..meta.clone() };
    house.root.find(&name("it")).unwrap().set_file_meta(&other, Keep::empty().with(Kept::Mtime)).unwrap();
    let now = read(&house, "it");
    assert_eq!((now.mode, now.uid, now.xattrs.len(), now.mtime), (0o751, 1000, 1, meta.mtime));
    let folder = house.stage.make(&plain(Kind::Dir, 0), Keep::empty()).unwrap();
    folder.publish(&house.root, &name("folder"), &house.stage).unwrap();
    assert_eq!(read(&house, "folder").mode, 0o755);
}

#[test]
fn impossible_values_are_told_and_not_obeyed() {
    let house = House::new(crate::Resolve::Openat2);
    let now = Time { secs: 5, nanos: 0x3fff_ffff };
    let meta = Meta { uid: u32::MAX, mtime: now, xattrs: xattrs(&[("user.", b"x")]), ..plain(Kind::File, 0) };
    let problems = publish_file(&house, &meta, Keep::DEFAULT);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("owner 4294967295:"), "{problems:?}");
    assert!(problems[1].starts_with("xattr user.: Invalid argument"), "{problems:?}");
    assert!(problems[2].starts_with("mtime 5.1073741823: Invalid argument"), "{problems:?}");
}
