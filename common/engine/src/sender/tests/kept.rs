//! A source whose deletions are not mirrored: no folder of the target is lost, and live it is as a pass would have it. And a
//! folder that somebody takes away there is owed whole.

use proto::{Kind, Outcome, ToReceiver};

use super::fake::Fake;
use super::*;

const IN_THE_WAY: &str = "a folder stands there at the target, and delete is off";

/// A pair that keeps what is deleted, at rest, with `d/f` and `d/sub/g`, an empty folder and two files.
fn keeping() -> Pair {
    let mut pair = Pair::new();
    pair.options.delete = false;
    fs::create_dir_all(pair.here.join("d/sub")).unwrap();
    fs::create_dir(pair.here.join("empty")).unwrap();
    for file in ["d/f", "d/sub/g", "one", "two"] {
        fs::write(pair.here.join(file), file).unwrap();
    }
    assert_eq!(pair.pass().0, Ended::InSync);
    pair.assert_equal();
    pair
}

impl Pair {
    fn goes(&self, at: &str) {
        let full = self.here.join(at);
        if full.is_dir() {
            fs::remove_dir_all(&full).unwrap()
        } else {
            fs::remove_file(&full).unwrap()
        }
        self.entry(at, Cause::GONE);
        self.entry("", Cause::ENTRIES);
    }

    fn comes(&self, at: &str, content: &str) {
        fs::write(self.here.join(at), content).unwrap();
        self.entry(at, Cause::CREATED | Cause::WRITTEN);
        self.entry("", Cause::ENTRIES);
    }

    /// What is in trouble, and why: without what has not happened.
    fn named(&self) -> Vec<(String, String)> {
        let why = |reason: &str| reason.split_once(": ").map_or("", |(_, why)| why).to_owned();
        self.mirror.entries.problems().iter().map(|(at, note)| (at.to_string(), why(&note.reason))).collect()
    }

    /// These names, and no others, are in the way live, and a pass says the same.
    fn assert_in_the_way(&mut self, names: &[&str]) {
        let expected: Vec<_> = names.iter().map(|name| ((*name).to_owned(), IN_THE_WAY.to_owned())).collect();
        assert_eq!(self.sync().0, Ended::InSync);
        assert_eq!(self.named(), expected);
        let there = tree(&self.there);
        assert_eq!(self.pass().0, Ended::InSync);
        assert_eq!(self.named(), expected, "a pass says the same");
        assert_eq!(tree(&self.there), there, "and leaves it as it was");
    }

    fn read(&self, at: &str) -> String {
        fs::read_to_string(self.there.join(at)).unwrap()
    }
}

#[test]
fn what_takes_the_name_of_a_folder_is_named_and_the_folder_stays() {
    for what in ["link", "file", "rename", "name", "empty"] {
        let mut pair = keeping();
        let at = if what == "empty" { "empty" } else { "d" };
        pair.goes(at);
        match what {
            "link" => {
                symlink("elsewhere", pair.here.join("d")).unwrap();
                pair.entry("d", Cause::CREATED);
            }
            "rename" => pair.renamed("one", "d"),
            "name" => {
                fs::hard_link(pair.here.join("one"), pair.here.join("d")).unwrap();
                pair.entry("d", Cause::CREATED);
            }
            _ => pair.comes(at, "file"),
        }
        pair.assert_in_the_way(&[at]);
        assert_eq!((pair.read("d/f"), pair.read("d/sub/g")), ("d/f".into(), "d/sub/g".into()), "{what}");
        assert!(pair.there.join("empty").is_dir());
        assert_eq!(pair.read("one"), "one", "what was renamed stays too");
        // What it was is there again.
        pair.goes(at);
        fs::create_dir(pair.here.join(at)).unwrap();
        pair.hint(Hint::Subtree { path: path(at) });
        assert_eq!(pair.sync().0, Ended::InSync);
        assert_eq!(pair.named(), []);
    }
}

#[test]
fn a_file_that_was_in_the_way_is_stored_under_another_name() {
    let mut pair = keeping();
    pair.goes("d");
    pair.comes("d", "file");
    pair.assert_in_the_way(&["d"]);
    pair.renamed("d", "e");
    assert_eq!(pair.sync().0, Ended::InSync);
    assert_eq!((pair.named(), pair.read("e"), pair.read("d/f")), (vec![], "file".into(), "d/f".into()));
}

#[test]
fn new_content_of_a_file_with_several_names_comes_under_one_that_is_free() {
    let mut pair = keeping();
    pair.goes("d");
    fs::hard_link(pair.here.join("one"), pair.here.join("d")).unwrap();
    pair.entry("d", Cause::CREATED);
    pair.assert_in_the_way(&["d"]);
    for content in ["written", "and written again"] {
        fs::write(pair.here.join("d"), content).unwrap();
        pair.entry("d", Cause::WRITTEN);
        assert_eq!(pair.sync().0, Ended::InSync);
        assert_eq!(pair.read("one"), content);
        assert_eq!(pair.named(), [("d".to_owned(), IN_THE_WAY.to_owned())]);
    }
}

