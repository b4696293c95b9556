//! What a receipt says of files that were offered and not asked for: the target has their content. And what was sent since a
//! question.

use proto::{RelPath, Time};

use super::{Answer, Flight, Sent, place};
use crate::pending::Ticket;
use crate::view::{Inode, Node};

impl Flight {
    /// Whether, since this operation was sent, another was that concerns what stands at either place. One that moves
    /// something to the first does not.
    pub fn concerns_since(&self, number: u64, places: [&RelPath; 2]) -> bool {
        let later = self.ops.iter().skip(self.upto(number));
        let comes = |sent: &Sent| matches!(sent, Sent::Rename(_, to, _) if to == places[0]);
        later.into_iter().any(|op| !comes(&op.sent) && op.sent.is_at(places))
    }

    /// The files with several names that the target has as they are, by a receipt up to this number.
    pub fn linked(&self, upto: u64) -> Vec<(Ticket, RelPath, Inode)> {
        let acknowledged = self.ops.iter().take(self.upto(upto)).filter(|op| op.ticket != 0);
        acknowledged
            .filter_map(|op| match &op.sent {
                Sent::LinkedOffer(path, inode) => Some((op.ticket, path.clone(), *inode)),
                _ => None,
            })
            .collect()
    }

    /// Inexact copies of files of which a receipt up to this number says that the target has taken them, with their operations.
    pub fn copies(&self, upto: u64) -> Vec<(u64, RelPath)> {
        let acknowledged = self.unanswered().zip(&self.ops).take_while(|((number, _), _)| *number <= upto);
        let taken = acknowledged
            .filter(|(_, op)| op.inexact && op.ticket != 0 && matches!(op.answer, Answer::None | Answer::Partly));
        taken.map(|((number, sent), _)| (number, place(sent).clone())).collect()
    }

    /// The files of which the target has the content still, by a receipt up to this number, with their operations.
    pub fn rebuilt(&self, upto: u64) -> Vec<(u64, RelPath, Node, Time)> {
        let acknowledged = self.unanswered().zip(&self.ops).take_while(|((number, _), _)| *number <= upto);
        let equal = acknowledged.filter(|(_, op)| op.ticket != 0 && matches!(op.answer, Answer::None | Answer::Partly));
        equal
            .filter_map(|((number, _), op)| match &op.sent {
                Sent::Rebuilt(path, node, mtime) => Some((number, path.clone(), *node, *mtime)),
                _ => None,
            })
            .collect()
    }
}
