//! A folder whose digest the target does not have, while it tells what it has instead: part after part in order of names, each
//! compared with what is here up to the part's last name.
//!
//! What was told is of several moments, and the listing here of an earlier one. Between two parts names come and go on both
//! sides; none of that matters. Whatever is only here is looked at, and what is only there is looked at before it is deleted,
//! by the listing here and by the disk: so a name that vanished here has its own event, and one that came here, and was sent
//! meanwhile, is not taken for one that goes. Behind a part's last name nothing is concluded before the next has come, nor is
//! anything of a folder that is not told to its end deleted, nor counted for the brake.

use std::fmt;

use proto::limits::{LISTED, LISTED_PART};
use proto::{Entry, Kind, Name, RelPath};

use super::differences::{Differences, Differing, compare};
use super::links::{Mates, Standing};
use crate::view::{Inode, Listing};

/// What a name that is to be deleted takes beside the bytes of its path, with its look.
const EXTRA: usize = 128;

/// One such folder, from its question to the last part of the answer.
pub(super) struct Compared {
    here: Listing,
    /// Files in it under whose names the target has others, whatever their size and time. Of those that the target has not told
    /// of.
    others: Vec<Name>,
    /// What becomes of files with several names.
    names: Mates,
    /// So many entries of `here` are compared.
    reached: usize,
    /// The last name that the target has told of.
    told: Option<Name>,
    /// Entries that the target has told of.
    pub there: u64,
    /// What the target has and is not here, or stands in the way.
    pub extras: Vec<(Name, Kind)>,
    /// Bytes that those take, about.
    pub held: usize,
    /// How many more there are, for which there was no room.
    pub beyond: u64,
    /// Entries of the target that have a place here.
    pub matched: u64,
}

/// What is held of that which only the target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extras {
    /// So many bytes: it is to be deleted.
    UpTo(usize),
    /// What is in the way of an entry here, which is named. Nothing is deleted.
    InTheWay,
}

/// What one part of the target's listing says.
pub(super) struct Stretch {
    pub found: Differences,
    /// Files whose content is sent all the same.
    pub others: Vec<Name>,
    /// What has come here since the folder was listed.
    pub came: Vec<Name>,
    /// Names of files with several that differ.
    pub linked: Vec<(Name, Inode, Standing)>,
    /// Whether the target has nothing in the folder.
    pub blank: bool,
}

/// What is wrong with the target's listing.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sender) enum Wrong {
    /// It is not in order of names.
    Disorder,
    /// It has no end.
    Endless,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Disorder => f.write_str("a listing that is not in order of names"),
            Wrong::Endless => write!(f, "a listing of more than {LISTED} entries"),
        }
    }
}

impl Compared {
    pub fn new(here: Listing, others: Vec<Name>, names: Mates) -> Compared {
        let (reached, told, there, extras, held, beyond, matched) = Default::default();
        Compared { here, others, names, reached, told, there, extras, held, beyond, matched }
    }

    /// How many entries it has here, compared or not.
    pub fn len(&self) -> usize {
        self.here.entries.len()
    }

    pub fn into_here(self) -> Listing {
        self.here
    }

    /// Files in it that are no others than those that the target has, though it is alike; of those with several names apart.
    pub fn into_others(mut self) -> (Vec<Name>, Vec<(Name, Inode, Standing)>) {
        let mut others = std::mem::take(&mut self.others);
        let linked = self.take_linked_others(&mut others);
        (others, linked)
    }

    /// Names of files with several, where those are joined.
    pub fn linked(&self) -> &[(Name, Inode)] {
        if self.names == Mates::Joined { &self.here.linked } else { &[] }
    }

    fn linked_as(&self, name: &Name) -> Option<Inode> {
        let at = self.linked().binary_search_by(|(linked, _)| linked.cmp(name)).ok()?;
        Some(self.here.linked[at].1)
    }

    fn take_linked_others(&self, others: &mut Vec<Name>) -> Vec<(Name, Inode, Standing)> {
        let linked = others.extract_if(.., |name| self.linked_as(name).is_some());
        linked.filter_map(|name| Some((name.clone(), self.linked_as(&name)?, Standing::Content))).collect()
    }

