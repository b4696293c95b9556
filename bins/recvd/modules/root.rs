//! The folder of a module on the disk: which one it has to be, and what is wrong with it, said once and not to each peer
//! that comes.
//!
//! It is the folder that stood at its path when recvd started. Another one may be an empty place whose disk is not mounted,
//! or somebody else's folder, and is not written to. One exception: where it was empty at the start and a file system was
//! mounted over it since, that is the disk that was meant. RACE: which folder it is tell device and inode, and an inode may
//! be given again after a removal: a folder that was made anew may pass for the one before.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::login::Refusal;
use proto::{Capabilities, RelPath};
use sys::stage::Leftovers;
use sys::{FolderId, MountId, Mounts, Place, RootId, Tree};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

/// After what time a pushd may try a module again that cannot work now.
const RETRY: Duration = Duration::from_secs(30);
/// Folders in it of which trouble is remembered; peers name them.
const TROUBLES: usize = 64;

/// Knows whether what stands at the path is still the folder of the module.
#[derive(Debug)]
pub struct Root {
    /// Its name, for the log.
    module: String,
    path: PathBuf,
    seat: Mutex<Seat>,
    /// What the disk can hold, if that is found out. Sessions that were told something else hear of it.
    disk: watch::Sender<Option<Capabilities>>,
    /// What sessions of an earlier recvd have left, and could not be removed yet.
    left: Mutex<Leftovers>,
    /// Held while somebody finds that out.
    trying: Mutex<()>,
    /// Held while somebody looks at `path`: a disk that hangs holds one thread, not one for each peer that comes.
    looking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Seat {
    /// Which folder it has to be.
    id: RootId,
    /// The mount that it is on, where a disk may still come to be mounted over it.
    waits_on: Option<MountId>,
    /// What was said last, while it is so.
    trouble: Option<String>,
    /// The same of folders in it.
    inner: BTreeMap<RelPath, String>,
}

/// A peer's folder beneath the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which one it is, if it is there.
    pub id: Option<FolderId>,
    /// Where it stands on this host, or is to stand, if the kernel tells.
    pub place: Option<Place>,
}

/// Why a module cannot work.
struct Trouble {
    /// For this host's log.
    sentence: String,
    /// What the peer is told, which has no path of this host in it.
    reason: String,
}

impl Root {
    /// The folder that stands at `path` now.
    pub fn at(module: &str, path: PathBuf) -> io::Result<Root> {
        let id = sys::identity_at(&path)?;
        let seat = Mutex::new(Seat { id, waits_on: waits_on(&path), trouble: None, inner: BTreeMap::new() });
        let (module, disk) = (module.to_owned(), watch::Sender::new(None));
        let (left, trying, looking) = Default::default();
        Ok(Root { module, path, seat, disk, left, trying, looking })
    }

    /// Where it stands, or should.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which folder it has to be.
    pub fn id(&self) -> RootId {
        self.seat().id
    }

    /// What its disk can hold: everything, as long as that is not found out.
    pub fn disk(&self) -> Capabilities {
        self.disk.borrow().unwrap_or_else(Capabilities::full)
    }

    /// Returns when it is known to hold something else than this.
    pub async fn holds_else(&self, told: Capabilities) {
        // An error would mean that the other end is gone, and `self` holds it.
        let _ = self.disk.subscribe().wait_for(|disk| disk.is_some_and(|disk| disk != told)).await;
    }

    /// Returns when it is not known what the disk can hold.
    pub async fn is_unknown(&self) {
        let _ = self.disk.subscribe().wait_for(Option::is_none).await;
    }

    /// Opens it, if it is the one that it has to be. Blocks on the disk.
    pub fn open(&self) -> Result<Arc<Tree>, Refusal> {
        self.told(self.look())
    }

    /// What stands beneath it. Asks the disk, which may be slow, asleep or, mounted over a network, gone.
    pub async fn standing(self: &Arc<Root>, folder: &RelPath, most: Duration) -> Result<Standing, Refusal> {
        let looked = timeout(most, async {
            let turn = self.looking.clone().lock_owned().await;
            let (root, folder) = (self.clone(), folder.clone());
            spawn_blocking(move || {
                let opened = root.open();
                // Before the peer is told.
                opened.iter().for_each(|tree| root.learn(tree));
                drop(turn);
                let tree = opened?;
                if let Some(mounted) = mounted_in(&tree, &folder) {
                    return Err(root.begins(&mounted, root.is_elsewhere(&mounted)));
                }
                Ok(Standing {
                    // One that cannot be opened now will be named when it is written to.
                    id: tree.beneath(&folder).and_then(|tree| tree.folder_id()).ok(),
                    place: Place::of(&tree).ok().map(|place| place.beneath(&folder)),
                })
            })
            .await
        });
        match looked.await {
            Ok(Ok(standing)) => standing,
            Ok(Err(error)) => self.told(Err(self.cannot_work(&error))),
            Err(_) => self.told(Err(self.cannot_work(&"the disk does not answer"))),
        }
    }

