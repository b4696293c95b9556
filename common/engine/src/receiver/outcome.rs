//! From errors of the kernel to outcomes that the sender can act on: what it builds on is missing, it cannot be, or not
//! now. Used wherever an operation is carried out; reasons are cut to their limit by the codec.

use std::io::{self, ErrorKind};

use proto::Outcome;
use sys::Lack;

use crate::view::{Obstacle, Site};

/// Of what a module does not reach, as renames end there.
const ELSEWHERE: &str = "another file system is mounted there on the backup host, and a module lies on one: give that disk a \
                         module of its own, or unmount it";

/// What came of one operation: `Ok` when it did exactly what it says.
pub(super) type Done = Result<(), Outcome>;

/// Of a name that a file system cannot hold.
const NAME: &str = "the disk does not hold such a name";

/// `EILSEQ`, which has no `ErrorKind`: a name that the file system's encoding cannot hold.
const EILSEQ: i32 = 84;

/// It cannot be done here, now or later.
pub(super) fn refused(reason: impl Into<String>) -> Outcome {
    Outcome::Refused { reason: reason.into() }
}

/// It cannot be done now.
pub(super) fn failed(reason: impl Into<String>) -> Outcome {
    Outcome::Failed { reason: reason.into() }
}

/// What stands in the way of `doing` something to one entry.
pub(super) fn of(doing: &str, error: &io::Error) -> Outcome {
    let reason = match error.kind() {
        ErrorKind::CrossesDevices => format!("cannot {doing}: {ELSEWHERE}"),
        ErrorKind::InvalidFilename => format!("cannot {doing}: {NAME}: {error}"),
        _ if error.raw_os_error() == Some(EILSEQ) => format!("cannot {doing}: {NAME}: {error}"),
        _ => format!("cannot {doing}: {error}"),
    };
    match Lack::of(error) {
        // The same for all entries, whatever was to be done.
        Some(Lack::Room) => return Outcome::Full { reason: error.to_string() },
        Some(Lack::Writing) => return Outcome::ReadOnly { reason: error.to_string() },
        None => {}
    }
    match error.kind() {
        ErrorKind::NotFound => Outcome::Absent,
        ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput
        | ErrorKind::PermissionDenied
        | ErrorKind::Unsupported
        | ErrorKind::ExecutableFileBusy
        | ErrorKind::ResourceBusy
        | ErrorKind::TooManyLinks
        | ErrorKind::FileTooLarge
        | ErrorKind::CrossesDevices => refused(reason),
        _ if error.raw_os_error() == Some(EILSEQ) => refused(reason),
        // I/O errors, no memory, no descriptors, and what nobody has thought of.
        _ => failed(reason),
    }
}

/// What an operation gets that was carried out in a folder which then could not be given its mtime back. A sender looks at the
/// folder again after `Failed` and `ReadOnly`; after `Full` it would only send the entry once more.
pub(super) fn of_folder(error: &io::Error) -> Outcome {
    match Lack::of(error) {
        Some(Lack::Room) => failed(format!("cannot set the mtime of its folder: {error}")),
        _ => of("set the mtime of its folder", error),
    }
}

/// Why what stands at a site did not leave it, to make room for nothing or for what stands at the other one.
pub(super) fn of_obstacle(doing: &str, obstacle: &Obstacle, site: Site<'_>, other: Option<Site<'_>>) -> Outcome {
    let mut sites = std::iter::once(site).chain(other);
    match obstacle {
        Obstacle::Protected(path) if sites.any(|site| site.path() == path) => {
            refused(format!("cannot {doing}: '{path}' is protected on the backup host"))
        }
        Obstacle::Protected(path) => {
            refused(format!("cannot {doing}: '{path}', which stands in it, is protected on the backup host"))
        }
        Obstacle::Unsure => Outcome::Want,
        // Of two places the sender sends what it has there.
        Obstacle::Spared(_) if sites.nth(1).is_some() => Outcome::Absent,
        Obstacle::Spared(why) => refused(*why),
        // The sender looks at both and sends what differs.
        Obstacle::NoExchange => Outcome::Absent,
        Obstacle::Failed(error) => {
            let denied = error.kind() == ErrorKind::PermissionDenied;
            // Another user may own one of them.
            match sites.filter(|_| denied).find_map(|site| site.not_ours()) {
                Some(why) => refused(format!("cannot {doing}: {why}")),
                None => of(doing, error),
            }
        }
    }
}

/// Why content could not be staged: nothing that the operation builds on is involved, so it is never `Absent`.
pub(super) fn staging(error: &io::Error) -> Outcome {
    match of("write it", error) {
        Outcome::Absent => failed(format!("cannot write it: {error}; was the folder of temporaries removed?")),
        outcome => outcome,
    }
}

/// Why a parent folder could not be opened.
pub(super) fn of_parent(error: &io::Error) -> Outcome {
    if sys::is_absence(error) { Outcome::Absent } else { of("open its folder", error) }
}

/// Whether the operation was carried out, if only in part.
pub(super) fn is_done(done: &Done) -> bool {
    matches!(done, Ok(()) | Err(Outcome::Partly { .. }))
}

/// Done, but for these problems, if there are any.
pub(super) fn done(problems: &[String]) -> Done {
    if problems.is_empty() { Ok(()) } else { Err(Outcome::Partly { reason: problems.join("; ") }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_entries_meet_alike_is_told_from_what_one_does() {
        let outcome = |errno: i32| of("do it", &io::Error::from_raw_os_error(errno));
        // ENOSPC, EDQUOT; EROFS; EIO, ENOMEM.
        assert!([28, 122].map(outcome).iter().all(|outcome| matches!(outcome, Outcome::Full { .. })));
        assert!(matches!(outcome(30), Outcome::ReadOnly { .. }));
        // EXDEV.
        let Outcome::Refused { reason } = outcome(18) else { panic!("{:?}", outcome(18)) };
        assert!(reason.contains("a module of its own") && !reason.contains("os error"), "{reason}");
        assert!([5, 12].map(outcome).iter().all(|outcome| matches!(outcome, Outcome::Failed { .. })));
    }

    #[test]
    fn a_folder_that_did_not_get_its_mtime_back_is_looked_at_again_whatever_was_missing() {
        let outcome = |errno: i32| of_folder(&io::Error::from_raw_os_error(errno));
        for room in [28, 122, 5] {
            assert!(matches!(outcome(room), Outcome::Failed { .. }), "{room}");
        }
        assert!(matches!(outcome(30), Outcome::ReadOnly { .. }));
    }
}
