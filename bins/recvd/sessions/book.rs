//! The leases of a module on its disk, in `.recvd-leases` in its root: what makes a session continue over a restart of recvd,
//! and a power cut.
//!
//! ARGUMENT. *Continued* says that what was acknowledged in the sender's last session still stands. What is acknowledged
//! survives a power cut with durability `batch`; with `none` it is of one start of the host, whose name stands in the record.
//! That nobody else wrote is said by the record being there: whoever begins to write has his own in its place, on the disk,
//! before his first operation is taken in. So a power cut can bring back an older record only where nobody has written since
//! under another. A copy of the module has another inode or birth; one that was brought back to an older state is behind the
//! number that recvd keeps of it in its `state_dir`.
//!
//! A token that cannot be written down is not given where an older record of its session's peer stands: that peer goes on with
//! the one that it has, and is known by it after a restart as well.
//!
//! LIMIT: such a session leaves nothing on the disk. A copy of the host that has the same token, and writes in one, is not told
//! from the host after a restart of recvd.
//!
//! LIMIT: that number rises with each change of a lease, and a change is made at least every ten minutes of a session. A state
//! that is younger, and is brought back after recvd was killed or the power failed, is not seen to be one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proto::RelPath;
use sys::slots::Stored;
use sys::{RootId, Slots, Tree};
use tracing::warn;

use super::leases::Leases;
use super::record::{self, Record, Shown};
use super::{Claim, leases};

/// The name of the file.
const NAME: &str = ".recvd-leases";

/// Beyond so many records that may stand in it, all may.
const STANDING: usize = 4 * leases::MOST;

/// The file of one module, as far as it is open.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The root that it was read in.
    root: Option<RootId>,
    slots: Option<Slots>,
    /// The records that may stand in it: of the last write, and of those that have failed since.
    standing: Vec<Record>,
    /// How far it is known to have been.
    least: u64,
    /// The state of the leases that it has.
    pub saved: u64,
    /// What was said last, while it is so.
    trouble: Option<String>,
}

/// What has changed since leases were written down last.
#[derive(Debug)]
pub(super) enum Changed {
    /// A session begins, which takes the place of all that overlap with it.
    Begun(Box<Claim>),
    /// A folder was released.
    Freed(RelPath),
    /// Something of one that stays whose it is, or that was given back.
    Details,
}

/// A lease could not be written down.
#[derive(Debug)]
pub(super) struct Unwritten {
    /// Whether an older one may be found after a restart.
    pub stale: bool,
    /// Whether one may be found then that knows the peer of the session by what it has shown, and not by what it is given.
    pub forgets: bool,
}

/// Where recvd remembers how far the leases of a module were.
pub(super) fn reminder(state_dir: &Path, module: &str) -> PathBuf {
    let digest = proto::digest::of(&[], &[], module.as_bytes());
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    state_dir.join(format!("{name}.leases"))
}

impl Book {
    /// Whether it was read in this root.
    pub(super) fn is_of(&self, root: RootId) -> bool {
        self.root == Some(root)
    }

    /// Reads what an earlier recvd has left in this root. What cannot be read is as if nothing were known. Blocks.
    pub(super) fn read(&mut self, tree: &Tree, id: RootId, module: &str, reminder: &Path) -> Leases {
        let remembered = remembered(reminder);
        let least = remembered.unwrap_or(0);
        *self = Book { root: Some(id), least, ..Book::default() };
        let (slots, found) = match Slots::open(tree, NAME) {
            Ok(opened) => opened,
            Err(error) => (None, Stored::Foreign(error.to_string())),
        };
        self.slots = slots;
        let read = match found {
            Stored::Nothing => Ok(None),
            Stored::Content(bytes) => record::read(&bytes).map(Some),
            Stored::Foreign(why) => Err(why),
        };
        let number = self.slots.as_ref().map_or(0, Slots::number);
        let ignored = |why: &str| {
            warn!(
                "module {module}: nothing is known of who wrote there last, and all sources are compared anew: {NAME} {why}"
            );
        };
        match read {
            Ok(None) => Leases::default(),
            Err(why) => {
                ignored(&format!("cannot be used: {why}"));
                Leases::default()
            }
            Ok(Some(_)) if number < least => {
                ignored("is older than it was: was the module brought back to an earlier state?");
                Leases::default()
            }
            Ok(Some((epoch, mut records))) => {
                self.standing.clone_from(&records);
                if remembered.is_none() {
                    // It may have been brought back, too.
                    records.iter_mut().for_each(|record| record.folder_id = None);
                }
                Leases::found(epoch, records)
            }
        }
    }

