//! Paths of many names, each folder once: of names of one file there may be very many, and whoever may write to a source
//! chooses how long their paths are.

use std::cmp::Ordering;
use std::collections::HashMap;

use proto::{Name, RelPath};

/// What a folder takes beside its name, which stands in it twice.
const FOLDER: usize = 160;
/// The number that the root of the source has.
const ROOT: u32 = 0;

/// A path, by the folder that holds it. Of the same [`Paths`] equal ones are the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    folder: u32,
    pub name: Name,
}

/// The folders of places.
#[derive(Default)]
pub(super) struct Paths {
    /// Each but the root, which is number 0, by its number less one.
    folders: Vec<(u32, Name)>,
    numbers: HashMap<(u32, Name), u32>,
    /// That of which a number was wanted last: most names come folder by folder.
    last: Option<(RelPath, u32)>,
    bytes: usize,
}

impl Paths {
    /// Bytes that the folders take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The root itself is no place of a file.
    pub fn place(&mut self, path: &RelPath) -> Option<Place> {
        let (folder, name) = path.split()?;
        if let Some((last, number)) = &self.last
            && *last == folder
        {
            return Some(Place { folder: *number, name });
        }
        let number = folder.names().fold(ROOT, |above, name| self.number(above, name));
        self.last = Some((folder, number));
        Some(Place { folder: number, name })
    }

    /// The same, if its folder is known.
    pub fn find(&self, path: &RelPath) -> Option<Place> {
        let (folder, name) = path.split()?;
        if let Some((last, number)) = &self.last
            && *last == folder
        {
            return Some(Place { folder: *number, name });
        }
        let number = folder.names().try_fold(ROOT, |above, name| self.numbers.get(&(above, name)).copied());
        number.map(|folder| Place { folder, name })
    }

    fn number(&mut self, above: u32, name: Name) -> u32 {
        let next = self.folders.len() as u32 + 1;
        let key = (above, name);
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        self.bytes += FOLDER + 2 * key.1.as_bytes().len();
        self.folders.push(key.clone());
        self.numbers.insert(key, next);
        next
    }

    /// The names of the folders above it, from the root down.
    fn above(&self, place: &Place) -> Vec<&Name> {
        let up = |number: &u32| self.folders.get((*number as usize).checked_sub(1)?);
        let upwards = std::iter::successors(up(&place.folder), |(above, _)| up(above));
        let mut names: Vec<&Name> = upwards.map(|(_, name)| name).collect();
        names.reverse();
        names
    }

    pub fn path(&self, place: &Place) -> RelPath {
        let mut bytes = Vec::new();
        for name in self.above(place) {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b'/');
        }
        bytes.extend_from_slice(place.name.as_bytes());
        RelPath::parse(&bytes).unwrap_or_default()
    }

    /// Bytes of its path.
    pub fn length(&self, place: &Place) -> usize {
        self.above(place).iter().map(|name| name.as_bytes().len() + 1).sum::<usize>() + place.name.as_bytes().len()
    }

    /// The order of the names of their paths.
    pub fn order(&self, a: &Place, b: &Place) -> Ordering {
        if a.folder == b.folder {
            return a.name.cmp(&b.name);
        }
        let (above_a, above_b) = (self.above(a), self.above(b));
        above_a.into_iter().chain([&a.name]).cmp(above_b.into_iter().chain([&b.name]))
    }

    /// Forgets all folders but those of these places, which it numbers anew.
    pub fn keep<'p>(&mut self, places: impl Iterator<Item = &'p mut Place>) {
        let before = std::mem::take(self);
        let mut anew: Vec<Option<u32>> = vec![None; before.folders.len() + 1];
        anew[ROOT as usize] = Some(ROOT);
        for place in places {
            // Up to the first that has its number, and down again.
            let (mut at, mut way) = (place.folder, Vec::new());
            let mut number = loop {
                match anew[at as usize] {
                    Some(number) => break number,
                    None => way.push(at),
                }
                at = before.folders[at as usize - 1].0;
            };
            for at in way.into_iter().rev() {
                number = self.number(number, before.folders[at as usize - 1].1.clone());
                anew[at as usize] = Some(number);
            }
            place.folder = number;
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
    fn paths_come_out_as_they_went_in_and_in_the_order_of_their_names() {
        let mut paths = Paths::default();
        let names = ["z", "a/b/c", "a/b", "a/b/d/e", "b", "a-b", "a/c"];
        let mut places: Vec<Place> = names.iter().map(|name| paths.place(&path(name)).unwrap()).collect();
        assert_eq!((paths.find(&path("a/b")), paths.find(&path("a/b/c/d/e"))), (Some(places[2].clone()), None));
        let all = |paths: &Paths, places: &[Place]| places.iter().map(|one| paths.path(one)).collect::<Vec<_>>();
        assert_eq!(all(&paths, &places), names.map(path));
        assert!(places.iter().zip(names).all(|(place, name)| paths.length(place) == name.len()));
        places.sort_by(|a, b| paths.order(a, b));
        let sorted = ["a/b", "a/b/c", "a/b/d/e", "a/c", "a-b", "b", "z"].map(path);
        assert_eq!(all(&paths, &places), sorted);
        let before = paths.bytes();
        places.retain(|place| paths.path(place) != path("a/b/d/e"));
        paths.keep(places.iter_mut());
        assert!(paths.bytes() < before && paths.folders.len() == 2, "{}", paths.bytes());
        assert_eq!(all(&paths, &places), ["a/b", "a/b/c", "a/c", "a-b", "b", "z"].map(path));
        let (known, forgotten) = (paths.find(&path("a/b/c")), paths.find(&path("a/b/d/e")));
        assert_eq!((known, forgotten), (Some(places[1].clone()), None));
    }

    #[test]
    fn many_deep_names_take_no_more_than_their_folders() {
        let mut paths = Paths::default();
        let deep = ["folder"; 1000].join("/");
        for n in 0..1000 {
            let place = paths.place(&path(&format!("{deep}/{n}/name"))).unwrap();
            assert_eq!(paths.length(&place), deep.len() + format!("/{n}/name").len());
        }
        assert_eq!(paths.folders.len(), 2000);
        assert!(paths.bytes() < 400_000, "{}", paths.bytes());
    }
}
