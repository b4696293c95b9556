//! The command line. What does not fit ends with exit 64, and no option is accepted that does nothing.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use kit::Exit;
use kit::log::{Format, Level};
use kit::units;

use crate::config::{DEFAULT_FILE, DEFAULT_USERS};
use crate::sessions::AWAY;

/// Takes in what pushd sends, over TLS, and keeps it in modules.
#[derive(Debug, Parser)]
#[command(name = "recvd", arg_required_else_help = true, subcommand_required = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
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
    /// Serve in the foreground
    Run(ConfigArgs),
    /// Check the configuration, the users, the keys and the folders of the modules
    Check(CheckArgs),
    /// Set a user's password, from the terminal or one line of stdin
    Passwd(PasswdArgs),
    /// Make a self-signed certificate and its key
    Cert(CertArgs),
    /// Give a folder to another host: who had it stays away for 2 minutes
    Release(ReleaseArgs),
}

/// How long whoever had a folder stays away, in words.
pub fn away() -> String {
    units::counted(AWAY.as_secs() / 60, "minute", "minutes")
}

/// Options of `recvd release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub config: PathBuf,
    /// The module, or a folder in it
    #[arg(value_name = "MODULE[:FOLDER]")]
    pub place: String,
}

/// Options of `recvd check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub config: PathBuf,
    /// One JSON object on stdout, with what is wrong too
    #[arg(long)]
    pub json: bool,
}

/// Options of `recvd run`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub config: PathBuf,
}

/// Options of `recvd passwd`.
#[derive(Debug, Args)]
pub struct PasswdArgs {
    /// The file that holds the users
    #[arg(long, value_name = "FILE", default_value = DEFAULT_USERS)]
    pub users_file: PathBuf,
    /// Whose password to set; a new user is added
    #[arg(value_name = "USER", required_unless_present_any = ["remove", "list"])]
    pub user: Option<String>,
    /// Remove this user
    #[arg(long, value_name = "USER", conflicts_with = "user")]
    pub remove: Option<String>,
    /// Print the names of all users
    #[arg(long, conflicts_with_all = ["user", "remove"])]
    pub list: bool,
}

/// Options of `recvd cert`.
#[derive(Debug, Args)]
pub struct CertArgs {
    /// The folder for cert.pem and key.pem; it is made if it is missing
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// A name or IP address by which pushd dials this host; may be given several times
    #[arg(long = "name", value_name = "HOST", required = true)]
    pub names: Vec<String>,
}

/// Reads the command line. The error is the exit of a command line that asked for help, or that does not fit, which has
/// been told. The program answers to a second name, as pushd does.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, Exit> {
    kit::cli::parse(&["recvd", "recvctl"], words)
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
    fn help_says_how_long_who_had_a_folder_stays_away() {
        let command = Cli::command();
        let about = command.find_subcommand("release").unwrap().get_about().unwrap().to_string();
        assert!(about.ends_with(&format!("for {}", away())), "{about}");
    }

    #[test]
    fn commands_of_the_contract() {
        for line in [
            "recvd run",
            "recvd run --config /x.toml --log-level debug --log-format json",
            "recvctl check --config x",
            "recvd check --json",
            "recvd passwd web",
            "recvd passwd --users-file f web",
            "recvd passwd --remove web",
            "recvd passwd --users-file f --list",
            "recvd cert --dir d --name a --name 192.0.2.1",
            "recvctl release www",
            "recvctl release www:web1/a --config x",
        ] {
            assert!(read(line).is_ok(), "{line}");
        }
        let Command::Run(args) = read("recvd run").unwrap().command else { panic!() };
        assert_eq!(args.config, PathBuf::from(DEFAULT_FILE));
    }

    #[test]
    fn what_does_not_fit_is_usage() {
        for line in [
            "recvd",
            "recvd serve",
            "recvd passwd",
            "recvd passwd web --list",
            "recvd passwd web --password x",
            "recvd passwd web --config x",
            "recvd cert --dir d",
            "recvd cert --name a",
            "recvd run --log-level loud",
            "recvd status",
            "recvctl release",
            "recvctl release a b",
        ] {
            assert_eq!(read(line).err(), Some(Exit::Usage), "{line}");
        }
        assert_eq!(read("recvd --version").err(), Some(Exit::Ok));
        assert_eq!(read("recvd passwd --help").err(), Some(Exit::Ok));
    }
}
