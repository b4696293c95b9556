//! Hard links: which names of the source are one file. Known from passes and looks; where names are missing the source
//! is searched, on a thread of its own, as the kernel tells of a new link only under its new name. A module that keeps hard
//! links is told which names to join; of one that does not, the other names are sent too when one was written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, mpsc};

use proto::{Kept, Kind, Name, RelPath, ToReceiver, codec};
use sys::Stat;

use super::flight::Sent;
use super::looks::{Look, Why};
use super::pass::Difference;
use super::places::{Known, at_and_beneath, in_folder};
use super::walk::Content;
use super::{Ended, Session};
use crate::hint::{Cause, Hint};
use crate::mirror::Mirror;
use crate::pending::{Since, Ticket};
use crate::view::{Inode, Node, View};
use crate::workers::Workers;

/// What is known of hard links at the source. LIMIT: about 250 bytes for each name of a file with several. A file that
/// is written through a link made and removed again before anyone looked is not seen to have changed: the kernel tells
/// of the name that was used only. A full pass finds it.
#[derive(Default)]
pub(super) struct Groups {
    names: HashMap<Node, HashSet<RelPath>>,
    /// The same by name.
    at: BTreeMap<RelPath, Node>,
    /// Link counts at which a search found so many names, which is all that the source has.
    searched: HashMap<Node, (u64, usize)>,
    search: Option<Search>,
    /// Files to search for next, and the work that waits for it.
    wanted: Vec<Want>,
    /// Files of which another was found to have taken a name, by work on a change of that age.
    parted: Vec<(Node, Since)>,
}

/// A file whose other names are to be found.
struct Want {
    id: Node,
    /// How old the change is because of which it is searched for.
    since: Since,
    /// What it was when it was sent, under which name, and the work that waits. None when nothing was, or when the
    /// connection has ended.
    sent: Option<(Inode, RelPath, Ticket)>,
    /// Searches that have found names of which one had moved on by then.
    tries: u8,
}

/// A file that moves on so often is left to the events of its moves.
const TRIES: u8 = 20;

struct Search {
    wanted: Vec<Want>,
    found: mpsc::Receiver<HashMap<Node, Vec<RelPath>>>,
}

impl Groups {
    /// These names were seen to be this file. One that is new makes what a search found before out of date.
    pub fn met(&mut self, inode: Inode, paths: Vec<RelPath>, since: Since) {
        let id = inode.node();
        if paths.iter().any(|path| self.at.get(path) != Some(&id)) {
            self.searched.remove(&id);
        }
        self.note(id, paths, since);
    }

    fn note(&mut self, id: Node, paths: Vec<RelPath>, since: Since) {
        for path in paths {
            if self.at.get(&path).is_some_and(|other| *other != id) {
                let mates = self.drop_names(vec![path.clone()]);
                self.parted.extend(mates.into_iter().map(|mate| (mate, since)));
            }
            self.at.insert(path.clone(), id);
            self.names.entry(id).or_default().insert(path);
        }
    }

    /// This stands under the name now; returns the files that stood there before, or beneath it when it is no folder any
    /// more, and have other names.
    pub fn seen(&mut self, path: &RelPath, stat: &Stat) -> Vec<Node> {
        let mut gone = if stat.kind == Kind::Dir { vec![path.clone()] } else { self.within(path) };
        gone.retain(|name| self.at.get(name).is_some_and(|id| name != path || *id != (stat.dev, stat.ino)));
        self.drop_names(gone)
    }

    /// Nothing of what stood at and beneath `path` does any more; returns those files that have other names.
    pub fn left(&mut self, path: &RelPath) -> Vec<Node> {
        let names = self.within(path);
        self.drop_names(names)
    }

