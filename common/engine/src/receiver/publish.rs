//! Carrying out one operation: the only place from which names in the mirror change. Called by the publisher, in order.
//!
//! What replaces a file or folder as a whole is here; what moves names is in `moves`, what concerns hard links in
//! `links`.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use proto::login::Durability;
use proto::{Keep, Kept, Kind, Meta, Name, Outcome, RelPath};
use sys::{Durable, Stage, Staged, Tree, durable};

use super::Grant;
use super::basis::{Basis, Built};
use super::book::LinkBook;
use super::folders::{FOLDERS, Folder, Folders, Unrestored};
use super::signatures::Signatures;
use super::step::{Item, Step};
use super::verdict::{self, Verdict};
use crate::delta::Signature;

/// The mirrored folder, and what the batch in hand has done to it.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) tree: Arc<Tree>,
    pub(super) stage: Arc<Stage>,
    pub(super) keep: Keep,
    pub(super) durability: Durability,
    signatures: Arc<Signatures>,
    pub(super) folders: Folders,
    pub(super) links: LinkBook,
    /// Files whose metadata changed in place.
    altered: Vec<(Rc<Folder>, Name)>,
    /// Older versions: while they are open the kernel does not free them, which takes it long.
    replaced: Vec<Arc<Basis>>,
}

