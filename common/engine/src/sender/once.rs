//! The content of a file with several names is sent once, under one of them, where the module joins the others to it: what of a
//! look waits for that, under which name it is sent, and what follows when the target refuses that name, or a link.

use proto::{Kept, Kind, RelPath};
use sys::Stat;

use super::Session;
use super::flight::Sent;
use super::groups::{First, Want};
use super::looks::{Look, Why};
use super::pass::{Difference, Mates};
use crate::hint::Cause;
use crate::pending::Ticket;
use crate::view::{Inode, Node};

/// Names under which a file is tried in a pass, one after the other.
const TRIES: u32 = 16;
const NOT_SENT: &str = "not stored: its file could not be sent under its other names";

impl Session<'_> {
    /// What becomes of the names of a file at the target.
    pub(super) fn names(&self) -> Mates {
        if self.view.keeps(Kept::Hardlinks) { Mates::Joined } else { Mates::Separate }
    }

    /// Whether the names of this file are joined at the target.
    pub(super) fn is_joined(&self, stat: &Stat) -> bool {
        stat.nlink > 1 && self.names() == Mates::Joined
    }

    /// Whether the content that this look has found is not sent for it: the target gets it, or has it, under another name, to
    /// which this one is linked.
    pub(super) fn comes_by_link(&mut self, look: &Look, stat: &Stat) -> bool {
        if !self.is_joined(stat) || look.room.is_some() || !look.why.joins() {
            return false;
        }
        if self.passes.defers(look.ticket, Inode::of(stat), &look.path) {
            self.mirror.entries.resolved_here(&look.path);
            self.note_setid(&look.path, stat);
            self.account_size(look, stat);
            return true;
        }
        matches!(look.why, Why::Event(cause) if is_new_name(cause)) && self.has_another(look, stat)
    }

    /// The content that this look has found is sent later, by other work, which joins the names then.
    pub(super) fn comes_later(&mut self, look: &Look, stat: &Stat) {
        if self.is_joined(stat) {
            self.leave_to_others(look.ticket, Inode::of(stat).node());
        }
    }

    /// A name has come to a file. Has another of its names looked at, to which the target is to link it, or has that searched
    /// for. False where none is known and the content is so small that it is there before a search is over.
    fn has_another(&mut self, Look { ticket, path, .. }: &Look, stat: &Stat) -> bool {
        let (inode, since) = (Inode::of(stat), self.since(*ticket));
        let known = self.groups.names(inode.node()).filter(|name| *name != path);
        let another = known.into_iter().find(|name| self.stands(name, inode.node())).cloned();
        self.groups.met(inode, vec![path.clone()], since);
        if let Some(another) = another {
            self.owe_entry(*ticket, another, Cause::ATTRIBUTES);
            return true;
        }
        let large = stat.size > proto::limits::INLINE as u64;
        let searches = large && self.groups.lacks(inode, 1);
        if searches {
            self.search_first(*ticket, inode, path.clone());
        }
        searches
    }

    /// Has the names of a file searched for before its content is sent under this one.
    fn search_first(&mut self, ticket: Ticket, then: Inode, path: RelPath) {
        self.flight.hold(ticket);
        let (since, sent) = (self.since(ticket), Some((then, path, ticket)));
        let told = Cause::ATTRIBUTES;
        self.groups.want(Want { node: then.node(), since, sent, first: First::Searched, told, tries: 0 });
    }

    /// A file of which no content was sent was searched for; `new` is a name of it that was not known. If there is none, the
    /// content is sent.
    pub(super) fn searched_first(&mut self, ticket: Ticket, id: Node, new: Option<RelPath>) {
        let known = || self.groups.names(id).find(|name| self.stands(name, id)).cloned();
        match new {
            Some(other) => self.owe_entry(ticket, other, Cause::ATTRIBUTES),
            None => {
                let path = known();
                path.into_iter().for_each(|path| self.owe_entry(ticket, path, Cause::WRITTEN));
            }
        }
    }

    /// Sends a file that the target has under none of the names that a pass has met, under the best of those that stand. If it
    /// may have it under another one, that is looked at.
    pub(super) fn choose(&mut self, ticket: Ticket, node: Node) {
        let Some(pass) = self.passes.get(ticket) else { return };
        let Some((inode, tries)) = pass.links().inode(node) else { return };
        if tries >= TRIES {
            return self.give_up(ticket, node);
        }
        let standing = pass.links().candidates(node).find_map(|(name, difference)| {
            let stat = self.stat_here(&name).filter(|stat| Inode::of(stat).node() == node)?;
            Some((name, difference, stat))
        });
        let Some((path, difference, stat)) = standing else {
            // Its names have events of their own.
            return self.leave_to_others(ticket, node);
        };
        if !pass.is_full() && difference != Difference::Metadata && self.is_elsewhere(ticket, inode, &path) {
            return self.leave_to_others(ticket, node);
        }
        self.passes.tell(ticket, |pass| pass.links_mut().tries(node, &path));
        let content = difference != Difference::Metadata;
        let (kind, size) = (content.then_some(Kind::File), content.then_some(stat.size));
        self.queue_look(Look { kind, size, ..Look::new(ticket, path, Why::Differs(difference)) });
    }

    /// Whatever is wrong with this file, it is so under its other names.
    fn give_up(&mut self, ticket: Ticket, node: Node) {
        let names = self.passes.get(ticket).into_iter().flat_map(|pass| pass.links().candidates(node));
        names.for_each(|(name, _)| self.mirror.entries.problem(&name, NOT_SENT.into()));
        self.leave_to_others(ticket, node);
    }

    fn leave_to_others(&mut self, ticket: Ticket, node: Node) {
        self.passes.tell(ticket, |pass| pass.links_mut().leave(node));
    }

    /// Whether a file that a pass over a part of the source has met may have names elsewhere: one is looked at then, or
    /// searched for.
    fn is_elsewhere(&mut self, ticket: Ticket, inode: Inode, path: &RelPath) -> bool {
        let Some(pass) = self.passes.get(ticket) else { return false };
        let (node, since) = (inode.node(), self.since(ticket));
        let mut met: Vec<RelPath> = pass.links().names(node).collect();
        met.sort_unstable();
        met.dedup();
        let known = self.groups.names(node).filter(|name| met.binary_search(name).is_err());
        let elsewhere = known.into_iter().find(|name| self.stands(name, node)).cloned();
        let names = met.len();
        self.groups.met(inode, met, since);
        if let Some(elsewhere) = elsewhere {
            self.owe_entry(ticket, elsewhere, Cause::ATTRIBUTES);
            return true;
        }
        let searches = self.groups.lacks(inode, names);
        if searches {
            self.search_first(ticket, inode, path.clone());
        }
        searches
    }

    /// The target has refused a file under this name, or its metadata there: another name gets it, each once.
    pub(super) fn is_refused(&mut self, op: u64, ticket: Ticket, sent: &Sent) {
        let (path, node) = match sent {
            Sent::Entry(path, _) => (path, self.flight.linked_as(op)),
            Sent::LinkedOffer(path, inode) => (path, Some(inode.node())),
            _ => return,
        };
        let Some(node) = node else { return };
        if self.passes.refused(ticket, node, path) {
            return;
        }
        if !self.retries.refuse_name(self.by_now(op, path)) {
            return;
        }
        let next = self.groups.names(node).find(|name| !self.retries.is_refused_name(name) && self.stands(name, node));
        next.cloned().into_iter().for_each(|name| self.owe_entry(ticket, name, Cause::WRITTEN));
    }

    /// Whether the target has refused this name of a file with several and another gets the content, of which this one is to be
    /// a name.
    pub(super) fn goes_under_another(&mut self, look: &Look, stat: &Stat) -> bool {
        if !self.is_joined(stat) || !look.why.joins() || !self.retries.is_refused_name(&look.path) {
            return false;
        }
        let node = Inode::of(stat).node();
        let free = |name: &&RelPath| !self.retries.is_refused_name(name) && self.stands(name, node);
        let Some(other) = self.groups.names(node).find(free).cloned() else { return false };
        self.owe_entry(look.ticket, other, Cause::WRITTEN);
        self.comes_later(look, stat);
        true
    }

    /// The target has not made all of these names of one file. Of several it is not said which: all are in trouble, so that the
    /// next time each is told by itself. One that it did not get is a file of its own.
    pub(super) fn is_not_joined(&mut self, op: u64, ticket: Ticket, first: &RelPath, others: &[RelPath]) {
        let first = self.by_now(op, first);
        let troubled = |other: &RelPath| self.mirror.entries.has_trouble_there(&self.by_now(op, other));
        if others.len() > 1 && others.iter().all(troubled) && self.kind_here(&first) == Some(Kind::File) {
            return self.owe_entry(ticket, first, Cause::ATTRIBUTES);
        }
        for other in others {
            let other = self.by_now(op, other);
            if !self.retries.is_refused_name(&other) {
                self.owe_entry(ticket, other, Cause::ATTRIBUTES | Cause::APART);
            }
        }
    }
}

/// Whether these reasons to look tell of a name that is new to the target, and of no content.
fn is_new_name(cause: Cause) -> bool {
    cause.has(Cause::CREATED | Cause::GONE | Cause::LOST) && !cause.has(Cause::WRITTEN | Cause::WRITING)
}
