//! The life of a daemon: command line, configuration, logs, exit codes, signals, readiness, the control socket, the
//! progress line, and threads for work that blocks.
//!
//! Both programs stand on it. It knows nothing of files to mirror, of TLS or of users.
#![forbid(unsafe_code)]

pub mod apart;
pub mod cli;
pub mod config;
pub mod control;
pub mod exit;
pub mod hex;
pub mod limits;
pub mod log;
pub mod out;
pub mod progress;
pub mod readiness;
pub mod stop;
pub mod units;

pub use apart::apart;
pub use exit::Exit;
pub use hex::{hex, unhex};
pub use stop::Stop;
