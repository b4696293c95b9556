//! Contents that travel in pieces: one temporary each, written in rising order, checked against the sender's hash.
//!
//! Called by the intake only. A blob whose temporary cannot be written is followed to its end all the same: the sender
//! is already sending it, and its `Put` gets the outcome.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use proto::Outcome;
use proto::digest::Transcript;
use proto::limits::BLOBS;
use sys::{Stage, StagedFile};

use super::Limits;
use super::verdict;

#[derive(Debug)]
pub(super) struct Blobs {
    open: HashMap<u32, Blob>,
    stage: Arc<Stage>,
    limits: Limits,
}

struct Blob {
    size: u64,
    /// Where the next piece may begin.
    next: u64,
    transcript: Transcript,
    file: Result<StagedFile, Outcome>,
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob").field("size", &self.size).field("next", &self.next).finish_non_exhaustive()
    }
}

/// What the peer did that it must not.
pub(super) type Breach = String;

impl Blobs {
    pub(super) fn new(stage: Arc<Stage>, limits: Limits) -> Blobs {
        Blobs { open: HashMap::new(), stage, limits }
    }

    pub(super) fn open(&mut self, id: u32, size: u64) -> Result<(), Breach> {
        if self.open.len() >= BLOBS {
            return Err(format!("opened more than {BLOBS} blobs at a time"));
        }
        let Entry::Vacant(place) = self.open.entry(id) else {
            return Err(format!("opened blob {id} twice"));
        };
        let file = match self.limits.too_large(size) {
            Some(outcome) => Err(outcome),
            None => self.stage.file(size).map_err(|error| verdict::staging(&error)),
        };
        place.insert(Blob { size, next: 0, transcript: Transcript::new(), file });
        Ok(())
    }

    pub(super) fn data(&mut self, id: u32, offset: u64, bytes: &[u8]) -> Result<(), Breach> {
        let Some(blob) = self.open.get_mut(&id) else {
            return Err(format!("sent data for blob {id}, which is not open"));
        };
        if offset < blob.next {
            return Err(format!("sent data for blob {id} at {offset}, before its last piece ended"));
        }
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= blob.size);
        let Some(end) = end else {
            return Err(format!("sent data for blob {id} beyond its {} bytes", blob.size));
        };
        blob.next = end;
        if let Ok(file) = &blob.file {
            match file.write_at(bytes, offset) {
                Ok(()) => blob.transcript.update(offset, bytes),
                // The temporary goes at once: what filled the disk must not stay until the sender is through.
                Err(error) => blob.file = Err(verdict::staging(&error)),
            }
        }
        Ok(())
    }

    pub(super) fn discard(&mut self, id: u32) -> Result<(), Breach> {
        match self.open.remove(&id) {
            Some(_) => Ok(()),
            None => Err(format!("dropped blob {id}, which is not open")),
        }
    }

    /// The content for a `Put` of `size` bytes.
    pub(super) fn take(&mut self, id: u32, size: u64, hash: &[u8; 32]) -> Result<Result<StagedFile, Outcome>, Breach> {
        let Some(blob) = self.open.remove(&id) else {
            return Err(format!("put blob {id}, which is not open"));
        };
        if blob.size != size {
            return Err(format!("put a file of {size} bytes with blob {id} of {} bytes", blob.size));
        }
        Ok(blob.file.and_then(|file| {
            if blob.transcript.finish() == *hash {
                Ok(file)
            } else {
                Err(verdict::failed("content damaged on its way"))
            }
        }))
    }
}

impl Limits {
    /// The refusal for a file of that many bytes, if it is too large.
    pub(super) fn too_large(&self, size: u64) -> Option<Outcome> {
        let max = self.max_file_size.filter(|max| size > *max)?;
        Some(verdict::refused(format!("{size} bytes are more than the module's max_file_size of {max} bytes")))
    }
}
