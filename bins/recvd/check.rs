//! `recvd check`: everything that `run` would read, and every complaint about it. Opens no port.

use std::path::Path;

use kit::{Exit, out};

use crate::config;

/// Exit 0, or 78 with every complaint on stderr.
pub fn check(path: &Path) -> Exit {
    match config::load(path) {
        Ok((_, warnings)) => {
            warnings.iter().for_each(|warning| out::complain(format_args!("{warning} (a warning)")));
            out::line(format_args!("{}: ok", path.display()));
            Exit::Ok
        }
        Err(complaints) => {
            out::complain(complaints);
            Exit::Config
        }
    }
}
