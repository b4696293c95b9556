//! Operations that are sent and not acknowledged, and the work that they belong to. Numbers operations as the receiver
//! does, and tells which work is through.

mod offered;
mod sent;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use proto::RelPath;

pub(super) use sent::{Sent, place};

use crate::pending::Ticket;
use crate::view::Node;

struct Op {
    /// Whose it is; 0 once it was answered.
    ticket: Ticket,
    sent: Sent,
    /// Bytes of a file's content that it brings, and whether that is not of one moment.
    content: Option<u64>,
    inexact: bool,
    /// The file with several names whose content that is, if they are joined.
    linked: Option<Node>,
    /// Whether its place stays in trouble: it is not joined with others.
    apart: bool,
    answer: Answer,
}

/// What the target has said of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing yet. If a receipt comes without an answer, it was carried out.
    None,
    /// What it asked for.
    Told,
    /// It is carried out, but for some metadata.
    Partly,
    /// It is not carried out.
    Not,
}

/// What a receipt says has arrived.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arrived {
    /// Regular files with their content.
    pub files: u64,
    /// Bytes of their content, holes included.
    pub bytes: u64,
    /// Entries that are removed.
    pub removed: u64,
}

/// How work ends when all its operations are through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All that it led to is carried out.
    Done,
    /// It found nothing where something was expected.
    LostSight,
    /// The file is still being written.
    StillOpen,
    /// It failed for now: again after this time.
    Again(Duration),
}

struct Unfinished {
    /// Operations in flight, looks queued, uploads and the pass that belong to it.
    holds: usize,
    end: End,
}

/// What is on its way, in the order in which it was sent.
pub(super) struct Flight {
    ops: VecDeque<Op>,
    /// Number of the first in `ops`.
    first: u64,
    /// Up to which all is visible there.
    applied: u64,
    unfinished: HashMap<Ticket, Unfinished>,
    /// Renames and exchanges among `ops`.
    moves: usize,
    /// Those of `ops` that bring or change an entry.
    changes: usize,
    /// Content of small files that they bring.
    content: u64,
    /// Bytes of the paths of `ops`.
    path_bytes: usize,
    /// By path: the last operation in flight that the target had trouble with.
    troubled: HashMap<RelPath, u64>,
    ended: Vec<(Ticket, End)>,
}

impl Flight {
    pub fn new() -> Flight {
        let (ops, applied, unfinished, troubled, ended) = Default::default();
        let (moves, changes, content, path_bytes) = Default::default();
        Flight { ops, first: 1, applied, unfinished, moves, changes, content, path_bytes, troubled, ended }
    }

    /// Operations that are sent and not acknowledged.
    pub fn len(&self) -> u64 {
        self.ops.len() as u64
    }

    /// Entries that they bring or change, and the content that is in the operations themselves.
    pub fn owed(&self) -> (usize, u64) {
        (self.changes, self.content)
    }

    /// Bytes of the paths of what is sent and not acknowledged.
    pub fn path_bytes(&self) -> usize {
        self.path_bytes
    }

