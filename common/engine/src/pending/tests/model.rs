//! Nothing owed is dropped: beside what is pending stands a model that keeps each change by itself, as a debt, until work
//! is handed out that meets it and then acknowledged. Whatever happens, what is pending owes at least that; also where
//! deletions are a mass after a few, and where a comparison may not make those that it finds.
//!
//! LONG: one model, of which each part is about what the others do with its debts.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fastrand::Rng;
use proto::RelPath;

use super::{Cause, HOLDS, Hint, Holds, Pending, RULES, Rules, Task, Work, path};
use crate::pending::full::Capacity;
use crate::pending::{Claim, Found, Scope, Since, Ticket, Wait, Why};

/// What has to happen before a change may be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// A look. The target asks for content where it has none, or other metadata.
    Look,
    /// A look that sends content: it may differ from what the target has in nothing else.
    Content,
    /// The target is told that it is gone.
    Gone,
    /// It moved away: the target is told of the rename, or looks.
    Left,
    /// It came by a rename: the target is told of that, or gets all of it.
    Came,
    /// The listing of the folder is compared.
    Listing,
    /// All at and beneath is compared.
    Whole,
}

#[derive(Debug, Clone)]
struct Debt {
    place: RelPath,
    need: Need,
    /// The last work that will have met it when it is acknowledged: what is sent later counts.
    by: Option<Ticket>,
}

/// Work under way, and where its places are by now.
struct Begun {
    work: Work,
    whole: bool,
    /// Whether something stood there when it began.
    found: bool,
    stands: Vec<RelPath>,
}

struct Model {
    pending: Pending,
    now: Instant,
    rng: Rng,
    /// What stands at the source; a name with a dot is a file.
    here: BTreeSet<RelPath>,
    debts: Vec<Debt>,
    /// Of these the target cannot have anything: they were created, and nothing has looked since.
    fresh: BTreeSet<RelPath>,
    begun: Vec<Begun>,
}

fn is_folder(path: &RelPath) -> bool {
    !path.as_bytes().contains(&b'.')
}

/// Whether this work, once acknowledged, has met that debt.
fn meets(work: &Work, debt: &Debt) -> bool {
    let (place, need) = (&debt.place, debt.need);
    match &work.task {
        Task::Subtree { path, .. } => place.is_within(path),
        // What the target has nothing of is sent with all beneath.
        Task::Folder { path } if place == path => true,
        Task::Folder { path } => place.parent().as_ref() == Some(path) && !matches!(need, Need::Whole | Need::Listing),
        Task::Entry { path, cause } => {
            let has_content = cause.has(Cause::CREATED | Cause::WRITTEN | Cause::WRITING);
            place == path
                && match need {
                    Need::Look | Need::Left => true,
                    Need::Content | Need::Came => has_content,
                    Need::Gone => cause.has(Cause::GONE),
                    Need::Whole if !is_folder(path) => has_content,
                    Need::Listing | Need::Whole => false,
                }
        }
        Task::Rename { .. } | Task::Exchange { .. } => {
            work.stands.contains(place) && matches!(need, Need::Left | Need::Came)
        }
    }
}

/// Whether this task may show the target what stands at that path.
fn sees(task: &Task, path: &RelPath) -> bool {
    match task {
        Task::Subtree { path: top, .. } => path.is_within(top),
        Task::Folder { path: folder } => path == folder || path.parent().as_ref() == Some(folder),
        Task::Rename { parents, .. } if parents.contains(path) => true,
        task => task.places().any(|place| place == path),
    }
}

impl Model {
    fn new(seed: u64) -> Model {
        let mut rng = Rng::with_seed(seed);
        let mass = Duration::from_millis(rng.choice([0, 20, 500, 30_000]).unwrap_or_default());
        let holds = Holds { mass, many: rng.u64(..4), ..HOLDS };
        let mut pending = Pending::new(Rules { holds, ..RULES });
        if rng.bool() {
            pending.capacity = Capacity {
                hints: rng.usize(2..20),
                moves: rng.usize(1..5),
                folder: rng.usize(1..4),
                bytes: rng.usize(1_000..20_000),
            };
        }
        let here = ["a", "b", "a/c", "a/x.", "b/x.", "b/y.", "x."].into_iter().map(path).collect();
        let (debts, fresh, begun) = (Vec::new(), BTreeSet::new(), Vec::new());
        Model { pending, now: Instant::now(), rng, here, debts, fresh, begun }
    }

