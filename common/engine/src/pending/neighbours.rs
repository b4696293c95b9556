//! Whose turn it is, and when what waits is due. Each entry of the root is a neighbour of the others, with all that is
//! beneath it, and so is the root itself. One that has something to do gives one thing away and stands at the end of the
//! line again, so that one in which much happens holds up no other.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::mem::size_of;
use std::time::Instant;

use proto::RelPath;

/// What the first that is due takes in a neighbour: room for eleven.
const NODE: usize = 11 * size_of::<(Instant, RelPath)>() + 16;
/// What a neighbour takes beside that and its name: its places in all the maps, which are two thirds full.
const PLACES: usize = 200;

/// INVARIANT: a neighbour that is not in `line` is in `heads` with what is due first in it, if it has anything.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    due: BTreeMap<RelPath, BTreeSet<(Instant, RelPath)>>,
    heads: BTreeSet<(Instant, RelPath)>,
    line: VecDeque<RelPath>,
    /// Bytes of the names of those in `due`.
    names: usize,
    in_line: HashSet<RelPath>,
}

impl Neighbours {
    /// Something waits here, and is due then.
    pub fn insert(&mut self, due: Instant, path: &RelPath) {
        self.change(path, |neighbour| neighbour.insert((due, path.clone())));
    }

    /// It does not wait any more.
    pub fn remove(&mut self, due: Instant, path: &RelPath) {
        self.change(path, |neighbour| neighbour.remove(&(due, path.clone())));
    }

    fn change(&mut self, path: &RelPath, change: impl FnOnce(&mut BTreeSet<(Instant, RelPath)>) -> bool) {
        let top = path.top_bytes();
        let neighbour = match self.due.get_mut(top) {
            Some(neighbour) => neighbour,
            None => {
                self.names += top.len();
                self.due.entry(path.top()).or_default()
            }
        };
        let before = neighbour.first().map(|(due, _)| *due);
        change(neighbour);
        let after = neighbour.first().map(|(due, _)| *due);
        if after.is_none() {
            self.names -= top.len();
            self.due.remove(top);
        }
        if before != after && !self.in_line.contains(top) {
            before.map(|due| self.heads.remove(&(due, path.top())));
            after.map(|due| self.heads.insert((due, path.top())));
        }
    }

    /// About what all neighbours take, in bytes, without what is due in them: an entry of the root is one by itself.
    pub fn bytes(&self) -> usize {
        self.due.len() * (NODE + PLACES) + self.names
    }

    /// When the first of all is due.
    pub fn first(&self) -> Option<Instant> {
        let called = self.in_line.iter().filter_map(|top| self.head(top).map(|(due, _)| *due));
        called.chain(self.heads.first().map(|(due, _)| *due)).min()
    }

    /// What is due first in this neighbour.
    pub fn head(&self, top: &RelPath) -> Option<&(Instant, RelPath)> {
        self.due.get(top)?.first()
    }

    /// This neighbour has something to do now.
    pub fn call(&mut self, top: RelPath) {
        if self.in_line.contains(&top) {
            return;
        }
        if let Some((due, _)) = self.head(&top) {
            let head = (*due, top.clone());
            self.heads.remove(&head);
        }
        self.in_line.insert(top.clone());
        self.line.push_back(top);
    }

    /// The neighbour whose turn it is. It may have nothing to do by now.
    pub fn turn(&mut self, now: Instant) -> Option<RelPath> {
        while self.heads.first().is_some_and(|(due, _)| *due <= now)
            && let Some((_, top)) = self.heads.pop_first()
        {
            self.in_line.insert(top.clone());
            self.line.push_back(top);
        }
        let top = self.line.pop_front()?;
        self.in_line.remove(&top);
        if let Some((due, _)) = self.head(&top) {
            self.heads.insert((*due, top.clone()));
        }
        Some(top)
    }
}

#[cfg(test)]
impl Neighbours {
    /// Panics if the invariant does not hold, or if just these do not wait.
    pub fn check<'a>(&self, waiting: impl Iterator<Item = (Instant, &'a RelPath)>) {
        let mut anew = Neighbours::default();
        waiting.for_each(|(due, path)| anew.insert(due, path));
        assert_eq!((&self.due, self.bytes()), (&anew.due, anew.bytes()));
        anew.heads.retain(|(_, top)| !self.in_line.contains(top));
        assert_eq!(self.heads, anew.heads);
        assert_eq!(self.in_line, self.line.iter().cloned().collect());
        assert_eq!(self.in_line.len(), self.line.len());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    fn all(neighbours: &mut Neighbours, now: Instant) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(top) = neighbours.turn(now) {
            let Some((due, path)) = neighbours.head(&top).cloned().filter(|(due, _)| *due <= now) else { continue };
            neighbours.remove(due, &path);
            found.push(path.to_string());
        }
        found
    }

    #[test]
    fn neighbours_have_their_turns_however_much_waits_in_one() {
        let now = Instant::now();
        let mut neighbours = Neighbours::default();
        for n in 0..4 {
            neighbours.insert(now, &path(&format!("a/{n}")));
        }
        let later = now + Duration::from_millis(1);
        neighbours.insert(later, &path("b/1"));
        neighbours.insert(later, &path("b/2"));
        neighbours.insert(later, &path("c"));
        neighbours.insert(later, &RelPath::root());
        assert_eq!(neighbours.first(), Some(now));
        assert_eq!(all(&mut neighbours, later), ["a/0", ".", "b/1", "c", "a/1", "b/2", "a/2", "a/3"]);
        assert_eq!(neighbours.first(), None);
    }

    #[test]
    fn what_is_due_goes_in_the_order_in_which_it_became_due() {
        let now = Instant::now();
        let mut neighbours = Neighbours::default();
        for (after, name) in [(3, "a"), (1, "z"), (2, "m")] {
            neighbours.insert(now + Duration::from_millis(after), &path(name));
        }
        assert_eq!(all(&mut neighbours, now + Duration::from_millis(2)), ["z", "m"]);
        assert_eq!(all(&mut neighbours, now + Duration::from_millis(3)), ["a"]);
    }

    #[test]
    fn a_neighbour_that_is_called_comes_once_and_may_have_nothing() {
        let now = Instant::now();
        let mut neighbours = Neighbours::default();
        neighbours.call(path("a"));
        neighbours.insert(now + Duration::from_secs(1), &path("a/1"));
        neighbours.call(path("a"));
        assert_eq!(neighbours.first(), Some(now + Duration::from_secs(1)));
        assert_eq!(neighbours.turn(now), Some(path("a")));
        assert_eq!(neighbours.turn(now), None);
        assert_eq!(neighbours.first(), Some(now + Duration::from_secs(1)));
    }
}
