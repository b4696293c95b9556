//! Many names of one folder, looked at by several threads: a folder with a large part of all entries would else be one
//! thread's work while the others have none left.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use proto::Name;

use crate::workers::start_within;

/// Names that a thread takes at a time: looking at them takes a millisecond or more, to start a thread some 50 µs.
const PART: usize = 1024;

/// Threads at one folder, at most: several folders may be large at a time.
const THREADS: usize = 4;

/// Has `look` look at all names, in parts, by up to `threads` threads and no more than [`THREADS`], the caller's among
/// them. What it saw is joined in order of the parts, each as soon as its turn has come: all of them are as much again.
pub(crate) fn in_parts<T: Send>(
    names: Vec<Name>,
    threads: usize,
    look: impl Fn(Vec<Name>) -> T + Sync,
    join: impl Fn(&mut T, T) + Sync,
) -> T {
    let count = names.len();
    if threads < 2 || count < 2 * PART {
        return look(names);
    }
    let parts = Mutex::new(cut(names).into_iter().enumerate());
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let seen = Mutex::new(Joined::new());
    let work = || {
        while let Some((at, part)) = next() {
            let saw = look(part);
            seen.lock().unwrap_or_else(PoisonError::into_inner).add(at, saw, &join);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(THREADS).min(count / PART) {
            let helper = || {
                sys::cwd::own();
                work();
            };
            // One that cannot be started leaves its share to the others.
            let _ = start_within(scope, "look", helper);
        }
        work();
    });
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Of so many names there are some parts.
    seen.all.unwrap_or_else(|| look(Vec::new()))
}

/// What was seen of the first parts, and of those that came before their turn.
struct Joined<T> {
    all: Option<T>,
    parts: usize,
    early: BTreeMap<usize, T>,
}

impl<T> Joined<T> {
    fn new() -> Joined<T> {
        Joined { all: None, parts: 0, early: BTreeMap::new() }
    }

    fn add(&mut self, at: usize, saw: T, join: impl Fn(&mut T, T)) {
        self.early.insert(at, saw);
        while let Some(next) = self.early.remove(&self.parts) {
            self.parts += 1;
            match &mut self.all {
                None => self.all = Some(next),
                Some(all) => join(all, next),
            }
        }
    }
}

/// Parts of equal length, but for the last.
fn cut(mut names: Vec<Name>) -> Vec<Vec<Name>> {
    let mut parts = Vec::with_capacity(names.len().div_ceil(PART));
    while names.len() > PART {
        let begins = (names.len() - 1) / PART * PART;
        parts.push(names.split_off(begins));
    }
    parts.push(names);
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<Name> {
        (0..count).map(|number| Name::parse(format!("{number:06}").as_bytes()).unwrap()).collect()
    }

    #[test]
    fn every_name_is_looked_at_once_and_in_order() {
        for count in [0, 1, 2 * PART - 1, 2 * PART, 2 * PART + 1, 7 * PART, 7 * PART + 13] {
            let names = names(count);
            for threads in [0, 1, 2, 3, 64] {
                let seen = in_parts(names.clone(), threads, |part| part, |all, part| all.extend(part));
                assert_eq!(seen, names, "{count} names, {threads} threads");
            }
        }
    }

    #[test]
    fn several_threads_look_at_many_names() {
        // Neither gets on before the other has come.
        let barrier = std::sync::Barrier::new(2);
        let look = |part: Vec<Name>| {
            barrier.wait();
            vec![(part.len(), thread::current().id())]
        };
        let seen = in_parts(names(2 * PART), 2, look, |all, part| all.extend(part));
        assert_eq!(seen.iter().map(|(length, _)| *length).sum::<usize>(), 2 * PART);
        assert_ne!(seen[0].1, seen[1].1);
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_look_that_panics_is_not_lost() {
        let barrier = std::sync::Barrier::new(2);
        let look = |_| {
            barrier.wait();
            assert_ne!(thread::current().name(), Some("look"));
        };
        in_parts(names(2 * PART), 2, look, |(), ()| ());
    }
}
