//! A local user of the backup host moves things that are not the mirror's under its names, where the rights of a folder let
//! him: what the peer says of what stood there before gives none of it away.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use proto::{Keep, Kept, Kind, Meta, Outcome, ToReceiver, Xattrs};

use super::rig::*;

const MALLORY: u32 = 4711;

fn open() -> Settings {
    let keep = Keep::DEFAULT.with(Kept::Acls).with(Kept::Setid);
    Settings { open: true, keep, ..Settings::default() }
}

fn mode(at: &Path) -> u32 {
    fs::symlink_metadata(at).unwrap().mode() & 0o7777
}

fn chmod(at: &Path, mode: u32) {
    fs::set_permissions(at, fs::Permissions::from_mode(mode)).unwrap();
}

/// Somebody's file of six bytes that nobody else may read, of the time that all files of these tests have.
fn secret(at: &Path) -> u64 {
    fs::write(at, "secret").unwrap();
    chmod(at, 0o600);
    dated(at);
    fs::metadata(at).unwrap().ino()
}

fn dated(at: &Path) {
    let then = std::time::UNIX_EPOCH + std::time::Duration::new(THEN.secs.unsigned_abs(), THEN.nanos);
    fs::File::open(at).unwrap().set_modified(then).unwrap();
}

fn made(at: &str, mode: u32) -> ToReceiver {
    ToReceiver::Make { path: path(at), meta: Meta { mode, ..meta(Kind::Dir) } }
}

