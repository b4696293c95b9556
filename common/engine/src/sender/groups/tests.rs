//! Names that come, go and move, and more than are remembered.

use std::time::{Duration, Instant};

use super::*;
use crate::pending::{Holds, Pending, Rules};

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

fn inode(ino: u64) -> Inode {
    Inode { dev: 1, ino, nlink: 3, ctime: Default::default() }
}

fn groups(names: &[(&str, u64)]) -> Groups {
    let mut groups = Groups::default();
    names.iter().for_each(|(name, ino)| groups.met(inode(*ino), vec![path(name)], since()));
    groups
}

/// Of no work that is known: now.
fn since() -> Since {
    let [settle, open_settle, open_max_delay] = [Duration::ZERO; 3];
    let rules = Rules { settle, open_settle, open_max_delay, holds: Holds::default() };
    Pending::new(rules).since(0, Instant::now())
}

#[test]
fn files_that_lose_names_are_told_in_the_order_of_those() {
    let mut groups = groups(&[("d/a", 9), ("d/b", 1), ("d/c", 9), ("d/d", 5), ("x", 9), ("y", 1)]);
    assert_eq!(groups.left(&path("d")), [(1, 9), (1, 1)], "the third has no name any more");
    assert_eq!(groups.names((1, 9)).collect::<Vec<_>>(), [&path("x")]);
    assert_eq!(groups.names((1, 5)).count(), 0);
}

#[test]
fn a_name_that_another_file_has_taken_parts_it_from_its_group() {
    let mut groups = groups(&[("a", 1), ("b", 1), ("a", 2)]);
    assert!(groups.knows(&path("a"), (1, 2)) && !groups.is_idle());
    assert_eq!(groups.take_parted().into_iter().map(|(node, _)| node).collect::<Vec<_>>(), [(1, 1)]);
    assert!(groups.is_idle());
    groups.moved(&path("a"), &path("b"));
    assert_eq!((groups.names((1, 1)).count(), groups.names((1, 2)).count()), (0, 1));
}

#[test]
fn what_a_search_has_not_found_is_not_searched_for_again() {
    let mut groups = groups(&[("a", 1)]);
    assert!(groups.lacks(inode(1), 1));
    groups.has_searched((1, 1), 3, 1);
    assert!(!groups.lacks(inode(1), 1), "as many links and names as then");
    groups.met(inode(1), vec![path("b")], since());
    assert!(groups.lacks(inode(1), 2), "a new name tells that there is more to be found");
}

#[test]
fn files_beyond_what_may_be_known_are_forgotten_with_all_their_names() {
    let mut groups = Groups::default();
    for n in 0..1000 {
        groups.met(inode(n), vec![path(&format!("one/{n}")), path(&format!("other/{n}"))], since());
    }
    groups.has_searched((1, 7), 3, 2);
    let all = groups.bytes();
    groups.trim_to(all);
    assert_eq!((groups.names.len(), groups.at.len()), (1000, 2000));
    groups.trim_to(all / 2);
    assert!(groups.bytes() <= all / 2 && groups.names.len() > 400, "{}", groups.names.len());
    assert_eq!((groups.at.len(), groups.parted.len()), (2 * groups.names.len(), 0), "none has lost one name alone");
    groups.moved(&path("one"), &path("new"));
    groups.exchanged(&path("new"), &path("other"));
    groups.left(&path("new"));
    groups.left(&path("other"));
    assert_eq!((groups.bytes(), groups.searched.len()), (0, 0));
}

#[test]
fn what_is_wanted_beyond_a_bound_is_crowded() {
    let mut groups = Groups::default();
    let long = path("folder/".repeat(1000).trim_end_matches('/'));
    for ino in 0..1000 {
        let sent = Some((inode(ino), long.clone(), ino));
        let (since, first, told) = (since(), First::Sent, Cause::WRITTEN);
        groups.want(Want { node: (1, ino), since, sent, first, told, tries: 0 });
    }
    let wanted = groups.wanted.len();
    assert!((100..200).contains(&wanted), "{wanted}");
    assert_eq!(groups.take_crowded().map(|crowded| crowded.tickets.len()), Some(1000 - wanted));
    assert!(groups.take_crowded().is_none());
    groups.forget_work();
    assert_eq!(groups.wanted.len(), wanted);
}

#[test]
fn one_search_at_a_time_and_none_for_work_of_a_connection_that_is_gone() {
    let (mut groups, now) = (groups(&[]), Instant::now());
    let sent = |ino| Some((inode(ino), path("a"), 7));
    let want = |ino| Want {
        node: (1, ino),
        since: since(),
        sent: sent(ino),
        first: First::Sent,
        told: Cause::WRITTEN,
        tries: 0,
    };
    groups.want(want(1));
    let (send, receive) = mpsc::channel();
    groups.search(now, |nodes| {
        assert_eq!(nodes, HashSet::from([(1, 1)]));
        receive
    });
    groups.want(want(2));
    assert!(!groups.search(now, |_| panic!("one is under way")));
    assert!(groups.take_found(now).is_none());
    drop(send);
    let (wanted, found) = groups.take_found(now).unwrap();
    assert!(wanted.len() == 1 && found.is_empty());
    groups.forget_work();
    groups.search(now, |_| mpsc::channel().1);
    let later = now + Duration::from_secs(2);
    assert!(groups.take_found(later).unwrap().0[0].sent.is_none());
    assert_eq!(groups.search_due(later), None);
    groups.want(want(3));
    let due = later + Duration::from_secs(20);
    assert_eq!((groups.search_due(later), groups.search_due(due)), (Some(due), None));
    assert!(!groups.search(due - Duration::from_millis(1), |_| panic!("it rests for ten times as long as it took")));
    groups.search(due, |_| mpsc::channel().1);
    assert_eq!(groups.search_due(later), None, "one is under way");
}
