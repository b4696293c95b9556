//! Reads events from an instance of inotify, once, for whoever owns it: a queue of one source, or a hub of many.

use std::io;
use std::time::Instant;

use sys::inotify::Inotify;

use super::event::Event;

/// So many events may be read ahead of being applied (some 25 MB); beyond it they are dropped like those of a full kernel
/// queue: by renewing everything.
pub const AHEAD: usize = 262_144;
/// So many full buffers are read in a row before what they hold is applied.
pub const READS: usize = 64;

/// The kernel's bytes for an event without a name; names take a multiple of it.
const EVENT: usize = 16;
/// A read that gave less than this has not filled its buffer, which is larger by more than any one event.
const ROOM: usize = 60 * 1024;

/// Whether there may be more to read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// All that happened before the read began has been read.
    Nothing,
    /// The buffer was full.
    Perhaps,
}

/// Reads once, without waiting. `each` gets the events in order, `None` for what says nothing to us. `since`: when the queue
/// was last seen empty.
pub fn read(inotify: &mut Inotify, since: Instant, mut each: impl FnMut(Option<Event>)) -> io::Result<Rest> {
    let mut bytes = 0;
    inotify.read(|raw| {
        bytes += EVENT + raw.name.map_or(0, |name| name.len().next_multiple_of(EVENT) + EVENT);
        each(Event::from_raw(&raw, since));
    })?;
    Ok(if bytes < ROOM { Rest::Nothing } else { Rest::Perhaps })
}
