//! The picture without a kernel: what it wants done and told after what happened, by hand here and against a `model`.

mod model;

use std::time::{Duration, Instant};

use proto::Name;

use super::*;
use crate::watch::event::{Change, Event, Object};
use crate::watch::pairing::{PATIENCE, Paired};

const ROOT: Watch = 1;

/// A picture of `a` (2), `a/b` (3) and `c` (4), and the time.
struct Rig {
    picture: Picture,
    now: Instant,
}

fn rig() -> Rig {
    let now = Instant::now();
    let mut picture = Picture::new(engine::view::Selection::default(), now);
    assert!(picture.restart(ROOT, now, now).is_empty());
    for (watch, place) in [(2, place(ROOT, "a")), (3, place(2, "b")), (4, place(ROOT, "c"))] {
        assert_eq!(picture.met(&place, Met::Folder(watch), 0, now), Seen::New);
    }
    picture.placed(Vec::new());
    Rig { picture, now }
}

impl Rig {
    fn folder(&mut self, place: Spot, change: Change) {
        let event = Event { watch: place.parent, name: Some(place.name), change, object: Object::Folder };
        self.picture.happened(Paired::Event(event), self.now, self.now);
    }

    fn of_itself(&mut self, watch: Watch, change: Change) {
        let event = Event { watch, name: None, change, object: Object::Folder };
        self.picture.happened(Paired::Event(event), self.now, self.now);
    }

    fn renamed(&mut self, from: Spot, to: Spot) {
        let step = Paired::Renamed { from, to, object: Object::Folder, since: self.now };
        self.picture.happened(step, self.now, self.now);
    }

    /// The look that is wanted next.
    fn look(&mut self) -> Look {
        match self.picture.task(self.now) {
            Some(Task::Look(look)) => look,
            other => panic!("{other:?}"),
        }
    }

    /// What is wanted next is a look there, and it meets this.
    fn meets(&mut self, at: &Spot, met: Met) -> Seen {
        let look = self.look();
        assert_eq!(look.place, *at);
        let seen = self.picture.met(at, met, look.tries, self.now);
        self.picture.looked(look, seen, self.now);
        seen
    }

    /// The time passes, and the queue of the kernel is seen empty at the end of it.
    fn after(&mut self, time: Duration) {
        self.now += time;
        self.picture.review(self.now, self.now);
    }

    fn told(&mut self) -> Vec<String> {
        let mut notices = Vec::new();
        self.picture.tell(&mut notices);
        notices.iter().map(shown).collect()
    }
}

fn place(parent: Watch, name: &str) -> Spot {
    Spot { parent, name: Name::parse(name.as_bytes()).unwrap() }
}

