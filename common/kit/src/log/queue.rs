//! Lines on their way to whoever reads the log. To log is to put a line here, which never waits; a thread of its own
//! writes, and is the only one that a reader who does not read holds up.
//!
//! INVARIANT: lines leave in the order in which they came, whole, and what was dropped is told of in its place.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes that wait at most, those included that the thread has in hand.
const MOST: usize = 1024 * 1024;
/// Bytes of one write: what a pipe takes whole, so that no other writer's line stands in the middle of ours.
const WRITE: usize = 4096;
/// Memory that is kept for the next lines.
const KEPT: usize = 64 * 1024;

pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
    sink: fn(&[u8]) -> io::Result<()>,
}

struct State {
    /// What the thread has not taken yet.
    lines: Vec<u8>,
    /// Bytes that it has taken and not written yet.
    in_hand: usize,
    /// Lines that were dropped since the last notice. While there are any, all others are dropped too, so that a gap is
    /// one and the notice stands where it is.
    dropped: u64,
    /// Lines that were not written because of an error, as on a full disk, and not told of yet.
    failed: u64,
    /// How the notice about so many dropped lines looks.
    notice: fn(u64) -> Vec<u8>,
    thread: Writer,
    /// Who waits for the last line to be written.
    flushing: usize,
    /// Somebody has waited in vain, and nothing was written since: nobody waits for such a reader again.
    stalled: bool,
}

#[derive(PartialEq, Eq)]
enum Writer {
    /// Not started: nothing was ever logged, or the system has no thread to give.
    None,
    /// It waits for a line.
    Waits,
    Writes,
}

impl Queue {
    /// An empty one over what takes the bytes, however long that lasts.
    pub(super) const fn new(sink: fn(&[u8]) -> io::Result<()>) -> Queue {
        let state = State {
            lines: Vec::new(),
            in_hand: 0,
            dropped: 0,
            failed: 0,
            notice: |_| Vec::new(),
            thread: Writer::None,
            flushing: 0,
            stalled: false,
        };
        Queue { state: Mutex::new(state), filled: Condvar::new(), written: Condvar::new(), sink }
    }

    /// Says how the notice about dropped lines looks.
    pub(super) fn tell_gaps_by(&self, notice: fn(u64) -> Vec<u8>) {
        self.state().notice = notice;
    }

    /// Takes lines in, or counts them as dropped; never waits.
    pub(super) fn push(&'static self, lines: &[u8]) {
        let mut state = self.state();
        if state.dropped > 0 || state.waiting() + lines.len() > MOST {
            state.dropped += 1;
            return;
        }
        state.lines.extend_from_slice(lines);
        match state.thread {
            Writer::Writes => {}
            Writer::Waits => {
                state.thread = Writer::Writes;
                drop(state);
                self.filled.notify_one();
            }
            // Where that fails, the next line tries again, and this one waits for it.
            Writer::None => {
                let thread = thread::Builder::new().name("log".into());
                if thread.spawn(|| self.write()).is_ok() {
                    state.thread = Writer::Writes;
                }
            }
        }
    }

    /// Waits until all is written, at most so long. A reader for which somebody waited in vain is not waited for again
    /// until it has read something: so whoever says much to it waits once.
    pub(super) fn flush(&self, most: Duration) {
        let mut state = self.state();
        if state.thread == Writer::None {
            return self.write_here(state);
        }
        if state.stalled {
            return;
        }
        state.flushing += 1;
        let waited = self.written.wait_timeout_while(state, most, |state| !state.is_empty());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.flushing -= 1;
        state.stalled = !state.is_empty();
    }

    /// Writes what there is without a thread. LIMIT: where the system has none to give, all wait for the reader.
    fn write_here(&self, mut state: MutexGuard<'_, State>) {
        if !state.lines.is_empty() {
            let lines = std::mem::take(&mut state.lines);
            // Nobody is left to be told of an error.
            let _ = (self.sink)(&lines);
        }
    }

