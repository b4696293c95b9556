//! Files that were written, of which the kernel has told behind much else: they are hinted at once, and once more when their
//! turn comes. So a file of one user does not wait until all is applied that another one does. A hint too many is harmless;
//! what keeps its order is all else.

use std::collections::HashMap;

use proto::RelPath;
use sys::inotify::Watch;

use super::event::{Change, Event, Object, Spot};

/// So many steps may wait before anything is told ahead of them.
const BEHIND: usize = 256;
/// LIMIT: files that are remembered between two reads, and those of one folder, and of one entry of the root, that are told
/// ahead: who writes more than that is the one that all others wait for.
const FILES: usize = 4_096;
const EACH: usize = 16;
/// LIMIT: bytes of their paths. Those beyond are told when it is their turn.
const BYTES: usize = 1024 * 1024;

/// The files that were met in what was read last.
#[derive(Debug, Default)]
pub struct Ahead {
    files: Vec<Spot>,
    /// How many of them are in each folder.
    each: HashMap<Watch, usize>,
}

impl Ahead {
    /// This was read, and waits behind so many steps.
    pub fn read(&mut self, event: &Event, behind: usize) {
        let complete = matches!(event.change, Change::Written | Change::MovedTo { .. });
        if behind < BEHIND || !complete || event.object != Object::Other || self.files.len() == FILES {
            return;
        }
        let each = self.each.entry(event.watch).or_default();
        // One more than are told: it shows that they are too many.
        if *each <= EACH
            && let Some(place) = event.place()
            && self.files.last() != Some(&place)
        {
            *each += 1;
            self.files.push(place);
        }
    }

    /// Whether anything was met.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The paths of what is to be told, as far as they are known.
    pub fn take(&mut self, path: impl Fn(&Spot) -> Option<RelPath>) -> Vec<RelPath> {
        self.each.clear();
        let mut bytes = 0;
        let fits = |path: &RelPath| {
            bytes += path.as_bytes().len();
            bytes <= BYTES
        };
        let paths: Vec<RelPath> = std::mem::take(&mut self.files).iter().filter_map(path).take_while(fits).collect();
        let mut each: HashMap<RelPath, usize> = HashMap::new();
        paths.iter().for_each(|path| *each.entry(path.top()).or_default() += 1);
        paths.into_iter().filter(|path| each[&path.top()] <= EACH).collect()
    }

    /// Nothing of it counts any more.
    pub fn clear(&mut self) {
        self.files.clear();
        self.each.clear();
    }
}

#[cfg(test)]
mod tests {
    use proto::Name;

    use super::*;

    fn event(watch: Watch, name: &str, change: Change) -> Event {
        Event { watch, name: Some(Name::parse(name.as_bytes()).unwrap()), change, object: Object::Other }
    }

    fn path(spot: &Spot) -> Option<RelPath> {
        let folder = RelPath::parse(["a", "b", "c"].get(spot.parent as usize)?.as_bytes()).unwrap();
        folder.join(&spot.name).ok()
    }

    #[test]
    fn what_is_written_beside_a_storm_is_told_ahead_of_it() {
        let mut ahead = Ahead::default();
        // More than are remembered.
        for n in 0..2 * FILES {
            ahead.read(&event(0, &format!("{n}"), Change::Written), BEHIND + n);
        }
        ahead.read(&event(1, "file", Change::Created), 2 * BEHIND);
        ahead.read(&event(1, "file", Change::Written), 2 * BEHIND);
        ahead.read(&event(1, "file", Change::Written), 2 * BEHIND);
        ahead.read(&event(2, "page", Change::MovedTo { cookie: 3 }), 2 * BEHIND);
        ahead.read(&event(9, "of a watch that is gone", Change::Written), 2 * BEHIND);
        let told: Vec<String> = ahead.take(path).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["b/file", "c/page"]);
        assert!(ahead.is_empty());
    }

    #[test]
    fn nothing_is_told_ahead_of_little() {
        let mut ahead = Ahead::default();
        ahead.read(&event(1, "file", Change::Written), BEHIND - 1);
        assert!(ahead.is_empty());
        for n in 0..2 * FILES {
            ahead.read(&event(n as Watch / 4, &n.to_string(), Change::Written), BEHIND);
        }
        assert_eq!(ahead.files.len(), FILES);
    }
}
