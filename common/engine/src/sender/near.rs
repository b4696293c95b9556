//! What stands at a path at the source. The folder of the last look is held, so that looks that come folder by folder do
//! not each walk its whole path.

use std::collections::HashMap;
use std::io;
use std::iter::successors;
use std::rc::Rc;
use std::sync::Arc;

use proto::{Kind, Name, RelPath};
use sys::{Stat, is_absence};

use super::Session;
use crate::view::{Folder, Spelled, View};

/// A folder that is held open while queued looks are taken, and not longer. Should it be renamed meanwhile, looks that
/// were queued before it was opened are made again anyhow.
#[derive(Debug, Default)]
pub(super) struct Near {
    holds: bool,
    held: Option<Rc<Folder>>,
    /// How the target's disk has the names of folders, where it does not tell all of them apart.
    spelled: HashMap<RelPath, Rc<Spelled>>,
}

impl Near {
    pub fn begin(&mut self) {
        self.holds = true;
    }

    pub fn end(&mut self) {
        *self = Near::default();
    }

    /// How the disk of the target has the names in a folder. Of one that cannot be listed nothing is known.
    pub fn spelled(&mut self, view: &Arc<View>, path: &RelPath) -> Rc<Spelled> {
        if let Some(spelled) = self.spelled.get(path) {
            return Rc::clone(spelled);
        }
        let listed = self.open(view, path).and_then(|folder| {
            let found = if view.disk().case { Vec::new() } else { folder.children()? };
            Ok(Spelled::of(&folder, &found))
        });
        let spelled = Rc::new(listed.unwrap_or_else(|_| Spelled::unknown(*view.disk())));
        if self.holds {
            self.spelled.insert(path.clone(), Rc::clone(&spelled));
        }
        spelled
    }

    pub fn open(&mut self, view: &Arc<View>, path: &RelPath) -> io::Result<Rc<Folder>> {
        if let Some(held) = &self.held
            && held.path() == path
        {
            return Ok(Rc::clone(held));
        }
        let folder = Rc::new(view.folder(path)?);
        if self.holds {
            self.held = Some(Rc::clone(&folder));
        }
        Ok(folder)
    }
}

impl Session<'_> {
    /// The folder that holds an entry, its name there, and what stands there; `None` when nothing does.
    pub(super) fn find(&self, path: &RelPath) -> io::Result<Option<(Rc<Folder>, Name, Stat)>> {
        let Some((parent, name)) = path.split() else { return Ok(None) };
        let folder = match self.near.borrow_mut().open(&self.view, &parent) {
            Ok(folder) => folder,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(folder.look(&name)?.map(|stat| (folder, name, stat)))
    }

    /// The kind of what stands at a path, `None` when nothing does or it cannot be known.
    pub(super) fn kind_here(&self, path: &RelPath) -> Option<Kind> {
        if path.is_root() {
            return Some(Kind::Dir);
        }
        self.find(path).ok().flatten().map(|(_, _, stat)| stat.kind)
    }

    /// The nearest folder above a path that stands here.
    pub(super) fn folder_above(&self, path: &RelPath) -> RelPath {
        let mut above = successors(path.parent(), RelPath::parent);
        above.find(|folder| self.kind_here(folder) == Some(Kind::Dir)).unwrap_or_default()
    }
}