    /// Writes them down; on return they survive a power cut. Where that fails, and an older record would say what is not so any
    /// more, all of them are taken away. Blocks.
    pub(super) fn write(
        &mut self,
        tree: &dyn Fn() -> Option<Arc<Tree>>,
        (bytes, records): (&[u8], Vec<Record>),
        changed: &Changed,
        (module, reminder): (&str, &Path),
    ) -> Result<(), Unwritten> {
        if self.slots.is_none() && matches!(changed, Changed::Details) {
            // It could not be made when the session began. To make it amid its work could take the root's mtime back.
            return Err(Unwritten { stale: false, forgets: false });
        }
        let opened = tree().ok_or_else(|| std::io::Error::other("the module's folder cannot be opened"));
        let written = opened.and_then(|tree| {
            let slots = self.slots(&tree)?;
            slots.write(&tree, bytes)?;
            Ok(slots.number())
        });
        match written {
            Ok(number) => {
                self.standing = records;
                let reminded = sys::paths::leave_word(reminder, number.to_string().as_bytes());
                self.tell(module, reminded.err().map(|error| format!("{}: {error}", reminder.display())));
                Ok(())
            }
            Err(error) => {
                self.tell(module, Some(format!("{NAME} cannot be written: {error}")));
                let forgets = self.knows(changed);
                self.may_have(records);
                let is_stale = self.contradicts(changed);
                let cleared =
                    is_stale && tree().zip(self.slots.as_mut()).is_some_and(|(tree, slots)| slots.clear(&tree).is_ok());
                if cleared {
                    self.standing.clear();
                }
                let stale = is_stale && !cleared;
                Err(Unwritten { stale, forgets: forgets && !cleared })
            }
        }
    }

    /// Whether a record that may stand in it would say what is not so any more: that a folder is somebody's who has lost it.
    /// What leases were in memory before says nothing: one may have gone from there and not from the disk.
    fn contradicts(&self, changed: &Changed) -> bool {
        let is_lost = |record: &Record| match changed {
            Changed::Begun(claim) => record.overlaps(&claim.folder) && record.shown_by(claim) == Shown::Nothing,
            Changed::Freed(folder) => record.overlaps(folder),
            Changed::Details => false,
        };
        let is_known = self.standing.len() <= STANDING || matches!(changed, Changed::Details);
        !is_known || self.standing.iter().any(is_lost)
    }

    /// Whether a record that may stand in it is of the one that begins.
    fn knows(&self, changed: &Changed) -> bool {
        let Changed::Begun(claim) = changed else { return false };
        self.standing.iter().any(|record| record.shown_by(claim) != Shown::Nothing)
    }

    /// A write has failed: these records stand in it, or those before. In a file that could not be made stand none.
    fn may_have(&mut self, records: Vec<Record>) {
        if self.slots.is_none() {
            return;
        }
        for record in records {
            if self.standing.len() <= STANDING && !self.standing.contains(&record) {
                self.standing.push(record);
            }
        }
    }

    fn slots(&mut self, tree: &Tree) -> std::io::Result<&mut Slots> {
        let slots = match self.slots.take() {
            Some(slots) => slots,
            None => Slots::make(tree, NAME)?,
        };
        let slots = self.slots.insert(slots);
        slots.begin_above(self.least);
        Ok(slots)
    }

    /// Says what is wrong, once.
    fn tell(&mut self, module: &str, trouble: Option<String>) {
        if let Some(sentence) = trouble.as_ref().filter(|_| self.trouble != trouble) {
            warn!("module {module}: after a restart of recvd its sources are compared anew: {sentence}");
        }
        self.trouble = trouble;
    }
}

fn remembered(reminder: &Path) -> Option<u64> {
    sys::read_config(reminder).ok()?.trim().parse().ok()
}
