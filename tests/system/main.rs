//! The two programs together, as a person sees them: commands, files, exit codes. One binary, so that it links once.
//!
//! `RIG_DIR` is where scratch folders stand, `RIG_TIMEOUT` the patience in seconds, `RIG_KEEP=1` leaves a failed test's
//! folder standing, `RIG_LOG` is the daemons' log level, `RIG_PUSHD` and `RIG_RECVD` are other programs to test, and
//! `RIG_DURABILITY` is what a receipt means where a test does not say.
//! The long run of the model is described in `model/mod.rs`.
#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr)]

#[path = "../rig/mod.rs"]
mod rig;

mod access;
mod asking;
mod atomic;
mod beside;
mod brake;
mod busy;
mod commit;
mod crash;
mod crowd;
mod delta;
mod deploys;
mod disks;
mod fidelity;
mod flood;
mod foreign;
mod full;
mod greedy;
mod held;
mod hostile;
mod kept;
mod later;
mod lease_faults;
mod leases;
mod left_out;
mod limits;
mod live;
mod logs;
mod many;
mod memory;
mod mistakes;
mod model;
mod mounts;
mod neighbours;
mod nesting;
mod passes;
mod places;
mod power;
mod problems;
mod renames;
mod rivals;
mod service;
mod targets;
mod unprivileged;
mod unreadable;
