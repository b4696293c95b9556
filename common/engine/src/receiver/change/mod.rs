//! Carrying out one operation after the other: the only place from which names in the mirror change. Called by the publisher,
//! in order.
//!
//! What gives a name another version is in `replace`, what moves names in `moves`, what concerns hard links in `links`;
//! `folders` are those that the batch works in, `book` is what is known of links.

mod book;
mod folders;
mod links;
mod moves;
mod replace;

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use proto::login::Durability;
use proto::{Keep, Name, Outcome, RelPath};
use sys::{Durable, Stage, Staged, Tree, durable};

use super::Grant;
use super::answer::Answer;
use super::basis::Basis;
use super::operation::{Item, Operation};
use super::signatures::Signatures;
use super::verdict::{self, Verdict};
use book::LinkBook;
use folders::{FOLDERS, Folder, Folders, Unrestored};

/// The mirrored folder, and what the batch in hand has done to it.
#[derive(Debug)]
pub(super) struct Changes {
    tree: Arc<Tree>,
    stage: Arc<Stage>,
    keep: Keep,
    durability: Durability,
    signatures: Arc<Signatures>,
    folders: Folders,
    links: LinkBook,
    /// Files whose metadata changed in place.
    altered: Vec<(Rc<Folder>, Name)>,
    /// Older versions: while they are open the kernel does not free them, which takes it long.
    replaced: Vec<Arc<Basis>>,
}

impl Changes {
    pub(super) fn new(grant: &Grant) -> Changes {
        Changes {
            tree: Arc::clone(&grant.tree),
            stage: Arc::clone(&grant.stage),
            keep: grant.keep,
            durability: grant.durability,
            signatures: Arc::clone(&grant.signatures),
            folders: Folders::new(Arc::clone(&grant.tree), Arc::clone(&grant.stage), grant.keep),
            links: LinkBook::default(),
            altered: Vec::new(),
            replaced: Vec::new(),
        }
    }

