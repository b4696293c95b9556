//! Whether the folder that a watcher holds open is still the one at its path.

use std::io::ErrorKind;
use std::time::Duration;

use sys::tree::{Tree, identity_at};

/// It is asked so often while nothing happens: for folders above it that are renamed, of which nothing tells.
pub const LOOK: Duration = Duration::from_secs(10);
/// It is asked so often while it has no entries: so it can be removed, of which nothing tells as long as it is held open.
pub const LOOK_BARE: Duration = Duration::from_millis(500);
/// It is asked so often where nothing tells of mounts either.
pub const LOOK_UNTOLD: Duration = Duration::from_secs(1);

/// Why the folder that is held is not at its path any more, if it is not.
pub fn root_trouble(source: &Tree) -> Option<&'static str> {
    match (identity_at(source.path()), source.identity()) {
        (Ok(there), Ok(held)) if there == held => None,
        (Ok(_), Ok(_)) => Some("another folder stands at its path now"),
        (Err(error), _) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Some("the folder was moved or deleted")
        }
        // The next pass over the tree meets the same error and names it.
        (Err(_), _) | (_, Err(_)) => None,
    }
}
