//! Deletions that a comparison has concluded from what is not listed, and that are more than may go without a person's word.
//! They are held: until that word comes, or until so many of the places are taken again that the rest may go.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Instant;

use proto::RelPath;

use super::ages::Since;
use crate::beneath::range_beneath;

/// LIMIT: bytes that what is held takes. Of what is beyond only its number is known, and a comparison of the whole finds it
/// again.
const BYTES: usize = 5 * 1024 * 1024;

/// LIMIT: places that go one by one when they are let go. More are found again by a comparison: as hints they would be too
/// many, and become bigger ones that do not tell that a person has let them go.
const SINGLY: usize = 10_000;

/// What a comparison would delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Places, each with how many entries go with it, itself included.
    pub places: Vec<(RelPath, u64)>,
    /// Entries that go with places that are not among them.
    pub beyond: u64,
    /// Entries of the backup before any of that.
    pub total: u64,
}

/// Why deletions wait for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There are more of them than `max_delete` allows.
    Many,
    /// The source has no entries left.
    Emptied,
    /// They were seen, and are so many that what is gone may be about to come back.
    Mass,
    /// They are beneath a mount point on which nothing is mounted now.
    Unmounted,
}

/// How far a comparison reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The folder that it began at.
    pub top: &'a RelPath,
    /// Whether it saw all that is beneath, and not only what is in it.
    pub deep: bool,
}

impl Scope<'_> {
    fn has(&self, place: &RelPath) -> bool {
        if self.deep { place.is_within(self.top) } else { place.parent().as_ref() == Some(self.top) }
    }
}

#[derive(Debug)]
struct Book {
    places: BTreeMap<RelPath, u64>,
    bytes: usize,
    /// Entries that go with the places.
    entries: u64,
    /// Entries that go with others.
    beyond: u64,
    /// Entries of the backup.
    total: u64,
    since: Since,
    why: Why,
}

#[derive(Debug)]
struct Replaced {
    at: RelPath,
    places: Vec<(RelPath, u64)>,
    /// Those of the book.
    since: Since,
    why: Why,
    total: u64,
}

/// See the module. INVARIANT: there is a book as long as it has entries.
#[derive(Debug, Default)]
pub(super) struct Inferred {
    book: Option<Box<Book>>,
    /// What the last rename took the place of, by its name: should that have been half of an exchange, it stands elsewhere.
    replaced: Option<Replaced>,
    /// When something that was held was last found to stand.
    came: Option<Instant>,
}

