//! Reading a command line as both programs do. Which commands and options there are, each program's own `cli.rs` says.

use std::ffi::OsString;
use std::path::Path;

use clap::{CommandFactory, FromArgMatches};

use crate::{Exit, log, out};

/// Reads the command line of a program that answers to these names, the first being its own. The error is the exit of a
/// command line that asked for help, or that does not fit, which has been told.
pub fn parse<C>(names: &[&'static str], words: impl IntoIterator<Item = OsString>) -> Result<C, Exit>
where
    C: CommandFactory + FromArgMatches,
{
    let words: Vec<OsString> = words.into_iter().collect();
    let name = own_name(names, words.first());
    let command = C::command().name(name).bin_name(name).version(version());
    let matches = command.try_get_matches_from(words);
    matches.and_then(|matches| C::from_arg_matches(&matches)).map_err(|error| {
        if error.use_stderr() {
            let text = error.render();
            let text = if log::is_coloured() { text.ansi().to_string() } else { text.to_string() };
            out::complain(text.trim_end());
            return out::finish(Exit::Usage);
        }
        // A reader that has seen enough is no error.
        let _ = error.print();
        out::finish(Exit::Ok)
    })
}

/// The name by which it was called, or the first where that is none of them.
fn own_name(names: &[&'static str], program: Option<&OsString>) -> &'static str {
    let file = program.and_then(|program| Path::new(program).file_name());
    let called = names.iter().find(|name| file.is_some_and(|file| file == **name));
    called.or(names.first()).copied().unwrap_or_default()
}

/// `0.1.0 (protocol 1)`: all crates have one version.
fn version() -> String {
    let protocol = match proto::limits::VERSIONS {
        (low, high) if low == high => high.to_string(),
        (low, high) => format!("{low}..{high}"),
    };
    format!("{} (protocol {protocol})", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_version() {
        let called = |program: &str| own_name(&["pushd", "pushctl"], Some(&program.into()));
        assert_eq!(called("/usr/bin/pushctl"), "pushctl");
        assert_eq!(called("./pushd"), "pushd");
        assert_eq!(called("pushd.old"), "pushd");
        assert_eq!(own_name(&["pushd", "pushctl"], None), "pushd");
        assert!(version().ends_with("(protocol 1)"), "{}", version());
    }
}
