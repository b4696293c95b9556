//! Full passes that the daemon makes for a `pushd sync`, and what became of each. Asked over the control socket, again and
//! again; a `sync` that goes away is forgotten, its passes go on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::mirror::Totals;
use kit::Exit;
use kit::progress::Done;
use proto::RelPath;

use crate::blocked::Known;
use crate::lane::{Lane, Trouble};
use crate::report::{self, Brake, Failed, Far, Outcome, Pair};
use crate::source::Live;
use crate::status::SourceState;

/// So many `sync` may have passes under way at the same time.
const MOST: usize = 64;
/// A pass is given up after this long where all that it still waits for fails each time.
const PATIENCE: Duration = Duration::from_secs(15);
/// A `sync` that has not asked for this long has gone away.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// All that is under way.
#[derive(Default)]
pub struct Errands {
    running: Mutex<(u64, HashMap<u64, Errand>)>,
}

/// What one `sync` asked for.
struct Errand {
    passes: Vec<Leg>,
    asked: Instant,
}

impl Errands {
    /// Begins passes of those pairs that this daemon serves in the way that they are described, and says which these are.
    /// `None` when there are too many errands.
    pub fn begin(&self, sources: &[Arc<Live>], pairs: &[Pair], brake: Brake) -> Option<(u64, Vec<bool>)> {
        let now = Instant::now();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, errands) = &mut *running;
        errands.retain(|_, errand| now.duration_since(errand.asked) < FORGOTTEN);
        if errands.len() >= MOST {
            return None;
        }
        let found: Vec<_> = pairs.iter().map(|pair| served(sources, pair)).collect();
        let which = found.iter().map(Option::is_some).collect();
        let passes = found.into_iter().flatten().map(|(live, lane)| Leg::begin(live, lane, brake)).collect();
        *last += 1;
        errands.insert(*last, Errand { passes, asked: now });
        Some((*last, which))
    }

    /// How far it is; one that is over is forgotten. `None` when there is no such errand.
    pub fn look(&self, number: u64) -> Option<Far> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let errand = running.1.get_mut(&number)?;
        errand.asked = Instant::now();
        errand.passes.iter_mut().for_each(Leg::look);
        if errand.passes.iter().any(|pass| pass.outcome.is_none()) {
            return Some(Far::Under(errand.passes.iter().map(Leg::done).reduce(Done::and).unwrap_or_default()));
        }
        let errand = running.1.remove(&number)?;
        let mut outcomes: Vec<Outcome> = errand.passes.into_iter().filter_map(|pass| pass.outcome).collect();
        report::cut(&mut outcomes);
        Some(Far::Over(outcomes))
    }
}

fn served(sources: &[Arc<Live>], pair: &Pair) -> Option<(Arc<Live>, Arc<Lane>)> {
    sources.iter().find_map(|live| {
        let lane = live.lanes.iter().find(|lane| Pair::new(&live.source, &lane.target) == *pair)?;
        Some((live.clone(), lane.clone()))
    })
}

/// One pass of one source to one target, with all that was owed when it began.
struct Leg {
    live: Arc<Live>,
    lane: Arc<Lane>,
    began: Instant,
    before: (Totals, Trouble),
    next: Milestone,
    /// Of the target at the beginning.
    known: Known,
    outcome: Option<Outcome>,
}

/// What is waited for.
#[derive(Clone, Copy)]
enum Milestone {
    /// That the watcher has told of all that happened before the call.
    Seeing(u64),
    /// That all that was noticed up to this moment is acknowledged, the pass included.
    Passing(Instant),
    /// That what the pass put aside, to be looked at once more, is acknowledged too.
    Mending(Instant),
}

impl Leg {
    fn begin(live: Arc<Live>, lane: Arc<Lane>, brake: Brake) -> Leg {
        let before = (lane.mirror.sent.totals(), lane.trouble());
        if brake == Brake::Released {
            live.release_once(&lane);
        }
        live.resync_one(&lane);
        let (next, known) = (Milestone::Seeing(live.ask_barrier()), Known::of(&lane.mirror));
        Leg { live, lane, began: Instant::now(), before, next, known, outcome: None }
    }

    /// Sees whether it is over.
    fn look(&mut self) {
        if self.outcome.is_some() {
            return;
        }
        let done = match (self.failed(), self.is_through()) {
            (Some(failed), _) => Err(failed),
            (None, true) => match self.lane.mirror.deletions_held() {
                Some(held) if held.left.is_none() => Err(report::held(&held)),
                _ => Ok(()),
            },
            (None, false) => return,
        };
        let pair = (&*self.live.source.name, &*self.lane.target.name);
        self.outcome = Some(Outcome::new(pair, &self.lane.mirror, self.before.0, self.began.elapsed(), done));
    }

    /// Why the pass has failed, where a `sync` that dials by itself would have failed too.
    fn failed(&self) -> Option<Failed> {
        if let Some((state, reason)) = self.live.standstill() {
            let exit = if state == SourceState::Absent { Exit::Input } else { Exit::Busy };
            return Some((exit, reason));
        }
        let mirror = &self.lane.mirror;
        if let Milestone::Passing(moment) | Milestone::Mending(moment) = self.next
            && let Some(sentence) = self.known.sentence(mirror, &RelPath::root(), moment)
        {
            return Some((Exit::Busy, sentence));
        }
        if mirror.target.is_stuck() {
            let error = mirror.target.last_error().unwrap_or_else(|| "the target cannot store it".to_owned());
            return Some((Exit::Busy, error));
        }
        self.lane.trouble().since(&self.before.1)
    }

    fn is_through(&mut self) -> bool {
        let now = Instant::now();
        let is_done =
            |moment| self.lane.mirror.halted().is_none() && (!self.owes(moment) || self.gives_up(moment, now));
        match self.next {
            Milestone::Seeing(number) if self.live.has_passed(number) => self.next = Milestone::Passing(now),
            Milestone::Passing(moment) if is_done(moment) => self.next = Milestone::Mending(now),
            Milestone::Mending(moment) => return is_done(moment),
            Milestone::Seeing(_) | Milestone::Passing(_) => {}
        }
        false
    }

    /// Whether all that is still owed is among the problems, and was tried for long enough.
    fn gives_up(&self, moment: Instant, now: Instant) -> bool {
        now.duration_since(moment) >= PATIENCE && self.lane.mirror.owes_but_problems(moment)
    }

    fn owes(&self, moment: Instant) -> bool {
        self.lane.mirror.pending().moves_at(&RelPath::root(), moment)
    }

    fn done(&self) -> Done {
        match &self.outcome {
            Some(outcome) => outcome.done(),
            None => report::done(self.lane.mirror.progress.far()),
        }
    }
}
