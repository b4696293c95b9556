//! Which file of the source stands under a name at the target, as far as it was sent lately. Files that a program
//! writes between two ticks of the kernel's clock have the same time, and often the same size. When such files change
//! names while they are sent a comparison does not see it; this does.

use std::collections::BTreeMap;
use std::time::Instant;

use proto::{Kind, Name, RelPath, Time};

use super::places::{Known, at_and_beneath, in_folder};
use crate::view::{Listing, Node};

/// LIMIT: names in one generation, and bytes of their paths; two are remembered, about 20 MB of paths of usual length.
const NAMES: usize = 65_536;
const BYTES: usize = 4 * 1024 * 1024;

/// Stands for a file that is not known: none has these numbers.
const NO_FILE: Node = (u64::MAX, u64::MAX);

/// A file as it was sent.
#[derive(Debug, Clone, Copy)]
struct Origin {
    id: Node,
    mtime: Time,
    /// When it was sent, if that was under the name that it has now.
    at: Option<Instant>,
}

/// What was sent lately, by name. Where it knows nothing a comparison has to do.
#[derive(Debug, Default)]
pub(super) struct Origins {
    young: BTreeMap<RelPath, Origin>,
    /// Bytes of the paths that came to it.
    bytes: usize,
    old: BTreeMap<RelPath, Origin>,
    /// What stood under names that were moved away since all was answered.
    vacated: BTreeMap<RelPath, Origin>,
    /// Bytes of the paths that came to that.
    vacated_bytes: usize,
}

impl Origins {
    /// The content of this file is being sent under this name.
    pub fn sent(&mut self, path: &RelPath, id: Node, mtime: Time, now: Instant) {
        self.insert(path, Origin { id, mtime, at: Some(now) });
    }

    /// `other` is being made a name of what stands at `first`.
    pub fn linked(&mut self, first: &RelPath, other: &RelPath, now: Instant) {
        match self.get(first).copied() {
            Some(sent) => self.insert(other, Origin { at: Some(now), ..sent }),
            None => self.removed(other),
        }
    }

