//! Lines on stdout and stderr for commands. A reader that goes away (`| head`) is no error and never a panic; a full disk
//! is remembered until [`finish`].

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Exit, log};

static FAILED: AtomicBool = AtomicBool::new(false);
static CLOSED: AtomicBool = AtomicBool::new(false);

/// One line of data on stdout, written at once.
pub fn line(text: impl Display) {
    let mut out = std::io::stdout().lock();
    // One write: what another process prints at the same time does not stand in the middle of it.
    note(out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush()));
}

/// Text on stdout without a line end, for a screen that is drawn again and again.
pub fn text(text: impl Display) {
    let mut out = std::io::stdout().lock();
    note(out.write_all(text.to_string().as_bytes()).and_then(|()| out.flush()));
}

/// One line for a person on stderr, after what was logged before. Nothing can be done when that fails, and a reader that does
/// not read is waited for as little as by the log.
pub fn complain(text: impl Display) {
    log::say(format!("{text}\n"));
}

/// What the command ends with, once its log is written: [`Exit::Output`] when something of its output was lost for another
/// reason than a reader that had seen enough.
pub fn finish(exit: Exit) -> Exit {
    log::flush();
    if FAILED.load(Ordering::Relaxed) { exit.worse(Exit::Output) } else { exit }
}

/// Whether the reader of stdout has gone away: what runs until interrupted ends then.
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed) || FAILED.load(Ordering::Relaxed)
}

fn note(written: std::io::Result<()>) {
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => CLOSED.store(true, Ordering::Relaxed),
        Err(_) => FAILED.store(true, Ordering::Relaxed),
    }
}
