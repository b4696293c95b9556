//! Waits for the root of a source, and says what became of the one before.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use engine::sender::Root;
use kit::Stop;
use sys::inotify::Exhausted;
use sys::tree::identity_at;
use sys::{RootId, Tree};

use super::Live;
use crate::status::SourceState;

/// How often a root that is missing, or another than it was, is looked for.
pub(super) const ABSENT: Duration = Duration::from_secs(1);

/// In this time a root that was moved away is replaced, where somebody is about to.
const REPLACED: Duration = Duration::from_millis(300);

impl Live {
    /// Waits until a folder stands at the path that is the one from before, or has taken its place on the same file system, as
    /// by a deploy, or is accepted. `None` when the program stops.
    pub(super) fn wait_for_root(&self, before: Option<RootId>, stop: &Stop) -> Option<Root> {
        let path = &self.source.path;
        while !stop.is_requested() {
            let root = Tree::open(path, self.source.mounts).and_then(|tree| Root::new(Arc::new(tree)));
            match root {
                Ok(root) if before.is_none_or(|before| before == root.id()) => return Some(root),
                // How much goes with the one before is judged by the pass that follows.
                Ok(root) if before.is_some_and(|before| before.dev == root.id().dev) => {
                    let (name, path) = (&self.source.name, path.display());
                    tracing::info!(
                        source_name = %name,
                        "another folder of the same file system stands at {path} now: it is compared as a whole, and \
                         max_delete bounds what is deleted"
                    );
                    return Some(root);
                }
                Ok(root) if self.accept.swap(false, Ordering::AcqRel) => return Some(root),
                Ok(_) => {
                    let reason = format!(
                        "{} is on another file system than it was (or that is missing): nothing is sent or \
                         deleted; if it is right, run `pushctl release {}`",
                        path.display(),
                        self.source.name
                    );
                    self.show(SourceState::Halted, Some(reason));
                }
                Err(error) => {
                    self.show(SourceState::Absent, Some(not_opened(path, &error)));
                }
            }
            stop.wait(ABSENT);
        }
        None
    }

    /// The root of this identity is not at the path any more. Nothing is said of that where another one takes its place soon,
    /// as by a deploy.
    pub(super) fn lose(&self, root: RootId, reason: &str, stop: &Stop) {
        self.lock_board().watched(0, 0);
        self.show(SourceState::Starting, None);
        let began = Instant::now();
        while began.elapsed() < REPLACED && !stop.is_requested() {
            match identity_at(&self.source.path) {
                Ok(there) if there.dev == root.dev => return,
                Ok(_) => break,
                Err(_) => _ = stop.wait(REPLACED / 10),
            }
        }
        let path = self.source.path.display();
        self.show(SourceState::Absent, Some(format!("{path} was lost ({reason}): nothing is sent or deleted")));
    }
}

/// Why a root could not be opened, in words. Too many open files do not mean that it is missing.
fn not_opened(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match Exhausted::of(error) {
        Some(exhausted) => format!("{path} cannot be opened: {exhausted}; trying again, nothing is sent or deleted"),
        None => format!("{path} is not there ({error}): waiting for it, nothing is deleted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_stands_there_is_not_said_to_be_missing_where_files_are_short() {
        let said = |number| not_opened(Path::new("/srv/www"), &std::io::Error::from_raw_os_error(number));
        // EMFILE, ENFILE, ENOENT
        for text in [said(24), said(23)] {
            assert!(text.starts_with("/srv/www cannot be opened: ") && !text.contains("is not there"), "{text}");
        }
        assert!(said(23).contains("LimitNOFILE="), "{}", said(23));
        assert!(said(2).starts_with("/srv/www is not there (No such file"), "{}", said(2));
    }
}
