//! From bytes to checked operations, in bundles for the line. Runs on the session's own thread.
//!
//! All that a peer can do wrong in the data phase is found here or by the codec; what passes is carried out or
//! answered. Blob pieces are written here, straight from the frame.

use std::mem;

use bytes::Bytes;
use proto::codec::LENGTH;
use proto::limits::{FRAME, WINDOW};
use proto::{Content, Meta, RelPath, ToReceiver, ToSender, codec};
use tokio::runtime::Builder;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::watch;

use super::answer::About;
use super::blob::Blobs;
use super::equal::Claim;
use super::frames::Frames;
use super::line::Line;
use super::operation::{Bundle, Item, Operation};
use super::over::Over;
use super::pool::Pool;
use super::told::{Reports, Told};
use super::unpacking::Unpacking;
use super::{EndReason, Grant, Said, Stop};
use crate::channel::{self, Inbox, Outlet};
use crate::view::{Rule, View};
use crate::workers::Workers;

/// Operations that the intake stages itself when nothing else is going on: handing them over would cost more.
const FEW: usize = 4;

pub(super) struct Intake<'a> {
    line: &'a Line,
    pool: &'a Pool,
    inbox: Inbox,
    /// What came in while it waited.
    early: Option<Bytes>,
    outlet: Outlet,
    stop: Stop,
    workers: Workers,
    grant: &'a Grant,
    said: &'a watch::Sender<Said>,
    blobs: Blobs<'a>,
    unpacking: Unpacking,
    /// What is read just now, and what that stands in if it was packed.
    frames: Frames,
    around: Frames,
    /// It comes out of a `Packed`.
    is_packed: bool,
    /// Whether a ping may come there: none that was sent before is unanswered.
    may_ping: bool,
    bundle: Bundle,
    told: &'a Told,
    reports: Reports,
}