    /// What the thread does: it writes for as long as the process lives.
    fn write(&self) {
        let mut batch = Vec::new();
        loop {
            self.take(&mut batch);
            let mut rest = batch.as_slice();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(whole_lines(rest));
                let done = (self.sink)(now);
                self.wrote(now, done);
                rest = later;
            }
            batch.clear();
            batch.shrink_to(KEPT);
        }
    }

    fn take(&self, batch: &mut Vec<u8>) {
        let mut state = self.state();
        while state.lines.is_empty() {
            state.thread = Writer::Waits;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.thread = Writer::Writes;
        std::mem::swap(&mut state.lines, batch);
        state.in_hand = batch.len();
    }

    fn wrote(&self, lines: &[u8], done: io::Result<()>) {
        let mut state = self.state();
        state.in_hand -= lines.len();
        state.stalled = false;
        match done {
            // Only now, as a disk that is full would not take the notice either.
            Ok(()) if state.failed > 0 => {
                let notice = (state.notice)(std::mem::take(&mut state.failed));
                state.lines.extend(notice);
            }
            Ok(()) => {}
            Err(_) => state.failed += lines.iter().filter(|byte| **byte == b'\n').count() as u64,
        }
        // Only once half of it is free: else a reader who takes a line now and then would be told of a gap each time.
        if state.dropped > 0 && state.waiting() <= MOST / 2 {
            let notice = (state.notice)(std::mem::take(&mut state.dropped));
            state.lines.extend(notice);
        }
        if state.flushing > 0 && state.waiting() == 0 {
            self.written.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.lines.len() + self.in_hand
    }

    fn is_empty(&self) -> bool {
        self.waiting() == 0 && self.dropped == 0
    }
}

/// How many bytes the next write takes: as many whole lines as fit, or one that is longer than that.
fn whole_lines(bytes: &[u8]) -> usize {
    let end = |part: &[u8]| part.iter().rposition(|byte| *byte == b'\n');
    if bytes.len() <= WRITE {
        return bytes.len();
    }
    match end(&bytes[..WRITE]) {
        Some(at) => at + 1,
        None => bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn notice(count: u64) -> Vec<u8> {
        format!("gap {count}\n").into_bytes()
    }

    /// A reader that takes nothing while its lock is held by the test, and remembers what it took.
    macro_rules! reader {
        ($taken:ident, $gate:ident, $queue:ident) => {
            static $gate: Mutex<()> = Mutex::new(());
            static $taken: Mutex<Vec<u8>> = Mutex::new(Vec::new());
            static $queue: Queue = Queue::new(|bytes| {
                let _open = $gate.lock().unwrap();
                $taken.lock().unwrap().extend_from_slice(bytes);
                Ok(())
            });
            $queue.tell_gaps_by(notice);
        };
    }

    #[test]
    fn a_reader_that_keeps_up_gets_every_line_in_order() {
        reader!(TAKEN, GATE, QUEUE);
        let mut all = Vec::new();
        for n in 0..100_000 {
            let line = format!("line {n}\n");
            QUEUE.push(line.as_bytes());
            all.extend_from_slice(line.as_bytes());
            // Bursts of hundreds of kilobytes, each of which fits.
            if n % 20_000 == 0 {
                QUEUE.flush(PATIENCE);
            }
        }
        QUEUE.flush(PATIENCE);
        assert!(*TAKEN.lock().unwrap() == all);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_in_its_place() {
        reader!(TAKEN, GATE, QUEUE);
        let closed = GATE.lock().unwrap();
        let line = |n: usize| format!("{n:09}\n");
        let most = MOST / 10;
        let began = Instant::now();
        (0..most + 500).for_each(|n| QUEUE.push(line(n).as_bytes()));
        // One that would still fit, had the gap not begun.
        QUEUE.push(b"\n");
        QUEUE.flush(Duration::from_millis(10));
        assert!(began.elapsed() < PATIENCE, "to log never waits");
        assert!(TAKEN.lock().unwrap().is_empty());
        drop(closed);
        // To flush would not do: it does not wait again for one who did not read.
        while !QUEUE.state().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        QUEUE.push(b"after\n");
        QUEUE.flush(PATIENCE);
        let mut expected: String = (0..most).map(line).collect();
        expected.push_str("gap 501\nafter\n");
        assert!(*TAKEN.lock().unwrap() == expected.into_bytes());
    }

    #[test]
    fn what_a_full_disk_did_not_take_is_told_when_it_takes_again() {
        static FULL: AtomicBool = AtomicBool::new(true);
        static TAKEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());
        static QUEUE: Queue = Queue::new(|bytes| match FULL.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => {
                TAKEN.lock().unwrap().extend_from_slice(bytes);
                Ok(())
            }
        });
        QUEUE.tell_gaps_by(notice);
        for lines in ["one\n", "two\nthree\n"] {
            QUEUE.push(lines.as_bytes());
            QUEUE.flush(PATIENCE);
        }
        FULL.store(false, Ordering::Relaxed);
        for line in ["four\n", "five\n"] {
            QUEUE.push(line.as_bytes());
            QUEUE.flush(PATIENCE);
        }
        assert_eq!(String::from_utf8_lossy(&TAKEN.lock().unwrap()), "four\ngap 3\nfive\n");
    }

    #[test]
    fn many_writers_never_mix_their_lines() {
        reader!(TAKEN, GATE, QUEUE);
        thread::scope(|scope| {
            for writer in 0..8 {
                scope.spawn(move || (0..500).for_each(|n| QUEUE.push(format!("{writer} says {n}\n").as_bytes())));
            }
        });
        QUEUE.flush(PATIENCE);
        let taken = String::from_utf8(TAKEN.lock().unwrap().clone()).unwrap();
        for writer in 0..8 {
            let own = format!("{writer} says ");
            let numbers: Vec<usize> = taken.lines().filter_map(|line| line.strip_prefix(&own)?.parse().ok()).collect();
            assert_eq!(numbers, (0..500).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_idle_one_is_flushed_at_once_and_has_no_thread() {
        reader!(_TAKEN, _GATE, QUEUE);
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            QUEUE.flush(Duration::from_secs(3600));
            tell.send(()).unwrap();
        });
        told.recv_timeout(PATIENCE).unwrap();
        assert!(QUEUE.state().thread == Writer::None);
    }

    #[test]
    fn one_who_does_not_read_is_waited_for_once_until_he_reads_again() {
        reader!(TAKEN, GATE, QUEUE);
        let closed = GATE.lock().unwrap();
        QUEUE.push(b"one\n");
        QUEUE.flush(Duration::from_millis(10));
        QUEUE.push(b"two\n");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            QUEUE.flush(Duration::from_secs(3600));
            tell.send(()).unwrap();
        });
        told.recv_timeout(PATIENCE).unwrap();
        drop(closed);
        while !QUEUE.state().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        QUEUE.push(b"three\n");
        QUEUE.flush(PATIENCE);
        assert_eq!(String::from_utf8_lossy(&TAKEN.lock().unwrap()), "one\ntwo\nthree\n");
    }

    #[test]
    fn a_write_ends_with_a_line() {
        let long = [vec![b'x'; 5000], b"\nnext\n".to_vec()].concat();
        assert_eq!(whole_lines(&long), 5001);
        assert_eq!(whole_lines(&long[5001..]), 5);
        let short = b"0123456789abcde\n".repeat(1000);
        assert_eq!(whole_lines(&short), WRITE);
        assert_eq!(whole_lines(&short[1..]), WRITE - 1);
        assert_eq!(whole_lines(&[b'x'; 9000]), 9000);
    }
}
