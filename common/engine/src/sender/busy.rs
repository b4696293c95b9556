//! Files that change each time they are read: when each is tried again, by how long a try takes and what it has cost, and
//! whether the target gets an inexact copy meanwhile. Time comes in as an argument.
//!
//! INVARIANT: what is sent of such a file is at most [`FIRST`] times its size until a version of it stands at the target,
//! and then its size in each [`SPAN`], beyond what became an exact version and what a lost connection or a newer look has
//! cut off. One that has held still for as long as a try takes, 30 s at most, is tried all the same: that time doubles with
//! each such try that was in vain. All of that goes along with the file when it gets another name, as far as the file system
//! says when files were made.

mod cost;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use proto::RelPath;
use sys::{Birth, Stat};

pub(super) use cost::Cost;

use super::read::ATTEMPTS;

/// Files that are remembered. Of more, those whose pause ends first are forgotten, and tried as if they were new.
const FILES: usize = 1024;
/// LIMIT: bytes of their paths.
const BYTES: usize = 1024 * 1024;
/// How many times its size may be sent of a file of which the target has nothing.
const FIRST: u64 = 4;
/// In this time its size may be sent of one of which the target has a version.
const SPAN: Duration = Duration::from_secs(600);
/// A pause is so many times as long as the try before it, and doubles so often while tries are in vain.
const PAUSE: u32 = 10;
const DOUBLINGS: u32 = 3;
/// A pause is no longer than this, or than a try.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long a file has to hold still to be tried before its time: as long as a try takes, within these bounds.
const STILL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A try that ended because the file changed while it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Try {
    /// What the file was then, and which it is for good.
    pub after: Stat,
    pub born: Option<Birth>,
    /// What was sent of it, all its attempts together.
    pub bytes: u64,
    /// What the last attempt alone has sent, and how long that took.
    pub last: u64,
    pub took: Duration,
    /// Whether the target was seen to have a version of it.
    pub stands: bool,
}

/// How a file is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tries {
    /// How often it is read. One that has only grown may be read twice in any case.
    pub most: u32,
    /// Whether what was read last is sent as an inexact copy.
    pub copies: bool,
}

/// What the target has of a file, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    /// Nothing, or it is not known.
    Unknown,
    /// Nothing any more: it had a version.
    Lost,
    /// A version of which it is not known whether it is exact.
    Some,
    Exact,
    Inexact,
}

/// The files of a target that changed while they were read, by path. Some have left their names: they may turn up under others.
#[derive(Debug, Default)]
pub(super) struct Busy(HashMap<RelPath, Restless>);

#[derive(Debug)]
struct Restless {
    /// What it was when it was looked at last, and since when it is that.
    seen: (Stat, Instant),
    born: Option<Birth>,
    /// It has not this name any more.
    left: bool,
    there: There,
    /// Whether the target takes no inexact copy of it.
    refused: bool,
    /// Tries in vain since an exact version was sent, and how many of them were made because it had held still.
    tries: u32,
    surprises: u32,
    /// Whether the next is made because it has held still.
    by_rest: bool,
    /// What the last has sent, and how long it took.
    cost: u64,
    took: Duration,
    /// What tries have sent, of which the part that is older than [`SPAN`] does not count any more, at this time.
    spent: (u64, Instant),
    /// When the pause is over.
    next: Instant,
}

impl Busy {
    /// When the content of what stands under this name may be sent, if not now.
    pub fn due(&mut self, path: &RelPath, stat: &Stat, now: Instant) -> Option<Instant> {
        let file = self.0.get_mut(path)?;
        if file.left || !file.seen.0.same_inode(stat) || file.is_over(now) {
            self.0.remove(path);
            return None;
        }
        if !file.seen.0.same_content(stat) {
            file.seen = (*stat, now);
        }
        let rested = file.seen.1 + file.has_to_rest();
        let earliest = file.affordable(now).map(|at| at.max(file.next));
        file.by_rest = earliest.is_none_or(|at| at > now) && rested <= now;
        let due = earliest.map_or(rested, |at| at.min(rested));
        Some(due).filter(|due| *due > now)
    }

    /// How often it is read at once, should it change again.
    pub fn attempts(&self, path: &RelPath) -> u32 {
        // Others follow, after a pause.
        let known = self.at(path).is_some_and(|file| file.tries > 0 || file.there == There::Inexact);
        if known { 1 } else { ATTEMPTS }
    }

    /// Whether the target may take an inexact copy of it: it has none that is exact, as far as is known.
    pub fn may_copy(&self, path: &RelPath) -> bool {
        self.at(path).is_none_or(|file| file.there != There::Exact && !file.refused)
    }

