//! What is remembered of some places: so many and no more, as whoever may write to a source chooses how many there are, and how
//! long their paths.

use std::collections::HashMap;

use proto::RelPath;

/// LIMIT: places, and bytes of their paths.
pub(super) const PLACES: usize = 16 * 1024;
const BYTES: usize = 512 * 1024;

/// Values by place. INVARIANT: `bytes` are those of the paths.
#[derive(Debug)]
pub(super) struct Few<T> {
    map: HashMap<RelPath, T>,
    bytes: usize,
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few { map: HashMap::new(), bytes: 0 }
    }
}

impl<T> Few<T> {
    /// Whether this is one of them, or one more may be.
    pub fn has_room(&self, path: &RelPath) -> bool {
        self.map.contains_key(path) || (self.map.len() < PLACES && self.bytes + path.as_bytes().len() <= BYTES)
    }

    /// Remembers this, if there is room. Whether that is so, and it was not one of them.
    pub fn insert(&mut self, path: RelPath, value: T) -> bool {
        if !self.has_room(&path) {
            return false;
        }
        let bytes = path.as_bytes().len();
        let new = self.map.insert(path, value).is_none();
        self.bytes += if new { bytes } else { 0 };
        new
    }

    /// Forgets this. Whether it was one of them.
    pub fn remove(&mut self, path: &RelPath) -> bool {
        let was = self.map.remove(path).is_some();
        self.bytes -= if was { path.as_bytes().len() } else { 0 };
        was
    }

    pub fn get(&self, path: &RelPath) -> Option<&T> {
        self.map.get(path)
    }

    pub fn get_mut(&mut self, path: &RelPath) -> Option<&mut T> {
        self.map.get_mut(path)
    }

    pub fn contains(&self, path: &RelPath) -> bool {
        self.map.contains_key(path)
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub fn clear(&mut self) {
        *self = Few::default();
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.map.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_places_are_remembered_whose_paths_are_long() {
        let path = |n: usize| RelPath::parse(format!("{}{n}", "folder/".repeat(1000)).as_bytes()).unwrap();
        let mut few = Few::default();
        let taken = (0..1000).filter(|n| few.insert(path(*n), ())).count();
        assert!((60..80).contains(&taken) && few.len() == taken && few.bytes <= BYTES, "{taken}, {} bytes", few.bytes);
        assert!(!few.insert(path(0), ()) && few.has_room(&path(0)) && !few.has_room(&path(999)));
        (0..1000).for_each(|n| _ = few.remove(&path(n)));
        assert_eq!((few.len(), few.bytes), (0, 0));
    }
}
