//! Lists a folder of a replica in order of names: its digest, to be compared with the sender's, and part after part of what
//! stands in it.
//!
//! What is held of a folder is bounded, however large it is. Up to [`Bounds::whole`] entries it is looked at in one go, as it
//! is at one moment. Beyond that its names are gone through by [`Window`]s, and some thousands at a time looked at and hashed.
//!
//! RACE: names come and go between two windows. A digest is then one that the folder never had, and differs from the sender's;
//! a listing tells of each name what stood there when it was looked at.

use std::collections::VecDeque;
use std::io;

use proto::{Digest, Entry, Kept, Kind, Name, RelPath, codec, digest};

use super::Replica;
use crate::parts::in_parts;
use crate::view::window::Window;
use crate::view::{Folder, Linked};

/// Names that are looked at, before so much of them is told that a part is full.
const LOOK: usize = 4096;

/// What an entry takes with its name and that of its listing, about.
const ENTRY: usize = 200;

/// How much is held of a folder while it is listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Entries that are looked at in one go.
    pub whole: usize,
    /// Bytes of names.
    pub names: usize,
    /// Bytes of what waits to be told.
    pub rest: usize,
    /// Bytes of names of files that have several.
    pub linked: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        let names = 8 * 1024 * 1024;
        // A window of as many names as may be, and what was looked at of them.
        Bounds { whole: 64 * 1024, names, rest: 2 * names, linked: 4 * 1024 * 1024 }
    }
}

impl Bounds {
    /// What does in any case, at the price of more looks.
    pub fn least(self) -> Bounds {
        let (whole, names) = (self.whole.min(4096), self.names.min(512 * 1024));
        Bounds { whole, names, rest: self.rest, linked: self.linked.min(256 * 1024) }
    }

    /// What a thread holds of a folder by them, about.
    pub fn weight(self) -> usize {
        // When half of the names are given up, that half which is kept is there twice.
        self.names / 2 * 3 + self.whole.max(4 * LOOK) * ENTRY + self.linked
    }
}

/// What a folder is compared by.
#[derive(Debug)]
pub(crate) struct Digested {
    pub digest: Digest,
    /// What has more than one name, if those are kept.
    pub linked: Linked,
    /// To tell what is in it from its beginning.
    pub rest: Rest,
}

/// What is to be told of a folder behind some name.
#[derive(Debug)]
pub(crate) struct Rest {
    path: RelPath,
    /// The last name that was told.
    after: Option<Name>,
    /// What was looked at, and is not told.
    entries: VecDeque<Entry>,
    /// The last name that was looked at, if it is not in `entries`.
    reached: Option<Name>,
    /// Names behind `reached` that are not looked at yet.
    names: Window,
}

#[derive(Default)]
struct Seen {
    entries: Vec<Entry>,
    linked: Linked,
}

impl Rest {
    /// All behind this name, of which nothing is known yet.
    pub fn behind(path: RelPath, after: Option<Name>) -> Rest {
        let reached = after.clone();
        Rest { path, after, entries: VecDeque::new(), reached, names: Window::unknown() }
    }

    /// Whether it is what stands in this folder behind this name.
    pub fn is(&self, path: &RelPath, after: Option<&Name>) -> bool {
        self.path == *path && self.after.as_ref() == after
    }

    /// Which folder it is of.
    pub fn path(&self) -> &RelPath {
        &self.path
    }

    /// Bytes that it takes in memory, about.
    pub fn weight(&self) -> usize {
        let entries = self.entries.iter().map(|entry| size_of::<Entry>() + entry.name.as_bytes().len());
        size_of::<Rest>() + entries.sum::<usize>() + self.names.weight()
    }

    /// Forgets as much of what was looked at as is beyond this bound: it will be looked at again.
    pub fn trim(&mut self, bound: usize) {
        let mut weight = self.weight();
        if weight <= bound {
            return;
        }
        weight -= self.names.weight();
        self.names = Window::unknown();
        while weight > bound
            && let Some(entry) = self.entries.pop_back()
        {
            weight -= size_of::<Entry>() + entry.name.as_bytes().len();
        }
        self.reached = self.entries.back().map(|entry| entry.name.clone()).or_else(|| self.after.clone());
    }

    fn is_over(&self) -> bool {
        self.entries.is_empty() && !self.has_unseen()
    }

    /// Whether there may be something in it that was not looked at.
    fn has_unseen(&self) -> bool {
        self.names.len() > 0 || self.names.has_more()
    }
}

impl Replica {
    /// The digest of the folder at a path, without temporaries, looked at by up to so many threads if there is much. Kinds that
    /// are not made here are in it too, so that the sender can have them removed.
    ///
    /// # Errors
    /// Of the operating system, also of a single entry: one that is missing here would be taken for one that does not exist.
    pub(crate) fn digest(&self, path: &RelPath, threads: usize, bounds: Bounds) -> io::Result<Digested> {
        self.opened(path, |folder| {
            let mut names = select(folder, None, bounds)?;
            if !names.has_more() && names.len() <= bounds.whole {
                let Seen { entries, linked } =
                    self.look_at_all(folder, names.take(usize::MAX), threads, bounds.linked)?;
                let digest = digest::folder(&entries);
                let (path, entries) = (path.clone(), entries.into());
                let rest = Rest { path, after: None, entries, reached: None, names: Window::default() };
                return Ok(Digested { digest, linked, rest });
            }
            let (mut hash, mut linked) = (digest::Folder::default(), Linked::default());
            loop {
                let mut reached = None;
                while names.len() > 0 {
                    let some = names.take(4 * LOOK);
                    reached = some.last().cloned();
                    let seen = self.look_at_all(folder, some, threads, bounds.linked)?;
                    seen.entries.iter().for_each(|entry| hash.push(entry));
                    linked.append(seen.linked, bounds.linked);
                }
                if !names.has_more() {
                    let (digest, rest) = (hash.finish(), Rest::behind(path.clone(), None));
                    return Ok(Digested { digest, linked, rest });
                }
                names = select(folder, reached.as_ref(), bounds)?;
            }
        })
    }

