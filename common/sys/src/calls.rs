//! Calls at file systems that are under way, so that one that never returns can be named. Each thread notes what it is about to
//! ask, of which descriptor; whoever looks after them finds the path by that, which asks the file system nothing.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Open,
    List,
    Look,
    Attributes,
    Read,
}

const WORDS: [&str; 5] = ["opening", "listing", "a look at", "reading the attributes of", "reading"];

/// A call that has not returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Tells it from all others: the thread's number, and which of its calls it is.
    pub id: (i32, u64),
    /// The name of the thread.
    pub thread: String,
    /// What it is about, and where: "opening /srv/www/x".
    pub what: String,
    /// Where it hangs, or in which folder.
    pub path: PathBuf,
}

/// What one thread is at, noted by itself and read by whoever looks after it.
#[derive(Debug)]
struct Slot {
    thread: i32,
    name: String,
    /// Calls so far, by which a call is told from the next one.
    count: AtomicU64,
    /// Of what is asked; negative between two calls.
    of: AtomicI32,
    what: AtomicI32,
    /// From there, where one thing is asked for.
    at: Mutex<Vec<u8>>,
}

static ALL: Mutex<Vec<Weak<Slot>>> = Mutex::new(Vec::new());

thread_local! {
    static OWN: OnceCell<Arc<Slot>> = const { OnceCell::new() };
}

/// Dropped: the call has returned.
pub(crate) struct UnderWay;

impl Drop for UnderWay {
    fn drop(&mut self) {
        // A thread that is ending asks nothing more.
        let _ = OWN.try_with(|own| own.get().map(|slot| slot.of.store(-1, Ordering::Release)));
    }
}

/// This thread is about to ask something of a descriptor, or of what stands at a path from there.
pub(crate) fn begin(what: What, of: BorrowedFd<'_>, at: &[u8]) -> UnderWay {
    let _ = OWN.try_with(|own| {
        let slot = own.get_or_init(enlist);
        slot.count.store(slot.count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        slot.what.store(what as i32, Ordering::Relaxed);
        let mut noted = slot.at.lock().unwrap_or_else(PoisonError::into_inner);
        noted.clear();
        noted.extend_from_slice(at);
        drop(noted);
        slot.of.store(of.as_raw_fd(), Ordering::Release);
    });
    UnderWay
}

fn enlist() -> Arc<Slot> {
    let slot = Arc::new(Slot {
        thread: rustix::thread::gettid().as_raw_nonzero().get(),
        name: std::thread::current().name().unwrap_or("a thread").to_owned(),
        count: AtomicU64::new(0),
        of: AtomicI32::new(-1),
        what: AtomicI32::new(0),
        at: Mutex::default(),
    });
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|other| other.strong_count() > 0);
    all.push(Arc::downgrade(&slot));
    slot
}

/// All calls that are under way. Those that return at once are among them.
pub fn under_way() -> Vec<Call> {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().filter_map(Weak::upgrade).filter_map(|slot| slot.call()).collect()
}

impl Slot {
    fn call(&self) -> Option<Call> {
        let count = self.count.load(Ordering::Acquire);
        let of = self.of.load(Ordering::Acquire);
        if of < 0 {
            return None;
        }
        let at = self.at.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // RACE: it may have returned, and the number be another file's by now. Who asks twice sees that it was another call.
        let mut path = std::fs::read_link(format!("/proc/self/fd/{of}")).ok()?;
        if !at.is_empty() {
            path.push(OsStr::from_bytes(&at));
        }
        let words = WORDS.get(usize::try_from(self.what.load(Ordering::Relaxed)).ok()?)?;
        let what = format!("{words} {}", path.display());
        Some(Call { id: (self.thread, count), thread: self.name.clone(), what, path })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_call_that_has_not_returned_is_named_with_its_path_and_its_thread() {
        let place = tempfile::tempdir().unwrap();
        let folder = std::fs::File::open(place.path()).unwrap();
        let ((began, begun), (end, ends)) = (mpsc::channel(), mpsc::channel::<()>());
        let work = move || {
            drop(begin(What::List, folder.as_fd(), b""));
            let call = begin(What::Open, folder.as_fd(), b"a/b");
            began.send(()).unwrap();
            let _ = ends.recv();
            drop(call);
            began.send(()).unwrap();
            let _ = ends.recv();
        };
        let thread = std::thread::Builder::new().name("asks".into()).spawn(work).unwrap();
        begun.recv().unwrap();
        let ours = || under_way().into_iter().find(|call| call.thread == "asks");
        let call = ours().unwrap();
        let path = place.path().canonicalize().unwrap().join("a/b");
        assert_eq!((call.id.1, &call.path, call.what.clone()), (2, &path, format!("opening {}", path.display())));
        assert_eq!(ours(), Some(call));
        end.send(()).unwrap();
        begun.recv().unwrap();
        assert_eq!(ours(), None);
        drop(end);
        thread.join().unwrap();
    }
}
