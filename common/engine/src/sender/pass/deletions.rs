//! What a comparison has found at the target and not here, and how many entries would go with it: the target is asked for
//! the size of folders and, where the bound is a share of the backup, for that of the whole.

use std::collections::HashMap;

use proto::{Kind, RelPath};

use crate::pending::Found;
use crate::sender::brake::Certainty;

/// What is at the target and not here, or stands there in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Extra {
    path: RelPath,
    kind: Kind,
    /// Entries that go with it, itself included, as far as that is known.
    entries: u64,
}

/// What the size of the whole backup is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// From the listings, or it is of no interest.
    Known,
    /// The target is asked.
    Asked,
}

/// Of which extras the size is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Folders,
    All,
}

/// What may be deleted, and what is known of its size.
pub(super) struct Deletions {
    extras: Vec<Extra>,
    /// Places beside them whose size is still to be asked for; the root stands for the whole backup.
    questions: Vec<RelPath>,
    /// The sizes of so many of the first extras, or of the folders among them, are still to be asked for. None of the paths is
    /// held twice for that.
    unasked: usize,
    asks: Asks,
    /// Those asked and not answered, and which extra each is.
    open: HashMap<RelPath, Option<usize>>,
    entries: u64,
    whole: u64,
    certainty: Certainty,
    /// Places that are not held.
    beyond: u64,
    /// Where there are such: all beneath this place goes, but for so many entries.
    but: Option<(RelPath, u64)>,
}

impl Deletions {
    pub fn new() -> Deletions {
        let (extras, questions, open) = Default::default();
        let (certainty, asks) = (Certainty::Estimated, Asks::Folders);
        Deletions { extras, questions, unasked: 0, asks, open, entries: 0, whole: 0, certainty, beyond: 0, but: None }
    }

    pub fn add(&mut self, path: RelPath, kind: Kind) {
        self.extras.push(Extra { path, kind, entries: 1 });
    }

    /// So many more were found, and are not held.
    pub fn add_beyond(&mut self, places: u64) {
        self.beyond += places;
    }

    /// Whether more was found than is held, and not dropped since.
    pub fn has_beyond(&self) -> bool {
        self.beyond > 0
    }

    /// Whether nothing that was found is held.
    pub fn is_empty(&self) -> bool {
        self.extras.is_empty()
    }

    /// All is found, and more than is held: what stands beneath `top` at the target and has no place here goes, at most. The
    /// target is asked how much that is. The brake sees no less than what goes: what was sent meanwhile counts, too.
    pub fn weigh_all_but(&mut self, top: &RelPath, matched: u64) {
        self.certainty = Certainty::Counted;
        self.entries = self.beyond + self.extras.len() as u64;
        self.questions = vec![top.clone()];
        if !top.is_root() {
            self.questions.push(RelPath::root());
        }
        self.but = Some((top.clone(), matched));
    }

    /// Leaves out those of which this is not true.
    pub fn retain(&mut self, mut stays: impl FnMut(&RelPath) -> bool) {
        self.extras.retain(|extra| stays(&extra.path));
    }

    /// Places found so far.
    pub fn len(&self) -> usize {
        self.extras.len()
    }

    /// The folders among them.
    pub fn folders(&self) -> impl Iterator<Item = &RelPath> {
        self.extras.iter().filter(|extra| extra.kind == Kind::Dir).map(|extra| &extra.path)
    }

    /// All is found: what is no folder counts as one entry, folders are to be asked about.
    pub fn weigh(&mut self, whole: Whole) {
        self.entries = self.extras.iter().filter(|extra| extra.kind != Kind::Dir).count() as u64;
        self.ask_about(Asks::Folders);
        if whole == Whole::Asked && !self.extras.is_empty() {
            self.questions.push(RelPath::root());
        }
    }

    /// The size of every deletion and of the whole is asked for.
    pub fn weigh_again(&mut self) {
        (self.certainty, self.entries) = (Certainty::Counted, 0);
        self.ask_about(Asks::All);
        self.questions.push(RelPath::root());
    }