    /// This is what stands in the folder now; returns the files with other names that stood there and do not any more.
    /// A name that is only known to be taken is left to the look at it.
    pub fn listed(&mut self, folder: &RelPath, found: &Content) -> Vec<Node> {
        let linked: Option<HashMap<&Name, Node>> = match found {
            Content::Listing(listing) => {
                Some(listing.linked.iter().map(|(name, inode)| (name, inode.node())).collect())
            }
            Content::Names(_) => None,
        };
        let may_be = |child: &Name, id: &Node| match &linked {
            Some(linked) => linked.get(child) == Some(id),
            None => found.kind(child).is_some(),
        };
        let mut gone = Vec::new();
        for (child, place, known) in in_folder(&self.at, folder) {
            match known {
                Known::Entry(id) if may_be(&child, id) => {}
                Known::Entry(_) => gone.push(place),
                Known::Beneath if found.kind(&child) == Some(Kind::Dir) => {}
                Known::Beneath => gone.extend(self.within(&place)),
            }
        }
        self.drop_names(gone)
    }

    /// What stood at and beneath `from` is at `to`; returns the files with other names that stood there.
    pub fn moved(&mut self, from: &RelPath, to: &RelPath) -> Vec<Node> {
        let mates = self.left(to);
        for path in self.within(from) {
            let Some(id) = self.at.remove(&path) else { continue };
            let Some(names) = self.names.get_mut(&id) else { continue };
            names.remove(&path);
            if let Some(path) = path.rebase(from, to) {
                names.insert(path.clone());
                self.at.insert(path, id);
            }
        }
        mates
    }

    /// What stood at and beneath each has changed places.
    pub fn exchanged(&mut self, a: &RelPath, b: &RelPath) {
        let places = [(self.within(a), a, b), (self.within(b), b, a)];
        let mut moved = Vec::new();
        for (paths, from, to) in places {
            for path in paths {
                let Some(id) = self.at.remove(&path) else { continue };
                if let Some(names) = self.names.get_mut(&id) {
                    names.remove(&path);
                }
                moved.extend(path.rebase(from, to).map(|path| (path, id)));
            }
        }
        for (path, id) in moved {
            self.names.entry(id).or_default().insert(path.clone());
            self.at.insert(path, id);
        }
    }

    fn within(&self, path: &RelPath) -> Vec<RelPath> {
        at_and_beneath(&self.at, path)
    }

    /// Forgets these names; returns the files that had them and have others.
    fn drop_names(&mut self, paths: Vec<RelPath>) -> Vec<Node> {
        let mut mates = HashSet::new();
        for path in paths {
            let Some(id) = self.at.remove(&path) else { continue };
            let Some(names) = self.names.get_mut(&id) else { continue };
            names.remove(&path);
            if names.is_empty() {
                self.names.remove(&id);
                self.searched.remove(&id);
                mates.remove(&id);
            } else {
                mates.insert(id);
            }
        }
        mates.into_iter().collect()
    }

    /// Exactly these names are this file.
    fn settle(&mut self, inode: Inode, paths: &[RelPath], since: Since) {
        for gone in self.names.remove(&inode.node()).unwrap_or_default() {
            self.at.remove(&gone);
        }
        if paths.is_empty() {
            self.searched.remove(&inode.node());
        }
        self.note(inode.node(), paths.to_vec(), since);
    }

    /// Whether names of the file are missing that a search may find.
    fn lacks(&self, inode: Inode, known: usize) -> bool {
        (known as u64) < inode.nlink && self.searched.get(&inode.node()) != Some(&(inode.nlink, known))
    }

    /// Whether nothing is searched for or is to be looked at.
    pub fn is_idle(&self) -> bool {
        self.search.is_none() && self.wanted.is_empty() && self.parted.is_empty()
    }

    /// A connection ended: what was searched for is still wanted, but no work waits for it.
    pub fn forget_work(&mut self) {
        let searching = self.search.take().map(|search| search.wanted).unwrap_or_default();
        self.wanted.extend(searching);
        self.wanted.iter_mut().for_each(|want| want.sent = None);
    }
}

