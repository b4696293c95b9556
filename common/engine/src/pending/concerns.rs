//! What is owed of one part of the source, for who waits for that alone.

use std::time::Instant;

use proto::RelPath;

use super::{Depth, Move, Pending, Since, Task, Work, range_beneath};
use crate::hint::Cause;

impl Pending {
    /// Whether something that was noticed at `moment` or before is still owed of what stands at or beneath `place`: there,
    /// at a rename that touches it, or at a folder above, which may have to be made first, or be compared.
    pub fn owes(&self, place: &RelPath, moment: Instant) -> bool {
        if place.is_root() {
            return self.oldest().is_some_and(|at| at <= moment);
        }
        self.waits_for(place, moment) || self.moves(place, moment) || self.works_at(place, moment)
    }

    /// What was noticed at `moment` or before and is still owed, if it is some single entries, `most` of them at most.
    pub(crate) fn stragglers(&self, moment: Instant, most: usize) -> Option<Vec<RelPath>> {
        let (mut found, old) = (Vec::new(), |since: Since| since.at() <= moment);
        for (path, waiting) in self.waiting.iter().filter(|(_, waiting)| old(waiting.since)) {
            if waiting.depth != Depth::Entry || found.len() == most {
                return None;
            }
            found.push(path.clone());
        }
        for work in self.taken.values().filter(|work| old(work.since)) {
            if !matches!(work.task, Task::Entry { .. }) || found.len() + work.stands.len() > most {
                return None;
            }
            found.extend(work.stands.iter().cloned());
        }
        let moved = self.moves.iter().any(|step| match step {
            Move::Rename { since, .. } | Move::Exchange { since, .. } => old(*since),
        });
        (!moved).then_some(found)
    }

    fn waits_for(&self, place: &RelPath, moment: Instant) -> bool {
        let mut above = std::iter::successors(place.parent(), RelPath::parent).filter_map(|at| self.waiting.get(&at));
        // That a name came or went in a folder above is of its own mtime alone.
        let concerns = |depth, cause: Cause| depth != Depth::Entry || !cause.only(Cause::ENTRIES);
        self.waiting.get(place).is_some_and(|waiting| waiting.since.at() <= moment)
            || above.any(|waiting| waiting.since.at() <= moment && concerns(waiting.depth, waiting.cause))
            || range_beneath(place, |bounds| {
                self.waiting.range(bounds).any(|(_, waiting)| waiting.since.at() <= moment)
            })
    }

    fn moves(&self, place: &RelPath, moment: Instant) -> bool {
        self.moves.iter().any(|step| {
            let (one, other, since) = match step {
                Move::Rename { from, to, since, .. } => (from, to, since),
                Move::Exchange { a, b, since } => (a, b, since),
            };
            since.at() <= moment && [one, other].into_iter().any(|at| at.is_within(place) || place.is_within(at))
        })
    }

    fn works_at(&self, place: &RelPath, moment: Instant) -> bool {
        self.taken.values().any(|work| work.since.at() <= moment && concerns(work, place))
    }
}

/// Whether this work is about `place`, by where it was handed out for or where it stands by now.
fn concerns(work: &Work, place: &RelPath) -> bool {
    let folder_itself = matches!(&work.task, Task::Entry { cause, .. } if cause.only(Cause::ENTRIES));
    let mut places = super::places(&work.task).chain(&work.stands);
    places.any(|at| at.is_within(place) || (place.is_within(at) && !folder_itself))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::RULES;
    use super::*;
    use crate::hint::Hint;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    fn entry(at: &str, cause: Cause) -> Hint {
        Hint::Entry { path: path(at), cause }
    }

    /// Of these places those of which something is owed after this hint: while it waits and while it is worked on, which
    /// must be the same.
    fn concerned(hint: Hint) -> Vec<&'static str> {
        let places = ["", "a", "a/b", "a/b/c", "a/bc", "x", "x/y"];
        let (mut pending, now) = (Pending::new(RULES), Instant::now());
        let which = |pending: &Pending, moment| -> Vec<&'static str> {
            places.into_iter().filter(|place| pending.owes(&path(place), moment)).collect()
        };
        pending.hint(hint, now);
        let earlier = which(&pending, now.checked_sub(Duration::from_secs(1)).unwrap());
        assert_eq!(earlier, [""; 0], "what came in later does not count");
        let waiting = which(&pending, now);
        while pending.take(now + Duration::from_secs(60)).is_some() {}
        assert_eq!(which(&pending, now), waiting, "under way");
        waiting
    }

    #[test]
    fn a_part_of_the_source_waits_for_what_concerns_it() {
        assert_eq!(concerned(entry("a/b", Cause::WRITTEN)), ["", "a", "a/b", "a/b/c"]);
        assert_eq!(concerned(entry("a/b/c", Cause::GONE)), ["", "a", "a/b", "a/b/c"]);
        assert_eq!(concerned(entry("x", Cause::CREATED)), ["", "x", "x/y"], "a folder that is made first");
        assert_eq!(concerned(entry("a", Cause::ENTRIES)), ["", "a"], "the mtime of a folder is its own");
        assert_eq!(concerned(Hint::Subtree { path: path("a/b") }), ["", "a", "a/b", "a/b/c"]);
        assert_eq!(concerned(Hint::Folder { path: path("a") }), ["", "a", "a/b", "a/b/c", "a/bc"]);
        assert_eq!(concerned(Hint::Subtree { path: RelPath::root() }).len(), 7);
    }

    #[test]
    fn single_entries_that_are_left_are_listed() {
        let (mut pending, now) = (Pending::new(RULES), Instant::now());
        let later = now + Duration::from_secs(1);
        assert_eq!(pending.stragglers(now, 2), Some(vec![]));
        pending.hint(entry("a", Cause::ATTRIBUTES), now);
        assert!(pending.take(now).is_some());
        pending.hint(entry("b", Cause::WRITING), now);
        pending.hint(Hint::Subtree { path: path("c") }, later);
        let mut both = pending.stragglers(now, 2).unwrap();
        both.sort_unstable();
        assert_eq!(both, [path("a"), path("b")]);
        assert_eq!(pending.stragglers(now, 1), None, "too many");
        assert_eq!(pending.stragglers(later, 9), None, "a comparison is no single entry");
    }

    #[test]
    fn a_rename_concerns_both_places() {
        let (from, to) = (path("a/b"), path("x/y"));
        let renamed = Hint::Renamed { from, to, folder: true, since: Instant::now() };
        assert_eq!(concerned(renamed), ["", "a", "a/b", "a/b/c", "x", "x/y"]);
    }
}
