//! The content of a file with several names is sent once, and the other names are linked to it.

use proto::{Outcome, ToReceiver};

use super::scripted::Scripted;
use super::*;

/// A file with a name in each of ten folders, and one with one name.
fn ten_names(pair: &Pair, size: usize) -> Vec<String> {
    let names: Vec<_> = (0..10).map(|n| format!("d{n}/name")).collect();
    for name in &names {
        fs::create_dir(pair.here.join(name).parent().unwrap()).unwrap();
    }
    fs::write(pair.here.join(&names[0]), vec![b'x'; size]).unwrap();
    names[1..].iter().for_each(|name| fs::hard_link(pair.here.join(&names[0]), pair.here.join(name)).unwrap());
    fs::write(pair.here.join("single"), "y").unwrap();
    names
}

/// Small, in one piece; large, in several.
const SIZES: [usize; 2] = [10, 1_000_000];

/// Sends what is owed. So many files travelled with their content.
fn files(pair: &mut Pair) -> u64 {
    let (ended, took) = pair.sync();
    assert_eq!(ended, Ended::InSync);
    pair.assert_equal();
    took.files
}

fn pass(pair: &mut Pair) -> u64 {
    pair.hint(Hint::Subtree { path: RelPath::root() });
    files(pair)
}

#[test]
fn a_first_pass_sends_it_once() {
    for size in SIZES {
        let mut pair = Pair { compress: Compress::Off, ..Pair::new() };
        ten_names(&pair, size);
        let (ended, took) = pair.pass();
        pair.assert_equal();
        assert_eq!((ended, took.files, took.bytes), (Ended::InSync, 2, size as u64 + 1));
        assert!(took.wire_bytes < size as u64 + 20_000, "{took:?}");
        assert_eq!(pass(&mut pair), 0);
    }
}

#[test]
fn names_that_a_cut_pass_has_not_joined_are_joined_to_the_one_that_is_there() {
    for size in SIZES {
        for left in 0..10 {
            let mut pair = Pair::new();
            let names = ten_names(&pair, size);
            pass(&mut pair);
            // Nothing is remembered.
            pair.sender = None;
            for (n, name) in names.iter().enumerate().filter(|(n, _)| *n != left) {
                match n % 3 {
                    0 => fs::remove_dir_all(pair.there.join(name).parent().unwrap()).unwrap(),
                    1 => fs::remove_file(pair.there.join(name)).unwrap(),
                    _ => {
                        fs::remove_file(pair.there.join(name)).unwrap();
                        fs::write(pair.there.join(name), "older").unwrap();
                    }
                }
            }
            assert_eq!(pass(&mut pair), 0, "{left} is there");
        }
    }
}

