//! What follows from hard links. A module that keeps them is told which names to join; of one that does not, the other names
//! are sent too when one was written. Where names are missing the source is searched by a worker, as the kernel tells of a
//! new link only under its new name.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, mpsc};

use proto::{Kept, Kind, Name, RelPath, ToReceiver, codec};
use sys::Stat;

use super::flight::Sent;
use super::found::Matches;
use super::groups::{First, Want};
use super::looks::{Look, Why};
use super::pass::Difference;
use super::{Ended, Session};
use crate::hint::{Cause, Hint};
use crate::mirror::Mirror;
use crate::pending::{Since, Ticket};
use crate::view::{Inode, Node, View};
use crate::workers::Workers;

/// Searches after which a file that moves on each time is left to the events of its moves.
const TRIES: u8 = 20;

impl Session<'_> {
    /// Notes the names of what was just sent, and has them joined where the module keeps that, and else found. A pass does so
    /// at its end.
    pub(super) fn link_others(&mut self, ticket: Ticket, path: RelPath, stat: &Stat) -> Result<(), Ended> {
        let inode = Inode::of(stat);
        if stat.nlink < 2 || self.passes.meet(ticket, inode, &path) {
            return Ok(());
        }
        self.groups.met(inode, vec![path.clone()], self.since(ticket));
        if self.view.keeps(Kept::Hardlinks) {
            return self.send_group(ticket, inode, path);
        }
        self.find_other_names(ticket, inode, path);
        Ok(())
    }

    /// The same of all names that a pass has met of a file, which was as it is `then` when it met the first.
    /// The target has it under the name `good`, if it has, and else other work brings it there.
    pub(super) fn name_in_pass(
        &mut self,
        ticket: Ticket,
        then: Inode,
        names: Vec<RelPath>,
        good: Option<RelPath>,
    ) -> Result<(), Ended> {
        let Some(fresh) = names.first().cloned() else { return Ok(()) };
        // One pass may tell of many in a turn.
        self.groups.trim();
        self.groups.met(then, names, self.since(ticket));
        if self.view.keeps(Kept::Hardlinks) {
            return good.map_or(Ok(()), |good| self.send_group(ticket, then, good));
        }
        self.find_other_names(ticket, then, fresh);
        self.look_if_changed(ticket, then);
        Ok(())
    }

    /// Tells the target which names are this file, as far as they still are; searches for those not known.
    /// `fresh` is a name under which the target has the file as it was `then`: others may have an older one.
    fn send_group(&mut self, ticket: Ticket, then: Inode, fresh: RelPath) -> Result<(), Ended> {
        let (id, since) = (then.node(), self.since(ticket));
        let mut names: Vec<RelPath> = self.groups.names(id).cloned().collect();
        let mut now = then;
        names.retain(|path| match self.inode_here(path) {
            Some(here) if here.node() == id => {
                now = here;
                true
            }
            _ => false,
        });
        tracing::trace!(inode = id.1, nlink = now.nlink, %fresh, ?names, "a file with several names");
        names.sort_by_key(|name| (*name != fresh, name.clone()));
        match names.first() {
            None => {
                self.groups.are_exactly(now, &[], since);
                return Ok(());
            }
            // The name with the new content has gone: it is sent again under one that has not.
            Some(other) if *other != fresh => {
                self.owe_entry(ticket, other.clone(), Cause::WRITTEN);
                return Ok(());
            }
            Some(_) => {}
        }
        self.groups.are_exactly(now, &names, since);
        if now.ctime != then.ctime {
            // Perhaps it was written under another name, and perhaps that is gone by now. The look at it leads here.
            self.owe_rest(ticket, fresh, Cause::ATTRIBUTES);
            return Ok(());
        }
        if now.nlink < 2 {
            self.groups.are_exactly(now, &[], since);
            return Ok(());
        }
        if self.groups.lacks(now, names.len()) && !self.passes.is_full(ticket) {
            self.flight.hold(ticket);
            let sent = Some((now, fresh.clone(), ticket));
            self.groups.want(Want { node: id, since, sent, first: First::Sent, told: Cause::WRITTEN, tries: 0 });
        }
        let Some((first, mut others)) = names.split_first() else { return Ok(()) };
        while !others.is_empty() {
            let fits = codec::links_that_fit(first, others).max(1);
            // Of several that are refused together it is not said which: those are told one by one.
            let alone = others[..fits].iter().position(|other| self.mirror.entries.has_trouble_there(other));
            let (some, rest) = others.split_at(alone.map_or(fits, |at| at.max(1)));
            let message = ToReceiver::Link { first: first.clone(), others: some.to_vec() };
            let now = self.mirror.now();
            self.mirror.pending().looked_at(some, now);
            some.iter().for_each(|other| self.origins.linked(first, other, now));
            self.send(ticket, &message, Sent::Link(first.clone(), some.to_vec()))?;
            others = rest;
        }
        Ok(())
    }

    /// Where a module keeps no hard links each name is a file of its own there: what the kernel told of one name of this file
    /// is told of the others, and those not known are searched for.
    pub(super) fn tell_other_names(&mut self, Look { ticket, path, why, room, .. }: &Look, stat: &Stat) {
        // They were told before room was asked for. Were they told again, two names would ask for it, and send, without end.
        if stat.nlink < 2 || self.view.keeps(Kept::Hardlinks) || room.is_some() {
            return;
        }
        let ticket = *ticket;
        let told = match why {
            Why::Event(cause) if cause.has(Cause::ALONE) => return,
            Why::Event(cause) if cause.has(Cause::WRITTEN | Cause::WRITING) => Cause::WRITTEN,
            Why::Event(cause) if !cause.has(Cause::ATTRIBUTES) => return,
            // It compares the others too.
            _ if self.passes.is_full(ticket) => return,
            Why::Differs(Difference::Content | Difference::Inexact) => Cause::WRITTEN,
            // That the target lacks one name says nothing of the others, but the file may have been written.
            Why::Event(_) | Why::Differs(_) | Why::Extra => Cause::ATTRIBUTES,
        };
        let (inode, since) = (Inode::of(stat), self.since(ticket));
        self.groups.met(inode, vec![path.clone()], since);
        let others = self.tell_known(ticket, path, inode.node(), told);
        if self.groups.lacks(inode, others + 1) {
            self.flight.hold(ticket);
            let sent = Some((inode, path.clone(), ticket));
            self.groups.want(Want {
                node: inode.node(),
                since,
                sent,
                first: First::Sent,
                told: Cause::WRITTEN,
                tries: 0,
            });
        }
    }

    /// Where a module keeps no hard links: has those names of a file searched for that are not known. It was `then` when it
    /// was sent, or compared, under `path`. Were a name not known, what is written through it right before it is deleted would
    /// come under no other: only from a name that is known a look at nothing leads to the others.
    fn find_other_names(&mut self, ticket: Ticket, then: Inode, path: RelPath) {
        let id = then.node();
        if self.passes.is_full(ticket) || !self.groups.lacks(then, self.groups.known(id)) {
            return;
        }
        self.flight.hold(ticket);
        let (since, sent) = (self.since(ticket), Some((then, path, ticket)));
        self.groups.want(Want { node: id, since, sent, first: First::Sent, told: Cause::ATTRIBUTES, tries: 0 });
    }

    /// Where a module keeps no hard links: a file that is no more what it was `then`, when it was sent, may have been written
    /// through a name that was lost before it was known. A look at one that stands leads to the others.
    fn look_if_changed(&self, ticket: Ticket, then: Inode) {
        let id = then.node();
        let here = |name| self.inode_here(name).filter(|here| here.node() == id);
        let standing = self.groups.names(id).find_map(|name| Some((name, here(name)?)));
        if let Some((name, now)) = standing
            && now.ctime != then.ctime
        {
            self.owe_rest(ticket, name.clone(), Cause::ATTRIBUTES);
        }
    }

    /// Has the other names of a file looked at. Returns how many there are.
    fn tell_known(&mut self, ticket: Ticket, path: &RelPath, id: Node, told: Cause) -> usize {
        let names = self.groups.names(id);
        let others: Vec<RelPath> = names.filter(|name| *name != path && self.stands(name, id)).cloned().collect();
        tracing::trace!(inode = id.1, %path, ?told, ?others, "a file with several names");
        let known = others.len();
        others.into_iter().for_each(|other| self.owe_entry(ticket, other, told | Cause::ALONE));
        known
    }

    /// The target has these names, each with its file as it was then. The other names of each file are told once, after
    /// the last of these.
    pub(super) fn name_groups_of(&mut self, linked: Vec<(Ticket, RelPath, Inode)>) -> Result<(), Ended> {
        let mut named = Vec::new();
        for (ticket, path, then) in linked {
            let Some(inode) = self.inode_here(&path) else { continue };
            self.groups.met(inode, vec![path.clone()], self.since(ticket));
            named.push((ticket, path, if inode.node() == then.node() { then } else { inode }));
        }
        let mut seen = HashSet::new();
        named.reverse();
        named.retain(|(_, _, then)| seen.insert(then.node()));
        named.into_iter().rev().try_for_each(|(ticket, path, then)| self.send_group(ticket, then, path))
    }

    /// Takes in a search that is over and begins the next.
    pub(super) fn step_search(&mut self) -> Result<bool, Ended> {
        let parted = self.groups.take_parted();
        let now = self.mirror.now();
        let found = self.groups.take_found(now);
        let worked = !parted.is_empty() || found.is_some();
        parted.into_iter().for_each(|(mate, since)| self.look_at_mate(mate, since));
        if let Some((wanted, found)) = found {
            self.searched(wanted, found)?;
        }
        let (view, mirror, workers) = (&self.view, self.mirror, self.options.workers);
        // It may be over already.
        let began = self.groups.search(now, |nodes| search(Arc::clone(view), nodes, Arc::clone(mirror), workers));
        Ok(worked || began)
    }

    fn searched(&mut self, wanted: Vec<Want>, mut found: Matches) -> Result<(), Ended> {
        // A file that got a thousand names is wanted a thousand times.
        let mut counted = HashMap::new();
        for mut want in wanted {
            let (id, mut new) = (want.node, None);
            if found.is_beyond(id) {
                self.groups.crowd(want);
                continue;
            }
            if let Some(mut paths) = found.take(id) {
                // Under such a name nothing is sent.
                paths.retain(|path| self.unheld(path).is_none());
                paths.sort_unstable();
                want.tries += 1;
                let found = paths.len();
                let standing: Vec<RelPath> = paths.into_iter().filter(|path| self.stands(path, id)).collect();
                let moved = standing.len() < found;
                if let Some((_, path, ticket)) = &want.sent
                    && want.told.has(Cause::WRITTEN)
                    && !self.view.keeps(Kept::Hardlinks)
                {
                    let new = standing.iter().filter(|name| *name != path && !self.groups.knows(name, id));
                    new.for_each(|name| self.owe_entry(*ticket, name.clone(), want.told | Cause::ALONE));
                }
                new = standing.iter().find(|name| !self.groups.knows(name, id)).cloned();
                self.groups.note(id, standing, want.since);
                if moved && want.tries < TRIES {
                    self.groups.want(want);
                    continue;
                }
            }
            match want.sent {
                Some((then, fresh, ticket)) => {
                    // Whether or not it was found: as far as a search can tell, it has no more names than these.
                    let count = || self.groups.names(id).filter(|name| self.stands(name, id)).count();
                    let standing = *counted.entry(id).or_insert_with(count);
                    self.groups.has_searched(id, then.nlink, standing);
                    if want.first == First::Searched {
                        self.searched_first(ticket, id, new);
                    } else if self.view.keeps(Kept::Hardlinks) {
                        self.send_group(ticket, then, fresh)?;
                    } else {
                        self.look_if_changed(ticket, then);
                    }
                    self.flight.let_go(ticket);
                }
                None => {
                    let known = self.groups.names(id).find(|name| self.stands(name, id));
                    let hint = |path| Hint::Entry { path, cause: want.told };
                    known.into_iter().for_each(|name| self.owe_since(want.since, hint(name.clone())));
                }
            }
        }
        Ok(())
    }

    /// A file may have been written under a name that it has lost since: another name tells. Where all have moved
    /// unseen, the file is searched for.
    pub(super) fn look_at_mates(&mut self, ticket: Ticket, mates: Vec<Node>) {
        if !mates.is_empty() {
            let since = self.since(ticket);
            mates.into_iter().for_each(|mate| self.look_at_mate(mate, since));
        }
    }

    fn look_at_mate(&mut self, id: Node, since: Since) {
        let standing = self.groups.names(id).find(|name| self.stands(name, id)).cloned();
        match standing {
            Some(path) => self.owe_since(since, Hint::Entry { path, cause: Cause::ATTRIBUTES }),
            None => self.groups.want(Want {
                node: id,
                since,
                sent: None,
                first: First::Sent,
                told: Cause::WRITTEN,
                tries: 0,
            }),
        }
        tracing::trace!(inode = id.1, "a name was lost");
    }

    /// Whether this name is that file.
    pub(super) fn stands(&self, path: &RelPath, id: Node) -> bool {
        self.inode_here(path).is_some_and(|here| here.node() == id)
    }

    fn inode_here(&self, path: &RelPath) -> Option<Inode> {
        self.stat_here(path).map(|stat| Inode::of(&stat))
    }

    pub(super) fn stat_here(&self, path: &RelPath) -> Option<Stat> {
        let (parent, name) = path.split()?;
        self.view.folder(&parent).ok()?.look(&name).ok()?
    }
}

