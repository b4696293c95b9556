//! What is sent again without a change at the source: told to the account of the target, and held back by it.

use std::borrow::Cow;

use proto::{Outcome, RelPath};
use sys::Stat;

use super::flight::{Sent, place};
use super::looks::{Look, Why};
use super::pass::{Difference, Mates};
use super::upload::Upload;
use super::walk::Children;
use super::{Session, Until};
use crate::hint::Cause;
use crate::mirror::{ASKS, Amount, Occasion, Past, Standing, Stock};
use crate::pending::Ticket;
use crate::view::Inode;

impl Session<'_> {
    /// Looks whether the target may get more.
    pub(super) fn take_stock(&mut self) {
        let standing = self.mirror.account.standing();
        let waits = |standing| matches!(standing, Standing::UsedUp(_));
        if waits(self.standing) != waits(standing) {
            self.mirror.target.set_asks(waits(standing));
        }
        self.standing = standing;
    }

    /// Why a run that is to end does so, if it is that the target keeps asking.
    pub(super) fn gives_up_asked(&self) -> Option<String> {
        let used_up = self.until == Until::InSync && self.standing != Standing::Open;
        used_up.then(|| format!("{ASKS}; paths that are still owed: {}", self.mirror.pending().len()))
    }

    /// Whether the content of this file has to wait, as the target has got it again and again: it is owed then. Not that of one
    /// with several names that are files of their own there: each would call for the others anew.
    pub(super) fn is_sent_later(&mut self, look: &Look, stat: &Stat) -> bool {
        if stat.nlink > 1 && !self.is_joined(stat) {
            return false;
        }
        let Some(due) = self.mirror.account.due(&self.sent_as(&look.path, stat, look.why.apart()), stat) else {
            return false;
        };
        let more = Cause::WRITTEN | Cause::ALONE | look.why.apart();
        self.owe_entry(look.ticket, look.path.clone(), more);
        self.mirror.pending().postpone(&look.path, due);
        true
    }

    /// A pass has listed this: one over all there is counts it.
    pub(super) fn account_listed(&mut self, ticket: Ticket, children: &Children) {
        if !self.passes.is_full(ticket) {
            return;
        }
        let bytes = children.sized().filter_map(|(_, _, size)| size).fold(0, u64::saturating_add);
        let mut named = Amount { bytes, entries: children.len() as u64 };
        let mut once = named;
        if let Children::Listing(listing) = children {
            for (name, inode) in &listing.linked {
                if !self.passes.count_once(ticket, inode.node()) {
                    let size = listing.find(name).map_or(0, |(entry, _)| entry.size);
                    once.bytes = once.bytes.saturating_sub(size);
                }
            }
        }
        if self.names() == Mates::Joined {
            named = once;
        }
        self.mirror.account.count(Stock { named, once });
    }

    /// The size of what a pass over all has only met by name is known now: it is counted.
    pub(super) fn account_size(&mut self, look: &Look, stat: &Stat) {
        let is_news = look.size.is_none() && look.why == Why::Differs(Difference::Missing);
        if self.sends_for(look.ticket) == Occasion::FullPass && is_news {
            let size = Amount { bytes: stat.size, entries: 0 };
            let new = stat.nlink < 2 || self.passes.count_once(look.ticket, Inode::of(stat).node());
            let once = if new { size } else { Amount::default() };
            let named = if self.names() == Mates::Joined { once } else { size };
            self.mirror.account.count(Stock { named, once });
        }
    }

    /// The name that what is sent of a file counts under: all names of one that the target is to join are one, whatever it
    /// says to that.
    fn sent_as<'p>(&self, path: &'p RelPath, stat: &Stat, apart: Cause) -> Cow<'p, RelPath> {
        if self.is_joined(stat) && !apart.has(Cause::CROWDED) {
            Cow::Owned(RelPath::root())
        } else {
            Cow::Borrowed(path)
        }
    }

    /// All of the content of this file was sent.
    pub(super) fn has_sent(&self, path: &RelPath, stat: &Stat, apart: Cause, past: Past) {
        self.mirror.account.has_sent(&self.sent_as(path, stat, apart), stat, past);
    }

    /// The content of this file is sent, so much of it at once.
    pub(super) fn account_content(&mut self, look: &Look, stat: &Stat, bytes: u64) -> Past {
        self.account_size(look, stat);
        let (name, amount) = (self.sent_as(&look.path, stat, look.why.apart()), Amount { bytes, entries: 1 });
        self.mirror.account.sends(&name, stat, amount, self.sends_for(look.ticket))
    }

    /// The file has become this while it was sent, which begins anew.
    pub(super) fn account_attempt(&self, upload: &Upload) -> Past {
        let (stat, by) = (upload.stat(), self.sends_for(upload.ticket()));
        let name = self.sent_as(upload.path(), stat, upload.apart());
        self.mirror.account.sends(&name, stat, Amount::default(), by)
    }

    /// What has no content, or whose content is not sent, is sent as a comparison has found that it differs, or an answer has
    /// said so. What an event tells of has changed.
    pub(super) fn account_entry(&self, look: &Look, stat: &Stat) {
        if let Why::Differs(_) = look.why {
            let amount = Amount { bytes: 0, entries: 1 };
            self.mirror.account.sends(&look.path, stat, amount, self.sends_for(look.ticket));
        }
    }

    /// This was not done, and is sent again without a change at the source. What has content counts when that leaves. What is
    /// missing there may be so as it was renamed here meanwhile: that counts from the second time on that nothing has changed.
    pub(super) fn account_answer(&self, op: u64, sent: &Sent, outcome: &Outcome) {
        if !sent.is_change() || self.flight.has_content(op) {
            return;
        }
        match outcome {
            Outcome::Absent if matches!(sent, Sent::Remove(_)) => {}
            Outcome::Absent => {
                let at = self.by_now(op, place(sent));
                if let Some(stat) = self.stat_here(&at) {
                    self.mirror.account.lacks(&at, &stat);
                }
            }
            Outcome::Failed { .. } | Outcome::Full { .. } | Outcome::ReadOnly { .. } => {
                self.mirror.account.sends_again()
            }
            _ => {}
        }
    }

    fn sends_for(&self, ticket: Ticket) -> Occasion {
        if self.passes.is_full(ticket) { Occasion::FullPass } else { Occasion::Other }
    }
}