impl Inferred {
    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.book.is_none()
    }

    /// How many entries would go.
    pub fn entries(&self) -> u64 {
        self.book.as_ref().map_or(0, |book| book.entries.saturating_add(book.beyond))
    }

    /// What would go as far as it is known by name, and how many entries with each.
    pub fn places(&self) -> impl Iterator<Item = (&RelPath, u64)> {
        self.book.iter().flat_map(|book| book.places.iter().map(|(path, entries)| (path, *entries)))
    }

    /// Places that are held and that a comparison of this reach meets.
    pub fn within(&self, scope: Scope<'_>) -> Vec<RelPath> {
        let within = |book: &Book| book.within(scope).into_iter().map(|(path, _)| path).collect();
        self.book.as_deref().map(within).unwrap_or_default()
    }

    /// How many would go that a comparison of this reach does not meet.
    pub fn entries_outside(&self, scope: Scope<'_>) -> u64 {
        let Some(book) = &self.book else { return 0 };
        let within = book.within(scope).iter().map(|(_, entries)| *entries).fold(0, u64::saturating_add);
        let beyond = if scope.deep && scope.top.is_root() { 0 } else { book.beyond };
        book.entries.saturating_sub(within).saturating_add(beyond)
    }

    /// Entries of the backup when it was compared last.
    pub fn total(&self) -> u64 {
        self.book.as_ref().map_or(0, |book| book.total)
    }

    /// When the oldest of it was noticed, and why it is held.
    pub fn told(&self) -> Option<(Since, Why)> {
        self.book.as_ref().map(|book| (book.since, book.why))
    }

    /// A comparison of this reach is through: what it has found is all that is not here, and may not go.
    pub fn hold(&mut self, scope: Scope<'_>, found: Found, why: Why, since: Since) {
        let before = self.met(scope);
        let since = before.map_or(since, |before| before.min(since));
        let book = self.book.get_or_insert_with(|| Box::new(Book::new(since, why)));
        (book.since, book.why, book.total) = (book.since.min(since), why, found.total);
        book.beyond = book.beyond.saturating_add(found.beyond);
        found.places.into_iter().for_each(|(path, entries)| book.put(path, entries));
        self.tidy();
    }

    /// A comparison of this reach has met all that there is: nothing older of it is held. Returns since when it was.
    pub fn met(&mut self, scope: Scope<'_>) -> Option<Since> {
        let book = self.book.as_mut()?;
        let since = book.since;
        if scope.deep && scope.top.is_root() {
            self.book = None;
            return Some(since);
        }
        for (path, _) in book.within(scope) {
            book.take(&path);
        }
        self.tidy();
        Some(since)
    }

    /// Something stands here: neither this place nor a folder above it is gone. Returns those that were held, of which there
    /// may be more at the target than is here.
    pub fn stands(&mut self, path: &RelPath, now: Instant) -> Vec<RelPath> {
        let Some(book) = self.book.as_mut() else { return Vec::new() };
        book.why = Why::Many;
        let upwards = std::iter::successors(Some(path.clone()), RelPath::parent);
        let came: Vec<_> = upwards.filter_map(|place| book.take(&place).map(|entries| (place, entries))).collect();
        self.came = if came.is_empty() { self.came } else { Some(now) };
        let taken = came.into_iter().filter(|(_, entries)| *entries > 1).map(|(place, _)| place).collect();
        self.tidy();
        taken
    }

    /// When something that was held was last found to stand.
    pub fn came(&self) -> Option<Instant> {
        self.came
    }

    /// Another folder is the source from now on: what was not in the one before says nothing of it.
    pub fn source_is_another(&mut self) {
        *self = Inferred::default();
    }

    /// What stood here was seen to go, or is gone from the target: that decides from now on. Returns how many entries of it
    /// were held.
    pub fn gone(&mut self, path: &RelPath) -> u64 {
        let Some(book) = self.book.as_mut() else { return 0 };
        let mut entries = 0u64;
        for (path, with) in book.within(Scope { top: path, deep: true }) {
            book.take(&path);
            entries = entries.saturating_add(with);
        }
        self.tidy();
        entries
    }

    /// `from` is now `to` at both sides, and took the place of what was there.
    pub fn renamed(&mut self, from: &RelPath, to: &RelPath) {
        self.replaced = None;
        if self.is_empty() || from.is_within(to) || to.is_within(from) {
            return;
        }
        self.replaced = self.book.as_ref().map(|book| Replaced {
            at: to.clone(),
            places: book.within(Scope { top: to, deep: true }),
            since: book.since,
            why: book.why,
            total: book.total,
        });
        self.gone(to);
        let Some(book) = self.book.as_mut() else { return };
        for (path, entries) in book.within(Scope { top: from, deep: true }) {
            book.take(&path);
            if let Some(moved) = path.rebase(from, to) {
                book.put(moved, entries);
            }
        }
        self.tidy();
    }

    /// The last rename, of `to` to `from`, was the first half of an exchange: what stood at `from` before it is at `to`.
    pub fn exchanged(&mut self, from: &RelPath, to: &RelPath) {
        let Some(Replaced { places, since, why, total, .. }) = self.replaced.take().filter(|it| it.at == *from) else {
            return;
        };
        let book = self.book.get_or_insert_with(|| Box::new(Book { total, ..Book::new(since, why) }));
        for (path, entries) in places {
            if let Some(moved) = path.rebase(from, to) {
                book.put(moved, entries);
            }
        }
        self.tidy();
    }

    /// Whether this place is held, or one above it.
    pub fn has(&self, place: &RelPath) -> bool {
        let upwards = || std::iter::successors(Some(place.clone()), RelPath::parent);
        self.book.as_ref().is_some_and(|book| upwards().any(|at| book.places.contains_key(&at)))
    }

    /// Whether a place at or beneath this one is held, or may be, or one above it.
    pub fn concerns(&self, place: &RelPath) -> bool {
        let above = |book: &Book| {
            std::iter::successors(place.parent(), RelPath::parent).any(|at| book.places.contains_key(&at))
        };
        let held = |book: &Book| book.beyond > 0 || book.has_within(place) || above(book);
        self.book.as_deref().is_some_and(held)
    }

    /// Nothing is held any more, by somebody's word, or because it is few: all places. `None` where a comparison of the whole
    /// has to find them, as there are many, or others.
    pub fn let_go(&mut self) -> Option<Vec<RelPath>> {
        let book = self.book.take()?;
        (book.beyond == 0 && book.places.len() <= SINGLY).then(|| book.places.into_keys().collect())
    }

    fn tidy(&mut self) {
        if self.book.as_ref().is_some_and(|book| book.places.is_empty() && book.beyond == 0) {
            self.book = None;
        }
    }
}

/// What a place takes, in a map that is two thirds full.
fn size(path: &RelPath) -> usize {
    const BESIDE: usize = 80;
    path.as_bytes().len() + BESIDE
}

impl Book {
    fn new(since: Since, why: Why) -> Book {
        Book { places: BTreeMap::new(), bytes: 0, entries: 0, beyond: 0, total: 0, since, why }
    }

    fn put(&mut self, path: RelPath, entries: u64) {
        if self.bytes + size(&path) > BYTES {
            self.beyond = self.beyond.saturating_add(entries);
            return;
        }
        self.bytes += size(&path);
        self.entries = self.entries.saturating_add(entries);
        if let Some(before) = self.places.insert(path.clone(), entries) {
            self.bytes -= size(&path);
            self.entries = self.entries.saturating_sub(before);
        }
    }

    fn take(&mut self, path: &RelPath) -> Option<u64> {
        let entries = self.places.remove(path)?;
        self.bytes -= size(path);
        self.entries = self.entries.saturating_sub(entries);
        Some(entries)
    }

    fn within(&self, scope: Scope<'_>) -> Vec<(RelPath, u64)> {
        let owned = |(path, entries): (&RelPath, &u64)| (path.clone(), *entries);
        let at = self.places.get_key_value(scope.top).filter(|_| scope.deep).map(owned);
        let beneath = range_beneath(scope.top, |bounds| {
            let places = self.places.range(bounds).filter(|(path, _)| scope.has(path));
            places.map(owned).collect::<Vec<_>>()
        });
        at.into_iter().chain(beneath).collect()
    }

    fn has_within(&self, place: &RelPath) -> bool {
        self.places.contains_key(place) || range_beneath(place, |bounds| self.places.range(bounds).next().is_some())
    }
}
