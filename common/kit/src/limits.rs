//! What the system allows a daemon. Called first by both of them.

/// Files that a process may have open where nobody has said anything.
const USUAL_FILES: u64 = 1024;

/// Lets this process have as many files open as the system allows: a daemon holds folders and connections for as long as
/// it works, and the usual limit is made for commands. Where that fails, it works with what there is. Returns how many.
pub fn raise_open_files() -> u64 {
    match sys::process::raise_open_files() {
        Ok(Some(most)) => {
            tracing::debug!("may have {most} files open");
            most
        }
        Ok(None) => {
            tracing::debug!("may have any number of files open");
            u64::MAX
        }
        Err(error) => {
            tracing::warn!("cannot raise the number of files that may be open: {error}");
            USUAL_FILES
        }
    }
}
