//! What has to be done about what a look found. Pure: what led to the look and what stands there go in, what is to be sent
//! or asked comes out.

use super::looks::Why;
use super::pass::Difference;
use crate::hint::Cause;

/// Whether changes of metadata alone are mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attributes {
    Mirrored,
    Ignored,
}

/// Whether the module joins the names of a file, and this one has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linked {
    Yes,
    No,
}

/// What to send of a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Content,
    Metadata,
    Nothing,
    /// It was just made and will be closed, or settle.
    Later,
}

/// What a regular file needs that stands where this look was at.
pub(super) fn of_file(why: Why, attributes: Attributes, linked: Linked) -> Need {
    let (ignored, linked) = (attributes == Attributes::Ignored, linked == Linked::Yes);
    match why {
        Why::Event(cause) if cause.has(Cause::WRITTEN | Cause::WRITING) => Need::Content,
        Why::Event(cause) if cause.only(Cause::ATTRIBUTES) && ignored && !linked => Need::Nothing,
        Why::Differs(Difference::Metadata) if ignored => Need::Nothing,
        Why::Differs(Difference::Missing | Difference::Content | Difference::Inexact) | Why::Extra => Need::Content,
        // A name that is new to the target, and may be one more of a file that it has.
        Why::Event(cause) if linked && cause.has(Cause::CREATED | Cause::GONE | Cause::LOST) => Need::Content,
        Why::Event(cause) if cause.has(Cause::CREATED) => Need::Later,
        Why::Event(_) | Why::Differs(Difference::Metadata) => Need::Metadata,
    }
}

/// What to do about a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FolderNeed {
    /// Send its metadata, not what is in it.
    Mend(Doubt),
    /// Nothing of it is sent.
    Nothing(Doubt),
    /// Send it: the target does not have it.
    Make,
    /// Compare it with all that is in it, now.
    Compare,
    /// Have that done as work of its own.
    CompareLater,
}

/// What may have been missed of a folder before: if something of that could not be read, the folder is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nothing: a comparison is at it.
    None,
    /// What is in it, if it could not be listed.
    Itself,
    /// All that is beneath, too: its mode may have been changed.
    Beneath,
}

/// Whether the work of a look has a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It is a pass's.
    Pass,
    /// It is at one entry.
    Entry,
}

/// What a folder needs that stands where this look was at.
pub(super) fn of_folder(why: Why, attributes: Attributes, pace: Pace) -> FolderNeed {
    match why {
        Why::Event(cause) if cause.only(Cause::ENTRIES | Cause::ATTRIBUTES) => {
            let doubt = if cause.has(Cause::ATTRIBUTES) { Doubt::Beneath } else { Doubt::Itself };
            let mends = cause.has(Cause::ENTRIES) || attributes == Attributes::Mirrored;
            if mends { FolderNeed::Mend(doubt) } else { FolderNeed::Nothing(doubt) }
        }
        Why::Event(_) if pace == Pace::Entry => FolderNeed::Compare,
        Why::Event(_) | Why::Extra => FolderNeed::CompareLater,
        Why::Differs(Difference::Metadata) => FolderNeed::Mend(Doubt::None),
        Why::Differs(_) => FolderNeed::Make,
    }
}

/// What follows from nothing being there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// It was seen to go, or a complete listing did not have it: it is removed at the target.
    Gone,
    /// It moved away, or only its metadata was of interest: nothing.
    Explained,
    /// It was missing for a while and no event has said why: a listing of the folder that it was in tells.
    Unexplained,
    /// An event that explains it may be on its way: it is asked about again after a while.
    LostSight,
    /// It went while the pass was at it: its folder is listed again.
    ListAgain,
}