    fn insert(&mut self, path: &RelPath, sent: Origin) {
        let bytes = path.as_bytes().len();
        if self.young.len() >= NAMES || self.bytes + bytes > BYTES {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        if !self.young.contains_key(path) {
            self.bytes += bytes;
        }
        self.old.remove(path);
        self.young.insert(path.clone(), sent);
    }

    /// It is not known whether what was sent under this name is there.
    pub fn doubt(&mut self, path: &RelPath, now: Instant) {
        self.sent(path, NO_FILE, Time::default(), now);
    }

    /// All that was sent is answered.
    pub fn answered(&mut self) {
        (self.vacated, self.vacated_bytes) = Default::default();
    }

    fn get(&self, path: &RelPath) -> Option<&Origin> {
        self.young.get(path).or_else(|| self.old.get(path))
    }

    /// Whether the target has another file under this name.
    pub fn differs(&self, path: &RelPath, id: Node) -> bool {
        self.get(path).is_some_and(|sent| sent.id != id)
    }

    /// Those files of a listed folder under whose names the target has others.
    pub fn others(&self, path: &RelPath, here: &Listing) -> Vec<Name> {
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

    /// Which file was sent under this name, and with which mtime.
    pub fn sent_as(&self, path: &RelPath) -> Option<(Node, Time)> {
        self.get(path).map(|sent| (sent.id, sent.mtime))
    }

    /// What stood at and beneath `path` was removed.
    pub fn removed(&mut self, path: &RelPath) {
        self.take(path);
    }

    /// What stood at and beneath `from` is at `to`. Returns names that are to be sent again should the operation fail:
    /// another file of the same time stands there then, and no comparison would tell.
    pub fn moved(&mut self, from: &RelPath, to: &RelPath) -> Vec<RelPath> {
        let before = self.before(to);
        let (moved, replaced) = (self.take(from), self.take(to));
        self.leave(&moved);
        self.put(moved, from, to);
        self.alike(before.into_iter().chain(replaced))
    }

    /// What stood at and beneath each has changed places. Returns names as [`moved`](Self::moved) does.
    pub fn exchanged(&mut self, a: &RelPath, b: &RelPath) -> Vec<RelPath> {
        let before = [self.before(a), self.before(b)].concat();
        let (at_a, at_b) = (self.take(a), self.take(b));
        self.leave(&at_a);
        self.leave(&at_b);
        self.put(at_a.clone(), a, b);
        self.put(at_b.clone(), b, a);
        self.alike(before.into_iter().chain(at_a).chain(at_b))
    }

    fn leave(&mut self, moved: &[(RelPath, Origin)]) {
        let bytes: usize = moved.iter().map(|(path, _)| path.as_bytes().len()).sum();
        if self.vacated.len() + moved.len() > NAMES || self.vacated_bytes + bytes > BYTES {
            (self.vacated, self.vacated_bytes) = Default::default();
        }
        self.vacated_bytes += bytes;
        self.vacated.extend(moved.iter().cloned());
    }

    /// Names at and beneath `path` that were moved away and of which nothing is known since: if the operation failed, what
    /// was sent under them still stands there.
    pub fn vacated(&self, path: &RelPath) -> Vec<RelPath> {
        at_and_beneath(&self.vacated, path).into_iter().filter(|path| self.get(path).is_none()).collect()
    }

    /// What stood at and beneath `path` and was moved away, perhaps in vain.
    fn before(&self, path: &RelPath) -> Vec<(RelPath, Origin)> {
        at_and_beneath(&self.vacated, path).into_iter().map(|path| (path.clone(), self.vacated[&path])).collect()
    }

    /// Those names that have another file of the same time now.
    fn alike(&self, before: impl IntoIterator<Item = (RelPath, Origin)>) -> Vec<RelPath> {
        let other = |path: &RelPath, sent: &Origin| {
            self.get(path).is_some_and(|now| now.id != sent.id && (now.mtime == sent.mtime || sent.id == NO_FILE))
        };
        before.into_iter().filter(|(path, sent)| other(path, sent)).map(|(path, _)| path).collect()
    }

    fn take(&mut self, path: &RelPath) -> Vec<(RelPath, Origin)> {
        let mut taken = Vec::new();
        for map in [&mut self.old, &mut self.young] {
            for path in at_and_beneath(map, path) {
                taken.extend(map.remove_entry(&path));
            }
        }
        taken
    }

    fn put(&mut self, taken: Vec<(RelPath, Origin)>, from: &RelPath, to: &RelPath) {
        for (path, sent) in taken {
            if let Some(path) = path.rebase(from, to) {
                self.insert(&path, Origin { at: None, ..sent });
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
        origins.sent(&path("a/x"), (1, 1), Time::default(), Instant::now());
        origins.sent(&path("b"), (1, 2), Time::default(), Instant::now());
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
    fn names_that_a_failed_rename_leaves_with_a_file_of_the_same_time_are_named() {
        let mut origins = Origins::default();
        let other = Time { secs: 1, nanos: 1 };
        for (name, ino, mtime) in [("a", 1, other), ("b", 2, other), ("c", 3, Time::default())] {
            origins.sent(&path(name), (1, ino), mtime, Instant::now());
        }
        assert_eq!(origins.exchanged(&path("a"), &path("c")), [], "their times tell");
        assert_eq!(origins.moved(&path("b"), &path("c")), [path("c")], "of the time of what is replaced");
        assert_eq!(origins.moved(&path("c"), &path("a")), [path("a")], "of the time of what has left before");
        assert_eq!(origins.vacated(&path("b")), [path("b")]);
        origins.answered();
        assert_eq!(origins.vacated(&path("b")), []);
        origins.sent(&path("b"), (1, 4), other, Instant::now());
        assert_eq!(origins.moved(&path("b"), &path("c")), [], "what has left is not there");
    }

    #[test]
    fn it_forgets_the_oldest() {
        let mut origins = Origins::default();
        for n in 0..NAMES * 2 + 1 {
            origins.sent(&path(&format!("f{n}")), (1, 1), Time::default(), Instant::now());
        }
        assert!(origins.young.len() + origins.old.len() <= 2 * NAMES);
        assert!(!origins.differs(&path("f0"), (2, 2)) && origins.differs(&path(&format!("f{NAMES}")), (2, 2)));
    }
}
