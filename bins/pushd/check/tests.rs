//! What needs no peer: limits and folders.

use super::*;

#[test]
fn a_limit_that_does_not_fit_names_the_line_to_run() {
    assert_eq!(limits::watches(8192, 8192).exit, Exit::Ok);
    let verdict = limits::watches(300_000, 192_536);
    assert_eq!(verdict.exit, Exit::Config);
    assert!(verdict.sentence.contains("sysctl -w fs.inotify.max_user_watches=1048576"), "{}", verdict.sentence);
    assert_eq!(limits::instances(16, 128).exit, Exit::Ok);
    let verdict = limits::instances(16, 8);
    assert_eq!(verdict.exit, Exit::Config);
    assert!(verdict.sentence.contains("sysctl -w fs.inotify.max_user_instances=1024"), "{}", verdict.sentence);
    assert_eq!((limits::files(100, 100).exit, limits::files(101, 100).exit), (Exit::Ok, Exit::Config));
}

#[test]
fn folders_are_counted_with_the_root() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("a/b/c")).unwrap();
    std::fs::create_dir(folder.path().join("d")).unwrap();
    std::fs::write(folder.path().join("a/file"), "").unwrap();
    std::os::unix::fs::symlink("a", folder.path().join("link")).unwrap();
    let counted = folders::count(folder.path(), sys::Mounts::Stay).unwrap();
    assert_eq!((counted.folders, counted.unreadable.len()), (5, 0));
    assert!(folders::count(&folder.path().join("none"), sys::Mounts::Stay).is_err());
}
