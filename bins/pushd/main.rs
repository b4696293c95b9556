//! pushd: watches folders and keeps them on backup hosts as they are here.
//!
//! Here only the command line is read, logging begun and the command called. Each command is a module that returns an
//! [`Exit`]; nobody else ends the process.
#![forbid(unsafe_code)]

mod answers;
mod backoff;
mod barrier;
mod blocked;
mod board;
mod check;
mod cli;
mod config;
mod control;
mod ending;
mod errand;
mod hangs;
mod headline;
mod held;
mod identity;
mod lane;
mod mounts;
mod nesting;
mod report;
mod run;
mod source;
mod status;
mod sync;
mod tries;
mod unwatched;
mod watch;
mod watching;

use cli::{Cli, Command};
use config::Config;
use kit::{Exit, out};

fn main() -> Exit {
    sys::process::keep_freed_memory();
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    kit::log::init(cli.log_level, cli.log_format);
    out::finish(dispatch(cli))
}

fn dispatch(cli: Cli) -> Exit {
    if matches!(cli.command, Command::Run | Command::Sync(_) | Command::Check(_)) {
        kit::limits::raise_open_files();
    }
    match cli.command {
        Command::Run => with_config(&cli.config, run::run),
        Command::Sync(args) => with_config(&cli.config, |config| sync::sync(config, &args)),
        Command::Check(args) => check::check(&cli.config, &args),
        Command::Status(args) => control::status(&cli.config, &args),
        Command::Release(args) => control::release(&cli.config, args),
        Command::Resync(args) => control::resync(&cli.config, args),
        Command::Wait(args) => control::wait_for_all(&cli.config, &args),
    }
}

/// Loads the configuration, or tells all that is wrong with it.
fn with_config(path: &std::path::Path, command: impl FnOnce(Config) -> Exit) -> Exit {
    match Config::load(path) {
        Ok(config) => {
            for warning in &config.warnings {
                tracing::warn!("{warning}");
            }
            command(config)
        }
        Err(complaints) => {
            out::complain(complaints);
            Exit::Config
        }
    }
}
