//! What is said of single entries: what the target refuses is counted, follows its entry and ends with it.

use super::*;

/// More than are in flight at a time and kept with their paths together.
const MANY: u64 = 9_500;

/// A pair whose target takes no file of more than four bytes.
fn strict() -> Pair {
    Pair { limits: Limits { max_file_size: Some(4) }, ..Pair::new() }
}

/// The paths of what is wrong, all of which are kept.
fn troubled(pair: &Pair) -> Vec<String> {
    let problems = pair.mirror.entries.problems();
    let paths: Vec<String> = problems.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(problems.len(), paths.len() as u64);
    paths
}

#[test]
fn refused_files_count_one_by_one_and_are_not_sent() {
    let mut pair = strict();
    fs::create_dir(pair.here.join("d")).unwrap();
    for n in 0..MANY {
        fs::write(pair.here.join(format!("d/{n}")), "large").unwrap();
    }
    fs::write(pair.here.join("fits"), "fit").unwrap();
    for sent in [(1, 3), (0, 0)] {
        let (ended, took) = pair.pass();
        assert_eq!((ended, took.files, took.bytes), (Ended::InSync, sent.0, sent.1));
        assert_eq!(pair.mirror.entries.problems().len(), MANY);
    }
    pair.renamed("d", "e");
    fs::remove_file(pair.here.join("e/0")).unwrap();
    pair.entry("e/0", Cause::GONE);
    assert_eq!(pair.sync().0, Ended::InSync);
    assert_eq!(pair.mirror.entries.problems().len(), MANY - 1);
    pair.limits.max_file_size = None;
    let (ended, took) = pair.pass();
    assert_eq!((ended, took.files, took.bytes), (Ended::InSync, MANY - 1, (MANY - 1) * 5));
    pair.assert_equal();
}

#[test]
fn what_was_refused_is_asked_about_before_its_content_travels_again() {
    let mut pair = strict();
    let dump = pair.here.join("dump");
    let content = vec![7; 3 << 20];
    fs::write(&dump, &content).unwrap();
    assert_eq!(pair.pass().0, Ended::InSync);
    for _ in 0..2 {
        fs::write(&dump, &content).unwrap();
        pair.entry("dump", Cause::WRITTEN);
        for (ended, took) in [pair.sync(), pair.pass()] {
            assert_eq!(ended, Ended::InSync);
            assert!(took.wire_bytes < 10_000, "{} bytes to be refused again", took.wire_bytes);
        }
        assert_eq!(troubled(&pair), ["dump"]);
    }
    pair.limits.max_file_size = None;
    let (ended, took) = pair.pass();
    assert_eq!((ended, took.files), (Ended::InSync, 1));
    assert!(troubled(&pair).is_empty());
    pair.assert_equal();
}

