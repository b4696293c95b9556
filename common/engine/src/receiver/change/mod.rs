//! Carrying out one operation after the other, in order, for the publisher. Names change by
//! [`Replica::displace`](crate::view::Replica::displace), and only from here.
//!
//! What gives a name another version is in `replace`, what moves names in `moves`, what concerns hard links in `links`;
//! `folders` are those that the batch works in, `book` is what is known of links.

mod book;
mod folders;
mod links;
mod marks;
mod moves;
mod replace;

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use proto::login::Durability;
use proto::{Name, Outcome, RelPath};
use sys::{Durable, Staged};

use super::Grant;
use super::answer::Answer;
use super::basis::Basis;
use super::memory::Retained;
use super::operation::{Item, Operation};
use super::outcome::{self, Done};
use super::signatures::Signatures;
use crate::receiver::{Clock, Guesses};
use crate::view::{By, Folder, Replica, Site};
use book::LinkBook;
use folders::{FOLDERS, Folders, Held, Unrestored};
use marks::Marks;

/// The mirrored folder, and what the batch in hand has done to it.
#[derive(Debug)]
pub(super) struct Changes {
    replica: Arc<Replica>,
    durability: Durability,
    signatures: Arc<Signatures>,
    guesses: Arc<Guesses>,
    clock: Clock,
    folders: Folders,
    links: LinkBook,
    /// Those of the folder, once they are read.
    marks: Option<Marks>,
    /// A flush has failed: what stands there may not be as durable as it looks.
    unsure: bool,
    /// Files whose metadata changed in place.
    altered: Vec<(Rc<Held>, Name)>,
    /// Older versions of large files, held open: the kernel takes long to free one, and does so when it is closed.
    replaced: Vec<Arc<Basis>>,
}

impl Changes {
    pub(super) fn new(grant: &Grant, clock: Clock, retained: &Retained) -> Changes {
        Changes {
            replica: Arc::clone(&grant.replica),
            durability: grant.durability,
            signatures: Arc::clone(&grant.signatures),
            guesses: Arc::clone(&grant.guesses),
            clock,
            folders: Folders::new(Arc::clone(&grant.replica)),
            links: LinkBook::new(retained),
            marks: None,
            unsure: false,
            altered: Vec::new(),
            replaced: Vec::new(),
        }
    }

    /// Whether the folder still stands at its path; if not, in words.
    pub(super) fn stands(&self) -> Result<(), String> {
        self.replica.stands()
    }

    /// Takes the folder of temporaries out of the mirror, if it is empty. Returns whether it is gone.
    pub(super) fn rest(&self) -> io::Result<bool> {
        self.replica.rest()
    }

    /// Notes what a comparison has seen of hard links.
    pub(super) fn note(&mut self, answer: &Answer) {
        self.links.note(answer);
    }

    /// Waits until these contents survive a power cut.
    pub(super) fn flush(&mut self, staged: &[&Staged]) -> io::Result<()> {
        let flushed = self.replica.flush(staged);
        self.unsure |= flushed.is_err();
        flushed
    }

    /// Carries out one operation that changes something.
    pub(super) fn perform(&mut self, op: u64, operation: Operation) -> Done {
        self.folders.begin(op);
        match operation {
            Operation::Put { path, item: Item::Ready(staged), built, inexact, .. } => {
                let staged = staged?;
                if inexact {
                    self.makes_way_for_inexact(&path)?;
                }
                self.put(&path, staged, built)
            }
            Operation::Put { .. } => Err(outcome::failed("its content was not written")),
            Operation::Ask { path, meta, room, inexact } => {
                Err(self.ask(&path, meta, room, inexact).unwrap_or_else(|outcome| outcome))
            }
            Operation::Make { path, meta } => self.make(&path, meta),
            Operation::Mend { path, meta } => self.mend(&path, meta),
            Operation::Offer { path, meta, digest } => self.offer(&path, meta, digest.as_ref()),
            Operation::Link { first, others } => self.link(&first, &others),
            Operation::Remove { path } => self.remove(&path),
            Operation::Rename { from, to } => self.rename(&from, &to),
            Operation::Exchange { a, b } => self.exchange(&a, &b),
            Operation::Settle { path } => self.settle(&path),
            // Answered by the publisher: they change nothing.
            Operation::Folder { .. } | Operation::Count { .. } | Operation::Equal(_) | Operation::Mark { .. } => Ok(()),
        }
    }

    /// The parent folder and the name in it; `Absent` when there is no such folder.
    fn parent(&mut self, path: &RelPath) -> Result<(Rc<Held>, Name), Outcome> {
        self.folders.parent(path).map_err(|error| outcome::of_parent(&error))
    }

    fn touch(&mut self, folder: &Rc<Held>) -> Done {
        self.folders.touch(folder).map_err(|error| outcome::of("work in its folder", &error))
    }

    /// Puts something complete under its name.
    fn publish(&mut self, path: &RelPath, staged: Staged) -> Done {
        let (folder, name) = self.parent(path)?;
        self.touch(&folder)?;
        self.displace("put it in place", Site::entry(&folder, &name, path), By::Staged(staged))
    }

    /// Lets what `by` says displace what stands at a site. Paths there and beneath may lead elsewhere then, even after an
    /// error.
    fn displace(&mut self, doing: &str, site: Site<'_>, by: By<'_>) -> Done {
        let (other, stays) = (by.other(), by.stays());
        let displaced = self.replica.displace(site, by);
        if !stays {
            std::iter::once(site).chain(other).for_each(|site| self.folders.moved(site.path()));
        }
        outcome::done(&displaced.map_err(|obstacle| outcome::of_obstacle(doing, &obstacle, site, other))?)
    }

    /// How many entries stand at and beneath `path`. To be called when nothing of the batch is held.
    pub(super) fn count(&self, path: &RelPath) -> io::Result<u64> {
        self.replica.count(path)
    }

    /// Gives what was opened up for a look its own mode back, and lets go of the folders that were held open with it.
    pub(super) fn close_up(&mut self) {
        if self.replica.is_opened_up() {
            self.replica.narrow();
            self.folders.clear();
        }
    }

    /// Whether a folder owes something, as its mtime, so that it does not look yet as the sender says.
    pub(super) fn owes(&self) -> bool {
        !self.folders.touched().is_empty()
    }

    /// Whether so many folders were touched that the batch must finish them before it goes on.
    pub(super) fn is_wide(&self) -> bool {
        self.folders.touched().len() >= FOLDERS
    }

    /// Gives the touched folders their mtimes. After this all that was performed looks as the sender says, but for the
    /// operations that are returned, which touched a folder where that failed.
    pub(super) fn finish(&mut self) -> Vec<(u64, Outcome)> {
        let unrestored = self.folders.restore().into_iter();
        let told = |Unrestored { op, error }| (op, outcome::of_folder(&error));
        let unrestored = unrestored.map(told).collect();
        self.replica.narrow();
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
        let touched: Vec<&Folder> = self.folders.touched().iter().map(|held| &***held).collect();
        let altered: Vec<(&Folder, &Name)> = self.altered.iter().map(|(held, name)| (&***held, name)).collect();
        let proof = self.replica.seal(&touched, &altered);
        self.unsure |= proof.is_err();
        self.let_go();
        proof
    }
}
