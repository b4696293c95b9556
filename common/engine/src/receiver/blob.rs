//! Contents that travel in pieces, none over another: one temporary each, checked against the sender's hash. Pieces that stand
//! at the backup already are copied by the pool; the sender's hash says that it has them too.
//!
//! Called by the intake only. The temporary is made for the first piece, or for the `Put` of a blob without any, and a basis is
//! opened when all that came with the question is read: to open blobs and drop them again costs nothing on the disk. Where a
//! temporary cannot be written, the rest of the blob is read and dropped, for the sender is sending it already. Its `Put` gets
//! the outcome.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proto::digest::Transcript;
use proto::limits::{BACKLOG, BLOBS};
use proto::{Outcome, RelPath, ToSender};
use sys::StagedFile;

use super::basis::{Backlog, Basis, Built, Copying, Draft, Signing};
use super::memory::Retained;
use super::pieces::{Pieces, Wrong};
use super::pool::Pool;
use super::signatures::Recorder;
use super::{Grant, outcome};
use crate::channel::{self, Outlet};

#[derive(Debug)]
pub(super) struct Blobs<'a> {
    open: HashMap<u32, Blob>,
    /// Blobs of which a basis was asked for that is not looked for yet, in the order in which they were.
    asked: Vec<u32>,
    grant: &'a Grant,
    pool: &'a Pool,
    retained: &'a Retained,
    outlet: Outlet,
    backlog: Backlog,
}

struct Blob {
    size: u64,
    pieces: Pieces,
    transcript: Transcript,
    /// None before there is anything to write.
    file: Result<Option<Arc<Draft>>, Outcome>,
    asked: Asked,
    /// The basis that serves.
    basis: Option<Arc<Basis>>,
    /// Makes the signature of the new version, if there is a basis and it is not too much work.
    recorder: Option<Recorder>,
}

/// Whether a basis was asked for.
enum Asked {
    Not,
    /// It is not looked for yet.
    For(RelPath),
    Looked,
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob").field("size", &self.size).field("pieces", &self.pieces).finish_non_exhaustive()
    }
}

/// What a blob has become when its `Put` comes: the file, and what it was built from.
type Content = (StagedFile, Option<Built>);

/// A longer path of a basis is not kept until all is read that came with it.
const KEPT: usize = 1024;

/// What the peer did against the protocol, in words that follow on "the peer".
pub(super) type Breach = String;

