//! One connection of a world: the two roles and the link between them, moved on one action at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::login::Refusal;
use sys::faults;
use sys::{Mounts, Tree};
use tokio::sync::{mpsc, watch};

use super::super::asides;
use super::super::trace::{shown_answers, shown_frames, without_moments};
use super::asked::Question;
use super::pipe::Pipe;
use super::spell::{Side, Spell};
use super::{Left, Sim, Troubled};
use crate::channel::OUTBOX;

use crate::pack::{Compress, Unpacker};
use crate::receiver::{self, EndReason, Grant, Receiver};
use crate::sender::{Connection, Ended, Sender, Session, Until};
use crate::view::Replica;
use crate::workers::{Step, Workers};

/// A receiver that has nothing to do for so long has taken its folder of temporaries away.
const TIDIED: Duration = Duration::from_secs(1);

/// What may be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Operate,
    Deliver,
    Send,
    Receive,
    Carry,
}

/// A role that takes steps.
enum Role {
    /// It has something to do, perhaps.
    Awake,
    /// It has not, before this moment.
    Asleep(Option<Instant>),
    Over,
}

/// The two ends of each channel that the link holds.
struct Link {
    from_sender: mpsc::Receiver<Bytes>,
    there: Pipe,
    to_receiver: mpsc::Sender<Bytes>,
    from_receiver: mpsc::Receiver<Bytes>,
    back: Pipe,
    to_sender: mpsc::Sender<Bytes>,
}

pub(super) struct Pair<'p, 's> {
    pub(super) sending: Session<'s>,
    taking: receiver::Session<'p>,
    sender: Role,
    receiver: Role,
    link: Link,
    stop: watch::Sender<Option<Refusal>>,
    unpacker: Unpacker,
    sent: u64,
}

impl Role {
    fn is_awake(&self, now: Instant) -> bool {
        match self {
            Role::Awake => true,
            Role::Asleep(due) => due.is_some_and(|due| due <= now),
            Role::Over => false,
        }
    }

    fn due(&self) -> Option<Instant> {
        if let Role::Asleep(due) = self { *due } else { None }
    }

    fn wake(&mut self) {
        if let Role::Asleep(_) = self {
            *self = Role::Awake;
        }
    }
}