    /// Whether the folder still stands at its path; if not, in words.
    pub(super) fn stands(&self) -> Result<(), String> {
        let path = self.tree.path().display();
        match self.tree.stands() {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("{path} was replaced, unmounted or mounted over")),
            Err(error) => Err(format!("{path} cannot be looked at: {error}")),
        }
    }

    /// Takes the folder of temporaries out of the mirror, if it is empty. Returns whether it is gone.
    pub(super) fn rest(&self) -> io::Result<bool> {
        self.stage.rest()
    }

    /// Notes what a comparison has seen of hard links.
    pub(super) fn note(&mut self, answer: &Answer) {
        self.links.note(answer);
    }

    /// Waits until these contents survive a power cut.
    pub(super) fn flush(&self, staged: &[&Staged]) -> io::Result<()> {
        if staged.is_empty() { Ok(()) } else { durable::flush_data(&self.tree, staged) }
    }

    /// Carries out one operation that changes something.
    pub(super) fn perform(&mut self, op: u64, operation: Operation) -> Verdict {
        self.folders.begin(op);
        match operation {
            Operation::Put { path, item: Item::Ready(staged), built, .. } => self.put(&path, staged?, built),
            Operation::Put { .. } => Err(verdict::failed("its content was not written")),
            Operation::Ask { path, meta, room } => Err(self.ask(&path, meta, room).unwrap_or_else(|outcome| outcome)),
            Operation::Make { path, meta } => self.make(&path, meta),
            Operation::Offer { path, meta } => self.offer(&path, meta),
            Operation::Link { first, others } => self.link(&first, &others),
            Operation::Remove { path } => self.remove(&path),
            Operation::Rename { from, to } => self.rename(&from, &to),
            Operation::Exchange { a, b } => self.exchange(&a, &b),
            Operation::Settle { path } => self.settle(&path),
            // Answered by the publisher: they change nothing.
            Operation::Compare { .. } | Operation::Count { .. } => Ok(()),
        }
    }

    /// The parent folder and the name in it; `Absent` when there is no such folder.
    fn parent(&mut self, path: &RelPath) -> Result<(Rc<Folder>, Name), Outcome> {
        self.folders.parent(path).map_err(|error| verdict::of_parent(&error))
    }

    fn touch(&mut self, folder: &Rc<Folder>) -> Verdict {
        self.folders.touch(folder).map_err(|error| verdict::of("work in its folder", &error))
    }

    /// Puts something complete under its name.
    fn publish(&mut self, path: &RelPath, staged: Staged) -> Verdict {
        let (folder, name) = self.parent(path)?;
        self.touch(&folder)?;
        let verdict = verdict::done(staged.problems());
        let failed = |error| verdict::of_names("put it in place", &error, &[(&folder.dir, &name)]);
        let _there = self.stage.unlock(&self.tree, &[(&folder.dir, &name)], &[path]).map_err(failed)?;
        let _new = self.stage.unlock_staged(&self.tree, &staged, path).map_err(failed)?;
        staged.publish(&folder.dir, &name, &self.stage).map_err(failed)?;
        self.folders.moved(path);
        verdict
    }

    /// How many entries stand at and beneath `path`.
    pub(super) fn count(&mut self, path: &RelPath) -> io::Result<u64> {
        if path.is_root() {
            let root = self.folders.open(path)?;
            let mut entries = 1;
            for found in root.dir.list()? {
                if !sys::stage::is_reserved(&found.name) {
                    entries += root.dir.count(&found.name, |beneath| self.open_up(&RelPath::root(), beneath))?;
                }
            }
            return Ok(entries);
        }
        match self.folders.parent(path) {
            Ok((folder, name)) => {
                let parent = path.parent().unwrap_or_default();
                folder.dir.count(&name, |beneath| self.open_up(&parent, beneath))
            }
            Err(error) if sys::is_absence(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Opens what is closed to us, if that is in our power: if not, the next try says so.
    fn open_up(&self, folder: &RelPath, beneath: &[u8]) {
        let path = if folder.is_root() { beneath.to_vec() } else { [folder.as_bytes(), b"/", beneath].concat() };
        if let Ok(path) = RelPath::parse(&path) {
            let _ = self.stage.widen(&self.tree, &path);
        }
    }

    /// Gives every entry that was opened up its own mode back.
    fn narrow(&self) {
        if let Err(error) = self.stage.narrow() {
            tracing::warn!("cannot give folders their modes back now: {error}");
        }
    }

    /// The same after looking: what is held was open then.
    pub(super) fn close_up(&mut self) {
        if self.stage.has_wide() {
            self.narrow();
            self.folders.clear();
        }
    }

    /// Whether a folder owes something, as its mtime, so that it does not look yet as the sender says.
    pub(super) fn owes(&self) -> bool {
        !self.folders.touched().is_empty()
    }

    /// Whether so many folders are held for the batch that it must let go of them before it goes on.
    pub(super) fn is_wide(&self) -> bool {
        self.folders.touched().len() >= FOLDERS
    }

    /// Gives the touched folders their mtimes. After this all that was performed looks as the sender says, but for the
    /// operations that are returned, which touched a folder where that failed.
    pub(super) fn finish(&mut self) -> Vec<(u64, Outcome)> {
        let unrestored = self.folders.restore().into_iter();
        let told = |Unrestored { op, error }| (op, verdict::of("set the mtime of its folder", &error));
        let unrestored = unrestored.map(told).collect();
        self.narrow();
        unrestored
    }

    /// Lets go of what the batch held.
    pub(super) fn let_go(&mut self) {
        self.folders.clear();
        self.altered.clear();
    }

    /// Lets the kernel free the older versions of what was built from them.
    pub(super) fn free_replaced(&mut self) {
        self.replaced.clear();
    }

    /// Makes sure that all that was performed since the last seal survives a power cut, and lets go.
    pub(super) fn seal(&mut self) -> io::Result<Durable> {
        let touched: Vec<&sys::Dir> = self.folders.touched().iter().map(|folder| &folder.dir).collect();
        let altered: Vec<(&sys::Dir, &Name)> = self.altered.iter().map(|(folder, name)| (&folder.dir, name)).collect();
        let proof = durable::seal(&self.tree, &touched, &altered);
        self.let_go();
        proof
    }
}