    /// The same of a small file, which costs nothing before such a copy is sent: after some tries, as far as it may cost that.
    pub fn may_copy_small(&self, path: &RelPath, now: Instant) -> bool {
        let Some(file) = self.at(path) else { return false };
        let fits = file.spent(now).saturating_add(file.size()) <= file.limit();
        file.tries >= ATTEMPTS && fits && self.may_copy(path)
    }

    /// Whether what the target has of it is an inexact copy.
    pub fn is_copied(&self, path: &RelPath) -> bool {
        self.at(path).is_some_and(|file| file.there == There::Inexact)
    }

    /// Whether no file is known that changes while it is read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has changed while it was read under this name.
    pub fn knows(&self, path: &RelPath) -> bool {
        self.at(path).is_some()
    }

    /// It has changed while it was read, and nothing came of it.
    pub fn failed(&mut self, path: &RelPath, tried: Try, now: Instant) {
        self.meet(path, (tried.after, tried.born), now).fails(tried, now);
    }

    /// The target says that what it has of it is an inexact copy.
    pub fn is_inexact(&mut self, path: &RelPath, file: (Stat, Option<Birth>), now: Instant) {
        self.meet(path, file, now).there = There::Inexact;
    }

    /// What was read last was sent as an inexact copy, and so much that is not in the try yet.
    pub fn copied(&mut self, path: &RelPath, bytes: u64, now: Instant) {
        let Some(file) = self.at_mut(path) else { return };
        file.spent = (file.spent(now).saturating_add(bytes), now);
        file.stands(There::Inexact, now);
    }

    /// An exact version of it was sent.
    pub fn stored(&mut self, path: &RelPath, now: Instant) {
        let Some(file) = self.at_mut(path) else { return };
        file.stands(There::Exact, now);
        (file.tries, file.surprises, file.next) = (0, 0, now);
        if file.is_over(now) {
            self.0.remove(path);
        }
    }

    /// The target did not take an inexact copy, as it has an exact one.
    pub fn is_kept(&mut self, path: &RelPath) {
        if let Some(file) = self.at_mut(path) {
            file.there = There::Exact;
        }
    }

    /// It is not known whether the target has taken an inexact copy.
    pub fn is_unsure(&mut self, path: &RelPath) {
        if let Some(file) = self.at_mut(path).filter(|file| file.there == There::Inexact) {
            file.there = There::Some;
        }
    }

    /// The target takes no inexact copy.
    pub fn is_refused(&mut self, path: &RelPath, now: Instant) {
        if let Some(file) = self.at_mut(path) {
            // What it has cost is not paid once more.
            let spent = file.size().saturating_mul(FIRST);
            (file.there, file.refused, file.spent) = (There::Unknown, true, (spent, now));
        }
    }

    /// The target has nothing of it, or did not get what was sent.
    pub fn is_lost(&mut self, path: &RelPath, now: Instant) {
        if let Some(file) = self.at_mut(path) {
            file.is_lost(now);
        }
    }

    /// `from` is now `to`, with all that is beneath it.
    pub fn moved(&mut self, from: &RelPath, to: &RelPath) {
        drop(self.take(to));
        let moved = self.take(from);
        self.put(moved, (from, to));
    }

    /// `a` is now `b`, and `b` is `a`.
    pub fn exchanged(&mut self, a: &RelPath, b: &RelPath) {
        let (of_a, of_b) = (self.take(a), self.take(b));
        self.put(of_a, (a, b));
        self.put(of_b, (b, a));
    }

    /// Nothing stands at and beneath this name any more.
    pub fn gone(&mut self, path: &RelPath) {
        let beneath = self.0.iter_mut().filter(|(at, _)| at.is_within(path));
        beneath.for_each(|(_, file)| file.left = true);
    }

    /// The other name under which what stands here is remembered, and whether it was seen to leave that.
    pub fn elsewhere(
        &self,
        path: &RelPath,
        stat: &Stat,
        born: impl FnOnce() -> Option<Birth>,
    ) -> Option<(RelPath, bool)> {
        let same = |file: &Restless| file.seen.0.same_inode(stat);
        if self.0.is_empty() || self.at(path).is_some_and(same) {
            return None;
        }
        let (from, file) = self.0.iter().find(|(_, file)| same(file))?;
        (file.born.is_some() && file.born == born()).then(|| (from.clone(), file.left))
    }

    /// What was remembered as `from` stands under this name now: what it has cost goes along, and what the target has of it
    /// does not.
    pub fn turns_up(&mut self, from: &RelPath, path: &RelPath, now: Instant) {
        if let Some(mut file) = self.0.remove(from) {
            file.left = false;
            file.is_lost(now);
            self.0.insert(path.clone(), file);
        }
    }

