//! The sending role: takes work from what is owed, looks at the source, sends what it finds, and lets go of work when it
//! is acknowledged. Blind to who dialled. It never waits within a step: [`Sender::run`] does between two,
//! on a thread of its own.
//!
//! One turn of the loop: answers in, a piece of each upload, some looks, some comparisons, new work; then it waits. Looks
//! (`look`) are where all content and metadata leaves; passes (`compare`) only find out where to look.

mod again;
mod brake;
mod busy;
mod chatter;
mod compare;
mod delta;
mod few;
mod flight;
mod folders;
mod found;
mod gone;
mod groups;
mod held;
mod links;
mod listed;
mod look;
mod looks;
mod near;
mod need;
mod once;
mod origins;
mod pace;
mod pass;
mod passes;
mod places;
mod policy;
mod read;
mod rebuilt;
mod renames;
mod replies;
mod retries;
mod room;
mod run;
mod tell;
#[cfg(test)]
mod tests;
mod unsettled;
mod upload;
mod uploads;
mod walk;
mod wire;
mod withheld;
mod work;

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use proto::login::{Durability, Refusal};
use proto::policy::Policy;
use proto::{Keep, Version};

pub use brake::{MaxDelete, Root};

use crate::channel::{Outbox, Outlet, Receipts};
use crate::mirror::{Halt, Mirror, Standing};
use crate::pack::Compress;
use crate::pending::Held;
use crate::view::View;
use crate::workers::Workers;
use busy::Busy;
use chatter::Chatter;
use flight::Flight;
use groups::Groups;
use looks::Looks;
use near::Near;
use origins::Origins;
use pace::Pace;
use passes::Passes;
use retries::Retries;
use room::Room;
use tell::Tale;
use uploads::Uploads;
use walk::Walker;
use wire::Wire;

/// Looks of passes that wait: more are not taken on before these are through.
const LOOKS: usize = 4096;
/// Pieces of work and looks in one turn, so that answers are heard in time.
const TURN: usize = 64;
/// Operations in flight; half the receiver's window.
const FLIGHT: u64 = proto::limits::WINDOW / 2;
/// LIMIT: bytes of the paths of looks that wait, and of operations in flight: with paths of usual length they are less.
const PATHS: usize = 3 * 1024 * 1024;

/// How a source is mirrored.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether what vanished at the source is deleted at the target.
    pub delete: bool,
    /// Whether a change of metadata alone is mirrored.
    pub attributes: bool,
    /// How much one pass may delete.
    pub max_delete: MaxDelete,
    /// What becomes of files that never hold still.
    pub busy_files: BusyFiles,
    /// What lists folders and searches for hard links.
    pub workers: Workers,
    /// The program, as it is told to the receiver: "pushd 0.1.0".
    pub software: &'static str,
}

/// What becomes of a file that changes each time it is read, where the target has no version of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusyFiles {
    /// After a few tries the target gets a copy that is not of one moment.
    Copy,
    /// Nothing is stored before it holds still.
    Wait,
}

/// A connection whose login is over.
pub struct Connection {
    /// Frames to the receiver.
    pub outbox: Outbox,
    /// Frames from the receiver; the sender takes them whatever it waits for.
    pub receipts: Receipts,
    /// What the module keeps.
    pub keep: Keep,
    /// Which receipt is an acknowledgement.
    pub durability: Durability,
    /// When frames are compressed.
    pub compress: Compress,
    /// The protocol's, by which the receiver's frames are read.
    pub version: Version,
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
    /// The receiver says something that has to be understood, by an extension of the protocol with this number.
    Unsupported(u16),
    /// Whoever runs it has stopped it.
    Stopped,
    /// Nothing is owed any more.
    InSync,
    /// All that the target takes is sent. The rest waits until its disk is not full or read-only any more; in words.
    Blocked(String),
    /// All else is sent. These deletions wait for a person.
    Held(Held),
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
    busy: Busy,
    room: Room,
}

