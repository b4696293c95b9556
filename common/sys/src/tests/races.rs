//! Another process swaps names for links to a folder outside while we work: the folder outside stays untouched.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proto::{Keep, Kind};

use super::{BOTH, House, name, path, plain, snapshot};

const TIME: Duration = Duration::from_secs(2);

#[test]
fn names_swapped_for_links_lead_nowhere() {
    for how in BOTH {
        let house = House::new(how);
        let canary = house.temp.path().join("canary");
        fs::create_dir_all(canary.join("sub")).unwrap();
        fs::write(canary.join("file"), "untouched").unwrap();
        fs::create_dir_all(house.path("folder/sub")).unwrap();
        symlink(&canary, house.path("folder-link")).unwrap();
        fs::write(house.path("file"), "ours").unwrap();
        symlink(canary.join("file"), house.path("file-link")).unwrap();
        symlink(&canary, house.path("doomed-link")).unwrap();
        let before = snapshot(&canary);
        let stop = AtomicBool::new(false);
        let done = std::thread::scope(|scope| {
            scope.spawn(|| swap(&house, &stop));
            let _stop = Stop(&stop);
            let end = Instant::now() + TIME / BOTH.len() as u32;
            let mut done = [0_u32; 4];
            while Instant::now() < end {
                work(&house, &mut done);
            }
            done
        });
        assert_eq!(before, snapshot(&canary));
        assert!(done.iter().all(|times| *times > 0), "each operation was reached: {done:?}");
        assert_eq!(house.staged(), 0);
    }
}

/// Ends the swapping also when an assertion fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn swap(house: &House, stop: &AtomicBool) {
    let other = house.tree.root().unwrap();
    let pairs = [("folder", "folder-link"), ("file", "file-link"), ("doomed", "doomed-link")];
    while !stop.load(Ordering::Relaxed) {
        for (one, two) in pairs {
            let _ = other.exchange(&name(one), &other, &name(two));
        }
    }
}

/// Results are not looked at but for being reached: an operation may fail, never act outside.
fn work(house: &House, done: &mut [u32; 4]) {
    let keep = Keep::DEFAULT;
    if let Ok(dir) = house.tree.dir(&path("folder")) {
        let staged = house.stage.file(0).unwrap().finish(&plain(Kind::File, 0), keep).unwrap();
        staged.publish(&dir, &name("new"), &house.stage).unwrap();
        dir.set_meta(&plain(Kind::Dir, 0), keep).unwrap();
        dir.set_mtime(plain(Kind::Dir, 0).mtime).unwrap();
        let _ = dir.open_dir(&name("sub")).unwrap().set_meta(&plain(Kind::Dir, 0), keep);
        house.stage.take_out(&dir, &name("new")).unwrap();
        done[0] += 1;
    }
    let strict = proto::Meta { mode: 0o600, ..plain(Kind::File, 4) };
    if house.root.find(&name("file")).is_ok_and(|found| found.set_file_meta(&strict, keep).is_ok()) {
        done[1] += 1;
    }
    if let Ok((file, _)) = house.root.open_file(&name("file")) {
        let mut bytes = [0; 16];
        let length = file.read_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"ours");
        done[2] += 1;
    }
    for doomed in ["doomed", "doomed-link"] {
        if house.root.lookup(&name(doomed)).unwrap().is_none_or(|stat| stat.kind == Kind::Dir) {
            let _ = house.stage.take_out(&house.root, &name(doomed));
            if house.root.lookup(&name(doomed)).unwrap().is_none() {
                let folder = house.stage.make(&plain(Kind::Dir, 0), keep).unwrap();
                let _ = folder.publish(&house.root, &name(doomed), &house.stage);
            }
            if let Ok(dir) = house.root.open_dir(&name(doomed)) {
                let file = house.stage.file(0).unwrap().finish(&plain(Kind::File, 0), keep).unwrap();
                let _ = file.publish(&dir, &name("inside"), &house.stage);
            }
            done[3] += 1;
        } else if house.root.lookup(&name("doomed-link")).unwrap().is_none() {
            let _ = symlink(house.temp.path().join("canary"), house.path("doomed-link"));
        }
    }
}