    fn look(&self) -> Result<Arc<Tree>, Trouble> {
        let tree = Arc::new(Tree::open(&self.path, Mounts::Stay).map_err(|error| self.cannot_work(&error))?);
        let id = tree.identity().map_err(|error| self.cannot_work(&error))?;
        let mut seat = self.seat();
        if id == seat.id {
            return Ok(tree);
        }
        let over = |waits_on: MountId| tree.mount().is_some_and(|mount| mount.is_above(waits_on).unwrap_or(false));
        if !seat.waits_on.is_some_and(over) {
            return Err(self.is_another());
        }
        info!(
            "module {}: a file system was mounted at {} since recvd started: it is the module's folder from now on; what was \
             written before is beneath it",
            self.module,
            self.path.display()
        );
        // Before anybody gets it.
        self.sweep(&tree);
        (seat.id, seat.waits_on) = (id, None);
        self.disk.send_replace(self.try_out(&tree));
        Ok(tree)
    }

    /// Finds out what its disk can hold, where that is not known. Writes a few small files, which nobody sees.
    pub fn learn(&self, tree: &Arc<Tree>) {
        // Whoever is at it will tell all that wait for it.
        let Ok(_turn) = self.trying.try_lock() else { return };
        if self.disk.borrow().is_none()
            && let Some(disk) = self.try_out(tree)
        {
            self.disk.send_replace(Some(disk));
        }
        // What cannot be removed now was told of, and is tried again with the next peer.
        let _ = self.clear_away(tree);
    }

    /// The same, if its folder is there.
    pub fn try_again(&self) {
        if let Ok(tree) = self.look() {
            self.learn(&tree);
        }
    }

    /// `None` where that cannot be known now, as on a disk that is full or read-only.
    fn try_out(&self, tree: &Arc<Tree>) -> Option<Capabilities> {
        match sys::stage::probe(Arc::clone(tree)) {
            Ok(disk) => {
                let lacks = disk.to_string();
                if !lacks.is_empty() {
                    info!("module {}: its disk holds less than others: {lacks}", self.module);
                }
                Some(disk)
            }
            Err(error) => {
                debug!("module {}: what its disk can hold is not known yet: {error}", self.module);
                None
            }
        }
    }

    /// Clears away what sessions of an earlier recvd, killed or cut off from power, have left. Before any session begins.
    pub fn sweep(&self, tree: &Tree) {
        match Leftovers::find(tree) {
            Ok(found) => *self.left() = found,
            Err(error) => warn!("module {}: cannot look for leftovers of interrupted sessions: {error}", self.module),
        }
        if let Err(error) = self.clear_away(tree) {
            warn!("module {}: cannot remove leftovers of interrupted sessions, and tries again: {error}", self.module);
        }
    }

    fn clear_away(&self, tree: &Tree) -> io::Result<()> {
        let count = self.left().clear(tree)?;
        if count > 0 {
            info!("module {}: removed {count} leftovers of interrupted sessions", self.module);
        }
        Ok(())
    }

    fn left(&self) -> MutexGuard<'_, Leftovers> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs trouble when it begins or is another, and its end.
    fn told<T>(&self, looked: Result<T, Trouble>) -> Result<T, Refusal> {
        let mut seat = self.seat();
        let (looked, now) = match looked {
            Ok(there) => (Ok(there), None),
            Err(Trouble { sentence, reason }) => (Err(Refusal::Busy { reason, retry: RETRY }), Some(sentence)),
        };
        if now == seat.trouble {
            return looked;
        }
        match &now {
            Some(sentence) => error!("module {}: {sentence}", self.module),
            None => info!("module {}: {} is there again", self.module, self.path.display()),
        }
        seat.trouble = now;
        looked
    }

    /// Says that the folder in it cannot be written to, and gives the peer's answer.
    pub fn failed(&self, folder: &RelPath, error: &io::Error) -> Refusal {
        let sentence = format!("{}: {error}", self.place(folder));
        self.begins(folder, Trouble { sentence, ..self.cannot_work(error) })
    }

    /// The folder in it can be written to: what was wrong with it, or with one above it, is over.
    pub fn works(&self, folder: &RelPath) {
        let inner = &mut self.seat().inner;
        let over: Vec<RelPath> = inner.keys().filter(|at| folder.is_within(at)).cloned().collect();
        for at in over {
            inner.remove(&at);
            info!("module {}: {} works again", self.module, self.place(&at));
        }
    }

