//! The smallest names of a folder behind some name, as many as a bound lets be held: a folder of any size is gone through in
//! order of names by one such window after the other, each found by a listing of its own.

use std::io;

use proto::Name;

/// What a name takes beside its bytes.
const AT: usize = size_of::<(u32, u8)>();

/// Names in rising order, each once; taken from the first on.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// All names, one after the other in any order.
    bytes: Vec<u8>,
    /// Where each begins, and its length.
    places: Vec<(u32, u8)>,
    taken: usize,
    /// There are names behind its last.
    more: bool,
}

impl Window {
    /// Of which nothing is known but that there may be names.
    pub fn unknown() -> Window {
        Window { more: true, ..Window::default() }
    }

    /// Of the names that `list` tells one by one, those behind `after`. Holds no more than `bound` bytes at a time, half of
    /// which stay when there are more.
    ///
    /// # Errors
    /// As `list`.
    pub fn select(
        after: Option<&Name>,
        bound: usize,
        list: impl FnOnce(&mut dyn FnMut(&[u8])) -> io::Result<()>,
    ) -> io::Result<Window> {
        let after = after.map_or(&[][..], Name::as_bytes);
        let (mut window, mut ceiling) = (Window::default(), Vec::new());
        list(&mut |name| {
            if name <= after {
                return;
            }
            if window.more && *name > ceiling[..] {
                return;
            }
            window.push(name);
            if window.weight() > bound && window.places.len() > 1 {
                window.halve();
                ceiling = window.places.last().map_or(&[][..], |place| name_at(&window.bytes, *place)).to_vec();
            }
        })?;
        let Window { bytes, places, .. } = &mut window;
        places.sort_unstable_by(|a, b| name_at(bytes, *a).cmp(name_at(bytes, *b)));
        // RACE: where a name goes and comes back while the kernel lists, it may be told twice.
        places.dedup_by(|a, b| name_at(bytes, *a) == name_at(bytes, *b));
        Ok(window)
    }

    fn push(&mut self, name: &[u8]) {
        // A name has at most 255 bytes, and all of them are far from four gigabytes.
        self.places.push((self.bytes.len() as u32, name.len() as u8));
        self.bytes.extend_from_slice(name);
    }

    /// Keeps the smaller half, the largest of it last.
    fn halve(&mut self) {
        let half = self.places.len() / 2;
        let all = std::mem::take(&mut self.bytes);
        self.places.select_nth_unstable_by(half - 1, |a, b| name_at(&all, *a).cmp(name_at(&all, *b)));
        let kept: Vec<_> = self.places.drain(..).take(half).collect();
        kept.into_iter().for_each(|place| self.push(name_at(&all, place)));
        self.more = true;
    }

    /// Names that are not taken.
    pub fn len(&self) -> usize {
        self.places.len() - self.taken
    }

    /// Whether there are names behind its last.
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// Bytes that it takes in memory.
    pub fn weight(&self) -> usize {
        self.bytes.len() + self.places.len() * AT
    }

    /// The next names, at most so many.
    pub fn take(&mut self, most: usize) -> Vec<Name> {
        let upto = self.places.len().min(self.taken.saturating_add(most));
        let next = &self.places[self.taken..upto];
        // What the kernel tells is a name, and how long it is was looked at.
        let names = next.iter().filter_map(|place| Name::parse(name_at(&self.bytes, *place)).ok()).collect();
        self.taken = upto;
        names
    }
}

fn name_at(bytes: &[u8], (at, len): (u32, u8)) -> &[u8] {
    let at = at as usize;
    &bytes[at..at + usize::from(len)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All names, by one window after the other, and how many windows that took.
    fn gone_through(names: &[Vec<u8>], bound: usize) -> (Vec<Vec<u8>>, usize) {
        let (mut seen, mut windows, mut after) = (Vec::new(), 0, None);
        loop {
            let select = |each: &mut dyn FnMut(&[u8])| {
                names.iter().for_each(|name| each(name));
                Ok(())
            };
            let mut window = Window::select(after.as_ref(), bound, select).unwrap();
            windows += 1;
            assert!(window.weight() <= bound.max(2 * (255 + AT)), "{} bytes in a window", window.weight());
            assert!(window.len() > 0 || !window.has_more());
            while window.len() > 0 {
                let some = window.take(fastrand::usize(1..5));
                seen.extend(some.iter().map(|name| name.as_bytes().to_vec()));
                after = some.into_iter().last();
            }
            if !window.has_more() {
                return (seen, windows);
            }
        }
    }

    #[test]
    fn every_name_comes_once_and_in_order_by_windows_of_any_size() {
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        for count in [0, 1, 2, 3, 17, 64, 300] {
            // Bytes that sort oddly: not as text, not by length.
            let odd = [b'a', b'b', b'\n', b' ', 0x7f, 0x80, 0xff, 1];
            let mut names: Vec<Vec<u8>> = (0..count)
                .map(|_| {
                    let most = if rng.u8(..20) == 0 { 255 } else { 6 };
                    (0..rng.usize(1..=most)).map(|_| *rng.choice(&odd).unwrap()).collect()
                })
                .collect();
            // Told twice, as when it came back meanwhile.
            names.extend(names.first().cloned());
            let mut sorted = names.clone();
            sorted.sort();
            sorted.dedup();
            rng.shuffle(&mut names);
            let all: usize = sorted.iter().map(|name| name.len() + AT).sum();
            for bound in [1, 64, all.saturating_sub(1), all, all + 1, 2 * all, 1 << 20] {
                let (seen, windows) = gone_through(&names, bound);
                assert_eq!(seen, sorted, "{count} names by {bound} bytes, seed {seed}");
                assert!(bound < 2 * all + 600 || windows == 1, "{windows} windows for {count} names by {bound} bytes");
            }
        }
    }
}
