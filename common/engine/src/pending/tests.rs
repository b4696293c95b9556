//! What is owed merges and never gets lost, whatever comes in.

mod ages;

use std::time::{Duration, Instant};

use proto::RelPath;

use super::{Holds, Pending, Rules, Task, Work};
use crate::hint::{Cause, Hint};

const HOLDS: Holds = Holds { deleted: Duration::from_millis(100), lost: Duration::from_secs(1) };
pub(super) const RULES: Rules = Rules {
    settle: Duration::ZERO,
    open_settle: Duration::from_secs(1),
    open_max_delay: Duration::from_secs(10),
    holds: HOLDS,
};

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
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
        Task::Subtree { path } => format!("subtree {path}"),
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
fn a_rename_takes_waiting_hints_along_and_comes_first() {
    let mut desk = Desk::new();
    desk.entry("a/x", Cause::WRITTEN);
    desk.renamed("a", "b");
    assert_eq!(desk.all(), ["rename a b", "look a", "look b", "look b/x"]);
}

#[test]
fn a_new_file_that_is_renamed_before_it_was_sent_is_just_new() {
    let mut desk = Desk::new();
    desk.entry("tmp", Cause::CREATED);
    desk.entry("tmp", Cause::WRITTEN);
    desk.renamed("tmp", "page");
    assert_eq!(desk.all_in_time(), ["look page"]);
    desk.subtree("new");
    desk.renamed("new", "newer");
    desk.renamed("newer/x", "y");
    assert_eq!(desk.all_in_time(), ["subtree newer", "subtree y", "gone new"]);
}

#[test]
fn two_renames_crosswise_are_an_exchange() {
    let mut desk = Desk::new();
    desk.entry("a/x", Cause::WRITTEN);
    desk.renamed("a", "b");
    desk.renamed("b", "a");
    let all = desk.all();
    assert_eq!(all[0], "exchange a b");
    assert!(all.contains(&"look a/x".into()) && all.contains(&"look b/x".into()), "{all:?}");
}

#[test]
fn what_was_on_its_way_when_a_rename_happened_is_looked_at_again() {
    let mut desk = Desk::new();
    desk.entry("a/x", Cause::WRITTEN);
    let since = desk.now;
    desk.later(Duration::from_millis(1));
    let on_its_way = desk.pending.take(desk.now).unwrap();
    desk.entry("a/y", Cause::WRITTEN);
    let acknowledged = desk.pending.take(desk.now).unwrap();
    desk.pending.done(acknowledged.ticket, desk.now);
    desk.renamed_since("a", "b", since);
    let all = desk.all();
    for look in ["look b/x", "look b/y", "look a/x", "look a/y"] {
        assert!(all.contains(&look.into()), "{look} in {all:?}");
    }
    desk.pending.done(on_its_way.ticket, desk.now);
    assert!(desk.pending.is_empty());
    // Long acknowledged work needs no second look.
    desk.later(Duration::from_secs(1));
    desk.renamed("b", "c");
    assert_eq!(desk.all(), ["rename b c", "look b", "look c"]);
}

#[test]
fn a_file_that_was_written_is_sent_anew_under_its_new_name() {
    let mut desk = Desk::new();
    desk.entry("f.c", Cause::WRITTEN);
    desk.renamed("f.c", "g.c");
    assert_eq!(desk.all_in_time(), ["look g.c", "gone f.c"], "what the target has of it is older");
    desk.entry("g.c", Cause::ATTRIBUTES);
    desk.later(Duration::from_secs(9));
    desk.renamed("g.c", "h.c");
    assert_eq!(desk.all_in_time(), ["rename g.c h.c", "look g.c", "look h.c"]);
}

#[test]
fn a_folder_looked_at_right_before_renames_is_renamed_and_compared() {
    let mut desk = Desk::new();
    for name in ["a/folder", "a/file.c"] {
        desk.entry(name, Cause::ATTRIBUTES);
    }
    let since = desk.now;
    desk.all();
    desk.renamed_since("a", "b", since);
    desk.renamed_since("b/folder", "out", since);
    desk.renamed_since("b/file.c", "out.c", since);
    desk.renamed_since("out", "b/back", since);
    let all = desk.all_in_time();
    assert_eq!(all[..3], ["rename a b", "rename b/folder out", "rename out b/back"], "no content: {all:?}");
    assert!(
        all.contains(&"look out.c".into()) && all.contains(&"gone b/file.c".into()),
        "a file is sent anew: {all:?}"
    );
}

