//! What is said of a pass for one event after the other.

mod deletions;

use proto::{Entry, Kind, Name, RelPath, digest, limits};

use super::compared::Wrong::{Disorder, Endless};
use super::*;
use crate::sender::BusyFiles;
use crate::view::Inode;
use crate::view::Listing;
use crate::workers::Workers;

pub fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

pub fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

pub fn entry(text: &str, kind: Kind, size: u64) -> Entry {
    let (mtime, device) = Default::default();
    Entry { name: name(text), kind, size, mode: 0o644, uid: 0, gid: 0, mtime, device, extra: [0; 16], inexact: false }
}

/// As it is listed here.
pub fn listing(entries: Vec<Entry>) -> Listing {
    let nodes = entries.iter().zip(1..).map(|(_, ino)| (1, ino)).collect();
    Listing { digest: digest::folder(&entries), entries, nodes, ..Listing::default() }
}

pub(super) fn options(max_delete: MaxDelete) -> Options {
    Options {
        delete: true,
        attributes: true,
        max_delete,
        busy_files: BusyFiles::Copy,
        workers: Workers::Threads(1),
        software: "test",
    }
}

fn pass(at: &str, reach: Reach, max_delete: MaxDelete) -> Pass {
    Pass::new(path(at), reach, Reason::Unknown, Round::default(), &options(max_delete), Mates::Joined)
}

/// All that it says now, in short; with an open window.
fn said(pass: &mut Pass) -> Vec<String> {
    let mut said = Vec::new();
    while let Some(action) = pass.next(Window::Open) {
        said.push(match action {
            Action::List(folder) => format!("list {folder}"),
            Action::ListWithin(folder, names) => {
                let folders = names.iter().map(|name| folder.join(name).unwrap().to_string());
                format!("list {}", folders.collect::<Vec<_>>().join(" "))
            }
            Action::Compare(path, _) => format!("compare {path}"),
            Action::Look(folder, differing) => {
                let names: Vec<_> = differing.iter().map(|one| format!("{} {:?}", one.name, one.difference)).collect();
                format!("look in {folder}: {}", names.join(", "))
            }
            Action::LookAtAll(folder, children) => format!("all {} of {folder}", children.len()),
            Action::AskOn(folder, after) => format!("ask on in {folder} behind {after}"),
            Action::LookAtNew(folder, names) => format!("look at {names:?}, new in {folder}"),
            Action::Send(folder, names) => format!("send {} of {folder}", names.len()),
            Action::Delete(paths, weight) => {
                format!("delete {} of {}, named {}", weight.deletes, weight.total, paths.len())
            }
            Action::LookOnceMore(weight, _) => {
                format!("look once more, as {} of {} would go", weight.deletes, weight.total)
            }
            Action::Hold(found, weight, _) => {
                format!("hold {} of {}, named {}", weight.deletes, weight.total, found.places.len())
            }
            Action::HoldNothing => continue,
            Action::Sift => {
                pass.sift(|_| Awaited::No);
                continue;
            }
            other => format!("{other:?}"),
        });
    }
    said
}

fn list(pass: &mut Pass, at: &str, entries: &[(&str, Kind)]) {
    let entries = entries.iter().map(|(name, kind)| entry(name, *kind, 1)).collect();
    pass.listed(path(at), Children::Listing(listing(entries)), Vec::new());
}

fn there(pass: &mut Pass, at: &str, entries: &[(&str, Kind)]) {
    let entries: Vec<_> = entries.iter().map(|(name, kind)| entry(name, *kind, 1)).collect();
    assert_eq!(pass.differs(&path(at), &entries, true, MOST, |_| false), Ok(()));
}

/// A part behind which there are more, or the last. Under these names something has come here since.
fn part(pass: &mut Pass, at: &str, entries: &[&str], last: bool, came: &[&str]) {
    part_of(MOST, pass, at, entries, last, came);
}

/// The same, where so many bytes may be held of what is to be deleted.
fn part_of(most: usize, pass: &mut Pass, at: &str, entries: &[&str], last: bool, came: &[&str]) {
    let room = most.saturating_sub(pass.held());
    let entries: Vec<_> = entries.iter().map(|name| entry(name, Kind::File, 1)).collect();
    let stands = |name: &Name| came.contains(&&*name.to_string());
    assert_eq!(pass.differs(&path(at), &entries, last, room, stands), Ok(()));
}

const MOST: usize = 1 << 26;
const LEAVE: Leave = Leave { released: false, doubted: false, held: 0 };

#[test]
fn a_question_waits_until_operations_may_be_sent() {
    let mut pass = pass("", Reach::Subtree, MaxDelete::Entries(5));
    said(&mut pass);
    list(&mut pass, "", &[("a", Kind::File)]);
    said(&mut pass);
    there(&mut pass, "", &[("a", Kind::File), ("b", Kind::Dir)]);
    assert!(matches!(pass.next(Window::Full), Some(Action::Sift)));
    pass.sift(|_| Awaited::No);
    assert!(pass.next(Window::Full).is_none() && pass.is_held_up());
    assert_eq!(said(&mut pass).len(), 1);
    assert!(!pass.is_held_up());
}

