//! The whole daemon in one line, as the service manager shows it (`Status:` of systemctl).

use std::sync::Arc;

use kit::readiness::Again;
use kit::units;

use crate::lane::Lane;
use crate::source::Live;
use crate::status::{SourceState, TargetState};

/// What the line knows of a target.
#[derive(Debug, Clone, Copy)]
struct Seen {
    state: TargetState,
    owed: u64,
    /// Entries whose deletion waits.
    held: u64,
    problems: u64,
}

impl Seen {
    fn of(lane: &Lane) -> Seen {
        let (owed, problems) = (lane.mirror.pending().len() as u64, lane.mirror.entries.problems().len());
        let state = match lane.state().0 {
            // Else the line would change with each try of a target that is away.
            TargetState::Connecting if lane.mirror.target.last_error().is_some() => TargetState::Offline,
            state => state,
        };
        let held = lane.mirror.deletions_held().map_or(0, |held| held.entries);
        Seen { state, owed, held, problems }
    }

    fn is_in_sync(self) -> bool {
        self.state == TargetState::Live && self.owed == 0 && self.held == 0
    }
}

/// The line, and when it may be another one.
pub fn headline(sources: &[Arc<Live>]) -> (String, Again) {
    let seen: Vec<Seen> = sources.iter().flat_map(|live| &live.lanes).map(|lane| Seen::of(lane)).collect();
    let of = |live: &'_ Arc<Live>| {
        let board = live.board();
        (board.state, board.unwatched)
    };
    let sources: Vec<_> = sources.iter().map(|live| (live.source.name.as_str(), of(live))).collect();
    (sentence(&sources, &seen), again(&seen))
}

/// While work is under way the figures change, and nothing tells of it.
fn again(targets: &[Seen]) -> Again {
    let moves = |seen: &Seen| {
        seen.owed > 0 && matches!(seen.state, TargetState::Live | TargetState::Scanning | TargetState::Blocked)
    };
    if targets.iter().any(moves) { Again::Soon } else { Again::OnChange }
}

/// `sources`: of each its name, its state, and the number of folders that are not watched.
fn sentence(sources: &[(&str, (SourceState, u64))], targets: &[Seen]) -> String {
    let (all, in_sync) = (targets.len(), targets.iter().filter(|seen| seen.is_in_sync()).count());
    let mut out = match (all, in_sync) {
        (all, in_sync) if all == in_sync => format!("{} in sync", units::counted(all as u64, "target", "targets")),
        (1, _) => "1 target not in sync".to_owned(),
        (all, in_sync) => format!("{in_sync} of {all} targets in sync"),
    };
    for word in ["connecting", "scanning", "catching up", "blocked", "offline", "halted"] {
        let is_so = |seen: &&Seen| !seen.is_in_sync() && (seen.owed > 0 || seen.held == 0) && seen.state.word() == word;
        let count = targets.iter().filter(is_so).count();
        if count > 0 {
            out.push_str(&format!(", {count} {word}"));
        }
    }
    let sum = |of: fn(&Seen) -> u64| targets.iter().map(of).sum::<u64>();
    let (owed, held) = (sum(|seen| seen.owed), sum(|seen| seen.held));
    for (count, word) in [(owed, "owed"), (held, "deletions held"), (sum(|seen| seen.problems), "not mirrored")] {
        if count > 0 {
            out.push_str(&format!("; {} {word}", units::count(count)));
        }
    }
    for (name, state) in sources {
        match state {
            (SourceState::Starting, _) => out.push_str(&format!("; source {name} starting")),
            (SourceState::Live, 0) => {}
            (SourceState::Live, _) => out.push_str(&format!("; source {name} not watched in full")),
            (SourceState::Absent, _) => out.push_str(&format!("; source {name} absent")),
            (SourceState::Halted, _) => out.push_str(&format!("; source {name} halted")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seen(state: TargetState, owed: u64, problems: u64) -> Seen {
        Seen { state, owed, held: 0, problems }
    }

    #[test]
    fn one_line_tells_how_it_goes() {
        let (good, live) = (seen(TargetState::Live, 0, 0), [("www", (SourceState::Live, 0))]);
        assert_eq!(sentence(&live, &[good]), "1 target in sync");
        assert_eq!(sentence(&live, &[good, good]), "2 targets in sync");
        let (away, busy) = (seen(TargetState::Offline, 12, 0), seen(TargetState::Live, 1200, 3));
        assert_eq!(
            sentence(&live, &[good, busy, away, away]),
            "1 of 4 targets in sync, 1 catching up, 2 offline; 1 224 owed; 3 not mirrored"
        );
        let part = [("www", (SourceState::Live, 153))];
        assert_eq!(sentence(&part, &[good]), "1 target in sync; source www not watched in full");
        let absent = [("www", (SourceState::Absent, 0)), ("db", (SourceState::Live, 0))];
        let text = sentence(&absent, &[seen(TargetState::Offline, 0, 0)]);
        assert_eq!(text, "1 target not in sync, 1 offline; source www absent");
    }

    #[test]
    fn only_work_under_way_is_looked_at_again_by_itself() {
        let at_rest =
            [seen(TargetState::Live, 0, 7), seen(TargetState::Offline, 9, 0), seen(TargetState::Halted, 1, 0)];
        assert_eq!(again(&at_rest), Again::OnChange);
        assert_eq!(again(&[at_rest[0], seen(TargetState::Scanning, 1, 0)]), Again::Soon);
    }
}