    fn owe(&mut self, place: &RelPath, need: Need) {
        if !self.debts.iter().any(|debt| debt.by.is_none() && debt.place == *place && debt.need == need) {
            self.debts.push(Debt { place: place.clone(), need, by: None });
        }
    }

    fn some(&mut self) -> Option<RelPath> {
        self.rng.choice(&self.here).cloned()
    }

    /// A name at which something may come to stand.
    fn free(&mut self) -> Option<RelPath> {
        let folders = self.here.iter().filter(|path| is_folder(path) && path.depth() < 3).cloned();
        let folder = self.rng.choice(folders.chain([RelPath::root()]).collect::<Vec<_>>())?;
        let name = self.rng.choice(["a", "b", "c", "x.", "y."])?;
        if folder.is_root() { Some(path(name)) } else { Some(path(&format!("{folder}/{name}"))) }
    }

    fn hint_entry(&mut self, path: &RelPath, cause: Cause) {
        self.pending.hint(Hint::Entry { path: path.clone(), cause }, self.now);
    }

    fn create(&mut self) {
        let Some(at) = self.free().filter(|at| !self.here.contains(at)) else { return };
        let untouched = !self.debts.iter().any(|debt| debt.place == at);
        let may_see = |begun: &Begun| {
            let whole = begun.work.task.is_comparison();
            begun.stands.iter().any(|place| *place == at || (whole && at.is_within(place)))
        };
        if untouched && !self.begun.iter().any(may_see) {
            self.fresh.insert(at.clone());
        }
        self.here.insert(at.clone());
        self.owe(&at, Need::Look);
        self.hint_entry(&at, Cause::CREATED);
    }

    fn change(&mut self) {
        let Some(at) = self.some() else { return };
        let (need, cause) = match self.rng.u8(..5) {
            0 if !is_folder(&at) => (Need::Content, Cause::WRITTEN),
            1 if !is_folder(&at) => (Need::Content, Cause::WRITING),
            2 if is_folder(&at) => (Need::Look, Cause::ENTRIES),
            3 if is_folder(&at) => {
                self.owe(&at, Need::Listing);
                self.pending.hint(Hint::Folder { path: at }, self.now);
                return;
            }
            4 if self.rng.bool() => {
                self.owe(&at, Need::Whole);
                self.pending.hint(Hint::Subtree { path: at }, self.now);
                return;
            }
            _ => (Need::Look, Cause::ATTRIBUTES),
        };
        // LIMIT: a write is left to a comparison that waits above, which sees no more than size and time.
        let left = need == Need::Content && self.pending.hints.comparison_above(&at).is_some();
        self.owe(&at, if left { Need::Look } else { need });
        self.hint_entry(&at, cause);
    }

    fn delete(&mut self) {
        let Some(at) = self.some() else { return };
        self.here.retain(|path| !path.is_within(&at));
        self.debts.retain(|debt| !debt.place.is_within(&at));
        if !self.fresh.contains(&at) {
            self.owe(&at, Need::Gone);
        }
        self.fresh.retain(|path| !path.is_within(&at));
        self.hint_entry(&at, Cause::GONE);
    }

    fn rename(&mut self) {
        let (Some(from), Some(to)) = (self.some(), self.free()) else { return };
        let is_empty = |at: &RelPath| !self.here.iter().any(|path| path != at && path.is_within(at));
        let fits = is_folder(&from) == is_folder(&to) && is_empty(&to);
        if !fits || to.is_within(&from) || from.is_within(&to) {
            return;
        }
        let moved: Vec<_> = self.here.iter().filter(|path| path.is_within(&from)).cloned().collect();
        for path in moved {
            self.here.remove(&path);
            self.here.extend(path.rebase(&from, &to));
        }
        self.leave_comparisons(&from);
        // What it takes the place of is no more. What was deleted here before leaves with it, or is owed as gone.
        let over = |debt: &Debt| {
            debt.place.is_within(&to) || (debt.place == from && matches!(debt.need, Need::Gone | Need::Left))
        };
        self.debts.retain(|debt| !over(debt));
        for debt in &mut self.debts {
            debt.place = debt.place.rebase(&from, &to).unwrap_or(debt.place.clone());
        }
        if !self.fresh.contains(&from) {
            self.owe(&from, Need::Left);
        }
        self.fresh.remove(&from);
        self.fresh.retain(|path| !path.is_within(&to) || *path == to);
        self.fresh = self.fresh.iter().map(|path| path.rebase(&from, &to).unwrap_or(path.clone())).collect();
        self.owe(&to, Need::Came);
        self.look_again(&from, &to);
        for begun in &mut self.begun {
            begun.stands.iter_mut().for_each(|at| *at = at.rebase(&from, &to).unwrap_or(at.clone()));
        }
        let before = self.pending.moves.len();
        self.hint_renamed(&from, &to);
        if self.pending.moves.len() > before {
            self.fresh.remove(&to);
        }
    }