#[test]
fn a_folder_that_is_renamed_keeps_its_old_name_and_comes_whole_under_the_new() {
    let mut pair = keeping();
    pair.renamed("d", "e");
    pair.entry("", Cause::ENTRIES);
    pair.assert_in_the_way(&[]);
    for at in ["d/f", "d/sub/g", "e/f", "e/sub/g"] {
        assert_eq!(pair.read(at), at.replace('e', "d"));
    }
    // Onto one that is kept: both become one, as by a pass.
    pair.comes("e/new", "new");
    pair.renamed("e", "d");
    pair.entry("", Cause::ENTRIES);
    pair.assert_in_the_way(&[]);
    assert_eq!((pair.read("d/new"), pair.read("d/f"), pair.read("e/f")), ("new".into(), "d/f".into(), "d/f".into()));
}

#[test]
fn folders_that_change_places_lose_nothing() {
    let mut pair = keeping();
    std::thread::sleep(Duration::from_millis(50));
    for (from, to) in [("d", "swap"), ("one", "d"), ("swap", "one")] {
        fs::rename(pair.here.join(from), pair.here.join(to)).unwrap();
    }
    let since = std::time::Instant::now();
    pair.mirror.hint([
        Hint::Renamed { from: path("d"), to: path("one"), folder: true, since },
        Hint::Renamed { from: path("one"), to: path("d"), folder: false, since },
        Hint::Entry { path: path(""), cause: Cause::ENTRIES },
    ]);
    pair.assert_in_the_way(&["d"]);
    assert_eq!(
        (pair.read("d/f"), pair.read("one/f"), pair.read("one/sub/g")),
        ("d/f".into(), "d/f".into(), "d/sub/g".into())
    );
}

#[test]
fn files_take_each_others_names_and_a_folder_that_of_a_file() {
    let mut pair = keeping();
    // What was looked at right before a rename is looked at again.
    std::thread::sleep(Duration::from_millis(50));
    let before = pair.mirror.sent.totals().files;
    pair.renamed("one", "two");
    pair.entry("", Cause::ENTRIES);
    pair.assert_in_the_way(&[]);
    assert_eq!(pair.mirror.sent.totals().files, before, "a rename of a file is one");
    assert_eq!(pair.read("two"), "one");
    pair.goes("two");
    fs::create_dir(pair.here.join("two")).unwrap();
    fs::write(pair.here.join("two/x"), "x").unwrap();
    pair.hint(Hint::Subtree { path: path("two") });
    pair.assert_in_the_way(&[]);
    assert_eq!(pair.read("two/x"), "x");
}

#[test]
fn a_folder_that_vanished_at_the_target_comes_back_whole_with_the_next_change_in_it() {
    for (delete, change) in [(true, "file"), (false, "file"), (true, "mode"), (true, "gone"), (true, "deep")] {
        let mut pair = keeping();
        (pair.sender, pair.options.delete) = (None, delete);
        fs::remove_dir_all(pair.there.join("d")).unwrap();
        // Its own mtime is another since.
        pair.entry("", Cause::ENTRIES);
        match change {
            "mode" => {
                fs::set_permissions(pair.here.join("d"), fs::Permissions::from_mode(0o700)).unwrap();
                pair.entry("d", Cause::ATTRIBUTES);
            }
            "gone" => {
                fs::remove_file(pair.here.join("d/f")).unwrap();
                pair.entry("d/f", Cause::GONE);
                pair.entry("d", Cause::ENTRIES);
            }
            "deep" => {
                fs::write(pair.here.join("d/sub/new"), "new").unwrap();
                pair.entry("d/sub/new", Cause::CREATED | Cause::WRITTEN);
                pair.entry("d/sub", Cause::ENTRIES);
            }
            _ => {
                fs::write(pair.here.join("d/new"), "new").unwrap();
                pair.entry("d/new", Cause::CREATED | Cause::WRITTEN);
                pair.entry("d", Cause::ENTRIES);
            }
        }
        assert_eq!(pair.sync().0, Ended::InSync);
        pair.assert_equal();
    }
}

#[test]
fn an_empty_folder_that_vanished_is_made_by_a_pass_and_what_stands_in_its_place_goes() {
    let mut pair = keeping();
    fs::remove_dir(pair.there.join("empty")).unwrap();
    fs::remove_dir_all(pair.there.join("d")).unwrap();
    fs::write(pair.there.join("d"), "a file").unwrap();
    // Of the root's own names alone.
    pair.hint(Hint::Folder { path: RelPath::root() });
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn a_folder_that_vanished_and_is_refused_is_named() {
    let mut pair = keeping();
    pair.entry("d", Cause::ATTRIBUTES);
    let fake = Fake::new(|message: &ToReceiver| match message {
        ToReceiver::Mend { .. } => Some(Outcome::Absent),
        ToReceiver::Make { meta, .. } if meta.kind == Kind::Dir => Some(Outcome::Refused { reason: "so".into() }),
        ToReceiver::Put { .. } => Some(Outcome::Absent),
        _ => None,
    });
    let sender = pair.sender.take().unwrap();
    let (_, ended) = fake.connect(&pair, sender, Until::InSync, Duration::from_secs(60));
    assert_eq!(ended, Ended::InSync);
    assert_eq!(pair.named()[0], ("d".to_owned(), "so".to_owned()));
}