    /// Whether no operation is in flight and no work is open.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.unfinished.is_empty() && self.ended.is_empty()
    }

    /// Numbers an operation that is being sent for this work.
    pub fn sent(&mut self, ticket: Ticket, sent: Sent) -> u64 {
        self.hold(ticket);
        self.moves += usize::from(sent.is_move());
        self.changes += usize::from(sent.is_change());
        self.path_bytes += sent.path_bytes();
        let apart = matches!(sent, Sent::Apart(_));
        let (content, linked, answer) = (None, None, Answer::None);
        self.ops.push_back(Op { ticket, sent, content, linked, inexact: false, apart, answer });
        self.first + self.ops.len() as u64 - 1
    }

    /// The operation that was numbered last brings so much content of a file.
    pub fn brings(&mut self, bytes: u64) {
        if let Some(op) = self.ops.back_mut() {
            op.content = Some(bytes);
            self.content += small(bytes);
        }
    }

    /// That is no content of one moment.
    pub fn brings_inexact(&mut self) {
        self.ops.back_mut().into_iter().for_each(|op| op.inexact = true);
    }

    /// Whether this operation brings an inexact copy of a file.
    pub fn is_inexact(&self, number: u64) -> bool {
        self.op(number).is_some_and(|op| op.inexact)
    }

    /// Whether this operation brings the content of a file.
    pub fn has_content(&self, number: u64) -> bool {
        self.op(number).is_some_and(|op| op.content.is_some())
    }

    /// That is the content of this file with several names, which are joined. With none it is apart from others that it should
    /// be joined with.
    pub fn is_linked(&mut self, joined: Option<Node>) {
        if let Some(op) = self.ops.back_mut() {
            (op.linked, op.apart) = (joined, joined.is_none());
        }
    }

    /// The file with several names whose content operation `number` brings.
    pub fn linked_as(&self, number: u64) -> Option<Node> {
        self.op(number)?.linked
    }

    /// Where this operation stands among those in flight, if it is one of them.
    fn at(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok().filter(|at| *at < self.ops.len())
    }

    /// How many of them are no later than this one.
    fn upto(&self, number: u64) -> usize {
        usize::try_from(number.saturating_add(1).saturating_sub(self.first)).unwrap_or(usize::MAX)
    }

    fn op(&self, number: u64) -> Option<&Op> {
        self.at(number).map(|at| &self.ops[at])
    }

    fn op_mut(&mut self, number: u64) -> Option<&mut Op> {
        self.at(number).map(|at| &mut self.ops[at])
    }

    /// What operation `number` was; `None` when it is not in flight, which is the peer's mistake.
    pub fn get(&self, number: u64) -> Option<(Ticket, &Sent)> {
        self.op(number).filter(|op| op.ticket != 0).map(|op| (op.ticket, &op.sent))
    }

    /// Where the entry that operation `number` knew as `place` stands at the target after all renames that were sent
    /// later.
    pub fn forwarded(&self, number: u64, place: &RelPath) -> RelPath {
        if self.moves == 0 {
            return place.clone();
        }
        let later = self.upto(number);
        let mut at = place.clone();
        for op in self.ops.iter().skip(later) {
            let moved = match &op.sent {
                Sent::Rename(from, to, _) => at.rebase(from, to),
                Sent::Exchange(a, b, _) => at.rebase(a, b).or_else(|| at.rebase(b, a)),
                _ => None,
            };
            at = moved.unwrap_or(at);
        }
        at
    }

    /// What was sent and not acknowledged.
    pub fn unanswered(&self) -> impl Iterator<Item = (u64, &Sent)> {
        (self.first..).zip(self.ops.iter().map(|op| &op.sent))
    }

    /// Operations up to `upto` are visible at the target. Whether that is news; `None` when it names one that was never sent.
    pub fn applied(&mut self, upto: u64) -> Option<bool> {
        let news = upto > self.applied;
        self.applied = self.applied.max(upto);
        (upto < self.first + self.len()).then_some(news)
    }

    /// Whether a receipt up to `upto` acknowledges nothing new.
    pub fn is_old(&self, upto: u64) -> bool {
        upto < self.first
    }

    /// What the target has said of this operation.
    pub fn answer(&self, number: u64) -> Answer {
        self.op(number).map_or(Answer::None, |op| op.answer)
    }

    /// Operations up to `upto` are acknowledged. `None` when it names one that was never sent.
    pub fn acknowledged(&mut self, upto: u64) -> Option<Arrived> {
        if upto >= self.first + self.len() {
            return None;
        }
        let mut arrived = Arrived::default();
        while self.first <= upto {
            let op = self.ops.pop_front()?;
            self.first += 1;
            self.moves -= usize::from(op.sent.is_move());
            self.changes -= usize::from(op.sent.is_change());
            self.content -= small(op.content.unwrap_or_default());
            self.path_bytes -= op.sent.path_bytes();
            if op.answer != Answer::Not {
                arrived.files += u64::from(op.content.is_some());
                arrived.bytes += op.content.unwrap_or_default();
                arrived.removed += u64::from(matches!(op.sent, Sent::Remove(_)));
            }
            if op.answer == Answer::None && matches!(op.sent, Sent::Asked(..) | Sent::Vacant(..)) {
                // A receipt is no answer.
                return None;
            }
            self.let_go(op.ticket);
        }
        self.troubled.retain(|_, number| *number > upto);
        Some(arrived)
    }

    /// What the target said of this operation, and with what there is trouble.
    pub fn answered(&mut self, number: u64, answer: Answer, troubled: &[RelPath]) {
        if let Some(op) = self.op_mut(number) {
            op.answer = answer;
        }
        self.troubled.extend(troubled.iter().map(|place| (place.clone(), number)));
    }

    /// Folders that the target has listed, by a receipt up to this number; where they stand there by now.
    pub fn listed(&self, upto: u64) -> Vec<RelPath> {
        let good = self.unanswered().zip(&self.ops).take(self.upto(upto));
        good.filter(|(_, op)| op.answer == Answer::None && op.ticket != 0)
            .filter_map(|((number, sent), _)| match sent {
                Sent::Compare(path) => Some(self.forwarded(number, path)),
                _ => None,
            })
            .collect()
    }

    /// The places that are whole at the target by a receipt up to this number, after all renames that were sent since.
    /// Without those that a later operation, of which the answer is here already, had trouble with.
    pub fn whole(&self, upto: u64) -> Vec<RelPath> {
        let acknowledged = self.unanswered().zip(&self.ops).take(self.upto(upto));
        let good = acknowledged.filter(|(_, op)| op.answer == Answer::None && op.ticket != 0 && !op.apart);
        let mut whole = Vec::new();
        for ((number, sent), _) in good {
            let places = match sent {
                Sent::Entry(path, _) | Sent::Folder(path, _) | Sent::Standing(path) => std::slice::from_ref(path),
                Sent::Remove(path) | Sent::Offer(path) | Sent::Rebuilt(path, ..) | Sent::LinkedOffer(path, _) => {
                    std::slice::from_ref(path)
                }
                Sent::Link(_, others) => others,
                _ => &[],
            };
            let fine = places.iter().filter(|place| self.troubled.get(*place).is_none_or(|later| *later < number));
            whole.extend(fine.map(|place| self.forwarded(number, place)));
        }
        whole
    }

    /// The receiver could not do this now. Its work does not wait for a receipt, which may not come before more is
    /// sent.
    pub fn failed(&mut self, number: u64, after: Duration) {
        if let Some(op) = self.op_mut(number) {
            let ticket = std::mem::take(&mut op.ticket);
            self.end_with(ticket, End::Again(after));
            self.let_go(ticket);
        }
    }

    /// All is said about this operation: its work does not wait for a receipt.
    pub fn conclude(&mut self, number: u64) {
        if let Some(op) = self.op_mut(number) {
            let ticket = std::mem::take(&mut op.ticket);
            self.let_go(ticket);
        }
    }

    /// The target wants more for this operation: its receipt says nothing.
    pub fn wanted(&mut self, number: u64) {
        if let Some(op) = self.op_mut(number)
            && let Sent::LinkedOffer(path, _) = &op.sent
        {
            op.sent = Sent::Offer(path.clone());
        }
    }

    /// One more thing to wait for before this work is through.
    pub fn hold(&mut self, ticket: Ticket) {
        self.hold_more(ticket, 1);
    }

    /// So many more things to wait for, as of a folder full of looks.
    pub fn hold_more(&mut self, ticket: Ticket, more: usize) {
        self.unfinished.entry(ticket).or_insert(Unfinished { holds: 0, end: End::Done }).holds += more;
    }

    /// One thing less; with the last the work is through.
    pub fn let_go(&mut self, ticket: Ticket) {
        let Some(work) = self.unfinished.get_mut(&ticket) else { return };
        work.holds -= 1;
        if work.holds == 0 {
            let end = work.end;
            self.unfinished.remove(&ticket);
            self.ended.push((ticket, end));
        }
    }

    /// How this work is to end; trouble outweighs what was said before.
    pub fn end_with(&mut self, ticket: Ticket, end: End) {
        if let Some(work) = self.unfinished.get_mut(&ticket)
            && !matches!(work.end, End::Again(_))
        {
            work.end = end;
        }
    }

    /// Work that is through since the last call.
    pub fn take_ended(&mut self) -> Vec<(Ticket, End)> {
        std::mem::take(&mut self.ended)
    }
}

/// The content of a file, if it travels in one piece with it.
fn small(bytes: u64) -> u64 {
    if bytes <= proto::limits::INLINE as u64 { bytes } else { 0 }
}