impl<'a> Intake<'a> {
    pub(super) fn new(
        grant: &'a Grant,
        (line, pool): (&'a Line, &'a Pool),
        (inbox, outlet): (Inbox, Outlet),
        stop: Stop,
        workers: Workers,
        (said, told): (&'a watch::Sender<Said>, &'a Told),
    ) -> Intake<'a> {
        let blobs = Blobs::new(grant, pool, line.retained(), outlet.clone());
        let (early, unpacking, bundle) = (None, Unpacking::default(), Bundle { first: 1, ..Bundle::default() });
        let (frames, around, is_packed, may_ping) = Default::default();
        Intake {
            line,
            pool,
            inbox,
            early,
            outlet,
            stop,
            workers,
            grant,
            said,
            blobs,
            unpacking,
            frames,
            around,
            is_packed,
            may_ping,
            bundle,
            told,
            reports: Reports::new(line.now()),
        }
    }

    pub(super) fn run(mut self) -> EndReason {
        // Only to wait for several things at a time: it drives no I/O and no timer.
        let runtime = match Builder::new_current_thread().build() {
            Ok(runtime) => runtime,
            Err(error) => return EndReason::Fault(format!("cannot wait for frames: {error}")),
        };
        loop {
            let worked = match self.step() {
                Ok(true) => Ok(()),
                Ok(false) => runtime.block_on(self.wait()),
                Err(ended) => Err(ended),
            };
            if let Err(ended) = worked {
                return ended;
            }
        }
    }

    /// An error when somebody has said that it is to end.
    pub(super) fn goes_on(&self) -> Result<(), EndReason> {
        match &*self.stop.borrow() {
            Some(refusal) => Err(EndReason::Stopped(refusal.clone())),
            None => Ok(()),
        }
    }

    /// Takes in what is there to be read, one buffer. Whether there was one.
    pub(super) fn step(&mut self) -> Result<bool, EndReason> {
        self.goes_on()?;
        match self.early.take().map_or_else(|| self.inbox.try_recv(), Ok) {
            Ok(buffer) => self.buffer(buffer).map(|()| true),
            Err(TryRecvError::Disconnected) => Err(EndReason::Closed),
            Err(TryRecvError::Empty) => {
                self.line.quiet();
                Ok(false)
            }
        }
    }

    /// Waits for the next buffer.
    pub(super) async fn wait(&mut self) -> Result<(), EndReason> {
        let (inbox, stop, line) = (&mut self.inbox, &mut self.stop, self.line);
        tokio::select! {
            biased;
            // Why, the next step finds.
            Ok(_) = stop.wait_for(Option::is_some) => Ok(()),
            () = line.ended() => Err(EndReason::Closed),
            buffer = inbox.recv(), if self.early.is_none() => {
                self.early = Some(buffer.ok_or(EndReason::Closed)?);
                Ok(())
            }
        }
    }

    /// Takes in one buffer of whole frames.
    fn buffer(&mut self, buffer: Bytes) -> Result<(), EndReason> {
        self.frames = Frames::received(buffer.len());
        self.may_ping = true;
        self.frames(buffer)?;
        self.blobs.look();
        self.hand_over()?;
        self.frames = Frames::default();
        Ok(())
    }

    /// Takes in what stands in one `Packed`.
    fn packed(&mut self, length: u32, bytes: &[u8]) -> Result<(), EndReason> {
        let unpacked = self.unpacking.unpack(length, bytes, self.line.retained());
        let (frames, window) = unpacked.map_err(EndReason::Violation)?;
        if let Some(log) = window {
            self.say(&ToSender::Window { log });
        }
        self.frames.settle(&mut self.bundle, self.line.retained());
        self.around = mem::replace(&mut self.frames, Frames::unpacked(frames.len()));
        self.is_packed = true;
        self.frames(frames)?;
        self.is_packed = false;
        self.frames.settle(&mut self.bundle, self.line.retained());
        self.frames = mem::take(&mut self.around);
        Ok(())
    }

    /// Takes in whole frames and nothing else.
    fn frames(&mut self, mut buffer: Bytes) -> Result<(), EndReason> {
        let broken = |error: codec::Error| EndReason::Violation(error.to_string());
        while let Some(frame) = codec::split(&mut buffer, FRAME).map_err(broken)? {
            self.frames.read(LENGTH + frame.len());
            if self.is_packed && codec::is_never_packed(&frame) {
                let words = "sent compressed what is not to be: a ping, a drop, or frames that are compressed already";
                return Err(EndReason::Violation(words.to_owned()));
            }
            self.message(ToReceiver::decode(frame, self.grant.version).map_err(broken)?)?;
        }
        if !buffer.is_empty() {
            return Err(EndReason::Violation("sent a frame in parts".to_owned()));
        }
        Ok(())
    }

    fn message(&mut self, message: ToReceiver) -> Result<(), EndReason> {
        let operation = match message {
            ToReceiver::Blob { id, size } => return self.blobs.open(id, size).map_err(EndReason::Violation),
            ToReceiver::Data { id, offset, bytes } => {
                return self.blobs.data(id, offset, &bytes).map_err(EndReason::Violation);
            }
            ToReceiver::Basis { id, path } => {
                unreserved(self.grant.replica.view(), &path).map_err(EndReason::Violation)?;
                return self.blobs.basis(id, &path).map_err(EndReason::Violation);
            }
            ToReceiver::Copy { id, offset, first, count } => {
                return self.blobs.copy(id, offset, first, count).map_err(EndReason::Violation);
            }
            ToReceiver::Drop { id } => return self.discard(id),
            ToReceiver::Packed { length, bytes } => return self.packed(length, &bytes),
            ToReceiver::Windowed { log } => return self.unpacking.windowed(log).map_err(EndReason::Violation),
            ToReceiver::Ping => return self.ping(),
            ToReceiver::Noted => return self.says(|said| &mut said.noted),
            ToReceiver::Return => return self.says(|said| &mut said.returned),
            ToReceiver::Spare => return self.spare(),
            ToReceiver::Done(_) | ToReceiver::Problem { .. } | ToReceiver::Report(_) => {
                if matches!(message, ToReceiver::Report(_)) && !self.reports.heard(self.line.now()) {
                    return Err(EndReason::Violation("reports more often than once a second".to_owned()));
                }
                self.told.hear(message, self.line.wall());
                return Ok(());
            }
            ToReceiver::Pong | ToReceiver::Extra { .. } => return Ok(()),
            ToReceiver::Put { path, meta, content, inexact } => self.put(path, meta, content, inexact)?,
            ToReceiver::Make { path, meta } => Operation::Make { path, meta },
            ToReceiver::Mend { path, meta } => Operation::Mend { path, meta },
            ToReceiver::Offer { path, meta, digest } => Operation::Offer { path, meta, digest },
            ToReceiver::Link { first, others } => Operation::Link { first, others },
            ToReceiver::Remove { path } => Operation::Remove { path },
            ToReceiver::Rename { from, to } => Operation::Rename { from, to },
            ToReceiver::Exchange { a, b } => Operation::Exchange { a, b },
            ToReceiver::Compare { path, digest } => Operation::Folder { path, about: About::Digest(digest) },
            ToReceiver::List { path, after } => Operation::Folder { path, about: About::Behind(after) },
            ToReceiver::Count { path } => Operation::Count { path },
            ToReceiver::Settle { path } => Operation::Settle { path },
            ToReceiver::Equal { path, size, digest } => Operation::Equal(Claim { path, size, digest }),
            ToReceiver::Mark { name } => Operation::Mark { name },
        };
        check(self.grant.replica.view(), &operation).map_err(EndReason::Violation)?;
        if self.bundle.first + self.bundle.operations.len() as u64 > self.line.acknowledged() + WINDOW {
            return Err(EndReason::Violation(format!("has more than {WINDOW} operations unacknowledged")));
        }
        self.bundle.push(operation);
        if self.bundle.is_full() { self.hand_over() } else { Ok(()) }
    }

    fn put(&mut self, path: RelPath, meta: Meta, content: Content, inexact: bool) -> Result<Operation, EndReason> {
        let size = meta.size;
        let mut built = None;
        let item = match content {
            Content::Inline(bytes) => match self.grant.limits.too_large(size) {
                Some(outcome) => Item::Ready(Err(outcome)),
                None => Item::Inline(meta, bytes),
            },
            Content::Blob { id, hash } => match self.blobs.take(id, size, &hash).map_err(EndReason::Violation)? {
                Ok((file, how)) => {
                    built = how;
                    Item::Blob(meta, file)
                }
                Err(outcome) => Item::Ready(Err(outcome)),
            },
            Content::Asked { room } => match self.grant.limits.too_large(size) {
                Some(outcome) => Item::Ready(Err(outcome)),
                None => return Ok(Operation::Ask { path, meta, room, inexact }),
            },
        };
        Ok(Operation::Put { path, size, inexact, item, built })
    }

    fn says(&self, what: impl Fn(&mut Said) -> &mut bool) -> Result<(), EndReason> {
        self.said.send_if_modified(|said| !std::mem::replace(what(said), true));
        Ok(())
    }

    /// It mirrors no deletions: said once, of all operations.
    fn spare(&self) -> Result<(), EndReason> {
        let first = self.bundle.first == 1 && self.bundle.operations.is_empty();
        if !first || !self.grant.replica.begin_sparing() {
            return Err(EndReason::Violation("said too late, or twice, that it mirrors no deletions".to_owned()));
        }
        Ok(())
    }

    fn discard(&mut self, id: u32) -> Result<(), EndReason> {
        if !self.blobs.discard(id).map_err(EndReason::Violation)? {
            return Ok(());
        }
        // An empty bundle, so that the publisher looks whether the folder of temporaries can go.
        let place = self.line.admit(0).map_err(|Over| EndReason::Closed)?;
        self.line.arrive(place, Bundle::default());
        Ok(())
    }

    /// One for each buffer: what is answered takes memory.
    fn ping(&mut self) -> Result<(), EndReason> {
        let may = mem::replace(&mut self.may_ping, false);
        if !may {
            return Err(EndReason::Violation("sent a ping before the last one was answered".to_owned()));
        }
        self.say(&ToSender::Pong);
        Ok(())
    }

    /// Waits while the outbox is full: the peer reads it whatever else it does. One that is gone may have said more before it
    /// went, as that it gives the folder back, and is heard to the end.
    fn say(&self, message: &ToSender) {
        let _ = self.outlet.send(channel::frame(message));
    }

    /// Sends the bundle that was gathered on its way.
    fn hand_over(&mut self) -> Result<(), EndReason> {
        if self.bundle.operations.is_empty() {
            return Ok(());
        }
        // Before what comes behind the questions is carried out.
        self.blobs.look();
        let next = Bundle { first: self.bundle.first + self.bundle.operations.len() as u64, ..Bundle::default() };
        let mut bundle = mem::replace(&mut self.bundle, next);
        let few = bundle.operations.len() <= FEW && self.inbox.is_empty() && self.line.is_empty();
        if !few {
            self.frames.settle(&mut bundle, self.line.retained());
        }
        self.charge(&mut bundle)?;
        let place = self.line.admit(bundle.bytes).map_err(|Over| EndReason::Closed)?;
        if !bundle.operations.iter().any(Operation::needs_staging) {
            self.line.arrive(place, bundle);
        } else if few || self.workers == Workers::Inline {
            self.pool.stage_all(&mut bundle);
            self.line.arrive(place, bundle);
        } else {
            self.pool.stage(place, bundle);
        }
        Ok(())
    }

    /// Charges the session for what the bundle holds. Waits where there is no room, with nothing in its hands that is charged.
    fn charge(&mut self, bundle: &mut Bundle) -> Result<(), EndReason> {
        bundle.charge = match self.line.charge(bundle.cost()) {
            Some(charge) => charge,
            None => {
                bundle.leave_frames();
                self.frames.let_go();
                self.around.let_go();
                self.line.charge_waiting(bundle.cost()).map_err(|Over| EndReason::Closed)?
            }
        };
        Ok(())
    }
}

/// Whether no name is one of the receiver's own. All else that can be wrong in an operation, as a root, a kind or nested
/// paths where they may not be, the codec has refused.
fn check(view: &View, operation: &Operation) -> Result<(), String> {
    operation.paths().try_for_each(|path| unreserved(view, path))
}

fn unreserved(view: &View, path: &RelPath) -> Result<(), String> {
    match view.selection().leaves_out(path) {
        Some(Rule::Reserved) => Err(format!("named '{path}', which is reserved for the receiver")),
        _ => Ok(()),
    }
}
