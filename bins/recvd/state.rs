//! `state_dir`: the folder of what recvd remembers beside the modules. [`crate::sources`] keeps there what each source has told
//! of itself, [`crate::sessions`] how far the leases of each module were.

use std::path::Path;

/// Makes the folder where it is missing. Backups go on without it.
///
/// # Errors
/// Why it does not serve, in a sentence.
pub fn prepare(state_dir: &Path) -> Result<(), String> {
    look(state_dir)?;
    sys::create_private_dir(state_dir).map_err(|error| unusable(&format!("{}: {error}", state_dir.display())))
}

/// Whether it can be made and written to, as far as that can be seen without changing anything.
///
/// # Errors
/// The same sentence.
pub fn look(state_dir: &Path) -> Result<(), String> {
    sys::could_make(&state_dir.join("file")).map_err(|why| unusable(&why))
}

fn unusable(why: &str) -> String {
    format!("cannot use `state_dir`: {why}; without it all sources are compared anew after each start of recvd")
}
