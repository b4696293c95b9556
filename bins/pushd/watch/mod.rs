//! Watching one source: turns what the kernel tells into hints about where to look.
//!
//! The source's thread owns one [`Watcher`], which [`open`] chooses and places before the first pass, and then carries its
//! notices into the [`Pending`](engine::pending) of each target. Nothing here reads a file or decides what is sent: a hint
//! may name what is gone or unchanged, but a change without a hint must not exist.

mod ahead;
mod event;
mod hub;
mod inotify;
mod pairing;
mod picture;
mod polled;
mod queue;
mod read;
mod root;
mod table;
mod wake;
mod watcher;

use std::io;
use std::sync::Arc;

use engine::view::Selection;
use sys::Tree;
use sys::inotify::Exhausted;

use inotify::InotifyWatcher;
use polled::Polled;

pub use pairing::PATIENCE;
pub use queue::{Instances, Supply};
pub use root::root_trouble;
pub use wake::Waker;
pub use watcher::{Notice, Watcher};

/// Watches what is selected of the folder that `root` holds open: every change that happens after this has returned will be
/// noticed. Here a backend is chosen, and nowhere else: inotify as `supply` says, or none where the kernel has no instance or
/// no watch left (then the watcher [`lacks`](Watcher::lacks) it). It waits at `waker`; `notices` gets what placing it brought
/// up.
///
/// # Errors
/// When the root cannot be watched for another reason: it went, or files are short, so that nothing could be compared either.
pub fn open(
    root: &Arc<Tree>,
    selection: Selection,
    supply: &Supply,
    waker: &Waker,
    notices: &mut Vec<Notice>,
) -> io::Result<Box<dyn Watcher>> {
    let placed = InotifyWatcher::new(root.clone(), selection, supply, waker.clone())
        .and_then(|mut watcher| watcher.place(notices).map(|()| watcher));
    match placed {
        Ok(watcher) => Ok(Box::new(watcher)),
        Err(error) => match Exhausted::of(&error) {
            None | Some(Exhausted::Files) => Err(error),
            Some(exhausted) => Ok(Box::new(Polled::new(root.clone(), waker.clone(), exhausted))),
        },
    }
}
