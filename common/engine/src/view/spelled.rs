//! What the disk of a target takes the names of a folder for: which it cannot hold, and which are one there.

use std::collections::HashMap;

use proto::{Capabilities, Kind, Name};
use sys::Child;

use super::Folder;

/// The names of one folder as such a disk has them. Of those that are one there the first in order of names has the place.
#[derive(Debug, Default)]
pub(crate) struct Spelled {
    disk: Capabilities,
    /// By what they have in common, in order of names.
    alike: HashMap<Vec<u8>, Vec<(Name, Option<Kind>)>>,
}

impl Spelled {
    /// Of what stands in a folder, in any order. What is left out there does not take a place.
    pub(crate) fn of(folder: &Folder, found: &[Child]) -> Spelled {
        let disk = *folder.view().disk();
        let mut alike: HashMap<_, Vec<_>> = HashMap::new();
        for Child { name, kind, .. } in found {
            let left_out = kind.is_some_and(|kind| folder.leaves_out(name, kind).is_some());
            if !left_out && let Some(key) = disk.alike(name) {
                alike.entry(key).or_default().push((name.clone(), *kind));
            }
        }
        alike.values_mut().for_each(|names| names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b)));
        Spelled { disk, alike }
    }

    /// Where nobody knows what stands beside it.
    pub(crate) fn unknown(disk: Capabilities) -> Spelled {
        Spelled { disk, alike: HashMap::new() }
    }

    /// Why the entry of this name cannot be stored under it, in words; nothing, if none stands here.
    pub(crate) fn unheld(&self, name: &Name) -> Option<String> {
        if let Some(why) = self.disk.unheld(name) {
            return Some(format!("not stored: {why}"));
        }
        let others = self.others(name);
        let ((first, _), stands) = (others.first()?, others.iter().any(|(other, _)| other == name));
        let reason =
            || format!("not stored: on the backup's disk it would be one with {first}, which stands beside it");
        (stands && first < name).then(reason)
    }

    /// All that are one with this name there, it may be among them.
    pub(crate) fn others(&self, name: &Name) -> &[(Name, Option<Kind>)] {
        self.disk.alike(name).and_then(|key| self.alike.get(&key)).map_or(&[], Vec::as_slice)
    }
}
