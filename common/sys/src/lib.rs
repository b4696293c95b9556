//! The hands: everything that touches the kernel or the disk.
//!
//! The only crate that says `rustix`, `libc`, `std::fs` or `inotify`. It decides nothing: it opens, reads, stages,
//! publishes and flushes what the engine tells it to, and promises that no operation leaves the folder it was given,
//! follows a link, blocks on a FIFO or shows a half-made entry under its name.
//!
//! The main path: [`Tree`] (a held root) → [`Dir`] (a held folder, single names) → [`Stage`] (temporaries) →
//! [`Staged::publish`] → [`durable`].
#![deny(unsafe_code)]

pub mod calls;
mod clone;
mod count;
pub mod cwd;
pub mod dir;
pub mod durable;
pub mod enclosure;
mod far;
pub mod faults;
pub mod file;
pub mod found;
pub mod inotify;
mod listing;
mod metadata;
mod mounts;
mod moves;
pub mod paths;
pub mod place;
pub mod process;
mod procfs;
mod remove;
mod resolve;
mod room;
pub mod secret;
pub mod slots;
pub mod socket;
pub mod stage;
pub mod stat;
pub mod stderr;
pub mod terminal;
pub mod tree;
mod xattr;

#[cfg(test)]
mod tests;

pub use self::inotify::Inotify;
pub use dir::{Child, Dir, Extra};
pub use durable::Durable;
pub use enclosure::Enclosure;
pub use far::{far_beneath, learn_far, probe, set_silent};
pub use file::File;
pub use found::Found;
pub use metadata::is_passing;
pub use mounts::{Changes, MountId, mounts_beneath};
pub use paths::{
    canonical, could_make, create_private_dir, exists, is_dir, read_config, remove_socket, replace, write_new,
};
pub use place::Place;
pub use resolve::is_absence;
pub use room::Lack;
pub use secret::{SecretError, read_secret};
pub use slots::Slots;
pub use stage::{Stage, Staged, StagedFile};
pub use stat::{Birth, Stat};
pub use tree::{FolderId, Mounts, Resolve, RootId, Tree, identity_at};
