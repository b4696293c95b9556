//! Calls at the file systems of sources that do not return: one of more than half a minute is named with its path, in the log
//! and as a problem of each target, until it returns.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use engine::hint::Hint;
use kit::Stop;
use sys::calls::{Call, under_way};

use crate::answers::ASKS;
use crate::source::Live;

/// A call that takes longer hangs.
const LONG: Duration = Duration::from_secs(30);
/// How often it is looked: a daemon at rest is woken for it.
const LOOK: Duration = Duration::from_secs(10);
/// Longer than a call takes that does not hang.
const MOMENT: Duration = Duration::from_millis(20);

/// Looks after all calls until `stop`; to be called on a thread of its own.
pub fn watch(sources: &[Arc<Live>], stop: &Stop) {
    let mut known = Known::default();
    while !stop.is_requested() {
        // Who asks mounts whether they answer says so itself.
        let calls = under_way().into_iter().filter(|call| call.thread != ASKS).collect();
        for change in known.look(calls, Instant::now()) {
            tell(sources, change);
        }
        for live in sources {
            live.look_whether_mounts_answer();
        }
        stop.wait(LOOK);
    }
}

/// What to say of a call.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Hangs(Call),
    Returned(Call),
}

/// Calls that are under way, each with since when it was seen and whether it was said to hang.
#[derive(Debug, Default)]
struct Known(HashMap<(i32, u64), (Call, Instant, bool)>);

impl Known {
    /// These are under way now.
    fn look(&mut self, calls: Vec<Call>, now: Instant) -> Vec<Change> {
        let mut before = std::mem::take(&mut self.0);
        let mut changes = Vec::new();
        for call in calls {
            let (first, since, mut said) = before.remove(&call.id).unwrap_or((call.clone(), now, false));
            if !said && now.saturating_duration_since(since) >= LONG {
                changes.push(Change::Hangs(call));
                said = true;
            }
            self.0.insert(first.id, (first, since, said));
        }
        changes.extend(before.into_values().filter(|(_, _, said)| *said).map(|(call, ..)| Change::Returned(call)));
        changes
    }
}

fn tell(sources: &[Arc<Live>], change: Change) {
    let (call, hangs) = match change {
        Change::Hangs(call) => (call, true),
        Change::Returned(call) => (call, false),
    };
    if hangs {
        let seconds = LONG.as_secs();
        tracing::error!(
            "{} has not returned for {seconds} s ({}): does its file system answer?",
            call.what,
            call.thread
        );
    } else {
        tracing::info!("{} has returned ({})", call.what, call.thread);
    }
    for (live, place) in sources.iter().filter_map(|live| Some((live, live.place(&call.path)?))) {
        for lane in &live.lanes {
            if hangs {
                let reason = "does not answer, what waits for it is not mirrored: does its file system answer?";
                lane.mirror.entries.problem(&place, reason.into());
            } else {
                lane.mirror.hint([Hint::Subtree { path: place.clone() }]);
            }
        }
    }
}

/// What hangs at the very end, for the log: the process ends without it, unless the kernel does not let go of it.
pub fn say_last() {
    let first = under_way();
    if first.is_empty() {
        return;
    }
    // One that returns at once does not hang.
    thread::sleep(MOMENT);
    for call in under_way().into_iter().filter(|call| first.contains(call)) {
        tracing::error!(
            "{} does not return ({}): leaving it, and the process ends when the kernel lets go of it",
            call.what,
            call.thread
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_named_once_when_it_takes_long_and_once_when_it_returns() {
        let call =
            |number| Call { id: (7, number), thread: "send-t".into(), what: "listing /x".into(), path: "/x".into() };
        let (mut known, now) = (Known::default(), Instant::now());
        assert_eq!(known.look(vec![call(1)], now), []);
        assert_eq!(known.look(vec![call(2)], now + LONG), [], "another one");
        assert_eq!(known.look(vec![call(2)], now + LONG * 2), [Change::Hangs(call(2))]);
        assert_eq!(known.look(vec![call(2)], now + LONG * 3), []);
        assert_eq!(known.look(vec![call(3)], now + LONG * 3), [Change::Returned(call(2))]);
        assert_eq!(known.look(vec![], now + LONG * 3), []);
    }
}
