//! Ends the wait of a watcher from another thread: a pipe that poll can wait for. Used by the task that stops a source.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Rings at a watcher, from any thread. Rings that come before the watcher wakes count as one; none is lost.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Bell>);

#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    reader: PipeReader,
    writer: PipeWriter,
}

impl Waker {
    /// Silent.
    ///
    /// # Errors
    /// When too many files are open: it takes two.
    pub fn new() -> io::Result<Waker> {
        let (reader, writer) = io::pipe()?;
        Ok(Waker(Arc::new(Bell { rung: AtomicBool::new(false), reader, writer })))
    }

    /// Makes the current or the next wait of the watcher return at once.
    pub fn wake(&self) {
        // INVARIANT: one byte in the pipe for each change from silent to rung, so neither end ever blocks for long.
        if !self.0.rung.swap(true, Ordering::AcqRel) {
            // It cannot fail while both ends are held here.
            let _ = (&self.0.writer).write(&[1]);
        }
    }

    /// Whether it was rung since the last call.
    pub(super) fn take(&self) -> bool {
        let rung = self.0.rung.swap(false, Ordering::AcqRel);
        if rung {
            let _ = (&self.0.reader).read(&mut [0]);
        }
        rung
    }

    /// Readable while it is rung.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.reader.as_fd()
    }
}
