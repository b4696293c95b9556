//! Values by watch number. The kernel gives numbers in rising order, so they stand close together: in pages, which take half
//! the memory of a hash map, and go when they are empty, so that a life of comings and goings leaves nothing behind.

use std::collections::BTreeMap;

use sys::inotify::Watch;

/// Values in a page.
const PAGE: usize = 64;

/// A map from watches, which are not negative, to values.
#[derive(Debug)]
pub struct Table<T> {
    pages: BTreeMap<Watch, Box<Page<T>>>,
    len: usize,
}

#[derive(Debug)]
struct Page<T> {
    values: [Option<T>; PAGE],
    used: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { pages: BTreeMap::new(), len: 0 }
    }
}

/// The page of a watch, and its place there.
fn place(watch: Watch) -> (Watch, usize) {
    let page = PAGE as Watch;
    (watch.div_euclid(page), watch.rem_euclid(page) as usize)
}

impl<T> Table<T> {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The value of a watch.
    pub fn get(&self, watch: Watch) -> Option<&T> {
        let (page, at) = place(watch);
        self.pages.get(&page)?.values[at].as_ref()
    }

    /// The value of a watch, to be changed.
    pub fn get_mut(&mut self, watch: Watch) -> Option<&mut T> {
        let (page, at) = place(watch);
        self.pages.get_mut(&page)?.values[at].as_mut()
    }

    /// Sets the value of a watch.
    pub fn insert(&mut self, watch: Watch, value: T) {
        let (page, at) = place(watch);
        let new = || Box::new(Page { values: [const { None }; PAGE], used: 0 });
        let page = self.pages.entry(page).or_insert_with(new);
        if page.values[at].replace(value).is_none() {
            page.used += 1;
            self.len += 1;
        }
    }

    /// Takes the value of a watch out.
    pub fn remove(&mut self, watch: Watch) -> Option<T> {
        let (number, at) = place(watch);
        let page = self.pages.get_mut(&number)?;
        let value = page.values[at].take()?;
        page.used -= 1;
        self.len -= 1;
        if page.used == 0 {
            self.pages.remove(&number);
        }
        Some(value)
    }

    /// All watches that have a value, in order.
    pub fn watches(&self) -> impl Iterator<Item = Watch> + '_ {
        self.iter().map(|(watch, _)| watch)
    }

    /// The same with their values.
    pub fn iter(&self) -> impl Iterator<Item = (Watch, &T)> {
        self.pages.iter().flat_map(|(number, page)| {
            let used = page.values.iter().enumerate().filter_map(|(at, value)| Some((at, value.as_ref()?)));
            used.map(move |(at, value)| (number * PAGE as Watch + at as Watch, value))
        })
    }

    /// Takes all values out.
    pub fn clear(&mut self) {
        *self = Table::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_map_and_leaves_nothing_behind() {
        let mut table = Table::default();
        let mut model = BTreeMap::new();
        let mut state = 7u64;
        for step in 0..20_000u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Numbers rise with time, and the old ones go.
            let watch = (state >> 33) as Watch % 500 + step as Watch / 10;
            if state >> 20 & 1 == 0 {
                table.insert(watch, step);
                model.insert(watch, step);
            } else {
                assert_eq!(table.remove(watch), model.remove(&watch));
            }
            assert_eq!((table.get(watch), table.len()), (model.get(&watch), model.len()));
        }
        assert!(table.watches().eq(model.keys().copied()));
        for watch in model.keys() {
            *table.get_mut(*watch).unwrap() += 1;
            assert_eq!(table.remove(*watch), Some(model[watch] + 1));
        }
        assert_eq!((table.len(), table.pages.len()), (0, 0));
        assert_eq!(table.get(-1), None);
        assert_eq!(table.remove(Watch::MAX), None);
    }
}
