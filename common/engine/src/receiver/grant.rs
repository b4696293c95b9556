//! What a session is given: the folder, the rules of the module, and what all sessions of the module share.

use std::sync::Arc;

use proto::login::Durability;
use proto::{Outcome, Version};

use super::disk::Disk;
use super::guesses::Guesses;
use super::memory::Memory;
use super::outcome;
use super::signatures::Signatures;
use crate::view::Replica;

/// What one session may write to, and how.
#[derive(Debug)]
pub struct Grant {
    /// The folder that is given to the peer; opened for this session alone, so that an error of the disk is told to it.
    pub replica: Arc<Replica>,
    /// Whether a receipt says that something is visible, or that it survives a power cut.
    pub durability: Durability,
    /// Bounds that the operator has set; no peer can pass them.
    pub limits: Limits,
    /// What is known of files of this backup and others.
    pub signatures: Arc<Signatures>,
    /// Whether the disk takes what it is given; one for all sessions of a module.
    pub disk: Arc<Disk>,
    /// How often its user may hear that a file is another than it says; one for all its sessions in the module.
    pub guesses: Arc<Guesses>,
    /// What all sessions of the service may hold in memory.
    pub memory: Memory,
    /// The protocol's, by which the sender's frames are read.
    pub version: Version,
}

impl Grant {
    /// For a session that shares nothing with others and has no bounds, in the latest version of the protocol.
    pub fn alone(replica: Arc<Replica>, durability: Durability) -> Grant {
        let (limits, signatures, disk, guesses, memory, version) = Default::default();
        Grant { replica, durability, limits, signatures, disk, guesses, memory, version }
    }
}

/// Bounds that the operator sets for a module.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Largest file in bytes; a larger one is refused.
    pub max_file_size: Option<u64>,
}

impl Limits {
    /// The refusal for a file of that many bytes, if it is too large.
    pub(super) fn too_large(&self, size: u64) -> Option<Outcome> {
        let max = self.max_file_size.filter(|max| size > *max)?;
        Some(outcome::refused(format!("{size} bytes are more than the module's max_file_size of {max} bytes")))
    }
}