#[test]
fn a_folder_within_one_in_doubt_is_renamed_and_compared() {
    let mut desk = Desk::new();
    desk.pending.hint(Hint::Subtree { path: path("a") }, desk.now);
    let since = desk.now;
    desk.all();
    desk.renamed_since("a", "b", since);
    desk.renamed_since("b/folder", "out", since);
    desk.renamed_since("out", "b/back", since);
    desk.renamed_since("b", "c", since);
    let all = desk.all_in_time();
    let renames = ["rename a b", "rename b/folder out", "rename out b/back", "rename b c"];
    let sent: Vec<_> = all.iter().filter(|line| line.starts_with("rename")).collect();
    assert_eq!(sent, renames, "{all:?}");
    assert!(all.contains(&"subtree c".into()), "{all:?}");
}

#[test]
fn an_exchange_whose_halves_come_apart_is_compared() {
    let mut desk = Desk::new();
    let since = desk.now;
    desk.later(Duration::from_millis(1));
    desk.renamed("a", "b");
    assert_eq!(desk.all()[0], "rename a b");
    desk.renamed_since("b", "a", since);
    let all = desk.all();
    assert!(all.contains(&"subtree b".into()) && all.contains(&"subtree a".into()), "{all:?}");
}

#[test]
fn a_rename_and_one_back_later_are_two_renames() {
    let mut desk = Desk::new();
    desk.renamed("a", "b");
    assert_eq!(desk.all()[0], "rename a b");
    desk.later(Duration::from_secs(2));
    desk.renamed("b", "a");
    assert_eq!(desk.all()[0], "rename b a");
}

#[test]
fn a_deletion_that_waits_in_an_exchanged_folder_is_looked_for_in_both() {
    let mut desk = Desk::new();
    desk.entry("a/x", Cause::GONE);
    desk.renamed("a", "b");
    desk.renamed("b", "a");
    let all = desk.all_in_time();
    assert!(all.contains(&"gone a/x".into()) && all.contains(&"gone b/x".into()), "{all:?}");
}

#[test]
fn work_of_a_lost_link_is_owed_where_waiting_renames_take_it() {
    let mut desk = Desk::new();
    desk.renamed("a", "b");
    desk.renamed("b", "a");
    assert!(matches!(desk.pending.take(desk.now).unwrap().task, Task::Exchange { .. }));
    desk.later(Duration::from_secs(9));
    desk.renamed("a", "f");
    desk.pending.link_lost(desk.now);
    let all = desk.all_in_time();
    assert!(all.contains(&"subtree f".into()) && all.contains(&"subtree b".into()), "{all:?}");
}

#[test]
fn a_comparison_under_way_covers_a_renamed_folder_anew() {
    let mut desk = Desk::new();
    desk.subtree("");
    let pass = desk.pending.take(desk.now).unwrap();
    desk.renamed("a", "b");
    let all = desk.all();
    assert!(all.contains(&"rename a b".into()) && all.contains(&"subtree b".into()), "{all:?}");
    desk.pending.done(pass.ticket, desk.now);
}

#[test]
fn what_was_on_its_way_when_the_link_broke_and_vanishes_is_deleted() {
    let mut desk = Desk::new();
    desk.entry("f", Cause::CREATED | Cause::WRITTEN);
    desk.pending.take(desk.now).unwrap();
    desk.pending.link_lost(desk.now);
    desk.later(Duration::from_secs(9));
    desk.entry("f", Cause::GONE);
    assert_eq!(desk.all_in_time(), ["look .", "gone f"]);
}

#[test]
fn an_entry_that_proves_a_folder_is_a_comparison_of_it() {
    let mut desk = Desk::new();
    desk.entry("a", Cause::WRITTEN);
    let work = desk.pending.take(desk.now).unwrap();
    desk.pending.widened(work.ticket);
    desk.renamed("a/x", "a/y");
    let all = desk.all_in_time();
    assert!(all.contains(&"subtree a/y".into()), "{all:?}");
}

#[test]
fn a_lost_link_brings_everything_back() {
    let mut desk = Desk::new();
    desk.entry("d/f", Cause::WRITTEN);
    desk.entry("d/gone", Cause::GONE);
    desk.subtree("s");
    desk.renamed("from", "to");
    desk.later(HOLDS.deleted);
    while desk.pending.take(desk.now).is_some() {}
    desk.pending.link_lost(desk.now);
    let all = desk.all_in_time();
    for work in ["look d", "look d/f", "gone d/gone", "subtree s", "gone from", "subtree to"] {
        assert!(all.contains(&work.into()), "{work} in {all:?}");
    }
    assert!(!all.iter().any(|work| work.starts_with("rename")), "what a rename did is not known: {all:?}");
}

#[test]
fn parents_that_were_not_sent_go_before_a_rename_into_them() {
    let mut desk = Desk::new();
    desk.subtree("new");
    desk.renamed("old", "new/old");
    assert_eq!(desk.all()[0], "rename old new/old after [\"new\"]");
}