/// What follows from nothing standing where this look was at. INVARIANT: only an event or a listing makes that a deletion.
pub(super) fn of_absence(why: Why) -> Absence {
    match why {
        Why::Extra => Absence::Gone,
        Why::Event(cause) if cause.has(Cause::GONE) => Absence::Gone,
        Why::Event(cause) if cause.has(Cause::VACATED) => Absence::Explained,
        Why::Event(cause) if cause.only(Cause::ENTRIES | Cause::ATTRIBUTES) => Absence::Explained,
        Why::Event(cause) if cause.has(Cause::LOST) => Absence::Unexplained,
        Why::Event(_) => Absence::LostSight,
        Why::Differs(_) => Absence::ListAgain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSES: [Cause; 8] = [
        Cause::CREATED,
        Cause::WRITTEN,
        Cause::WRITING,
        Cause::ATTRIBUTES,
        Cause::GONE,
        Cause::ENTRIES,
        Cause::VACATED,
        Cause::LOST,
    ];

    /// Every set of causes.
    fn causes() -> impl Iterator<Item = Cause> {
        (1..1 << CAUSES.len()).map(|set: usize| {
            let chosen = CAUSES.iter().enumerate().filter(|(bit, _)| set & (1 << bit) != 0);
            chosen.fold(Cause::default(), |all, (_, one)| all | *one)
        })
    }

    #[test]
    fn nothing_is_removed_but_what_was_seen_to_go_or_a_listing_did_not_have() {
        for cause in causes() {
            let gone = of_absence(Why::Event(cause)) == Absence::Gone;
            assert_eq!(gone, cause.has(Cause::GONE), "{cause:?}");
        }
        for difference in [Difference::Missing, Difference::Content, Difference::Inexact, Difference::Metadata] {
            assert_eq!(of_absence(Why::Differs(difference)), Absence::ListAgain);
        }
        assert_eq!(of_absence(Why::Extra), Absence::Gone);
        assert_eq!(of_absence(Why::Event(Cause::LOST)), Absence::Unexplained);
        assert_eq!(of_absence(Why::Event(Cause::LOST | Cause::VACATED)), Absence::Explained);
        assert_eq!(of_absence(Why::Event(Cause::WRITTEN)), Absence::LostSight);
    }

    #[test]
    fn what_was_written_is_always_sent_and_what_was_not_is_never_sent_whole_without_a_reason() {
        for attributes in [Attributes::Mirrored, Attributes::Ignored] {
            for linked in [Linked::Yes, Linked::No] {
                for cause in causes() {
                    let need = of_file(Why::Event(cause), attributes, linked);
                    if cause.has(Cause::WRITTEN | Cause::WRITING) {
                        assert_eq!(need, Need::Content, "{cause:?}");
                    }
                    if cause.only(Cause::ATTRIBUTES | Cause::ENTRIES) {
                        assert_ne!(need, Need::Content, "{cause:?}");
                    }
                }
                assert_eq!(of_file(Why::Differs(Difference::Content), attributes, linked), Need::Content);
            }
        }
        let made = Why::Event(Cause::CREATED);
        assert_eq!(of_file(made, Attributes::Mirrored, Linked::No), Need::Later);
        assert_eq!(of_file(made, Attributes::Mirrored, Linked::Yes), Need::Content);
        let changed = Why::Event(Cause::ATTRIBUTES);
        assert_eq!(of_file(changed, Attributes::Ignored, Linked::No), Need::Nothing);
        assert_eq!(of_file(changed, Attributes::Ignored, Linked::Yes), Need::Metadata, "its other names may be new");
        assert_eq!(of_file(Why::Differs(Difference::Metadata), Attributes::Ignored, Linked::Yes), Need::Nothing);
    }

    #[test]
    fn a_folder_is_compared_once_by_the_work_that_is_at_it() {
        let new = Why::Event(Cause::CREATED | Cause::ENTRIES);
        assert_eq!(of_folder(new, Attributes::Ignored, Pace::Entry), FolderNeed::Compare);
        assert_eq!(of_folder(new, Attributes::Ignored, Pace::Pass), FolderNeed::CompareLater);
        assert_eq!(of_folder(Why::Extra, Attributes::Ignored, Pace::Pass), FolderNeed::CompareLater);
        let touched = Why::Event(Cause::ENTRIES);
        assert_eq!(of_folder(touched, Attributes::Ignored, Pace::Entry), FolderNeed::Mend(Doubt::Itself));
        let mode = Why::Event(Cause::ATTRIBUTES);
        assert_eq!(of_folder(mode, Attributes::Ignored, Pace::Entry), FolderNeed::Nothing(Doubt::Beneath));
        assert_eq!(of_folder(mode, Attributes::Mirrored, Pace::Entry), FolderNeed::Mend(Doubt::Beneath));
        assert_eq!(of_folder(Why::Differs(Difference::Missing), Attributes::Mirrored, Pace::Pass), FolderNeed::Make);
    }
}
