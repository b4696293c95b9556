//! recvd: takes in what pushd sends, and keeps it in modules.
//!
//! Here only the command line is read, logging begun and the command called. Each command is a module that returns an
//! [`Exit`]; nobody else ends the process.
#![forbid(unsafe_code)]

mod auth;
mod cert;
mod check;
mod cli;
mod config;
mod control;
mod disks;
mod handshakes;
mod listen;
mod modules;
mod network;
mod openness;
mod outcome;
mod passwd;
mod penalties;
mod repeats;
mod run;
mod serve;
mod sessions;
mod sources;
mod state;
mod users;

use cli::{Cli, Command};
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
    match cli.command {
        Command::Run(args) => run::run(&args.config),
        Command::Check(args) => check::check(&args),
        Command::Passwd(args) => passwd::passwd(&args),
        Command::Cert(args) => cert::cert(&args),
        Command::Release(args) => control::release(&args),
    }
}
