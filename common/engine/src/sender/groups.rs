//! Hard links: which names of the source are one file, as far as passes, looks and searches have found out, and which files
//! are still to be searched for. Asks nobody and sends nothing: that is in `links`.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use proto::{Kind, Name, RelPath};
use sys::Stat;

use super::found::Matches;
use super::places::{Known, at_and_beneath, in_folder};
use super::walk::Children;
use crate::hint::Cause;
use crate::pending::{Since, Ticket};
use crate::view::{Inode, Node};

/// After a search none begins for so many times as long as it took: each walks all of the source, and whoever may make links
/// there to files elsewhere has one wanted for each.
const REST: u32 = 10;
/// But never for longer than this: what was found may have waited for long before anybody asked.
const LONGEST: Duration = Duration::from_secs(60);

/// LIMIT: bytes of what is known of names: some two hundred thousand with paths of usual length. Of files that are forgotten
/// beyond it other names are searched for when they are wanted, as after a start.
const NAMES: usize = 64 * 1024 * 1024;
/// LIMIT: bytes of what is to be searched for next. Beyond it everything is compared, which meets all names.
const WANTED: usize = 1024 * 1024;
/// What a name takes beside its path, which both maps share, and what a file takes: a set has room for eleven names.
const NAME: usize = 100;
const FILE: usize = 260;

/// What is known of hard links at the source. LIMIT: a file that is written through a link made and removed again before
/// anyone looked is not seen to have changed: the kernel tells of the name that was used only. A full pass finds it.
#[derive(Default)]
pub(super) struct Groups {
    /// In order, so that what is told of them comes in the same order each time.
    names: HashMap<Node, BTreeSet<RelPath>>,
    /// The same by name.
    at: BTreeMap<RelPath, Node>,
    /// Bytes of the paths in that.
    path_bytes: usize,
    /// Link counts at which a search found so many names, which is all that the source has.
    searched: HashMap<Node, (u64, usize)>,
    search: Option<Search>,
    /// Before this moment no other search begins.
    rests: Option<Instant>,
    /// Files to search for next, and the work that waits for it.
    wanted: Vec<Want>,
    /// Bytes that those take.
    wanted_bytes: usize,
    /// What was wanted beyond that, and since when.
    crowded: Option<Crowded>,
    /// Files of which another was found to have taken a name, by work on a change of that age.
    parted: Vec<(Node, Since)>,
}

/// A file whose other names are to be found.
pub(super) struct Want {
    pub node: Node,
    /// How old the change is because of which it is searched for.
    pub since: Since,
    /// What it was when it was sent, under which name, and the work that waits. None when nothing was, or when the
    /// connection has ended.
    pub sent: Option<(Inode, RelPath, Ticket)>,
    /// Whether its content waits for the search.
    pub first: First,
    /// What to look at the names for that are found, where each is a file of its own at the target. For [`Cause::ATTRIBUTES`]
    /// they are looked at only if the file has changed since it was sent.
    pub told: Cause,
    /// Searches that have found names of which one had moved on by then.
    pub tries: u8,
}

impl Want {
    fn size(&self) -> usize {
        size_of::<Want>() + self.sent.as_ref().map_or(0, |(_, path, _)| path.as_bytes().len())
    }
}

/// More is to be searched for than is remembered.
pub(super) struct Crowded {
    /// How old the oldest change is because of which.
    pub since: Since,
    /// The work that waits for it.
    pub tickets: Vec<Ticket>,
}

/// Whether the content of a file goes before the search for its other names, or that may make it needless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// The content: it was sent.
    Sent,
    /// The search: if it finds another name, the content is not sent.
    Searched,
}

struct Search {
    wanted: Vec<Want>,
    found: mpsc::Receiver<Matches>,
    began: Instant,
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

    /// The same of names that a search has found.
    pub fn note(&mut self, id: Node, paths: Vec<RelPath>, since: Since) {
        for path in paths {
            if self.at.get(&path).is_some_and(|other| *other != id) {
                let mates = self.drop_names(vec![path.clone()]);
                self.parted.extend(mates.into_iter().map(|mate| (mate, since)));
            }
            self.put(path, id);
        }
    }

    fn put(&mut self, path: RelPath, id: Node) {
        if self.at.insert(path.clone(), id).is_none() {
            self.path_bytes += path.as_bytes().len();
        }
        self.names.entry(id).or_default().insert(path);
    }

    fn take(&mut self, path: &RelPath) -> Option<Node> {
        let id = self.at.remove(path)?;
        self.path_bytes -= path.as_bytes().len();
        Some(id)
    }

    fn bytes(&self) -> usize {
        self.path_bytes + self.at.len() * NAME + self.names.len() * FILE
    }

    /// Forgets files beyond what may be known, whichever. To be called when nothing is being done with any.
    pub fn trim(&mut self) {
        self.trim_to(NAMES);
    }

    fn trim_to(&mut self, most: usize) {
        if self.bytes() <= most {
            return;
        }
        let all: Vec<Node> = self.names.keys().copied().collect();
        for node in all {
            if self.bytes() <= most / 8 * 7 {
                return;
            }
            self.forget(node);
        }
    }

