//! Waiting for what changed before a moment: first every watcher has read what there was, then every target has acknowledged
//! what came of it. Asked by `wait`, over the control socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use proto::RelPath;

use crate::blocked::Known;
use crate::control::{Barrier, Unmirrored, Waited};
use crate::lane::Lane;
use crate::source::Live;

/// So many entries that could not be mirrored, or targets that are behind, are named; the others are only counted.
const NAMED: usize = 20;

/// One wait. It begins when it is made.
pub struct AllSeen {
    asked: Vec<Asked>,
    seen_at: Option<Instant>,
    /// What was known of each target when the wait began, in the order of the lanes.
    known: Vec<Known>,
}

/// A part of a source, and the moment that its watcher was asked for.
struct Asked {
    live: Arc<Live>,
    number: u64,
    place: RelPath,
}

impl AllSeen {
    /// For all of these sources.
    pub fn everywhere(sources: &[Arc<Live>]) -> AllSeen {
        AllSeen::new(sources.iter().map(|live| (live.clone(), RelPath::root())))
    }

    /// For what is at and beneath the first of these paths that is in a source; the error is a sentence.
    pub fn at(sources: &[Arc<Live>], paths: &[PathBuf]) -> Result<AllSeen, String> {
        let place = |path: &PathBuf| sources.iter().find_map(|live| Some((live.clone(), live.place(path)?)));
        let found = paths.iter().find_map(place).ok_or_else(|| {
            let path = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
            format!("{path} is in no source of this pushd")
        })?;
        Ok(AllSeen::new([found]))
    }

    fn new(places: impl IntoIterator<Item = (Arc<Live>, RelPath)>) -> AllSeen {
        let asked = places.into_iter().map(|(live, place)| Asked { number: live.ask_barrier(), live, place });
        let asked: Vec<Asked> = asked.collect();
        let lanes = || asked.iter().flat_map(|asked| &asked.live.lanes);
        lanes().for_each(|lane| lane.ask_again());
        let known = lanes().map(|lane| Known::of(&lane.mirror)).collect();
        AllSeen { asked, seen_at: None, known }
    }

    fn unmirrored(&self) -> Unmirrored {
        let mut found = Unmirrored::default();
        for Asked { live, place, .. } in &self.asked {
            live.lanes.iter().for_each(|lane| found.add(&live.source.name, lane, place));
        }
        found
    }
}

impl Barrier for AllSeen {
    fn look(&mut self) -> Option<Waited> {
        if let Some(sentence) = self.asked.iter().find_map(|asked| asked.live.held(&asked.place)) {
            return Some(Waited::Held(sentence));
        }
        if self.seen_at.is_none() && self.asked.iter().all(|Asked { live, number, .. }| live.has_passed(*number)) {
            self.seen_at = Some(Instant::now());
        }
        let seen_at = self.seen_at?;
        let reached = |asked: &Asked| {
            let owes = |lane: &Arc<Lane>| lane.mirror.pending().owes(&asked.place, seen_at);
            !asked.live.lanes.iter().any(|lane| lane.mirror.halted().is_some() || owes(lane))
        };
        if self.asked.iter().all(reached) {
            return Some(Waited::Arrived(self.unmirrored()));
        }
        self.blocked(seen_at).map(Waited::Held)
    }

    fn behind(&self) -> Vec<String> {
        let mut behind: Vec<String> = self.asked.iter().flat_map(|asked| asked.behind(self.seen_at)).collect();
        let beyond = behind.len().saturating_sub(NAMED);
        if beyond > 0 {
            behind.truncate(NAMED);
            behind.push(format!("and {beyond} more"));
        }
        behind
    }
}

impl Asked {
    /// A line for each target of this source that is behind; one for the source as long as its watcher has not read all that
    /// there was.
    fn behind(&self, seen_at: Option<Instant>) -> Vec<String> {
        let name = &self.live.source.name;
        if let Some((_, reason)) = self.live.standstill() {
            return vec![format!("{name}: {reason}")];
        }
        if !self.live.has_passed(self.number) {
            return vec![format!("{name}: what happened is still being looked at")];
        }
        let until = seen_at.unwrap_or_else(Instant::now);
        let behind = self.live.lanes.iter().filter(|lane| lane.mirror.pending().owes(&self.place, until));
        behind.map(|lane| format!("{name} to {}", lane.behind())).collect()
    }
}

impl AllSeen {
    fn blocked(&self, seen_at: Instant) -> Option<String> {
        let lanes = self.asked.iter().flat_map(|asked| asked.live.lanes.iter().map(move |lane| (asked, lane)));
        lanes.zip(&self.known).find_map(|((asked, lane), known)| {
            let sentence = known.sentence(&lane.mirror, &asked.place, seen_at)?;
            Some(format!("{}: {sentence}", lane.target.name))
        })
    }
}

impl Unmirrored {
    /// Adds what could not be mirrored to the target at or beneath a place, or in a folder above it.
    fn add(&mut self, source: &str, lane: &Lane, place: &RelPath) {
        let problems = lane.mirror.entries.problems();
        for (path, problem) in problems.iter().filter(|(path, _)| path.is_within(place) || place.is_within(path)) {
            if self.named.len() < NAMED {
                self.named.push(format!("{source} to {}: {path}: {}", lane.target.name, problem.reason));
            }
        }
        self.total += problems.len_at(place);
    }
}
