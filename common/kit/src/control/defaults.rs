//! What both programs do alike when they ask a daemon of theirs: where it answers, and what is said where it does not.

use std::path::{Path, PathBuf};

use super::AskError;
use crate::config::{Complaints, Document};
use crate::{Exit, out};

/// What a program calls itself, and where its configuration and its control socket are unless said otherwise.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Defaults {
    pub program: &'static str,
    pub config: &'static str,
    pub socket: &'static str,
}

impl Defaults {
    /// Where a running daemon answers, by a configuration that may have mistakes elsewhere. A default file that is missing
    /// means the default socket.
    pub fn socket(&self, config: &Path) -> Result<PathBuf, Complaints> {
        let document = match Document::read(config) {
            Err(_) if config == Path::new(self.config) && !sys::exists(config) => return Ok(self.socket.into()),
            read => read?,
        };
        match document.root().take("control_socket") {
            Some(socket) => Ok(socket),
            None if document.root().has("control_socket") => document.finish().map(|_| self.socket.into()),
            None => Ok(self.socket.into()),
        }
    }

    /// Says why a daemon did not answer, and with what the command ends.
    pub fn unanswered(&self, error: &AskError) -> Exit {
        let program = self.program;
        match error {
            AskError::Silent { path } => {
                out::complain(format_args!("{program} is not running (no answer at {})", path.display()));
            }
            error => out::complain(format_args!("{program}: {error}")),
        }
        match error {
            AskError::Denied { .. } => Exit::Login,
            // What it does not know, or a daemon of another version: the question does not fit.
            AskError::Refused(_) => Exit::Usage,
            AskError::Silent { .. } | AskError::Broken { .. } => Exit::Unreachable,
        }
    }
}
