//! The modules: named folders, and who may do what in them. The only maker of a [`Permit`], without which nobody comes to
//! a folder of this host.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::receiver::{Grant, Limits, Signatures};
use kit::config::{FromValue, Value, Wrong};
use proto::login::{Direction, Durability, Open, Refusal};
use proto::{Keep, Kind, Meta, Name, RelPath, Time, Xattrs};
use sys::{Dir, Mounts, RootId, Stage, Tree};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::auth::Identity;

/// Mode of the folders that recvd makes on the way to a peer's own.
const FOLDER_MODE: u32 = 0o755;
/// After what time a pushd may try a module again that cannot work now.
const RETRY: Duration = Duration::from_secs(30);
/// How long the disk of a module may take to show its folder.
const LOOK: Duration = Duration::from_secs(10);

/// What a user may do in a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Right {
    Push,
    Pull,
    Both,
}

/// One module.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Module {
    pub name: String,
    pub path: PathBuf,
    /// The folder that stood at `path` when recvd started.
    pub root: RootId,
    pub users: BTreeMap<String, Right>,
    /// Sessions at the same time.
    pub max_connections: usize,
    pub keep: Keep,
    /// Bytes.
    pub max_file_size: Option<u64>,
    /// Held while somebody looks at `path`: a disk that hangs holds one thread, not one for each peer that comes.
    pub looking: Arc<Mutex<()>>,
}

/// All modules. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Modules {
    by_name: Arc<HashMap<String, Arc<Module>>>,
    signatures: Arc<Signatures>,
}

/// The right of one identity to push into one folder of one module.
#[derive(Debug)]
pub struct Permit {
    module: Arc<Module>,
    folder: RelPath,
    signatures: Arc<Signatures>,
}

impl Right {
    fn allows(self, direction: Direction) -> bool {
        matches!((self, direction), (Right::Both, _) | (Right::Push, Direction::Push) | (Right::Pull, Direction::Pull))
    }
}

impl FromValue for Right {
    fn from_value(value: Value<'_>) -> Result<Right, Wrong> {
        match value.text()? {
            "push" => Ok(Right::Push),
            "pull" => Ok(Right::Pull),
            "both" => Ok(Right::Both),
            _ => Err("must be \"push\", \"pull\" or \"both\"".into()),
        }
    }
}

impl Modules {
    /// These, by their names.
    pub fn new(modules: Vec<Module>) -> Modules {
        let by_name = modules.into_iter().map(|module| (module.name.clone(), Arc::new(module))).collect();
        Modules { by_name: Arc::new(by_name), signatures: Arc::default() }
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Module> {
        self.by_name.values().map(Arc::as_ref)
    }

    /// What `identity` may do of what it wants. A module that is missing and a right that is missing are one answer.
    pub async fn permit(&self, identity: &Identity, open: &Open) -> Result<Permit, Refusal> {
        let module = self.by_name.get(&open.module).ok_or(Refusal::Denied)?;
        let right = module.users.get(identity.name()).ok_or(Refusal::Denied)?;
        if !right.allows(open.direction) {
            return Err(Refusal::Denied);
        }
        if open.direction == Direction::Pull {
            return Err(Refusal::Protocol { reason: "this version of recvd does not send".into() });
        }
        module.is_there(LOOK).await?;
        Ok(Permit { module: module.clone(), folder: open.folder.clone(), signatures: self.signatures.clone() })
    }
}

impl Module {
    /// The root, if it is still the folder that stood there at the start: with the backup disk unmounted, another does.
    fn open(&self) -> Result<Tree, Refusal> {
        let tree = Tree::open(&self.path, Mounts::Stay).map_err(|error| self.cannot_work(&error))?;
        let same = tree.identity().map_err(|error| self.cannot_work(&error))? == self.root;
        if same { Ok(tree) } else { Err(self.is_another()) }
    }

    /// Asks the disk, which may be slow, asleep or, mounted over a network, gone.
    async fn is_there(self: &Arc<Module>, most: Duration) -> Result<(), Refusal> {
        let looked = timeout(most, async {
            let turn = self.looking.clone().lock_owned().await;
            let module = self.clone();
            spawn_blocking(move || {
                let opened = module.open().map(drop);
                drop(turn);
                opened
            })
            .await
        });
        match looked.await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => Err(self.cannot_work(&io::Error::other(error))),
            Err(_) => Err(self.cannot_work(&io::Error::new(io::ErrorKind::TimedOut, "the disk does not answer"))),
        }
    }

    fn cannot_work(&self, error: &io::Error) -> Refusal {
        tracing::error!("module {}: {}: {error}", self.name, self.path.display());
        Refusal::Busy { reason: format!("module {} cannot work now: {error}", self.name), retry: RETRY }
    }

    fn is_another(&self) -> Refusal {
        tracing::error!(
            "module {}: {} is another folder than at the start: is the disk mounted? If this is meant, restart recvd",
            self.name,
            self.path.display()
        );
        Refusal::Busy {
            reason: format!("the folder of module {} was replaced on the backup host", self.name),
            retry: RETRY,
        }
    }
}

impl Permit {
    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Makes the peer's folder where it is missing, and hands out what a receiver needs. Blocks on the disk.
    pub fn grant(&self, durability: Durability) -> Result<Grant, Refusal> {
        let module = &self.module;
        let root = Arc::new(module.open()?);
        self.prepare(root, durability).map_err(|error| module.cannot_work(&error))
    }

    fn prepare(&self, root: Arc<Tree>, durability: Durability) -> io::Result<Grant> {
        let Module { keep, max_file_size, .. } = *self.module;
        let stage = Arc::new(Stage::new(root.clone())?);
        let mut folder = root.root()?;
        for name in self.folder.names() {
            folder = step_into(&folder, &name, &stage, keep)?;
        }
        let tree = if self.folder.is_root() { root } else { Arc::new(root.beneath(&self.folder)?) };
        let signatures = self.signatures.clone();
        Ok(Grant { stage, tree, keep, durability, limits: Limits { max_file_size }, signatures })
    }
}

/// The folder `name` in `folder`, made if there is nothing of that name.
fn step_into(folder: &Dir, name: &Name, stage: &Arc<Stage>, keep: Keep) -> io::Result<Dir> {
    if sys::stage::is_reserved(name) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("the name {name} is reserved")));
    }
    if folder.lookup(name)?.is_none() {
        let own = folder.stat()?;
        let meta = Meta {
            kind: Kind::Dir,
            size: 0,
            mode: FOLDER_MODE,
            uid: own.uid,
            gid: own.gid,
            mtime: Time::default(),
            device: Default::default(),
            link: Box::default(),
            xattrs: Xattrs::default(),
        };
        // Its time is that of its making.
        let staged = stage.make(&meta, without_mtime(keep))?;
        match staged.publish_new(folder, name) {
            // Another session was faster: its folder is as good as ours, and may have things in it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            published => published?,
        }
        folder.sync()?;
    }
    folder.open_dir(name)
}

fn without_mtime(keep: Keep) -> Keep {
    keep.iter().filter(|kept| *kept != proto::Kept::Mtime).collect()
}

#[cfg(test)]
mod tests;
