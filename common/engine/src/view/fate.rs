//! What becomes of an old version that leaves its name. Today nobody has it any more; a history will keep it.

use std::io;
#[cfg(test)]
use std::sync::Mutex;

#[cfg(test)]
use proto::RelPath;

use super::site::{By, Site};

/// What a replica does with each old version.
#[derive(Debug, Default)]
pub enum Fate {
    /// It is gone as soon as it has left its name.
    #[default]
    Discarded,
    /// The same, and a test hears where it stood and what comes instead, in one word.
    #[cfg(test)]
    Recorded(Mutex<Vec<(RelPath, &'static str)>>),
}

impl Fate {
    /// Called while the old version still stands at its site, right before `by` displaces it there; what comes from another
    /// site, `by` names. The displacement may still fail: who keeps a log of what happened writes it afterwards.
    ///
    /// # Errors
    /// When it cannot be kept as it is to be: then it stays where it is.
    pub(super) fn before(&self, site: Site<'_>, by: &By<'_>) -> io::Result<()> {
        match self {
            Fate::Discarded => tracing::trace!(path = %site.path, by = by.word(), "leaves its name"),
            #[cfg(test)]
            Fate::Recorded(record) => record.lock().unwrap().push((site.path.clone(), by.word())),
        }
        Ok(())
    }
}
