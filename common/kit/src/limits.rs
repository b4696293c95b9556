//! What the system allows a daemon. Called first by both of them.

/// Lets this process have as many files open as the system allows: a daemon holds folders and connections for as long as
/// it works, and the usual limit is made for commands. Where that fails, it works with what there is.
pub fn raise_open_files() {
    match sys::process::raise_open_files() {
        Ok(Some(most)) => tracing::debug!("may have {most} files open"),
        Ok(None) => tracing::debug!("may have any number of files open"),
        Err(error) => tracing::warn!("cannot raise the number of files that may be open: {error}"),
    }
}