#[test]
fn a_backup_whose_names_are_separate_files_gets_metadata_alone() {
    for changed in [false, true] {
        let mut pair = Pair::new();
        let names = ten_names(&pair, 1_000_000);
        let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        for name in names.iter().map(String::as_str).chain(["single"]) {
            let (from, to) = (pair.here.join(name), pair.there.join(name));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&from, &to).unwrap();
            fs::File::options().write(true).open(&to).unwrap().set_modified(modified(&from)).unwrap();
        }
        if changed {
            fs::set_permissions(pair.here.join(&names[3]), fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert_eq!(pass(&mut pair), 0);
    }
}

#[test]
fn what_changes_while_nobody_looks_is_sent_once() {
    for size in SIZES {
        let mut pair = Pair::new();
        let names = ten_names(&pair, size);
        pass(&mut pair);
        fs::set_permissions(pair.here.join(&names[3]), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(pass(&mut pair) <= 1, "names that are joined there are not changed in place");
        fs::write(pair.here.join(&names[5]), vec![b'z'; size + 1]).unwrap();
        assert_eq!(pass(&mut pair), 1);
    }
}

#[test]
fn a_new_name_of_a_file_that_the_target_has_is_linked() {
    let mut pair = Pair::new();
    let names = ten_names(&pair, 10);
    fs::write(pair.here.join("large"), vec![b'l'; 1_000_000]).unwrap();
    pass(&mut pair);
    for (old, new) in [(names[4].as_str(), "new"), ("large", "larger"), ("larger", "d3/largest")] {
        fs::hard_link(pair.here.join(old), pair.here.join(new)).unwrap();
        pair.entry(new, Cause::CREATED);
        pair.entry(Path::new(new).parent().unwrap().to_str().unwrap(), Cause::ENTRIES);
        assert_eq!(files(&mut pair), 0, "{new}");
    }
    // A copy of a tree by links, of files that had one name.
    fs::create_dir(pair.here.join("one")).unwrap();
    (0..50).for_each(|n| fs::write(pair.here.join(format!("one/{n}")), format!("{n}")).unwrap());
    assert_eq!(pass(&mut pair), 50);
    fs::create_dir_all(pair.here.join("two/deep")).unwrap();
    for n in 0..50 {
        fs::hard_link(pair.here.join(format!("one/{n}")), pair.here.join(format!("two/deep/{n}"))).unwrap();
    }
    pair.entry("two", Cause::CREATED);
    pair.entry("", Cause::ENTRIES);
    assert_eq!(files(&mut pair), 0);
    // The same while nobody looks.
    fs::create_dir(pair.here.join("a")).unwrap();
    for n in 0..50 {
        fs::hard_link(pair.here.join(format!("one/{n}")), pair.here.join(format!("a/{n}"))).unwrap();
    }
    pair.sender = None;
    assert_eq!(pass(&mut pair), 0);
}

#[test]
fn a_name_outside_of_the_source_is_none() {
    let mut pair = Pair::new();
    let outside = pair.here.with_extension("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(pair.here.join("d")).unwrap();
    for (n, size) in SIZES.iter().enumerate() {
        fs::write(outside.join(format!("{n}")), vec![b'o'; *size]).unwrap();
        fs::hard_link(outside.join(format!("{n}")), pair.here.join(format!("d/{n}"))).unwrap();
    }
    pair.hint(Hint::Subtree { path: RelPath::root() });
    assert_eq!(pair.sync().1.files, 2);
    assert_eq!(pair.pass().1.files, 0);
    // Found by a pass over a part, and by events.
    fs::create_dir(pair.here.join("e")).unwrap();
    for (n, size) in SIZES.iter().enumerate() {
        for (folder, other) in [("e", "in e"), ("d", "in d")] {
            fs::write(outside.join(format!("{other} {n}")), vec![b'p'; *size]).unwrap();
            fs::hard_link(outside.join(format!("{other} {n}")), pair.here.join(format!("{folder}/new {n}"))).unwrap();
        }
        pair.entry(&format!("d/new {n}"), Cause::CREATED);
    }
    for at in ["e", "d", ""] {
        pair.entry(at, if at == "e" { Cause::CREATED } else { Cause::ENTRIES });
    }
    let (ended, took) = pair.sync();
    assert_eq!((ended, took.files), (Ended::InSync, 4));
    let contents = |root: &Path| -> Vec<_> { tree(root).into_iter().map(|(path, shown)| (path, shown.5)).collect() };
    assert_eq!(contents(&pair.here), contents(&pair.there));
}

/// What it sends under a name, in short.
fn said(heard: &[(u64, ToReceiver)]) -> Vec<String> {
    let said = heard.iter().filter_map(|(_, message)| match message {
        ToReceiver::Put { path, .. } => Some(format!("put {path}")),
        ToReceiver::Offer { path, .. } => Some(format!("offer {path}")),
        ToReceiver::Link { first, others } => Some(format!("link {first} {others:?}").replace('"', "")),
        _ => None,
    });
    said.collect()
}

fn refused(op: u64) -> ToSender {
    ToSender::Outcome { op, outcome: Outcome::Refused { reason: "because".to_owned() } }
}

fn of_kind(heard: &[(u64, ToReceiver)], is: impl Fn(&ToReceiver) -> bool) -> Vec<u64> {
    heard.iter().filter(|(_, message)| is(message)).map(|(op, _)| *op).collect()
}

/// Three names of a file in a first pass, up to their link.
fn three_names(pair: &Pair, target: &mut Scripted<'_>) -> Vec<(u64, ToReceiver)> {
    fs::write(pair.here.join("a"), "content").unwrap();
    ["b", "c"].iter().for_each(|name| fs::hard_link(pair.here.join("a"), pair.here.join(name)).unwrap());
    pair.hint(Hint::Subtree { path: RelPath::root() });
    let heard = target.hears().unwrap();
    let op = of_kind(&heard, |message| matches!(message, ToReceiver::Compare { .. }))[0];
    let heard = target.says(&ToSender::Listing { op, entries: Vec::new(), last: true }).unwrap();
    assert_eq!(said(&heard), ["put a", "link a [b, c]"]);
    heard
}

#[test]
fn where_a_name_is_refused_the_next_one_gets_the_content() {
    let (pair, _clock) = Pair::stepped();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    let mut heard = three_names(&pair, &mut target);
    for next in ["put b", "put c"] {
        let put = of_kind(&heard, |message| matches!(message, ToReceiver::Put { .. }))[0];
        heard = target.says(&refused(put)).unwrap();
        assert_eq!(said(&heard)[0], next);
    }
    let put = of_kind(&heard, |message| matches!(message, ToReceiver::Put { .. }))[0];
    assert_eq!(said(&target.says(&refused(put)).unwrap()), [""; 0], "each once");
    let upto = target.operations;
    target.says(&ToSender::Applied { upto }).unwrap();
    assert!(pair.mirror.pending().is_empty());
    assert!(pair.mirror.entries.problems().iter().any(|(at, _)| *at == path("c")));
}

#[test]
fn names_that_cannot_be_joined_are_files_of_their_own_and_are_named() {
    let (pair, _clock) = Pair::stepped();
    let mut sender = pair.new_sender();
    let mut target = Scripted::new(&pair, &mut sender, Until::Stopped);
    let heard = three_names(&pair, &mut target);
    let link = of_kind(&heard, |message| matches!(message, ToReceiver::Link { .. }))[0];
    let mut heard = target.says(&refused(link)).unwrap();
    assert_eq!(said(&heard), ["offer a"], "nobody has said which of them it was");
    let upto = target.operations;
    heard.extend(target.says(&ToSender::Applied { upto }).unwrap());
    let links = of_kind(&heard, |message| matches!(message, ToReceiver::Link { .. }));
    assert_eq!(said(&heard), ["offer a", "link a [b]", "link a [c]"]);
    let mut heard = target.says(&refused(links[0])).unwrap();
    heard.extend(target.says(&refused(links[1])).unwrap());
    assert_eq!(said(&heard), ["offer b", "offer c"]);
    let offers = of_kind(&heard, |message| matches!(message, ToReceiver::Offer { .. }));
    let heard = target.says(&ToSender::Outcome { op: offers[1], outcome: Outcome::Want }).unwrap();
    assert_eq!(said(&heard), ["put c"], "and no link");
    let upto = target.operations;
    assert_eq!(said(&target.says(&ToSender::Applied { upto }).unwrap()), [""; 0]);
    assert!(pair.mirror.pending().is_empty());
    let named: Vec<_> = pair.mirror.entries.problems().iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(named, ["b", "c"]);
}

#[test]
fn where_the_disk_there_takes_no_more_names_of_a_file_the_next_is_a_file_of_its_own() {
    let mut pair = Pair::new();
    fs::write(pair.here.join("a"), "content").unwrap();
    fs::hard_link(pair.here.join("a"), pair.here.join("b")).unwrap();
    pass(&mut pair);
    let many = pair.there.with_extension("many");
    fs::create_dir(&many).unwrap();
    let mut names = (0..70_000).map(|n| fs::hard_link(pair.there.join("a"), many.join(format!("{n}"))));
    if names.all(|made| made.is_ok()) {
        // A file system without such a bound.
        return;
    }
    fs::hard_link(pair.here.join("a"), pair.here.join("c")).unwrap();
    for times in 0..3 {
        pair.hint(Hint::Subtree { path: RelPath::root() });
        let (ended, took) = pair.sync();
        assert_eq!((ended, took.files), (Ended::InSync, u64::from(times == 0)));
        assert_eq!(fs::read(pair.there.join("c")).unwrap(), b"content");
        let named: Vec<_> = pair.mirror.entries.problems().iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(named.last().map(String::as_str), Some("c"), "{named:?}");
    }
}
