//! What is said of single entries: trouble, which is a problem until it is over, and what a rule leaves out, which is
//! none.
//!
//! Both are noted under the places where things stand at the source after all renames that were hinted. So whoever notes
//! what an answer was about asks [`Pending`](crate::pending::Pending) where that stands by now, and writes the note while still
//! holding its lock.

use std::sync::{Mutex, MutexGuard};

use proto::{Name, RelPath};

use super::lines::Lines;
use super::lock;
use super::notes::{Notes, Round, Side};
use crate::clock::Clock;
use crate::pending::Turn;
use crate::view::{Rule, Selection};

/// Trouble and what is left out, by entry.
pub struct Entries {
    selection: Selection,
    clock: Clock,
    problems: Mutex<Notes>,
    left_out: Mutex<Notes>,
    lines: Mutex<Lines>,
}

impl Entries {
    /// Nothing is said yet.
    pub(super) fn new(selection: Selection, clock: Clock) -> Entries {
        let notes = || Mutex::new(Notes::new(clock.clone()));
        Entries { selection, problems: notes(), left_out: notes(), lines: Mutex::default(), clock }
    }

    /// What is wrong with single entries. While it is held, ask for nothing else that is said.
    pub fn problems(&self) -> MutexGuard<'_, Notes> {
        lock(&self.problems)
    }

    /// What rules leave out. While it is held, ask for nothing else that is said.
    pub fn left_out(&self) -> MutexGuard<'_, Notes> {
        lock(&self.left_out)
    }

    /// Whether something is wrong with each of these.
    pub(super) fn are_problems(&self, paths: &[RelPath]) -> bool {
        let problems = self.problems();
        paths.iter().all(|path| problems.has(path, Side::Here) || problems.has(path, Side::There))
    }

    /// Notes trouble with one entry at the source; the time of the first notice stays.
    pub fn problem(&self, path: &RelPath, reason: String) {
        self.note(path, Side::Here, reason);
    }

    /// The same of what the target could not store.
    pub fn problem_there(&self, path: &RelPath, reason: String) {
        self.note(path, Side::There, reason);
    }

    fn note(&self, path: &RelPath, side: Side, reason: String) {
        let mut problems = self.problems();
        if problems.has(path, side) {
            problems.add(path, side, reason);
            return;
        }
        self.say(path, &reason);
        problems.add(path, side, reason);
    }

    /// Writes a line about one entry, unless there were many of late.
    pub(crate) fn say(&self, path: &RelPath, what: &str) {
        match lock(&self.lines).permit(self.clock.now()) {
            Some(0) => tracing::warn!(%path, "{what}"),
            Some(held_back) => tracing::warn!(%path, "{what} ({held_back} such lines were held back)"),
            None => {}
        }
    }

    /// Tells how many lines about problems were held back since the last one.
    pub(crate) fn tell_held_back(&self) {
        let held_back = lock(&self.lines).take_held_back();
        if held_back > 0 {
            let all = self.problems().len();
            tracing::warn!("{held_back} more lines about single entries were held back; {all} are not mirrored in all");
        }
    }

    /// It can be read here now, whatever the target said of it.
    pub(crate) fn resolved_here(&self, path: &RelPath) {
        self.problems().clear(path, Side::Here);
    }

    /// The target has it whole.
    pub(crate) fn resolved_there(&self, path: &RelPath) {
        self.problems().clear(path, Side::There);
    }

    /// Whether the target had trouble with anything.
    pub(crate) fn is_troubled_there(&self) -> bool {
        self.problems().has_any(Side::There)
    }

    /// Whether the target had trouble with this entry.
    pub(crate) fn has_trouble_there(&self, path: &RelPath) -> bool {
        self.problems().has(path, Side::There)
    }

    /// Whether it could not be read here.
    pub(crate) fn is_troubled_here(&self, path: &RelPath) -> bool {
        self.problems().has(path, Side::Here)
    }

    /// Whether there may be trouble here with anything beneath this folder.
    pub(crate) fn is_troubled_beneath(&self, folder: &RelPath) -> bool {
        let problems = self.problems();
        problems.has_any(Side::Here) && problems.is_any_beneath(folder)
    }

    /// A rule leaves this entry out, or a part of it. That is as it should be: counted and listed, and no problem.
    pub fn leave_out(&self, path: &RelPath, rule: Rule) {
        if self.left_out().add(path, side(rule), rule.to_string()) {
            tracing::debug!(%path, "left out: {rule}");
        }
        if rule.is_of_all() {
            self.problems().gone(path);
        }
    }

    /// No rule leaves this entry out, or none does any more.
    pub fn take_in(&self, path: &RelPath) {
        self.left_out().clear(path, Side::Here);
    }

    /// Nor does the target leave out a part of it.
    pub(crate) fn take_in_there(&self, path: &RelPath) {
        self.left_out().clear(path, Side::There);
    }

    /// The entry is gone from the source, and what was beneath it.
    pub(crate) fn gone(&self, path: &RelPath) {
        self.problems().gone(path);
        self.left_out().gone(path);
    }

    /// What stands there is no folder: nothing is to be said of what was beneath it.
    pub(crate) fn nothing_beneath(&self, path: &RelPath) {
        self.problems().nothing_beneath(path);
        self.left_out().nothing_beneath(path);
    }

    /// What was hinted to have moved takes along what is said of it. To be called before the lock of what is owed is let go of.
    pub(super) fn renamed(&self, (from, to): (&RelPath, &RelPath), turn: Option<Turn>) {
        for mut notes in [self.problems(), self.left_out()] {
            match turn {
                _ if self.selection.leaves_out(to).is_some() => notes.gone(from),
                _ if self.selection.leaves_out(from).is_some() => notes.gone(to),
                Some(Turn::Renamed) => notes.renamed(from, to),
                Some(Turn::Exchanged) => notes.renamed_back(from, to),
                None => {}
            }
        }
    }

    /// What is noted from now on is newer than what a comparison finds outdated that begins now.
    pub(crate) fn begin_round(&self) -> Round {
        self.left_out().begin_round();
        self.problems().begin_round()
    }

    /// Since this round began the folder was found to hold just these names: nothing older is to be said of others.
    pub(crate) fn listed<'a>(&self, folder: &RelPath, names: impl Iterator<Item = &'a Name>, round: Round) {
        let concerned = [self.problems().is_any_beneath(folder), self.left_out().is_any_beneath(folder)];
        if concerned == [false; 2] {
            return;
        }
        let mut names: Vec<&Name> = names.collect();
        names.sort_unstable();
        self.problems().listed(folder, &names, round);
        self.left_out().listed(folder, &names, round);
    }

    /// A comparison of all that is at and beneath `top`, begun with this round, has met all that there still is to be said.
    pub(crate) fn forget_before(&self, top: &RelPath, round: Round) {
        self.problems().forget_before(top, round);
        self.left_out().forget_before(top, round);
    }
}

/// Who says so: what the target leaves out of an entry stands beside what leaves it out here.
fn side(rule: Rule) -> Side {
    match rule {
        Rule::Reserved | Rule::Kind(_) | Rule::Unheld(_) | Rule::Mounted => Side::Here,
        Rule::Setid => Side::There,
    }
}
