//! The sending role: takes work from what is owed, looks at the source, sends what it finds, and lets go of work when it
//! is acknowledged. Blind to who dialled; blocking, on a thread of its own.
//!
//! One turn of the loop: answers in, a piece of each upload, some looks, some comparisons, new work; then it waits. Looks
//! (`look`) are where all content and metadata leaves; passes (`compare`) only find out where to look.

mod brake;
mod compare;
mod delta;
mod flight;
mod folders;
mod groups;
mod look;
mod near;
mod origins;
mod pass;
mod passes;
mod places;
mod read;
mod renames;
mod replies;
mod room;
mod run;
#[cfg(test)]
mod tests;
mod upload;
mod walk;
mod wire;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::login::{Durability, Refusal};
use proto::{Keep, RelPath};

pub use brake::{MaxDelete, Root};

use crate::channel::{Outbox, Outlet, Receipts};
use crate::hint::{Cause, Hint};
use crate::mirror::{Halt, Mirror};
use crate::pack::Compress;
use crate::pending::{Since, Task, Ticket, Work};
use crate::view::View;
use crate::workers::Workers;
use flight::{End, Flight};
use groups::Groups;
use near::Near;
use origins::Origins;
use passes::Passes;
use room::Room;
use upload::Upload;
use walk::Walker;
use wire::Wire;

/// Looks of passes that wait: more are not taken on before these are through.
const LOOKS: usize = 4096;
/// Pieces of work and looks in one turn, so that answers are heard in time.
const TURN: usize = 64;
/// Large files on their way at the same time.
const UPLOADS: usize = 4;
/// Operations in flight; half the receiver's window.
const FLIGHT: u64 = proto::limits::WINDOW / 2;
/// How often a run that is to end tries what fails each time: about 15 seconds.
const PATIENCE: u32 = 5;
/// First and longest time before something that failed is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How a source is mirrored.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether what vanished at the source is deleted at the target.
    pub delete: bool,
    /// Whether a change of metadata alone is mirrored.
    pub attributes: bool,
    /// How much one pass may delete.
    pub max_delete: MaxDelete,
    /// What lists folders and searches for hard links.
    pub workers: Workers,
}

/// A connection whose login is over.
pub struct Connection {
    /// Frames to the receiver.
    pub outbox: Outbox,
    /// Frames from it.
    pub receipts: Receipts,
    /// What the module keeps.
    pub keep: Keep,
    /// Which receipt is an acknowledgement.
    pub durability: Durability,
    /// When frames are compressed.
    pub compress: Compress,
}

/// When a run is over, other than by trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When it is stopped.
    Stopped,
    /// When nothing is owed any more.
    InSync,
}

/// Why a run is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The connection is gone.
    Lost,
    /// The receiver said why it ends.
    Bye(Refusal),
    /// The receiver broke the protocol.
    Violation(String),
    /// It was stopped.
    Stopped,
    /// Nothing is owed any more.
    InSync,
    /// All that the target takes is sent. The rest waits until its disk is not full or read-only any more; in words.
    Blocked(String),
    /// A person has to look.
    Halted(Halt),
    /// This side cannot go on.
    Fault(String),
}

/// The connection is gone.
#[derive(Debug)]
pub(crate) struct Lost;

impl From<Lost> for Ended {
    fn from(_: Lost) -> Ended {
        Ended::Lost
    }
}

/// What outlives a connection on the sending side.
pub struct Sender {
    root: Root,
    options: Options,
    mirror: Arc<Mirror>,
    groups: Groups,
    origins: Origins,
    room: Room,
}

