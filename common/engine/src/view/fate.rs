//! What becomes of an old version that leaves its name. Today nobody has it any more; a history will keep it.

#[cfg(test)]
use std::sync::Mutex;

use proto::RelPath;

/// What a replica does with each old version.
#[derive(Debug, Default)]
pub enum Fate {
    /// It is gone as soon as it has left its name.
    #[default]
    Discarded,
    /// The same, and a test hears where it stood and what comes instead.
    #[cfg(test)]
    Recorded(Mutex<Vec<(RelPath, &'static str)>>),
}

impl Fate {
    /// Called before the old version at this path leaves; `by` is what comes instead, in one word.
    pub(super) fn before(&self, path: &RelPath, by: &'static str) {
        match self {
            Fate::Discarded => tracing::trace!(%path, by, "leaves its name"),
            #[cfg(test)]
            Fate::Recorded(record) => record.lock().unwrap().push((path.clone(), by)),
        }
    }
}
