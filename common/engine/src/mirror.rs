//! The state of one target that outlives its connections: what it is owed, how far it is, what is wrong with it. Shared
//! by the watcher, the sender and the status; every lock is held for a moment and never across a wait.

mod absent;
mod account;
mod condition;
mod entries;
mod halt;
mod held;
mod lines;
mod notes;
mod progress;
mod sent;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use proto::RelPath;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::hint::{Cause, Hint};
pub use crate::pending::{Away, Held, Why};
use crate::pending::{LetGo, Pending, Rules, Turn};
use crate::view::Selection;
pub use absent::Absent;
pub(crate) use account::{Account, Amount, Occasion, Past, Standing, Stock};
pub use condition::{ASKS, Condition};
pub use entries::Entries;
pub use halt::Halt;
use halt::Halts;
pub(crate) use notes::Round;
pub use notes::{Note, Notes};
pub use progress::{Far, Progress};
pub use sent::{Owed, Sent, Totals};

/// Entries that are tried again and again: up to this number it is looked whether they are named as problems.
const STRAGGLERS: usize = 1000;

/// All of one target that outlives its connections.
pub struct Mirror {
    selection: Selection,
    /// Locked before what is said of `entries`, where both are.
    pending: Mutex<Pending>,
    halts: Halts,
    /// Wakes the sender: hints came in, a folder was listed, or it is to stop.
    pub wake: Notify,
    clock: Clock,
    /// What is said of single entries.
    pub entries: Entries,
    /// What is known of the target as a whole.
    pub target: Condition,
    /// What was sent again without a change at the source.
    pub(crate) account: Account,
    /// What was sent since the start.
    pub sent: Sent,
    /// How far the sending of content is.
    pub progress: Progress,
    /// Mount points of the source on which nothing is mounted now.
    pub(crate) absent: Absent,
    /// Why deletions wait, as the log says it.
    said: Mutex<Option<Why>>,
}

impl Mirror {
    /// Of a target that is owed nothing yet, and gets all but what no target gets.
    pub fn new(rules: Rules, clock: Clock) -> Mirror {
        Mirror::selecting(Selection::default(), rules, clock)
    }

    /// The same of one that gets what is selected.
    pub fn selecting(selection: Selection, rules: Rules, clock: Clock) -> Mirror {
        Mirror {
            selection,
            pending: Mutex::new(Pending::new(rules).by(clock.clone()).of(selection)),
            halts: Halts::default(),
            wake: Notify::new(),
            entries: Entries::new(selection, clock.clone()),
            target: Condition::default(),
            account: Account::new(clock.clone()),
            sent: Sent::default(),
            progress: Progress::new(clock.clone()),
            absent: Absent::default(),
            said: Mutex::default(),
            clock,
        }
    }

    /// Which entries of the source exist for this target, as far as their paths say.
    pub(crate) fn selection(&self) -> Selection {
        self.selection
    }

    /// Takes hints in, in order, and wakes the sender.
    pub fn hint(&self, hints: impl IntoIterator<Item = Hint>) {
        let now = self.now();
        let mut pending = self.pending();
        for hint in hints {
            tracing::trace!(?hint);
            let places = match &hint {
                Hint::Renamed { from, to, .. } => Some((from.clone(), to.clone())),
                // Nothing is owed of it, so nobody looks.
                Hint::Entry { path, cause } if cause.has(Cause::GONE) && self.selection.leaves_out(path).is_some() => {
                    self.entries.gone(path);
                    None
                }
                _ => None,
            };
            let turn = pending.hint(hint, now);
            if let Some((from, to)) = places {
                self.absent.renamed(&from, &to, turn.unwrap_or(Turn::Renamed));
                self.entries.renamed((&from, &to), turn);
            }
        }
        drop(pending);
        self.wake.notify_one();
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Now, for who tells it of something.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// What is owed, locked: nobody waits while holding it.
    pub fn pending(&self) -> MutexGuard<'_, Pending> {
        lock(&self.pending)
    }

    /// What it is owed, as far as that is known.
    pub fn owed(&self) -> Owed {
        let (waiting, under_way) = self.pending().sizes();
        if under_way == 0 {
            return Owed { paths: waiting, bytes: 0 };
        }
        let (entries, bytes) = self.sent.known();
        Owed { paths: waiting + under_way.max(entries), bytes }
    }

    /// Age of the oldest change not acknowledged; zero when in sync.
    pub fn lag(&self) -> Duration {
        self.pending().oldest().map_or(Duration::ZERO, |since| self.clock.since(since))
    }

    /// Whether all that was noticed at `moment` or before and is still owed are some entries with which something is wrong: it
    /// is tried again and again, as with a file that never holds still.
    pub fn owes_but_problems(&self, moment: Instant) -> bool {
        let pending = self.pending();
        pending.stragglers(moment, STRAGGLERS).is_some_and(|left| self.entries.are_problems(&left))
    }

    /// Why it is halted, if it is.
    pub fn halted(&self) -> Option<Halt> {
        self.halts.halted()
    }

    /// Halts it: nothing more is sent or deleted until a release.
    pub fn halt(&self, halt: Halt) {
        self.halts.halt(halt);
    }

    /// Ends a halt: the root is looked at once more, whatever it was halted for.
    pub fn go_on(&self) {
        self.halts.go_on();
        self.wake.notify_one();
    }