#[test]
fn looks_are_waited_for_before_the_names_are_told_and_it_ends_once() {
    let mut pass = pass("", Reach::Subtree, MaxDelete::Entries(5));
    said(&mut pass);
    list(&mut pass, "", &[("a", Kind::File)]);
    said(&mut pass);
    there(&mut pass, "", &[("b", Kind::File)]);
    assert_eq!(said(&mut pass), ["look in .: a Missing", "Judge"]);
    pass.waits_for_looks(1);
    pass.may_delete(LEAVE);
    assert_eq!(said(&mut pass), ["delete 1 of 1, named 1"]);
    pass.waits_for_looks(1);
    let inode = Inode { dev: 1, ino: 1, nlink: 2, ctime: Default::default() };
    for name in ["x", "x", "y"] {
        pass.meet(inode, &path(name));
    }
    pass.looked();
    assert!(said(&mut pass).is_empty());
    pass.looked();
    let said_last = said(&mut pass);
    assert!(said_last[0].starts_with("Name") && said_last[0].matches("\"x\"").count() == 1);
    assert_eq!(&said_last[1..], ["End"]);
    pass.looked();
    assert!(said(&mut pass).is_empty());
}

#[test]
fn a_pass_of_one_folder_leaves_what_is_in_new_folders_to_others() {
    let mut pass = pass("d", Reach::Folder, MaxDelete::Entries(5));
    said(&mut pass);
    list(&mut pass, "d", &[("new", Kind::Dir), ("old", Kind::Dir), ("z", Kind::File)]);
    assert_eq!(said(&mut pass), ["compare d"]);
    there(&mut pass, "d", &[("old", Kind::Dir)]);
    assert_eq!(said(&mut pass)[..2], ["CompareLater(\"d/new\")", "look in d: z Missing"]);
}

#[test]
fn answers_about_what_is_beneath_a_blank_folder_are_of_no_interest() {
    let mut pass = pass("", Reach::Subtree, MaxDelete::Entries(5));
    said(&mut pass);
    list(&mut pass, "", &[("a", Kind::Dir), ("b", Kind::File)]);
    said(&mut pass);
    list(&mut pass, "a", &[("c", Kind::Dir)]);
    assert_eq!(said(&mut pass), ["list a/c", "compare a"]);
    assert_eq!(pass.detail(&path("a/c")), Detail::Metadata);
    there(&mut pass, "", &[("b", Kind::File)]);
    assert_eq!(said(&mut pass), ["look in .: a Missing", "all 1 of a"]);
    assert_eq!((pass.detail(&path("a/c")), pass.entries()), (Detail::Names, 0));
    pass.is_missing(&path("a"));
    list(&mut pass, "a/c", &[("x", Kind::File)]);
    assert_eq!(said(&mut pass), ["all 1 of a/c", "delete 0 of 1, named 0", "End"]);
}

#[test]
fn a_listing_that_goes_back_is_an_error() {
    let mut pass = pass("", Reach::Subtree, MaxDelete::Entries(5));
    list(&mut pass, "", &[("x", Kind::File)]);
    part(&mut pass, "", &["b"], false, &[]);
    for lie in [&["b"][..], &["a"], &["a", "c"]] {
        let entries: Vec<_> = lie.iter().map(|name| entry(name, Kind::File, 1)).collect();
        for last in [false, true] {
            assert_eq!(pass.differs(&path(""), &entries, last, MOST, |_| false), Err(Disorder), "{lie:?}");
        }
    }
    assert_eq!(pass.differs(&path(""), &[], false, MOST, |_| false), Err(Disorder), "it goes on with nothing");
}

#[test]
fn a_listing_in_parts_is_compared_part_by_part_and_judged_as_a_whole() {
    let mut pass = pass("", Reach::Subtree, MaxDelete::Entries(2));
    let files = ["a", "c", "e", "g"].map(|name| (name, Kind::File));
    list(&mut pass, "", &files);
    assert_eq!(said(&mut pass), ["list .", "compare ."]);
    part(&mut pass, "", &["b", "c"], false, &[]);
    assert_eq!(said(&mut pass), ["look in .: a Missing", "ask on in . behind c"]);
    part(&mut pass, "", &["d"], false, &[]);
    assert!(!pass.is_compared() && pass.entries() == 4 && pass.extras() == 0, "nothing is through");
    assert_eq!(said(&mut pass), ["ask on in . behind d"]);
    part(&mut pass, "", &["f", "g", "h"], true, &[]);
    assert_eq!(said(&mut pass), ["look in .: e Missing", "Judge"]);
    assert_eq!((pass.extras(), pass.entries()), (4, 0));
    pass.may_delete(LEAVE);
    // Four are more than two, though no part has more than two.
    assert_eq!(said(&mut pass).len(), 5);
}

