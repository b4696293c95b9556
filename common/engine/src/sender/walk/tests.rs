use super::*;
use crate::clock::Clock;
use crate::pending::{Holds, Pending, Rules};

const RULES: Rules = Rules {
    settle: Duration::ZERO,
    open_settle: Duration::ZERO,
    open_max_delay: Duration::ZERO,
    holds: Holds { deleted: Duration::ZERO, mass: Duration::ZERO, many: 100, lost: Duration::ZERO },
};

fn a_ticket() -> Ticket {
    let mut pending = Pending::new(RULES);
    pending.hint(crate::hint::Hint::Subtree { path: RelPath::root() }, Instant::now());
    pending.take(Instant::now()).unwrap().ticket
}

#[test]
fn threads_come_with_work_and_go_without() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = Arc::new(sys::Tree::open(scratch.path(), sys::Mounts::Stay).unwrap());
    let view = Arc::new(View::of_source(tree, proto::Keep::DEFAULT, crate::view::Selection::default()));
    let mut walker = Walker::new(Workers::Threads(2), &Arc::new(Mirror::new(RULES, Clock::system())));
    let ticket = a_ticket();
    let alive = |walker: &Walker| walker.task.lock().alive;
    for _ in 0..2 {
        assert_eq!(alive(&walker), 0, "nothing to list");
        for _ in 0..100 {
            walker.list(&view, (ticket, RelPath::root(), Detail::Names)).unwrap();
        }
        assert!((1..=2).contains(&alive(&walker)));
        for _ in 0..100 {
            assert!(walker.listed.recv().unwrap().children.is_ok());
        }
        let began = Instant::now();
        while alive(&walker) > 0 {
            assert!(began.elapsed() < IDLE * 20, "they stay");
            std::thread::sleep(IDLE / 20);
        }
    }
}

#[test]
fn without_threads_a_folder_is_listed_by_the_caller_at_each_step() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = Arc::new(sys::Tree::open(scratch.path(), sys::Mounts::Stay).unwrap());
    let view = Arc::new(View::of_source(tree, proto::Keep::DEFAULT, crate::view::Selection::default()));
    let mut walker = Walker::new(Workers::Inline, &Arc::new(Mirror::new(RULES, Clock::system())));
    walker.list(&view, (a_ticket(), RelPath::root(), Detail::Names)).unwrap();
    assert!(walker.listed().is_none() && walker.threads.is_empty());
    assert!(walker.step() && walker.listed().is_some());
    assert!(!walker.step() && walker.listed().is_none());
}