impl Session<'_> {
    /// Tells the target which names are this file, as far as they still are; searches for those not known.
    /// `fresh` is a name under which the target has the file as it was `then`: others may have an older one.
    pub(super) fn send_group(&mut self, ticket: Ticket, then: Inode, fresh: RelPath) -> Result<(), Ended> {
        let (id, since) = (then.node(), self.since(ticket));
        let mut names: Vec<RelPath> = self.groups.names.get(&id).into_iter().flatten().cloned().collect();
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
                self.groups.settle(now, &[], since);
                return Ok(());
            }
            // The name with the new content has gone: it is sent again under one that has not.
            Some(other) if *other != fresh => {
                self.owe_entry(ticket, other.clone(), Cause::WRITTEN);
                return Ok(());
            }
            Some(_) => {}
        }
        self.groups.settle(now, &names, since);
        if now.ctime != then.ctime {
            // Perhaps it was written under another name, and perhaps that is gone by now. The look at it leads here.
            self.owe_rest(ticket, fresh, Cause::ATTRIBUTES);
            return Ok(());
        }
        if now.nlink < 2 {
            self.groups.settle(now, &[], since);
            return Ok(());
        }
        if self.groups.lacks(now, names.len()) && !self.passes.is_full(ticket) {
            self.flight.hold(ticket);
            self.groups.wanted.push(Want { id, since, sent: Some((now, fresh.clone(), ticket)), tries: 0 });
        }
        let Some((first, mut others)) = names.split_first() else { return Ok(()) };
        while !others.is_empty() {
            let (some, rest) = others.split_at(codec::links_that_fit(first, others).max(1));
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
    pub(super) fn tell_other_names(&mut self, Look { ticket, path, why, .. }: &Look, stat: &Stat) {
        if stat.nlink < 2 || self.view.keeps(Kept::Hardlinks) {
            return;
        }
        let ticket = *ticket;
        let told = match why {
            Why::Event(cause) if cause.has(Cause::ALONE) => return,
            Why::Event(cause) if cause.has(Cause::WRITTEN | Cause::WRITING) => Cause::WRITTEN,
            Why::Event(cause) if !cause.has(Cause::ATTRIBUTES) => return,
            // It compares the others too.
            _ if self.passes.is_full(ticket) => return,
            Why::Differs(Difference::Content) => Cause::WRITTEN,
            // One name more than the target has tells of no other, but may have been written.
            Why::Event(_) | Why::Differs(_) | Why::Extra => Cause::ATTRIBUTES,
        };
        let (inode, since) = (Inode::of(stat), self.since(ticket));
        self.groups.met(inode, vec![path.clone()], since);
        let others = self.tell_known(ticket, path, inode.node(), told);
        if self.groups.lacks(inode, others + 1) {
            self.flight.hold(ticket);
            let sent = Some((inode, path.clone(), ticket));
            self.groups.wanted.push(Want { id: inode.node(), since, sent, tries: 0 });
        }
    }

    /// Has the other names of a file looked at. Returns how many there are.
    fn tell_known(&mut self, ticket: Ticket, path: &RelPath, id: Node, told: Cause) -> usize {
        let names = self.groups.names.get(&id).into_iter().flatten();
        let others: Vec<RelPath> = names.filter(|name| *name != path && self.stands(name, id)).cloned().collect();
        tracing::trace!(inode = id.1, %path, ?told, ?others, "a file with several names");
        let known = others.len();
        others.into_iter().for_each(|other| self.owe_entry(ticket, other, told | Cause::ALONE));
        known
    }

    /// The target has these names of files, each as it was then: their other names follow, told once for each file.
    pub(super) fn name_groups_of(&mut self, linked: Vec<(Ticket, RelPath, Inode)>) -> Result<(), Ended> {
        let mut last = HashMap::new();
        for (ticket, path, then) in linked {
            let Some(inode) = self.inode_here(&path) else { continue };
            self.groups.met(inode, vec![path.clone()], self.since(ticket));
            last.insert(inode.node(), (ticket, path, if inode.node() == then.node() { then } else { inode }));
        }
        last.into_values().try_for_each(|(ticket, path, then)| self.send_group(ticket, then, path))
    }

    /// Takes in a search that is over and begins the next.
    pub(super) fn step_search(&mut self) -> Result<bool, Ended> {
        let parted = std::mem::take(&mut self.groups.parted);
        let mut worked = !parted.is_empty();
        parted.into_iter().for_each(|(mate, since)| self.look_at_mate(mate, since));
        if let Some(search) = &self.groups.search {
            let found = match search.found.try_recv() {
                Ok(found) => found,
                Err(mpsc::TryRecvError::Empty) => return Ok(worked),
                Err(mpsc::TryRecvError::Disconnected) => HashMap::new(),
            };
            worked = true;
            let wanted = self.groups.search.take().map(|search| search.wanted).unwrap_or_default();
            self.searched(wanted, found)?;
        }
        if !self.groups.wanted.is_empty() {
            let wanted = std::mem::take(&mut self.groups.wanted);
            let ids = wanted.iter().map(|want| want.id).collect();
            let found = search(Arc::clone(&self.view), ids, Arc::clone(self.mirror), self.options.workers);
            self.groups.search = Some(Search { wanted, found });
        }
        Ok(worked)
    }

    fn searched(&mut self, wanted: Vec<Want>, mut found: HashMap<Node, Vec<RelPath>>) -> Result<(), Ended> {
        for mut want in wanted {
            let id = want.id;
            if let Some(paths) = found.remove(&id) {
                want.tries += 1;
                let found = paths.len();
                let standing: Vec<RelPath> = paths.into_iter().filter(|path| self.stands(path, id)).collect();
                let moved = standing.len() < found;
                if let Some((_, path, ticket)) = &want.sent
                    && !self.view.keeps(Kept::Hardlinks)
                {
                    let new = standing.iter().filter(|name| *name != path && self.groups.at.get(name) != Some(&id));
                    new.for_each(|name| self.owe_entry(*ticket, name.clone(), Cause::WRITTEN | Cause::ALONE));
                }
                self.groups.note(id, standing, want.since);
                if moved && want.tries < TRIES {
                    self.groups.wanted.push(want);
                    continue;
                }
            }
            match want.sent {
                Some((then, fresh, ticket)) => {
                    // Found or not: more names than these it has not, as far as a search can tell.
                    let names = self.groups.names.get(&id).into_iter().flatten();
                    let standing = names.filter(|name| self.stands(name, id)).count();
                    self.groups.searched.insert(id, (then.nlink, standing));
                    if self.view.keeps(Kept::Hardlinks) {
                        self.send_group(ticket, then, fresh)?;
                    }
                    self.flight.let_go(ticket);
                }
                None => {
                    let known = self.groups.names.get(&id).into_iter().flatten().find(|name| self.stands(name, id));
                    let hint = |path| Hint::Entry { path, cause: Cause::WRITTEN };
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
        let mut names = self.groups.names.get(&id).into_iter().flatten();
        match names.find(|name| self.stands(name, id)).cloned() {
            Some(path) => self.owe_since(since, Hint::Entry { path, cause: Cause::ATTRIBUTES }),
            None => self.groups.wanted.push(Want { id, since, sent: None, tries: 0 }),
        }
        tracing::trace!(inode = id.1, "a name was lost");
    }

    /// Whether this name is that file.
    fn stands(&self, path: &RelPath, id: Node) -> bool {
        self.inode_here(path).is_some_and(|here| here.node() == id)
    }

    fn inode_here(&self, path: &RelPath) -> Option<Inode> {
        let (parent, name) = path.split()?;
        let stat = self.view.folder(&parent).ok()?.look(&name).ok()??;
        Some(Inode::of(&stat))
    }
}

/// Walks the source for all names of these files. Only the names' inode numbers are read, not their metadata.
fn search(
    view: Arc<View>,
    ids: HashSet<Node>,
    mirror: Arc<Mirror>,
    workers: Workers,
) -> mpsc::Receiver<HashMap<Node, Vec<RelPath>>> {
    let (send, receive) = mpsc::channel();
    let work = move || {
        let mut found: HashMap<Node, Vec<RelPath>> = HashMap::new();
        let mut folders = vec![RelPath::root()];
        while let Some(path) = folders.pop() {
            // What cannot be listed has no names that are mirrored.
            let Ok(folder) = view.folder(&path) else { continue };
            let (Ok(own), Ok(listed)) = (folder.stat(), folder.children()) else { continue };
            for entry in listed {
                let Ok(path) = path.join(&entry.name) else { continue };
                if entry.kind.is_none_or(|kind| kind == proto::Kind::Dir) {
                    folders.push(path.clone());
                }
                if ids.contains(&(own.dev, entry.ino)) {
                    found.entry((own.dev, entry.ino)).or_default().push(path);
                }
            }
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