    /// Whether a person has to let something at or beneath `place`, or above it, go on.
    pub fn waits_for_word(&self, place: &RelPath) -> bool {
        self.absent.concerns(place) || self.pending().waits_for_word(place, self.now())
    }

    /// On these mount points of the source nothing is mounted now, and something was before: what the target has there is held,
    /// and counted once. What is not among them any more is compared.
    pub fn set_absent(&self, places: Vec<RelPath>) {
        let (back, fresh) = self.absent.set(places, self.now());
        let hints: Vec<_> = remounted(back, fresh).collect();
        if !hints.is_empty() {
            self.hint(hints);
        }
    }

    /// Before anything is concluded from what shows at the source, it is asked here which mounts are away; it tells if anything
    /// was mounted or unmounted since the last time that may concern the place.
    pub fn ask_for_mounts(&self, ask: impl Fn(&RelPath, &mut dyn FnMut(Vec<RelPath>)) + Send + Sync + 'static) {
        self.absent.ask_of(Box::new(ask));
    }

    /// Learns of mounts that went a moment ago, at or above this place or beneath it.
    pub(crate) fn look_at_mounts(&self, place: &RelPath) {
        self.absent.ask(place, |places| self.set_absent(places));
    }

    /// Mount points on which nothing is mounted, where they stand after all renames that were hinted.
    pub fn absent(&self) -> Vec<RelPath> {
        self.absent.places()
    }

    /// A person says that what was mounted there has gone for good: what the target has of it goes, as far as nothing shows
    /// there, and of folders above that are gone, which were held for it. `absent`: what is absent without it. Whoever looks
    /// there meanwhile would find what nobody lets go.
    pub fn forget_absent(&self, gone: &[RelPath], absent: Vec<RelPath>) {
        let now = self.now();
        let mut pending = self.pending();
        gone.iter().for_each(|path| pending.clear(path.clone(), now));
        let (back, fresh) = self.absent.set(absent, now);
        remounted(back, fresh).for_each(|hint| _ = pending.hint(hint, now));
        drop(pending);
        self.wake.notify_one();
    }

    /// Another folder is the source from now on, and is compared as a whole: nothing is concluded from the one before.
    pub fn source_is_another(&self) {
        self.pending().source_is_another();
        self.hint([Hint::Subtree { path: RelPath::root() }]);
    }

    /// A person lets deletions that are held go on. Returns whether there were any.
    pub fn release(&self) -> bool {
        let mut pending = self.pending();
        let held = pending.holds();
        if pending.let_go(self.now()) == LetGo::Compared {
            self.halts.release();
        }
        drop(pending);
        self.wake.notify_one();
        held
    }

    /// The next pass over all there is may delete whatever it finds.
    pub fn release_pass(&self) {
        self.halts.release();
    }

    /// Whether the pass under way may delete without the brake.
    pub(crate) fn is_released(&self) -> bool {
        self.halts.is_released()
    }

    /// The pass that was released is over: the brake holds again.
    pub(crate) fn rearm(&self) {
        self.halts.rearm();
    }

    /// A person wants it to have all there is: what it was sent so far does not count against it.
    pub fn begin_anew(&self) {
        self.account.begin_anew();
        self.wake.notify_one();
    }

    /// Since when the target keeps asking for what it was sent, while all that it is owed waits on that account.
    pub fn keeps_asking(&self) -> Option<SystemTime> {
        self.account.asks().filter(|_| !self.pending().is_empty())
    }

    /// Has it tried soon whether a blocked target is blocked still; [`Blocked::tries`](crate::blocked::Blocked::tries) tells
    /// that it was.
    pub fn try_again(&self) {
        self.target.ask();
        self.wake.notify_one();
    }
}

/// What is to be looked at where these mounts are not away any more, and those are.
fn remounted(back: Vec<RelPath>, fresh: Vec<RelPath>) -> impl Iterator<Item = Hint> {
    let back = back.into_iter().map(|path| Hint::Subtree { path });
    back.chain(fresh.into_iter().map(|path| Hint::Entry { path, cause: Cause::ATTRIBUTES }))
}

/// A panic elsewhere does not make these values wrong: each is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pending::Holds;

    #[test]
    fn what_is_named_and_tried_again_is_all_that_is_owed() {
        let (settle, open_max_delay) = (Duration::ZERO, Duration::from_secs(10));
        let rules = Rules { settle, open_settle: open_max_delay, open_max_delay, holds: Holds::default() };
        let mirror = Mirror::new(rules, Clock::system());
        let [busy, other] = ["busy", "other"].map(|name| RelPath::parse(name.as_bytes()).unwrap());
        let owe = |path: &RelPath| mirror.hint([Hint::Entry { path: path.clone(), cause: Cause::WRITING }]);
        assert!(mirror.owes_but_problems(Instant::now()), "nothing is owed");
        owe(&busy);
        assert!(!mirror.owes_but_problems(Instant::now()));
        mirror.entries.problem(&busy, "changes while it is read".into());
        let moment = Instant::now();
        assert!(mirror.owes_but_problems(moment));
        std::thread::sleep(Duration::from_millis(1));
        owe(&other);
        assert!(mirror.owes_but_problems(moment), "what came later does not count");
        assert!(!mirror.owes_but_problems(Instant::now()));
    }
}
