//! More files with several names than there is room for, and more names of one.

use std::collections::BTreeMap;

use super::*;

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

fn inode(ino: u64) -> Inode {
    Inode { dev: 1, ino, nlink: 3, ctime: Default::default() }
}

fn told(links: &mut Links) -> Vec<Told> {
    let mut nodes = links.all();
    std::iter::from_fn(|| nodes.pop()).filter_map(|node| links.take(node)).collect()
}

#[test]
fn files_are_met_with_all_their_names_each_in_its_turn() {
    let (mut links, most, mut all) = (Links::new(), 40_000, BTreeMap::new());
    let mut turns = 0;
    loop {
        links.may_take(most);
        for (folder, ino) in ["a", "b/c"].into_iter().flat_map(|folder| (1..=500).map(move |ino| (folder, ino))) {
            links.met(inode(ino), &path(&format!("{folder}/{ino}")));
            assert!(links.bytes() <= most, "{}", links.bytes());
        }
        let before = all.len();
        for file in told(&mut links) {
            let names = ["a", "b/c"].map(|folder| path(&format!("{folder}/{}", file.inode.ino)));
            assert_eq!((file.names.as_slice(), file.good.as_ref()), (&names[..], Some(&names[0])));
            assert!(all.insert(file.inode.ino, ()).is_none(), "told twice");
        }
        turns += 1;
        assert!((20..90).contains(&(all.len() - before)) || all.len() == 500, "{} at once", all.len() - before);
        if !links.are_left() {
            break;
        }
        assert!(!links.are_whole() && links.go_on());
    }
    assert_eq!((all.len(), links.are_whole()), (500, false), "after {turns} turns");
}

#[test]
fn where_there_is_no_room_at_all_nothing_is_met() {
    let mut links = Links::new();
    links.may_take(100);
    links.met(inode(1), &path("a"));
    assert!(links.are_left() && links.bytes() < 100);
    assert!(links.defers(inode(1), &path("b"), true), "it comes when there is room");
    assert!(!links.sent(inode(1), &path("b")));
    let turns = (0..).take_while(|_| {
        let any = links.go_on();
        links.may_take(100);
        links.met(inode(1), &path("a"));
        any
    });
    assert!((1..=64).contains(&turns.count()), "others have taken all");
}

#[test]
fn of_a_file_with_too_many_names_the_rest_are_files_of_their_own() {
    let deep = ["folder"; 1000].join("/");
    let (mut links, mut apart) = (Links::new(), Vec::new());
    let name = |n: usize| path(&format!("{deep}/{n}"));
    links.met(inode(1), &name(0));
    for n in 1..4000 {
        if links.differs(inode(1), &name(n), Standing::Missing) {
            apart.push(n);
        }
    }
    assert!(!links.are_whole() && !links.are_left());
    let known = 4000 - apart.len();
    assert!((2000..2500).contains(&known), "{known}");
    assert!(links.defers(inode(1), &name(1), false) && !links.defers(inode(1), &name(apart[0]), false));
    assert!(links.sent(inode(1), &name(apart[0])));
    let told = told(&mut links);
    assert_eq!((told.len(), told[0].names.len(), told[0].good.clone()), (1, known, Some(name(apart[0]))));
}

#[test]
fn a_file_whose_names_have_no_room_even_alone_gets_no_more_of_them() {
    let mut links = Links::new();
    let name = |n: usize| path(&format!("{n}/{}", ["x"; 1000].join("/")));
    let apart = (0..700).filter(|n| links.differs(inode(1), &name(*n), Standing::Missing)).count();
    assert!((200..600).contains(&apart) && !links.are_left(), "{apart}");
    assert!(links.bytes() < MOST + 500_000, "{}", links.bytes());
}