    /// Work under way may have looked under the wrong name.
    fn look_again(&mut self, from: &RelPath, to: &RelPath) {
        let mut again = Vec::new();
        for begun in &self.begun {
            for at in &begun.stands {
                let here = at.rebase(from, to).or_else(|| at.is_within(to).then(|| at.clone()));
                match here {
                    Some(here) if begun.whole => again.push((here, Need::Whole)),
                    Some(here) => again.extend([(here, Need::Look), (at.clone(), Need::Left)]),
                    None => {}
                }
            }
        }
        again.iter().for_each(|(place, need)| self.owe(place, *need));
    }

    /// What a comparison of a folder above this place was to meet may have gone out of its way: the place is compared anew.
    fn leave_comparisons(&mut self, place: &RelPath) {
        let above = |begun: &&Begun| begun.whole && begun.stands.iter().any(|at| at != place && place.is_within(at));
        let tickets: Vec<_> = self.begun.iter().filter(above).map(|begun| begun.work.ticket).collect();
        let left = |debt: &Debt| debt.place.is_within(place) && debt.by.is_some_and(|by| tickets.contains(&by));
        self.debts.retain(|debt| !left(debt));
        if !tickets.is_empty() {
            self.owe(place, Need::Whole);
        }
    }

    fn hint_renamed(&mut self, from: &RelPath, to: &RelPath) {
        let (from, to, folder) = (from.clone(), to.clone(), is_folder(from));
        self.pending.hint(Hint::Renamed { from, to, folder, since: self.now }, self.now);
    }

    fn exchange(&mut self) {
        let (Some(a), Some(b)) = (self.some(), self.some()) else { return };
        if is_folder(&a) != is_folder(&b) || a.is_within(&b) || b.is_within(&a) {
            return;
        }
        let swapped = |at: &RelPath| at.rebase(&a, &b).or_else(|| at.rebase(&b, &a)).unwrap_or(at.clone());
        self.here = self.here.iter().map(swapped).collect();
        self.leave_comparisons(&a);
        self.leave_comparisons(&b);
        // Something stands at both places again, and comes by the exchange.
        let over = |debt: &Debt| [&a, &b].contains(&&debt.place) && matches!(debt.need, Need::Gone | Need::Left);
        self.debts.retain(|debt| !over(debt));
        self.debts.iter_mut().for_each(|debt| debt.place = swapped(&debt.place));
        self.fresh.retain(|path| *path != a && *path != b);
        self.fresh = self.fresh.iter().map(swapped).collect();
        for begun in &mut self.begun {
            let others: Vec<_> = begun.stands.iter().map(swapped).filter(|at| !begun.stands.contains(at)).collect();
            begun.stands.extend(others);
        }
        self.owe(&a, Need::Came);
        self.owe(&b, Need::Came);
        self.hint_renamed(&a, &b);
        self.hint_renamed(&b, &a);
    }

    /// A sender looks at what is held: whether the source is empty, and whether a person lets it go.
    fn look_at_held(&mut self, is_released: bool) {
        if self.pending.holds_seen() {
            self.pending.source_is(self.here.is_empty(), self.now);
        }
        if is_released {
            self.pending.let_go(self.now);
        }
    }

    /// A comparison may not make the deletions that it has found: they are owed as before.
    fn hold(&mut self, ticket: Ticket, top: &RelPath) {
        // It meets what another has held before, too.
        let held = |debt: &Debt| debt.by.is_none() && self.pending.inferred.concerns(&debt.place);
        let met = |debt: &Debt| debt.place.is_within(top) && (debt.by == Some(ticket) || held(debt));
        let mut places = Vec::new();
        for debt in self.debts.iter_mut().filter(|debt| debt.need == Need::Gone && met(debt)) {
            if !self.here.contains(&debt.place) {
                debt.by = None;
                places.push((debt.place.clone(), 1));
            }
        }
        let found = Found { places, beyond: 0, total: 100 };
        let scope = Scope { top, deep: true };
        if found.places.is_empty() {
            self.pending.holds_nothing(scope);
        } else {
            self.pending.hold(scope, found, Why::Many, Since::noticed(self.now));
        }
    }