#[test]
fn trouble_follows_its_entry_and_ends_with_it() {
    let mut pair = strict();
    for folder in ["a", "b"] {
        fs::create_dir(pair.here.join(folder)).unwrap();
        fs::write(pair.here.join(folder).join(format!("of {folder}")), "large").unwrap();
    }
    fs::write(pair.here.join("file"), "large").unwrap();
    assert_eq!(pair.pass().0, Ended::InSync);
    assert_eq!(troubled(&pair), ["a/of a", "b/of b", "file"]);
    // Before anything else happens, and before the sender knows of it.
    pair.renamed("a", "c");
    assert_eq!(troubled(&pair), ["b/of b", "c/of a", "file"]);
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.renamed("c", "b/c");
    pair.renamed("file", "b/of b");
    assert_eq!(pair.sync().0, Ended::InSync);
    assert_eq!(troubled(&pair), ["b/c/of a", "b/of b"]);
    fs::write(pair.here.join("b/of b"), "fits").unwrap();
    pair.entry("b/of b", Cause::WRITTEN);
    assert_eq!(pair.sync().0, Ended::InSync);
    assert_eq!(troubled(&pair), ["b/c/of a"]);
    fs::remove_dir_all(pair.here.join("b")).unwrap();
    fs::write(pair.here.join("else"), "").unwrap();
    pair.entry("b", Cause::GONE);
    pair.entry("else", Cause::WRITTEN);
    pair.entry("", Cause::ENTRIES);
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn trouble_of_what_vanished_unseen_ends_with_a_listing() {
    let mut pair = strict();
    fs::create_dir(pair.here.join("d")).unwrap();
    fs::write(pair.here.join("d/large"), "large").unwrap();
    fs::write(pair.here.join("large"), "large").unwrap();
    assert_eq!(pair.pass().0, Ended::InSync);
    fs::remove_file(pair.here.join("d/large")).unwrap();
    fs::remove_file(pair.here.join("large")).unwrap();
    pair.hint(Hint::Folder { path: path("d") });
    assert_eq!(pair.sync().0, Ended::InSync);
    assert_eq!(troubled(&pair), ["large"]);
    pair.hint(Hint::Folder { path: RelPath::root() });
    assert_eq!(pair.sync().0, Ended::InSync);
    pair.assert_equal();
}

#[test]
fn what_is_refused_again_stays_and_what_arrives_meanwhile_does_not_end_it() {
    let mut pair = strict();
    fs::write(pair.here.join("file"), "fits").unwrap();
    assert_eq!(pair.pass().0, Ended::InSync);
    let since = |pair: &Pair| pair.mirror.entries.problems().iter().next().map(|(_, note)| note.since);
    fs::write(pair.here.join("file"), "large").unwrap();
    pair.entry("file", Cause::WRITTEN);
    assert_eq!(pair.sync().0, Ended::InSync);
    let first = since(&pair);
    assert!(first.is_some());
    for _ in 0..3 {
        assert_eq!(pair.pass().0, Ended::InSync);
        pair.entry("file", Cause::ATTRIBUTES);
        pair.entry("", Cause::ENTRIES);
        assert_eq!(pair.sync().0, Ended::InSync);
        assert_eq!((troubled(&pair), since(&pair)), (vec!["file".to_owned()], first));
    }
}

#[test]
fn what_is_looked_at_more_often_than_it_is_read_through_is_named() {
    let pair = Pair { options: Options { workers: Workers::Inline, ..Pair::new().options }, ..Pair::new() };
    let at = pair.here.join("f");
    fs::write(&at, vec![1; 1_000_000]).unwrap();
    let file = fs::File::options().write(true).open(&at).unwrap();
    let root = Root::new(Arc::new(Tree::open(&pair.here, Mounts::Stay).unwrap())).unwrap();
    let mut sender = Sender::new(root, pair.options, pair.mirror.clone());
    let (outbox, mut frames) = mpsc::channel(OUTBOX);
    let (_answers, receipts) = answers(1, &pair.policy);
    let (keep, durability, compress) = (pair.keep, pair.durability, pair.compress);
    let mut session = sender.begin(
        Connection { outbox, receipts, keep, durability, compress, version: proto::Version::HIGHEST },
        Until::Stopped,
    );
    for n in 0..400 {
        std::os::unix::fs::FileExt::write_all_at(&file, &[n as u8], 0).unwrap();
        // As of a new file: nobody answers what the target has of an older one.
        pair.entry("f", Cause::CREATED | Cause::WRITTEN);
        session.step();
        while frames.try_recv().is_ok() {}
    }
    assert_eq!(troubled(&pair), ["f"]);
}

#[test]
fn what_has_a_reserved_name_is_left_out_until_it_is_gone() {
    let mut pair = Pair::new();
    fs::create_dir(pair.here.join("d")).unwrap();
    fs::write(pair.here.join("d/.recvd-stage-0"), "").unwrap();
    assert_eq!(pair.pass().0, Ended::InSync);
    let left_out =
        |pair: &Pair| pair.mirror.entries.left_out().iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(left_out(&pair), [path("d/.recvd-stage-0")]);
    pair.renamed("d", "e");
    assert_eq!(left_out(&pair), [path("e/.recvd-stage-0")]);
    fs::remove_file(pair.here.join("e/.recvd-stage-0")).unwrap();
    pair.entry("e/.recvd-stage-0", Cause::GONE);
    pair.entry("e", Cause::ENTRIES);
    assert!(left_out(&pair).is_empty());
    assert_eq!(pair.sync().0, Ended::InSync);
    assert!(pair.mirror.entries.problems().is_empty());
}

#[test]
fn what_a_rule_leaves_out_keeps_its_copy_and_is_no_problem() {
    let mut pair = Pair::new();
    std::os::unix::net::UnixListener::bind(pair.here.join("socket")).unwrap();
    fs::write(pair.there.join("socket"), "an earlier file of this name").unwrap();
    assert_eq!(pair.pass().0, Ended::InSync);
    assert!(pair.there.join("socket").is_file());
    assert!(pair.mirror.entries.problems().is_empty());
    assert_eq!(pair.mirror.entries.left_out().iter().next().unwrap().0, &path("socket"));
}

#[test]
fn of_what_was_in_a_folder_nothing_is_said_once_a_file_stands_there() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("d"), "a file by now").unwrap();
    pair.mirror.entries.problem(&path("d/e/f"), "changes while it is read".into());
    pair.mirror.entries.problem(&path("dd/f"), "is of another folder".into());
    pair.entry("d", Cause::CREATED | Cause::WRITTEN);
    assert_eq!(pair.sync().0, Ended::InSync);
    let problems: Vec<_> = pair.mirror.entries.problems().iter().map(|(at, _)| at.to_string()).collect();
    assert_eq!(problems, ["dd/f"]);
}