#[test]
fn what_came_here_between_two_parts_is_looked_at_and_does_not_count_as_a_deletion() {
    let mut pass = pass("", Reach::Subtree, MaxDelete::Entries(1));
    list(&mut pass, "", &[("a", Kind::File)]);
    said(&mut pass);
    part(&mut pass, "", &["a"], false, &[]);
    said(&mut pass);
    part(&mut pass, "", &["new1", "new2", "old"], true, &["new1", "new2"]);
    assert_eq!(said(&mut pass), ["look at [\"new1\", \"new2\"], new in .", "Judge"]);
    pass.may_delete(LEAVE);
    assert_eq!(said(&mut pass), ["delete 1 of 4, named 1", "End"]);
}

#[test]
fn a_folder_that_is_gone_between_two_parts_is_sent_whole_and_one_that_fails_deletes_nothing() {
    for fails in [false, true] {
        let mut pass = pass("", Reach::Subtree, MaxDelete::Entries(5));
        list(&mut pass, "", &[("a", Kind::File), ("c", Kind::File)]);
        said(&mut pass);
        part(&mut pass, "", &["a", "b"], false, &[]);
        assert_eq!(said(&mut pass), ["ask on in . behind b"]);
        match fails {
            false => pass.is_missing(&path("")),
            true => pass.uncompared(&path("")),
        }
        let looks = ["look in .: a Missing, c Missing"];
        let over = ["delete 0 of 0, named 0", "End"];
        assert_eq!(said(&mut pass), [if fails { &[][..] } else { &looks }, &over].concat());
        assert_eq!(pass.entries(), 0);
    }
}

#[test]
fn a_folder_is_sent_before_what_is_in_it_though_the_target_tells_of_it_later() {
    let mut pass = pass("", Reach::Subtree, MaxDelete::Entries(5));
    list(&mut pass, "", &[("a", Kind::File), ("c", Kind::Dir), ("d", Kind::Dir), ("e", Kind::Dir)]);
    for folder in ["c", "d", "e"] {
        list(&mut pass, folder, &[("x", Kind::File)]);
    }
    said(&mut pass);
    part(&mut pass, "", &["a"], false, &[]);
    ["c", "d", "e"].iter().for_each(|folder| pass.is_missing(&path(folder)));
    assert_eq!(said(&mut pass), ["ask on in . behind a"]);
    // Where `d` is to be something else stands.
    part(&mut pass, "", &["d"], false, &[]);
    let of_c = ["look in .: c Missing, d Content", "all 1 of c", "look in d: x Missing"];
    assert_eq!(said(&mut pass), [&of_c[..], &["ask on in . behind d"]].concat());
    part(&mut pass, "", &[], true, &[]);
    assert_eq!(said(&mut pass), ["look in .: e Missing", "all 1 of e", "delete 0 of 2, named 0", "End"]);
}

#[test]
fn a_listing_without_end_is_not_held() {
    let mut pass = pass("", Reach::Subtree, MaxDelete::Entries(5));
    list(&mut pass, "", &[("a", Kind::File)]);
    said(&mut pass);
    for number in 0..1000 {
        let name = format!("z{number:05}");
        part_of(10_000, &mut pass, "", &[&name], false, &[]);
        assert_eq!(said(&mut pass).last(), Some(&format!("ask on in . behind {name}")));
        assert!(pass.held < 11_000, "{} bytes are held", pass.held);
    }
    assert_eq!((pass.comparing.len(), pass.to_ask.len(), pass.todo.len()), (1, 0, 0));
    // Nor is it heard of for ever.
    let next = |number: u32| [entry(&format!("zz{number}"), Kind::File, 1)];
    pass.comparing.get_mut(&path("")).unwrap().there = limits::LISTED - limits::LISTED_PART;
    assert_eq!(pass.differs(&path(""), &next(1), false, 0, |_| false), Ok(()));
    assert_eq!(pass.differs(&path(""), &next(2), false, 0, |_| false), Err(Endless));
}

#[test]
fn the_path_of_the_folder_counts_for_each_name() {
    let deep = vec!["d".repeat(250); 12].join("/");
    let mut pass = pass(&deep, Reach::Folder, MaxDelete::Entries(100));
    list(&mut pass, &deep, &[("a", Kind::File)]);
    said(&mut pass);
    let names: Vec<_> = (100..120).map(|number| format!("f{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    part_of(30_000, &mut pass, &deep, &names[..10], false, &[]);
    part_of(30_000, &mut pass, &deep, &names[10..], true, &[]);
    // Ten times the path are more than that already.
    assert_eq!(pass.extras(), 10);
    assert!(pass.held() < 34_000, "{} bytes are held", pass.held());
}

#[test]
fn more_is_asked_only_when_more_may_be_looked_at() {
    let mut pass = pass("", Reach::Subtree, MaxDelete::Entries(5));
    list(&mut pass, "", &[("a", Kind::File)]);
    said(&mut pass);
    part(&mut pass, "", &["a"], false, &[]);
    assert!(pass.next(Window::Full).is_none() && pass.is_held_up());
    assert_eq!(said(&mut pass), ["ask on in . behind a"]);
    assert!(!pass.is_held_up());
}