fn given(at: &str, mode: u32, uid: u32, xattrs: &[(&str, &[u8])]) -> ToReceiver {
    let xattrs = xattrs.iter().map(|(name, value)| (name.as_bytes().into(), (*value).into())).collect();
    let xattrs = Xattrs::new(xattrs).unwrap();
    ToReceiver::Offer { path: path(at), meta: Meta { size: 6, mode, uid, xattrs, ..meta(Kind::File) }, digest: None }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn a_file_that_was_moved_under_a_name_is_not_opened() {
    let mut rig = Rig::with(open(), |_| {});
    rig.done(&[folder("pub"), put("pub/f", "public")]);
    let me = fs::metadata("/proc/self").unwrap().uid();
    for offered in [
        given("pub/f", 0o644, me, &[]),
        given("pub/f", 0o600, MALLORY, &[]),
        given("pub/f", 0o600, me, &[("user.note", b"x")]),
        given("pub/f", 0o400, me, &[]),
    ] {
        let ino = secret(&rig.scratch.path().join("secret"));
        fs::rename(rig.scratch.path().join("secret"), rig.at("pub/f")).unwrap();
        assert_eq!(rig.outcome(offered.clone()), Outcome::Want, "{offered:?}");
        let now = fs::metadata(rig.at("pub/f")).unwrap();
        assert_eq!((now.ino(), now.mode() & 0o7777, now.uid()), (ino, 0o600, me), "{offered:?}");
    }
    // What the peer sends then takes its place.
    rig.done(&[put("pub/f", "public"), offer("pub/f", 6, 0o644)]);
    assert_eq!((fs::read_to_string(rig.at("pub/f")).unwrap(), mode(&rig.at("pub/f"))), ("public".into(), 0o644));
}

#[test]
fn nor_is_another_file_of_the_same_mirror() {
    let mut rig = Rig::with(open(), |_| {});
    let private = ToReceiver::Put {
        path: path("pub/private"),
        meta: Meta { size: 6, mode: 0o600, ..meta(Kind::File) },
        content: proto::Content::Inline("secret".into()),
        inexact: false,
    };
    rig.done(&[folder("pub"), put("pub/f", "public"), private]);
    let (one, other) = (rig.at("pub/f"), rig.at("pub/private"));
    fs::rename(&other, &one).unwrap();
    assert_eq!(rig.outcome(offer("pub/f", 6, 0o644)), Outcome::Want, "a receiver wrote it, under another name");
    assert_eq!(mode(&one), 0o600);
}

#[test]
fn what_was_written_here_gets_other_metadata_in_place_wherever_the_peer_has_moved_it() {
    let mut rig = Rig::with(open(), |module| {
        fs::create_dir(module.join("old")).unwrap();
        fs::write(module.join("old/f"), "public").unwrap();
        dated(&module.join("old/f"));
    });
    assert_eq!(rig.outcome(offer("old/f", 6, 0o600)), Outcome::Want, "of an earlier run nothing is known");
    rig.done(&[folder("d"), put("d/f", "public"), put("d/g", "public")]);
    let ino = |at: &str| fs::metadata(rig.at(at)).unwrap().ino();
    let inos = (ino("d/f"), ino("d/g"));
    rig.done(&[offer("d/f", 6, 0o600)]);
    rig.done(&[rename("d", "e"), offer("e/f", 6, 0o644), rename("e/f", "e/h"), offer("e/h", 6, 0o604)]);
    rig.done(&[exchange("e/g", "e/h"), offer("e/g", 6, 0o640), offer("e/h", 6, 0o600)]);
    let now = |at: &str| fs::metadata(rig.at(at)).map(|stat| (stat.ino(), stat.mode() & 0o7777)).unwrap();
    assert_eq!((now("e/g"), now("e/h")), ((inos.0, 0o640), (inos.1, 0o600)));
}

#[test]
fn one_that_its_owner_could_write_to_becomes_no_program_of_roots() {
    if !is_root() {
        return;
    }
    let mut rig = Rig::with(open(), |_| {});
    let his = Meta { size: 6, mode: 0o755, uid: MALLORY, ..meta(Kind::File) };
    let content = proto::Content::Inline("public".into());
    rig.done(&[ToReceiver::Put { path: path("f"), meta: his, content, inexact: false }]);
    fs::write(rig.at("f"), "secret").unwrap();
    dated(&rig.at("f"));
    for (mode, uid) in [(0o755, 0), (0o4755, 0), (0o4755, MALLORY)] {
        assert_eq!(rig.outcome(given("f", mode, uid, &[])), Outcome::Want, "{mode:o} {uid}");
    }
    rig.done(&[given("f", 0o700, MALLORY, &[])]);
    let now = fs::metadata(rig.at("f")).unwrap();
    assert_eq!((now.mode() & 0o7777, now.uid()), (0o700, MALLORY));
}

#[test]
fn in_a_closed_module_all_is_changed_in_place_until_it_is_opened() {
    let mut rig = Rig::with(Settings::default(), |module| {
        chmod(module.parent().unwrap(), 0o700);
        fs::write(module.join("f"), "public").unwrap();
        dated(&module.join("f"));
    });
    let ino = fs::metadata(rig.at("f")).unwrap().ino();
    rig.done(&[offer("f", 6, 0o604)]);
    assert_eq!((fs::metadata(rig.at("f")).unwrap().ino(), mode(&rig.at("f"))), (ino, 0o604));
    // The scratch folder is what closes it.
    chmod(rig.scratch.path(), 0o755);
    assert_eq!(rig.outcome(offer("f", 6, 0o644)), Outcome::Want);
    assert_eq!(mode(&rig.at("f")), 0o604);
    chmod(rig.scratch.path(), 0o700);
    rig.done(&[offer("f", 6, 0o644)]);
}

/// A folder in which everybody may change names, and one in it that was not made by this receiver.
fn swapped(rig: &mut Rig) {
    rig.done(&[made("pub", 0o777), made("pub/d", 0o755), put("pub/d/f", "public")]);
    let private = rig.scratch.path().join("private");
    fs::create_dir(&private).unwrap();
    fs::write(private.join("key"), "secret").unwrap();
    chmod(&private, 0o700);
    fs::rename(rig.at("pub/d"), rig.scratch.path().join("away")).unwrap();
    fs::rename(private, rig.at("pub/d")).unwrap();
}

#[test]
fn a_folder_that_was_moved_under_a_name_is_not_opened() {
    let mut rig = Rig::with(open(), |_| {});
    swapped(&mut rig);
    let me = fs::metadata("/proc/self").unwrap().uid();
    let (wider, to_mallory) = (meta(Kind::Dir), Meta { uid: MALLORY, mode: 0o711, ..meta(Kind::Dir) });
    for meta in [wider.clone(), to_mallory] {
        let Outcome::Partly { reason } = rig.outcome(ToReceiver::Make { path: path("pub/d"), meta }) else { panic!() };
        assert!(reason.contains("recvd check"), "{reason}");
        let now = fs::metadata(rig.at("pub/d")).unwrap();
        assert_eq!((now.mode() & 0o7777, now.uid()), (0o700, me));
    }
    // What takes away is done all the same, and the mtime and what users say of it are the peer's.
    let xattrs = Xattrs::new(vec![(b"user.note"[..].into(), b"x"[..].into())]).unwrap();
    let noted = Meta { mode: 0o055, xattrs, ..meta(Kind::Dir) };
    let Outcome::Partly { .. } = rig.outcome(ToReceiver::Make { path: path("pub/d"), meta: noted }) else { panic!() };
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(rig.at("pub/d"), "user.note", &mut value[..]), Ok(1));
    assert_eq!((mode(&rig.at("pub/d")), mtime(&rig.at("pub/d"))), (0o000, THEN));
    chmod(&rig.at("pub/d"), 0o755);
    rig.done(&[made("pub/d", 0o700)]);
    assert_eq!(mode(&rig.at("pub/d")), 0o700);
    // Where nobody else can have moved it there, it is the peer's: a folder above that is not to be written to by others.
    rig.done(&[made("pub", 0o755), made("pub/d", 0o755)]);
    assert_eq!(mode(&rig.at("pub/d")), 0o755);
}

