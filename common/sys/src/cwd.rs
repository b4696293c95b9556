//! Current folders of single threads.
//!
//! What cannot be opened gives its extended attributes only by a path. That through `/proc/self/fd` costs the kernel as
//! much as all else that is read of an entry; the bare name, on a thread that is in the entry's folder, a third of it.

use std::cell::Cell;
use std::os::fd::BorrowedFd;

use rustix::thread::UnshareFlags;

thread_local! {
    static OWN: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread gets a current folder of its own, so that [`Dir::inside`](crate::Dir::inside) can make use of it.
/// Where a sandbox does not allow that, longer paths do.
pub fn own() {
    #[expect(deprecated, reason = "only for the sake of a flag that lets threads have descriptors of their own")]
    let own = rustix::thread::unshare(UnshareFlags::FS).is_ok();
    OWN.set(own);
}

/// The calling thread is in a folder, if it has a current folder of its own. Dropped: it is in the root again, as a
/// current folder keeps its file system from being unmounted.
#[derive(Debug)]
pub(crate) struct Visit {
    entered: bool,
}

impl Visit {
    pub(crate) fn to(folder: BorrowedFd<'_>) -> Visit {
        Visit { entered: OWN.get() && rustix::process::fchdir(folder).is_ok() }
    }

    pub(crate) fn has_entered(&self) -> bool {
        self.entered
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.entered {
            let _ = rustix::process::chdir(c"/");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_visit_is_of_one_thread_and_ends_in_the_root() {
        let place = tempfile::tempdir().unwrap();
        let folder = std::fs::File::open(place.path()).unwrap();
        let before = std::env::current_dir().unwrap();
        assert!(!Visit::to(folder.as_fd()).has_entered(), "this thread shares its current folder");
        let work = || {
            own();
            let visit = Visit::to(folder.as_fd());
            assert!(visit.has_entered());
            assert_eq!(std::env::current_dir().unwrap(), place.path().canonicalize().unwrap());
            drop(visit);
            assert_eq!(std::env::current_dir().unwrap(), std::path::Path::new("/"));
        };
        std::thread::scope(|scope| scope.spawn(work).join().unwrap());
        assert_eq!(std::env::current_dir().unwrap(), before);
    }
}
