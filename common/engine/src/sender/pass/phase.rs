//! The order of the work of a pass.

/// Which stretch of its work a pass is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Folders are listed and compared.
    Comparing,
    /// It is to be found out what of it waits.
    Sifting,
    /// The target is asked how much a deletion would take.
    Counting,
    /// It is to be found out whether it may delete so much.
    Judging,
    /// Looks are under way, the last of them at what is to be deleted.
    Looking,
    /// Files with several names that the target has under none of them are sent under one.
    Choosing,
    /// The names of files with several are told.
    Naming,
    Over,
}
