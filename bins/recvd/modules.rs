//! The modules: named folders, and who may do what in them. The only maker of a [`Permit`], without which nobody comes to
//! a folder of this host.

mod root;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::receiver::{Disk, Grant, Guesses, Limits, Memory, Signatures};
use engine::view::{Replica, Written};
use kit::config::{FromValue, Value, Wrong};
use proto::digest::Digest;
use proto::limits::PLACES;
use proto::login::{Durability, Open, Purpose, Refusal};
use proto::policy::{Bounds, Policy};
use proto::shown::Shown;
use proto::{Capabilities, Keep, RelPath, Version};
use sys::{FolderId, Place, Tree};

use crate::auth::Identity;
pub use root::Root;
use root::Standing;

/// Mode of the folders that recvd makes on the way to a peer's own.
const FOLDER_MODE: u32 = 0o755;
/// When one may come again that is to hear the rules of its module anew.
const AGAIN: Duration = Duration::from_millis(500);
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

/// A folder of this host under a name that peers ask for, with the rules for it.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Module {
    pub name: String,
    pub root: Arc<Root>,
    pub users: BTreeMap<String, Right>,
    /// Sessions at the same time.
    pub max_connections: usize,
    pub keep: Keep,
    /// Bytes.
    pub max_file_size: Option<u64>,
    /// Whether the disk takes what comes.
    pub disk: Arc<Disk>,
    /// What its sessions have written since the start.
    pub written: Arc<Written>,
}

/// Something of each user of each module, of whom the configuration knows so many.
type OfUsers<T> = HashMap<(String, String), Arc<T>>;

/// All modules. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Modules {
    by_name: Arc<HashMap<String, Arc<Module>>>,
    signatures: Arc<Signatures>,
    guesses: Arc<Mutex<OfUsers<Guesses>>>,
    memory: Memory,
}

/// The right of one identity to push into one folder of one module.
#[derive(Debug)]
pub struct Permit {
    module: Arc<Module>,
    folder: RelPath,
    standing: Standing,
    /// What the disk could hold when the permit was given.
    disk: Capabilities,
    signatures: Arc<Signatures>,
    guesses: Arc<Guesses>,
    memory: Memory,
}

/// Why there is no permit.
#[derive(Debug, PartialEq, Eq)]
pub enum Unpermitted {
    /// It is not for this peer.
    Refused(Refusal),
    /// The module cannot work now, whoever comes, which its [`Root`] has said.
    Down(Refusal),
}

impl From<Refusal> for Unpermitted {
    fn from(refusal: Refusal) -> Unpermitted {
        Unpermitted::Refused(refusal)
    }
}

impl Right {
    fn allows(self, purpose: Purpose) -> bool {
        match self {
            Right::Both => true,
            Right::Push => purpose == Purpose::Push,
            Right::Pull => purpose != Purpose::Push,
        }
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
    /// These, by their names, whose sessions may hold so much in memory.
    pub fn new(modules: Vec<Module>, memory: Memory) -> Modules {
        let by_name = modules.into_iter().map(|module| (module.name.clone(), Arc::new(module))).collect();
        Modules { by_name: Arc::new(by_name), signatures: Arc::default(), guesses: Arc::default(), memory }
    }

    fn guesses(&self, module: &Module, user: &str) -> Arc<Guesses> {
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(guesses.entry((module.name.clone(), user.to_owned())).or_default())
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Module>> {
        self.by_name.values()
    }

    /// The one of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Module>> {
        self.by_name.get(name)
    }

    /// The names of all, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// What `identity` may do of what it wants. A module that is missing and a right that is missing are one answer.
    pub async fn permit(&self, identity: &Identity, open: &Open) -> Result<Permit, Unpermitted> {
        let module = self.by_name.get(&open.module).ok_or(Refusal::Denied)?;
        let right = module.users.get(identity.name()).ok_or(Refusal::Denied)?;
        if !right.allows(open.purpose) {
            return Err(Refusal::Denied.into());
        }
        if open.purpose != Purpose::Push {
            return Err(Refusal::Unsupported { what: "this release of recvd only receives".into() }.into());
        }
        if sys::stage::is_reserved_path(&open.folder) {
            let reason = format!(
                "asked for the folder {}, and names that begin with `.recvd-` are recvd's own: choose another one",
                Shown(open.folder.as_bytes())
            );
            return Err(Refusal::Protocol { reason }.into());
        }
        let standing = module.root.standing(&open.folder, LOOK).await.map_err(Unpermitted::Down)?;
        let (module, folder, signatures) = (module.clone(), open.folder.clone(), self.signatures.clone());
        let (disk, guesses) = (module.root.disk(), self.guesses(&module, identity.name()));
        Ok(Permit { module, folder, standing, disk, signatures, guesses, memory: self.memory.clone() })
    }
}

impl Permit {
    /// With its rules, as the configuration has them.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The peer's folder as it stood when the permit was given, if it was there.
    pub fn standing(&self) -> Option<FolderId> {
        self.standing.id
    }

    /// What the module keeps and its disk can hold.
    pub fn keep(&self) -> Keep {
        self.disk.keep(self.module.keep)
    }

    /// What it was told that the disk can hold.
    pub fn disk(&self) -> Capabilities {
        self.disk
    }

    /// What the peer has to know before it sends: the module's rules, and what its disk can hold.
    pub fn policy(&self) -> Policy {
        let limits = Bounds { file_size: self.module.max_file_size, ..Bounds::default() };
        Policy { limits, capabilities: self.disk, ..Policy::default() }
    }

    /// Where the peer's folder and those above it stand, as digests, nearest first.
    pub fn digests(&self) -> Vec<Digest> {
        let mut places = self.standing.place.as_ref().map(Place::digests).unwrap_or_default();
        places.truncate(PLACES);
        places
    }

    /// Makes the peer's folder where it is missing, and hands out what a receiver needs. Blocks on the disk.
    pub fn grant(&self, durability: Durability, version: Version) -> Result<Grant, Refusal> {
        let root = self.module.root.open()?;
        self.module.root.learn(&root);
        if self.module.root.disk() != self.disk {
            return Err(learnt());
        }
        let granted =
            self.prepare(root, durability, version).map_err(|error| self.module.root.failed(&self.folder, &error))?;
        self.module.root.works(&self.folder);
        Ok(granted)
    }

    fn prepare(&self, root: Arc<Tree>, durability: Durability, version: Version) -> io::Result<Grant> {
        let max_file_size = self.module.max_file_size;
        let replica = Replica::new(root, self.keep())?.knowing(Arc::clone(&self.module.written));
        let replica = Arc::new(replica.beneath(&self.folder, FOLDER_MODE)?);
        let (signatures, disk, limits) = (self.signatures.clone(), self.module.disk.clone(), Limits { max_file_size });
        let (guesses, memory) = (self.guesses.clone(), self.memory.clone());
        Ok(Grant { replica, durability, limits, signatures, disk, guesses, memory, version })
    }
}

/// What a session hears that was told something else of its disk.
pub fn learnt() -> Refusal {
    let reason = "what the disk of the backup can hold was found out only now, and is to be told anew".to_owned();
    Refusal::Busy { reason, retry: AGAIN }
}

#[cfg(test)]
mod tests;
