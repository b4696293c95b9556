//! From a module to the folder of one peer in it, which is made where it is missing.

use std::io;
use std::sync::Arc;

use proto::{Kept, Kind, Meta, Name, RelPath, Time, Xattrs};
use sys::Tree;

use super::Replica;
use crate::view::{Folder, View};

impl Replica {
    /// The folder at a path as a replica of its own, with the same stage and the same rules. What is missing on the way to it
    /// is made with this mode, and belongs to whom the folder above it belongs.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is reserved; else of the operating system.
    pub fn beneath(self, path: &RelPath, mode: u32) -> io::Result<Replica> {
        let tree = match self.enter(path, mode) {
            // The folder may be ours, with a mode that shuts out even us.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.open_up(path)?;
                let entered = self.enter(path, mode);
                self.stage.narrow()?;
                entered?
            }
            entered => entered?,
        };
        let view = Arc::new(View::of_replica(tree, self.view.keep, self.view.selection));
        let whole = self.whole && path.is_root();
        Ok(Replica { view, whole, protection: self.protection.beneath(path), ..self })
    }

    fn enter(&self, path: &RelPath, mode: u32) -> io::Result<Arc<Tree>> {
        let mut folder = self.view.folder(&RelPath::root())?;
        for name in path.names() {
            folder = self.step_into(&folder, &name, mode)?;
        }
        if path.is_root() { Ok(Arc::clone(&self.view.tree)) } else { Ok(Arc::new(self.tree().beneath(path)?)) }
    }

    /// The folder of that name, made if there is nothing of that name.
    fn step_into(&self, folder: &Folder, name: &Name, mode: u32) -> io::Result<Folder> {
        if folder.leaves_out(name, Kind::Dir).is_some() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("the name {name} is reserved")));
        }
        if folder.look(name)?.is_none() {
            let above = folder.stat()?;
            let meta = Meta {
                kind: Kind::Dir,
                size: 0,
                mode,
                uid: above.uid,
                gid: above.gid,
                mtime: Time::default(),
                device: Default::default(),
                link: Box::default(),
                xattrs: Xattrs::default(),
            };
            // Its time is that of its making.
            let staged = self.stage.make(&meta, self.view.keep.iter().filter(|kept| *kept != Kept::Mtime).collect())?;
            match staged.publish_new(folder.dir(), name) {
                // Another session was faster: its folder is as good as ours, and may have things in it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                published => published?,
            }
            folder.dir().sync()?;
        }
        let path = folder.path().join(name).map_err(io::Error::other)?;
        Ok(Folder::new(Arc::clone(&self.view), folder.dir().open_dir(name)?, path))
    }
}
