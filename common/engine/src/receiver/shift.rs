//! Work on large files that pool threads do a step at a time.

use std::collections::VecDeque;

/// Work on large files, which must not hold up the rest: by one thread at a time, for two would only wait for the
/// disk or for each other's locks on a file.
#[derive(Debug)]
pub(super) struct Shift<T> {
    pub queue: VecDeque<T>,
    busy: bool,
}

impl<T> Default for Shift<T> {
    fn default() -> Shift<T> {
        Shift { queue: VecDeque::new(), busy: false }
    }
}

impl<T> Shift<T> {
    pub fn take(&mut self) -> Option<T> {
        if self.busy {
            return None;
        }
        let work = self.queue.pop_front()?;
        self.busy = true;
        Some(work)
    }

    /// Takes out what waits and is chosen.
    pub fn take_out(&mut self, chosen: impl Fn(&T) -> bool) -> Vec<T> {
        let (out, queue) = std::mem::take(&mut self.queue).into_iter().partition::<Vec<T>, _>(chosen);
        self.queue = queue.into();
        out
    }

    /// A step is done; if there is more of the work it waits behind that of others.
    pub fn give_back(&mut self, rest: Option<T>) {
        self.busy = false;
        if let Some(rest) = rest {
            self.queue.push_back(rest);
        }
    }
}