    /// Those that differ: what becomes of them depends on the other names.
    fn take_linked(&self, found: &mut Differences) -> Vec<(Name, Inode, Standing)> {
        if self.linked().is_empty() {
            return Vec::new();
        }
        let is_linked = |one: &mut Differing| one.kind == Kind::File && self.linked_as(&one.name).is_some();
        let differing = found.here.extract_if(.., is_linked).map(|one| (one.name, one.difference.into()));
        let in_the_way = found.extras.iter().map(|(name, _)| (name.clone(), Standing::Barred));
        let linked = differing.chain(in_the_way);
        linked.filter_map(|(name, standing)| Some((name.clone(), self.linked_as(&name)?, standing))).collect()
    }

    /// Whether the target has told of what it has under this name.
    pub fn has_reached(&self, name: &Name) -> bool {
        self.told.as_ref().is_some_and(|told| name <= told)
    }

    /// The last name that the target has told of.
    pub fn last_told(&self) -> Option<&Name> {
        self.told.as_ref()
    }

    /// The next part of this folder. `stands` says whether something is here by now under a name.
    pub fn told(
        &mut self,
        folder: &RelPath,
        there: &[Entry],
        last: bool,
        extras: Extras,
        stands: impl Fn(&Name) -> bool,
    ) -> Result<Stretch, Wrong> {
        let first = self.told.is_none();
        if let (Some(told), Some(next)) = (&self.told, there.first())
            && *told >= next.name
        {
            return Err(Wrong::Disorder);
        }
        self.there += if last { 0 } else { LISTED_PART.max(there.len() as u64) };
        if self.there > LISTED {
            return Err(Wrong::Endless);
        }
        let upto = match there.last() {
            Some(entry) if !last => {
                self.told = Some(entry.name.clone());
                self.here.entries.partition_point(|ours| ours.name <= entry.name)
            }
            None if !last => return Err(Wrong::Disorder),
            _ => self.len(),
        };
        let mut stretch = self.compare(upto, there, last);
        stretch.blank = first && last && there.is_empty();
        if !first {
            // Of the first, which comes with the answer, the time between both listings is that of a round trip.
            let here = &self.here;
            let came = stretch.found.extras.extract_if(.., |(name, _)| here.find(name).is_none() && stands(name));
            stretch.came = came.map(|(name, _)| name).collect();
        }
        self.matched += stretch.found.matched + stretch.came.len() as u64;
        let before = self.held;
        for (name, kind) in stretch.found.extras.drain(..) {
            match extras {
                Extras::InTheWay if self.here.find(&name).is_none() => continue,
                Extras::UpTo(room) if self.held - before >= room => {
                    self.beyond += 1;
                    continue;
                }
                _ => {}
            }
            self.held += cost(folder, &name);
            self.extras.push((name, kind));
        }
        Ok(stretch)
    }

    /// The target has no such folder, whatever it has told of it.
    pub fn has_nothing(&mut self) -> Stretch {
        (self.reached, self.matched) = (0, 0);
        self.extras.clear();
        self.beyond = 0;
        Stretch { blank: true, ..self.compare(self.len(), &[], true) }
    }

    fn compare(&mut self, upto: usize, there: &[Entry], last: bool) -> Stretch {
        let here = self.here.entries.get(self.reached..upto).unwrap_or_default();
        let mut found = compare(here, &self.here.skipped, there);
        self.reached = upto;
        let told = self.told.as_ref();
        let mut others: Vec<_> =
            self.others.extract_if(.., |name| last || told.is_some_and(|told| *name <= *told)).collect();
        others.retain(|name| !found.has_dealt_with(name));
        let mut linked = self.take_linked(&mut found);
        linked.extend(self.take_linked_others(&mut others));
        Stretch { found, others, came: Vec::new(), linked, blank: false }
    }
}

/// Bytes that a name in this folder takes which is to be deleted, about: in the end it is a whole path.
pub(super) fn cost(folder: &RelPath, name: &Name) -> usize {
    EXTRA + folder.as_bytes().len() + name.as_bytes().len()
}
