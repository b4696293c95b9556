//! The command line. What does not fit ends with exit 64, and no option is accepted that does nothing.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use kit::Exit;
use kit::log::{Format, Level};
use kit::progress::Show;

use crate::config::DEFAULT_FILE;
use crate::status::Detail;

/// Keeps folders on backup hosts as they are here, at every moment.
#[derive(Debug, Parser)]
#[command(name = "pushd", arg_required_else_help = true, subcommand_required = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub config: PathBuf,
    /// How much is logged to stderr: error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    pub log_level: Level,
    /// How log lines look: text or json
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: Format,
}

/// One command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make one full pass, then send every change as it happens, in the foreground
    Run,
    /// Make one full pass; exit 0 only when the backup equals the source
    Sync(SyncArgs),
    /// Check the configuration, the sources and the watch limit, and log in at every target
    Check(CheckArgs),
    /// Show what a running pushd does: state, owed, lag and problems of every source and target
    Status(StatusArgs),
    /// Let go on what waits for a person: deletions that are held, or a source whose root was replaced
    Release(SourceArgs),
    /// Make a full pass now
    Resync(SourceArgs),
    /// Return when all that changed before is safe at every target; exit 75 when the time is over, or a person has to release
    Wait(WaitArgs),
}

/// Options of `pushd sync`.
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// Only this source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Only this target
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// Print what was done at the end: files, bytes, deletions, time
    #[arg(long)]
    pub stats: bool,
    /// Print one JSON object at the end
    #[arg(long)]
    pub json: bool,
    /// Delete even more than max_delete allows, this once
    #[arg(long)]
    pub release: bool,
    /// No progress line, also on a terminal
    #[arg(long)]
    pub no_progress: bool,
}

impl StatusArgs {
    /// How much is shown.
    pub fn detail(&self) -> Detail {
        if self.verbose { Detail::Whole } else { Detail::Usual }
    }
}

impl SyncArgs {
    /// Whether a progress line may be shown.
    pub fn show(&self) -> Show {
        if self.no_progress { Show::Never } else { Show::OnTerminal }
    }
}

/// Options of `pushd check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Dial nobody
    #[arg(long)]
    pub offline: bool,
}

/// Options of `pushd status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Again every second, until interrupted
    #[arg(long)]
    pub watch: bool,
    /// Also what rules leave out
    #[arg(short, long)]
    pub verbose: bool,
    /// Exit 0 however it goes; else 75 when something is behind or held, 1 when something is not mirrored
    #[arg(long)]
    pub exit_zero: bool,
}

/// Which source, for `release` and `resync`.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// Its name; all sources when left out
    #[arg(value_name = "SOURCE")]
    pub source: Option<String>,
}

/// Options of `pushd wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Give up after this long
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = kit::config::parse_duration)]
    pub timeout: Duration,
    /// Wait only for what is at and beneath this path of a source, whether it is there or was deleted
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
}

/// Reads the command line. The error is the exit of a command line that asked for help, or that does not fit, which has
/// been told. The program answers to a second name, because `pushd` is also a builtin of the common shells.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, Exit> {
    kit::cli::parse(&["pushd", "pushctl"], words)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn read(line: &str) -> Result<Cli, Exit> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_of_the_contract() {
        for line in [
            "pushd run",
            "pushd run --config /x.toml",
            "pushd --config x.toml --log-level debug --log-format json sync --source a --target b --stats --json",
            "pushd sync --release --no-progress",
            "pushd check --offline",
            "pushctl status --json --watch",
            "pushd release",
            "pushd release www",
            "pushd resync www",
            "pushd wait --timeout 250ms",
            "pushctl wait some/path",
            "pushctl status --exit-zero",
            "pushctl status -v --watch",
            "pushctl status --verbose",
        ] {
            assert!(read(line).is_ok(), "{line}");
        }
        assert_eq!(read("pushd run").unwrap().config, PathBuf::from(DEFAULT_FILE));
        assert!(matches!(
            read("pushd wait").unwrap().command,
            Command::Wait(WaitArgs { timeout, path: None }) if timeout == Duration::from_secs(60)
        ));
    }

    #[test]
    fn what_does_not_fit_is_usage() {
        for line in [
            "pushd",
            "pushd frobnicate",
            "pushd sync --dry-run",
            "pushd sync --password x",
            "pushd run extra",
            "pushd wait --timeout 60",
            "pushd run --log-level loud",
            "pushd pause",
        ] {
            assert_eq!(read(line).err(), Some(Exit::Usage), "{line}");
        }
        assert_eq!(read("pushd --version").err(), Some(Exit::Ok));
        assert_eq!(read("pushctl sync --help").err(), Some(Exit::Ok));
    }
}
