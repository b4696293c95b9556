//! What the system tests stand on: scratch folders, the two programs as processes, a proxy that breaks links, a zoo of
//! entries and a comparison that ignores nothing. Knows the programs only from outside: commands, files, exit codes; but
//! for `peer`, which speaks to them.
#![allow(dead_code)]

pub mod compare;
pub mod fs;
mod fuse;
pub mod later;
pub mod mounted;
pub mod pair;
pub mod peer;
pub mod process;
pub mod proxy;
pub mod rng;
pub mod scratch;
pub mod states;
pub mod zoo;

use std::time::{Duration, Instant};

/// How long a test waits for what must happen in the end. No test asserts a speed with it.
/// `RIG_TIMEOUT` (seconds) overrides it.
pub fn patience() -> Duration {
    let seconds = std::env::var("RIG_TIMEOUT").ok().and_then(|s| s.parse().ok()).unwrap_or(90);
    Duration::from_secs(seconds)
}

/// Whether the tests run with the rights of root; says which test is left out where they do not.
pub fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("LEFT OUT: {test} needs root");
    }
    root
}

/// Looks again and again until `what` holds; panics with `name` when it does not within [`patience`].
pub fn eventually(name: &str, mut what: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience();
    while !what() {
        assert!(Instant::now() < deadline, "did not happen within {:?}: {name}", patience());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether `what` stays true for `span`.
pub fn stays(span: Duration, mut what: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + span;
    while Instant::now() < end {
        if !what() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}
