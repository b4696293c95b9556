//! Which entries exist for a role, by path and kind. What it leaves out is neither sent, nor listed, nor deleted.
//!
//! Asked with a whole path by who hears of changes (`mirror`, `pending`), and entry by entry by a [`View`](super::View) that
//! looks at a disk. Filters of a source and policies of a module will stand here.

use proto::{Capabilities, Keep, Kind, Name, RelPath};
use sys::stage::{is_reserved, is_reserved_path};

use super::Rule;

/// All entries but those with a name of recvd's own, and of kinds that are not made at the target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection {
    /// What says which kinds there are; without it all are.
    kinds: Option<Keep>,
    /// The disk of the target holds no symbolic links, whatever is kept there.
    no_links: bool,
}

impl Selection {
    /// Only of those kinds that are made where so much is kept.
    #[must_use]
    pub fn of_kinds(self, keep: Keep) -> Selection {
        Selection { kinds: Some(keep), ..self }
    }

    /// The same for a target whose disk is like this. What that cannot hold is not kept, either: this says why.
    #[must_use]
    pub fn for_disk(self, disk: &Capabilities) -> Selection {
        Selection { no_links: !disk.symlinks, ..self }
    }

    /// What leaves out everything that has this path, whatever its kind: its own name, or one on the way to it.
    pub fn leaves_out(&self, path: &RelPath) -> Option<Rule> {
        is_reserved_path(path).then_some(Rule::Reserved)
    }

    /// What leaves out an entry of a folder that is not left out itself.
    pub fn leaves_out_of(&self, _folder: &RelPath, name: &Name, kind: Kind) -> Option<Rule> {
        if is_reserved(name) {
            return Some(Rule::Reserved);
        }
        let left_out = self.kinds.is_some_and(|keep| !keep.admits(kind));
        let rule = if self.no_links && kind == Kind::Symlink { Rule::Unheld } else { Rule::Kind };
        left_out.then(|| rule(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_recvd_are_left_out_with_what_is_beneath_them_and_kinds_where_they_are_not_made() {
        let path = |text: &str| RelPath::parse(text.as_bytes()).unwrap();
        let name = |text: &str| Name::parse(text.as_bytes()).unwrap();
        let (all, few) = (Selection::default(), Selection::default().of_kinds(Keep::empty()));
        for selection in [all, few] {
            assert_eq!(selection.leaves_out(&path("a/.recvd-stage-1/b")), Some(Rule::Reserved));
            assert_eq!(selection.leaves_out(&path("a/b")), None);
            let own = selection.leaves_out_of(&path("a"), &name(".recvd-stage-1"), Kind::Dir);
            assert_eq!(own, Some(Rule::Reserved));
            assert_eq!(selection.leaves_out_of(&path("a"), &name("b"), Kind::File), None);
        }
        assert_eq!(all.leaves_out_of(&path("a"), &name("b"), Kind::Symlink), None);
        assert_eq!(few.leaves_out_of(&path("a"), &name("b"), Kind::Symlink), Some(Rule::Kind(Kind::Symlink)));
    }

    #[test]
    fn what_the_disk_cannot_hold_is_told_from_what_the_module_does_not_keep() {
        let disk = Capabilities { symlinks: false, ..Capabilities::full() };
        let here = Selection::default().of_kinds(disk.keep(Keep::DEFAULT)).for_disk(&disk);
        let name = Name::parse(b"b").unwrap();
        let why = |selection: Selection, kind| {
            selection.leaves_out_of(&RelPath::root(), &name, kind).map(|rule| rule.to_string())
        };
        let words = "a symbolic link, and the disk of the target cannot hold one";
        assert_eq!(why(here, Kind::Symlink).as_deref(), Some(words));
        let kept = "a symbolic link, and the module does not keep \"symlinks\"";
        assert_eq!(why(here.for_disk(&Capabilities::full()), Kind::Symlink).as_deref(), Some(kept));
        let specials = "a FIFO, and the module does not keep \"specials\"";
        assert_eq!(why(here, Kind::Fifo).as_deref(), Some(specials));
        assert_eq!(why(here, Kind::File), None);
    }
}