/// One connection's worth of sending. Dropped: what was not acknowledged is owed again.
pub struct Session<'a> {
    root: &'a Root,
    options: Options,
    mirror: &'a Arc<Mirror>,
    groups: &'a mut Groups,
    origins: &'a mut Origins,
    room: &'a mut Room,
    view: Arc<View>,
    durability: Durability,
    wire: Wire,
    receipts: Receipts,
    /// What came in while it waited.
    early: Option<Bytes>,
    flight: Flight,
    walker: Walker,
    passes: Passes,
    looks: VecDeque<look::Look>,
    /// Those of them at files whose size was not seen.
    unsized_looks: usize,
    /// Bytes of the files that the other queued looks are at.
    sized_looks: u128,
    near: RefCell<Near>,
    uploads: VecDeque<Upload>,
    next_blob: u32,
    /// Bytes that the target is copying, for uploads of now and before.
    copying: u64,
    /// Folders that the receiver has refused since the last full pass began: what is beneath them cannot be stored.
    refused: HashSet<RelPath>,
    /// Folders that it could not list when it was asked last.
    unlisted: HashSet<RelPath>,
    /// How often a missing folder was sent again, since then.
    absences: HashMap<RelPath, (u32, Instant)>,
    retry: Duration,
    until: Until,
    /// Operations that failed since one did not.
    failures: u32,
    /// How often files changed while they were read, where that is to end.
    changed: HashMap<RelPath, u32>,
    /// Whether the root was empty when a deletion of this turn asked.
    root_empty: Option<bool>,
    /// A pass over the whole has ended, which takes more memory than what follows.
    passed: bool,
}

impl Sender {
    /// Of a source to one target.
    pub fn new(root: Root, options: Options, mirror: Arc<Mirror>) -> Sender {
        Sender { root, options, mirror, groups: Groups::default(), origins: Origins::default(), room: Room::default() }
    }

    /// Begins to send over a connection, to be moved on by [`Session::step`].
    pub fn begin(&mut self, connection: Connection, until: Until) -> Session<'_> {
        let Connection { outbox, receipts, keep, durability, compress } = connection;
        self.mirror.set_durability(durability);
        self.mirror.pending().link_made();
        self.room.meet(&self.mirror);
        let view = Arc::new(View::of_source(Arc::clone(&self.root.tree), keep));
        Session {
            root: &self.root,
            options: self.options,
            mirror: &self.mirror,
            groups: &mut self.groups,
            origins: &mut self.origins,
            room: &mut self.room,
            walker: Walker::new(&view, self.options.workers, &self.mirror),
            view,
            durability,
            wire: Wire::new(Outlet::new(outbox, self.options.workers), compress, self.mirror.clock().clone()),
            receipts,
            early: None,
            flight: Flight::new(),
            passes: Passes::default(),
            looks: VecDeque::new(),
            unsized_looks: 0,
            sized_looks: 0,
            near: RefCell::default(),
            uploads: VecDeque::new(),
            next_blob: 1,
            copying: 0,
            refused: HashSet::new(),
            unlisted: HashSet::new(),
            absences: HashMap::new(),
            retry: RETRY.0,
            until,
            failures: 0,
            changed: HashMap::new(),
            root_empty: None,
            passed: false,
        }
    }
}