/// Walks the source for all names of these files. Only the names' inode numbers are read, not their metadata.
fn search(view: Arc<View>, ids: HashSet<Node>, mirror: Arc<Mirror>, workers: Workers) -> mpsc::Receiver<Matches> {
    let (send, receive) = mpsc::channel();
    let work = move || {
        let mut found = Matches::default();
        // Those to be listed in each folder on the way down.
        let mut folders = vec![(RelPath::root(), None)];
        while let Some(path) = next(&mut folders) {
            // What cannot be listed has no names that are mirrored.
            let Ok(folder) = view.folder(&path) else { continue };
            let (Ok(own), Ok(listed)) = (folder.stat(), folder.children()) else { continue };
            let mut within = Vec::new();
            for entry in listed {
                if folder.leaves_out(&entry.name, entry.kind.unwrap_or(Kind::Dir)).is_some() {
                    continue;
                }
                if ids.contains(&(own.dev, entry.ino))
                    && let Ok(path) = path.join(&entry.name)
                {
                    found.add((own.dev, entry.ino), path);
                }
                if entry.kind.is_none_or(|kind| kind == Kind::Dir) {
                    within.push(entry.name);
                }
            }
            folders.push((path, Some(within)));
        }
        // Nobody listens when the connection has ended meanwhile.
        let _ = send.send(found);
        mirror.wake.notify_one();
    };
    if let Err(error) = workers.run("links", work) {
        tracing::warn!("cannot start a thread to search for hard links: {error}");
    }
    receive
}

/// The next folder of those that are to be listed in folders, or itself before any in it is known.
fn next(folders: &mut Vec<(RelPath, Option<Vec<Name>>)>) -> Option<RelPath> {
    loop {
        let (folder, within) = folders.last_mut()?;
        match within.as_mut().map(Vec::pop) {
            None => return folders.pop().map(|(folder, _)| folder),
            // One that is too deep is not mirrored.
            Some(Some(name)) => {
                if let Ok(folder) = folder.join(&name) {
                    return Some(folder);
                }
            }
            Some(None) => _ = folders.pop(),
        }
    }
}
