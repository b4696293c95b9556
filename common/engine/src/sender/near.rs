//! The folder of the last look, so that looks that come folder by folder do not each walk its whole path.

use std::io;
use std::rc::Rc;

use proto::RelPath;
use sys::{Dir, Tree};

/// Held while queued looks are taken. Only for looks that were queued before it was opened: should the folder be renamed
/// meanwhile, they are in doubt anyhow.
#[derive(Debug, Default)]
pub(super) struct Near {
    holds: bool,
    held: Option<(RelPath, Rc<Dir>)>,
}

impl Near {
    pub fn begin(&mut self) {
        self.holds = true;
    }

    pub fn end(&mut self) {
        *self = Near::default();
    }

    pub fn open(&mut self, tree: &Tree, path: &RelPath) -> io::Result<Rc<Dir>> {
        if let Some((held, dir)) = &self.held
            && held == path
        {
            return Ok(Rc::clone(dir));
        }
        let dir = Rc::new(tree.dir(path)?);
        if self.holds {
            self.held = Some((path.clone(), Rc::clone(&dir)));
        }
        Ok(dir)
    }
}
