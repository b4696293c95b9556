//! What the target has of a file that was not of one moment is sent again, however equal it looks.

use std::sync::atomic::Ordering;

use proto::{INEXACT, Name};

use super::*;

/// Has a receiver's file of this content, marked as not being of one moment, stand in a folder, with the metadata of what
/// stands there.
fn tear(root: &Path, at: &str, content: &[u8]) {
    let tree = Arc::new(Tree::open(root, Mounts::Stay).unwrap());
    let (folder, name) = (tree.root().unwrap(), Name::parse(at.as_bytes()).unwrap());
    let stage = Arc::new(sys::Stage::new(tree).unwrap());
    let meta = folder.meta(&name, &folder.lookup(&name).unwrap().unwrap(), Keep::DEFAULT).unwrap();
    let file = stage.file(meta.size).unwrap();
    file.write_at(content, 0).unwrap();
    file.mark_inexact().unwrap();
    let before = folder.stat().unwrap().mtime;
    file.finish(&meta, Keep::DEFAULT).unwrap().publish(&folder, &name, &stage).unwrap();
    stage.rest().unwrap();
    folder.set_mtime(before).unwrap();
}

fn is_marked(at: &Path) -> bool {
    rustix::fs::getxattr(at, INEXACT, &mut [0; 8][..]).is_ok()
}

#[test]
fn a_pass_sends_its_content_and_the_next_nothing() {
    for durability in [Durability::None, Durability::Batch] {
        let mut pair = Pair::new();
        pair.durability = durability;
        let large = vec![7; 1 << 20];
        fs::write(pair.here.join("f"), "whole").unwrap();
        fs::write(pair.here.join("large"), &large).unwrap();
        fs::write(pair.here.join("still"), "still").unwrap();
        pair.pass();
        tear(&pair.there, "f", b"w");
        // Equal by chance: nobody can know.
        tear(&pair.there, "large", &large);
        let (ended, took) = pair.pass();
        assert_eq!((ended, took.files), (Ended::InSync, 2));
        pair.assert_equal();
        assert!(!is_marked(&pair.there.join("f")) && !is_marked(&pair.there.join("large")));
        assert_eq!(pair.pass().1.files, 0);
    }
}

#[test]
fn other_metadata_at_the_source_sends_its_content() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("f"), "whole").unwrap();
    pair.pass();
    tear(&pair.there, "f", b"w");
    fs::set_permissions(pair.here.join("f"), fs::Permissions::from_mode(0o600)).unwrap();
    pair.entry("f", Cause::ATTRIBUTES);
    let (ended, took) = pair.sync();
    assert_eq!((ended, took.files), (Ended::InSync, 1));
    pair.assert_equal();
    assert!(!is_marked(&pair.there.join("f")));
}

#[test]
fn all_names_of_it_become_names_of_what_is_sent() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("a"), "whole").unwrap();
    fs::hard_link(pair.here.join("a"), pair.here.join("b")).unwrap();
    pair.pass();
    tear(&pair.there, "a", b"w");
    fs::remove_file(pair.there.join("b")).unwrap();
    fs::hard_link(pair.there.join("a"), pair.there.join("b")).unwrap();
    assert_eq!(pair.pass().0, Ended::InSync);
    pair.assert_equal();
    assert!(!is_marked(&pair.there.join("a")));
}

/// Where a source is itself a backup.
#[test]
fn a_mark_at_the_source_is_no_difference() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("f"), "whole").unwrap();
    tear(&pair.here, "f", b"whole");
    assert!(is_marked(&pair.here.join("f")));
    assert_eq!(pair.pass().1.files, 1);
    pair.assert_equal();
    assert!(!is_marked(&pair.there.join("f")));
    assert_eq!(pair.pass().1.files, 0);
}

/// Bytes of a file that is large enough to be read for longer than the clock of its file system ticks.
const LARGE: u64 = 24 << 20;

impl Pair {
    /// Sends what is owed while `f` is written all the time, and cut short and lengthened, so that no two looks see the same.
    fn sync_while_written(&mut self, size: u64) -> (Ended, Totals) {
        let (at, stop) = (self.here.join("f"), Arc::new(AtomicBool::new(false)));
        let writes = Arc::clone(&stop);
        let file = fs::File::options().create(true).truncate(false).write(true).open(at).unwrap();
        file.set_len(size).unwrap();
        let writer = std::thread::spawn(move || {
            let mut rng = fastrand::Rng::with_seed(1);
            while !writes.load(Ordering::Relaxed) {
                file.set_len(size - rng.u64(..size / 2)).unwrap();
                file.write_at(&[rng.u8(..); 100], rng.u64(..size / 2)).unwrap();
            }
            file.set_len(size).unwrap();
        });
        // It has begun.
        while self.here.join("f").metadata().unwrap().len() == size {
            std::thread::yield_now();
        }
        self.entry("f", Cause::WRITING);
        let done = self.sync();
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        done
    }

    pub fn said(&self) -> Vec<String> {
        self.mirror.entries.problems().iter().map(|(_, note)| note.reason.clone()).collect()
    }

    /// What comes of it when it rests.
    fn rests(&mut self) {
        self.entry("f", Cause::WRITTEN);
        assert_eq!(self.sync().0, Ended::InSync);
        self.entry("", Cause::ENTRIES);
        assert_eq!(self.sync().0, Ended::InSync);
        self.assert_equal();
        assert!(!is_marked(&self.there.join("f")));
    }
}

#[test]
fn of_what_never_holds_still_the_target_gets_an_inexact_copy_and_an_exact_one_when_it_does() {
    for durability in [Durability::None, Durability::Batch] {
        let mut pair = Pair::new();
        pair.durability = durability;
        let (ended, took) = pair.sync_while_written(LARGE);
        assert_eq!((ended, took.files), (Ended::InSync, 1));
        assert!(took.wire_bytes <= 4 * LARGE, "{} bytes for a file of {LARGE}", took.wire_bytes);
        assert!(is_marked(&pair.there.join("f")));
        assert!(pair.said().iter().all(|said| said.contains("an inexact copy")) && pair.said().len() == 1);
        pair.rests();
    }
}

#[test]
fn an_exact_version_at_the_target_stays_until_there_is_another() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("f"), vec![7; LARGE as usize]).unwrap();
    pair.pass();
    let before = fs::read(pair.there.join("f")).unwrap();
    // A sender that knows nothing of what the target has.
    pair.sender = None;
    let (ended, _) = pair.sync_while_written(LARGE);
    assert_eq!(ended, Ended::InSync);
    assert!(fs::read(pair.there.join("f")).unwrap() == before && !is_marked(&pair.there.join("f")));
    assert!(pair.said().iter().all(|said| said.contains("keeps its last version")) && pair.said().len() == 1);
    pair.rests();
}