fn shown(notice: &Notice) -> String {
    match notice {
        Notice::Hint(Hint::Entry { path, cause }) if *cause == Cause::ENTRIES => format!("{path}/"),
        Notice::Hint(Hint::Entry { path, cause }) if *cause == Cause::GONE => format!("-{path}"),
        Notice::Hint(Hint::Entry { path, cause }) if *cause == Cause::GONE | Cause::WITH_ALL => format!("-{path}/**"),
        Notice::Hint(Hint::Entry { path, .. }) => path.to_string(),
        Notice::Hint(Hint::Subtree { path }) => format!("{path}/**"),
        Notice::Hint(Hint::Renamed { from, to, .. }) => format!("{from}>{to}"),
        Notice::Unwatched { folders, limit } => format!("{limit:?}: {}", folders.len()),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_new_folder_is_looked_at_and_told_then() {
    let mut rig = rig();
    rig.folder(place(2, "n"), Change::Created);
    assert_eq!(rig.told(), [""; 0]);
    assert_eq!(rig.meets(&place(2, "n"), Met::Folder(5)), Seen::New);
    assert_eq!(rig.told(), ["a/n/**", "a/"]);
    assert_eq!(rig.picture.path(5).unwrap().to_string(), "a/n");
    // A walk was faster than the event.
    rig.folder(place(2, "n"), Change::Created);
    assert_eq!(rig.meets(&place(2, "n"), Met::Folder(5)), Seen::Known);
    assert_eq!(rig.told(), ["a/n", "a/"]);
}

#[test]
fn a_rename_that_its_folder_confirms_is_done() {
    let mut rig = rig();
    rig.renamed(place(ROOT, "a"), place(4, "d"));
    assert_eq!(rig.told(), ["a>c/d", "./", "c/"]);
    rig.of_itself(2, Change::SelfMoved);
    rig.after(PATIENCE);
    assert_eq!(rig.picture.task(rig.now), None);
    assert_eq!(rig.picture.path(3).unwrap().to_string(), "c/d/b");
    assert_eq!(rig.picture.doubtful_since(), None);
}

#[test]
fn a_rename_that_nothing_confirms_is_looked_at_on_both_sides() {
    let mut rig = rig();
    let began = rig.now;
    rig.renamed(place(ROOT, "a"), place(4, "d"));
    rig.after(PATIENCE / 2);
    assert_eq!(rig.picture.task(rig.now), None);
    assert_eq!(rig.picture.doubtful_since(), Some(began), "a barrier waits for it");
    rig.after(PATIENCE);
    let places = [rig.look(), rig.look()].map(|look| look.place);
    assert!(places.contains(&place(ROOT, "a")) && places.contains(&place(4, "d")), "{places:?}");
}

#[test]
fn a_folder_that_says_it_was_renamed_and_is_not_known_to_be_is_looked_for() {
    let mut rig = rig();
    rig.of_itself(3, Change::SelfMoved);
    rig.after(Duration::ZERO);
    assert_eq!(rig.meets(&place(2, "b"), Met::Nothing), Seen::Gone);
    assert_eq!(rig.told(), ["-a/b"]);
    assert_eq!(rig.picture.path(3), None);
    // Found again in time it keeps its watch.
    rig.folder(place(4, "e"), Change::MovedTo { cookie: 0 });
    assert_eq!(rig.meets(&place(4, "e"), Met::Folder(3)), Seen::Moved);
    assert_eq!(rig.told(), ["c/e/**", "c/"]);
}

#[test]
fn what_is_not_found_in_time_is_given_back_with_all_beneath() {
    let mut rig = rig();
    rig.of_itself(2, Change::SelfMoved);
    rig.after(Duration::ZERO);
    rig.meets(&place(ROOT, "a"), Met::Nothing);
    rig.after(Duration::from_millis(999));
    assert_eq!(rig.picture.task(rig.now), None);
    rig.after(Duration::from_millis(1));
    assert_eq!(rig.picture.task(rig.now), Some(Task::GiveBack(vec![2, 3])));
    assert_eq!((rig.picture.watches(), rig.picture.doubtful_since()), (2, None));
}

#[test]
fn what_is_moved_out_is_given_back_before_anything_else_is_looked_at() {
    let mut rig = rig();
    rig.folder(place(ROOT, "a"), Change::MovedFrom { cookie: 1, since: rig.now });
    rig.meets(&place(ROOT, "a"), Met::Nothing);
    rig.folder(place(ROOT, "x"), Change::Created);
    assert_eq!(rig.picture.task(rig.now), Some(Task::GiveBack(vec![2, 3])));
    rig.meets(&place(ROOT, "x"), Met::Folder(2));
    assert_eq!(rig.told(), ["-a/**", "./", "x/**", "./"]);
}

#[test]
fn trouble_that_stays_is_given_up_and_told_as_not_watched() {
    let mut rig = rig();
    rig.folder(place(2, "n"), Change::Created);
    rig.meets(&place(2, "n"), Met::Trouble("it is odd".into()));
    let (began, mut looks) = (rig.now, 0);
    while rig.picture.unwatched_count() == 0 {
        let due = rig.picture.due(rig.now).unwrap();
        rig.after(due - rig.now);
        rig.meets(&place(2, "n"), Met::Trouble("it is odd".into()));
        looks += 1;
    }
    assert_eq!(looks, 8);
    assert_eq!((rig.now - began).as_secs(), 5);
    rig.told();
    rig.picture.tell_unwatched(|| Some(4));
    assert_eq!(rig.told(), ["None: 1"], "it is no question of the limit");
}

#[test]
fn at_the_limit_one_is_tried_when_watches_are_given_back_and_the_others_not() {
    let mut rig = rig();
    rig.after(Duration::ZERO);
    assert_eq!(rig.picture.task(rig.now), None);
    for name in ["x", "y", "z"] {
        rig.folder(place(ROOT, name), Change::Created);
        rig.meets(&place(ROOT, name), Met::Limit);
    }
    rig.told();
    rig.picture.tell_unwatched(|| Some(4));
    assert_eq!(rig.told(), ["Some(4): 3"]);
    rig.after(Duration::from_secs(1));
    assert_eq!(rig.picture.task(rig.now), None, "nothing was given back");
    rig.folder(place(2, "b"), Change::Deleted);
    assert_eq!(rig.picture.task(rig.now), Some(Task::GiveBack(vec![3])));
    rig.after(Duration::ZERO);
    let look = rig.look();
    let first = look.place.clone();
    let seen = rig.picture.met(&first, Met::Folder(9), 0, rig.now);
    rig.picture.looked(look, seen, rig.now);
    let second = rig.look();
    assert_ne!(second.place, first);
    let seen = rig.picture.met(&second.place, Met::Limit, 0, rig.now);
    rig.picture.looked(second, seen, rig.now);
    assert_eq!(rig.picture.task(rig.now), None, "there is none left for the third");
    assert_eq!(rig.picture.unwatched_count(), 2);
}

#[test]
fn a_doubt_about_what_stands_nowhere_is_an_overflow() {
    let mut rig = rig();
    rig.picture.unlisted(ROOT, rig.now);
    for _ in 0..20 {
        let Some(due) = rig.picture.due(rig.now) else { break };
        rig.after(due - rig.now);
        if let Some(Task::List(listing)) = rig.picture.task(rig.now) {
            rig.picture.listed(listing, false, rig.now);
        }
    }
    assert!(rig.picture.is_stale());
    rig.picture.restart(ROOT, rig.now, rig.now);
    assert!(!rig.picture.is_stale());
}

#[test]
fn a_closed_folder_that_was_exchanged_with_a_watched_one_outside_is_known_to_be_unwatched() {
    let mut rig = rig();
    // It comes before the other is told to leave.
    rig.folder(place(ROOT, "a"), Change::MovedTo { cookie: 1 });
    rig.meets(&place(ROOT, "a"), Met::Denied("no right".into()));
    rig.folder(place(ROOT, "a"), Change::MovedFrom { cookie: 2, since: rig.now });
    rig.meets(&place(ROOT, "a"), Met::Denied("no right".into()));
    assert_eq!(rig.picture.task(rig.now), Some(Task::GiveBack(vec![2, 3])));
    rig.after(Duration::ZERO);
    rig.meets(&place(ROOT, "a"), Met::Denied("no right".into()));
    assert_eq!(rig.picture.unwatched(), [RelPath::parse(b"a").unwrap()]);
}

#[test]
fn a_file_that_is_told_of_late_is_not_told_to_be_new() {
    let mut rig = rig();
    for (late, cause) in [(0, Cause::CREATED), (3, Cause::WRITTEN)] {
        let (at, behind) = (place(ROOT, "f"), rig.now - Duration::from_secs(late));
        let (name, change, object) = (Some(at.name), Change::Created, Object::Other);
        let event = Event { watch: ROOT, name, change, object };
        rig.picture.happened(Paired::Event(event), behind, rig.now);
        let mut notices = Vec::new();
        rig.picture.tell(&mut notices);
        let told = |notice: &Notice| matches!(notice, Notice::Hint(Hint::Entry { cause: is, .. }) if *is == cause);
        assert!(notices.iter().any(told), "{late} s: {notices:?}");
    }
}

/// Folders in each other, so that paths beneath the last are 40 KB long: its watch.
fn deep(picture: &mut Picture, now: Instant) -> Watch {
    (100..300).fold(2, |parent, watch| {
        assert_eq!(picture.met(&place(parent, &"d".repeat(200)), Met::Folder(watch), 0, now), Seen::New);
        watch
    })
}

#[test]
fn what_is_told_at_a_time_is_bounded_by_bytes() {
    let Rig { mut picture, now } = rig();
    let parent = deep(&mut picture, now);
    let mut told = Vec::new();
    for n in 0..1_000 {
        if picture.has_much_to_tell() {
            break;
        }
        let name = Some(Name::parse(format!("{n}").as_bytes()).unwrap());
        let event = Event { watch: parent, name, change: Change::Written, object: Object::Other };
        picture.happened(Paired::Event(event), now, now);
    }
    picture.tell(&mut told);
    let bytes: usize = told.iter().map(Notice::path_bytes).sum();
    assert!((BATCH_BYTES..BATCH_BYTES + 100_000).contains(&bytes), "{bytes} bytes in {}", told.len());
    assert!(!picture.has_much_to_tell(), "they are told");
}

#[test]
fn folders_that_are_not_watched_are_told_as_the_whole_where_their_paths_are_too_long() {
    let Rig { mut picture, now } = rig();
    let parent = deep(&mut picture, now);
    for n in 0..100 {
        picture.met(&place(parent, &n.to_string()), Met::Limit, 0, now);
        let folders = picture.unwatched();
        match folders.iter().map(|folder| folder.as_bytes().len()).sum::<usize>() {
            0 => assert!(n > 40 && folders == [RelPath::root()]),
            bytes => assert!(folders.len() == n + 1 && bytes <= UNWATCHED),
        }
    }
    assert_eq!((picture.unwatched_count(), picture.unwatched().len()), (100, 1));
}