    /// Takes as much out of it as fits into one part of a listing. Whether that is the last; else there is something in it.
    ///
    /// # Errors
    /// As [`digest`](Replica::digest).
    pub(crate) fn tell(&self, rest: &mut Rest, threads: usize, bounds: Bounds) -> io::Result<(Vec<Entry>, bool)> {
        if rest.has_unseen() && codec::entries_that_fit(rest.entries.make_contiguous()) == rest.entries.len() {
            let path = rest.path.clone();
            self.opened(&path, |folder| self.look_on(folder, rest, threads, bounds))?;
        }
        let fit = codec::entries_that_fit(rest.entries.make_contiguous());
        let part: Vec<Entry> = rest.entries.drain(..fit).collect();
        if let Some(last) = part.last() {
            rest.after = Some(last.name.clone());
        }
        Ok((part, rest.is_over()))
    }

    /// Looks at more of a folder, until there is more than a part of it to be told.
    fn look_on(&self, folder: &Folder, rest: &mut Rest, threads: usize, bounds: Bounds) -> io::Result<()> {
        while rest.has_unseen() && codec::entries_that_fit(rest.entries.make_contiguous()) == rest.entries.len() {
            // After an error they are selected anew.
            let mut names = std::mem::replace(&mut rest.names, Window::unknown());
            if names.len() == 0 {
                names = select(folder, rest.reached.as_ref(), bounds)?;
            }
            let some = names.take(LOOK);
            let reached = some.last().cloned();
            // Links are noted when folders are compared.
            rest.entries.extend(self.look_at_all(folder, some, threads, 0)?.entries);
            rest.reached = reached.or(rest.reached.take());
            rest.names = names;
        }
        Ok(())
    }

    /// Does something with the folder at a path, which is opened up where that is needed.
    fn opened<T>(&self, path: &RelPath, mut work: impl FnMut(&Folder) -> io::Result<T>) -> io::Result<T> {
        let mut work = || work(&self.view.folder(path)?);
        match work() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.open_up(path)?;
                work()
            }
            done => done,
        }
    }

    fn look_at_all(&self, folder: &Folder, names: Vec<Name>, threads: usize, links: usize) -> io::Result<Seen> {
        let look = |part| self.look_at(folder, part, links);
        in_parts(names, threads, look, |all, part| match (all.as_mut(), part) {
            (Ok(all), Ok(mut part)) => {
                all.entries.append(&mut part.entries);
                all.linked.append(part.linked, links);
            }
            (Ok(_), Err(error)) => *all = Err(error),
            (Err(_), _) => {}
        })
    }

    /// `links`: the bound for names of files that have several.
    fn look_at(&self, folder: &Folder, names: Vec<Name>, links: usize) -> io::Result<Seen> {
        let mut seen = Seen { entries: Vec::with_capacity(names.len()), ..Seen::default() };
        let (view, inside) = (self.view(), folder.dir().inside());
        for name in names {
            // RACE: a name may vanish after it was listed; then it is as if it had never been there.
            let Some(mut stat) = folder.look(&name)? else { continue };
            if folder.leaves_out(&name, stat.kind).is_some() {
                continue;
            }
            stat.mode = self.mode_before(&stat).unwrap_or(stat.mode);
            let extra = match inside.extra(&name, &stat, view.keep) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    let _unlocked = self.unlock_reading(folder, &name)?;
                    inside.extra(&name, &stat, view.keep)?
                }
                extra => extra?,
            };
            if stat.kind == Kind::File && stat.nlink > 1 && view.keeps(Kept::Hardlinks) {
                seen.linked.push(&name, (stat.dev, stat.ino), links);
            }
            let mut entry = stat.entry(name, extra.digest, view.keep);
            entry.inexact = extra.inexact && stat.kind == Kind::File;
            seen.entries.push(entry);
        }
        Ok(seen)
    }
}

fn select(folder: &Folder, after: Option<&Name>, bounds: Bounds) -> io::Result<Window> {
    Window::select(after, bounds.names, |each| folder.each_name(each))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_room_for_a_full_window_and_what_was_looked_at_of_it() {
        let bounds = Bounds::default();
        let name = |n: usize| format!("{n:0250}").into_bytes();
        let names = Window::select(None, bounds.names, |each| {
            (0..bounds.names / 260).for_each(|n| each(&name(n)));
            Ok(())
        });
        let (names, path) = (names.unwrap(), RelPath::root());
        let waits = names.len();
        assert!(names.weight() > bounds.names / 20 * 19 && !names.has_more());
        let meta = proto::Meta {
            kind: Kind::File,
            size: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: proto::Time::default(),
            device: proto::Device::default(),
            link: Box::default(),
            xattrs: proto::Xattrs::default(),
        };
        let entries = (0..2 * LOOK).map(|n| digest::entry(Name::parse(&name(n)).unwrap(), &meta)).collect();
        let mut rest = Rest { path, after: None, entries, reached: None, names };
        rest.trim(bounds.rest);
        assert_eq!((rest.names.len(), rest.entries.len()), (waits, 2 * LOOK));
    }
}