impl Replica {
    pub(super) fn new(grant: &Grant) -> Replica {
        Replica {
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

    /// Carries out one operation that changes something.
    pub(super) fn perform(&mut self, op: u64, step: Step) -> Verdict {
        self.folders.begin(op);
        match step {
            Step::Put { path, item: Item::Ready(staged), built, .. } => self.put(&path, staged?, built),
            Step::Put { .. } => Err(verdict::failed("its content was not written")),
            Step::Ask { path, meta, room } => Err(self.ask(&path, meta, room).unwrap_or_else(|outcome| outcome)),
            Step::Make { path, meta } => self.make(&path, meta),
            Step::Offer { path, meta } => self.offer(&path, meta),
            Step::Link { first, others } => self.link(&first, &others),
            Step::Remove { path } => self.remove(&path),
            Step::Rename { from, to } => self.rename(&from, &to),
            Step::Exchange { a, b } => self.exchange(&a, &b),
            Step::Settle { path } => self.settle(&path),
            // Answered by the publisher: they change nothing.
            Step::Compare { .. } | Step::Count { .. } => Ok(()),
        }
    }

    /// The parent folder and the name in it; `Absent` when there is no such folder.
    pub(super) fn parent(&mut self, path: &RelPath) -> Result<(Rc<Folder>, Name), Outcome> {
        self.folders.parent(path).map_err(|error| verdict::of_parent(&error))
    }

    pub(super) fn touch(&mut self, folder: &Rc<Folder>) -> Verdict {
        self.folders.touch(folder).map_err(|error| verdict::of("work in its folder", &error))
    }

    /// Puts something complete under its name.
    pub(super) fn publish(&mut self, path: &RelPath, staged: Staged) -> Verdict {
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

    fn put(&mut self, path: &RelPath, staged: Staged, built: Option<Built>) -> Verdict {
        let Some(Built { from, signature }) = built else { return self.publish(path, staged) };
        self.replaced.push(from);
        match signature {
            Some(signature) => self.publish_signed(path, staged, *signature),
            None => self.publish(path, staged),
        }
    }

    /// The same with a file of which the chunks are known: they are remembered of what stands there then.
    fn publish_signed(&mut self, path: &RelPath, staged: Staged, signature: Signature) -> Verdict {
        let staged_as = staged.stat();
        let verdict = self.publish(path, staged);
        if matches!(verdict, Ok(()) | Err(Outcome::Partly { .. }))
            && let Ok((folder, name)) = self.parent(path)
            && let (Ok(made), Ok(Some(stat))) = (staged_as, folder.dir.lookup(&name))
            && stat.same_inode(&made)
            && stat.size == signature.end()
        {
            self.signatures.remember(&stat, signature);
        }
        verdict
    }

    /// Whether there is room for a file with so many bytes of content: such a one is made, with its owner and attributes, and
    /// not published.
    fn ask(&mut self, path: &RelPath, mut meta: Meta, room: u64) -> Result<Outcome, Outcome> {
        self.keep.project_meta(&mut meta);
        self.parent(path)?;
        let make = || {
            let file = self.stage.file_like(&meta, self.keep)?;
            file.reserve(room)?;
            file.finish(&meta, self.keep)
        };
        make().map(|_| Outcome::Want).map_err(|error| verdict::staging(&error))
    }

    fn make(&mut self, path: &RelPath, mut meta: Meta) -> Verdict {
        if !self.keep.admits(meta.kind) {
            return Err(verdict::refused(format!("the module keeps no {}", words(meta.kind))));
        }
        self.keep.project_meta(&mut meta);
        let there = if path.is_root() {
            Some(Kind::Dir)
        } else {
            let (folder, name) = self.parent(path)?;
            let looked = |error: io::Error| verdict::of("look at what stands there", &error);
            let stat = folder.dir.lookup(&name).map_err(looked)?;
            match &stat {
                Some(stat) if stat.kind == meta.kind && meta.kind != Kind::Dir => {
                    let there = folder.dir.meta(&name, stat, self.keep).map_err(looked)?;
                    if there.same_metadata(&meta) {
                        return Ok(());
                    }
                }
                _ => {}
            }
            stat.map(|stat| stat.kind)
        };
        if meta.kind == Kind::Dir && there == Some(Kind::Dir) {
            return self.make_in_place(path, &meta);
        }
        let staged = self.stage.make(&meta, self.keep).map_err(|error| verdict::staging(&error))?;
        let verdict = self.publish(path, staged);
        if meta.kind == Kind::Dir && matches!(verdict, Ok(()) | Err(Outcome::Partly { .. })) {
            // Children are likely to follow, and its metadata belongs to the batch's seal.
            let folder = self.folders.open(path).map_err(|error| verdict::of("open it", &error))?;
            self.folders.made(&folder, meta.mtime);
        }
        verdict
    }

    /// A folder that exists gets its metadata, unless it has it already.
    fn make_in_place(&mut self, path: &RelPath, meta: &Meta) -> Verdict {
        let Some(mode) = self.stage.open_mode(&self.tree, path, meta.mode).filter(|_| self.keep.has(Kept::Mode)) else {
            return self.set_in_place(path, meta);
        };
        let text = format!(
            "mode {:04o}: recvd is not root, and needs all rights to the module's own folder: its mode is {mode:04o}",
            meta.mode
        );
        match self.set_in_place(path, &Meta { mode, ..meta.clone() }) {
            Ok(()) => verdict::done(&[text]),
            Err(Outcome::Partly { reason }) => verdict::done(&[text, reason]),
            failed => failed,
        }
    }

    fn set_in_place(&mut self, path: &RelPath, meta: &Meta) -> Verdict {
        let failed = |error: io::Error| verdict::of("set its metadata", &error);
        let folder = self.folders.open(path).map_err(|error| verdict::of_parent(&error))?;
        let stat = folder.dir.stat().map_err(failed)?;
        let mut there = folder.dir.own_meta(self.keep).map_err(failed)?;
        if let Some(mode) = self.stage.mode_before(&stat) {
            there.mode = mode;
            self.keep.project_meta(&mut there);
        }
        if let Some(mtime) = self.folders.mtime(&folder) {
            there.mtime = mtime;
        }
        if there.same_metadata(meta) {
            return Ok(());
        }
        // Attributes may need the right to write. Of another user's folder the problems tell.
        let _ = self.stage.widen(&self.tree, path);
        let problems = folder.dir.set_meta(meta, self.keep).map_err(failed)?;
        if self.keep.has(Kept::Mode) {
            self.stage.settled(&stat);
        }
        self.folders.made(&folder, meta.mtime);
        verdict::done(&problems)
    }

    fn offer(&mut self, path: &RelPath, mut meta: Meta) -> Verdict {
        let failed = |error: io::Error| verdict::of("set its metadata", &error);
        self.keep.project_meta(&mut meta);
        let (folder, name) = self.parent(path)?;
        let Some(stat) = folder.dir.lookup(&name).map_err(failed)? else { return Err(Outcome::Want) };
        if stat.kind != Kind::File || stat.size != meta.size {
            return Err(Outcome::Want);
        }
        let there = folder.dir.meta(&name, &stat, self.keep).map_err(failed)?;
        if !meta.content_fits(&there) {
            return Err(Outcome::Want);
        }
        if meta.same_metadata(&there) {
            return Ok(());
        }
        // An inode that other names share is never changed: they may stand for other files of the sender.
        if stat.nlink != 1 {
            return Err(Outcome::Want);
        }
        let unlocked = self.stage.unlock_file(&self.tree, (&folder.dir, &name), path).map_err(failed)?;
        let problems = folder.dir.set_file_meta(&name, &meta, self.keep).map_err(failed)?;
        if self.keep.has(Kept::Mode) {
            self.stage.settled(&stat);
        }
        drop(unlocked);
        self.altered.push((folder, name));
        verdict::done(&problems)
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
    pub(super) fn narrow(&self) {
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

    /// Whether so many folders are held for the batch that it must let go of them before it goes on.
    pub(super) fn is_wide(&self) -> bool {
        self.folders.touched().len() >= FOLDERS
    }

    /// Gives the touched folders their mtimes. After this all that was performed looks as the sender says, but for the
    /// folders that are returned.
    pub(super) fn finish(&mut self) -> Vec<Unrestored> {
        let unrestored = self.folders.restore();
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

fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "files",
        Kind::Dir => "folders",
        Kind::Symlink => "symbolic links",
        Kind::Fifo => "FIFOs",
        Kind::Socket => "sockets",
        Kind::CharDevice => "character devices",
        Kind::BlockDevice => "block devices",
    }
}