    fn take(&mut self) {
        self.look_at_held(false);
        let work = match self.pending.take(self.now) {
            None if self.rng.u8(..4) == 0 => self.pending.take_parked(|_| true, self.now).map(|(work, _)| work),
            work => work,
        };
        let Some(mut work) = work else { return };
        // A folder of which more was said than that names came and went in it is compared whole.
        if let Task::Entry { path, cause } = &work.task
            && self.here.contains(path)
            && is_folder(path)
            && !cause.only(Cause::ENTRIES | Cause::ATTRIBUTES)
        {
            self.pending.widened(work.ticket);
            work.task = Task::Subtree { path: path.clone(), cleared: false };
        }
        // What is removed takes along all beneath.
        let removed = match &work.task {
            Task::Entry { path, cause } if cause.has(Cause::GONE) && !self.here.contains(path) => Some(path),
            _ => None,
        };
        let met = |debt: &Debt| meets(&work, debt) || removed.is_some_and(|top| debt.place.is_within(top));
        for debt in self.debts.iter_mut().filter(|debt| met(debt)) {
            debt.by = Some(work.ticket);
        }
        self.fresh.retain(|path| !sees(&work.task, path));
        let (whole, stands) = (work.task.is_whole(), work.stands.clone());
        let found = stands.iter().any(|place| self.here.contains(place));
        self.begun.push(Begun { work, whole, found, stands });
    }

    /// Some work ends, in some way.
    fn end(&mut self) {
        if self.begun.is_empty() {
            return;
        }
        let Begun { work, found, stands, .. } = self.begun.swap_remove(self.rng.usize(..self.begun.len()));
        let (ticket, now) = (work.ticket, self.now);
        match &work.task {
            Task::Subtree { path, cleared: false } if self.rng.bool() && stands == [path.clone()] => {
                self.hold(ticket, path);
                self.debts.retain(|debt| debt.by != Some(ticket));
                return self.pending.done(ticket, now);
            }
            _ if self.rng.bool() => {
                self.debts.retain(|debt| debt.by != Some(ticket));
                return self.pending.done(ticket, now);
            }
            Task::Entry { path, cause } if self.rng.bool() && stands == [path.clone()] => {
                let wait = Wait::Entry(cause.without(Cause::CREATED) | Cause::WRITTEN);
                let claim = Claim { owner: (0, 0), bytes: self.rng.u64(..3) };
                self.pending.park(path.clone(), wait, claim, Since::noticed(now), now);
                self.pending.done(ticket, now);
            }
            Task::Entry { .. } if !found => self.pending.lost_sight(ticket, now),
            Task::Entry { path, .. } if !is_folder(path) && self.rng.bool() => {
                // It was sent as it was: only the rest of its content is still to come.
                self.debts.retain(|debt| debt.by != Some(ticket) || debt.need == Need::Content);
                self.pending.still_open(ticket, now);
            }
            _ => self.pending.again(ticket, Duration::from_millis(self.rng.u64(..9)), now),
        }
        self.debts.iter_mut().filter(|debt| debt.by == Some(ticket)).for_each(|debt| debt.by = None);
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(if self.rng.u8(..20) == 0 { 3000 } else { self.rng.u64(..30) });
        match self.rng.u8(..24) {
            0..=2 => self.create(),
            3..=5 => self.change(),
            6 => self.delete(),
            7..=9 => self.rename(),
            10 => self.exchange(),
            11 if self.rng.u8(..8) == 0 => {
                self.pending.link_lost(self.now);
                self.begun.clear();
                self.debts.iter_mut().for_each(|debt| debt.by = None);
            }
            11 if self.rng.u8(..4) == 0 => self.look_at_held(true),
            12..=17 => self.take(),
            _ => self.end(),
        }
    }

    /// Panics if something is owed by the model alone.
    fn check(&self, after: &str) {
        for debt in &self.debts {
            assert!(self.pending.owes(&debt.place, self.now), "{after}: {debt:?} is not in {}", self.pending.owed());
        }
    }

    fn drain(&mut self) {
        while !self.pending.is_empty() {
            self.now += Duration::from_secs(20);
            self.look_at_held(true);
            let before = self.begun.len();
            self.take();
            if self.begun.len() == before {
                self.end();
            }
        }
    }
}

#[test]
fn nothing_owed_is_dropped() {
    for seed in 0..400 {
        let mut model = Model::new(seed);
        for step in 0..150 {
            model.step();
            model.check(&format!("seed {seed}, step {step}"));
        }
        model.drain();
        assert!(model.debts.is_empty(), "seed {seed}: nothing is pending, and not met were {:?}", model.debts);
    }
}
