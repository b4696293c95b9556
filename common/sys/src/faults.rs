//! Errors on purpose: what a disk may answer, said before it is asked. Only with the feature `faults`, which nothing but the
//! tests of other crates asks for; without it the question is an empty function, and gone from the program.
//!
//! A plan is of one thread, so tests beside each other do not meet.

/// What the disk is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// What stands under a name.
    Look,
    /// The names in a folder.
    List,
    /// A descriptor of a file.
    Open,
    /// Content or metadata of what is open.
    Read,
    /// A new temporary, with nothing in it.
    Stage,
    /// Content for a temporary, or its metadata.
    Write,
    /// A name for a temporary.
    Publish,
    /// Other metadata or another name of what stands there, or its removal.
    Change,
    /// That something is on the disk.
    Flush,
}

#[cfg(feature = "faults")]
mod planned {
    use std::cell::RefCell;
    use std::io;

    use super::Verb;

    type Plan = Box<dyn FnMut(Verb) -> Option<io::Error>>;

    thread_local! {
        static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
    }

    /// From here on this thread's questions are answered by the plan, where it has an answer.
    pub fn plan(plan: impl FnMut(Verb) -> Option<io::Error> + 'static) {
        PLAN.set(Some(Box::new(plan)));
    }

    /// The disk answers by itself again.
    pub fn end() {
        PLAN.set(None);
    }

    pub(crate) fn ask(verb: Verb) -> io::Result<()> {
        PLAN.with_borrow_mut(|plan| plan.as_mut().and_then(|plan| plan(verb)).map_or(Ok(()), Err))
    }
}

#[cfg(feature = "faults")]
pub(crate) use planned::ask;
#[cfg(feature = "faults")]
pub use planned::{end, plan};

/// Whether the disk is to be asked at all.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) const fn ask(_: Verb) -> std::io::Result<()> {
    Ok(())
}