/// One connection's worth of sending. Dropped: what was not acknowledged is owed again.
pub struct Session<'a> {
    root: &'a Root,
    options: Options,
    mirror: &'a Arc<Mirror>,
    groups: &'a mut Groups,
    origins: &'a mut Origins,
    busy: &'a mut Busy,
    room: &'a mut Room,
    view: Arc<View>,
    /// Once the target has told it.
    policy: Option<Policy>,
    durability: Durability,
    version: Version,
    wire: Wire,
    receipts: Receipts,
    /// What came in while it waited.
    early: Option<Bytes>,
    flight: Flight,
    pace: Pace,
    walker: Walker,
    passes: Passes,
    looks: Looks,
    near: RefCell<Near>,
    uploads: Uploads,
    retries: Retries,
    chatter: Chatter,
    tale: Tale,
    /// Whether the target has got so much again that all it is owed waits, and until when.
    standing: Standing,
    until: Until,
    /// Whether the root was empty when a deletion of this turn asked.
    root_empty: Option<bool>,
    /// A pass over the whole has ended, which takes more memory than what follows.
    passed: bool,
}

impl Sender {
    /// Of a source to one target.
    pub fn new(root: Root, options: Options, mirror: Arc<Mirror>) -> Sender {
        let (groups, origins, busy, room) = Default::default();
        Sender { root, options, mirror, groups, origins, busy, room }
    }

    /// Begins to send over a connection, to be moved on by [`Session::step`].
    pub fn begin(&mut self, connection: Connection, until: Until) -> Session<'_> {
        let Connection { outbox, receipts, keep, durability, compress, version } = connection;
        self.mirror.target.set_durability(durability);
        self.mirror.pending().link_made();
        if let Some(blocked) = self.mirror.target.blocked() {
            self.room.meet(&blocked, self.mirror.now());
            // It is the last error still.
            self.mirror.target.set_blocked(Some(blocked));
        }
        let view = View::of_source(Arc::clone(&self.root.tree), keep, self.mirror.selection());
        Session {
            root: &self.root,
            options: self.options,
            mirror: &self.mirror,
            groups: &mut self.groups,
            origins: &mut self.origins,
            busy: &mut self.busy,
            room: &mut self.room,
            walker: Walker::new(self.options.workers, &self.mirror),
            view: Arc::new(view),
            policy: None,
            durability,
            version,
            wire: Wire::new(Outlet::keeping(outbox), compress, self.mirror.clock().clone()),
            receipts,
            early: None,
            flight: Flight::new(),
            pace: Pace::new(self.mirror.now()),
            passes: Passes::default(),
            looks: Looks::default(),
            near: RefCell::default(),
            uploads: Uploads::default(),
            retries: Retries::new(),
            chatter: Chatter::new(self.mirror.now()),
            tale: Tale::new(self.mirror.sent.totals()),
            standing: Standing::Open,
            until,
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
        self.groups.trim();
        let mut worked = self.hear()?;
        if self.wire.is_full() {
            return Ok(Turn::Worked);
        }
        self.take_stock();
        if self.standing == Standing::Open {
            worked |= self.step_room()?;
        }
        if self.room.is_closed() || self.standing != Standing::Open {
            self.finish_work();
            return Ok(if worked { Turn::Worked } else { Turn::Idle });
        }
        worked |= self.step_held()?;
        worked |= self.step_uploads()?;
        worked |= self.step_looks()?;
        worked |= self.step_passes()?;
        worked |= self.take_work()?;
        self.step_crowded();
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
        let bytes = sent.saturating_add(self.looks.bytes()).saturating_add(self.uploads.left());
        self.mirror.sent.under_way(entries as u64, bytes);
    }

    /// Tells whether all that is to be sent is found, and its size.
    fn tell_search(&self) {
        if !self.mirror.progress.is_fresh() {
            let over = self.looks.are_sized() && self.passes.are_compared();
            self.mirror.progress.set_whole(over);
        }
    }

    fn has_room(&self) -> bool {
        self.may_look() && !self.room.is_closed() && self.passes.has_room()
    }

    /// Whether more may be done that leads to looks.
    fn may_look(&self) -> bool {
        self.may_send() && self.looks.len() < LOOKS && self.looks.path_bytes() < PATHS
    }

    /// Whether one more operation may be sent: the peer takes what is sent, and neither is too much unanswered nor was too much
    /// sent again. All that sends many of its own accord asks before each, so that what a step leaves behind in a full outbox
    /// is little.
    fn may_send(&self) -> bool {
        // While all is compared nothing is new to anybody.
        let window = if self.mirror.progress.is_scanning() { FLIGHT } else { self.pace.window() };
        self.flight.len() < window
            && self.flight.path_bytes() < PATHS
            && !self.wire.is_full()
            && self.standing == Standing::Open
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Worked,
    Idle,
}