impl Session<'_> {
    fn is_in_sync(&self) -> bool {
        self.flight.is_empty() && self.groups.is_idle() && self.mirror.pending().is_empty()
    }

    fn turn(&mut self) -> Result<Turn, Ended> {
        self.root_empty = None;
        let mut worked = self.hear()?;
        worked |= self.step_room()?;
        if self.room.is_closed() {
            self.finish_work();
            return Ok(if worked { Turn::Worked } else { Turn::Idle });
        }
        worked |= self.step_uploads()?;
        worked |= self.step_looks()?;
        worked |= self.step_passes()?;
        worked |= self.take_work()?;
        worked |= self.step_search()?;
        worked |= self.finish_work();
        self.tell_owed();
        self.tell_search();
        Ok(if worked { Turn::Worked } else { Turn::Idle })
    }

    /// Tells what is known of the work under way: differences that were found and not looked at, and what is not
    /// acknowledged.
    fn tell_owed(&self) {
        let (changes, sent) = self.flight.owed();
        let entries = self.passes.extras() + self.looks.len() + self.uploads.len() + changes;
        let queued = u64::try_from(self.sized_looks).unwrap_or(u64::MAX);
        let left = self.uploads.iter().map(Upload::left);
        let bytes = left.chain([queued]).fold(sent, u64::saturating_add);
        self.mirror.sent.under_way(entries as u64, bytes);
    }

    /// Tells whether all that is to be sent is found, and its size.
    fn tell_search(&self) {
        if !self.mirror.progress.is_fresh() {
            let over = self.unsized_looks == 0 && self.passes.are_compared();
            self.mirror.progress.set_whole(over);
        }
    }

    fn has_room(&self) -> bool {
        self.flight.len() < FLIGHT && self.looks.len() < LOOKS && !self.room.is_closed()
    }

    fn take_work(&mut self) -> Result<bool, Ended> {
        let mut worked = false;
        for _ in 0..TURN {
            if !self.has_room() {
                break;
            }
            let Some(work) = self.mirror.pending().take(self.mirror.now()) else { break };
            worked = true;
            self.begin(work)?;
        }
        Ok(worked)
    }

    fn begin(&mut self, Work { ticket, task, stands, .. }: Work) -> Result<(), Ended> {
        self.flight.hold(ticket);
        match task {
            Task::Entry { path, cause } => {
                self.look_or_queue(look::Look::new(ticket, path, look::Why::Event(cause)))?
            }
            Task::Folder { path } => self.start_pass(ticket, path, pass::Reach::Folder)?,
            Task::Subtree { path } => self.start_pass(ticket, path, pass::Reach::Subtree)?,
            Task::Rename { from, to, parents, before } => {
                if self.is_overtaken(&from, &to, before) {
                    self.leave_overtaken(ticket, &from, stands);
                } else {
                    self.rename(ticket, from, to, parents)?;
                }
            }
            Task::Exchange { a, b } => self.exchange(ticket, (a, b), &stands)?,
        }
        self.flight.let_go(ticket);
        Ok(())
    }

    /// Work whose last operation is acknowledged is no longer owed. Whether something was tried with it, and more may be.
    fn finish_work(&mut self) -> bool {
        let ended = self.flight.take_ended();
        if ended.is_empty() {
            return false;
        }
        let mut tried = false;
        let now = self.mirror.now();
        if ended.iter().any(|(_, end)| matches!(end, End::Again(_))) {
            self.retry = (self.retry * 2).min(RETRY.1);
        } else {
            (self.retry, self.failures) = (RETRY.0, 0);
            self.mirror.set_stuck(false);
        }
        for (ticket, end) in &ended {
            if let Some((top, round)) = self.passes.has_met(*ticket)
                && *end == End::Done
            {
                self.mirror.forget_before(&top, round);
                self.mirror.tell_held_back();
            }
        }
        let mut pending = self.mirror.pending();
        for (ticket, end) in ended {
            tried |= self.room.ended(ticket);
            match end {
                End::Done => pending.done(ticket, now),
                End::LostSight => pending.lost_sight(ticket, now),
                End::StillOpen => pending.still_open(ticket, now),
                End::Again(after) => pending.again(ticket, after, now),
            }
        }
        tried
    }

    /// Has something looked at because of what this work found or did not achieve, in its own time and as work of its own.
    /// INVARIANT: it is as old as the work. All that the sender wants looked at goes through here and what follows.
    fn owe(&self, ticket: Ticket, hint: Hint) {
        self.owe_since(self.since(ticket), hint);
    }

    fn owe_entry(&self, ticket: Ticket, path: RelPath, cause: Cause) {
        self.owe(ticket, Hint::Entry { path, cause });
    }

    fn owe_since(&self, since: Since, hint: Hint) {
        self.mirror.pending().owe(hint, since, self.mirror.now());
    }

    /// Has something looked at that changed after this work had looked at it, and sent it as it was then.
    fn owe_rest(&self, ticket: Ticket, path: RelPath, cause: Cause) {
        let begun = self.mirror.pending().begun(ticket, self.mirror.now());
        self.owe_since(begun, Hint::Entry { path, cause });
    }

    /// The same for a place of which it is not known what an operation has left there.
    fn doubt(&self, ticket: Ticket, path: RelPath) {
        let since = self.since(ticket);
        self.mirror.pending().doubt(path, since, self.mirror.now());
    }

    /// This work does what the older one, which is dropped, was to do.
    fn takes_over(&self, ticket: Ticket, older: Ticket) {
        let since = self.since(older);
        self.mirror.pending().takes_over(ticket, since);
    }

    fn since(&self, ticket: Ticket) -> Since {
        self.mirror.pending().since(ticket, self.mirror.now())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Worked,
    Idle,
}