    fn forget(&mut self, node: Node) {
        for name in self.names.remove(&node).unwrap_or_default() {
            self.take(&name);
        }
        self.searched.remove(&node);
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
    pub fn listed(&mut self, folder: &RelPath, found: &Children) -> Vec<Node> {
        let linked: Option<HashMap<&Name, Node>> = match found {
            Children::Listing(listing) => {
                Some(listing.linked.iter().map(|(name, inode)| (name, inode.node())).collect())
            }
            Children::Names(_) => None,
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
            let Some(id) = self.take(&path) else { continue };
            let Some(names) = self.names.get_mut(&id) else { continue };
            names.remove(&path);
            if let Some(path) = path.rebase(from, to) {
                self.put(path, id);
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
                let Some(id) = self.take(&path) else { continue };
                if let Some(names) = self.names.get_mut(&id) {
                    names.remove(&path);
                }
                moved.extend(path.rebase(from, to).map(|path| (path, id)));
            }
        }
        for (path, id) in moved {
            self.put(path, id);
        }
    }

    fn within(&self, path: &RelPath) -> Vec<RelPath> {
        at_and_beneath(&self.at, path)
    }

    /// Forgets these names; returns the files that had them and have others, in the order of the names.
    fn drop_names(&mut self, paths: Vec<RelPath>) -> Vec<Node> {
        let mut mates = Vec::new();
        for path in paths {
            let Some(id) = self.take(&path) else { continue };
            let Some(names) = self.names.get_mut(&id) else { continue };
            names.remove(&path);
            if names.is_empty() {
                self.names.remove(&id);
                self.searched.remove(&id);
            } else {
                mates.push(id);
            }
        }
        let mut seen = HashSet::new();
        mates.retain(|mate| self.names.contains_key(mate) && seen.insert(*mate));
        mates
    }

    /// Exactly these names are this file.
    pub fn are_exactly(&mut self, inode: Inode, paths: &[RelPath], since: Since) {
        for gone in self.names.remove(&inode.node()).unwrap_or_default() {
            self.take(&gone);
        }
        if paths.is_empty() {
            self.searched.remove(&inode.node());
        }
        self.note(inode.node(), paths.to_vec(), since);
    }

    /// Whether names of the file are missing that a search may find.
    pub fn lacks(&self, inode: Inode, known: usize) -> bool {
        (known as u64) < inode.nlink && self.searched.get(&inode.node()) != Some(&(inode.nlink, known))
    }

    /// The names of a file that are known, in order.
    pub fn names(&self, node: Node) -> impl Iterator<Item = &RelPath> {
        self.names.get(&node).into_iter().flatten()
    }

    /// How many names of a file are known, with those that it has lost and no look has found gone.
    pub fn known(&self, node: Node) -> usize {
        self.names.get(&node).map_or(0, BTreeSet::len)
    }

    /// Whether this is known as a name of that file.
    pub fn knows(&self, path: &RelPath, node: Node) -> bool {
        self.at.get(path) == Some(&node)
    }

    /// A search has found no more names of a file with so many links than the `standing` that are known.
    pub fn has_searched(&mut self, node: Node, nlink: u64, standing: usize) {
        self.searched.insert(node, (nlink, standing));
    }

    /// Has a file searched for, with the next search.
    pub fn want(&mut self, want: Want) {
        if self.wanted_bytes + want.size() > WANTED {
            return self.crowd(want);
        }
        self.wanted_bytes += want.size();
        self.wanted.push(want);
    }

    /// Has everything compared for a file of which a search cannot find all names.
    pub fn crowd(&mut self, Want { since, sent, .. }: Want) {
        let crowded = self.crowded.get_or_insert(Crowded { since, tickets: Vec::new() });
        crowded.since = crowded.since.min(since);
        crowded.tickets.extend(sent.map(|(_, _, ticket)| ticket));
    }

    /// What was wanted beyond what can be searched for at once: everything is to be compared for it.
    pub fn take_crowded(&mut self) -> Option<Crowded> {
        self.crowded.take()
    }

    /// Files of which another has taken a name since this was asked last.
    pub fn take_parted(&mut self) -> Vec<(Node, Since)> {
        std::mem::take(&mut self.parted)
    }

    /// What was searched for and found, if a search is over. It has found nothing if it could not be made.
    pub fn take_found(&mut self, now: Instant) -> Option<(Vec<Want>, Matches)> {
        let found = match self.search.as_ref()?.found.try_recv() {
            Ok(found) => found,
            Err(mpsc::TryRecvError::Empty) => return None,
            Err(mpsc::TryRecvError::Disconnected) => Matches::default(),
        };
        let Search { wanted, began, .. } = self.search.take()?;
        self.rests = Some(now + (now.saturating_duration_since(began) * REST).min(LONGEST));
        Some((wanted, found))
    }

    /// When the next search may begin, if something is wanted and none may yet.
    pub fn search_due(&self, now: Instant) -> Option<Instant> {
        self.rests.filter(|until| *until > now && self.search.is_none() && !self.wanted.is_empty())
    }

    /// Begins a search for all that is wanted, if something is, none is under way, and the last one was long enough ago.
    /// Returns whether it did.
    pub fn search(&mut self, now: Instant, begin: impl FnOnce(HashSet<Node>) -> mpsc::Receiver<Matches>) -> bool {
        let rests = self.rests.is_some_and(|until| now < until);
        if self.search.is_some() || rests || self.wanted.is_empty() {
            return false;
        }
        let wanted = std::mem::take(&mut self.wanted);
        self.wanted_bytes = 0;
        let found = begin(wanted.iter().map(|want| want.node).collect());
        self.search = Some(Search { wanted, found, began: now });
        true
    }

    /// Whether nothing is searched for or is to be looked at.
    pub fn is_idle(&self) -> bool {
        self.search.is_none() && self.wanted.is_empty() && self.parted.is_empty() && self.crowded.is_none()
    }

    /// A connection ended: what was searched for is still wanted, but no work waits for it.
    pub fn forget_work(&mut self) {
        let searching = self.search.take().map(|search| search.wanted).unwrap_or_default();
        let all = std::mem::take(&mut self.wanted).into_iter().chain(searching);
        self.wanted_bytes = 0;
        all.for_each(|want| self.want(Want { sent: None, ..want }));
        self.crowded.iter_mut().for_each(|crowded| crowded.tickets.clear());
    }
}