    /// Logs trouble of a folder in it when it begins or is another.
    fn begins(&self, folder: &RelPath, Trouble { sentence, reason }: Trouble) -> Refusal {
        let inner = &mut self.seat().inner;
        if inner.get(folder) != Some(&sentence) {
            error!("module {}: {sentence}", self.module);
            if inner.len() < TROUBLES || inner.contains_key(folder) {
                inner.insert(folder.clone(), sentence);
            }
        }
        Refusal::Busy { reason, retry: RETRY }
    }

    fn place(&self, folder: &RelPath) -> String {
        let path = self.path.display();
        if folder.is_root() { path.to_string() } else { format!("{path}/{folder}") }
    }

    fn is_elsewhere(&self, folder: &RelPath) -> Trouble {
        let why = "and a module lies on one: give that disk a module of its own, or unmount it";
        Trouble {
            sentence: format!("{}: another file system is mounted there, {why}", self.place(folder)),
            reason: format!("at {}/{folder} another file system is mounted on the backup host, {why}", self.module),
        }
    }

    fn cannot_work(&self, error: &dyn std::fmt::Display) -> Trouble {
        Trouble {
            sentence: format!("{}: {error}", self.path.display()),
            reason: format!("module {} cannot work now: {error}", self.module),
        }
    }

    fn is_another(&self) -> Trouble {
        Trouble {
            sentence: format!(
                "{} is another folder than at the start, and nothing is written to it: is the disk mounted? If this is \
                 meant, restart recvd",
                self.path.display()
            ),
            reason: format!("the folder of module {} was replaced on the backup host", self.module),
        }
    }

    /// A panic elsewhere does not make it wrong: it is replaced whole.
    fn seat(&self) -> std::sync::MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where on the way to `folder` another file system is mounted, if so.
fn mounted_in(tree: &Tree, folder: &RelPath) -> Option<RelPath> {
    let is_elsewhere = |at: &RelPath| tree.dir(at).is_err_and(|error| error.kind() == io::ErrorKind::CrossesDevices);
    if !is_elsewhere(folder) {
        return None;
    }
    let mut at = RelPath::root();
    folder.names().find_map(|name| {
        at = at.join(&name).ok()?;
        is_elsewhere(&at).then(|| at.clone())
    })
}

/// The mount that the folder is on, if it has nothing in it.
fn waits_on(path: &Path) -> Option<MountId> {
    let tree = Tree::open(path, Mounts::Stay).ok()?;
    tree.root().ok()?.is_empty().ok()?.then(|| tree.mount())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disk_that_hangs_keeps_the_peer_waiting_no_longer_than_this() {
        let dir = tempfile::tempdir().unwrap();
        let root = Arc::new(Root::at("www", dir.path().into()).unwrap());
        let looking = root.looking.clone().lock_owned().await;
        let asked = root.standing(&RelPath::root(), Duration::from_millis(20)).await;
        assert!(matches!(asked, Err(Refusal::Busy { reason, .. }) if reason.contains("does not answer")));
        drop(looking);
        let standing = root.standing(&RelPath::parse(b"a").unwrap(), Duration::from_secs(60)).await.unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        let a = Tree::open(&dir.path().join("a"), Mounts::Stay).unwrap();
        assert_eq!(standing, Standing { id: None, place: Place::of(&a).ok() });
        let standing = root.standing(&RelPath::root(), Duration::from_secs(60)).await.unwrap();
        assert_eq!(standing.id.map(|id| id.ino), Some(root.id().ino));
    }

    #[test]
    fn trouble_is_said_when_it_begins_and_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let (place, away) = (dir.path().join("root"), dir.path().join("away"));
        std::fs::create_dir(&place).unwrap();
        let root = Root::at("www", place.clone()).unwrap();
        std::fs::rename(&place, &away).unwrap();
        assert!(root.open().is_err());
        let missing = root.seat().trouble.clone();
        assert!(missing.as_ref().is_some_and(|said| said.contains("No such file")), "{missing:?}");
        std::fs::create_dir(&place).unwrap();
        assert!(root.open().is_err(), "an empty folder was there before, and is no mount");
        let another = root.seat().trouble.clone();
        assert!(another.as_ref().is_some_and(|said| said.contains("another folder")), "{another:?}");
        std::fs::remove_dir(&place).unwrap();
        std::fs::rename(&away, &place).unwrap();
        assert!(root.open().is_ok());
        assert_eq!(root.seat().trouble, None);
    }
}
