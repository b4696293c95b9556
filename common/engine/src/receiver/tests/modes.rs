//! What a receiver without privileges does where the modes of its own folders are in its way: the same binary runs the test
//! again as a user who owns nothing else.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use proto::{Outcome, ToReceiver, ToSender};

use super::rig::*;
use crate::view::Protection;

const NOBODY: u32 = 65_534;

#[test]
fn closed_folders_are_looked_into_and_changed_without_privileges() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return unprivileged();
    }
    let temp = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(temp.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    // The program may stand where only root can go: a copy of it goes with the user.
    let program = temp.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let test = concat!(module_path!(), "::closed_folders_are_looked_into_and_changed_without_privileges");
    let test = test.split_once("::").unwrap().1;
    let mut command = Command::new(program);
    command.args(["--exact", test]).env("TMPDIR", temp.path());
    let output = command.uid(NOBODY).gid(NOBODY).current_dir("/").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Folders with each mode that is in the way of something, and one file in each.
const CLOSED: [u32; 4] = [0o000, 0o300, 0o400, 0o600];

fn unprivileged() {
    let make = |module: &Path| {
        for mode in CLOSED {
            let folder = module.join(format!("{mode:o}"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("f"), "x").unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    let protection = Protection::of(["0/f", "300/f", "400/f", "600/f"].map(path));
    let mut rig = Rig::with(Settings { protection, ..Settings::default() }, make);
    for mode in CLOSED {
        let at = format!("{mode:o}");
        let count = |at: &str| ToReceiver::Count { path: path(at) };
        rig.send(&[count(&at), count(&format!("{at}/f")), ToReceiver::Compare { path: path(&at), digest: [0; 16] }]);
        let answers = rig.answers();
        assert!(matches!(answers[0], ToSender::Counted { entries: 2, .. }), "{at}: {answers:?}");
        assert!(matches!(answers[1], ToSender::Counted { entries: 1, .. }), "{at}: {answers:?}");
        let ToSender::Listing { entries, .. } = &answers[2] else { panic!("{at}: {answers:?}") };
        assert_eq!(entries.len(), 1, "{at}");
        let Outcome::Refused { reason } = rig.outcome(remove(&at)) else { panic!("{at}") };
        assert!(reason.contains("/f', which stands in it, is protected"), "{reason}");
        rig.done(&[put(&format!("{at}/g"), "y"), remove(&format!("{at}/g"))]);
        assert_eq!(fs::metadata(rig.at(&at)).unwrap().mode() & 0o7777, mode, "its mode is what it was");
    }
    let mut rig = Rig::with(Settings::default(), make);
    rig.done(&[remove("0"), rename("300", "400"), put("600", "a file")]);
    assert_eq!(names(&rig.at("")), ["400", "600"]);
}
