//! Which file of the source stands under a name at the target, as far as it was sent lately. A comparison by size and
//! time does not tell files apart that a program wrote between two ticks of the kernel's clock; this does, where such
//! files change names while they are sent.

use std::collections::BTreeMap;
use std::time::Instant;

use proto::{Kind, Name, RelPath, Time};

use super::places::{Known, at_and_beneath, in_folder};
use super::walk::{Folder, Id};

/// Names in one generation; two are remembered: about 20 MB of paths of usual length.
const NAMES: usize = 65_536;

/// Which no file has.
const NO_FILE: Id = (u64::MAX, u64::MAX);

/// A file as it was sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    id: Id,
    mtime: Time,
    /// When, if that was under the name that it has.
    at: Option<Instant>,
}

/// See the module. What it does not know is not remembered, or was not sent: then a comparison has to do.
#[derive(Debug, Default)]
pub(super) struct Origins {
    young: BTreeMap<RelPath, Sent>,
    old: BTreeMap<RelPath, Sent>,
}

impl Origins {
    /// The content of this file is being sent under this name.
    pub fn sent(&mut self, path: &RelPath, id: Id, mtime: Time) {
        self.insert(path, Sent { id, mtime, at: Some(Instant::now()) });
    }

    /// `other` is being made a name of what stands at `first`.
    pub fn linked(&mut self, first: &RelPath, other: &RelPath) {
        match self.get(first).copied() {
            Some(sent) => self.insert(other, Sent { at: Some(Instant::now()), ..sent }),
            None => self.removed(other),
        }
    }

    fn insert(&mut self, path: &RelPath, sent: Sent) {
        if self.young.len() >= NAMES {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(path);
        self.young.insert(path.clone(), sent);
    }

    /// It is not known whether what was sent under this name is there.
    pub fn doubt(&mut self, path: &RelPath) {
        self.sent(path, NO_FILE, Time::default());
    }

    /// It is not known whether what was sent under the names at and beneath `path` is there.
    pub fn doubt_all(&mut self, path: &RelPath) {
        for (path, _) in self.take(path) {
            self.doubt(&path);
        }
    }

    fn get(&self, path: &RelPath) -> Option<&Sent> {
        self.young.get(path).or_else(|| self.old.get(path))
    }

    /// Whether the target has another file under this name.
    pub fn differs(&self, path: &RelPath, id: Id) -> bool {
        self.get(path).is_some_and(|sent| sent.id != id)
    }

    /// Those files of a listed folder under whose names the target has others.
    pub fn others(&self, path: &RelPath, here: &Folder) -> Vec<Name> {
        let known = [&self.old, &self.young].into_iter().flat_map(|map| in_folder(map, path));
        let other = known.filter_map(|(name, _, known)| match (known, here.find(&name)?) {
            (Known::Entry(sent), (entry, id)) if entry.kind == Kind::File && sent.id != id => Some(name),
            _ => None,
        });
        other.collect()
    }

    /// When the content of what the target has under this name was sent under it.
    pub fn sent_at(&self, path: &RelPath) -> Option<Instant> {
        self.get(path).and_then(|sent| sent.at)
    }

    /// The mtime with which this file was sent, if that is what the target has under this name.
    pub fn mtime_of(&self, path: &RelPath, id: Id) -> Option<Time> {
        self.get(path).filter(|sent| sent.id == id).map(|sent| sent.mtime)
    }

    /// What stood at and beneath `path` was removed.
    pub fn removed(&mut self, path: &RelPath) {
        self.take(path);
    }

    /// What stood at and beneath `from` is at `to`.
    pub fn moved(&mut self, from: &RelPath, to: &RelPath) {
        let moved = self.take(from);
        self.removed(to);
        self.put(moved, from, to);
    }

    /// What stood at and beneath each has changed places.
    pub fn exchanged(&mut self, a: &RelPath, b: &RelPath) {
        let (at_a, at_b) = (self.take(a), self.take(b));
        self.put(at_a, a, b);
        self.put(at_b, b, a);
    }

    fn take(&mut self, path: &RelPath) -> Vec<(RelPath, Sent)> {
        let mut taken = Vec::new();
        for map in [&mut self.old, &mut self.young] {
            for path in at_and_beneath(map, path) {
                taken.extend(map.remove_entry(&path));
            }
        }
        taken
    }

    fn put(&mut self, taken: Vec<(RelPath, Sent)>, from: &RelPath, to: &RelPath) {
        for (path, sent) in taken {
            if let Some(path) = path.rebase(from, to) {
                self.insert(&path, Sent { at: None, ..sent });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_was_sent_is_known_under_its_later_names() {
        let mut origins = Origins::default();
        origins.sent(&path("a/x"), (1, 1), Time::default());
        origins.sent(&path("b"), (1, 2), Time::default());
        origins.moved(&path("a"), &path("c"));
        assert!(origins.differs(&path("c/x"), (1, 2)) && !origins.differs(&path("c/x"), (1, 1)));
        assert!(!origins.differs(&path("a/x"), (1, 2)), "nothing is known to stand there");
        origins.exchanged(&path("c/x"), &path("b"));
        assert!(origins.differs(&path("b"), (1, 2)) && origins.differs(&path("c/x"), (1, 1)));
        origins.moved(&path("c"), &path("b"));
        assert!(!origins.differs(&path("b"), (9, 9)), "it was replaced by a folder");
        origins.removed(&path("b"));
        assert!(!origins.differs(&path("b/x"), (9, 9)));
    }

    #[test]
    fn it_forgets_the_oldest() {
        let mut origins = Origins::default();
        for n in 0..NAMES * 2 + 1 {
            origins.sent(&path(&format!("f{n}")), (1, 1), Time::default());
        }
        assert!(origins.young.len() + origins.old.len() <= 2 * NAMES);
        assert!(!origins.differs(&path("f0"), (2, 2)) && origins.differs(&path(&format!("f{NAMES}")), (2, 2)));
    }
}
