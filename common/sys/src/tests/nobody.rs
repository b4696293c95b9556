//! What changes without privileges: the same binary runs one test again as a user who owns only the module.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use proto::{Keep, Kind, Meta};

use super::{House, WITHOUT_SPECIALS, is_root, name, plain};

const NOBODY: u32 = 65_534;

#[test]
fn a_receiver_without_privileges() {
    if !is_root() {
        return unprivileged();
    }
    let temp = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(temp.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    // The program may stand where only root can go: a copy of it goes with the user.
    let program = temp.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let foreign = temp.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    std::os::unix::fs::chown(&foreign, Some(NOBODY), Some(12_345)).unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", "tests::nobody::a_receiver_without_privileges"]).env("TMPDIR", temp.path());
    let output = command.uid(NOBODY).gid(NOBODY).current_dir("/").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn unprivileged() {
    let house = House::new(crate::Resolve::Openat2);
    let ours = rustix::process::geteuid().as_raw();
    // Another owner is told, and its setuid bit is not given to us.
    let meta = Meta { uid: 0, gid: 0, mode: 0o4755, ..plain(Kind::File, 0) };
    let staged = house.stage.file(0).unwrap().finish(&meta, WITHOUT_SPECIALS).unwrap();
    assert_eq!(staged.problems()[0], "owner 0:0: Operation not permitted (os error 1)");
    assert!(staged.problems()[1].starts_with("mode 4755: "), "{:?}", staged.problems());
    staged.publish(&house.root, &name("file"), &house.stage).unwrap();
    let about = fs::metadata(house.path("file")).unwrap();
    assert_eq!((about.uid(), about.mode() & 0o7777), (ours, 0o755));
    // (0:0 is the one device that anybody may make.)
    let device = Meta { device: proto::Device { major: 1, minor: 3 }, ..plain(Kind::CharDevice, 0) };
    let error = house.stage.make(&device, Keep::EVERYTHING).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);

    // Nor its setgid bit where the group is not one of ours.
    let foreign = std::env::temp_dir().join("foreign");
    if let Ok(tree) = crate::Tree::open(&foreign, crate::Mounts::Stay) {
        let meta = Meta { gid: 12_345, mode: 0o2755, ..plain(Kind::Dir, 0) };
        let problems = tree.root().unwrap().set_meta(&meta, WITHOUT_SPECIALS).unwrap();
        assert_eq!(problems, ["mode 2755: is 0755, as the kernel lets us set no more"]);
    }

    // What the disk can hold is found out all the same.
    let found = crate::stage::probe(house.tree.clone()).unwrap();
    assert!(found.hardlinks && found.symlinks && found.exchange, "{found:?}");

    // A file and a folder of mode 0 are still ours to change, move and remove.
    let locked = Meta { mode: 0, ..plain(Kind::File, 0) };
    house.stage.file(0).unwrap().finish(&locked, Keep::DEFAULT).unwrap().flush().unwrap();
    let staged = house.stage.file(0).unwrap().finish(&locked, Keep::DEFAULT).unwrap();
    staged.publish(&house.root, &name("locked"), &house.stage).unwrap();
    assert_eq!(house.root.find(&name("locked")).unwrap().set_file_meta(&locked, Keep::DEFAULT).unwrap(), [""; 0]);
    assert_eq!(fs::metadata(house.path("locked")).unwrap().mode() & 0o7777, 0);

    // One that we may not write to was marked before that.
    let file = house.stage.file(0).unwrap();
    file.mark_inexact().unwrap();
    let staged = file.finish(&Meta { mode: 0o400, ..plain(Kind::File, 0) }, Keep::DEFAULT).unwrap();
    staged.publish(&house.root, &name("torn"), &house.stage).unwrap();
    assert!(house.root.open_file(&name("torn")).unwrap().0.is_inexact().unwrap());

    let read_only = Meta { mode: 0o555, ..plain(Kind::Dir, 0) };
    let folder = house.stage.make(&read_only, Keep::DEFAULT).unwrap();
    folder.publish(&house.root, &name("folder"), &house.stage).unwrap();
    fs::create_dir(house.path("parent")).unwrap();
    let parent = house.root.open_dir(&name("parent")).unwrap();
    house.root.rename(&name("folder"), &parent, &name("moved")).unwrap();
    assert_eq!(fs::metadata(house.path("parent/moved")).unwrap().mode() & 0o7777, 0o555);
    fs::create_dir(house.path("other")).unwrap();
    house.root.exchange(&name("other"), &parent, &name("moved")).unwrap();
    assert_eq!(fs::metadata(house.path("other")).unwrap().mode() & 0o7777, 0o555);
    house.root.exchange(&name("other"), &parent, &name("moved")).unwrap();

    fs::create_dir_all(house.path("parent/shut/in/side")).unwrap();
    fs::write(house.path("parent/shut/in/file"), "").unwrap();
    for shut in ["parent/shut/in", "parent/shut", "parent"] {
        fs::set_permissions(house.path(shut), fs::Permissions::from_mode(0o000)).unwrap();
    }
    house.stage.take_out(&house.root, &name("parent")).unwrap();
    assert_eq!(house.staged(), 0);
    assert!(house.stage.rest().unwrap());
}
