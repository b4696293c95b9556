//! What is different between a folder here and the target's listing of it. Pure: two listings in order of names go in,
//! what is to be looked at and what is too much comes out.

use proto::{Entry, Kind, Name};

use crate::view::Skipped;

/// How an entry differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sender) enum Difference {
    /// The target has none.
    Missing,
    /// The target has another content or kind.
    Content,
    /// What the target has of it is marked as not being of one moment.
    Inexact,
    /// The target has it with other metadata.
    Metadata,
}

/// An entry of a folder that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sender) struct Differing {
    pub name: Name,
    /// As it was listed.
    pub kind: Kind,
    /// In bytes, as it was listed.
    pub size: u64,
    pub difference: Difference,
}

/// The outcome of comparing one folder, or one stretch of its names; all in order of names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::sender) struct Differences {
    pub here: Vec<Differing>,
    /// What only the target has, and folders there where something else is to be.
    pub extras: Vec<(Name, Kind)>,
    /// Entries of the target that have a place here.
    pub matched: u64,
}

/// Compares entries here with those that the target has of the same stretch of names, both in order of names. An entry that
/// is skipped here keeps its copy there.
pub(in crate::sender) fn compare(here: &[Entry], skipped: &[(Name, Skipped)], there: &[Entry]) -> Differences {
    let mut found = Differences::default();
    let mut theirs = there.iter().peekable();
    for ours in here {
        while let Some(extra) = theirs.next_if(|theirs| theirs.name < ours.name) {
            found.only_there(skipped, extra);
        }
        let Some(same) = theirs.next_if(|theirs| theirs.name == ours.name) else {
            found.differs(ours, Difference::Missing);
            continue;
        };
        if same.kind == Kind::Dir && ours.kind != Kind::Dir {
            // A folder in the way goes with all that is in it: a deletion first.
            found.extras.push((same.name.clone(), same.kind));
            continue;
        }
        found.matched += 1;
        if same == ours {
            continue;
        }
        let kind = same.kind == ours.kind;
        let alike = kind && same.size == ours.size && same.mtime == ours.mtime;
        let difference = match ours.kind {
            Kind::File if same.inexact => Difference::Inexact,
            Kind::File if !alike => Difference::Content,
            // There is none, and nothing that is to be in it.
            Kind::Dir if !kind => Difference::Content,
            _ => Difference::Metadata,
        };
        found.differs(ours, difference);
    }
    for extra in theirs {
        found.only_there(skipped, extra);
    }
    found
}

impl Differences {
    fn differs(&mut self, Entry { name, kind, size, .. }: &Entry, difference: Difference) {
        self.here.push(Differing { name: name.clone(), kind: *kind, size: *size, difference });
    }

    fn only_there(&mut self, skipped: &[(Name, Skipped)], extra: &Entry) {
        // What has another name there is not what is skipped here.
        let skipped_here = skipped.binary_search_by(|(name, _)| name.cmp(&extra.name)).ok();
        if skipped_here.is_some_and(|at| !matches!(skipped[at].1, Skipped::Unheld(_))) {
            self.matched += 1;
        } else {
            self.extras.push((extra.name.clone(), extra.kind));
        }
    }

    /// Whether this name needs no look of its own: its content is sent on account of the comparison, or a folder that
    /// stands in its way has to go first.
    pub fn has_dealt_with(&self, name: &Name) -> bool {
        let at = self.here.binary_search_by(|differing| differing.name.cmp(name));
        at.is_ok_and(|at| self.here[at].difference != Difference::Metadata)
            || self.extras.binary_search_by(|(extra, _)| extra.cmp(name)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, name};
    use super::*;

    fn found(here: &[(&str, Kind, u64)], skipped: &[&str], there: &[(&str, Kind, u64)]) -> Differences {
        let entries = |list: &[(&str, Kind, u64)]| {
            list.iter().map(|(name, kind, size)| entry(name, *kind, *size)).collect::<Vec<_>>()
        };
        let skipped: Vec<_> = skipped.iter().map(|text| (name(text), Skipped::Trouble(String::new()))).collect();
        compare(&entries(here), &skipped, &entries(there))
    }

    #[test]
    fn each_kind_of_difference_is_told() {
        use Difference::{Content, Metadata, Missing};
        let (dir, file) = (Kind::Dir, Kind::File);
        let here =
            [("a", file, 1), ("b", file, 1), ("c", dir, 1), ("d", file, 1), ("e", Kind::Symlink, 1), ("g", file, 1)];
        let there = [("a", file, 1), ("b", file, 2), ("c", dir, 2), ("d", dir, 1), ("e", file, 1), ("f", dir, 0)];
        let found = found(&here, &["f"], &there);
        let told: Vec<_> = found.here.iter().map(|d| (d.name.to_string(), d.difference)).collect();
        let told: Vec<_> = told.iter().map(|(name, difference)| (&**name, *difference)).collect();
        assert_eq!(told, [("b", Content), ("c", Metadata), ("e", Metadata), ("g", Missing)]);
        assert_eq!(found.extras, [(name("d"), dir)], "what is skipped here stays there");
        assert_eq!(found.matched, 5);
        let dealt_with = ["a", "b", "c", "d", "g"].map(|text| found.has_dealt_with(&name(text)));
        assert_eq!(dealt_with, [false, true, false, true, true]);
    }

    #[test]
    fn where_a_file_stands_and_a_folder_is_to_be_all_of_it_is_missing() {
        let found =
            found(&[("a", Kind::Dir, 0), ("b", Kind::Dir, 0)], &[], &[("a", Kind::File, 0), ("b", Kind::Dir, 1)]);
        let told: Vec<_> = found.here.iter().map(|d| d.difference).collect();
        assert_eq!((told, found.extras.len()), (vec![Difference::Content, Difference::Metadata], 0));
    }

    #[test]
    fn what_is_not_of_one_moment_there_is_of_another_content() {
        let ours = entry("f", Kind::File, 1);
        let theirs = Entry { inexact: true, ..ours.clone() };
        let found = compare(&[ours], &[], &[theirs]);
        assert_eq!(found.here.iter().map(|d| d.difference).collect::<Vec<_>>(), [Difference::Inexact]);
    }
}
