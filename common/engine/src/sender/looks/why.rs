//! What leads to looks, and what it says of them.

use super::super::pass::Difference;
use crate::hint::Cause;

/// What led to a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sender) enum Why {
    /// Events were noticed there.
    Event(Cause),
    /// A comparison found a difference.
    Differs(Difference),
    /// A comparison found it at the target and not here, or a folder in its place.
    Extra,
}

impl Why {
    /// Whether the names of what is looked at are joined, where it has several and the module does that.
    pub fn joins(self) -> bool {
        !self.apart().has(Cause::APART)
    }

    /// Why they are not: to be said again when it is looked at once more.
    pub fn apart(self) -> Cause {
        match self {
            Why::Event(cause) => cause.among(Cause::APART | Cause::CROWDED),
            Why::Differs(_) | Why::Extra => Cause::default(),
        }
    }

    /// Whether it was weighed before that nothing may stand there.
    pub fn is_released(self) -> bool {
        matches!(self, Why::Event(cause) if cause.has(Cause::RELEASED))
    }

    /// Whether the target is likely to have an older version.
    pub fn replaces(self) -> bool {
        match self {
            Why::Event(cause) => !cause.has(Cause::CREATED),
            Why::Differs(difference) => difference != Difference::Missing,
            Why::Extra => false,
        }
    }
}
