//! What single files give.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant, SystemTime};

use super::*;

#[test]
fn each_change_of_a_file_has_its_cause() {
    let mut rig = rig(|_| {});
    let mut file = File::create(rig.at("f")).unwrap();
    let notices = rig.rest();
    assert_eq!(notices, [entry("f", Cause::CREATED), entry("", Cause::ENTRIES)]);
    file.write_all(b"x").unwrap();
    assert_eq!(rig.rest(), [entry("f", Cause::WRITING)]);
    drop(file);
    assert_eq!(rig.rest(), [entry("f", Cause::WRITTEN)]);
    fs::set_permissions(rig.at("f"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(rig.rest(), [entry("f", Cause::ATTRIBUTES)]);
    fs::hard_link(rig.at("f"), rig.at("g")).unwrap();
    let notices = rig.rest();
    assert!(notices.contains(&entry("g", Cause::CREATED)), "{notices:?}");
    symlink("nowhere", rig.at("l")).unwrap();
    assert_eq!(rig.rest(), [entry("l", Cause::CREATED), entry("", Cause::ENTRIES)]);
    fs::remove_file(rig.at("l")).unwrap();
    assert_eq!(rig.rest(), [entry("l", Cause::GONE), entry("", Cause::ENTRIES)]);
}

#[test]
fn the_roots_own_attributes_are_told_and_a_folders_once() {
    let mut rig = rig(|root| fs::create_dir(root.join("d")).unwrap());
    fs::set_permissions(&rig.root, fs::Permissions::from_mode(0o711)).unwrap();
    assert_eq!(rig.rest(), [entry("", Cause::ATTRIBUTES)]);
    fs::set_permissions(rig.at("d"), fs::Permissions::from_mode(0o711)).unwrap();
    assert_eq!(rig.rest(), [entry("d", Cause::ATTRIBUTES)]);
}

#[test]
fn an_mtime_that_is_set_alone_is_an_attribute_of_a_folder() {
    let mut rig = rig(|root| fs::create_dir(root.join("d")).unwrap());
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    for (folder, told) in [(rig.at("d"), "d"), (rig.root.clone(), "")] {
        File::open(folder).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(rig.rest(), [entry(told, Cause::ATTRIBUTES)]);
    }
}

#[test]
fn a_renamed_file_is_one_hint_with_a_moment_before_it() {
    let mut rig = rig(|root| {
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("f"), "").unwrap();
    });
    rig.rest();
    let before = Instant::now();
    rig.rest();
    fs::rename(rig.at("f"), rig.at("d/g")).unwrap();
    let after = Instant::now();
    let notices = rig.rest();
    assert_eq!(renames(&notices), [pair("f", "d/g")]);
    assert_eq!(notices[1..], [entry("", Cause::ENTRIES), entry("d", Cause::ENTRIES)]);
    let Notice::Hint(Hint::Renamed { since, .. }) = &notices[0] else { panic!("{notices:?}") };
    assert!(before <= *since && *since <= after);
}

#[test]
fn files_that_come_from_and_go_outside() {
    let mut rig = rig(|root| fs::write(root.join("f"), "").unwrap());
    fs::rename(rig.at("f"), rig.outside.join("f")).unwrap();
    assert_eq!(rig.rest(), [entry("f", Cause::GONE), entry("", Cause::ENTRIES)]);
    fs::rename(rig.outside.join("f"), rig.at("g")).unwrap();
    assert_eq!(rig.rest(), [entry("g", Cause::WRITTEN | Cause::ATTRIBUTES), entry("", Cause::ENTRIES)]);
}

#[test]
fn any_byte_in_a_name_is_hinted() {
    let mut rig = rig(|_| {});
    let name: &[u8] = b"\x01\n\xff -*?[\x1b";
    fs::write(rig.root.join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
    let path = RelPath::parse(name).unwrap();
    assert!(rig.rest().contains(&Notice::Hint(Hint::Entry { path, cause: Cause::WRITTEN })));
}

#[test]
fn repeated_hints_are_said_once() {
    let mut rig = rig(|_| {});
    for number in 0..100 {
        fs::write(rig.at(&format!("f{number}")), "").unwrap();
    }
    let notices = rig.rest();
    // Each: appeared, closed; the folder's own now and then.
    assert!(notices.len() < 300, "{}", notices.len());
}

#[test]
fn a_ring_ends_the_wait_and_is_not_lost() {
    let mut rig = rig(|_| {});
    let waker = rig.watcher.waker.clone();
    waker.wake();
    waker.wake();
    let mut notices = Vec::new();
    rig.watcher.next(None, &mut notices).unwrap();
    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        waker.wake();
    });
    let start = Instant::now();
    rig.watcher.next(None, &mut notices).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(40));
    assert_eq!(notices, []);
    other.join().unwrap();
}

#[test]
fn a_timeout_ends_the_wait() {
    let mut rig = rig(|_| {});
    let start = Instant::now();
    rig.watcher.next(Some(Duration::from_millis(30)), &mut Vec::new()).unwrap();
    assert!((30..1000).contains(&start.elapsed().as_millis()));
}