    fn at(&self, path: &RelPath) -> Option<&Restless> {
        self.0.get(path).filter(|file| !file.left)
    }

    fn at_mut(&mut self, path: &RelPath) -> Option<&mut Restless> {
        self.0.get_mut(path).filter(|file| !file.left)
    }

    /// Takes out what is at and beneath this name.
    fn take(&mut self, path: &RelPath) -> Vec<(RelPath, Restless)> {
        self.0.extract_if(|at, file| at.is_within(path) && !file.left).collect()
    }

    fn put(&mut self, files: Vec<(RelPath, Restless)>, (from, to): (&RelPath, &RelPath)) {
        let moved = files.into_iter().filter_map(|(path, file)| Some((path.rebase(from, to)?, file)));
        self.0.extend(moved);
    }

    fn meet(&mut self, path: &RelPath, (stat, born): (Stat, Option<Birth>), now: Instant) -> &mut Restless {
        if self.at(path).is_none_or(|file| !file.seen.0.same_inode(&stat)) {
            self.0.remove(path);
        }
        while !self.0.contains_key(path)
            && (self.0.len() >= FILES || self.0.keys().map(|path| path.as_bytes().len()).sum::<usize>() > BYTES)
            && let Some(first) =
                self.0.iter().min_by_key(|(_, file)| (!file.left, file.next)).map(|(path, _)| path.clone())
        {
            self.0.remove(&first);
        }
        self.0.entry(path.clone()).or_insert_with(|| Restless::new((stat, born), now))
    }
}

impl Restless {
    fn new((stat, born): (Stat, Option<Birth>), now: Instant) -> Restless {
        Restless {
            seen: (stat, now),
            born,
            left: false,
            there: There::Unknown,
            refused: false,
            tries: 0,
            surprises: 0,
            by_rest: false,
            cost: 0,
            took: Duration::ZERO,
            spent: (0, now),
            next: now,
        }
    }

    fn size(&self) -> u64 {
        self.seen.0.size.max(1)
    }

    /// What may be spent on it.
    fn limit(&self) -> u64 {
        match self.there {
            There::Unknown | There::Lost => self.size().saturating_mul(FIRST),
            _ => self.size(),
        }
    }

    /// What of that is spent.
    fn spent(&self, now: Instant) -> u64 {
        // Of a file that was larger more is spent than it can ever pay for.
        let (spent, at) = (self.spent.0.min(self.size().saturating_mul(FIRST)), self.spent.1);
        if self.there == There::Unknown {
            return spent;
        }
        let share = now.saturating_duration_since(at).as_secs_f64() / SPAN.as_secs_f64();
        spent.saturating_sub((self.size() as f64 * share) as u64)
    }

    /// When one more try like the last may be paid for; `None` if it never may.
    fn affordable(&self, now: Instant) -> Option<Instant> {
        let (spent, limit) = (self.spent(now), self.limit());
        let over = spent.saturating_add(self.cost.min(limit)).saturating_sub(limit);
        match (over, self.there) {
            (0, _) => Some(now),
            (_, There::Unknown) => None,
            _ => Some(now + SPAN.mul_f64(over as f64 / self.size() as f64)),
        }
    }

    fn has_to_rest(&self) -> Duration {
        (self.took.clamp(STILL.0, STILL.1) * (1 << self.surprises.min(16))).min(SPAN)
    }

    /// Whether nothing is left to be remembered.
    fn is_over(&self, now: Instant) -> bool {
        self.there == There::Exact && self.tries == 0 && self.spent(now) == 0
    }

    fn is_lost(&mut self, now: Instant) {
        if self.there != There::Unknown {
            (self.there, self.next) = (There::Lost, now);
        }
    }

    fn fails(&mut self, Try { after, bytes, last, took, stands, .. }: Try, now: Instant) {
        self.spent = (self.spent(now).saturating_add(bytes), now);
        self.seen = (after, now);
        self.tries = self.tries.saturating_add(1);
        self.surprises += u32::from(self.by_rest);
        (self.cost, self.took, self.by_rest) = (last, took, false);
        if stands && matches!(self.there, There::Unknown | There::Lost) {
            self.there = There::Some;
        }
        let pause = took.saturating_mul(PAUSE * (1 << (self.tries - 1).min(DOUBLINGS)));
        self.next = now + pause.min(LONGEST.max(took));
    }

    /// This is sent. If it is the first version there, what it has cost until then is settled.
    fn stands(&mut self, there: There, now: Instant) {
        if self.there == There::Unknown {
            self.spent = (0, now);
        }
        self.there = there;
    }
}