    fn ask_about(&mut self, asks: Asks) {
        (self.asks, self.unasked) = (asks, self.extras.len());
        self.pass_over();
    }

    /// Goes on to the next of which the size is asked for.
    fn pass_over(&mut self) {
        let rest = self.extras.get(..self.unasked).unwrap_or_default();
        let next = rest.iter().rposition(|extra| self.asks == Asks::All || extra.kind == Kind::Dir);
        self.unasked = next.map_or(0, |at| at + 1);
    }

    /// Whether something is to be asked.
    pub fn has_questions(&self) -> bool {
        !self.questions.is_empty() || self.unasked > 0
    }

    /// The next place whose size the target is to tell.
    pub fn ask(&mut self) -> Option<RelPath> {
        let (question, extra) = match self.questions.pop() {
            Some(question) => (question, None),
            None => {
                self.unasked = self.unasked.checked_sub(1)?;
                let extra = self.unasked;
                let question = self.extras.get(extra)?.path.clone();
                self.pass_over();
                (question, Some(extra))
            }
        };
        self.open.insert(question.clone(), extra);
        Some(question)
    }

    /// So many entries stand at and beneath this place.
    pub fn counted(&mut self, path: &RelPath, entries: u64) {
        let Some(extra) = self.open.remove(path) else { return };
        if let Some(extra) = extra.and_then(|at| self.extras.get_mut(at)) {
            extra.entries = entries.max(1);
        }
        if path.is_root() {
            // The root itself is no entry.
            self.whole = entries.saturating_sub(1);
        }
        match &self.but {
            Some((top, matched)) if path == top => {
                self.entries = self.entries.max(entries.saturating_sub(1).saturating_sub(*matched));
            }
            // Whatever a target says, the brake sees no less.
            None if !path.is_root() => self.entries = self.entries.saturating_add(entries),
            _ => {}
        }
    }

    /// A question got no answer: nothing is deleted.
    pub fn uncounted(&mut self, path: &RelPath) {
        self.open.remove(path);
        self.drop_all();
    }

    /// Nothing is deleted, whatever was found.
    pub fn drop_all(&mut self) {
        self.questions.clear();
        self.extras.clear();
        (self.unasked, self.beyond) = (0, 0);
    }

    /// Whether every question is answered.
    pub fn are_counted(&self) -> bool {
        !self.has_questions() && self.open.is_empty()
    }

    pub fn certainty(&self) -> Certainty {
        self.certainty
    }

    /// Entries that would go.
    pub fn entries(&self) -> u64 {
        if self.extras.is_empty() { 0 } else { self.entries }
    }

    /// Entries of the whole backup, if the target was asked.
    pub fn whole(&self) -> u64 {
        self.whole
    }

    /// The places, each with the entries that go with it, and how many entries go with places that are not held.
    pub fn take_found(&mut self) -> Found {
        let places: Vec<_> = self.extras.drain(..).map(|extra| (extra.path, extra.entries)).collect();
        let known = places.iter().map(|(_, entries)| *entries).fold(0, u64::saturating_add);
        let beyond = if self.beyond > 0 { self.entries.saturating_sub(known).max(self.beyond) } else { 0 };
        self.drop_all();
        Found { places, beyond, total: self.whole }
    }

    /// The places, in the order in which they were found.
    pub fn take(&mut self) -> Vec<RelPath> {
        std::mem::take(&mut self.extras).into_iter().map(|extra| extra.path).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_counts_too_much_does_not_make_the_deletions_few() {
        let mut deletions = Deletions::new();
        let [a, b] = ["a", "b"].map(|name| RelPath::parse(name.as_bytes()).unwrap());
        for path in [&a, &b] {
            deletions.add(path.clone(), Kind::Dir);
        }
        deletions.weigh(Whole::Known);
        while deletions.ask().is_some() {}
        deletions.counted(&a, u64::MAX);
        deletions.counted(&b, 7);
        assert_eq!(deletions.entries(), u64::MAX);
    }
}
