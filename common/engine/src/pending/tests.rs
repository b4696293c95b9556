//! What is owed merges and never gets lost, whatever comes in.

mod ages;
mod masses;
mod model;
mod neighbours;
mod owes;
mod renames;
mod work;

use std::time::{Duration, Instant};

use proto::RelPath;

use super::full::{self, CAPACITY};
use super::{Holds, Pending, Rules, Task, Work};
use crate::hint::{Cause, Hint};

const HOLDS: Holds = Holds {
    deleted: Duration::from_millis(100),
    mass: Duration::from_secs(30),
    many: 100,
    lost: Duration::from_secs(1),
};
pub(super) const RULES: Rules = Rules {
    settle: Duration::ZERO,
    open_settle: Duration::from_secs(1),
    open_max_delay: Duration::from_secs(10),
    holds: HOLDS,
};

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

impl Pending {
    pub(crate) fn collapse(&mut self, now: Instant) {
        full::collapse(self.capacity, &mut self.hints, &mut self.moves, now);
    }

    /// Panics if the invariant of a part does not hold.
    pub(crate) fn check(&self) {
        self.hints.store().check();
        self.moves.check();
        self.under_way.check();
    }

    /// What is owed, in words.
    pub(crate) fn owed(&self) -> String {
        format!("{:?}, {:?}, {:?}", self.hints.store(), self.moves, self.under_way)
    }
}

struct Desk {
    pending: Pending,
    now: Instant,
    start: Instant,
}

impl Desk {
    fn new() -> Desk {
        let now = Instant::now();
        Desk { pending: Pending::new(RULES), now, start: now }
    }

    fn entry(&mut self, at: &str, cause: Cause) {
        self.pending.hint(Hint::Entry { path: path(at), cause }, self.now);
    }

    fn subtree(&mut self, at: &str) {
        self.pending.hint(Hint::Subtree { path: path(at) }, self.now);
    }

    fn renamed(&mut self, from: &str, to: &str) {
        self.renamed_since(from, to, self.now);
    }

    /// Of a folder if its name has no dot.
    fn renamed_since(&mut self, from: &str, to: &str, since: Instant) {
        let folder = !from.contains('.');
        self.pending.hint(Hint::Renamed { from: path(from), to: path(to), folder, since }, self.now);
    }

    fn later(&mut self, pause: Duration) {
        self.now += pause;
    }

    /// Everything that is due, and then acknowledged.
    fn all(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(work) = self.pending.take(self.now) {
            found.push(show(&work));
            self.pending.done(work.ticket, self.now);
        }
        found
    }

    fn all_in_time(&mut self) -> Vec<String> {
        self.later(Duration::from_secs(20));
        self.all()
    }
}

fn show(work: &Work) -> String {
    match &work.task {
        Task::Entry { path, cause } if cause.has(Cause::GONE) => format!("gone {path}"),
        Task::Entry { path, .. } => format!("look {path}"),
        Task::Folder { path } => format!("folder {path}"),
        Task::Subtree { path, cleared: true } => format!("clear {path}"),
        Task::Subtree { path, .. } => format!("subtree {path}"),
        Task::Rename { from, to, parents, .. } if parents.is_empty() => format!("rename {from} {to}"),
        Task::Rename { from, to, parents, .. } => format!("rename {from} {to} after {parents:?}"),
        Task::Exchange { a, b, .. } => format!("exchange {a} {b}"),
    }
}

#[test]
fn hints_at_one_path_are_one_piece_of_work() {
    let mut desk = Desk::new();
    desk.entry("a", Cause::WRITTEN);
    desk.later(Duration::from_millis(5));
    desk.entry("a", Cause::ATTRIBUTES);
    assert_eq!(desk.pending.oldest(), Some(desk.start));
    assert_eq!(desk.all(), ["look a"]);
    assert!(desk.pending.is_empty());
    assert_eq!(desk.pending.oldest(), None);
}