impl Sim<'_> {
    /// One connection, until it is over.
    pub(super) fn connect(&mut self, sender: &mut Sender) -> Left {
        let tree = Arc::new(Tree::open(&self.place.there, Mounts::Stay).unwrap());
        let replica = Arc::new(Replica::new(tree, self.place.keep).unwrap());
        let (keep, durability, signatures) = (self.place.keep, self.durability, self.known.clone());
        let grant = Grant { signatures, ..Grant::alone(replica, durability) };
        let mut receiver = Receiver::new(grant, self.place.clock.clone(), Workers::Inline);
        let (outbox, from_sender) = mpsc::channel(OUTBOX);
        let (to_receiver, inbox) = mpsc::channel(OUTBOX);
        let (answers, from_receiver) = crate::sender::tests::answers(OUTBOX, &proto::policy::Policy::default());
        let (to_sender, receipts) = mpsc::channel(OUTBOX);
        let (stop, stopped) = watch::channel(None);
        let compress = *self.rng.choice(&[Compress::Auto, Compress::Off, Compress::Level(1)]).unwrap();
        self.record.update(b"connection");
        // What was asked over the one before it was answered or not.
        self.asked.open = None;
        let connection = Connection { outbox, receipts, keep, durability, compress, version: proto::Version::HIGHEST };
        let (there, back) = (Pipe::default(), Pipe::default());
        let mut pair = Pair {
            sending: sender.begin(connection, Until::Stopped),
            taking: receiver.begin(inbox, answers, stopped),
            sender: Role::Awake,
            receiver: Role::Awake,
            link: Link { from_sender, there, to_receiver, from_receiver, back, to_sender },
            stop,
            unpacker: Unpacker::default(),
            sent: 0,
        };
        loop {
            match self.act(&mut pair) {
                Ok(None) => {}
                Ok(Some(left)) => {
                    self.place.trace.say(|| "DISCONNECTED".into());
                    return left;
                }
                Err(why) => return Left::Failed(why),
            }
        }
    }

    fn act(&mut self, pair: &mut Pair<'_, '_>) -> Result<Option<Left>, String> {
        let chance = self.rng.u16(..1000);
        let mut weather = self.weather;
        if self.steps == 0 && self.actions > 500 {
            // Else it may never come to rest.
            (weather.cuts, weather.stops, weather.restarts) = (0, 0, 0);
        }
        if chance < weather.cuts {
            return self.cut(pair).map(Some);
        } else if chance < weather.cuts + weather.stops {
            self.place.trace.say(|| "STOP the receiver".into());
            pair.stop.send_replace(Some(Refusal::Stopping));
            pair.receiver.wake();
        } else if chance < weather.cuts + weather.stops + weather.restarts {
            self.place.trace.say(|| "RESTART the sender".into());
            self.cut(pair)?;
            return Ok(Some(Left::Restarted));
        }
        match self.choose(pair) {
            Some(Action::Operate) => self.operate(),
            Some(Action::Deliver) => {
                self.deliver();
                pair.sender.wake();
            }
            Some(Action::Send) => match self.on(Side::Source, || pair.sending.step()) {
                Step::Worked => pair.sender = Role::Awake,
                Step::Idle(due) => pair.sender = Role::Asleep(due),
                Step::Ended(ended) => return self.sender_ended(pair, ended).map(Some),
            },
            Some(Action::Receive) => self.receive(pair)?,
            Some(Action::Carry) => self.carry(pair),
            None if matches!(pair.receiver, Role::Over) && pair.link.is_quiet() => {
                // All that it said has arrived: the link closes.
                pair.link.to_sender = mpsc::channel(1).0;
                pair.link.from_sender.close();
                pair.sender.wake();
            }
            None if self.is_settled(pair) => {
                pair.sender.wake();
                if self.asks(pair)? {
                    return Ok(None);
                }
                return self.judge();
            }
            None => self.sleep(pair)?,
        }
        self.pass()?;
        Ok(None)
    }

    /// Whether nothing is owed, and the receiver has tidied up.
    fn is_settled(&self, pair: &Pair<'_, '_>) -> bool {
        let soon = self.place.clock.now() + TIDIED;
        let tidy = pair.receiver.due().is_some_and(|due| due > soon);
        self.steps == 0
            && pair.sending.flight.is_empty()
            && tidy
            && !self.has_hints()
            && self.mirror.pending().is_empty()
    }

    /// One of those that have something to do.
    fn choose(&mut self, pair: &Pair<'_, '_>) -> Option<Action> {
        let now = self.place.clock.now();
        let can = [
            (Action::Operate, self.steps > 0),
            (Action::Deliver, self.has_hints()),
            (Action::Send, pair.sender.is_awake(now)),
            (Action::Receive, pair.receiver.is_awake(now)),
            (Action::Carry, pair.link.can_carry(now)),
        ];
        let shares = self.weather.shares;
        let all: u32 = can.iter().zip(shares).map(|((_, can), share)| u32::from(*can) * u32::from(share)).sum();
        if all == 0 {
            return None;
        }
        let mut drawn = self.rng.u32(..all);
        for ((action, can), share) in can.into_iter().zip(shares) {
            let share = u32::from(can) * u32::from(share);
            if drawn < share {
                return Some(action);
            }
            drawn -= share;
        }
        None
    }

    /// Nobody has anything to do before a moment that comes by itself.
    fn sleep(&mut self, pair: &mut Pair<'_, '_>) -> Result<(), String> {
        let link = [pair.link.there.next(), pair.link.back.next()];
        let (now, roles) = (self.place.clock.now(), [pair.sender.due(), pair.receiver.due()]);
        // What has arrived at one who takes nothing now waits for that one.
        let due = roles.into_iter().chain(link).flatten().filter(|due| *due > now).min();
        let held = || self.mirror.held_alone().is_some();
        if self.steps == 0 && !self.has_hints() && held() {
            self.place.trace.say(|| "RELEASE".into());
            self.mirror.release();
            pair.sender = Role::Awake;
            return Ok(());
        }
        let due = due.ok_or_else(|| format!("nobody waits for anything, owed: {}", self.mirror.pending().owed()))?;
        self.place.clock.advance_to(due);
        Ok(())
    }

    /// A step of the role that has this disk.
    fn on<T>(&mut self, side: Side, step: impl FnOnce() -> T) -> T {
        let restless = if side == Side::Source { self.world.restless() } else { None };
        let mut plan = self.spell.as_mut().filter(|spell| spell.side == side).map(Spell::plan);
        if restless.is_none() && plan.is_none() {
            return step();
        }
        faults::plan(move |verb| {
            restless.iter().for_each(|restless| restless.borrow_mut().asked(verb));
            plan.as_mut().and_then(|plan| plan(verb))
        });
        let done = step();
        faults::end();
        self.world.tell_written();
        done
    }

    fn receive(&mut self, pair: &mut Pair<'_, '_>) -> Result<(), String> {
        let step = self.on(Side::Target, || pair.taking.step());
        self.watch_anchor()?;
        self.watch_copies()?;
        match step {
            Step::Worked => pair.receiver = Role::Awake,
            Step::Idle(due) => pair.receiver = Role::Asleep(due),
            Step::Ended(EndReason::Closed | EndReason::Stopped(_)) => pair.receiver = Role::Over,
            Step::Ended(ended) => return Err(format!("the receiver ended: {ended:?}")),
        }
        Ok(())
    }

    /// A buffer leaves a role for the link, or arrives.
    fn carry(&mut self, pair: &mut Pair<'_, '_>) {
        let now = self.place.clock.now();
        let arrives = now + Duration::from_micros(self.rng.u64(..=self.weather.slow));
        let Pair { link, sender, receiver, .. } = pair;
        let mut ways = [0, 1, 2, 3];
        self.rng.shuffle(&mut ways);
        for way in ways {
            match way {
                0 if link.there.has_room()
                    && let Ok(frames) = link.from_sender.try_recv() =>
                {
                    self.record.update(b">").update(&frames);
                    if self.place.trace.on {
                        shown_frames(&frames, &mut pair.unpacker, &mut pair.sent, &self.place.trace);
                    }
                    link.there.leave(frames, arrives);
                    if let Some(aside) = asides::to_receiver(&mut self.rng) {
                        link.there.leave(aside, arrives);
                    }
                    return sender.wake();
                }
                1 if link.there.next().is_some_and(|at| at <= now) && takes(&link.to_receiver) => {
                    // It may have ended.
                    let _ = link.there.arrive().map(|frames| link.to_receiver.try_send(frames));
                    return receiver.wake();
                }
                2 if link.back.has_room()
                    && let Ok(frames) = link.from_receiver.try_recv() =>
                {
                    self.record.update(b"<").update(&without_moments(&frames));
                    link.back.leave(frames, arrives);
                    if let Some(aside) = asides::to_sender(&mut self.rng) {
                        link.back.leave(aside, arrives);
                    }
                    return receiver.wake();
                }
                3 if link.back.next().is_some_and(|at| at <= now) && takes(&link.to_sender) => {
                    if let Some(frames) = link.back.arrive() {
                        shown_answers(&frames, &self.place.trace);
                        let _ = link.to_sender.try_send(frames);
                    }
                    return sender.wake();
                }
                _ => {}
            }
        }
    }

    /// The link breaks: some of what is on the way still arrives, in either direction, and the receiver ends.
    fn cut(&mut self, pair: &mut Pair<'_, '_>) -> Result<Left, String> {
        self.place.trace.say(|| "CUT".into());
        for frames in pair.link.back.cut(self.rng.usize(..8)) {
            shown_answers(&frames, &self.place.trace);
            // What does not fit is lost with the link.
            let _ = pair.link.to_sender.try_send(frames);
        }
        // What it hears last it may not have the time to act on.
        for _ in 0..self.rng.usize(..4) {
            if !matches!(pair.sending.step(), Step::Worked) {
                break;
            }
        }
        for frames in pair.link.there.cut(self.rng.usize(..8)) {
            while let Err(mpsc::error::TrySendError::Full(_)) = pair.link.to_receiver.try_send(frames.clone()) {
                while pair.link.from_receiver.try_recv().is_ok() {}
                self.receive(pair)?;
            }
        }
        self.end(pair)?;
        Ok(Left::Disconnected)
    }

    /// The receiver hears that its peer is gone, and carries out what it has.
    fn end(&mut self, pair: &mut Pair<'_, '_>) -> Result<(), String> {
        let (gone, _) = mpsc::channel(1);
        pair.link.to_receiver = gone;
        while !matches!(pair.receiver, Role::Over) {
            while pair.link.from_receiver.try_recv().is_ok() {}
            self.receive(pair)?;
        }
        Ok(())
    }

    fn sender_ended(&mut self, pair: &mut Pair<'_, '_>, ended: Ended) -> Result<Left, String> {
        self.place.trace.say(|| format!("ENDED {ended:?}"));
        match ended {
            // As it must be that has asked what no sender asks.
            Ended::Violation(_) if self.asked.open == Some(Question::Other) => {
                self.end(pair)?;
                Ok(Left::Disconnected)
            }
            Ended::Lost | Ended::Bye(_) => {
                self.end(pair)?;
                Ok(Left::Disconnected)
            }
            // A root that cannot be read. Somebody has looked, and goes on.
            Ended::Halted(_) if self.troubled != Troubled::No => {
                self.end(pair)?;
                self.mirror.go_on();
                Ok(Left::Disconnected)
            }
            ended => Err(format!("the sender ended: {ended:?}")),
        }
    }
}

impl Link {
    /// Whether the receiver has said nothing that is still to arrive.
    fn is_quiet(&self) -> bool {
        self.from_receiver.is_empty() && self.back.next().is_none()
    }

    fn can_carry(&self, now: Instant) -> bool {
        let arrives = |pipe: &Pipe| pipe.next().is_some_and(|at| at <= now);
        (self.there.has_room() && !self.from_sender.is_empty())
            || (self.back.has_room() && !self.from_receiver.is_empty())
            || (arrives(&self.there) && takes(&self.to_receiver))
            || (arrives(&self.back) && takes(&self.to_sender))
    }
}

/// Whether what arrives at a role is taken from the link: all is, by one that has ended.
fn takes(role: &mpsc::Sender<Bytes>) -> bool {
    role.is_closed() || role.capacity() > 0
}
