//! The folders that a batch works in. They are held open while it lasts, and get their mtimes back at its end: whatever
//! comes or goes in a folder changes its mtime here, but the sender says which one it has.
//!
//! Nothing is held from one batch to the next: what someone else renames or removes here is noticed after one batch.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use proto::{Kept, Name, RelPath, Time};

use crate::view::{Folder, Replica};

/// Most folders that are held open, and most that are touched before the batch is sealed.
pub(super) const FOLDERS: usize = 256;

/// A folder that the batch works in.
#[derive(Debug)]
pub(super) struct Held {
    folder: Folder,
    /// Whether all can be done in it, whatever its mode.
    wide: Cell<bool>,
    /// The mtime that it is to have at the end, once it was touched.
    mtime: Cell<Option<Time>>,
    touched: Cell<bool>,
    /// The operation that touched it last.
    op: Cell<u64>,
}

impl Deref for Held {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

/// A folder could not be given its mtime at the end of a batch.
#[derive(Debug)]
pub(super) struct Unrestored {
    /// An operation that touched it.
    pub op: u64,
    pub error: io::Error,
}

#[derive(Debug)]
pub(super) struct Folders {
    replica: Arc<Replica>,
    mtimes: bool,
    /// At most [`FOLDERS`], by path, and those that were touched.
    held: HashMap<Box<[u8]>, Rc<Held>>,
    /// The one that was used last, with its path: most operations come folder by folder.
    last: Option<(Box<[u8]>, Rc<Held>)>,
    touched: Vec<Rc<Held>>,
    /// Number of the operation that is carried out now.
    op: u64,
    unrestored: Vec<Unrestored>,
}

impl Folders {
    pub(super) fn new(replica: Arc<Replica>) -> Folders {
        let mtimes = replica.view().keeps(Kept::Mtime);
        let (held, touched, unrestored) = (HashMap::new(), Vec::new(), Vec::new());
        Folders { replica, mtimes, held, last: None, touched, op: 0, unrestored }
    }

    /// What is touched from now on is touched by this operation.
    pub(super) fn begin(&mut self, op: u64) {
        self.op = op;
    }

    /// The folder that holds `path`, and its name there. Not for the root.
    pub(super) fn parent(&mut self, path: &RelPath) -> io::Result<(Rc<Held>, Name)> {
        let bytes = path.as_bytes();
        let cut = bytes.iter().rposition(|b| *b == b'/');
        let (parent, name) = cut.map_or((&b""[..], bytes), |at| (&bytes[..at], &bytes[at + 1..]));
        let name = Name::parse(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok((self.open_bytes(parent)?, name))
    }

    /// The folder at `path`, opened if it is not held yet.
    pub(super) fn open(&mut self, path: &RelPath) -> io::Result<Rc<Held>> {
        self.open_bytes(path.as_bytes())
    }

    fn open_bytes(&mut self, path: &[u8]) -> io::Result<Rc<Held>> {
        if let Some((last, folder)) = &self.last
            && **last == *path
        {
            self.open_up(folder)?;
            return Ok(Rc::clone(folder));
        }
        let folder = match self.held.get(path) {
            Some(folder) => Rc::clone(folder),
            None => {
                let parsed =
                    RelPath::parse(path).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
                if parsed.is_root() {
                    // The stage is made in it before its mtime is read, not between that and when it is set.
                    self.replica.prepare()?;
                }
                let folder = self.replica.folder(&parsed)?;
                let (wide, mtime, touched, op) = Default::default();
                let folder = Rc::new(Held { folder, wide, mtime, touched, op });
                if self.held.len() >= FOLDERS {
                    // Those that were touched, or are about to be, must be found again: they are to get their mtimes back.
                    self.held.retain(|_, folder| folder.touched.get() || Rc::strong_count(folder) > 1);
                }
                self.held.insert(path.into(), Rc::clone(&folder));
                folder
            }
        };
        self.open_up(&folder)?;
        self.last = Some((path.into(), Rc::clone(&folder)));
        Ok(folder)
    }

    /// Makes sure that one can look in it: its mode may have been set since it was opened.
    fn open_up(&self, held: &Held) -> io::Result<()> {
        if !held.wide.get() && self.replica.is_shut(held)? {
            self.replica.open_up(held.folder.path())?;
        }
        Ok(())
    }

    /// To be called before a name in the folder appears or vanishes.
    pub(super) fn touch(&mut self, folder: &Rc<Held>) -> io::Result<()> {
        folder.op.set(self.op);
        if !folder.wide.get() {
            self.replica.open_up(folder.path())?;
            folder.wide.set(true);
        }
        if folder.touched.get() {
            return Ok(());
        }
        if self.mtimes {
            folder.mtime.set(Some(folder.stat()?.mtime));
        }
        folder.touched.set(true);
        self.touched.push(Rc::clone(folder));
        Ok(())
    }

    /// The mtime that the sender has said, where work in the folder has changed that on the disk.
    pub(super) fn mtime(&self, folder: &Held) -> Option<Time> {
        folder.mtime.get()
    }

    /// The sender has said which mtime the folder has; its metadata was set in place.
    pub(super) fn made(&mut self, folder: &Rc<Held>, mtime: Time) {
        folder.op.set(self.op);
        folder.wide.set(false);
        if folder.mtime.get().is_some() {
            folder.mtime.set(Some(mtime));
        }
        if !folder.touched.replace(true) {
            // So that the batch flushes it. Its mtime is right, and will be this one again after work in it.
            folder.mtime.set(self.mtimes.then_some(mtime));
            self.touched.push(Rc::clone(folder));
        }
    }

    /// What stood at `path` does not stand there any more: paths there and beneath lead elsewhere now.
    pub(super) fn moved(&mut self, path: &RelPath) {
        self.held.retain(|held, folder| {
            let beneath = within(held, path.as_bytes());
            if beneath {
                self.unrestored.extend(restore(&self.replica, folder));
            }
            !beneath
        });
        if self.last.as_ref().is_some_and(|(last, _)| within(last, path.as_bytes())) {
            self.last = None;
        }
    }

    /// Gives every folder that was touched the mtime that it is to have; returns where that failed, since the last time, in
    /// order of operations.
    pub(super) fn restore(&mut self) -> Vec<Unrestored> {
        self.unrestored.extend(self.touched.iter().filter_map(|folder| restore(&self.replica, folder)));
        self.unrestored.sort_by_key(|unrestored| unrestored.op);
        std::mem::take(&mut self.unrestored)
    }

    /// Those in which a name has changed since the last seal, or that have got metadata.
    pub(super) fn touched(&self) -> &[Rc<Held>] {
        &self.touched
    }

    /// Lets go of all. The mtimes must have been restored.
    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.last = None;
        self.touched.clear();
    }
}

/// Where the receiver has no right to set it, the next comparison of the folder above finds a difference, and the `Make` that
/// follows says why.
fn restore(replica: &Replica, held: &Held) -> Option<Unrestored> {
    let error = replica.give_back_mtime(held, held.mtime.take()?).err()?;
    tracing::debug!(%error, "cannot restore the mtime of a folder");
    sys::is_passing(&error).then(|| Unrestored { op: held.op.get(), error })
}

fn within(path: &[u8], folder: &[u8]) -> bool {
    path.starts_with(folder) && matches!(path.get(folder.len()), None | Some(b'/'))
}
