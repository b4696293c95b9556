//! One file with several names, and what is known of each of them.

use super::paths::{Paths, Place};
use super::{MOST, Standing};
use crate::view::{Inode, Node};

/// LIMIT: bytes of the paths of one file: they are told together. Those that it takes here are not more than half of all.
const MOST_OF_ONE: usize = 16 * 1024 * 1024;
/// What a file takes, and what a name takes beside its bytes.
const FILE: usize = 300;
const NAME: usize = 80;

/// A file of which the pass has met names: it is gone when they are told.
pub(super) struct Group {
    /// As it was when its content was sent, or when it was met first.
    pub inode: Inode,
    /// In the order in which something was found out of them: the last of a name counts.
    pub names: Vec<(Place, Standing)>,
    /// Bytes of their paths.
    pub path_bytes: usize,
    /// Bytes that it takes, about.
    pub bytes: usize,
    /// It has more names than can be told.
    pub crowded: bool,
    /// Whether any of them is known to be other than alike.
    pub differs: bool,
    /// The name under which it was sent.
    pub sent: Option<Place>,
    /// The name that is tried now, and how many were.
    pub tried: Option<Place>,
    pub tries: u32,
    /// It is sent later, by other work, which joins the names.
    pub left: bool,
}

impl Group {
    pub fn new(inode: Inode) -> Group {
        let (names, path_bytes, crowded, differs, sent, tried, tries, left) = Default::default();
        Group { inode, names, path_bytes, bytes: FILE, crowded, differs, sent, tried, tries, left }
    }

    pub fn note(&mut self, place: Place, standing: Standing) {
        self.differs |= standing != Standing::Alike;
        if self.names.len() < 3 {
            // Most have two names, which are noted once or twice.
            self.names.reserve_exact(1);
        }
        self.bytes += cost(&place);
        self.names.push((place, standing));
    }

    /// Each name once, in order, with what is known of it now.
    pub fn tidy(&mut self, paths: &Paths) {
        if !self.names.is_sorted_by(|(a, _), (b, _)| paths.order(a, b).is_lt()) {
            // Of equal ones the later come first, and the first stays.
            self.names.reverse();
            self.names.sort_by(|(a, _), (b, _)| paths.order(a, b));
            self.names.dedup_by(|(later, _), (first, _)| later == first);
            self.weigh();
        }
    }

    fn weigh(&mut self) {
        self.bytes = FILE + self.names.iter().map(|(place, _)| cost(place)).sum::<usize>();
    }

    /// It is crowded if it has so many names that no more can be told with them.
    pub fn may_be_crowded(&mut self, paths: &Paths) {
        if self.path_bytes <= MOST_OF_ONE && self.bytes <= MOST / 2 {
            return;
        }
        self.tidy(paths);
        self.path_bytes = self.names.iter().map(|(place, _)| paths.length(place)).sum();
        self.crowded = self.path_bytes > MOST_OF_ONE / 8 * 7 || self.bytes > MOST / 16 * 7;
    }

    /// Forgets the names that are not to be told.
    pub fn keep_tellable(&mut self) {
        self.names.retain(|(_, standing)| *standing != Standing::Barred);
        self.weigh();
    }

    /// Whether the target is to get it under one of the names first. To be asked when it is tidy.
    pub fn lacks(&self) -> bool {
        let has = |alike: Standing| self.names.iter().any(|(_, standing)| *standing == alike);
        let may = [Standing::Metadata, Standing::Content, Standing::Missing].into_iter().any(has);
        !self.left && self.sent.is_none() && may && !has(Standing::Alike)
    }
}

fn cost(place: &Place) -> usize {
    NAME + place.name.as_bytes().len()
}

/// A number for this file that says nothing of where it is: below 2⁶⁴.
pub fn mixed((dev, ino): Node) -> u128 {
    let mut mixed = (ino ^ dev.rotate_left(32)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u128::from(mixed ^ (mixed >> 31))
}