#[test]
fn an_open_file_waits_until_it_settles_or_the_longest_delay_is_over() {
    let mut desk = Desk::new();
    desk.entry("log", Cause::WRITING);
    for _ in 0..8 {
        desk.later(Duration::from_millis(900));
        desk.entry("log", Cause::WRITING);
        assert_eq!(desk.all(), [""; 0]);
    }
    desk.later(Duration::from_millis(1000));
    assert_eq!(desk.all(), ["look log"]);
    desk.entry("log", Cause::WRITING);
    for _ in 0..10 {
        desk.later(Duration::from_millis(990));
        desk.entry("log", Cause::WRITING);
    }
    desk.later(Duration::from_millis(100));
    assert_eq!(desk.all(), ["look log"], "ten seconds after the first write, although writes go on");
    desk.entry("log", Cause::WRITING);
    desk.entry("log", Cause::WRITTEN);
    assert_eq!(desk.all(), ["look log"], "closed: at once");
}

#[test]
fn what_came_and_went_unseen_is_nothing_but_what_was_sent_is_deleted() {
    let mut desk = Desk::new();
    desk.entry("tmp", Cause::CREATED);
    desk.entry("tmp", Cause::WRITTEN);
    desk.entry("tmp", Cause::GONE);
    assert_eq!(desk.all_in_time(), [""; 0]);
    desk.entry("tmp", Cause::CREATED);
    let work = desk.pending.take(desk.now).unwrap();
    desk.entry("tmp", Cause::WRITTEN);
    desk.entry("tmp", Cause::GONE);
    desk.pending.done(work.ticket, desk.now);
    assert_eq!(desk.all_in_time(), ["gone tmp"]);
    // It replaced something that the target has.
    desk.entry("old", Cause::GONE);
    desk.entry("old", Cause::CREATED);
    desk.entry("old", Cause::GONE);
    assert_eq!(desk.all_in_time(), ["gone old"]);
}

#[test]
fn what_a_comparison_may_have_met_is_known_however_long_its_hint_waits() {
    let mut desk = Desk::new();
    desk.subtree("d");
    let comparison = desk.pending.take(desk.now).unwrap();
    desk.entry("d/f", Cause::CREATED);
    desk.pending.done(comparison.ticket, desk.now);
    // There was no room to look at it, or no link.
    desk.later(Duration::from_secs(60));
    desk.entry("d/f", Cause::GONE);
    assert_eq!(desk.all_in_time(), ["gone d/f"]);
}

#[test]
fn a_vanished_folder_takes_its_hints_along_and_a_deletion_waits() {
    let mut desk = Desk::new();
    for file in ["d/a", "d/b/c", "d!"] {
        desk.entry(file, Cause::WRITTEN);
    }
    desk.entry("d/a", Cause::GONE);
    desk.entry("d", Cause::GONE);
    assert_eq!(desk.all(), ["look d!"]);
    desk.later(HOLDS.deleted);
    assert_eq!(desk.all(), ["gone d"]);
}

#[test]
fn a_full_store_becomes_bigger_hints_and_stays_bounded() {
    let mut desk = Desk::new();
    for n in 0..CAPACITY.hints + 10 {
        desk.entry(&format!("big/{n}"), Cause::WRITTEN);
    }
    assert!(desk.pending.len() <= CAPACITY.hints);
    let all = desk.all_in_time();
    assert!(all.contains(&"folder big".into()), "{:?}", &all[..3.min(all.len())]);
    let mut desk = Desk::new();
    for n in 0..CAPACITY.hints + 10 {
        desk.entry(&format!("d{n}/f"), Cause::WRITTEN);
    }
    assert_eq!(desk.all_in_time()[0], "subtree .");
}

#[test]
fn a_comparison_swallows_new_names_but_no_write_to_what_may_be_known() {
    let mut desk = Desk::new();
    desk.entry("d/new", Cause::CREATED | Cause::WRITTEN);
    desk.entry("d/old", Cause::WRITTEN);
    desk.subtree("d");
    assert_eq!(desk.all_in_time(), ["subtree d", "look d/old"]);
}
