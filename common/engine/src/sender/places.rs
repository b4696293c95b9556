//! Maps by path, read by folder.

use std::collections::BTreeMap;
use std::ops::Bound;

use proto::{Name, RelPath};

use crate::beneath::range_beneath;

/// The names in the map that are `path` or beneath it.
pub(super) fn at_and_beneath<T>(map: &BTreeMap<RelPath, T>, path: &RelPath) -> Vec<RelPath> {
    if map.is_empty() {
        return Vec::new();
    }
    let itself = map.get_key_value(path).map(|(path, _)| path.clone());
    let beneath = range_beneath(path, |bounds| map.range(bounds).map(|(path, _)| path.clone()).collect::<Vec<_>>());
    itself.into_iter().chain(beneath).collect()
}

/// What a map knows in one folder.
pub(super) enum Known<'a, T> {
    /// Of the entry itself.
    Entry(&'a T),
    /// Of something beneath the entry.
    Beneath,
}

/// What the map knows of the entries of a folder, in steps of the entries known: what is beneath them is passed over.
pub(super) fn in_folder<'a, T>(
    map: &'a BTreeMap<RelPath, T>,
    folder: &'a RelPath,
) -> impl Iterator<Item = (Name, RelPath, Known<'a, T>)> {
    let mut from = Bound::Excluded(if folder.is_root() { RelPath::root() } else { folder.with_suffix(b'/') });
    std::iter::from_fn(move || {
        let (path, value) = map.range::<RelPath, _>((from.as_ref(), Bound::Unbounded)).next()?;
        if !path.is_within(folder) {
            return None;
        }
        let child = path.names().nth(folder.depth())?;
        let place = folder.join(&child).ok()?;
        let known = if *path == place { Known::Entry(value) } else { Known::Beneath };
        from = match known {
            Known::Entry(_) => Bound::Excluded(place.clone()),
            Known::Beneath => Bound::Included(place.with_suffix(b'/' + 1)),
        };
        Some((child, place, known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_without_what_is_deeper() {
        let path = |text: &str| RelPath::parse(text.as_bytes()).unwrap();
        let names = ["a", "d-x", "d/a", "d/b", "d/b/c/e", "d/b/d", "d/b-", "d/f/g", "d0", "e"];
        let map: BTreeMap<RelPath, ()> = names.iter().map(|name| (path(name), ())).collect();
        let read = |folder: &RelPath| -> Vec<String> {
            in_folder(&map, folder)
                .map(|(_, place, known)| match known {
                    Known::Entry(()) => place.to_string(),
                    Known::Beneath => format!("{place}/.."),
                })
                .collect()
        };
        assert_eq!(read(&path("d")), ["d/a", "d/b", "d/b-", "d/b/..", "d/f/.."]);
        assert_eq!(read(&RelPath::root()), ["a", "d-x", "d/..", "d0", "e"]);
        assert_eq!(read(&path("none")), [""; 0]);
    }
}
