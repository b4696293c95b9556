//! The exit codes that both programs publish. `main` returns one; nothing below `main` ends the process.

use std::process::{ExitCode, Termination};

use serde::{Deserialize, Serialize};

/// How a command ended. The numbers are a contract with scripts and service managers (sysexits.h where one fits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Exit {
    /// All is done, and what was asked about is so.
    Ok = 0,
    /// Differences were found, or some items were skipped; each was named.
    Differences = 1,
    /// The command line does not fit.
    Usage = 64,
    /// An input file is missing or cannot be read.
    Input = 66,
    /// A target, or the daemon that was asked, does not answer.
    Unreachable = 69,
    /// Output could not be written.
    Output = 73,
    /// Busy or refused for now: worth another try later.
    Busy = 75,
    /// The peer speaks another protocol, needs what ours does not have, or broke it.
    Protocol = 76,
    /// The login or the permission was refused, or the server is not the one that was expected.
    Login = 77,
    /// The configuration has errors; each was named.
    Config = 78,
}

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The worse of two, for commands that try several things: any failure beats success, and what a person must mend
    /// (configuration, login, protocol) beats what may pass by itself (busy, unreachable).
    pub fn worse(self, other: Exit) -> Exit {
        if other.weight() > self.weight() { other } else { self }
    }

    fn weight(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Differences => 1,
            Exit::Busy => 2,
            Exit::Unreachable => 3,
            Exit::Output => 4,
            Exit::Input => 5,
            Exit::Protocol => 6,
            Exit::Login => 7,
            Exit::Config => 8,
            Exit::Usage => 9,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_worst_is_what_a_person_must_mend() {
        assert_eq!(Exit::Ok.worse(Exit::Busy), Exit::Busy);
        assert_eq!(Exit::Login.worse(Exit::Unreachable), Exit::Login);
        assert_eq!(Exit::Unreachable.worse(Exit::Config), Exit::Config);
        assert_eq!(Exit::Config.code(), 78);
    }
}