#[test]
fn folders_that_nobody_else_can_have_put_there_get_what_the_peer_says() {
    let mut rig = Rig::with(open(), |module| {
        fs::create_dir_all(module.join("old/sub")).unwrap();
        chmod(&module.join("old"), 0o755);
        chmod(&module.join("old/sub"), 0o700);
    });
    // The module's own folder, and one of an earlier run in it.
    rig.done(&[made("", 0o777), made("", 0o755), made("old", 0o777), made("old", 0o755), made("old/sub", 0o775)]);
    // One that was made here, in a folder in which everybody may change names, also after the peer has renamed it.
    rig.done(&[made("pub", 0o777), made("pub/d", 0o700), made("pub/d", 0o755), rename("pub/d", "pub/e")]);
    rig.done(&[made("pub/e", 0o777)]);
    assert_eq!((mode(&rig.at("old/sub")), mode(&rig.at("pub/e"))), (0o775, 0o777));
    if !is_root() {
        return;
    }
    // One of a user in his own: who else could have put it there?
    let his = |at: &str, mode| ToReceiver::Make { path: path(at), meta: Meta { mode, uid: 4712, ..meta(Kind::Dir) } };
    rig.done(&[his("old", 0o755)]);
    std::os::unix::fs::chown(rig.at("old/sub"), Some(4712), None).unwrap();
    rig.done(&[his("old/sub", 0o777)]);
    assert!(matches!(rig.outcome(made("old/sub", 0o777)), Outcome::Partly { .. }), "it would be root's then");
    // With a sticky bit only its owner can move it.
    rig.done(&[his("old", 0o1777)]);
    std::os::unix::fs::chown(rig.at("old"), Some(0), None).unwrap();
    chmod(&rig.at("old/sub"), 0o700);
    rig.done(&[his("old/sub", 0o755)]);
    assert!(matches!(rig.outcome(made("old/sub", 0o777)), Outcome::Partly { .. }));
}