#[test]
fn a_full_store_becomes_bigger_hints_and_stays_bounded() {
    let mut desk = Desk::new();
    for n in 0..super::WAITING + 10 {
        desk.entry(&format!("big/{n}"), Cause::WRITTEN);
    }
    assert!(desk.pending.len() <= super::WAITING);
    let all = desk.all_in_time();
    assert!(all.contains(&"folder big".into()), "{:?}", &all[..3.min(all.len())]);
    let mut desk = Desk::new();
    for n in 0..super::WAITING + 10 {
        desk.entry(&format!("d{n}/f"), Cause::WRITTEN);
    }
    assert_eq!(desk.all_in_time()[0], "subtree .");
}

#[test]
fn lost_sight_is_explained_by_an_event_or_asked_again() {
    let mut desk = Desk::new();
    desk.entry("f", Cause::WRITTEN);
    let work = desk.pending.take(desk.now).unwrap();
    desk.pending.lost_sight(work.ticket, desk.now);
    assert_eq!(desk.all(), [""; 0]);
    desk.entry("f", Cause::GONE);
    assert_eq!(desk.all_in_time(), ["gone f"]);
}

#[test]
fn work_under_way_follows_the_renames_that_are_hinted_meanwhile() {
    let mut desk = Desk::new();
    desk.entry("a/x", Cause::WRITTEN);
    let work = desk.pending.take(desk.now).unwrap();
    desk.renamed("a", "b");
    desk.renamed("b/x", "b/y");
    desk.pending.again(work.ticket, Duration::ZERO, desk.now);
    let all = desk.all_in_time();
    assert!(all.contains(&"look b/y".into()), "{all:?}");
}

#[test]
fn work_under_way_at_an_exchange_is_about_both_places() {
    let mut desk = Desk::new();
    desk.entry("a/x", Cause::GONE);
    desk.later(HOLDS.deleted);
    let work = desk.pending.take(desk.now).unwrap();
    desk.renamed("a", "b");
    desk.renamed("b", "a");
    desk.pending.again(work.ticket, Duration::ZERO, desk.now);
    let all = desk.all_in_time();
    assert!(all.contains(&"gone a/x".into()) && all.contains(&"gone b/x".into()), "{all:?}");
}

#[test]
fn work_under_way_in_folders_exchanged_within_exchanged_ones_is_followed_by_the_folder_above() {
    let mut desk = Desk::new();
    desk.entry("top/0/0/0/0/0/f", Cause::WRITTEN);
    let work = desk.pending.take(desk.now).unwrap();
    for depth in (0..5).rev() {
        let (a, b) = (format!("top{}", "/0".repeat(depth + 1)), format!("top{}/1", "/0".repeat(depth)));
        desk.renamed(&a, &b);
        desk.renamed(&b, &a);
    }
    assert_eq!(desk.pending.taken[&work.ticket].stands, [path("top")], "32 places");
    desk.all_in_time();
    desk.pending.done(work.ticket, desk.now);
    assert_eq!(desk.all(), ["subtree top"], "whatever it has done there");
}

/// Two renames of the storm, hinted as if both had been exchanges: folders move into each other and out again.
#[test]
fn a_storm_of_renames_does_not_multiply_what_is_owed() {
    let mut desk = Desk::new();
    let mut state = 1u64;
    let mut below = move |n: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % n
    };
    for round in 0..1000 {
        let (a, b) = (format!("d{}", below(40)), format!("d{}", below(40)));
        let (from, to) = match below(4) {
            0 => (a.clone(), format!("{b}/{a}")),
            1 => (format!("{b}/{a}"), a.clone()),
            _ => (a.clone(), b.clone()),
        };
        desk.renamed(&from, &to);
        if from != to && below(2) == 0 {
            desk.renamed(&to, &from);
        }
        desk.entry(&format!("{a}/f"), Cause::WRITTEN);
        // Some of it is under way all the time.
        if round % 10 == 0 {
            desk.pending.take(desk.now);
        }
        desk.later(Duration::from_millis(1));
        assert!(desk.pending.len() < 40 * 1200, "{} are owed after {round} renames", desk.pending.len());
    }
}

#[test]
fn an_exchange_of_what_waits_whole_is_compared_at_both_places() {
    let mut desk = Desk::new();
    desk.subtree("a");
    desk.renamed("a", "b");
    desk.renamed("b", "a");
    let all = desk.all_in_time();
    assert!(all.contains(&"subtree a".into()) && all.contains(&"subtree b".into()), "{all:?}");
}

#[test]
fn a_comparison_swallows_new_names_but_no_write_to_what_may_be_known() {
    let mut desk = Desk::new();
    desk.entry("d/new", Cause::CREATED | Cause::WRITTEN);
    desk.entry("d/old", Cause::WRITTEN);
    desk.subtree("d");
    assert_eq!(desk.all_in_time(), ["subtree d", "look d/old"]);
}
