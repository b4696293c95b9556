//! A receiver on a thread, driven through its channels with encoded messages, against a folder on disk.

mod basis;
mod blobs;
mod displacement;
mod folders;
mod foreign;
mod inexact;
mod links;
mod marks;
mod modes;
mod moves;
mod names;
mod order;
mod packed;
mod parts;
mod retained;
mod rig;
mod room;
mod sessions;
mod spared;
mod theft;
mod verdicts;
