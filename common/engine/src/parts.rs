//! Many names of one folder, looked at by several threads: a folder with a large part of all entries would else be one
//! thread's work while the others have none left.

use std::sync::{Mutex, PoisonError};
use std::thread;

use proto::Name;

use crate::workers::start_within;

/// Names that a thread takes at a time: looking at them takes a millisecond or more, to start a thread some 50 µs.
const PART: usize = 1024;

/// Threads at one folder, at most: several folders may be large at a time.
const THREADS: usize = 4;

/// Has `look` look at all names, in parts, by up to `threads` threads and no more than [`THREADS`], the caller's among
/// them. Returns what it saw, in order of the parts; of few names there is one.
pub(crate) fn in_parts<T: Send>(names: Vec<Name>, threads: usize, look: impl Fn(Vec<Name>) -> T + Sync) -> Vec<T> {
    let count = names.len();
    if threads < 2 || count < 2 * PART {
        return vec![look(names)];
    }
    let parts = Mutex::new(cut(names).into_iter().enumerate());
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let seen = Mutex::new(Vec::with_capacity(count.div_ceil(PART)));
    let work = || {
        while let Some((at, part)) = next() {
            let saw = look(part);
            seen.lock().unwrap_or_else(PoisonError::into_inner).push((at, saw));
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
    let mut seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    seen.sort_unstable_by_key(|(at, _)| *at);
    seen.into_iter().map(|(_, saw)| saw).collect()
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
                let seen = in_parts(names.clone(), threads, |part| part).concat();
                assert_eq!(seen, names, "{count} names, {threads} threads");
            }
        }
    }

    #[test]
    fn several_threads_look_at_many_names() {
        // Neither gets on before the other has come.
        let barrier = std::sync::Barrier::new(2);
        let seen = in_parts(names(2 * PART), 2, |part| {
            barrier.wait();
            (part.len(), thread::current().id())
        });
        assert_eq!(seen.iter().map(|(length, _)| *length).sum::<usize>(), 2 * PART);
        assert_ne!(seen[0].1, seen[1].1);
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_look_that_panics_is_not_lost() {
        let barrier = std::sync::Barrier::new(2);
        in_parts(names(2 * PART), 2, |_| {
            barrier.wait();
            assert_ne!(thread::current().name(), Some("look"));
        });
    }
}
