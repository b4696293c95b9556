//! The wire: TLS, framing, the login, and the one loop that moves frames between a connection and the channels of a
//! role. The only crate that names rustls. Knows no files, no users and no configuration.
//!
//! The main path: [`tls`] (at start) → [`dial`](mod@dial) or [`accept`] (one connection, through the login) →
//! [`drive`](mod@drive) (until it ends).
#![forbid(unsafe_code)]

pub mod accept;
pub mod address;
mod certificate;
pub mod connection;
pub mod dial;
pub mod drive;
pub mod fingerprint;
mod pem;
mod prompt;
mod sentence;
pub mod tls;
mod trust;
pub mod turns;
mod verify;

pub use address::Address;
pub use connection::{Connection, Line, Meter};
pub use dial::{DialError, Target, dial, policy};
pub use drive::{Deliver, Disconnect, Drive, Free, Lend, drive, drive_stream, freely};
pub use fingerprint::Fingerprint;
pub use tls::{ClientTls, ServerTls, TlsError, Trust, client_config, server_config};
pub use turns::Turns;
