//! The login as two machines without I/O: each state is consumed by the step that leaves it.
//!
//! `link` runs the client's side, recvd's listener the server's. A step takes the peer's frame (without its length) or
//! gives the message to send with [`codec::put`](crate::codec::put); nothing here waits or checks a password.
//!
//! ```text
//! client                                             server
//! ClientHello::start ─ Hello ──────────────────────▶ AwaitHello::hello
//! AwaitWelcome::welcome ◀────────────── Welcome ─────┘
//! ReadyToLogin::login ─ Login ─────────────────────▶ AwaitLogin::login      (the caller checks user and password)
//! AwaitAccepted::accepted ◀──────────── Accepted ──── Deciding::accept
//! ReadyToOpen::open ─ Open ────────────────────────▶ AwaitOpen::open        (the caller looks for the module)
//! AwaitOpened::opened ◀──────────────── Opened ────── the caller's
//! ```
//! In place of each of its messages the server may send a [`Refusal`](crate::login::Refusal) and close.

mod client;
mod server;

pub use client::{
    Agreed, AwaitAccepted, AwaitOpened, AwaitWelcome, ClientHello, LoginError, ReadyToLogin, ReadyToOpen, Unfit,
};
pub use server::{AwaitHello, AwaitLogin, AwaitOpen, Deciding};

/// The highest version that two ranges share.
fn meet(ours: (u16, u16), theirs: (u16, u16)) -> Option<u16> {
    let (low, high) = (ours.0.max(theirs.0), ours.1.min(theirs.1));
    (low <= high).then_some(high)
}

#[cfg(test)]
mod tests;