impl<'a> Blobs<'a> {
    pub(super) fn new(grant: &'a Grant, pool: &'a Pool, retained: &'a Retained, outlet: Outlet) -> Blobs<'a> {
        Blobs { open: HashMap::new(), asked: Vec::new(), grant, pool, retained, outlet, backlog: Backlog::default() }
    }

    pub(super) fn open(&mut self, id: u32, size: u64) -> Result<(), Breach> {
        if self.open.len() >= BLOBS {
            return Err(format!("opened more than {BLOBS} blobs at a time"));
        }
        let Entry::Vacant(place) = self.open.entry(id) else {
            return Err(format!("opened blob {id} twice"));
        };
        let file = match self.grant.limits.too_large(size) {
            Some(outcome) => Err(outcome),
            None => Ok(None),
        };
        place.insert(Blob {
            size,
            pieces: Pieces::default(),
            transcript: Transcript::new(),
            file,
            asked: Asked::Not,
            basis: None,
            recorder: None,
        });
        Ok(())
    }

    /// The sender wants to know what of this file is there.
    pub(super) fn basis(&mut self, id: u32, path: &RelPath) -> Result<(), Breach> {
        let Some(blob) = self.open.get_mut(&id) else {
            return Err(format!("asked for a basis of blob {id}, which is not open"));
        };
        if !blob.pieces.is_empty() || !matches!(blob.asked, Asked::Not) {
            return Err(format!("asked for a basis of blob {id} too late, or twice"));
        }
        blob.asked = Asked::For(path.clone());
        self.asked.push(id);
        if path.as_bytes().len() > KEPT {
            self.look();
        }
        Ok(())
    }

    /// Looks for all bases that were asked for.
    pub(super) fn look(&mut self) {
        for id in std::mem::take(&mut self.asked) {
            self.look_for(id);
        }
    }

    fn look_for(&mut self, id: u32) {
        let Some(blob) = self.open.get_mut(&id) else { return };
        let Asked::For(path) = std::mem::replace(&mut blob.asked, Asked::Looked) else { return };
        let signatures = &self.grant.signatures;
        let found = blob
            .file
            .is_ok()
            .then(|| Basis::open(&self.grant.replica, &path, signatures, self.retained.no_extra()))
            .flatten();
        match found {
            Some((basis, rest)) => {
                blob.recorder = Recorder::new(blob.size, basis.size(), self.retained.no_extra());
                blob.basis = Some(basis.clone());
                let way = (self.retained.clone(), self.outlet.clone());
                self.pool.sign(Signing::new(id, (basis, rest), way, signatures.clone()));
            }
            None => self.say(&ToSender::Signature { id, size: 0, chunks: Vec::new(), last: true }),
        }
    }

    /// Chunks of the basis are the next piece.
    pub(super) fn copy(&mut self, id: u32, offset: u64, first: u32, count: u32) -> Result<(), Breach> {
        let Some(blob) = self.open.get_mut(&id) else {
            return Err(format!("copied into blob {id}, which is not open"));
        };
        let named = blob.basis.clone().and_then(|basis| Some((basis.chunks(first, count)?, basis)));
        let Some(((range, chunks), basis)) = named else {
            return Err(format!("copied chunks into blob {id} that its basis is not known to have"));
        };
        let bytes = range.end - range.start;
        blob.takes(id, (offset, bytes), Pieces::copy)?;
        if self.backlog.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > BACKLOG {
            return Err(format!("wants more than {BACKLOG} bytes to be copied at a time"));
        }
        blob.transcript.copy(offset, bytes, chunks.iter().map(|(_, hash)| hash.proof));
        blob.recorder.take_if(|recorder| !recorder.copy(offset, &range, &chunks));
        match blob.draft(self.grant) {
            Ok(draft) => {
                let (draft, outlet, backlog) = (draft.clone(), self.outlet.clone(), self.backlog.clone());
                self.pool.copy(Copying { id, draft, basis, range, offset, bytes, outlet, backlog });
            }
            Err(_) => {
                self.backlog.fetch_sub(bytes, Ordering::Relaxed);
                self.say(&ToSender::Copied { id, bytes });
            }
        }
        Ok(())
    }

    /// Waits while the outbox is full: the peer reads it whatever else it does. Where it is closed, the next wait for frames
    /// notices that.
    fn say(&self, message: &ToSender) {
        let _ = self.outlet.send(channel::frame(message));
    }

    pub(super) fn data(&mut self, id: u32, offset: u64, bytes: &[u8]) -> Result<(), Breach> {
        // The signature of the new version begins with its first bytes.
        self.look();
        let Some(blob) = self.open.get_mut(&id) else {
            return Err(format!("sent data for blob {id}, which is not open"));
        };
        blob.takes(id, (offset, bytes.len() as u64), Pieces::data)?;
        let Ok(draft) = blob.draft(self.grant) else { return Ok(()) };
        match draft.file.write_at(bytes, offset) {
            Ok(()) => {
                blob.transcript.update(offset, bytes);
                blob.recorder.take_if(|recorder| !recorder.data(offset, bytes));
            }
            // The temporary goes at once: what filled the disk must not stay until the sender is through.
            Err(error) => blob.file = Err(outcome::staging(&error)),
        }
        Ok(())
    }

    /// Returns whether it had a temporary.
    pub(super) fn discard(&mut self, id: u32) -> Result<bool, Breach> {
        let Some(blob) = self.open.remove(&id) else {
            return Err(format!("dropped blob {id}, which is not open"));
        };
        let Blob { file, asked, .. } = blob;
        let staged = matches!(file, Ok(Some(_)));
        drop(file);
        self.let_go(id, &asked);
        Ok(staged)
    }

    /// Nobody wants a signature of its basis any more, or the rest of one.
    fn let_go(&mut self, id: u32, asked: &Asked) {
        match asked {
            Asked::Not => {}
            Asked::For(_) => self.asked.retain(|asked| *asked != id),
            Asked::Looked => self.pool.forget(id),
        }
    }

    /// The content for a `Put` of `size` bytes, and how it was built, if it was.
    pub(super) fn take(&mut self, id: u32, size: u64, hash: &[u8; 32]) -> Result<Result<Content, Outcome>, Breach> {
        let Some(mut blob) = self.open.remove(&id) else {
            return Err(format!("put blob {id}, which is not open"));
        };
        if blob.size != size {
            return Err(format!("put a file of {size} bytes with blob {id} of {} bytes", blob.size));
        }
        self.let_go(id, &blob.asked);
        let draft = match blob.draft(self.grant) {
            Ok(draft) => draft,
            Err(outcome) => return Ok(Err(outcome)),
        };
        blob.file = Ok(None);
        let Ok(draft) = Arc::try_unwrap(draft) else {
            return Err(format!("put blob {id} before all of it was copied"));
        };
        if blob.transcript.finish() != *hash {
            return Ok(Err(outcome::failed("content damaged on its way")));
        }
        if blob.basis.as_ref().is_some_and(|basis| !basis.is_unchanged()) {
            return Ok(Err(outcome::failed("what it is built from was changed at the backup meanwhile")));
        }
        let built = blob.basis.map(|from| {
            let signature =
                blob.recorder.and_then(|recorder| recorder.finish(size, |range, hash| from.chunk(range, hash)));
            Built { from, signature }
        });
        Ok(draft.finish().map(|file| (file, built)))
    }
}

impl Blob {
    /// The temporary, which is made when it is needed first.
    fn draft(&mut self, grant: &Grant) -> Result<Arc<Draft>, Outcome> {
        if let Some(draft) = self.file.clone()? {
            return Ok(draft);
        }
        let made = grant.replica.file(self.size).map(Draft::new).map_err(|error| outcome::staging(&error));
        self.file = made.clone().map(Some);
        made
    }

    /// One more piece, which must be within the file, and stand over no other.
    fn takes(
        &mut self,
        id: u32,
        (offset, length): (u64, u64),
        take: fn(&mut Pieces, Range<u64>) -> Result<(), Wrong>,
    ) -> Result<(), Breach> {
        let end = offset.checked_add(length).filter(|end| *end <= self.size);
        let end = end.ok_or_else(|| format!("sent data for blob {id} beyond its {} bytes", self.size))?;
        take(&mut self.pieces, offset..end).map_err(|wrong| format!("named pieces of blob {id} {wrong}, at {offset}"))
    }
}
